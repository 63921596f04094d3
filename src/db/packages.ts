import type { PackageId } from '../domain/ids.ts';
import type { SuspensionEffect } from '../domain/access-types.ts';
import { asId, operatorReseller } from '../domain/ids.ts';
import { inOrder, type Place } from './keyset.ts';
import type { Db, Trx } from './knex.ts';

export type CatalogTable =
  'tax_rate' | 'billing_profile' | 'ipv4_pool' | 'ppp_profile' | 'master_package' | 'package';

/** Inserts one row of the catalogue and gives its id. */
export async function insertCatalogRow(
  trx: Trx,
  table: CatalogTable,
  row: Record<string, string | number | boolean | null>,
): Promise<string> {
  const [id] = await trx(table).insert(row);
  return String(id);
}

/** The id of the row with that name, or undefined. */
export async function catalogIdByName(
  db: Db,
  table: CatalogTable,
  name: string,
): Promise<string | undefined> {
  const query = db(table).where({ name }).select<{ id: string }[]>('id').orderBy('id', 'desc').limit(1);
  return (await query)[0]?.id;
}

/** Names for "must be one of": the first twenty. */
export async function catalogNames(db: Db, table: CatalogTable): Promise<string[]> {
  return db(table).orderBy('name').limit(20).pluck<string[]>('name');
}

/** The tax rate of that name that applies on the day; undefined where none has begun yet. */
export async function taxRateOn(db: Db, name: string, day: string): Promise<string | undefined> {
  const rows = await db('tax_rate')
    .where({ name })
    .where('effective_on', '<=', day)
    .orderBy('effective_on', 'desc')
    .limit(1)
    .select<{ id: string }[]>('id');
  return rows[0]?.id;
}

export interface PoolRange {
  routerId: string;
  firstAddress: number;
  lastAddress: number;
  suspendedFirstAddress: number;
  suspendedLastAddress: number;
}

export async function insertPoolRanges(
  trx: Trx,
  poolId: string,
  ranges: readonly PoolRange[],
): Promise<void> {
  if (ranges.length === 0) return;
  await trx('ipv4_pool_range').insert(
    ranges.map((range) => ({
      pool_id: poolId,
      router_id: range.routerId,
      first_address: range.firstAddress,
      last_address: range.lastAddress,
      suspended_first_address: range.suspendedFirstAddress,
      suspended_last_address: range.suspendedLastAddress,
    })),
  );
}

export async function poolById(db: Db, id: string): Promise<{ name: string } | undefined> {
  return db('ipv4_pool').where({ id }).first<{ name: string } | undefined>('name');
}

/** The pool that holds one of the addresses from `first` to `last`, as normal or suspended range; on one router, or any. */
export async function poolHolding(
  db: Db,
  first: number,
  last: number,
  routerId?: string,
): Promise<string | undefined> {
  const query = db('ipv4_pool_range as r')
    .join('ipv4_pool as p', 'p.id', 'r.pool_id')
    .where((or) => {
      void or
        .where((and) => void and.where('r.first_address', '<=', last).where('r.last_address', '>=', first))
        .orWhere(
          (and) =>
            void and
              .where('r.suspended_first_address', '<=', last)
              .where('r.suspended_last_address', '>=', first),
        );
    })
    .limit(1)
    .select<{ name: string }[]>('p.name');
  if (routerId !== undefined) void query.where('r.router_id', routerId);
  return (await query)[0]?.name;
}

/** A live login with a static address in that range, or undefined. */
export async function staticLoginWithin(db: Db, first: number, last: number): Promise<string | undefined> {
  const rows = await db('login')
    .whereNotNull('live_static_ipv4')
    .whereRaw('INET_ATON(live_static_ipv4) BETWEEN ? AND ?', [first, last])
    .limit(1)
    .select<{ username: string }[]>('username');
  return rows[0]?.username;
}

export async function liveRouterIdByName(db: Db, name: string): Promise<string | undefined> {
  const rows = await db('router').where({ live_name: name }).limit(1).select<{ id: string }[]>('id');
  return rows[0]?.id;
}

export interface PackageRow {
  id: PackageId;
  name: string;
  masterPackageId: string;
  masterPackage: string;
  billingType: 'daily' | 'monthly';
  customerType: 'pppoe' | 'hotspot' | 'static_ip' | 'other';
  rateLimit: string | null;
  pool: string | null;
  pppProfile: string | null;
  delegatedIpv6Pool: string | null;
  customersPriceMinor: bigint;
  operatorsPriceMinor: bigint;
  taxName: string | null;
  taxRateBp: number | null;
  visibility: 'public' | 'private';
  isRetired: boolean;
}

export interface PackageFilter {
  name?: string;
  id?: string;
  isRetired?: boolean;
  masterPackageId?: string;
  /** By name. */
  place?: Place | null;
  limit?: number;
}

/** Packages with what their master package says, by name. */
export async function listPackages(db: Db, filter: PackageFilter = {}): Promise<PackageRow[]> {
  const query = db('package as p')
    .join('master_package as m', 'm.id', 'p.master_package_id')
    .leftJoin('ipv4_pool as i', 'i.id', 'm.pool_id')
    .leftJoin('ppp_profile as f', 'f.id', 'm.ppp_profile_id')
    .leftJoin('tax_rate as t', 't.id', 'p.tax_rate_id')
    .where('p.reseller_id', operatorReseller)
    .limit(filter.limit ?? 1000)
    .select<Record<string, string | null>[]>('p.*', {
      master: 'm.name',
      billing_type: 'm.billing_type',
      customer_type: 'm.customer_type',
      rate_limit: 'm.rate_limit',
      delegated_ipv6_pool: 'm.delegated_ipv6_pool',
      pool: 'i.name',
      profile: 'f.name',
      tax: 't.name',
      tax_bp: 't.rate_bp',
    });
  void inOrder(db, query, { columns: ['p.name'], way: 'asc' }, filter.place ?? null);
  if (filter.name !== undefined) void query.where('p.name', filter.name);
  if (filter.id !== undefined) void query.where('p.id', filter.id);
  if (filter.masterPackageId !== undefined) void query.where('p.master_package_id', filter.masterPackageId);
  if (filter.isRetired === true) void query.whereNotNull('p.retired_at');
  if (filter.isRetired === false) void query.whereNull('p.retired_at');
  return (await query).map((row) => ({
    id: asId(row['id'] ?? ''),
    name: row['name'] ?? '',
    masterPackageId: row['master_package_id'] ?? '',
    masterPackage: row['master'] ?? '',
    billingType: row['billing_type'] as PackageRow['billingType'],
    customerType: row['customer_type'] as PackageRow['customerType'],
    rateLimit: row['rate_limit'] ?? null,
    pool: row['pool'] ?? null,
    pppProfile: row['profile'] ?? null,
    delegatedIpv6Pool: row['delegated_ipv6_pool'] ?? null,
    customersPriceMinor: BigInt(row['customers_price_minor'] ?? '0'),
    operatorsPriceMinor: BigInt(row['operators_price_minor'] ?? '0'),
    taxName: row['tax'] ?? null,
    taxRateBp: row['tax_bp'] == null ? null : Number(row['tax_bp']),
    visibility: row['visibility'] as PackageRow['visibility'],
    isRetired: row['retired_at'] !== null,
  }));
}

export interface BillingProfileRow {
  id: string;
  name: string;
  dueDays: number;
  graceDays: number;
  overdueEffect: SuspensionEffect;
  throttleRate: string | null;
}

export async function listBillingProfiles(db: Db): Promise<BillingProfileRow[]> {
  const rows = await db('billing_profile')
    .orderBy('name')
    .limit(1000)
    .select<Record<string, string | null>[]>();
  return rows.map((row) => ({
    id: row['id'] ?? '',
    name: row['name'] ?? '',
    dueDays: Number(row['due_days']),
    graceDays: Number(row['grace_days']),
    overdueEffect: row['overdue_effect'] as SuspensionEffect,
    throttleRate: row['throttle_rate'] ?? null,
  }));
}

/** The package's own columns, locked until the transaction ends. */
export async function lockPackage(
  trx: Trx,
  id: string,
): Promise<Record<string, string | number | null> | undefined> {
  return trx('package')
    .where({ id, reseller_id: operatorReseller })
    .forUpdate()
    .first<Record<string, string | number | null>>();
}

export async function updatePackage(
  trx: Trx,
  id: string,
  changes: Record<string, string | null>,
): Promise<void> {
  await trx('package').where({ id }).update(changes);
}

/** The master package as stored, locked until the transaction ends. */
export async function lockMasterPackage(
  trx: Trx,
  name: string,
): Promise<Record<string, string | number | null> | undefined> {
  return trx('master_package').where({ name }).forUpdate().first<Record<string, string | number | null>>();
}

export async function updateMasterPackage(
  trx: Trx,
  id: string,
  changes: Record<string, string | number | null>,
): Promise<void> {
  await trx('master_package').where({ id }).update(changes);
}
