import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { line, oneOf, parseInput } from '../input.ts';
import { addNamedRow } from './add-row.ts';
import { networkColumns, networkFields } from './master-package-fields.ts';

const schema = z.strictObject({
  name: line(80),
  customerType: oneOf(['pppoe', 'hotspot', 'static_ip', 'other']),
  billingType: oneOf(['daily', 'monthly']),
  ...networkFields,
});

/** The technical specification that packages are built on. */
export async function addMasterPackage(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ masterPackageId: string }> {
  const wanted = parseInput(schema, input);
  return inTransaction(ctx.db, async (trx) => {
    const columns = await networkColumns(trx, wanted);
    const { id } = await addNamedRow(ctx, trx, {
      table: 'master_package',
      name: wanted.name,
      row: {
        name: wanted.name,
        customer_type: wanted.customerType,
        billing_type: wanted.billingType,
        ...columns,
      },
    });
    return { masterPackageId: id };
  });
}
