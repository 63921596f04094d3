import type { CommandContext } from '../command.ts';
import { chunksOf, type Db, inTransaction } from '../db/knex.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { type OpenSuspension, openOverduePage } from '../db/suspensions.ts';
import { type Day, dayIn } from '../domain/day.ts';
import type { SubscriberId, SuspensionId } from '../domain/ids.ts';
import { compareIds } from '../domain/payment-allocation.ts';
import { settleSuspensions, withoutGround } from './settle-suspensions.ts';

const pageSize = 500;

/**
 * Open overdue suspensions of subscribers who are not overdue: somebody pays for service that they do not get. There
 * should be none, since every transaction that clears debt settles; what changes the ground without one is an edited
 * grace. At most `limit` are given.
 */
export async function findWronglySuspended(db: Db, today: Day, limit: number): Promise<OpenSuspension[]> {
  const wrong: OpenSuspension[] = [];
  let after: SuspensionId | null = null;
  for (;;) {
    const open = await openOverduePage(db, { after, limit: pageSize });
    wrong.push(...(await withoutGround(db, open, today)));
    after = open.at(-1)?.id ?? null;
    if (after === null || wrong.length >= limit) return wrong.slice(0, limit);
  }
}

/** Closes what `findWronglySuspended` finds, judged again under each subscriber's lock. Gives the closed suspensions. */
export async function repairWronglySuspended(
  ctx: CommandContext,
  options: { limit?: number } = {},
): Promise<SuspensionId[]> {
  const at = ctx.clock.now();
  const today = dayIn((await readSettings(ctx.db)).zone, at);
  const found = await findWronglySuspended(ctx.db, today, options.limit ?? 10_000);
  const subscriberIds = [...new Set(found.map((suspension) => suspension.subscriberId))].sort(compareIds);
  const closed: SuspensionId[] = [];
  for (const chunk of chunksOf<SubscriberId>(subscriberIds, 500)) {
    const ids = await inTransaction(ctx.db, async (trx) => {
      await lockSubscribers(trx, chunk);
      return await settleSuspensions(trx, {
        subscriberIds: chunk,
        at,
        today,
        actor: ctx.actor,
        correlationId: ctx.correlationId,
        because: 'repaired',
        priority: 'staff',
      });
    });
    closed.push(...ids);
    ctx.wake('worker');
  }
  if (closed.length > 0)
    ctx.log.error('open overdue suspensions without debt were closed', { count: closed.length });
  return closed;
}
