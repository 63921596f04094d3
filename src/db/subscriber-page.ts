import { type Day, dayIn } from '../domain/day.ts';
import type { LoginId, SubscriberId } from '../domain/ids.ts';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

/** Reads of the subscriber's page and of the diagnosis that nothing else needs. */

export interface DebtPolicy {
  readonly graceDays: number;
  readonly isOverdueRunOn: boolean;
}

/** What the subscriber's billing profile says about late invoices. */
export async function debtPolicyOf(db: Db, subscriberId: SubscriberId): Promise<DebtPolicy> {
  const row = await db('subscriber as s')
    .join('billing_profile as b', 'b.id', 's.billing_profile_id')
    .where('s.id', subscriberId)
    .first<{ grace: number; is_on: number } | undefined>({
      grace: 'b.grace_days',
      is_on: 'b.is_overdue_run_on',
    });
  return { graceDays: Number(row?.grace ?? 0), isOverdueRunOn: Number(row?.is_on ?? 0) === 1 };
}

/** Since when each login's access is of the kind that it is; who was never decided is missing. */
export async function accessSince(db: Db, loginIds: readonly LoginId[]): Promise<Map<LoginId, Date>> {
  if (loginIds.length === 0) return new Map();
  const rows = await db('access_change')
    .whereIn('login_id', [...loginIds])
    .where((kind) => kind.whereNull('from_access').orWhereRaw('from_access <> to_access'))
    .groupBy('login_id')
    .select<{ login_id: LoginId; at: string }[]>('login_id', db.raw('MAX(at) AS at'));
  return new Map(rows.map((row) => [row.login_id, fromSqlInstant(row.at)]));
}

export interface UsageDay {
  readonly day: Day;
  readonly uploadBytes: bigint;
  readonly downloadBytes: bigint;
}

/**
 * What the sessions of some usernames carried, by the operator's day on which each session began: accounting keeps one
 * sum a session. Days without any are missing. Sums are made by quarter of an hour, which is the finest step between
 * zones, so that the database need not know the zone.
 */
export async function usageOf(
  db: Db,
  usernames: readonly string[],
  since: Date,
  zone: string,
): Promise<UsageDay[]> {
  if (usernames.length === 0) return [];
  const rows = await db('radacct')
    .whereIn('username', [...usernames])
    .where('acctstarttime', '>=', sqlInstant(since))
    .groupBy('quarter')
    .select<{ quarter: string; up: string | null; down: string | null }[]>(
      db.raw('FLOOR(UNIX_TIMESTAMP(acctstarttime) / 900) AS quarter'),
      // Input is what the router took in from the subscriber.
      db.raw('SUM(acctinputoctets) AS up'),
      db.raw('SUM(acctoutputoctets) AS down'),
    );
  const days = new Map<Day, { up: bigint; down: bigint }>();
  for (const row of rows) {
    const day = dayIn(zone, new Date(Number(row.quarter) * 900_000));
    const sum = days.get(day) ?? { up: 0n, down: 0n };
    days.set(day, { up: sum.up + BigInt(row.up ?? 0), down: sum.down + BigInt(row.down ?? 0) });
  }
  return [...days]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([day, { up, down }]) => ({ day, uploadBytes: up, downloadBytes: down }));
}

export interface EndedSession {
  readonly startedAt: Date | null;
  readonly heardAt: Date | null;
  readonly stoppedAt: Date | null;
  readonly terminateCause: string;
  readonly mac: string;
  readonly framedIp: string;
  readonly routerId: string | null;
  readonly routerName: string | null;
}

/** The session of a username that began last, open or ended. */
export async function newestSessionOf(db: Db, username: string): Promise<EndedSession | undefined> {
  const rows: Record<string, string | null>[] = await db('radacct as a')
    .leftJoin('router as r', 'r.id', 'a.router_id')
    .where('a.username', username)
    .orderBy('a.acctstarttime', 'desc')
    .limit(1)
    .select({
      started_at: 'a.acctstarttime',
      updated_at: 'a.acctupdatetime',
      stopped_at: 'a.acctstoptime',
      cause: 'a.acctterminatecause',
      mac: 'a.callingstationid',
      framed_ip: 'a.framedipaddress',
      router_id: 'a.router_id',
      router_name: 'r.name',
    });
  const [row] = rows;
  if (row === undefined) return undefined;
  const instantOf = (text: string | null | undefined) => (text == null ? null : fromSqlInstant(text));
  return {
    startedAt: instantOf(row['started_at']),
    heardAt: instantOf(row['updated_at'] ?? row['started_at']),
    stoppedAt: instantOf(row['stopped_at']),
    terminateCause: row['cause'] ?? '',
    mac: row['mac'] ?? '',
    framedIp: row['framed_ip'] ?? '',
    routerId: row['router_id'] ?? null,
    routerName: row['router_name'] ?? null,
  };
}

/** When a login's password, lock or address was last changed by hand. */
export async function loginEditedAt(db: Db, loginId: LoginId): Promise<Date | null> {
  const row = await db('activity')
    .where({ subject_kind: 'login', subject_id: loginId, verb: 'login.set' })
    .orderBy('id', 'desc')
    .first<{ at: string } | undefined>('at');
  return row === undefined ? null : fromSqlInstant(row.at);
}
