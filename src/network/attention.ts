import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { dropParkedKey, settleParkedById } from '../db/attention.ts';
import { inTransaction } from '../db/knex.ts';
import { retryAllParked, retryParked } from '../db/reconcile-queue.ts';
import { line, parseInput } from '../input.ts';

export type Attended = { ok: true } | { ok: false; reason: 'not_there' };

/** A parked key starts afresh, as if it had just been asked for. */
export async function retryKey(ctx: CommandContext, id: string): Promise<Attended> {
  const result = await inTransaction(ctx.db, async (trx): Promise<Attended> => {
    if (!(await retryParked(trx, id))) return { ok: false, reason: 'not_there' };
    await recordActivity(trx, { ...about(ctx, 'key.retry'), subject: { kind: 'reconcile_key', id } });
    return { ok: true };
  });
  if (result.ok) {
    ctx.wake('worker');
    ctx.wake('lane');
  }
  return result;
}

const retriedMost = 5000;

/** All parked keys, or those of one router, start afresh; at most five thousand at a time. Gives how many. */
export async function retryKeys(ctx: CommandContext, routerId: string | null): Promise<number> {
  const retried = await inTransaction(ctx.db, async (trx) => {
    const count = await retryAllParked(trx, { routerId, limit: retriedMost });
    if (count > 0) {
      await recordActivity(trx, {
        ...about(ctx, 'key.retry_all'),
        subject: { kind: routerId === null ? 'reconcile_key' : 'router', id: routerId },
        routerId,
        diff: { count },
      });
    }
    return count;
  });
  if (retried > 0) {
    ctx.wake('worker');
    ctx.wake('lane');
  }
  return retried;
}

/** A parked key is dropped for good. What it stands for is looked at again at its next change, or by `reconcile`. */
export async function giveUpKey(ctx: CommandContext, id: string, note: string): Promise<Attended> {
  const why = parseInput(z.object({ note: line(190) }), { note }).note;
  return inTransaction(ctx.db, async (trx): Promise<Attended> => {
    const dropped = await dropParkedKey(trx, id);
    if (dropped === undefined) return { ok: false, reason: 'not_there' };
    await recordActivity(trx, {
      ...about(ctx, 'key.give_up'),
      subject: { kind: 'reconcile_key', id },
      diff: { ...dropped, note: why },
    });
    return { ok: true };
  });
}

/** A subscription that a run set aside has been dealt with by hand. */
export async function settleParkedSubscription(
  ctx: CommandContext,
  id: string,
  note: string,
): Promise<Attended> {
  const why = parseInput(z.object({ note: line(190) }), { note }).note;
  return inTransaction(ctx.db, async (trx): Promise<Attended> => {
    const settled = await settleParkedById(trx, id, ctx.clock.now());
    if (settled === undefined) return { ok: false, reason: 'not_there' };
    await recordActivity(trx, {
      ...about(ctx, 'parked.settle'),
      subject: { kind: 'subscription', id: settled.subscriptionId },
      diff: { reason: settled.reason, note: why },
    });
    return { ok: true };
  });
}

function about(ctx: CommandContext, verb: string) {
  return { at: ctx.clock.now(), actor: ctx.actor, verb, correlationId: ctx.correlationId };
}
