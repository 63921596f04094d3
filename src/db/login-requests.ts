import { chunksOf, type Db, repeatStatement, type Trx } from './knex.ts';
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
  const [[row] = []]: { n: string }[][] = await db.raw(
    `SELECT COUNT(*) AS n FROM login l
      JOIN subscription s ON s.id = l.subscription_id JOIN package p ON p.id = s.package_id
     WHERE p.master_package_id = ? AND l.retired_at IS NULL`,
    [masterPackageId],
  );
  return Number(row?.n ?? 0);
}

/**
 * Ids of the live logins that a wish for many stands for, at most five hundred at a time. Those of a master package are
 * found by the index of each of its packages, subscription after subscription, so that each row is read once; in the
 * order of logins' ids every five hundred would have to find all of them and sort.
 */
export async function* loginsOf(db: Db, key: string): AsyncGenerator<string[], void> {
  if (key === everyLogin) {
    yield* everyLoginId(db);
    return;
  }
  const packages = await repeatStatement(db, async () =>
    db('package').where({ master_package_id: key }).orderBy('id').pluck<string[]>('id'),
  );
  for (const packageId of packages) yield* loginsOfPackage(db, packageId);
}

async function* everyLoginId(db: Db): AsyncGenerator<string[], void> {
  let after: string | undefined = '0';
  while (after !== undefined) {
    const since: string = after;
    const ids = await repeatStatement(db, async () =>
      db('login')
        .whereNull('retired_at')
        .andWhere('id', '>', since)
        .orderBy('id')
        .limit(chunkSize)
        .pluck<string[]>('id'),
    );
    if (ids.length > 0) yield ids;
    after = ids.at(-1);
  }
}

async function* loginsOfPackage(db: Db, packageId: string): AsyncGenerator<string[], void> {
  let after: string | undefined = '0';
  while (after !== undefined) {
    const since: string = after;
    const subscriptions = await repeatStatement(db, async () =>
      db
        .from(db.raw('subscription FORCE INDEX (subscription_package)'))
        .where({ package_id: packageId })
        .andWhere('id', '>', since)
        .orderBy('id')
        .limit(chunkSize)
        .pluck<string[]>('id'),
    );
    if (subscriptions.length > 0) yield* loginsOfSubscriptions(db, subscriptions);
    after = subscriptions.at(-1);
  }
}

/** Mostly one each; somebody's subscription with hundreds of them is several lists. */
async function* loginsOfSubscriptions(
  db: Db,
  subscriptions: readonly string[],
): AsyncGenerator<string[], void> {
  const ids = await repeatStatement(db, async () =>
    db
      .from(db.raw('login FORCE INDEX (login_subscription)'))
      .whereIn('subscription_id', [...subscriptions])
      .whereNull('retired_at')
      .orderBy('subscription_id')
      .orderBy('id')
      .pluck<string[]>('id'),
  );
  yield* chunksOf(ids, chunkSize);
}

/**
 * Asks for some logins that a wish for many stands for. Outside a transaction it commits by itself. Their ids are listed,
 * because INSERT .. SELECT would keep the lock of the table's AUTO_INCREMENT, and every other request with it, until the
 * statement ends.
 */
export async function requestLogins(db: Db, ids: readonly string[], why: Why): Promise<void> {
  await requestReconcile(
    db,
    ids.map((key) => ({ kind: 'login', key })),
    why,
  );
}

/** Asks for every login that there is, a chunk a statement, and comes back when all are asked for. */
export async function requestAllLogins(
  db: Db,
  why: Why,
  onProgress: (count: number) => void = () => undefined,
): Promise<number> {
  let count = 0;
  for await (const ids of loginsOf(db, everyLogin)) {
    await requestLogins(db, ids, why);
    count += ids.length;
    onProgress(count);
  }
  return count;
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
