import type { Db } from './knex.ts';

/** Whether anything was ever posted: from then on the currency is fixed. */
export async function hasPostings(db: Db): Promise<boolean> {
  return (await db('ledger_entry').first<{ id: string } | undefined>('id')) !== undefined;
}
