import { type Db, repeatStatement, type Trx } from './knex.ts';
import { type Priority, requestReconcile } from './reconcile-requests.ts';

interface Why {
  priority: Priority;
  /** Correlation id. */
  requestedBy: string;
}

const chunkSize = 500;

/** The key of the wish that stands for every login there is. */
export const everyLogin = '0';

/**
 * Wishes that every live login on packages of a master package, or every login, be asked for, in the transaction that
 * made it necessary. It is one row, whatever the number of logins: were they asked for here, a payment by one of them
 * would wait for this transaction's COMMIT. A worker asks for them, see reconcile/many-logins.ts.
 */
export async function wishForManyLogins(
  trx: Trx,
  of: { masterPackageId: string } | 'every login',
  requestedBy: string,
): Promise<void> {
  const key = of === 'every login' ? everyLogin : of.masterPackageId;
  await requestReconcile(trx, [{ kind: 'many_logins', key }], { priority: 'run', requestedBy });
}

/** Live logins on packages of a master package. */
export async function countLoginsOfMasterPackage(db: Db, masterPackageId: string): Promise<number> {
  const { join, where, bindings } = whichOf(masterPackageId);
  const [[row] = []]: { n: string }[][] = await db.raw(
    `SELECT COUNT(*) AS n FROM login l ${join} WHERE ${where} AND l.retired_at IS NULL`,
    [...bindings],
  );
  return Number(row?.n ?? 0);
}

/**
 * Asks for the next five hundred logins that a wish for many stands for, those after a login's id. Outside a transaction
 * it commits by itself. Their ids are listed, because INSERT .. SELECT would keep the lock of the table's AUTO_INCREMENT,
 * and every other request with it, until the statement ends. Gives the last of them and how many they were; undefined
 * when there are no more.
 */
export async function requestNextLogins(
  db: Db,
  key: string,
  after: string,
  why: Why,
): Promise<{ last: string; count: number } | undefined> {
  const { join, where, bindings } = whichOf(key);
  const [rows = []] = await repeatStatement(db, async () => {
    const found: { id: string }[][] = await db.raw(
      `SELECT l.id FROM login l ${join}
        WHERE ${where} AND l.retired_at IS NULL AND l.id > ? ORDER BY l.id LIMIT ${chunkSize}`,
      [...bindings, after],
    );
    return found;
  });
  const last = rows.at(-1)?.id;
  if (last === undefined) return undefined;
  await requestReconcile(
    db,
    rows.map((row) => ({ kind: 'login', key: row.id })),
    why,
  );
  return { last, count: rows.length };
}

function whichOf(key: string): Which {
  if (key === everyLogin) return { join: '', where: 'TRUE', bindings: [] };
  return {
    join: 'JOIN subscription s ON s.id = l.subscription_id JOIN package p ON p.id = s.package_id',
    where: 'p.master_package_id = ?',
    bindings: [key],
  };
}

/** Asks for every login that there is, a chunk a statement, and comes back when all are asked for. */
export async function requestAllLogins(
  db: Db,
  why: Why,
  onProgress: (count: number) => void = () => undefined,
): Promise<number> {
  let after = '0';
  let count = 0;
  for (;;) {
    const chunk = await requestNextLogins(db, everyLogin, after, why);
    if (chunk === undefined) return count;
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
