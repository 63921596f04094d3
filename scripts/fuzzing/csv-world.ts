import type { Dice } from '../seed/random.ts';
import { createVault } from '../../src/adapters/vault.ts';
import { addBillingProfile } from '../../src/catalog/add-billing-profile.ts';
import { addMasterPackage } from '../../src/catalog/add-master-package.ts';
import { addPackage } from '../../src/catalog/add-package.ts';
import { fixedClock } from '../../src/clock.ts';
import type { CommandContext } from '../../src/command.ts';
import { type ImportRow, importRows } from '../../src/db/imports.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { ensureOperator } from '../../src/db/subscribers.ts';
import { importColumns, readCell, remarkColumn } from '../../src/domain/import-file.ts';
import { createLog } from '../../src/log.ts';
import { goOnWithImport, reviewImport, startImport, typedOf } from '../../src/subscribers/import.ts';
import type { Tally } from './campaign.ts';
import { secretsIn, secretsInDatabase } from './canaries.ts';
import { captureLog } from './log-capture.ts';
import { databasePassword, openOwnDatabase } from './servers.ts';

export interface CsvWorld {
  readonly ctx: CommandContext;
  readonly log: string[];
  close(tally: Tally): Promise<void>;
}

/** An ISP with a few packages, where files are looked over and some imported. */
export async function openCsvWorld(): Promise<CsvWorld> {
  const now = new Date('2026-03-31T10:00:00Z');
  const own = await openOwnDatabase(now);
  const log: string[] = [];
  const logger = createLog({ level: 'debug', role: 'fuzz' });
  captureLog(logger, (line) => log.push(line));
  const ctx: CommandContext = {
    db: own.db,
    clock: fixedClock(now.toISOString()),
    log: logger,
    vault: createVault([{ id: 'k1', key: Buffer.alloc(32, 5) }]),
    wake: () => undefined,
    actor: 'fuzz',
    correlationId: 'fuzz',
  };
  await ensureOperator(own.db, now);
  await saveSettings(own.db, { zone: 'Asia/Dhaka', currency: 'BDT', exponent: 2 }, now);
  await addBillingProfile(ctx, {
    name: 'block',
    dueDays: 7,
    graceDays: 2,
    overdueEffect: 'block',
    isOverdueRunOn: true,
  });
  for (const [name, billingType, customerType] of [
    ['Home 50', 'monthly', 'pppoe'],
    ['Daily', 'daily', 'pppoe'],
    ['Static', 'monthly', 'static_ip'],
  ] as const) {
    await addMasterPackage(ctx, {
      name: `${name} line`,
      customerType,
      billingType,
      rateLimit: '10M/50M',
      interimSeconds: 300,
    });
    await addPackage(ctx, {
      name,
      masterPackage: `${name} line`,
      customersPriceMinor: 3000n,
      operatorsPriceMinor: 2500n,
    });
  }
  return {
    ctx,
    log,
    async close(tally) {
      const secrets = new Map([
        ['a typed password', 'typed-'],
        ['the database password', databasePassword],
      ]);
      for (const held of await secretsInDatabase(own.db, secrets))
        tally.found({ rule: `the database: ${held}`, case: 0, about: '' });
      for (const line of log)
        for (const name of secretsIn(line, secrets))
          tally.found({ rule: `a log line holds ${name}`, case: 0, about: line });
      await own.close();
    },
  };
}

/** Looks a file over as the page does, and imports some; gives what broke a rule. */
export async function review(world: CsvWorld, bytes: Buffer, dice: Dice): Promise<string[]> {
  const { ctx } = world;
  const { jobId } = await reviewImport(ctx, { name: 'people.csv', bytes });
  const rows = await importRows(ctx.db, jobId, { states: ['good', 'bad'], limit: 100 });
  const faults = rows.flatMap((row) => faultsOfRow(world, jobId, row));
  if (!dice.percent(20) || !rows.some(({ state }) => state === 'good')) return faults;
  await startImport(ctx, jobId);
  await goOnWithImport(ctx, jobId);
  const after = await importRows(ctx.db, jobId, { states: ['good', 'failed'], limit: 100 });
  for (const { faults: why } of after) {
    faults.push(
      why.length === 0
        ? 'a good row was left over'
        : `a good row failed: ${why.map(({ column, rule }) => `${column} ${rule}`).join('; ')}`,
    );
  }
  return faults;
}

function faultsOfRow({ ctx }: CsvWorld, jobId: string, row: ImportRow): string[] {
  const known = [...importColumns.map(({ column }) => column), remarkColumn];
  const faults: string[] = [];
  if (row.username?.includes('typed-') === true) faults.push('a password stands in clear as a username');
  for (const { column, rule } of row.faults) {
    if (!known.includes(column)) faults.push(`a fault names the column ${column}`);
    if (rule === '' || rule.length > 400) faults.push('a fault without a rule');
    if (rule.includes('typed-')) faults.push('a rule repeats a password');
  }
  if (row.state !== 'good')
    return row.faults.length === 0 ? [...faults, 'a bad row without a fault'] : faults;
  const cells = typedOf(ctx, jobId, row)?.cells ?? {};
  const cell = (column: string, field: string) => readCell(field, cells[column] ?? '');
  const [price, day, use] = [
    cell('price', 'price'),
    cell('first_billed_day', 'anchorOn'),
    cell('simultaneous_use', 'simultaneousUse'),
  ];
  if (price !== '' && !/^[0-9]{1,13}(\.[0-9]{1,2})?$/.test(price))
    faults.push('rubbish was taken for a price');
  if (day !== '' && !new Date(`${day}T00:00:00Z`).toJSON().startsWith(day))
    faults.push('rubbish was taken for a day');
  if (use !== '' && !(/^[0-9]{1,3}$/.test(use) && Number(use) <= 255))
    faults.push('rubbish was taken for a number');
  if (/[\p{Cc}]/u.test(cell('name', 'name'))) faults.push('a control character was taken for a name');
  return faults;
}
