import { compareIds } from '../domain/payment-allocation.ts';
import type { SubscriberId } from '../domain/ids.ts';
import type { Trx } from './knex.ts';

/**
 * The first statement of every transaction on money or suspensions. It writes, so that two of them conflict on Galera
 * too, and it goes through the rows in the order of their ids, so that two runs don't deadlock. At most 500 at a time.
 * Gives how many of them there are.
 */
export async function lockSubscribers(trx: Trx, subscriberIds: readonly SubscriberId[]): Promise<number> {
  if (subscriberIds.length === 0) return 0;
  const sorted = [...new Set(subscriberIds)].sort(compareIds);
  if (sorted.length > 500) throw new RangeError('at most 500 subscribers are locked at a time');
  // Without the hint a small table would be scanned, and strangers locked on the way.
  const [result] = (await trx.raw(
    `UPDATE subscriber FORCE INDEX (PRIMARY) SET version = version + 1 WHERE id IN (${marks(sorted.length)})`,
    sorted,
  )) as [{ affectedRows: number }];
  return result.affectedRows;
}

function marks(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
}
