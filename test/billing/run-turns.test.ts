import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { resumeInvoiceRuns } from '../../src/billing/invoice-run-resume.ts';
import { beginInvoiceRun } from '../../src/billing/invoice-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { createOverdueRun, resumeOverdueRuns } from '../../src/billing/overdue-run.ts';
import { inHalves, inTurn } from '../../src/billing/run-turns.ts';
import { databaseNowPlus } from '../../src/db/leases.ts';
import { parseDay } from '../../src/domain/day.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { actionStates, forgetEverybody, manyDebtors } from '../support/overdue.ts';
import { insertPayers } from './support.ts';

const asOf = parseDay('2026-03-20');

describe('whose turn it is at a run', () => {
  let t: TestDb;
  let ctx: TestContext;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());
  beforeEach(async () => {
    await forgetEverybody(t.db);
    for (const table of ['run_lease', 'invoice_run']) await t.db(table).delete();
    ctx = testContext(t.db, { now: '2026-03-20T10:00:00Z' });
  });

  /** Another process is at the run, or was when it died: nobody renews its lease. */
  const leasedElsewhere = (kind: 'invoice' | 'overdue', id: string, ms: number) =>
    t.db('run_lease').insert({
      kind,
      run_id: id,
      owner: 'another'.padEnd(32, 'x'),
      locked_until: databaseNowPlus(t.db, ms),
    });
  const leases = () => t.db('run_lease').pluck<string[]>('owner');
  const turnAt = (id: string, isOver = false) => ({
    run: { kind: 'invoice' as const, id },
    isOver: () => Promise.resolve(isOver),
  });

  it('inTurn, by two calls at once, lets the second work when the first is done', async () => {
    const seen: string[] = [];
    const work = (name: string) =>
      inTurn(ctx, turnAt('1'), async () => {
        seen.push(`${name} begins`);
        await wait(50);
        seen.push(`${name} ends`);
      });
    await Promise.all([work('a'), work('b')]);
    expect(seen.map((text) => text.slice(2))).to.deep.equal(['begins', 'ends', 'begins', 'ends']);
    expect(await leases()).to.deep.equal([]);
  });

  it('inTurn, while another process is at the run, waits for its end or for its death', async () => {
    await leasedElsewhere('invoice', '2', 60_000);
    expect(await inTurn(ctx, turnAt('2', true), () => Promise.resolve('worked'))).to.equal(undefined);
    await leasedElsewhere('invoice', '3', 300);
    expect(await inTurn(ctx, turnAt('3'), () => Promise.resolve('worked'))).to.equal('worked');
  });

  it('inTurn, when the work fails, gives the run free', async () => {
    const failed = await inTurn(ctx, turnAt('4'), () => Promise.reject(new Error('broken'))).catch(
      (error: unknown) => (error as Error).message,
    );
    expect(failed).to.equal('broken');
    expect(await leases()).to.deep.equal([]);
  });

  it('resumeOverdueRuns and resumeInvoiceRuns, leave a run that some process is at', async () => {
    await manyDebtors(t.db, 3);
    const { run } = await createOverdueRun(ctx, { asOf });
    await t.db('overdue_run').where({ id: run.id }).update({ state: 'applying' });
    const begun = await beginInvoiceRun(ctx, { asOf });
    ctx.clock.advance(600_000);
    await leasedElsewhere('overdue', run.id, 60_000);
    await leasedElsewhere('invoice', begun.id, 60_000);
    expect(await resumeOverdueRuns(ctx)).to.deep.equal([]);
    expect(await resumeInvoiceRuns(ctx)).to.deep.equal([]);
    await t.db('run_lease').delete();
    expect(await resumeOverdueRuns(ctx)).to.deep.equal([run.id]);
    expect(await resumeInvoiceRuns(ctx)).to.deep.equal([begun.id]);
  });

  it('beginInvoiceRun, several at once, is one run', async () => {
    await insertPayers(t.db, 2);
    const runs = await Promise.all(Array.from({ length: 5 }, () => beginInvoiceRun(ctx, { asOf })));
    expect(new Set(runs.map((run) => run.id)).size).to.equal(1);
  });

  it('applyOverdueRun, over conflicts that do not end, makes the batch smaller and sets nobody aside', async () => {
    const debtors = await manyDebtors(t.db, 8);
    const { run } = await createOverdueRun(ctx, { asOf });
    const unlucky = debtors[5]?.subscriptionId ?? '';
    // What a node of a cluster says whose transaction came second.
    await t.db.raw(`CREATE TRIGGER always_second BEFORE INSERT ON suspension FOR EACH ROW
      IF NEW.subscription_id = ${unlucky} THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF`);
    try {
      const failed: unknown = await applyOverdueRun(ctx, { runId: run.id }).catch((error: unknown) => error);
      expect(failed).to.have.property('errno', 1213);
      const states = [...(await actionStates(t.db, run.id)).values()];
      expect(states.filter((state) => state === 'parked')).to.deep.equal([]);
      expect(states.filter((state) => state === 'applied').length).to.be.greaterThan(3);
    } finally {
      await t.db.raw('DROP TRIGGER always_second');
    }
    const again = await applyOverdueRun(ctx, { runId: run.id });
    expect(again.ok && again.counts).to.include({ applied: 8, parked: 0, planned: 0 });
  });

  it('inHalves, splits over a conflict only, down to one', async () => {
    const sizes: number[] = [];
    const conflict = Object.assign(new Error('deadlock'), { errno: 1213 });
    const done = await inHalves([1, 2, 3, 4, 5], (part) => {
      sizes.push(part.length);
      return part.length > 1 && part.includes(2) ? Promise.reject(conflict) : Promise.resolve(part);
    });
    expect(done.flat()).to.deep.equal([1, 2, 3, 4, 5]);
    expect(sizes).to.deep.equal([5, 3, 2, 1, 1, 1, 2]);
    const other: unknown = await inHalves([1, 2], () => Promise.reject(new Error('other'))).catch(
      (error: unknown) => error,
    );
    expect(other).to.have.property('message', 'other');
  });
});
