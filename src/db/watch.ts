import {
  accessChanges,
  type AccessChangeView,
  accessChangeView,
  rejects,
  type RejectView,
  rejectView,
} from './access-view.ts';
import { type Db, fromSqlInstant } from './knex.ts';

/** Reads of what is new, each bounded and by an indexed column, so that watching costs the same on any installation. */

export interface Watermarks {
  session: bigint;
  reject: bigint;
  change: bigint;
  packet: bigint;
}

type Row = Record<string, string | number | null>;

export async function newestIds(db: Db): Promise<Watermarks> {
  const newest = async (table: string, column: string) => {
    const row = await db(table).max<{ id: string | null }[]>(`${column} as id`);
    return BigInt(row[0]?.id ?? '0');
  };
  return {
    session: await newest('radacct', 'radacctid'),
    reject: await newest('radpostauth', 'id'),
    change: await newest('access_change', 'id'),
    packet: await newest('enforcement', 'id'),
  };
}

export interface SessionEvent {
  radacctid: string;
  username: string;
  routerName: string;
  framedIp: string;
  mac: string;
  startedAt: Date | null;
  stoppedAt: Date | null;
  seconds: number;
  cause: string;
}

function sessions(db: Db, limit: number) {
  return db('radacct as a').leftJoin('router as r', 'r.id', 'a.router_id').limit(limit).select({
    id: 'a.radacctid',
    username: 'a.username',
    router: 'r.name',
    address: 'a.nasipaddress',
    ip: 'a.framedipaddress',
    mac: 'a.callingstationid',
    started: 'a.acctstarttime',
    stopped: 'a.acctstoptime',
    seconds: 'a.acctsessiontime',
    cause: 'a.acctterminatecause',
  });
}

function sessionEvent(row: Row): SessionEvent {
  const instant = (value: string | number | null | undefined) =>
    value == null ? null : fromSqlInstant(String(value));
  return {
    radacctid: String(row['id']),
    username: String(row['username']),
    routerName: String(row['router'] ?? row['address']),
    framedIp: String(row['ip']),
    mac: String(row['mac']),
    startedAt: instant(row['started']),
    stoppedAt: instant(row['stopped']),
    seconds: Number(row['seconds'] ?? 0),
    cause: String(row['cause']),
  };
}

export async function sessionsAfter(db: Db, id: bigint, limit: number): Promise<SessionEvent[]> {
  const query = sessions(db, limit).where('a.radacctid', '>', id.toString()).orderBy('a.radacctid');
  return ((await query) as Row[]).map(sessionEvent);
}

/** Sessions that ended at that second or later, by FreeRADIUS's clock. */
export async function sessionsStoppedSince(db: Db, since: string, limit: number): Promise<SessionEvent[]> {
  const query = sessions(db, limit).where('a.acctstoptime', '>=', since).orderBy('a.acctstoptime', 'desc');
  return ((await query) as Row[]).map(sessionEvent).reverse();
}

export async function rejectsAfter(db: Db, id: bigint, limit: number): Promise<RejectView[]> {
  const query = rejects(db).where('p.id', '>', id.toString()).orderBy('p.id').limit(limit);
  return ((await query) as Row[]).map(rejectView);
}

export async function changesAfter(db: Db, id: bigint, limit: number): Promise<AccessChangeView[]> {
  const query = accessChanges(db).where('c.id', '>', id.toString()).orderBy('c.id').limit(limit);
  return ((await query) as Row[]).map(accessChangeView);
}

export interface PacketEvent {
  id: string;
  username: string;
  routerName: string;
  action: 'coa' | 'disconnect';
  why: string;
  sentAt: Date;
  outcome: 'pending' | 'ack' | 'nak' | 'timeout' | 'superseded' | 'abandoned' | 'unsent';
  errorCause: number | null;
  roundTripUs: number | null;
  confirmedBy: string | null;
}

/** New packets, and those of `ids` whose answer was still to come. */
export async function packetsAfter(
  db: Db,
  id: bigint,
  ids: readonly string[],
  limit: number,
): Promise<PacketEvent[]> {
  const rows: Row[] = await db('enforcement as e')
    .join('login as l', 'l.id', 'e.login_id')
    .leftJoin('router as r', 'r.id', 'e.router_id')
    .where((or) => void or.where('e.id', '>', id.toString()).orWhereIn('e.id', [...ids]))
    .orderBy('e.id')
    .limit(limit)
    .select({
      id: 'e.id',
      username: 'l.username',
      router: 'r.name',
      router_id: 'e.router_id',
      action: 'e.action',
      why: 'e.why',
      sent_at: 'e.sent_at',
      outcome: 'e.outcome',
      error_cause: 'e.error_cause',
      round_trip_us: 'e.round_trip_us',
      confirmed_by: 'e.confirmed_by',
    });
  return rows.map((row) => ({
    id: String(row['id']),
    username: String(row['username']),
    routerName: String(row['router'] ?? row['router_id']),
    action: row['action'] as PacketEvent['action'],
    why: String(row['why']),
    sentAt: fromSqlInstant(String(row['sent_at'])),
    outcome: row['outcome'] as PacketEvent['outcome'],
    errorCause: row['error_cause'] == null ? null : Number(row['error_cause']),
    roundTripUs: row['round_trip_us'] == null ? null : Number(row['round_trip_us']),
    confirmedBy: row['confirmed_by'] == null ? null : String(row['confirmed_by']),
  }));
}

export interface WatchTotals {
  openSessions: number;
  logins: Record<'full' | 'throttled' | 'walled_garden' | 'denied', number>;
  waiting: number;
  parked: number;
  silentRouters: number;
}

export async function watchTotals(db: Db): Promise<WatchTotals> {
  const one = async (query: PromiseLike<unknown>) => Number(((await query) as { n: string }[])[0]?.n ?? 0);
  const logins = { full: 0, throttled: 0, walled_garden: 0, denied: 0 };
  const rows = await db('access_decision')
    .groupBy('access')
    .select<{ access: keyof typeof logins; n: string }[]>('access', db.raw('COUNT(*) AS n'));
  for (const row of rows) logins[row.access] = Number(row.n);
  return {
    openSessions: await one(db('radacct').whereNull('acctstoptime').count('* as n')),
    logins,
    waiting: await one(db('reconcile_queue').where({ is_parked: false }).count('* as n')),
    parked: await one(db('reconcile_queue').where({ is_parked: true }).count('* as n')),
    silentRouters: await one(db('router_lane').where({ breaker: 'open' }).count('* as n')),
  };
}
