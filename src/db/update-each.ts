import type { Knex } from 'knex';
import { compareIds } from '../domain/payment-allocation.ts';
import { chunksOf, type Trx } from './knex.ts';

type Value = bigint | string | number | null;

/**
 * Gives each of many rows values of its own in one statement for 250 of them, in the order of their ids. More in one
 * statement would not be faster: the list of cases is walked for every row. `add` adds to the columns instead.
 * Amounts are bound as bigint: MariaDB adds text as a float.
 */
export async function updateEach(
  trx: Trx,
  table: 'invoice' | 'credit_note' | 'subscription' | 'ledger_account',
  rows: ReadonlyMap<string, Readonly<Record<string, Value>>>,
  mode: 'set' | 'add' = 'set',
): Promise<void> {
  const sorted = [...rows].sort(([a], [b]) => compareIds(a, b));
  for (const chunk of chunksOf(sorted, 250)) {
    const columns = Object.keys(chunk[0]?.[1] ?? {});
    const cases = chunk.map(() => 'WHEN ? THEN ?').join(' ');
    const sets = columns.map(() =>
      mode === 'add' ? `?? = ?? + CASE id ${cases} END` : `?? = CASE id ${cases} END`,
    );
    // Without the hint a small table would be scanned, and strangers' rows locked on the way.
    await trx.raw(
      `UPDATE ?? FORCE INDEX (PRIMARY) SET ${sets.join(', ')} WHERE id IN (${chunk.map(() => '?').join(', ')})`,
      bindings([
        table,
        ...columns.flatMap((column) => [
          column,
          ...(mode === 'add' ? [column] : []),
          ...chunk.flatMap(([id, values]) => [BigInt(id), values[column] ?? null]),
        ]),
        ...chunk.map(([id]) => BigInt(id)),
      ]),
    );
  }
}

/** knex's types leave bigint out, but the driver writes it as the number that it is. */
function bindings(values: readonly Value[]): Knex.RawBinding[] {
  return values as Knex.RawBinding[];
}
