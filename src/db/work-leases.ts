import { randomBytes } from 'node:crypto';
import type { Db } from './knex.ts';
import { databaseNow, databaseNowPlus } from './leases.ts';

/** Work that somebody began on a page and that one process does at a time, whichever. */
export type WorkTable = 'bulk_job' | 'import_job';

const leaseMs = 60_000;

/** Takes the work for a minute and gives the token, or null where it is over or another process is at it. */
export async function claimWork(db: Db, table: WorkTable, id: string): Promise<string | null> {
  const token = randomBytes(16).toString('hex');
  const taken = await db(table)
    .where({ id, state: 'working' })
    .where((free) => void free.whereNull('locked_until').orWhere('locked_until', '<', databaseNow(db)))
    .update({ claim_token: token, locked_until: databaseNowPlus(db, leaseMs) });
  return taken === 0 ? null : token;
}

/** Keeps it for another minute; false where it was cancelled, or taken over because this process was too slow. */
export async function keepWork(db: Db, table: WorkTable, id: string, token: string): Promise<boolean> {
  const kept = await db(table)
    .where({ id, state: 'working', claim_token: token })
    .update({ locked_until: databaseNowPlus(db, leaseMs) });
  return kept > 0;
}

/** Gives it back, so that another process may go on at once. */
export async function releaseWork(db: Db, table: WorkTable, id: string, token: string): Promise<void> {
  await db(table).where({ id, claim_token: token }).update({ claim_token: null, locked_until: null });
}

/** Work that is begun and that nobody is at. */
export async function abandonedWork(db: Db, table: WorkTable): Promise<string[]> {
  return db(table)
    .where({ state: 'working' })
    .where((free) => void free.whereNull('locked_until').orWhere('locked_until', '<', databaseNow(db)))
    .orderBy('id')
    .limit(20)
    .pluck<string[]>('id');
}
