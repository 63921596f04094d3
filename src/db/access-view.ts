import type { LoginId } from '../domain/ids.ts';
import type { PacketOutcome } from '../domain/session-evidence.ts';
import { type Db, fromSqlInstant } from './knex.ts';
import { actualRows } from './radius-rows.ts';

/** Reads for people: what is decided about a login, what its sessions have, and what its last dial was told. */

export interface SessionView {
  radacctid: string;
  sessionId: string;
  routerId: string | null;
  routerName: string | null;
  routerAddress: string;
  breaker: 'open' | 'closed' | null;
  framedIp: string;
  mac: string;
  startedAt: Date | null;
  heardAt: Date | null;
  class: string | null;
  /** By its last acknowledged CoA; null where only its Class says. */
  acknowledged: { accessFingerprint: string; redialFingerprint: string; at: Date | null } | null;
  claimedGoneAt: Date | null;
  isKickWanted: boolean;
  queued: QueueView | null;
  last: EnforcementView | null;
}

export interface QueueView {
  attempts: number;
  isParked: boolean;
  notBefore: Date;
  requestedAt: Date;
  lastError: string | null;
}

export interface EnforcementView {
  id: string;
  radacctid: string;
  action: 'coa' | 'disconnect';
  why: string;
  accessFingerprint: string;
  redialFingerprint: string;
  sentAt: Date;
  /** The Mikrotik-Rate-Limit in it; null where it carried none. */
  rate: string | null;
  outcome: PacketOutcome;
  answeredAt: Date | null;
  errorCause: number | null;
  roundTripUs: number | null;
  attempts: number;
  confirmedAt: Date | null;
  confirmedBy: string | null;
}

type Row = Record<string, string | number | null>;
const instantOf = (value: string | number | null | undefined) =>
  value == null ? null : fromSqlInstant(String(value));
const textOf = (value: string | number | null | undefined) => (value == null ? null : String(value));
const numberOf = (value: string | number | null | undefined) => (value == null ? null : Number(value));

/** The open sessions of a username, newest first, at most fifty, with the last packet sent about each. */
export async function openSessionViews(db: Db, username: string): Promise<SessionView[]> {
  const rows = (await db('radacct as a')
    .leftJoin('router as r', 'r.id', 'a.router_id')
    .leftJoin('router_lane as n', 'n.router_id', 'a.router_id')
    .leftJoin('session_access as x', 'x.radacctid', 'a.radacctid')
    .leftJoin('kick as k', 'k.radacctid', 'a.radacctid')
    .leftJoin('reconcile_queue as q', (on) => {
      on.on('q.key', 'a.radacctid').andOnVal('q.kind', 'session');
    })
    .where('a.username', username)
    .whereNull('a.acctstoptime')
    .orderBy('a.radacctid', 'desc')
    .limit(50)
    .select<Row[]>({
      radacctid: 'a.radacctid',
      session_id: 'a.acctsessionid',
      router_id: 'a.router_id',
      router_name: 'r.name',
      address: 'a.nasipaddress',
      breaker: 'n.breaker',
      framed_ip: 'a.framedipaddress',
      mac: 'a.callingstationid',
      started_at: 'a.acctstarttime',
      updated_at: 'a.acctupdatetime',
      class: 'a.class',
      ack_access: 'x.access_fingerprint',
      ack_redial: 'x.redial_fingerprint',
      ack_at: 'x.acknowledged_at',
      gone_at: 'x.claimed_gone_at',
      kick: 'k.radacctid',
      q_id: 'q.id',
      q_attempts: 'q.attempts',
      q_parked: 'q.is_parked',
      q_not_before: 'q.not_before',
      q_requested_at: 'q.requested_at',
      q_error: 'q.last_error',
    })) as Row[];
  const last = await lastEnforcements(
    db,
    rows.map((row) => String(row['radacctid'])),
  );
  return rows.map((row) => ({
    radacctid: String(row['radacctid']),
    sessionId: String(row['session_id']),
    routerId: textOf(row['router_id']),
    routerName: textOf(row['router_name']),
    routerAddress: String(row['address']),
    breaker: textOf(row['breaker']) as SessionView['breaker'],
    framedIp: String(row['framed_ip']),
    mac: String(row['mac']),
    startedAt: instantOf(row['started_at']),
    heardAt: instantOf(row['updated_at'] ?? row['started_at']),
    class: textOf(row['class']),
    acknowledged:
      row['ack_access'] == null
        ? null
        : {
            accessFingerprint: String(row['ack_access']),
            redialFingerprint: String(row['ack_redial']),
            at: instantOf(row['ack_at']),
          },
    claimedGoneAt: instantOf(row['gone_at']),
    isKickWanted: row['kick'] != null,
    queued: row['q_id'] == null ? null : queueView(row),
    last: last.get(String(row['radacctid'])) ?? null,
  }));
}

function queueView(row: Row): QueueView {
  return {
    attempts: Number(row['q_attempts']),
    isParked: Number(row['q_parked']) === 1,
    notBefore: fromSqlInstant(String(row['q_not_before'])),
    requestedAt: fromSqlInstant(String(row['q_requested_at'])),
    lastError: textOf(row['q_error']),
  };
}

/** The last packet about each of these sessions. */
export async function lastEnforcements(
  db: Db,
  radacctids: readonly string[],
): Promise<Map<string, EnforcementView>> {
  const newest = db('enforcement')
    .whereIn('radacctid', [...radacctids])
    .groupBy('radacctid')
    .max('id as id')
    .as('newest');
  const rows = await db('enforcement as e').join(newest, 'newest.id', 'e.id').select<Row[]>('e.*');
  return new Map(rows.map((row) => [String(row['radacctid']), enforcementView(row)]));
}

export function enforcementView(row: Record<string, string | number | null>): EnforcementView {
  return {
    id: String(row['id']),
    radacctid: String(row['radacctid']),
    action: row['action'] as EnforcementView['action'],
    why: String(row['why']),
    accessFingerprint: String(row['access_fingerprint']),
    redialFingerprint: String(row['redial_fingerprint']),
    sentAt: fromSqlInstant(String(row['sent_at'])),
    rate: rateIn(String(row['attributes'])),
    outcome: row['outcome'] as EnforcementView['outcome'],
    answeredAt: instantOf(row['answered_at']),
    errorCause: numberOf(row['error_cause']),
    roundTripUs: numberOf(row['round_trip_us']),
    attempts: Number(row['attempts']),
    confirmedAt: instantOf(row['confirmed_at']),
    confirmedBy: textOf(row['confirmed_by']),
  };
}

function rateIn(attributes: string): string | null {
  const pairs = JSON.parse(attributes) as [string, string][];
  return pairs.find(([name]) => name === 'Mikrotik-Rate-Limit')?.[1] ?? null;
}

/** The newest packets about a login's sessions, open or ended. */
export async function enforcementsOfLogin(
  db: Db,
  loginId: LoginId,
  limit: number,
): Promise<EnforcementView[]> {
  const rows = await db('enforcement')
    .where({ login_id: loginId })
    .orderBy('id', 'desc')
    .limit(limit)
    .select<Row[]>();
  return rows.map(enforcementView);
}

export interface DecisionView {
  access: string;
  reason: string;
  rateLimit: string | null;
  reviewAt: Date | null;
  generation: string;
  accessFingerprint: string;
  redialFingerprint: string;
  decidedAt: Date;
}

export async function decisionOf(db: Db, loginId: LoginId): Promise<DecisionView | undefined> {
  const row = await db('access_decision').where({ login_id: loginId }).first<Row | undefined>();
  if (row === undefined) return undefined;
  return {
    access: String(row['access']),
    reason: String(row['reason']),
    rateLimit: textOf(row['rate_limit']),
    reviewAt: instantOf(row['review_at']),
    generation: String(row['generation']),
    accessFingerprint: String(row['access_fingerprint']),
    redialFingerprint: String(row['redial_fingerprint']),
    decidedAt: fromSqlInstant(String(row['decided_at'])),
  };
}

/** The wish that waits for a key, if any. */
export async function queuedKey(
  db: Db,
  kind: 'login' | 'session' | 'router',
  key: string,
): Promise<QueueView | undefined> {
  const row = await db('reconcile_queue').where({ kind, key }).first<Row | undefined>({
    q_attempts: 'attempts',
    q_parked: 'is_parked',
    q_not_before: 'not_before',
    q_requested_at: 'requested_at',
    q_error: 'last_error',
  });
  return row === undefined ? undefined : queueView(row);
}

export interface RejectView {
  id: string;
  at: Date;
  username: string;
  reason: string;
  mac: string;
  routerId: string | null;
  routerName: string | null;
  routerAddress: string;
}

/** What FreeRADIUS last refused that username, and why. */
export async function lastReject(db: Db, username: string): Promise<RejectView | undefined> {
  const query = rejects(db).where('p.username', username).orderBy('p.authdate', 'desc').limit(1);
  const [row] = (await query) as Row[];
  return row === undefined ? undefined : rejectView(row);
}

export function rejects(db: Db) {
  return db('radpostauth as p').leftJoin('router as r', 'r.id', 'p.router_id').select<Row[]>({
    id: 'p.id',
    at: 'p.authdate',
    username: 'p.username',
    reason: 'p.reason',
    mac: 'p.callingstationid',
    router_id: 'p.router_id',
    router_name: 'r.name',
    address: 'p.nasipaddress',
  });
}

export function rejectView(row: Row): RejectView {
  return {
    id: String(row['id']),
    at: fromSqlInstant(String(row['at'])),
    username: String(row['username']),
    reason: String(row['reason']),
    mac: String(row['mac']),
    routerId: textOf(row['router_id']),
    routerName: textOf(row['router_name']),
    routerAddress: String(row['address']),
  };
}

export interface AccessChangeView {
  id: string;
  at: Date;
  username: string;
  from: string | null;
  to: string;
  reason: string;
}

export async function accessChangesOf(db: Db, loginId: LoginId, limit: number): Promise<AccessChangeView[]> {
  const rows = (await accessChanges(db)
    .where('c.login_id', loginId)
    .orderBy([
      { column: 'c.at', order: 'desc' },
      { column: 'c.id', order: 'desc' },
    ])
    .limit(limit)) as Row[];
  return rows.map(accessChangeView);
}

export function accessChanges(db: Db) {
  return db('access_change as c').join('login as l', 'l.id', 'c.login_id').select<Row[]>({
    id: 'c.id',
    at: 'c.at',
    username: 'l.username',
    from: 'c.from_access',
    to: 'c.to_access',
    reason: 'c.reason',
  });
}

export function accessChangeView(row: Row): AccessChangeView {
  return {
    id: String(row['id']),
    at: fromSqlInstant(String(row['at'])),
    username: String(row['username']),
    from: textOf(row['from']),
    to: String(row['to']),
    reason: String(row['reason']),
  };
}

export interface RowView {
  table: 'radcheck' | 'radreply';
  attribute: string;
  op: string;
  value: string;
  ordinal: number;
}

/** What FreeRADIUS finds for a username now, passwords in clear: whoever shows it masks them. */
export async function radiusRowViews(db: Db, username: string): Promise<RowView[]> {
  const found = (await actualRows(db, [username])).get(username);
  const views = (table: RowView['table'], rows: readonly Omit<RowView, 'table'>[]) =>
    rows.map(({ attribute, op, value, ordinal }) => ({ table, attribute, op, value, ordinal }));
  return [...views('radcheck', found?.check ?? []), ...views('radreply', found?.reply ?? [])];
}
