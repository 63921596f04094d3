import { sessionNotFound, type SessionState, type WantedAccess } from '../domain/enforcement.ts';
import type { LoginId, RouterId, SessionId } from '../domain/ids.ts';
import { chunksOf, type Db, fromSqlInstant, type Trx } from './knex.ts';
import { databaseNow } from './leases.ts';
import { asNumber, priorities, type Priority, randomVersion } from './reconcile-requests.ts';

export interface Why {
  priority: Priority;
  /** Correlation id. */
  requestedBy: string;
}

/**
 * Requests the open sessions of these logins that do not have what their decision says, in the caller's transaction:
 * those whose fingerprints differ, whose login is denied, whose last CoA nobody answered, or whose Class is not ours.
 * A session that its router claimed gone is left out until an interim says otherwise. Gives how many were requested.
 */
export async function requestDifferingSessions(
  db: Db,
  loginIds: readonly LoginId[],
  why: Why,
): Promise<number> {
  const sorted = [...loginIds].sort((a, b) => Number(BigInt(a) - BigInt(b)));
  let requested = 0;
  for (const chunk of chunksOf(sorted, 500)) {
    requested += await requestSessions(db, why, {
      where: `l.id IN (${chunk.map(() => '?').join(', ')}) AND a.acctstoptime IS NULL AND ${sessionDiffers}`,
      bindings: chunk,
    });
  }
  return requested;
}

const sessionWithDecision = `
  FROM login l
  JOIN access_decision d ON d.login_id = l.id
  JOIN radacct a ON a.username = l.username
  LEFT JOIN session_access s ON s.radacctid = a.radacctid
  LEFT JOIN router n ON a.router_id IS NULL AND n.live_address = a.nasipaddress`;

/** What a session has is its last acknowledged CoA, else its Class; a Class that is not ours says nothing. */
export const sessionDiffers = `(s.claimed_gone_at IS NULL OR a.acctupdatetime > s.claimed_gone_at)
  AND (d.access = 'denied'
    OR s.unanswered_at IS NOT NULL
    OR s.access_fingerprint <> d.access_fingerprint
    OR s.redial_fingerprint <> d.redial_fingerprint
    OR (s.radacctid IS NULL AND (a.class IS NULL OR a.class NOT LIKE
        CONCAT('S1.', l.id, '.', d.access_fingerprint, '.', d.redial_fingerprint, '.%'))))`;

async function requestSessions(
  db: Db,
  why: Why,
  which: { where: string; bindings: readonly string[] },
): Promise<number> {
  const now = databaseNow(db);
  // A random version for each row from one random number: XOR with the row's key, an eighth of a digest's price.
  const [result] = (await db.raw(
    `INSERT INTO reconcile_queue
       (kind, \`key\`, version, priority, not_before, router_id, requested_by, requested_at)
     SELECT 'session', a.radacctid, ? ^ a.radacctid,
            ?, ?, COALESCE(a.router_id, n.id), ?, ?
     ${sessionWithDecision}
     WHERE ${which.where} AND COALESCE(a.router_id, n.id) IS NOT NULL
     ORDER BY a.radacctid
     ON DUPLICATE KEY UPDATE version = VALUES(version), priority = GREATEST(reconcile_queue.priority, VALUES(priority)),
       not_before = VALUES(not_before), router_id = VALUES(router_id), requested_by = VALUES(requested_by),
       requested_at = VALUES(requested_at), attempts = 0, is_parked = FALSE`,
    [asNumber(randomVersion()), priorities[why.priority], now, why.requestedBy, now, ...which.bindings],
  )) as unknown as [{ info: string; affectedRows: number }];
  return Number(/Records: (\d+)/.exec(result.info)?.[1] ?? result.affectedRows);
}

/** All that the lane has to know about a session to decide and to send. */
export interface SessionFacts {
  readonly id: SessionId;
  readonly username: string;
  readonly acctSessionId: string;
  readonly framedIpAddress: string;
  /** Null where no login has this username. */
  readonly loginId: LoginId | null;
  readonly routerId: RouterId | null;
  readonly state: SessionState;
  /** Undefined: unknown login; null: not decided yet. */
  readonly wanted: WantedAccess | null | undefined;
  readonly isKicked: boolean;
}

/**
 * Holds the decisions of these sessions' logins against change until the transaction ends, and gives whose they are:
 * whoever decides anew meanwhile waits, and then finds in session_access what was sent, so that no packet of an older
 * decision goes unnoticed. One that somebody is just writing is left out, so nobody is waited for. To hold is a write,
 * because on Galera the nodes see only what is written: of a decision made anew on one node and a packet prepared on
 * another, the one that commits second is undone and begins again.
 */
export async function holdDecisionsOf(trx: Trx, sessionIds: readonly SessionId[]): Promise<Set<string>> {
  const logins = await trx('radacct as a')
    .join('login as l', 'l.username', 'a.username')
    .whereIn('a.radacctid', [...sessionIds])
    .distinct()
    .pluck<string[]>('l.id');
  if (logins.length === 0) return new Set();
  // Without the hint a small table would be scanned, and strangers locked on the way.
  const held = await trx
    .from(trx.raw('access_decision FORCE INDEX (PRIMARY)'))
    .whereIn('login_id', logins)
    .orderBy('login_id')
    .forUpdate()
    .skipLocked()
    .pluck<string[]>('login_id');
  if (held.length === 0) return new Set();
  await trx.raw(
    `UPDATE access_decision FORCE INDEX (PRIMARY) SET looks = looks + 1
      WHERE login_id IN (${held.map(() => '?').join(', ')})`,
    held,
  );
  return new Set(held);
}

interface FactsRow {
  radacctid: SessionId;
  username: string;
  acctsessionid: string;
  framedipaddress: string;
  router_id: RouterId | null;
  acctstarttime: string | null;
  acctupdatetime: string | null;
  acctstoptime: string | null;
  class: string | null;
  login_id: LoginId | null;
  access: WantedAccess['access'] | null;
  reason: string;
  generation: string;
  wanted_access_fingerprint: string;
  wanted_redial_fingerprint: string;
  coa_attributes: string;
  decided_at: string;
  changed_at: string | null;
  has_access: string | null;
  has_redial: string | null;
  has_generation: string;
  acknowledged_at: string | null;
  unanswered_at: string | null;
  unanswered_generation: string | null;
  claimed_gone_at: string | null;
  refused_generation: string | null;
  is_kicked: number;
  is_ending: number;
}

/** Facts of sessions by id, in one statement; ids that accounting doesn't know are left out. */
export async function sessionFacts(db: Db, ids: readonly SessionId[]): Promise<Map<SessionId, SessionFacts>> {
  const found = new Map<SessionId, SessionFacts>();
  for (const chunk of chunksOf(ids, 500)) {
    const rows: FactsRow[] = await db('radacct as a')
      .leftJoin('login as l', 'l.username', 'a.username')
      .leftJoin('access_decision as d', 'd.login_id', 'l.id')
      .leftJoin('session_access as s', 's.radacctid', 'a.radacctid')
      .leftJoin('kick as k', 'k.radacctid', 'a.radacctid')
      .leftJoin('router as n', (on) => {
        on.on('n.live_address', 'a.nasipaddress').andOnNull('a.router_id');
      })
      .whereIn('a.radacctid', chunk)
      .select(factColumns)
      .select({
        router_id: db.raw('COALESCE(a.router_id, n.id)'),
        // Asked only where the Class does not say what the session was accepted with: a login's history grows for years.
        changed_at: db.raw(
          `IF(a.class LIKE CONCAT('S1.', l.id, '.%'), NULL,
            (SELECT MIN(c.at) FROM access_change c WHERE c.login_id = d.login_id AND c.generation = d.generation))`,
        ),
        refused_generation: db.raw(
          `(SELECT MAX(e.generation) FROM ${ofNote} WHERE e.of_note = a.radacctid AND e.action = 'coa'
            AND e.outcome = 'nak' AND NOT e.error_cause <=> ?)`,
          [sessionNotFound],
        ),
        is_kicked: db.raw('k.radacctid IS NOT NULL'),
        is_ending: db.raw(sessionIsEnding),
      });
    for (const row of rows) found.set(row.radacctid, factsOf(row));
  }
  return found;
}

/** Named, because most of its keys are NULL: by its statistics the optimizer chose other indexes, and read ten times as much. */
const ofNote = 'enforcement e FORCE INDEX (enforcement_of_note)';

/** A Disconnect was acknowledged and evidence still waits for its Stop. */
export const sessionIsEnding = `EXISTS (SELECT 1 FROM ${ofNote} WHERE e.of_note = a.radacctid AND e.action = 'disconnect'
  AND e.outcome = 'ack' AND e.next_check_at IS NOT NULL)`;

const factColumns = {
  radacctid: 'a.radacctid',
  username: 'a.username',
  acctsessionid: 'a.acctsessionid',
  framedipaddress: 'a.framedipaddress',
  acctstarttime: 'a.acctstarttime',
  acctupdatetime: 'a.acctupdatetime',
  acctstoptime: 'a.acctstoptime',
  class: 'a.class',
  login_id: 'l.id',
  access: 'd.access',
  reason: 'd.reason',
  generation: 'd.generation',
  wanted_access_fingerprint: 'd.access_fingerprint',
  wanted_redial_fingerprint: 'd.redial_fingerprint',
  coa_attributes: 'd.coa_attributes',
  decided_at: 'd.decided_at',
  has_access: 's.access_fingerprint',
  has_redial: 's.redial_fingerprint',
  has_generation: 's.generation',
  acknowledged_at: 's.acknowledged_at',
  unanswered_at: 's.unanswered_at',
  unanswered_generation: 's.unanswered_generation',
  claimed_gone_at: 's.claimed_gone_at',
};

function factsOf(row: FactsRow): SessionFacts {
  const hasAccess = row.has_access !== null && row.has_access !== '';
  return {
    id: row.radacctid,
    username: row.username,
    acctSessionId: row.acctsessionid,
    framedIpAddress: row.framedipaddress,
    loginId: row.login_id,
    routerId: row.router_id,
    isKicked: row.is_kicked === 1,
    wanted: wantedOf(row),
    state: {
      isOpen: row.acctstoptime === null,
      class: row.class,
      startedAt: instant(row.acctstarttime),
      heardAt: instant(row.acctupdatetime ?? row.acctstarttime),
      acknowledged: hasAccess
        ? {
            accessFingerprint: row.has_access ?? '',
            redialFingerprint: row.has_redial ?? '',
            at: instant(row.acknowledged_at),
            generation: BigInt(row.has_generation),
          }
        : null,
      unanswered:
        row.unanswered_at === null
          ? null
          : { at: fromSqlInstant(row.unanswered_at), generation: BigInt(row.unanswered_generation ?? 0) },
      claimedGoneAt: instant(row.claimed_gone_at),
      refusedGeneration: row.refused_generation === null ? null : BigInt(row.refused_generation),
      isEnding: row.is_ending === 1,
    },
  };
}

function wantedOf(row: FactsRow): WantedAccess | null | undefined {
  if (row.login_id === null) return undefined;
  if (row.access === null) return null;
  return {
    loginId: row.login_id,
    access: row.access,
    reason: row.reason,
    generation: BigInt(row.generation),
    accessFingerprint: row.wanted_access_fingerprint,
    redialFingerprint: row.wanted_redial_fingerprint,
    since: fromSqlInstant(row.changed_at ?? row.decided_at),
    coaAttributes: JSON.parse(row.coa_attributes) as [string, string][],
  };
}

function instant(text: string | null): Date | null {
  return text === null ? null : fromSqlInstant(text);
}

/** What retransmits are checked against: the newest generation, and whether the session ended meanwhile. */
export interface SessionNow {
  readonly generation: bigint | null;
  readonly isOpen: boolean;
}

export async function sessionsNow(db: Db, ids: readonly SessionId[]): Promise<Map<SessionId, SessionNow>> {
  const now = new Map<SessionId, SessionNow>();
  for (const chunk of chunksOf(ids, 500)) {
    const rows = await db('radacct as a')
      .leftJoin('login as l', 'l.username', 'a.username')
      .leftJoin('access_decision as d', 'd.login_id', 'l.id')
      .whereIn('a.radacctid', chunk)
      .select<{ id: SessionId; generation: string | null; acctstoptime: string | null }[]>({
        id: 'a.radacctid',
        generation: 'd.generation',
        acctstoptime: 'a.acctstoptime',
      });
    for (const row of rows) {
      now.set(row.id, {
        generation: row.generation === null ? null : BigInt(row.generation),
        isOpen: row.acctstoptime === null,
      });
    }
  }
  return now;
}

export interface OpenSession {
  readonly id: SessionId;
  readonly username: string;
  readonly loginId: LoginId | null;
  readonly subscriberId: string | null;
  readonly routerId: RouterId | null;
  /** The last Start or Interim-Update. */
  readonly heardAt: Date | null;
}

/** Open sessions of a username, or those of these ids, newest first, at most a hundred. */
export async function openSessions(
  db: Db,
  which: { username: string } | { sessionIds: readonly string[] },
): Promise<OpenSession[]> {
  const rows: OpenRow[] = await db('radacct as a')
    .leftJoin('login as l', 'l.username', 'a.username')
    .leftJoin('subscription as u', 'u.id', 'l.subscription_id')
    .leftJoin('router as n', (on) => {
      on.on('n.live_address', 'a.nasipaddress').andOnNull('a.router_id');
    })
    .where((by) => {
      if ('username' in which) void by.where('a.username', which.username);
      else void by.whereIn('a.radacctid', [...which.sessionIds]);
    })
    .whereNull('a.acctstoptime')
    .orderBy('a.radacctid', 'desc')
    .limit(100)
    .select({
      id: 'a.radacctid',
      username: 'a.username',
      login_id: 'l.id',
      subscriber_id: 'u.subscriber_id',
      router_id: db.raw('COALESCE(a.router_id, n.id)'),
      heard_at: db.raw('COALESCE(a.acctupdatetime, a.acctstarttime)'),
    });
  return rows.map((row) => ({
    id: row.id,
    username: row.username,
    loginId: row.login_id,
    subscriberId: row.subscriber_id,
    routerId: row.router_id,
    heardAt: instant(row.heard_at),
  }));
}

interface OpenRow {
  id: SessionId;
  username: string;
  login_id: LoginId | null;
  subscriber_id: string | null;
  router_id: RouterId | null;
  heard_at: string | null;
}
