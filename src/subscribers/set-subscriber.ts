import { z } from 'zod';
import { settleSuspensions } from '../billing/settle-suspensions.ts';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction, type Trx } from '../db/knex.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { rewriteTerms } from '../db/subscriber-terms.ts';
import { subscriberDetails, type SubscriberDetails, updateSubscriber } from '../db/subscriber-details.ts';
import { dayIn } from '../domain/day.ts';
import type { SubscriberId } from '../domain/ids.ts';
import { notFound } from '../errors.ts';
import { line, parseInput } from '../input.ts';
import * as fields from './fields.ts';

/** null takes a phone, an e-mail address or a street away. */
const schema = z.strictObject({
  subscriberId: z.custom<SubscriberId>(),
  name: line(120).optional(),
  phone: fields.phone().nullable().optional(),
  email: fields.email().nullable().optional(),
  street: line(190).nullable().optional(),
  language: fields.language().optional(),
  billingProfile: line(80).optional(),
});

type Settable = Omit<SubscriberDetails, 'id' | 'billingProfileId'>;

export type SubscriberChange =
  | {
      readonly ok: true;
      readonly changed: readonly (keyof Settable)[];
      /** Suspensions that the new billing profile gives no ground for. */
      readonly closedSuspensions: number;
    }
  | { readonly ok: false; readonly reason: 'nothing_changed' };

/**
 * Changes who a subscriber is, or by which billing profile they are judged. Issued invoices keep their due days; a
 * profile with a longer grace ends an overdue suspension at once where nothing is past due and grace any more, and a
 * stricter one acts with the next overdue run, whose plan somebody sees first.
 */
export async function setSubscriber(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<SubscriberChange> {
  const { subscriberId, ...wanted } = parseInput(schema, input);
  const at = ctx.clock.now();
  let done: SubscriberChange | null = null;
  const result = await inTransaction(ctx.db, async (trx): Promise<SubscriberChange> => {
    if ((await lockSubscribers(trx, [subscriberId])) === 0) throw notFound(`subscriber #${subscriberId}`);
    const before = await subscriberDetails(trx, subscriberId);
    if (before === undefined) throw notFound(`subscriber #${subscriberId}`);
    const changed = (Object.keys(wanted) as (keyof Settable)[]).filter(
      (name) => wanted[name] !== undefined && wanted[name] !== before[name],
    );
    // Nothing different, because this same call did it in a transaction whose answer was lost.
    if (changed.length === 0) return done ?? { ok: false, reason: 'nothing_changed' };
    const changes = Object.fromEntries(changed.map((name) => [name, wanted[name]])) as Partial<Settable>;
    const { billingProfile, ...plain } = changes;
    await updateSubscriber(trx, subscriberId, {
      ...plain,
      ...(billingProfile === undefined
        ? {}
        : { billingProfileId: await fields.billingProfileId(trx, billingProfile) }),
    });
    if (changed.includes('name') || changed.includes('phone')) await rewriteTerms(trx, [subscriberId]);
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'subscriber.set',
      subject: { kind: 'subscriber', id: subscriberId },
      subscriberId,
      correlationId: ctx.correlationId,
      diff: { before: Object.fromEntries(changed.map((name) => [name, before[name]])), after: changes },
    });
    const closedSuspensions = billingProfile === undefined ? 0 : await settle(ctx, trx, subscriberId, at);
    done = { ok: true, changed, closedSuspensions };
    return done;
  });
  if (result.ok && result.closedSuspensions > 0) ctx.wake('worker');
  return result;
}

async function settle(ctx: CommandContext, trx: Trx, subscriberId: SubscriberId, at: Date): Promise<number> {
  const closed = await settleSuspensions(trx, {
    subscriberIds: [subscriberId],
    at,
    today: dayIn((await readSettings(trx)).zone, at),
    actor: ctx.actor,
    correlationId: ctx.correlationId,
    because: 'repaired',
    priority: 'staff',
  });
  return closed.length;
}
