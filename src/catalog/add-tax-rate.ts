import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { day, line, parseInput, wholeNumber } from '../input.ts';
import { addNamedRow } from './add-row.ts';

const schema = z.strictObject({
  name: line(60),
  rateBp: wholeNumber(0, 10_000),
  isInclusive: z.boolean().default(false),
  effectiveOn: day(),
});

/** A tax rate in basis points (500 is 5 %) from a day on. A change of the rate is a new row of the same name. */
export async function addTaxRate(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ taxRateId: string }> {
  const wanted = parseInput(schema, input);
  return inTransaction(ctx.db, async (trx) => {
    const { id } = await addNamedRow(ctx, trx, {
      table: 'tax_rate',
      name: wanted.name,
      row: {
        name: wanted.name,
        rate_bp: wanted.rateBp,
        is_inclusive: wanted.isInclusive,
        effective_on: wanted.effectiveOn,
      },
    });
    return { taxRateId: id };
  });
}
