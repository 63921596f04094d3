import type { AccessDecision } from '../domain/access.ts';
import type { AccessKind, Reason } from '../domain/access-types.ts';
import type { LoginId } from '../domain/ids.ts';
import { formatRateLimit } from '../domain/rate-limit.ts';
import { chunksOf, type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';

/** What a login was last decided to have: sessions are compared with it, and pages show it. */
export interface StoredDecision {
  readonly loginId: LoginId;
  readonly access: AccessKind;
  readonly reason: Reason;
  /** Mikrotik-Rate-Limit text of a throttle. */
  readonly rateLimit: string | null;
  readonly reviewAt: Date | null;
  readonly generation: bigint;
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
  readonly coaAttributes: readonly (readonly [string, string])[];
  readonly decidedAt: Date;
  readonly requestedBy: string;
}

/** What was decided now, and for whom. */
export interface Decided {
  readonly loginId: LoginId;
  readonly decision: AccessDecision;
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
  readonly coaAttributes: readonly (readonly [string, string])[];
  readonly requestedBy: string;
}

export async function decisionsOf(
  db: Db,
  loginIds: readonly LoginId[],
): Promise<Map<LoginId, StoredDecision>> {
  const found = new Map<LoginId, StoredDecision>();
  for (const chunk of chunksOf(loginIds, 500)) {
    const rows = await db('access_decision').select<DecisionRow[]>('*').whereIn('login_id', chunk);
    for (const row of rows) found.set(row.login_id, asDecision(row));
  }
  return found;
}

/**
 * Stores decisions that differ from the stored ones, and appends to the history of those whose access, reason or
 * generation changed. The generation rises when a live session may have to change: with the access or a fingerprint.
 * The caller's transaction holds the keys in the queue, so nobody else decides these logins meanwhile.
 */
export async function saveDecisions(trx: Trx, decided: readonly Decided[], at: Date): Promise<number> {
  const sorted = [...decided].sort((a, b) => Number(BigInt(a.loginId) - BigInt(b.loginId)));
  let count = 0;
  for (const chunk of chunksOf(sorted, 500)) {
    const stored = await decisionsOf(
      trx,
      chunk.map((one) => one.loginId),
    );
    const changed = chunk
      .map((one) => ({ one, before: stored.get(one.loginId), row: rowOf(one, stored.get(one.loginId), at) }))
      .filter(({ row, before }) => before === undefined || differs(row, before));
    if (changed.length === 0) continue;
    count += changed.length;
    await trx('access_decision')
      .insert(changed.map(({ row }) => row))
      .onConflict('login_id')
      .merge();
    const history = changed.filter(
      ({ row, before }) => row.generation !== before?.generation.toString() || row.reason !== before.reason,
    );
    if (history.length > 0) await trx('access_change').insert(history.map(historyRow));
  }
  return count;
}

function historyRow({ row, before }: { row: DecisionRow; before: StoredDecision | undefined }) {
  return {
    login_id: row.login_id,
    at: row.decided_at,
    from_access: before?.access ?? null,
    to_access: row.access,
    reason: row.reason,
    generation: row.generation,
    requested_by: row.requested_by,
  };
}

interface DecisionRow {
  login_id: LoginId;
  access: AccessKind;
  reason: Reason;
  rate_limit: string | null;
  review_at: string | null;
  generation: string;
  access_fingerprint: string;
  redial_fingerprint: string;
  coa_attributes: string;
  decided_at: string;
  requested_by: string;
}

function rowOf(one: Decided, before: StoredDecision | undefined, at: Date): DecisionRow {
  const { access, reason, reviewAt } = one.decision;
  const rateLimit = access.kind === 'throttled' ? formatRateLimit(access.rate) : null;
  const isSame =
    before?.access === access.kind &&
    before.accessFingerprint === one.accessFingerprint &&
    before.redialFingerprint === one.redialFingerprint;
  return {
    login_id: one.loginId,
    access: access.kind,
    reason,
    rate_limit: rateLimit,
    review_at: reviewAt === null ? null : sqlInstant(reviewAt),
    generation: ((before?.generation ?? 0n) + (isSame ? 0n : 1n)).toString(),
    access_fingerprint: one.accessFingerprint,
    redial_fingerprint: one.redialFingerprint,
    coa_attributes: JSON.stringify(one.coaAttributes),
    decided_at: sqlInstant(at),
    requested_by: one.requestedBy,
  };
}

function differs(row: DecisionRow, before: StoredDecision): boolean {
  return (
    row.generation !== before.generation.toString() ||
    row.reason !== before.reason ||
    row.rate_limit !== before.rateLimit ||
    row.review_at !== (before.reviewAt === null ? null : sqlInstant(before.reviewAt)) ||
    row.coa_attributes !== JSON.stringify(before.coaAttributes)
  );
}

function asDecision(row: DecisionRow): StoredDecision {
  return {
    loginId: row.login_id,
    access: row.access,
    reason: row.reason,
    rateLimit: row.rate_limit,
    reviewAt: row.review_at === null ? null : fromSqlInstant(row.review_at),
    generation: BigInt(row.generation),
    accessFingerprint: row.access_fingerprint,
    redialFingerprint: row.redial_fingerprint,
    coaAttributes: JSON.parse(row.coa_attributes) as (readonly [string, string])[],
    decidedAt: fromSqlInstant(row.decided_at),
    requestedBy: row.requested_by,
  };
}
