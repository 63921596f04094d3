import type { PacketOutcome } from '../domain/session-evidence.ts';
import { type Db, fromSqlInstant } from './knex.ts';

/** What stands behind the lines of a timeline, read by primary key. */

export interface ActivityDetail {
  readonly actor: string;
  readonly verb: string;
  readonly subjectKind: string;
  readonly subjectId: string | null;
  readonly correlationId: string;
  readonly diff: string;
  readonly outcome: string;
}

export interface MoneyDetail {
  readonly kind: string;
  readonly onceKey: string;
  readonly effectiveOn: string;
  readonly actor: string;
  readonly memo: string;
  readonly postings: readonly {
    readonly account: string;
    readonly owner: string;
    readonly amountMinor: bigint;
  }[];
}

export interface ChangeDetail {
  readonly username: string;
  readonly from: string | null;
  readonly to: string;
  readonly reason: string;
  readonly generation: string;
  readonly requestedBy: string;
}

export interface PacketDetail {
  readonly username: string;
  readonly sessionId: string | null;
  readonly routerId: string;
  readonly routerName: string | null;
  readonly action: 'coa' | 'disconnect';
  readonly why: string;
  readonly because: string;
  readonly generation: string;
  /** JSON pairs as they were sent. */
  readonly attributes: string;
  readonly requestedBy: string;
  readonly outcome: PacketOutcome;
  readonly detail: string | null;
  readonly answeredAt: Date | null;
  readonly errorCause: number | null;
  readonly roundTripUs: number | null;
  readonly attempts: number;
  readonly confirmedAt: Date | null;
  readonly confirmedBy: string | null;
}

export interface SessionDetail {
  readonly radacctid: string;
  readonly sessionId: string;
  readonly username: string;
  readonly routerId: string | null;
  readonly routerName: string | null;
  readonly routerAddress: string;
  readonly framedIp: string;
  readonly framedIpv6: string;
  readonly mac: string;
  readonly class: string | null;
  readonly startedAt: Date | null;
  readonly stoppedAt: Date | null;
  readonly seconds: number | null;
  readonly uploadBytes: bigint;
  readonly downloadBytes: bigint;
  readonly terminateCause: string;
  readonly isStopSeen: boolean;
}

export interface RejectDetail {
  readonly username: string;
  readonly reason: string;
  readonly mac: string;
  readonly routerId: string | null;
  readonly routerName: string | null;
  readonly routerAddress: string;
}

type Row = Record<string, string | number | null>;
const textOf = (value: string | number | null | undefined) => (value == null ? null : String(value));
const numberOf = (value: string | number | null | undefined) => (value == null ? null : Number(value));
const instantOf = (value: string | number | null | undefined) =>
  value == null ? null : fromSqlInstant(String(value));

export async function activityDetails(db: Db, ids: readonly string[]): Promise<Map<string, ActivityDetail>> {
  if (ids.length === 0) return new Map();
  const rows = await db('activity')
    .whereIn('id', [...ids])
    .select<Row[]>('id', 'actor', 'verb', 'subject_kind', 'subject_id', 'correlation_id', 'diff', 'outcome');
  return byId(rows, (row) => ({
    actor: String(row['actor']),
    verb: String(row['verb']),
    subjectKind: String(row['subject_kind']),
    subjectId: textOf(row['subject_id']),
    correlationId: String(row['correlation_id']),
    diff: String(row['diff']),
    outcome: String(row['outcome']),
  }));
}

export async function moneyDetails(db: Db, ids: readonly string[]): Promise<Map<string, MoneyDetail>> {
  if (ids.length === 0) return new Map();
  const rows = await db('ledger_entry')
    .whereIn('id', [...ids])
    .select<Row[]>('id', 'kind', 'once_key', 'effective_on', 'actor', 'memo');
  const lines: Row[] = await db('ledger_posting as p')
    .join('ledger_account as a', 'a.id', 'p.account_id')
    .whereIn('p.entry_id', [...ids])
    .orderBy(['p.entry_id', 'p.id'])
    .select({ entry_id: 'p.entry_id', code: 'a.code', owner: 'a.owner_key', amount: 'p.amount_minor' });
  return byId(rows, (row) => ({
    kind: String(row['kind']),
    onceKey: String(row['once_key']),
    effectiveOn: String(row['effective_on']),
    actor: String(row['actor']),
    memo: String(row['memo']),
    postings: lines
      .filter((line) => line['entry_id'] === row['id'])
      .map((line) => ({
        account: String(line['code']),
        owner: String(line['owner']),
        amountMinor: BigInt(line['amount'] ?? 0),
      })),
  }));
}

export async function changeDetails(db: Db, ids: readonly string[]): Promise<Map<string, ChangeDetail>> {
  if (ids.length === 0) return new Map();
  const rows: Row[] = await db('access_change as c')
    .join('login as l', 'l.id', 'c.login_id')
    .whereIn('c.id', [...ids])
    .select('c.*', 'l.username');
  return byId(rows, (row) => ({
    username: String(row['username']),
    from: textOf(row['from_access']),
    to: String(row['to_access']),
    reason: String(row['reason']),
    generation: String(row['generation']),
    requestedBy: String(row['requested_by']),
  }));
}

export async function packetDetails(db: Db, ids: readonly string[]): Promise<Map<string, PacketDetail>> {
  if (ids.length === 0) return new Map();
  const rows: Row[] = await db('enforcement as e')
    .join('login as l', 'l.id', 'e.login_id')
    .leftJoin('router as r', 'r.id', 'e.router_id')
    .leftJoin('radacct as a', 'a.radacctid', 'e.radacctid')
    .whereIn('e.id', [...ids])
    .select('e.*', 'l.username', { router_name: 'r.name', session_id: 'a.acctsessionid' });
  return byId(rows, (row) => ({
    username: String(row['username']),
    sessionId: textOf(row['session_id']),
    routerId: String(row['router_id']),
    routerName: textOf(row['router_name']),
    action: row['action'] as PacketDetail['action'],
    why: String(row['why']),
    because: String(row['because']),
    generation: String(row['generation']),
    attributes: String(row['attributes']),
    requestedBy: String(row['requested_by']),
    outcome: row['outcome'] as PacketOutcome,
    detail: textOf(row['detail']),
    answeredAt: instantOf(row['answered_at']),
    errorCause: numberOf(row['error_cause']),
    roundTripUs: numberOf(row['round_trip_us']),
    attempts: Number(row['attempts']),
    confirmedAt: instantOf(row['confirmed_at']),
    confirmedBy: textOf(row['confirmed_by']),
  }));
}

export async function sessionDetails(db: Db, ids: readonly string[]): Promise<Map<string, SessionDetail>> {
  if (ids.length === 0) return new Map();
  const rows: Row[] = await db('radacct as a')
    .leftJoin('router as r', 'r.id', 'a.router_id')
    .whereIn('a.radacctid', [...ids])
    .select('a.*', { id: 'a.radacctid', router_name: 'r.name' });
  return byId(rows, (row) => ({
    radacctid: String(row['id']),
    sessionId: String(row['acctsessionid']),
    username: String(row['username']),
    routerId: textOf(row['router_id']),
    routerName: textOf(row['router_name']),
    routerAddress: String(row['nasipaddress']),
    framedIp: String(row['framedipaddress']),
    framedIpv6: String(row['delegatedipv6prefix'] || row['framedipv6prefix'] || row['framedipv6address']),
    mac: String(row['callingstationid']),
    class: textOf(row['class']),
    startedAt: instantOf(row['acctstarttime']),
    stoppedAt: instantOf(row['acctstoptime']),
    seconds: numberOf(row['acctsessiontime']),
    // Input is what the router took in from the subscriber.
    uploadBytes: BigInt(row['acctinputoctets'] ?? 0),
    downloadBytes: BigInt(row['acctoutputoctets'] ?? 0),
    terminateCause: String(row['acctterminatecause']),
    isStopSeen: Number(row['stop_seen']) === 1,
  }));
}

export async function rejectDetails(db: Db, ids: readonly string[]): Promise<Map<string, RejectDetail>> {
  if (ids.length === 0) return new Map();
  const rows: Row[] = await db('radpostauth as p')
    .leftJoin('router as r', 'r.id', 'p.router_id')
    .whereIn('p.id', [...ids])
    .select('p.id', 'p.username', 'p.reason', 'p.callingstationid', 'p.router_id', 'p.nasipaddress', {
      router_name: 'r.name',
    });
  return byId(rows, (row) => ({
    username: String(row['username']),
    reason: String(row['reason']),
    mac: String(row['callingstationid']),
    routerId: textOf(row['router_id']),
    routerName: textOf(row['router_name']),
    routerAddress: String(row['nasipaddress']),
  }));
}

function byId<D>(rows: readonly Row[], read: (row: Row) => D): Map<string, D> {
  return new Map(rows.map((row) => [String(row['id']), read(row)]));
}
