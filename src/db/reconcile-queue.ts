import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { attemptsMax, backoffMs } from '../domain/backoff.ts';
import { chunksOf, type Db, inTransaction, repeatStatement } from './knex.ts';
import { databaseNow, databaseNowPlus } from './leases.ts';
import {
  asNumber,
  type ReconcileKind,
  randomVersion,
  reconcileKinds,
  urgentFrom,
} from './reconcile-requests.ts';

/** A key that this worker may look at until its lease ends. Version and token together say "still the same wish". */
export interface Claim {
  readonly id: string;
  readonly kind: ReconcileKind;
  /** Login id, radacctid or router id; of `many_logins` the master package's id, or 0 for every login. */
  readonly key: string;
  readonly version: string;
  readonly token: string;
  readonly attempts: number;
  readonly priority: number;
  readonly routerId: string | null;
  /** Correlation id of what asked last. */
  readonly requestedBy: string;
}

/**
 * Takes up to `limit` due keys of a kind under a lease, the highest priority first. Several workers on several hosts get
 * disjoint batches: rows that another is just claiming are skipped, and claimed ones are left until their lease ends, in
 * the database's time. Sessions of a router whose breaker is open are passed over, save one row when its probe is due
 * and that router's lane asks. `which` leaves out what a person waits for, or everything else.
 */
export async function claim(
  db: Knex,
  kind: ReconcileKind,
  options: { limit: number; leaseMs: number; routerId?: string; which?: 'urgent' | 'bulk' },
): Promise<Claim[]> {
  const breaker = kind === 'session' ? await breakersOf(db, options.routerId) : { open: [], isProbe: false };
  if (options.routerId !== undefined && breaker.open.length > 0) return [];
  const limit = breaker.isProbe ? Math.min(options.limit, 1) : options.limit;
  const only = options.which === 'urgent' ? await urgentIds(db, kind, limit) : undefined;
  const which = { ...options, limit, passOver: breaker.open, only };
  // Most wake-ups are for another loop or process: one statement without locks says so, and not three.
  if (only === undefined ? !(await isAnyDue(db, kind, which)) : only.length === 0) return [];
  const token = randomBytes(16).toString('hex');
  return inTransaction(db, async (trx) => {
    const rows = await dueRows(trx, kind, which).forUpdate().skipLocked();
    if (rows.length === 0) return [];
    // Conditional although the rows are locked: on Galera the other claimer's lock is not seen, only its write.
    await trx('reconcile_queue')
      .whereIn(
        'id',
        rows.map((row) => row.id),
      )
      .andWhere((free) => isFree(trx, free))
      .update({ claim_token: token, locked_until: databaseNowPlus(trx, options.leaseMs) });
    return rows.map((row) => claimOf(row, token));
  });
}

interface QueueRow {
  id: string;
  kind: ReconcileKind;
  key: string;
  version: string;
  priority: number;
  attempts: number;
  router_id: string | null;
  requested_by: string;
}

function claimOf(row: QueueRow, token: string): Claim {
  return {
    id: row.id,
    kind: row.kind,
    key: row.key,
    version: row.version,
    token,
    attempts: row.attempts,
    priority: row.priority,
    routerId: row.router_id,
    requestedBy: row.requested_by,
  };
}

/**
 * Read without locks and then locked by their ids: a look into the index that locks also touches the first key behind
 * the urgent ones, and whoever is just claiming bulk work would pass that over.
 */
function urgentIds(db: Db, kind: ReconcileKind, limit: number): Promise<string[]> {
  return db('reconcile_queue')
    .where({ kind, is_parked: false })
    .andWhere('priority', '>=', urgentFrom)
    .andWhere('not_before', '<=', databaseNow(db))
    .andWhere((free) => isFree(db, free))
    .orderBy([
      { column: 'priority', order: 'desc' },
      { column: 'not_before', order: 'asc' },
    ])
    .limit(limit)
    .pluck('id');
}

interface DueWhich {
  limit: number;
  routerId?: string;
  which?: 'urgent' | 'bulk';
  passOver: readonly string[];
  only: readonly string[] | undefined;
}

async function isAnyDue(db: Db, kind: ReconcileKind, which: DueWhich): Promise<boolean> {
  return (await dueRows(db, kind, { ...which, limit: 1 })).length > 0;
}

function dueRows(db: Db, kind: ReconcileKind, options: DueWhich): Knex.QueryBuilder<QueueRow, QueueRow[]> {
  const table = options.only === undefined ? 'reconcile_queue' : 'reconcile_queue FORCE INDEX (PRIMARY)';
  const query = db
    .from(db.raw(table))
    .select<QueueRow[]>('id', 'kind', 'key', 'version', 'priority', 'attempts', 'router_id', 'requested_by')
    .where({ kind, is_parked: false })
    .andWhere('not_before', '<=', databaseNow(db))
    .andWhere((free) => isFree(db, free))
    .orderBy([
      { column: 'priority', order: 'desc' },
      { column: 'not_before', order: 'asc' },
    ])
    .limit(options.limit);
  if (options.routerId !== undefined) void query.andWhere({ router_id: options.routerId });
  if (options.only !== undefined) void query.whereIn('id', [...options.only]);
  if (options.which === 'bulk') void query.andWhere('priority', '<', urgentFrom);
  if (options.passOver.length > 0) {
    void query.andWhere((sub) => sub.whereNull('router_id').orWhereNotIn('router_id', [...options.passOver]));
  }
  return query as unknown as Knex.QueryBuilder<QueueRow, QueueRow[]>;
}

function isFree(db: Db, query: Knex.QueryBuilder): void {
  void query.whereNull('locked_until').orWhere('locked_until', '<', databaseNow(db));
}

/** Routers to pass over; read without a lock, because a breaker that moves meanwhile is met again by its lane. */
async function breakersOf(
  db: Knex,
  routerId: string | undefined,
): Promise<{ open: string[]; isProbe: boolean }> {
  const query = db('router_lane')
    .select('router_id', db.raw('(probe_at IS NOT NULL AND probe_at <= ?) AS is_due', [databaseNow(db)]))
    .where({ breaker: 'open' });
  if (routerId !== undefined) void query.andWhere({ router_id: routerId });
  const rows = (await query) as { router_id: string; is_due: number }[];
  const isProbe = routerId !== undefined && rows.some((row) => row.is_due === 1);
  return { open: isProbe ? [] : rows.map((row) => row.router_id), isProbe };
}

/** Done: deletes the wishes that were claimed. A newer wish for the same key survives and can be claimed at once. */
export async function finish(db: Db, claims: readonly Claim[]): Promise<void> {
  for (const chunk of chunksOf(byId(claims), 500)) {
    const [result] = await repeatStatement(db, async () => {
      // Versions are random numbers of 63 bits: that one is among these and belongs to another row does not happen.
      const done: { affectedRows: number }[] = await db.raw(
        `DELETE FROM reconcile_queue WHERE id IN (${marks(chunk)}) AND version IN (${marks(chunk)})
           AND claim_token IN (${marks(tokensOf(chunk))})`,
        numbers(
          chunk.map((one) => one.id),
          chunk.map((one) => one.version),
        ).concat(tokensOf(chunk)),
      );
      return done;
    });
    if ((result?.affectedRows ?? 0) < chunk.length) await unlock(db, chunk);
  }
}

export function tokensOf(claims: readonly Claim[]): string[] {
  return [...new Set(claims.map((one) => one.token))];
}

export function marks(items: readonly unknown[]): string {
  return items.map(() => '?').join(', ');
}

export function numbers(...lists: readonly (readonly string[])[]): Knex.RawBinding[] {
  return lists.flat().map(asNumber);
}

/**
 * The look failed: try again later, a little later each time, spread so that what failed together does not come back
 * together. After the last attempt the row is parked under Needs attention and stays. A newer wish starts afresh.
 */
export async function fail(
  db: Db,
  failures: readonly { claim: Claim; error: string }[],
  random: () => number = Math.random,
): Promise<void> {
  const sorted = [...failures].sort((a, b) => compareIds(a.claim, b.claim));
  for (const chunk of chunksOf(sorted, 500)) {
    const claims = chunk.map((one) => one.claim);
    const seen = chunk
      .map(() => `${seenColumns}, ? AS attempts, ? AS is_parked, ? AS wait_ms, ? AS error`)
      .join(' UNION ALL ');
    await repeatStatement(db, async () => {
      await db.raw(
        `UPDATE reconcile_queue q JOIN (${seen}) seen
       ON q.id = seen.id AND q.version = seen.version AND q.claim_token = seen.token
       SET q.attempts = seen.attempts, q.is_parked = seen.is_parked, q.last_error = seen.error,
           q.not_before = ? + INTERVAL (seen.wait_ms * 1000) MICROSECOND, q.claim_token = NULL, q.locked_until = NULL`,
        [...chunk.flatMap((failure) => failureValues(failure, random())), databaseNow(db)],
      );
    });
    await unlock(db, claims);
  }
}

function failureValues({ claim: one, error }: { claim: Claim; error: string }, random: number) {
  const attempts = one.attempts + 1;
  return [
    one.id,
    one.version,
    one.token,
    attempts,
    attempts >= attemptsMax,
    backoffMs(one.attempts, random),
    error.slice(0, 190),
  ];
}

/** Gives keys back without counting a failure, at the earliest after `delayMs`. A newer wish is not delayed. */
export async function release(db: Db, claims: readonly Claim[], delayMs = 0): Promise<void> {
  for (const chunk of chunksOf(byId(claims), 500)) {
    await repeatStatement(db, async () => {
      await db.raw(
        `UPDATE reconcile_queue q JOIN (${seenTable(chunk.length)}) seen
         ON q.id = seen.id AND q.version = seen.version AND q.claim_token = seen.token
         SET q.not_before = ?, q.claim_token = NULL, q.locked_until = NULL`,
        [...chunk.flatMap((one) => [one.id, one.version, one.token]), databaseNowPlus(db, delayMs)],
      );
    });
    await unlock(db, chunk);
  }
}

/** Keeps keys for another lease while a slow look goes on. Gives the claims that were still this worker's. */
export async function renew(db: Knex, claims: readonly Claim[], leaseMs: number): Promise<Claim[]> {
  const kept: Claim[] = [];
  for (const chunk of chunksOf(byId(claims), 500)) {
    const ids = chunk.map((one) => one.id);
    const tokens = tokensOf(chunk);
    await db('reconcile_queue')
      .whereIn('id', ids)
      .whereIn('claim_token', tokens)
      .update({ locked_until: databaseNowPlus(db, leaseMs) });
    const mine = new Set(
      await db('reconcile_queue').whereIn('id', ids).whereIn('claim_token', tokens).pluck<string[]>('id'),
    );
    kept.push(...chunk.filter((one) => mine.has(one.id)));
  }
  return kept;
}

async function unlock(db: Db, claims: readonly Claim[]): Promise<void> {
  await repeatStatement(db, async () => {
    await db('reconcile_queue')
      .whereIn(
        'id',
        claims.map((one) => one.id),
      )
      .whereIn('claim_token', tokensOf(claims))
      .update({ claim_token: null, locked_until: null });
  });
}

// Cast, because MariaDB compares a number with a text as floating point, and versions have 63 bits.
const seenColumns = 'SELECT CAST(? AS UNSIGNED) AS id, CAST(? AS UNSIGNED) AS version, ? AS token';

function seenTable(count: number): string {
  return Array.from({ length: count }, () => seenColumns).join(' UNION ALL ');
}

export function byId(claims: readonly Claim[]): Claim[] {
  return [...claims].sort(compareIds);
}

function compareIds(a: Claim, b: Claim): number {
  return Number(BigInt(a.id) - BigInt(b.id));
}

/** A router answers again: its waiting and parked session keys become due now. Gives how many. */
export async function wakeKeysOfRouters(db: Db, routerIds: readonly string[]): Promise<number> {
  if (routerIds.length === 0) return 0;
  return db('reconcile_queue')
    .where({ kind: 'session' })
    .whereIn('router_id', [...routerIds])
    .andWhere((query) => query.where({ is_parked: true }).orWhere('not_before', '>', databaseNow(db)))
    .update({ not_before: databaseNow(db), attempts: 0, is_parked: false });
}

/** What was given up on, oldest first: the list under Network, Needs attention. */
export interface ParkedKey {
  id: string;
  kind: ReconcileKind;
  key: string;
  routerId: string | null;
  attempts: number;
  requestedBy: string;
  requestedAt: string;
  lastError: string | null;
}

export async function needsAttention(db: Db, limit = 500): Promise<ParkedKey[]> {
  return db('reconcile_queue')
    .select<ParkedKey[]>('id', 'kind', 'key', 'attempts', {
      routerId: 'router_id',
      requestedBy: 'requested_by',
      requestedAt: 'requested_at',
      lastError: 'last_error',
    })
    .whereIn('kind', [...reconcileKinds])
    .andWhere({ is_parked: true })
    .orderBy('requested_at')
    .limit(limit);
}

/** Somebody asks again for a parked key: it starts afresh. False when it is not parked. */
export async function retryParked(db: Db, id: string): Promise<boolean> {
  const changed = await db('reconcile_queue')
    .where({ id, is_parked: true })
    .update({
      version: randomVersion(),
      not_before: databaseNow(db),
      attempts: 0,
      is_parked: false,
      claim_token: null,
      locked_until: null,
    });
  return changed === 1;
}

/** The same for all parked keys, or those of one router, at most `limit` of them. Gives how many start afresh. */
export async function retryAllParked(
  db: Db,
  which: { routerId: string | null; limit: number },
): Promise<number> {
  const ids = await db('reconcile_queue')
    .whereIn('kind', [...reconcileKinds])
    .andWhere({ is_parked: true })
    .modify((query) => {
      if (which.routerId !== null) void query.where({ router_id: which.routerId });
    })
    .limit(which.limit)
    .pluck<string[]>('id');
  let retried = 0;
  for (const chunk of chunksOf(
    [...ids].sort((a, b) => Number(BigInt(a) - BigInt(b))),
    500,
  )) {
    retried += await db('reconcile_queue')
      .whereIn('id', chunk)
      .andWhere({ is_parked: true })
      .update({
        // Random for each row, from one random number and the row's id.
        version: db.raw('? ^ id', [asNumber(randomVersion())]),
        not_before: databaseNow(db),
        attempts: 0,
        is_parked: false,
        claim_token: null,
        locked_until: null,
      });
  }
  return retried;
}
