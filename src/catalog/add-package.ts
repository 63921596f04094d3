import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { catalogNames, taxRateOn } from '../db/packages.ts';
import { readSettings } from '../db/settings.ts';
import { dayIn } from '../domain/day.ts';
import type { PackageId } from '../domain/ids.ts';
import { asId } from '../domain/ids.ts';
import { invalid } from '../errors.ts';
import { amount, line, oneOf, parseInput } from '../input.ts';
import { addNamedRow, requireByName } from './add-row.ts';

const schema = z.strictObject({
  name: line(80),
  masterPackage: line(80),
  customersPriceMinor: amount(),
  operatorsPriceMinor: amount(),
  taxRate: line(60).optional(),
  visibility: oneOf(['public', 'private']).default('public'),
});

/** What is sold: a name and prices on a master package. */
export async function addPackage(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ packageId: PackageId }> {
  const wanted = parseInput(schema, input);
  pricesBelongTogether(wanted);
  return inTransaction(ctx.db, async (trx) => {
    const masterId = await requireByName(trx, 'master_package', {
      field: 'masterPackage',
      name: wanted.masterPackage,
    });
    const today = dayIn((await readSettings(trx)).zone, ctx.clock.now());
    const taxRateId = wanted.taxRate === undefined ? null : await taxRateOn(trx, wanted.taxRate, today);
    if (taxRateId === undefined) {
      throw invalid('taxRate', `must be one of ${(await catalogNames(trx, 'tax_rate')).join(', ')}`);
    }
    const { id } = await addNamedRow(ctx, trx, {
      table: 'package',
      name: wanted.name,
      row: {
        name: wanted.name,
        master_package_id: masterId,
        customers_price_minor: wanted.customersPriceMinor.toString(),
        operators_price_minor: wanted.operatorsPriceMinor.toString(),
        tax_rate_id: taxRateId,
        visibility: wanted.visibility,
      },
    });
    return { packageId: asId<PackageId>(id) };
  });
}

export function pricesBelongTogether(prices: {
  customersPriceMinor: bigint;
  operatorsPriceMinor: bigint;
}): void {
  if (prices.operatorsPriceMinor <= prices.customersPriceMinor) return;
  throw invalid(
    'operatorsPriceMinor',
    "must not be above the customer's price: the reseller would pay for each sale",
  );
}
