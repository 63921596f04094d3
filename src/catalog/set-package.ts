import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction, sqlInstant, type Trx } from '../db/knex.ts';
import { catalogNames, lockPackage, taxRateOn, updatePackage } from '../db/packages.ts';
import { readSettings } from '../db/settings.ts';
import { dayIn } from '../domain/day.ts';
import { invalid, notFound } from '../errors.ts';
import { amount, line, oneOf, parseInput } from '../input.ts';
import { pricesBelongTogether } from './add-package.ts';

const schema = z.strictObject({
  packageId: z.string(),
  customersPriceMinor: amount(),
  operatorsPriceMinor: amount(),
  /** By name; null is none. */
  taxRate: line(60).nullable(),
  visibility: oneOf(['public', 'private']),
  isRetired: z.boolean(),
});

/**
 * Changes what a package costs and who may buy it. Prices and tax count for invoices from now on: an issued document
 * keeps what it says, and a price agreed for one subscription stays. A retired package is not sold any more, and whoever
 * has it keeps it. Nothing of it reaches a router: that is the master package's.
 */
export async function setPackage(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ changed: readonly string[] }> {
  const wanted = parseInput(schema, input);
  pricesBelongTogether(wanted);
  let done: { changed: readonly string[] } | null = null;
  return await inTransaction(ctx.db, async (trx) => {
    const before = await lockPackage(trx, wanted.packageId);
    if (before === undefined) throw notFound(`package ${wanted.packageId}`);
    const after = {
      customers_price_minor: wanted.customersPriceMinor.toString(),
      operators_price_minor: wanted.operatorsPriceMinor.toString(),
      tax_rate_id: await taxRateId(ctx, trx, before, wanted.taxRate),
      visibility: wanted.visibility,
      retired_at: retiredAt(ctx, before, wanted.isRetired),
    };
    const changes = Object.entries(after).filter(([name, value]) => textOf(before[name]) !== value);
    // Nothing different, because this same call did it in a transaction whose answer was lost.
    if (changes.length === 0) return done ?? { changed: [] };
    await updatePackage(trx, wanted.packageId, Object.fromEntries(changes));
    await recordActivity(trx, {
      at: ctx.clock.now(),
      actor: ctx.actor,
      verb: 'package.set',
      subject: { kind: 'package', id: wanted.packageId },
      correlationId: ctx.correlationId,
      diff: {
        before: Object.fromEntries(changes.map(([name]) => [name, textOf(before[name])])),
        after: Object.fromEntries(changes),
      },
    });
    done = { changed: changes.map(([name]) => name) };
    return done;
  });
}

type Stored = Record<string, string | number | null>;

/** The rate of that name that is in force; the one it has stays where the name is the same. */
async function taxRateId(
  ctx: CommandContext,
  trx: Trx,
  before: Stored,
  name: string | null,
): Promise<string | null> {
  if (name === null) return null;
  const today = dayIn((await readSettings(trx)).zone, ctx.clock.now());
  const id = await taxRateOn(trx, name, today);
  if (id !== undefined) return String(id);
  const current = textOf(before['tax_rate_id']);
  const names = await catalogNames(trx, 'tax_rate');
  if (current !== null && names.includes(name)) return current;
  throw invalid('taxRate', `must be one of ${names.join(', ')}`);
}

function retiredAt(ctx: CommandContext, before: Stored, isRetired: boolean): string | null {
  if (!isRetired) return null;
  return textOf(before['retired_at']) ?? sqlInstant(ctx.clock.now());
}

function textOf(value: string | number | null | undefined): string | null {
  return value == null ? null : String(value);
}
