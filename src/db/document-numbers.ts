import { operatorReseller } from '../domain/ids.ts';
import { compareIds } from '../domain/payment-allocation.ts';
import type { Trx } from './knex.ts';
import { updateEach } from './update-each.ts';

/**
 * Gives new documents the next numbers of their series, in the order of their ids. The counter is the last row that the
 * finalising transaction locks, because everybody who issues waits for it; when that transaction fails, the numbers are
 * given back with it, and so no number is ever missing.
 */
export async function giveNumbers(
  trx: Trx,
  kind: 'invoice' | 'credit_note',
  series: string,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await trx('document_counter')
    .insert({ reseller_id: operatorReseller, kind, series, last_number: ids.length })
    .onConflict(['reseller_id', 'kind', 'series'])
    .merge({ last_number: trx.raw('last_number + VALUES(last_number)') });
  const counter = await trx('document_counter')
    .where({ reseller_id: operatorReseller, kind, series })
    .first<{ last_number: string } | undefined>('last_number');
  const first = BigInt(counter?.last_number ?? ids.length) - BigInt(ids.length) + 1n;
  const sorted = [...ids].sort(compareIds);
  await updateEach(trx, kind, new Map(sorted.map((id, index) => [id, { number: first + BigInt(index) }])));
}
