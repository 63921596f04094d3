import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { type BillingProfile, lockBillingProfile, updateBillingProfile } from '../db/billing-profiles.ts';
import { inTransaction, isDuplicate } from '../db/knex.ts';
import { AppError, notFound } from '../errors.ts';
import { parseInput } from '../input.ts';
import { billingProfileFields, rateBelongsToThrottle } from './billing-profile-fields.ts';

const schema = z
  .strictObject({ billingProfileId: z.string(), ...billingProfileFields, isOverdueRunOn: z.boolean() })
  .check(rateBelongsToThrottle);

type Fields = Omit<BillingProfile, 'id'>;

export interface BillingProfileChange {
  /** What is different from before; empty when nothing is. */
  readonly changed: readonly (keyof Fields)[];
  readonly before: BillingProfile;
  readonly after: BillingProfile;
}

/**
 * Changes a billing profile. It touches nobody's service: a suspension keeps the effect it was opened with, and the next
 * overdue run judges by what the profile says then. A longer grace takes the ground from some open suspensions; closing
 * those is `repairWronglySuspended`'s work, which the timetable does each hour and the page begins at once. Days to pay
 * are for invoices still to be issued: an issued document keeps its due day.
 */
export async function setBillingProfile(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<BillingProfileChange> {
  const { billingProfileId: id, throttleRate, ...rest } = parseInput(schema, input);
  const after: BillingProfile = { id, ...rest, throttleRate: throttleRate ?? null };
  let done: BillingProfileChange | null = null;
  return await inTransaction(ctx.db, async (trx) => {
    const before = await lockBillingProfile(trx, id);
    if (before === undefined) throw notFound(`billing profile ${id}`);
    const changed = (Object.keys(before) as (keyof BillingProfile)[]).filter(
      (name): name is keyof Fields => name !== 'id' && before[name] !== after[name],
    );
    // Nothing different, because this same call did it in a transaction whose answer was lost.
    if (changed.length === 0) return done ?? { changed, before, after };
    await updateBillingProfile(trx, after).catch((error: unknown) => {
      if (!isDuplicate(error)) throw error;
      throw new AppError('conflict', 'name: is taken by another billing profile', { field: 'name' });
    });
    const part = (profile: BillingProfile) =>
      Object.fromEntries(changed.map((name) => [name, profile[name]]));
    await recordActivity(trx, {
      at: ctx.clock.now(),
      actor: ctx.actor,
      verb: 'billing_profile.set',
      subject: { kind: 'billing_profile', id },
      correlationId: ctx.correlationId,
      diff: { before: part(before), after: part(after) },
    });
    done = { changed, before, after };
    return done;
  });
}
