import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction } from '../db/knex.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import { readSettings } from '../db/settings.ts';
import { endSubscription, subscriptionsOf } from '../db/subscribers.ts';
import { closeSuspensions, openSuspensionsOn } from '../db/suspensions.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { dayIn } from '../domain/day.ts';
import type { LoginId, SubscriptionId } from '../domain/ids.ts';
import { notFound } from '../errors.ts';
import { line, parseInput } from '../input.ts';

const schema = z.strictObject({ subscriptionId: z.custom<SubscriptionId>(), note: line(190).optional() });

export type Termination =
  { ok: true; loginIds: readonly LoginId[] } | { ok: false; reason: 'already_terminated' };

/**
 * Ends a subscription for good: no more invoices, its logins retired (their usernames are never given again), live
 * sessions disconnected by reconcile. What is owed stays owed.
 */
export async function terminateSubscription(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<Termination> {
  const wanted = parseInput(schema, input);
  const result = await inTransaction(ctx.db, async (trx): Promise<Termination> => {
    const [found] = await subscriptionsOf(trx, { subscriptionId: wanted.subscriptionId });
    if (found === undefined) throw notFound(`subscription ${wanted.subscriptionId}`);
    await lockSubscribers(trx, [found.subscriberId]);
    const [current] = await subscriptionsOf(trx, { subscriptionId: wanted.subscriptionId });
    if (current === undefined || current.state === 'terminated')
      return { ok: false, reason: 'already_terminated' };
    const at = ctx.clock.now();
    const on = dayIn((await readSettings(trx)).zone, at);
    await closeSuspensions(trx, await openSuspensionsOn(trx, [current.id]), {
      at,
      actor: ctx.actor,
      correlationId: ctx.correlationId,
      priority: 'staff',
      because: 'terminated',
    });
    const loginIds = await endSubscription(trx, current.id, { on, at });
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'subscription.terminate',
      subject: { kind: 'subscription', id: current.id },
      subscriberId: current.subscriberId,
      correlationId: ctx.correlationId,
      diff: { package: current.packageName, note: wanted.note ?? '' },
    });
    await requestReconcile(
      trx,
      loginIds.map((key) => ({ kind: 'login', key })),
      { priority: 'staff', requestedBy: ctx.correlationId },
    );
    return { ok: true, loginIds };
  });
  if (result.ok) ctx.wake('worker');
  return result;
}
