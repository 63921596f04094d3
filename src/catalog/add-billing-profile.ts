import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { line, oneOf, parseInput, wholeNumber } from '../input.ts';
import { addNamedRow } from './add-row.ts';
import { rateLimit } from './fields.ts';

const schema = z
  .strictObject({
    name: line(80),
    dueDays: wholeNumber(0, 365),
    graceDays: wholeNumber(0, 365),
    overdueEffect: oneOf(['block', 'throttle', 'walled_garden']),
    throttleRate: rateLimit().optional(),
    isOverdueRunOn: z.boolean().default(true),
  })
  .check((context) => {
    const { overdueEffect, throttleRate } = context.value;
    if ((overdueEffect === 'throttle') === (throttleRate !== undefined)) return;
    context.issues.push({
      code: 'custom',
      path: ['throttleRate'],
      input: undefined,
      message:
        overdueEffect === 'throttle'
          ? 'is missing: the effect throttle needs a rate such as 512k/512k'
          : 'belongs to the effect throttle only',
    });
  });

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
