import type { Because } from '../domain/enforcement.ts';
import type { RouterId, SessionId } from '../domain/ids.ts';
import { chunksOf, type Db, sqlInstant, type Trx } from './knex.ts';

/** What is about to be sent. */
export interface NewEvidence {
  readonly sessionId: SessionId;
  readonly loginId: string;
  readonly routerId: RouterId;
  readonly action: 'coa' | 'disconnect';
  readonly why: string;
  readonly because: Because;
  readonly generation: bigint;
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
  readonly attributes: readonly (readonly [string, string])[];
  readonly requestedBy: string;
  /** As it stands in the queue. */
  readonly requestedAt: string;
}

/**
 * Writes down what is about to be sent, before it is: a sender that dies in between leaves a row that says so. Gives the
 * ids in the order of the rows. `checkAt` is when somebody else looks, should no outcome have come.
 */
export async function recordSending(
  trx: Trx,
  rows: readonly NewEvidence[],
  at: { sentAt: Date; checkAt: Date },
): Promise<string[]> {
  const ids: string[] = [];
  for (const chunk of chunksOf(rows, 500)) {
    const [result] = (await trx.raw(
      `INSERT INTO enforcement (${evidenceColumns.join(', ')})
       VALUES ${chunk.map(() => `(${evidenceColumns.map(() => '?').join(', ')})`).join(', ')} RETURNING id, radacctid`,
      chunk.flatMap((row) => evidenceValues(row, at)),
    )) as unknown as [{ id: string; radacctid: string }[]];
    const idOf = new Map(result.map((row) => [row.radacctid, row.id]));
    ids.push(...chunk.map((row) => idOf.get(row.sessionId) ?? ''));
  }
  return ids;
}

const evidenceColumns = [
  'radacctid',
  'login_id',
  'router_id',
  'action',
  'why',
  'because',
  'generation',
  'access_fingerprint',
  'redial_fingerprint',
  'attributes',
  'requested_by',
  'requested_at',
  'sent_at',
  'next_check_at',
] as const;

function evidenceValues(row: NewEvidence, at: { sentAt: Date; checkAt: Date }): string[] {
  return [
    row.sessionId,
    row.loginId,
    row.routerId,
    row.action,
    row.why.slice(0, 40),
    row.because,
    row.generation.toString(),
    row.accessFingerprint,
    row.redialFingerprint,
    JSON.stringify(row.attributes),
    row.requestedBy,
    row.requestedAt,
    sqlInstant(at.sentAt),
    sqlInstant(at.checkAt),
  ];
}

/**
 * Notes that what these sessions have is in doubt from now on, because a CoA is about to be sent. An older doubt stays:
 * that packet may still be on its way. `has` is what the session had before; empty where nobody knows.
 */
export async function noteDoubt(
  trx: Trx,
  sessions: readonly {
    sessionId: SessionId;
    loginId: string;
    has: { accessFingerprint: string; redialFingerprint: string };
    generation: bigint;
  }[],
  at: Date,
): Promise<void> {
  if (sessions.length === 0) return;
  await trx('session_access')
    .insert(
      sessions.map((session) => ({
        radacctid: session.sessionId,
        login_id: session.loginId,
        access_fingerprint: session.has.accessFingerprint,
        redial_fingerprint: session.has.redialFingerprint,
        generation: 0,
        unanswered_at: sqlInstant(at),
        unanswered_generation: session.generation.toString(),
      })),
    )
    .onConflict(['radacctid'])
    .merge({
      unanswered_generation: trx.raw('COALESCE(unanswered_generation, VALUES(unanswered_generation))'),
      unanswered_at: trx.raw('COALESCE(unanswered_at, VALUES(unanswered_at))'),
      claimed_gone_at: null,
    });
}

export type RecordedOutcome = 'ack' | 'nak' | 'timeout' | 'superseded' | 'abandoned' | 'unsent';

export interface EvidenceOutcome {
  readonly id: string;
  readonly outcome: RecordedOutcome;
  /** Null where nothing was answered. */
  readonly answeredAt: Date | null;
  readonly errorCause: number | null;
  readonly roundTripUs: number | null;
  readonly attempts: number;
  readonly detail: string | null;
  /** When to look for the Stop. */
  readonly nextCheckAt: Date | null;
}

/** Outcomes of a batch in one statement. A row that somebody closed meanwhile stays as it is. */
export async function recordOutcomes(trx: Trx, outcomes: readonly EvidenceOutcome[]): Promise<void> {
  for (const chunk of chunksOf(outcomes, 200)) {
    const table = chunk
      .map(
        () =>
          `SELECT CAST(? AS UNSIGNED) AS id, ? AS outcome, ? AS answered_at, ? AS error_cause, ? AS round_trip_us,
                  ? AS attempts, ? AS detail, ? AS next_check_at`,
      )
      .join(' UNION ALL ');
    await trx.raw(
      `UPDATE enforcement e JOIN (${table}) o ON e.id = o.id
       SET e.outcome = o.outcome, e.answered_at = o.answered_at, e.error_cause = o.error_cause,
           e.round_trip_us = o.round_trip_us, e.attempts = o.attempts, e.detail = o.detail,
           e.next_check_at = o.next_check_at
       WHERE e.outcome IN ('pending', 'abandoned')`,
      chunk.flatMap((one) => [
        one.id,
        one.outcome,
        one.answeredAt === null ? null : sqlInstant(one.answeredAt),
        one.errorCause,
        one.roundTripUs,
        one.attempts,
        one.detail?.slice(0, 120) ?? null,
        one.nextCheckAt === null ? null : sqlInstant(one.nextCheckAt),
      ]) as string[],
    );
  }
}

interface Has {
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
}

export interface AcknowledgedAccess extends Has {
  readonly sessionId: SessionId;
  readonly loginId: string;
  readonly generation: bigint;
  /** False: an older CoA may still arrive, so this one is asserted once more. */
  readonly isDoubtOver: boolean;
}

/** What acknowledged CoAs gave their sessions. */
export async function recordAccess(
  trx: Trx,
  sessions: readonly AcknowledgedAccess[],
  at: Date,
): Promise<void> {
  for (const isDoubtOver of [true, false]) {
    const rows = sessions.filter((session) => session.isDoubtOver === isDoubtOver);
    if (rows.length === 0) continue;
    await trx('session_access')
      .insert(rows.map((row) => accessRow(row, { acknowledged_at: sqlInstant(at) })))
      .onConflict(['radacctid'])
      .merge([
        'access_fingerprint',
        'redial_fingerprint',
        'generation',
        'acknowledged_at',
        ...(isDoubtOver ? ['unanswered_at', 'unanswered_generation'] : []),
      ]);
  }
}

/** Sessions whose Class says nothing, and which were accepted from the rows that say what is wanted. */
export async function recordAssumedAccess(
  trx: Trx,
  sessions: readonly (Has & { sessionId: SessionId; loginId: string; generation: bigint })[],
): Promise<void> {
  if (sessions.length === 0) return;
  await trx('session_access')
    .insert(sessions.map((session) => accessRow(session, {})))
    .onConflict(['radacctid'])
    .merge(['access_fingerprint', 'redial_fingerprint', 'generation']);
}

/** The router knows no such session: nothing more is sent about it until it accounts for it again. */
export async function recordClaimedGone(
  trx: Trx,
  sessions: readonly (Has & { sessionId: SessionId; loginId: string })[],
  at: Date,
): Promise<void> {
  if (sessions.length === 0) return;
  await trx('session_access')
    .insert(
      sessions.map((session) =>
        accessRow({ ...session, generation: 0n }, { claimed_gone_at: sqlInstant(at) }),
      ),
    )
    .onConflict(['radacctid'])
    .merge(['claimed_gone_at']);
  await forgetKicks(
    trx,
    sessions.map((session) => session.sessionId),
  );
}

function accessRow(
  row: Has & { sessionId: SessionId; loginId: string; generation: bigint },
  more: Record<string, string>,
): Record<string, string | null> {
  return {
    radacctid: row.sessionId,
    login_id: row.loginId,
    access_fingerprint: row.accessFingerprint,
    redial_fingerprint: row.redialFingerprint,
    generation: row.generation.toString(),
    unanswered_at: null,
    unanswered_generation: null,
    ...more,
  };
}

/** A refused CoA changed nothing (RFC 5176 §2.2): the doubt that it made is over, an older one is not. */
export async function clearDoubt(
  trx: Trx,
  refused: readonly { sessionId: SessionId; generation: bigint }[],
): Promise<void> {
  if (refused.length === 0) return;
  await trx.raw(
    `UPDATE session_access SET unanswered_at = NULL, unanswered_generation = NULL
     WHERE (radacctid, unanswered_generation) IN (${refused.map(() => '(?, ?)').join(', ')})`,
    refused.flatMap((one) => [one.sessionId, one.generation.toString()]),
  );
}

/** Staff want these sessions ended; asked twice it is one wish. */
export async function recordKicks(
  trx: Trx,
  sessionIds: readonly SessionId[],
  by: { actor: string; at: Date },
): Promise<void> {
  await trx('kick')
    .insert(
      sessionIds.map((id) => ({ radacctid: id, requested_by: by.actor, requested_at: sqlInstant(by.at) })),
    )
    .onConflict(['radacctid'])
    .ignore();
}

export async function forgetKicks(trx: Db, sessionIds: readonly SessionId[]): Promise<void> {
  for (const chunk of chunksOf(sessionIds, 500)) await trx('kick').whereIn('radacctid', chunk).del();
}
