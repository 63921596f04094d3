import { countUpTo } from './keyset.ts';
import type { Db } from './knex.ts';

/** Logins that are not retired, counted to one more than `max` and no further. */
export async function countLoginsUpTo(db: Db, max: number): Promise<number> {
  return countUpTo(db, db('login').where('id', '>', '0').whereNull('retired_at'), max);
}
