import type { Knex } from 'knex';
import type { EvidenceState, EvidenceVerdict } from '../domain/evidence.ts';
import { attemptsMax } from '../domain/backoff.ts';
import type { SessionId } from '../domain/ids.ts';
import { forgetKicks } from './enforcement.ts';
import { type Db, fromSqlInstant, inTransaction, sqlInstant, type Trx } from './knex.ts';
import { databaseNow } from './leases.ts';
import { randomVersion, requestReconcile } from './reconcile-requests.ts';

export interface DueEvidence extends EvidenceState {
  readonly id: string;
  readonly sessionId: SessionId;
  readonly routerId: string;
  readonly requestedBy: string;
}

interface Row {
  id: string;
  radacctid: SessionId;
  router_id: string;
  requested_by: string;
  outcome: EvidenceState['outcome'];
  action: 'coa' | 'disconnect';
  sent_at: string;
  answered_at: string | null;
  checks: number;
  known: string | null;
  acctstoptime: string | null;
  stop_seen: number;
  heard_at: string | null;
  disobeyed: string;
}

/** What the detail of an acknowledged Disconnect says whose session went on. */
export const disobeyedDetail = 'acknowledged without obeying';

/** Of those that wait for their time, the next so many may be looked up in accounting. */
export interface EvidenceWalk {
  /** The `next_check_at` up to which the last look came; null to begin. */
  readonly after: string | null;
  readonly most: number;
}

/**
 * Evidence to look at: what is due, and of the next of those that wait what accounting has news of already. While routers
 * answer and their Stops are on the way a hundred thousand may wait: all of them at each look would be read in vain. Gives
 * where the walk over them goes on, null at its end.
 */
export async function dueEvidence(
  db: Db,
  now: Date,
  options: { slackSeconds: number; limit: number; walk: EvidenceWalk },
): Promise<{ due: DueEvidence[]; next: string | null }> {
  const at = sqlInstant(now);
  const after = options.walk.after === null || options.walk.after < at ? at : options.walk.after;
  const next = await endOfWalk(db, after, options.walk.most);
  const [rows] = (await db.raw(
    `SELECT e.id, e.radacctid, e.router_id, e.requested_by, e.outcome, e.action, e.sent_at, e.answered_at, e.checks,
            a.radacctid AS known, a.acctstoptime, COALESCE(a.stop_seen, 0) AS stop_seen,
            COALESCE(a.acctupdatetime, a.acctstarttime) AS heard_at,
            (SELECT COUNT(*) FROM enforcement b WHERE b.radacctid = e.radacctid AND b.detail = ?) AS disobeyed
     FROM enforcement e FORCE INDEX (enforcement_check) LEFT JOIN radacct a ON a.radacctid = e.radacctid
     WHERE e.next_check_at <= ?
       OR (e.next_check_at > ? ${next === null ? '' : 'AND e.next_check_at <= ?'} AND e.outcome <> 'pending'
           AND (a.acctstoptime IS NOT NULL
             OR a.acctupdatetime > COALESCE(e.answered_at, e.sent_at) + INTERVAL ? SECOND))
     ORDER BY e.next_check_at LIMIT ?`,
    [disobeyedDetail, at, after, ...(next === null ? [] : [next]), options.slackSeconds, options.limit],
  )) as unknown as [Row[]];
  return { due: rows.map(asDueEvidence), next: rows.length < options.limit ? next : after };
}

/** Several may wait for the same instant: they are of one look. */
async function endOfWalk(db: Db, after: string, most: number): Promise<string | null> {
  const row = await db
    .from(db.raw('enforcement FORCE INDEX (enforcement_check)'))
    .where('next_check_at', '>', after)
    .orderBy('next_check_at')
    .offset(most - 1)
    .first<{ next_check_at: string } | undefined>('next_check_at');
  return row?.next_check_at ?? null;
}

function asDueEvidence(row: Row): DueEvidence {
  return {
    id: row.id,
    sessionId: row.radacctid,
    routerId: row.router_id,
    requestedBy: row.requested_by,
    outcome: row.outcome,
    action: row.action,
    since: fromSqlInstant(row.answered_at ?? row.sent_at),
    checks: row.checks,
    disobeyed: Number(row.disobeyed),
    session:
      row.known === null
        ? null
        : {
            isOpen: row.acctstoptime === null,
            isStopSeen: row.stop_seen === 1,
            heardAt: row.heard_at === null ? null : fromSqlInstant(row.heard_at),
          },
  };
}

export interface Judged {
  readonly evidence: DueEvidence;
  readonly verdict: EvidenceVerdict;
}

/** Writes verdicts down, asks again for sessions that went on, and parks those that go on whatever is sent. */
export async function recordVerdicts(db: Knex, judged: readonly Judged[], now: Date): Promise<void> {
  await inTransaction(db, async (trx) => {
    for (const [columns, ids] of groupsOf(judged, now)) {
      await trx('enforcement').whereIn('id', ids).whereNotNull('next_check_at').update(columns);
    }
    const sessionsOf = (kinds: readonly EvidenceVerdict['kind'][]) =>
      judged.filter(({ verdict }) => kinds.includes(verdict.kind)).map(({ evidence }) => evidence);
    await forgetKicks(
      trx,
      sessionsOf(['confirmed', 'ended', 'give_up', 'park']).map((evidence) => evidence.sessionId),
    );
    for (const evidence of sessionsOf(['send_again'])) {
      await requestReconcile(
        trx,
        [{ kind: 'session', key: evidence.sessionId, routerId: evidence.routerId }],
        { priority: 'tail', requestedBy: evidence.requestedBy },
      );
    }
    await park(trx, sessionsOf(['park']));
  });
}

/** Rows that get the same columns go with one statement. */
function groupsOf(
  judged: readonly Judged[],
  now: Date,
): [Record<string, string | number | null>, string[]][] {
  const groups = new Map<string, string[]>();
  for (const { evidence, verdict } of judged) {
    const key = JSON.stringify(columnsOf(verdict, evidence, now));
    groups.set(key, [...(groups.get(key) ?? []), evidence.id]);
  }
  return [...groups].map(([key, ids]) => [JSON.parse(key) as Record<string, string | number | null>, ids]);
}

function columnsOf(
  verdict: EvidenceVerdict,
  evidence: DueEvidence,
  now: Date,
): Record<string, string | number | null> {
  switch (verdict.kind) {
    case 'confirmed':
      return { confirmed_at: sqlInstant(now), confirmed_by: 'stop', next_check_at: null };
    case 'ended':
      return { detail: 'ended without a Stop', next_check_at: null };
    case 'abandoned':
      return { outcome: 'abandoned', detail: 'the sender ended before an answer', next_check_at: null };
    case 'later':
      return {
        next_check_at: sqlInstant(new Date(now.getTime() + verdict.waitMs)),
        checks: evidence.checks + 1,
      };
    case 'send_again':
    case 'park':
      return { detail: disobeyedDetail, next_check_at: null };
    case 'give_up':
      return { detail: 'no Stop seen', next_check_at: null };
    case 'not_proved':
      return { next_check_at: null };
  }
}

/** Under Needs attention, with the reason. A newer wish that waits already is left alone. */
async function park(trx: Trx, evidence: readonly DueEvidence[]): Promise<void> {
  if (evidence.length === 0) return;
  await trx('reconcile_queue')
    .insert(
      evidence.map((one) => ({
        kind: 'session',
        key: one.sessionId,
        version: randomVersion(),
        priority: 0,
        not_before: databaseNow(trx),
        attempts: attemptsMax,
        is_parked: true,
        router_id: one.routerId,
        requested_by: one.requestedBy,
        requested_at: databaseNow(trx),
        last_error: `Disconnect ${disobeyedDetail}, ${one.disobeyed + 1} times`,
      })),
    )
    .onConflict(['kind', 'key'])
    .ignore();
}
