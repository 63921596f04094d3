import type { SuspensionEffect } from '../domain/access-types.ts';
import { operatorReseller } from '../domain/ids.ts';
import type { Db, Trx } from './knex.ts';

export interface BillingProfile {
  readonly id: string;
  readonly name: string;
  readonly dueDays: number;
  readonly graceDays: number;
  readonly overdueEffect: SuspensionEffect;
  readonly throttleRate: string | null;
  readonly isOverdueRunOn: boolean;
}

/** By name, a page at a time; `before` gives the ones in front of a name, the nearest first. */
export async function billingProfilePage(
  db: Db,
  page: { after?: string; before?: string; limit: number },
): Promise<BillingProfile[]> {
  const query = db('billing_profile').where({ reseller_id: operatorReseller }).limit(page.limit);
  if (page.after !== undefined) void query.where('name', '>', page.after);
  if (page.before !== undefined) void query.where('name', '<', page.before);
  const rows = await query.orderBy('name', page.before === undefined ? 'asc' : 'desc').select<Row[]>();
  return rows.map(asProfile);
}

export async function findBillingProfile(db: Db, id: string): Promise<BillingProfile | undefined> {
  const row = await db('billing_profile')
    .where({ id, reseller_id: operatorReseller })
    .first<Row | undefined>();
  return row === undefined ? undefined : asProfile(row);
}

/** The profile as stored, locked until the transaction ends. */
export async function lockBillingProfile(trx: Trx, id: string): Promise<BillingProfile | undefined> {
  const row = await trx('billing_profile')
    .where({ id, reseller_id: operatorReseller })
    .forUpdate()
    .first<Row | undefined>();
  return row === undefined ? undefined : asProfile(row);
}

export async function updateBillingProfile(trx: Trx, profile: BillingProfile): Promise<void> {
  await trx('billing_profile').where({ id: profile.id }).update({
    name: profile.name,
    due_days: profile.dueDays,
    grace_days: profile.graceDays,
    overdue_effect: profile.overdueEffect,
    throttle_rate: profile.throttleRate,
    is_overdue_run_on: profile.isOverdueRunOn,
  });
}

interface Row {
  id: string;
  name: string;
  due_days: number;
  grace_days: number;
  overdue_effect: SuspensionEffect;
  throttle_rate: string | null;
  is_overdue_run_on: number;
}

function asProfile(row: Row): BillingProfile {
  return {
    id: row.id,
    name: row.name,
    dueDays: row.due_days,
    graceDays: row.grace_days,
    overdueEffect: row.overdue_effect,
    throttleRate: row.throttle_rate,
    isOverdueRunOn: row.is_overdue_run_on === 1,
  };
}

/** Subscribers with each profile, counted to `limit` and no further. */
export async function countSubscribersOf(
  db: Db,
  ids: readonly string[],
  limit: number,
): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map();
  const one =
    'SELECT ? AS id, (SELECT COUNT(*) FROM (SELECT 1 FROM subscriber WHERE billing_profile_id = ? LIMIT ?) x) AS n';
  const [rows] = (await db.raw(
    ids.map(() => one).join(' UNION ALL '),
    ids.flatMap((id) => [id, id, limit]),
  )) as unknown as [{ id: string; n: string }[]];
  return new Map(rows.map((row) => [String(row.id), Number(row.n)]));
}

/** Subscriptions of a profile's subscribers that are suspended as overdue now, counted to `limit` and no further. */
export async function countSuspendedOf(db: Db, id: string, limit: number): Promise<number> {
  const [rows] = (await db.raw(
    `SELECT COUNT(*) AS n FROM (
       SELECT 1 FROM suspension s FORCE INDEX (suspension_open)
       STRAIGHT_JOIN subscription n ON n.id = s.subscription_id
       STRAIGHT_JOIN subscriber c FORCE INDEX (PRIMARY) ON c.id = n.subscriber_id
       WHERE s.open_cause = 'overdue' AND c.billing_profile_id = ? LIMIT ?
     ) x`,
    [id, limit],
  )) as unknown as [{ n: string }[]];
  return Number(rows[0]?.n ?? 0);
}
