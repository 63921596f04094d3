import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { hasDeferral, recordDeferrals } from '../db/deferrals.ts';
import { inTransaction } from '../db/knex.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { subscriptionRefs } from '../db/subscription-refs.ts';
import { addDays, type Day, dayIn } from '../domain/day.ts';
import type { SubscriberId, SubscriptionId, SuspensionId } from '../domain/ids.ts';
import { deferUntil } from '../domain/overdue.ts';
import { invalid, notFound } from '../errors.ts';
import { day, line, parseInput } from '../input.ts';
import { settleSuspensions } from './settle-suspensions.ts';

const schema = z.strictObject({
  subscriberId: z.custom<SubscriberId>(),
  /** The last day on which the subscriber means to pay. */
  payBy: day(),
  note: line(255),
});

export type PromiseToPay =
  | {
      readonly ok: true;
      readonly restored: readonly SuspensionId[];
      /** First day on which the overdue run may act again: the day after `payBy`. */
      readonly deferredUntil: Day;
    }
  | { readonly ok: false; readonly reason: 'no_subscription' };

/**
 * A promise to pay until a day: service comes back now, and the overdue run stays away from all of the subscriber's
 * subscriptions until that day is over. A hold of staff stays.
 */
export async function promiseToPay(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<PromiseToPay> {
  const wanted = parseInput(schema, input);
  const at = ctx.clock.now();
  const today = dayIn((await readSettings(ctx.db)).zone, at);
  const until = deferUntil(addDays(wanted.payBy, 1), { today, days: 0 });
  if (!until.ok) throw invalid('payBy', wanted.payBy < today ? `must not be before ${today}` : until.rule);
  let own: SuspensionId[] | null = null;
  const result = await inTransaction(ctx.db, async (trx): Promise<PromiseToPay> => {
    if ((await lockSubscribers(trx, [wanted.subscriberId])) === 0) {
      throw notFound(`subscriber ${wanted.subscriberId}`);
    }
    const living = (await subscriptionRefs(trx, wanted)).filter(({ state }) => state !== 'terminated');
    const [first] = living;
    if (first === undefined) return { ok: false, reason: 'no_subscription' };
    // Recorded by this very call, in a transaction whose answer was lost: it is done.
    if (own !== null && (await hasDeferral(trx, keyOf(first.id, until.day)))) {
      return { ok: true, restored: own, deferredUntil: until.day };
    }
    await recordDeferrals(
      trx,
      living.map(({ id }) => ({
        subscriptionId: id,
        source: 'promise',
        untilOn: until.day,
        note: wanted.note,
        onceKey: keyOf(id, until.day),
      })),
      { at, actor: ctx.actor },
    );
    const restored = await settleSuspensions(trx, {
      subscriberIds: [wanted.subscriberId],
      at,
      today,
      actor: ctx.actor,
      correlationId: ctx.correlationId,
      because: 'promise',
      priority: 'staff',
    });
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'subscriber.promise',
      subject: { kind: 'subscriber', id: wanted.subscriberId },
      subscriberId: wanted.subscriberId,
      correlationId: ctx.correlationId,
      diff: { payBy: wanted.payBy, note: wanted.note, restored },
    });
    own = restored;
    return { ok: true, restored, deferredUntil: until.day };
  });
  if (result.ok) ctx.wake('worker');
  return result;
}

function keyOf(subscriptionId: SubscriptionId, untilOn: Day): string {
  return `promise:${subscriptionId}:${untilOn}`;
}
