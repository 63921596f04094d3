import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordDeferrals } from '../db/deferrals.ts';
import { inTransaction } from '../db/knex.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { subscriptionRefs } from '../db/subscription-refs.ts';
import { closedInOneAct, closeSuspensions, openSuspensionsOn } from '../db/suspensions.ts';
import type { SuspensionCause } from '../domain/access-types.ts';
import { type Day, dayIn } from '../domain/day.ts';
import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { deferUntil } from '../domain/overdue.ts';
import { invalid, notFound } from '../errors.ts';
import { day, line, oneOf, parseInput } from '../input.ts';
import { isOneOf, oneOfRule } from './hold.ts';

const schema = z
  .strictObject({
    subscriptionId: z.custom<SubscriptionId>().optional(),
    subscriberId: z.custom<SubscriberId>().optional(),
    cause: oneOf(['overdue', 'staff', 'fraud', 'vacation']).optional(),
    note: line(255),
    untilOn: day().optional(),
  })
  .refine(isOneOf, { path: ['subscriptionId'], message: oneOfRule });

export type Lift =
  | {
      readonly ok: true;
      readonly lifted: readonly { subscriptionId: SubscriptionId; cause: SuspensionCause }[];
      /** First day on which the overdue run may act again; null when no overdue suspension was lifted. */
      readonly deferredUntil: Day | null;
    }
  | { readonly ok: false; readonly reason: 'nothing_open' }
  | { readonly ok: false; readonly reason: 'several_causes'; readonly causes: readonly SuspensionCause[] };

/**
 * Ends suspensions by hand. Lifting an overdue one records a deferral with it, so that the next run leaves the
 * subscription alone until `untilOn` (else so many days as the settings say). Where several causes are open the caller
 * says which: lifting a fraud hold must not be a side effect of being kind about a bill.
 */
export async function liftSuspension(ctx: CommandContext, input: z.input<typeof schema>): Promise<Lift> {
  const wanted = parseInput(schema, input);
  const at = ctx.clock.now();
  const settings = await readSettings(ctx.db);
  const today = dayIn(settings.zone, at);
  const until = deferUntil(wanted.untilOn, { today, days: settings.deferralDays });
  if (!until.ok) throw invalid('untilOn', until.rule);
  let isRepeat = false;
  const result = await inTransaction(ctx.db, async (trx): Promise<Lift> => {
    const named = await subscriptionRefs(trx, wanted);
    if (named.length === 0) throw notFound('subscription');
    await lockSubscribers(trx, [...new Set(named.map((subscription) => subscription.subscriberId))]);
    const ids = named.map((subscription) => subscription.id);
    const act = { subscriptionIds: ids, at, actor: ctx.actor, because: 'lifted' } as const;
    const open = await openSuspensionsOn(trx, ids, wanted.cause);
    if (open.length === 0) {
      // Lifted by this very call, in a transaction whose answer was lost, is no refusal.
      const own = isRepeat ? await closedInOneAct(trx, act) : [];
      return own.length === 0 ? { ok: false, reason: 'nothing_open' } : lifted(own, until.day);
    }
    const causes = [...new Set(open.map((suspension) => suspension.cause))].sort();
    if (causes.length > 1) return { ok: false, reason: 'several_causes', causes };
    isRepeat = true;
    await closeSuspensions(trx, open, {
      at,
      actor: ctx.actor,
      correlationId: ctx.correlationId,
      priority: 'staff',
      because: 'lifted',
      note: wanted.note,
    });
    await recordDeferrals(
      trx,
      open
        .filter((suspension) => suspension.cause === 'overdue')
        .map((suspension) => ({
          subscriptionId: suspension.subscriptionId,
          source: 'lift',
          untilOn: until.day,
          note: wanted.note,
          onceKey: `lift:${suspension.id}`,
        })),
      { at, actor: ctx.actor },
    );
    return lifted(open, until.day);
  });
  if (result.ok) ctx.wake('worker');
  return result;
}

function lifted(
  closed: readonly { subscriptionId: SubscriptionId; cause: SuspensionCause }[],
  untilOn: Day,
): Lift {
  return {
    ok: true,
    lifted: closed.map(({ subscriptionId, cause }) => ({ subscriptionId, cause })),
    deferredUntil: closed.some(({ cause }) => cause === 'overdue') ? untilOn : null,
  };
}
