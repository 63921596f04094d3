import type { Day } from '../domain/day.ts';
import { inOrder, type Place } from './keyset.ts';
import type { Db, Trx } from './knex.ts';

/** Reads of the catalogue for people: small tables, by name. */

type Row = Record<string, string | number | null>;
const textOf = (value: string | number | null | undefined) => (value == null ? null : String(value));
const numberOf = (value: string | number | null | undefined) => (value == null ? null : Number(value));

export interface MasterPackageView {
  readonly id: string;
  readonly name: string;
  readonly customerType: 'pppoe' | 'hotspot' | 'static_ip' | 'other';
  readonly billingType: 'daily' | 'monthly';
  /** Upload first; null is unlimited. */
  readonly rateLimit: string | null;
  readonly pppProfile: string | null;
  readonly pool: string | null;
  readonly ipv6Pool: string | null;
  readonly delegatedIpv6Pool: string | null;
  readonly sessionTimeoutSeconds: number | null;
  readonly idleTimeoutSeconds: number | null;
  readonly interimSeconds: number;
  readonly addressList: string | null;
}

export async function masterPackagePage(
  db: Db,
  place: Place | null,
  limit: number,
): Promise<MasterPackageView[]> {
  const query = masterPackages(db).limit(limit);
  void inOrder(db, query, { columns: ['m.name'], way: 'asc' }, place);
  const rows = await query;
  return rows.map(masterPackageView);
}

export async function findMasterPackage(db: Db, id: string): Promise<MasterPackageView | undefined> {
  const [row] = await masterPackages(db).where('m.id', id);
  return row === undefined ? undefined : masterPackageView(row);
}

function masterPackages(db: Db) {
  return db('master_package as m')
    .leftJoin('ipv4_pool as i', 'i.id', 'm.pool_id')
    .leftJoin('ppp_profile as f', 'f.id', 'm.ppp_profile_id')
    .select<Row[]>('m.*', { pool: 'i.name', profile: 'f.name' });
}

function masterPackageView(row: Row): MasterPackageView {
  return {
    id: String(row['id']),
    name: String(row['name']),
    customerType: row['customer_type'] as MasterPackageView['customerType'],
    billingType: row['billing_type'] as MasterPackageView['billingType'],
    rateLimit: textOf(row['rate_limit']),
    pppProfile: textOf(row['profile']),
    pool: textOf(row['pool']),
    ipv6Pool: textOf(row['ipv6_pool']),
    delegatedIpv6Pool: textOf(row['delegated_ipv6_pool']),
    sessionTimeoutSeconds: numberOf(row['session_timeout_seconds']),
    idleTimeoutSeconds: numberOf(row['idle_timeout_seconds']),
    interimSeconds: Number(row['interim_seconds']),
    addressList: textOf(row['address_list']),
  };
}

/**
 * Whom a change of the master package touches: its logins, and the live sessions of those logins, each counted to `max`
 * and no further. Sessions are looked for among the logins that were counted.
 */
export async function reachOfMasterPackage(
  db: Db,
  id: string,
  max: number,
): Promise<{ logins: number; sessions: number }> {
  const touched = `SELECT l.username FROM package p
    STRAIGHT_JOIN subscription s ON s.package_id = p.id
    STRAIGHT_JOIN login l ON l.subscription_id = s.id
    WHERE p.master_package_id = ? AND l.retired_at IS NULL LIMIT ?`;
  const [logins] = (await db.raw(`SELECT COUNT(*) AS n FROM (${touched}) t`, [id, max + 1])) as unknown as [
    { n: string }[],
  ];
  const [sessions] = (await db.raw(
    `SELECT COUNT(*) AS n FROM (
       SELECT 1 FROM (${touched}) t
       STRAIGHT_JOIN radacct a ON a.username = t.username AND a.acctstoptime IS NULL LIMIT ?
     ) live`,
    [id, max, max + 1],
  )) as unknown as [{ n: string }[]];
  return { logins: Number(logins[0]?.n ?? 0), sessions: Number(sessions[0]?.n ?? 0) };
}

/** Subscriptions that have each package now, counted to `limit` and no further. */
export async function countSubscriptionsOf(
  db: Db,
  ids: readonly string[],
  limit: number,
): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const one = `SELECT ? AS id, (SELECT COUNT(*) FROM (
    SELECT 1 FROM subscription WHERE package_id = ? AND state <> 'terminated' LIMIT ?) x) AS n`;
  const [rows] = (await db.raw(
    ids.map(() => one).join(' UNION ALL '),
    ids.flatMap((id) => [id, id, limit]),
  )) as unknown as [{ id: string; n: string }[]];
  return new Map(rows.map((row) => [String(row.id), Number(row.n)]));
}

export interface PoolView {
  readonly id: string;
  readonly name: string;
  readonly suspendedName: string;
  readonly rangeCount: number;
  readonly addressCount: number;
}

export async function poolPage(db: Db, place: Place | null, limit: number): Promise<PoolView[]> {
  const query = pools(db).limit(limit);
  void inOrder(db, query, { columns: ['p.name'], way: 'asc' }, place);
  const rows = await query;
  return rows.map(poolView);
}

export async function findPool(db: Db, id: string): Promise<PoolView | undefined> {
  const [row] = await pools(db).where('p.id', id);
  return row === undefined ? undefined : poolView(row);
}

function pools(db: Db) {
  return db('ipv4_pool as p').select<Row[]>(
    'p.id',
    'p.name',
    'p.suspended_name',
    db.raw('(SELECT COUNT(*) FROM ipv4_pool_range g WHERE g.pool_id = p.id) AS ranges'),
    db.raw(
      `(SELECT COALESCE(SUM(last_address - first_address + 1), 0) FROM ipv4_pool_range g
         WHERE g.pool_id = p.id) AS addresses`,
    ),
  );
}

function poolView(row: Row): PoolView {
  return {
    id: String(row['id']),
    name: String(row['name']),
    suspendedName: String(row['suspended_name']),
    rangeCount: Number(row['ranges']),
    addressCount: Number(row['addresses']),
  };
}

export interface PoolRangeView {
  readonly routerId: string;
  readonly routerName: string;
  readonly first: string;
  readonly last: string;
  readonly suspendedFirst: string;
  readonly suspendedLast: string;
  readonly addressCount: number;
}

/** At most five hundred, by router. */
export async function rangesOfPool(db: Db, poolId: string): Promise<PoolRangeView[]> {
  const rows = await db('ipv4_pool_range as g')
    .join('router as r', 'r.id', 'g.router_id')
    .where('g.pool_id', poolId)
    .orderBy('r.name')
    .orderBy('g.first_address')
    .limit(500)
    .select<Row[]>(
      { router_id: 'g.router_id', router_name: 'r.name' },
      db.raw('INET_NTOA(g.first_address) AS first'),
      db.raw('INET_NTOA(g.last_address) AS last'),
      db.raw('INET_NTOA(g.suspended_first_address) AS suspended_first'),
      db.raw('INET_NTOA(g.suspended_last_address) AS suspended_last'),
      db.raw('g.last_address - g.first_address + 1 AS addresses'),
    );
  return rows.map((row) => ({
    routerId: String(row['router_id']),
    routerName: String(row['router_name']),
    first: String(row['first']),
    last: String(row['last']),
    suspendedFirst: String(row['suspended_first']),
    suspendedLast: String(row['suspended_last']),
    addressCount: Number(row['addresses']),
  }));
}

export interface PppProfileView {
  readonly id: string;
  readonly name: string;
  readonly pool: string | null;
  readonly localAddress: string | null;
  readonly dnsServers: string | null;
  readonly sessionTimeoutSeconds: number | null;
  readonly idleTimeoutSeconds: number | null;
}

export async function pppProfilePage(db: Db, place: Place | null, limit: number): Promise<PppProfileView[]> {
  const query = pppProfiles(db).limit(limit);
  void inOrder(db, query, { columns: ['f.name'], way: 'asc' }, place);
  const rows = await query;
  return rows.map(pppProfileView);
}

export async function findPppProfile(db: Db, id: string): Promise<PppProfileView | undefined> {
  const [row] = await pppProfiles(db).where('f.id', id);
  return row === undefined ? undefined : pppProfileView(row);
}

function pppProfiles(db: Db) {
  return db('ppp_profile as f')
    .leftJoin('ipv4_pool as i', 'i.id', 'f.pool_id')
    .select<Row[]>('f.*', { pool: 'i.name' });
}

function pppProfileView(row: Row): PppProfileView {
  return {
    id: String(row['id']),
    name: String(row['name']),
    pool: textOf(row['pool']),
    localAddress: textOf(row['local_address']),
    dnsServers: textOf(row['dns_servers']),
    sessionTimeoutSeconds: numberOf(row['session_timeout_seconds']),
    idleTimeoutSeconds: numberOf(row['idle_timeout_seconds']),
  };
}

/** The profile as stored, locked until the transaction ends. */
export async function lockPppProfile(trx: Trx, id: string): Promise<Row | undefined> {
  return trx('ppp_profile').where({ id }).forUpdate().first<Row | undefined>();
}

export async function updatePppProfile(trx: Trx, id: string, changes: Row): Promise<void> {
  await trx('ppp_profile').where({ id }).update(changes);
}

export interface TaxRateView {
  readonly id: string;
  readonly name: string;
  readonly rateBp: number;
  readonly isInclusive: boolean;
  readonly effectiveOn: Day;
}

/** By name, of one name the latest first. */
export async function taxRatePage(db: Db, place: Place | null, limit: number): Promise<TaxRateView[]> {
  const query = db('tax_rate').limit(limit);
  const rows = await inOrder(db, query, { columns: ['name', 'effective_on'], way: 'desc' }, place).select<
    Row[]
  >('*');
  return rows.map((row) => ({
    id: String(row['id']),
    name: String(row['name']),
    rateBp: Number(row['rate_bp']),
    isInclusive: Number(row['is_inclusive']) === 1,
    effectiveOn: String(row['effective_on']) as Day,
  }));
}
