import { byIndex } from './keyset.ts';
import { type Db, fromSqlInstant } from './knex.ts';
import { type ReconcileKind, reconcileKinds } from './reconcile-requests.ts';

/** A key of the queue that was given up on, with whom it is about. */
export interface ParkedKeyView {
  readonly id: string;
  readonly kind: ReconcileKind;
  readonly key: string;
  readonly attempts: number;
  readonly lastError: string | null;
  readonly requestedAt: Date;
  readonly username: string | null;
  readonly subscriberId: string | null;
  readonly routerId: string | null;
  readonly routerName: string | null;
}

type Row = Record<string, string | number | null>;

const textOf = (value: string | number | null | undefined) => (value == null ? null : String(value));

/** Given-up keys by kind, the most urgent and then the oldest first, after a place; `place` of each row is where it stands. */
export async function parkedKeyViews(
  db: Db,
  limit: number,
  after: readonly string[] | null = null,
): Promise<(ParkedKeyView & { readonly place: readonly string[] })[]> {
  const start = after?.length === 4 ? reconcileKinds.indexOf(after[0] as ReconcileKind) : -1;
  const found: Row[] = [];
  // A kind at a time, since the index has them one after the other.
  for (const kind of reconcileKinds.slice(Math.max(0, start))) {
    if (found.length >= limit) break;
    const place = after !== null && kind === after[0] ? after.slice(1) : null;
    found.push(...(await parkedKeys(db, kind, limit - found.length, place)));
  }
  return found.map((row) => ({
    id: String(row['id']),
    kind: row['kind'] as ReconcileKind,
    key: String(row['key']),
    attempts: Number(row['attempts']),
    lastError: textOf(row['last_error']),
    requestedAt: fromSqlInstant(String(row['requested_at'])),
    username: textOf(row['username']),
    subscriberId: textOf(row['subscriber_id']),
    routerId: textOf(row['router_id']),
    routerName: textOf(row['router_name']),
    place: [row['kind'], row['priority'], row['not_before'], row['id']].map(String),
  }));
}

/** In the order of the index that has them: priority falling, not_before, id. */
async function parkedKeys(
  db: Db,
  kind: ReconcileKind,
  limit: number,
  place: readonly string[] | null,
): Promise<Row[]> {
  const some = byIndex(db, 'reconcile_queue', 'queue_due')
    .where({ kind, is_parked: true })
    .orderBy([{ column: 'priority', order: 'desc' }, 'not_before', 'id'])
    .limit(limit)
    .select('*');
  if (place !== null) {
    const [priority = '', notBefore = '', id = ''] = place;
    void some.whereRaw('priority <= ? AND (priority < ? OR not_before > ? OR (not_before = ? AND id > ?))', [
      priority,
      priority,
      notBefore,
      notBefore,
      id,
    ]);
  }
  const rows = await db
    .queryBuilder()
    .from(some.as('q'))
    .leftJoin('radacct as a', (on) => {
      on.on('a.radacctid', 'q.key').andOnVal('q.kind', 'session');
    })
    .leftJoin('login as l', (on) => {
      on.on('l.id', 'q.key').andOnVal('q.kind', 'login');
    })
    .leftJoin('login as u', 'u.username', 'a.username')
    .leftJoin('subscription as s', 's.id', db.raw('COALESCE(l.subscription_id, u.subscription_id)'))
    .leftJoin('router as r', 'r.id', db.raw("IF(q.kind = 'router', q.key, q.router_id)"))
    .orderBy([{ column: 'q.priority', order: 'desc' }, 'q.not_before', 'q.id'])
    .select({
      id: 'q.id',
      kind: 'q.kind',
      key: 'q.key',
      priority: 'q.priority',
      not_before: 'q.not_before',
      attempts: 'q.attempts',
      last_error: 'q.last_error',
      requested_at: 'q.requested_at',
      username: db.raw('COALESCE(l.username, a.username)'),
      subscriber_id: 's.subscriber_id',
      router_id: 'r.id',
      router_name: 'r.name',
    });
  return rows as Row[];
}

export interface SilentRouter {
  readonly id: string;
  readonly name: string;
  readonly coaPort: number;
  readonly since: Date | null;
  readonly probeAt: Date | null;
  readonly lastError: string | null;
}

/** Live routers that do not answer CoA and Disconnect. */
export async function silentRouters(db: Db, limit: number): Promise<SilentRouter[]> {
  const rows = await db('router_lane as n')
    .join('router as r', 'r.id', 'n.router_id')
    .where('n.breaker', 'open')
    .whereNull('r.removed_at')
    .orderBy('n.breaker_opened_at')
    .limit(limit)
    .select<Row[]>('r.id', 'r.name', 'r.coa_port', 'n.breaker_opened_at', 'n.probe_at', 'n.last_error');
  const instant = (value: string | number | null | undefined) =>
    value == null ? null : fromSqlInstant(String(value));
  return rows.map((row) => ({
    id: String(row['id']),
    name: String(row['name']),
    coaPort: Number(row['coa_port']),
    since: instant(row['breaker_opened_at']),
    probeAt: instant(row['probe_at']),
    lastError: textOf(row['last_error']),
  }));
}

export interface AttentionCounts {
  readonly keys: number;
  readonly subscriptions: number;
  readonly clients: number;
  readonly routers: number;
  readonly runs: number;
}

/** How much of each there is, counted to `most` + 1 and no further. */
export async function countAttention(db: Db, most: number): Promise<AttentionCounts> {
  const upTo = (from: string) =>
    `(SELECT COUNT(*) FROM (SELECT 1 FROM ${from} LIMIT ${Math.trunc(most) + 1}) x)`;
  const [rows] = (await db.raw(
    `SELECT ${upTo(`reconcile_queue FORCE INDEX (queue_due) WHERE kind IN (${reconcileKinds.map((kind) => `'${kind}'`).join(', ')}) AND is_parked = 1`)} AS parked_keys,
            ${upTo('parked FORCE INDEX (parked_open) WHERE settled_at IS NULL')} AS subscriptions,
            ${upTo('radius_client WHERE error IS NOT NULL')} AS clients,
            ${upTo(`router_lane n JOIN router r ON r.id = n.router_id AND r.removed_at IS NULL WHERE n.breaker = 'open'`)} AS routers,
            ${upTo(`overdue_run WHERE state = 'held'`)} AS runs`,
  )) as unknown as [Record<'parked_keys' | 'subscriptions' | 'clients' | 'routers' | 'runs', string>[]];
  const [row] = rows;
  return {
    keys: Number(row?.parked_keys ?? 0),
    subscriptions: Number(row?.subscriptions ?? 0),
    clients: Number(row?.clients ?? 0),
    routers: Number(row?.routers ?? 0),
    runs: Number(row?.runs ?? 0),
  };
}

export interface RouterStates {
  readonly answering: number;
  readonly silent: number;
  /** Nothing was ever sent to them. */
  readonly unasked: number;
  /** Some FreeRADIUS host has not taken what is wanted, or no agent has seen them. */
  readonly waiting: number;
}

/** Live routers by whether they answer, and how many wait for a radius-agent. Reads small tables only. */
export async function countRouterStates(db: Db): Promise<RouterStates> {
  const [rows] = (await db.raw(
    `SELECT COUNT(*) AS total, COALESCE(SUM(n.breaker = 'open'), 0) AS silent,
            COALESCE(SUM(n.breaker = 'closed' AND n.last_answer_at IS NOT NULL), 0) AS answering,
            COALESCE(SUM(NOT EXISTS (SELECT 1 FROM radius_client c WHERE c.router_id = r.id)
              OR EXISTS (SELECT 1 FROM radius_client c WHERE c.router_id = r.id
                         AND (c.error IS NOT NULL OR NOT c.in_place_hash <=> c.wanted_hash))), 0) AS waiting
     FROM router r LEFT JOIN router_lane n ON n.router_id = r.id WHERE r.removed_at IS NULL`,
  )) as unknown as [Record<'total' | 'silent' | 'answering' | 'waiting', string>[]];
  const [row] = rows;
  const [total, silent, answering] = [Number(row?.total), Number(row?.silent), Number(row?.answering)];
  return { answering, silent, unasked: total - silent - answering, waiting: Number(row?.waiting) };
}
