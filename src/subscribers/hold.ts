import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { subscriptionRefs } from '../db/subscription-refs.ts';
import { openSuspensions, openSuspensionsOn } from '../db/suspensions.ts';
import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { parseRateLimit } from '../domain/rate-limit.ts';
import { notFound } from '../errors.ts';
import { checked, line, oneOf, parseInput } from '../input.ts';

/** A hold or a lift is about one subscription, or about all of one subscriber. */
export function isOneOf(input: { subscriptionId?: unknown; subscriberId?: unknown }): boolean {
  return (input.subscriptionId === undefined) !== (input.subscriberId === undefined);
}

export const oneOfRule = 'must be given, or a subscriberId instead, and not both';

const rate = checked('must be a rate such as 1M/2M, upload first', (text) => {
  parseRateLimit(text);
  return text.trim();
});

const schema = z
  .strictObject({
    subscriptionId: z.custom<SubscriptionId>().optional(),
    subscriberId: z.custom<SubscriberId>().optional(),
    cause: oneOf(['staff', 'fraud', 'vacation']),
    effect: oneOf(['block', 'throttle', 'walled_garden']),
    throttleRate: rate.optional(),
    note: line(255),
  })
  .refine(isOneOf, { path: ['subscriptionId'], message: oneOfRule })
  .refine((input) => (input.effect === 'throttle') === (input.throttleRate !== undefined), {
    path: ['throttleRate'],
    message: 'must be given with the effect throttle, and only then',
  });

export type Hold =
  | {
      readonly ok: true;
      readonly held: readonly SubscriptionId[];
      readonly already: readonly SubscriptionId[];
    }
  | { readonly ok: false; readonly reason: 'already_held' | 'terminated' };

/**
 * Suspends a subscription, or every living one of a subscriber, by hand. Such a hold stays until somebody lifts it: no
 * payment ends it. Another cause that is open beside it (overdue) is not touched.
 */
export async function holdSubscription(ctx: CommandContext, input: z.input<typeof schema>): Promise<Hold> {
  const wanted = parseInput(schema, input);
  const at = ctx.clock.now();
  let isRepeat = false;
  const result = await inTransaction(ctx.db, async (trx): Promise<Hold> => {
    const named = await subscriptionRefs(trx, wanted);
    if (named.length === 0) throw notFound('subscription');
    await lockSubscribers(trx, [...new Set(named.map((subscription) => subscription.subscriberId))]);
    const living = (await subscriptionRefs(trx, wanted)).filter(({ state }) => state !== 'terminated');
    if (living.length === 0) return { ok: false, reason: 'terminated' };
    const ids = living.map(({ id }) => id);
    const open = await openSuspensionsOn(trx, ids, wanted.cause);
    // Opened by this very call, in a transaction whose answer was lost, is not "already".
    const isOwn = (suspension: (typeof open)[number]) =>
      isRepeat && suspension.openedBy === ctx.actor && suspension.openedAt.getTime() === at.getTime();
    const already = open.filter((held) => !isOwn(held)).map((held) => held.subscriptionId);
    if (already.length === ids.length) return { ok: false, reason: 'already_held' };
    const taken = new Set(open.map((held) => held.subscriptionId));
    isRepeat = true;
    await openSuspensions(
      trx,
      living
        .filter(({ id }) => !taken.has(id))
        .map(({ id, subscriberId }) => ({
          subscriptionId: id,
          subscriberId,
          cause: wanted.cause,
          effect: wanted.effect,
          throttleRate: wanted.throttleRate ?? null,
          note: wanted.note,
        })),
      { at, actor: ctx.actor, correlationId: ctx.correlationId, priority: 'staff' },
    );
    return { ok: true, held: ids.filter((id) => !already.includes(id)), already };
  });
  if (result.ok) ctx.wake('worker');
  return result;
}
