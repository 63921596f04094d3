import type { AccessKind } from '../domain/access-types.ts';
import type { LoginId, SessionId } from '../domain/ids.ts';
import { type EnforcementView, enforcementView, lastEnforcements } from './access-view.ts';
import { chunksOf, type Db, fromSqlInstant } from './knex.ts';

/** A session as lists and its own page show it, with all that says what its login should have. */
export interface SessionRow {
  readonly id: SessionId;
  readonly acctSessionId: string;
  readonly username: string;
  readonly loginId: LoginId | null;
  readonly subscriberId: string | null;
  readonly subscriberName: string | null;
  readonly routerId: string | null;
  readonly routerName: string | null;
  /** The packet's source. */
  readonly routerAddress: string;
  readonly claimedAddress: string | null;
  readonly port: string | null;
  readonly address: string;
  readonly ipv6Prefix: string;
  readonly delegatedPrefix: string;
  readonly mac: string;
  readonly startedAt: Date | null;
  readonly heardAt: Date | null;
  readonly stoppedAt: Date | null;
  readonly isStopSeen: boolean;
  readonly cause: string;
  /** From and to the subscriber. */
  readonly upBytes: bigint;
  readonly downBytes: bigint;
  readonly class: string | null;
  readonly decision: {
    readonly access: AccessKind;
    readonly reason: string;
    readonly generation: string;
    readonly accessFingerprint: string;
    readonly redialFingerprint: string;
    /** Mikrotik-Rate-Limit that is wanted; null where none is named. */
    readonly rate: string | null;
  } | null;
  readonly acknowledged: { accessFingerprint: string; redialFingerprint: string; at: Date | null } | null;
  readonly claimedGoneAt: Date | null;
  readonly isKickWanted: boolean;
  readonly queued: { isParked: boolean; attempts: number; lastError: string | null } | null;
  readonly last: EnforcementView | null;
}

type Row = Record<string, string | number | null>;

/** The sessions with these ids, in this order; ids that accounting does not know are left out. */
export async function sessionRows(db: Db, ids: readonly SessionId[]): Promise<SessionRow[]> {
  const found = new Map<string, SessionRow>();
  for (const chunk of chunksOf(ids, 500)) {
    const rows = (await detailed(db).whereIn('a.radacctid', chunk)) as Row[];
    const last = await lastEnforcements(db, chunk);
    for (const row of rows) {
      const id = String(row['id']);
      found.set(id, sessionRow(row, last.get(id) ?? null));
    }
  }
  return ids.map((id) => found.get(id)).filter((row) => row !== undefined);
}

function detailed(db: Db) {
  return db('radacct as a')
    .leftJoin('login as l', 'l.username', 'a.username')
    .leftJoin('subscription as u', 'u.id', 'l.subscription_id')
    .leftJoin('subscriber as b', 'b.id', 'u.subscriber_id')
    .leftJoin('router as r', 'r.id', 'a.router_id')
    .leftJoin('access_decision as d', 'd.login_id', 'l.id')
    .leftJoin('session_access as x', 'x.radacctid', 'a.radacctid')
    .leftJoin('kick as k', 'k.radacctid', 'a.radacctid')
    .leftJoin('reconcile_queue as q', (on) => {
      on.on('q.key', 'a.radacctid').andOnVal('q.kind', 'session');
    })
    .select<Row[]>({
      id: 'a.radacctid',
      session_id: 'a.acctsessionid',
      username: 'a.username',
      login_id: 'l.id',
      subscriber_id: 'b.id',
      subscriber_name: 'b.name',
      router_id: 'r.id',
      router_name: 'r.name',
      source: 'a.nasipaddress',
      claimed: 'a.claimed_nas_address',
      port: 'a.nasportid',
      address: 'a.framedipaddress',
      prefix: 'a.framedipv6prefix',
      delegated: 'a.delegatedipv6prefix',
      mac: 'a.callingstationid',
      started: 'a.acctstarttime',
      updated: 'a.acctupdatetime',
      stopped: 'a.acctstoptime',
      stop_seen: 'a.stop_seen',
      cause: 'a.acctterminatecause',
      up: 'a.acctinputoctets',
      down: 'a.acctoutputoctets',
      class: 'a.class',
      access: 'd.access',
      reason: 'd.reason',
      generation: 'd.generation',
      access_fingerprint: 'd.access_fingerprint',
      redial_fingerprint: 'd.redial_fingerprint',
      coa_attributes: 'd.coa_attributes',
      ack_access: 'x.access_fingerprint',
      ack_redial: 'x.redial_fingerprint',
      ack_at: 'x.acknowledged_at',
      gone_at: 'x.claimed_gone_at',
      kick: 'k.radacctid',
      q_id: 'q.id',
      q_parked: 'q.is_parked',
      q_attempts: 'q.attempts',
      q_error: 'q.last_error',
    });
}

function sessionRow(row: Row, last: EnforcementView | null): SessionRow {
  const text = (name: string) => (row[name] == null ? null : String(row[name]));
  const instant = (name: string) => (row[name] == null ? null : fromSqlInstant(String(row[name])));
  return {
    id: String(row['id']) as SessionId,
    acctSessionId: text('session_id') ?? '',
    username: text('username') ?? '',
    loginId: text('login_id') as LoginId | null,
    subscriberId: text('subscriber_id'),
    subscriberName: text('subscriber_name'),
    routerId: text('router_id'),
    routerName: text('router_name'),
    routerAddress: text('source') ?? '',
    claimedAddress: text('claimed'),
    port: text('port'),
    address: text('address') ?? '',
    ipv6Prefix: text('prefix') ?? '',
    delegatedPrefix: text('delegated') ?? '',
    mac: text('mac') ?? '',
    startedAt: instant('started'),
    heardAt: instant('updated') ?? instant('started'),
    stoppedAt: instant('stopped'),
    isStopSeen: Number(row['stop_seen']) === 1,
    cause: text('cause') ?? '',
    upBytes: BigInt(row['up'] ?? 0),
    downBytes: BigInt(row['down'] ?? 0),
    class: text('class'),
    decision: decisionOf(row),
    // Fingerprints are empty where a CoA is in doubt and nobody knew what was there before.
    acknowledged:
      (text('ack_access') ?? '') === ''
        ? null
        : {
            accessFingerprint: text('ack_access') ?? '',
            redialFingerprint: text('ack_redial') ?? '',
            at: instant('ack_at'),
          },
    claimedGoneAt: instant('gone_at'),
    isKickWanted: row['kick'] != null,
    queued:
      row['q_id'] == null
        ? null
        : {
            isParked: Number(row['q_parked']) === 1,
            attempts: Number(row['q_attempts']),
            lastError: text('q_error'),
          },
    last,
  };
}

function decisionOf(row: Row): SessionRow['decision'] {
  if (row['access'] == null) return null;
  const pairs = JSON.parse(String(row['coa_attributes'])) as [string, string][];
  return {
    access: row['access'] as AccessKind,
    reason: String(row['reason']),
    generation: String(row['generation']),
    accessFingerprint: String(row['access_fingerprint']),
    redialFingerprint: String(row['redial_fingerprint']),
    rate: pairs.find(([name]) => name === 'Mikrotik-Rate-Limit')?.[1] ?? null,
  };
}

export interface PacketView extends EnforcementView {
  readonly because: string;
  readonly detail: string | null;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly pairs: readonly (readonly [string, string])[];
}

/** CoA and Disconnect packets about one session, the newest first. */
export async function packetsOfSession(db: Db, id: string, limit: number): Promise<PacketView[]> {
  const rows = await db('enforcement')
    .where({ radacctid: id })
    .orderBy('id', 'desc')
    .limit(limit)
    .select<Row[]>('*');
  return rows.map((row) => ({
    ...enforcementView(row),
    because: String(row['because']),
    detail: row['detail'] == null ? null : String(row['detail']),
    requestedBy: String(row['requested_by']),
    requestedAt: fromSqlInstant(String(row['requested_at'])),
    pairs: JSON.parse(String(row['attributes'])) as [string, string][],
  }));
}

/** One who may have had an address. */
export interface AddressHolder {
  readonly id: SessionId;
  readonly startedAt: Date;
  /** The last that was heard of it. */
  readonly heardAt: Date;
  readonly stoppedAt: Date | null;
  readonly isStopSeen: boolean;
}

/** An address costs as many index entries as there are spellings and sessions that began last; long ones are among them. */
const holdersLookedAt = 50;

/**
 * Sessions with that IPv4 address, or with one of those IPv6 prefixes, that began before the instant: the last of them
 * first, at most fifty of each.
 */
export async function sessionsWithAddress(
  db: Db,
  address: { ipv4: string } | { prefixes: readonly string[] },
  before: Date,
): Promise<AddressHolder[]> {
  const looks: [index: string, column: string, values: readonly string[]][] =
    'ipv4' in address
      ? [['radacct_address', 'framedipaddress', [address.ipv4]]]
      : [
          ['radacct_delegated', 'delegatedipv6prefix', address.prefixes],
          ['radacct_prefix', 'framedipv6prefix', address.prefixes],
        ];
  const found = new Map<string, AddressHolder>();
  for (const [index, column, values] of looks) {
    const one = `(SELECT radacctid, acctstarttime, acctupdatetime, acctstoptime, stop_seen FROM radacct FORCE INDEX (${index})
      WHERE ${column} = ? AND acctstarttime <= ? ORDER BY acctstarttime DESC LIMIT ${holdersLookedAt})`;
    const [rows] = (await db.raw(
      values.map(() => one).join(' UNION ALL '),
      values.flatMap((value) => [value, before.toISOString().slice(0, 19).replace('T', ' ')]),
    )) as unknown as [Row[]];
    for (const row of rows) found.set(String(row['radacctid']), holderOf(row));
  }
  return [...found.values()].sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime());
}

function holderOf(row: Row): AddressHolder {
  const startedAt = fromSqlInstant(String(row['acctstarttime']));
  return {
    id: String(row['radacctid']) as SessionId,
    startedAt,
    heardAt: row['acctupdatetime'] == null ? startedAt : fromSqlInstant(String(row['acctupdatetime'])),
    stoppedAt: row['acctstoptime'] == null ? null : fromSqlInstant(String(row['acctstoptime'])),
    isStopSeen: Number(row['stop_seen']) === 1,
  };
}
