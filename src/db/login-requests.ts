import { randomBytes } from 'node:crypto';
import type { Db, Trx } from './knex.ts';
import { databaseNow } from './leases.ts';
import { type Priority, priorities } from './reconcile-requests.ts';

interface Why {
  priority: Priority;
  /** Correlation id. */
  requestedBy: string;
}

const chunkSize = 500;

/**
 * Asks for every live login on packages of the master package, in the transaction that changed it: INSERT .. SELECT,
 * five hundred logins a statement, so that no statement and no memory grows with the number of subscribers. Gives how
 * many logins were asked for.
 */
export async function requestLoginsOfMasterPackage(
  trx: Trx,
  masterPackageId: string,
  why: Why,
): Promise<number> {
  const only = {
    join: 'JOIN subscription s ON s.id = l.subscription_id JOIN package p ON p.id = s.package_id',
    where: 'p.master_package_id = ?',
    bindings: [masterPackageId],
  };
  let after = '0';
  let count = 0;
  for (;;) {
    const chunk = await nextChunk(trx, only, after);
    if (chunk === undefined) return count;
    await requestRange(trx, only, { after, last: chunk.last }, why);
    count += chunk.count;
    after = chunk.last;
  }
}

/** Asks for every login that there is, a chunk a statement. */
export async function requestAllLogins(
  db: Db,
  why: Why,
  onProgress: (count: number) => void = () => undefined,
): Promise<number> {
  const all = { join: '', where: 'TRUE', bindings: [] };
  let after = '0';
  let count = 0;
  for (;;) {
    const chunk = await nextChunk(db, all, after);
    if (chunk === undefined) return count;
    await requestRange(db, all, { after, last: chunk.last }, why);
    count += chunk.count;
    after = chunk.last;
    onProgress(count);
  }
}

interface Which {
  join: string;
  where: string;
  bindings: readonly string[];
}

async function nextChunk(
  db: Db,
  which: Which,
  after: string,
): Promise<{ last: string; count: number } | undefined> {
  const [rows = []]: { id: string }[][] = await db.raw(
    `SELECT l.id FROM login l ${which.join}
      WHERE ${which.where} AND l.retired_at IS NULL AND l.id > ? ORDER BY l.id LIMIT ${chunkSize}`,
    [...which.bindings, after],
  );
  const last = rows.at(-1)?.id;
  return last === undefined ? undefined : { last, count: rows.length };
}

/** A random version for each row from one random number: a digest of it with the row's key. */
async function requestRange(
  db: Db,
  which: Which,
  range: { after: string; last: string },
  why: Why,
): Promise<void> {
  const now = databaseNow(db);
  await db.raw(
    `INSERT INTO reconcile_queue (kind, \`key\`, version, priority, not_before, requested_by, requested_at)
     SELECT 'login', l.id, CAST(CONV(LEFT(MD5(CONCAT(?, l.id)), 15), 16, 10) AS UNSIGNED), ?, ?, ?, ?
       FROM login l ${which.join}
      WHERE ${which.where} AND l.retired_at IS NULL AND l.id > ? AND l.id <= ?
      ORDER BY l.id
     ON DUPLICATE KEY UPDATE version = VALUES(version), priority = GREATEST(priority, VALUES(priority)),
       not_before = VALUES(not_before), requested_by = VALUES(requested_by), requested_at = VALUES(requested_at),
       attempts = 0, is_parked = FALSE`,
    [
      randomBytes(16).toString('hex'),
      priorities[why.priority],
      now,
      why.requestedBy,
      now,
      ...which.bindings,
      range.after,
      range.last,
    ],
  );
}

/** The open sessions of a login or of a router, by id: at most ten thousand. */
export async function openSessionIds(
  db: Db,
  where: { username: string } | { routerId: string },
): Promise<{ radacctid: string; routerId: string | null }[]> {
  const rows = await db('radacct')
    .where('username' in where ? { username: where.username } : { router_id: where.routerId })
    .whereNull('acctstoptime')
    .orderBy('radacctid')
    .limit(10_000)
    .select<{ radacctid: string; router_id: string | null }[]>('radacctid', 'router_id');
  return rows.map((row) => ({ radacctid: row.radacctid, routerId: row.router_id }));
}

/** How many of the keys that a request named still wait, and how many were given up on. */
export async function waitingOf(
  db: Db,
  requestedBy: string,
): Promise<{ waiting: number; parked: number; lastError: string | null }> {
  const row = await db('reconcile_queue')
    .where({ requested_by: requestedBy })
    .first<{ waiting: string | null; parked: string | null; last_error: string | null }>(
      db.raw('SUM(is_parked = 0) AS waiting'),
      db.raw('SUM(is_parked = 1) AS parked'),
      db.raw('MAX(last_error) AS last_error'),
    );
  return { waiting: Number(row.waiting ?? 0), parked: Number(row.parked ?? 0), lastError: row.last_error };
}
