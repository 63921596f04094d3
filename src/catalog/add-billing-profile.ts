import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { parseInput } from '../input.ts';
import { addNamedRow } from './add-row.ts';
import { billingProfileFields, rateBelongsToThrottle } from './billing-profile-fields.ts';

const schema = z
  .strictObject({ ...billingProfileFields, isOverdueRunOn: z.boolean().default(true) })
  .check(rateBelongsToThrottle);

/** When an unpaid invoice bites, and how. */
export async function addBillingProfile(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ billingProfileId: string }> {
  const wanted = parseInput(schema, input);
  return inTransaction(ctx.db, async (trx) => {
    const { id } = await addNamedRow(ctx, trx, {
      table: 'billing_profile',
      name: wanted.name,
      row: {
        name: wanted.name,
        due_days: wanted.dueDays,
        grace_days: wanted.graceDays,
        overdue_effect: wanted.overdueEffect,
        throttle_rate: wanted.throttleRate ?? null,
        is_overdue_run_on: wanted.isOverdueRunOn,
      },
    });
    return { billingProfileId: id };
  });
}
