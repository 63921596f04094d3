import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction } from '../db/knex.ts';
import { countLoginsOfMasterPackage, wishForManyLogins } from '../db/login-requests.ts';
import { lockMasterPackage, updateMasterPackage } from '../db/packages.ts';
import { invalid, notFound } from '../errors.ts';
import { line, parseInput } from '../input.ts';
import { networkColumns, networkFields } from './master-package-fields.ts';

const schema = z.strictObject({ masterPackage: line(80), ...networkFields });

/**
 * Changes what a master package says to the network, for everybody who has it: rows for the next dial, and a CoA or a
 * Disconnect on live sessions. Gives how many logins will be looked at; none when nothing changed.
 */
export async function setMasterPackage(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ changed: readonly string[]; loginCount: number }> {
  const wanted = parseInput(schema, input);
  const result = await inTransaction(ctx.db, async (trx) => {
    const before = await lockMasterPackage(trx, wanted.masterPackage);
    if (before === undefined) throw notFound(`master package ${wanted.masterPackage}`);
    const columns = await networkColumns(trx, wanted);
    if (Object.keys(columns).length === 0) throw invalid('rateLimit', 'nothing was given to change');
    const changes = Object.entries(columns).filter(([name, value]) => !isSame(before[name], value));
    if (changes.length === 0) return { changed: [], loginCount: 0 };
    const id = String(before['id']);
    await updateMasterPackage(trx, id, Object.fromEntries(changes));
    await recordActivity(trx, {
      at: ctx.clock.now(),
      actor: ctx.actor,
      verb: 'master_package.set',
      subject: { kind: 'master_package', id },
      correlationId: ctx.correlationId,
      diff: {
        before: Object.fromEntries(changes.map(([name]) => [name, before[name] ?? null])),
        after: Object.fromEntries(changes),
      },
    });
    await wishForManyLogins(trx, { masterPackageId: id }, ctx.correlationId);
    const loginCount = await countLoginsOfMasterPackage(trx, id);
    return { changed: changes.map(([name]) => name), loginCount };
  });
  if (result.changed.length > 0) ctx.wake('worker');
  return result;
}

export interface MasterPackageChange {
  readonly column: string;
  readonly before: string | number | null;
  readonly after: string | number | null;
}

/** What `setMasterPackage` would change, with the same refusals, for a person to look at before it is done. */
export async function previewMasterPackage(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<MasterPackageChange[]> {
  const wanted = parseInput(schema, input);
  return inTransaction(ctx.db, async (trx) => {
    const before = await lockMasterPackage(trx, wanted.masterPackage);
    if (before === undefined) throw notFound(`master package ${wanted.masterPackage}`);
    return Object.entries(await networkColumns(trx, wanted))
      .filter(([name, value]) => !isSame(before[name], value))
      .map(([column, after]) => ({ column, before: before[column] ?? null, after }));
  });
}

/** BIGINT ids come back as text and small numbers as numbers: compare what they say. */
function isSame(stored: string | number | null | undefined, wanted: string | number | null): boolean {
  if (stored == null || wanted === null) return (stored ?? null) === wanted;
  return String(stored) === String(wanted);
}
