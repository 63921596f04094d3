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
    const stored = await storedRows(
      trx,
      chunk.map((one) => one.loginId),
    );
    const changed = chunk.flatMap((one) => {
      const before = stored.get(one.loginId);
      const row = rowOf(one, before, at);
      return before === undefined || differs(row, before) ? [{ row, before }] : [];
    });
    if (changed.length === 0) continue;
    count += changed.length;
    await putRows(trx, await changeTogether(trx, changed));
    const history = changed.filter(
      ({ row, before }) => row.generation !== before?.generation || row.reason !== before.reason,
    );
    await appendHistory(trx, history);
  }
  return count;
}

interface Changed {
  readonly row: DecisionRow;
  readonly before: StoredRow | undefined;
}

/** From so many logins on, one statement for what they have in common is cheaper than a row of values for each. */
const togetherFrom = 30;

/** A run decides the same for many: that is told once, with their ids. Gives the rows that are left to be put singly. */
async function changeTogether(trx: Trx, changed: readonly Changed[]): Promise<DecisionRow[]> {
  const groups = new Map<string, DecisionRow[]>();
  const singly: DecisionRow[] = [];
  for (const { row, before } of changed) {
    if (before === undefined) {
      singly.push(row);
      continue;
    }
    const rise = BigInt(row.generation) - BigInt(before.generation);
    const text = JSON.stringify([rise.toString(), ...sharedColumns.map((name) => row[name])]);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, [row]);
    else group.push(row);
  }
  for (const [text, rows] of groups) {
    const [rise, ...values] = JSON.parse(text) as [string, ...(string | null)[]];
    const isChanged = rows.length >= togetherFrom && (await changeAlike(trx, rows, BigInt(rise), values));
    if (!isChanged) singly.push(...rows);
  }
  return singly;
}

/** False where a row that was read a moment ago is gone: it has to be put back. */
async function changeAlike(
  trx: Trx,
  rows: readonly DecisionRow[],
  rise: bigint,
  values: readonly (string | null)[],
): Promise<boolean> {
  const [result] = (await trx.raw(
    `UPDATE access_decision FORCE INDEX (PRIMARY) SET generation = generation + ${rise},
       ${sharedColumns.map((name) => `${name} = ?`).join(', ')}
     WHERE login_id IN (${rows.map(() => '?').join(', ')})`,
    [...values, ...rows.map((row) => row.login_id)],
  )) as unknown as [{ affectedRows: number }];
  return result.affectedRows === rows.length;
}

type StoredRow = Omit<DecisionRow, 'decided_at' | 'requested_by'>;

/** As text: most of it is compared and nothing more. */
async function storedRows(trx: Trx, loginIds: readonly LoginId[]): Promise<Map<LoginId, StoredRow>> {
  const [rows = []]: StoredRow[][] = await trx.raw(
    `SELECT login_id, access, reason, rate_limit, review_at, generation, access_fingerprint, redial_fingerprint,
       coa_attributes FROM access_decision WHERE login_id IN (${loginIds.map(() => '?').join(', ')})`,
    [...loginIds],
  );
  return new Map(rows.map((row) => [row.login_id, row]));
}

async function putRows(trx: Trx, rows: readonly DecisionRow[]): Promise<void> {
  if (rows.length === 0) return;
  await trx.raw(
    `INSERT INTO access_decision (${decisionColumns.join(', ')})
     VALUES ${rows.map(() => `(${decisionColumns.map(() => '?').join(', ')})`).join(', ')}
     ON DUPLICATE KEY UPDATE ${decisionColumns
       .slice(1)
       .map((name) => `${name} = VALUES(${name})`)
       .join(', ')}`,
    rows.flatMap((row) => decisionColumns.map((name) => row[name])),
  );
}

/** All that says nothing about which login it is. */
const sharedColumns = [
  'access',
  'reason',
  'rate_limit',
  'review_at',
  'access_fingerprint',
  'redial_fingerprint',
  'coa_attributes',
  'decided_at',
  'requested_by',
] as const;

const decisionColumns = ['login_id', 'generation', ...sharedColumns] as const;

async function appendHistory(trx: Trx, changed: readonly Changed[]): Promise<void> {
  if (changed.length === 0) return;
  await trx.raw(
    `INSERT INTO access_change (login_id, at, from_access, to_access, reason, generation, requested_by)
     VALUES ${changed.map(() => '(?, ?, ?, ?, ?, ?, ?)').join(', ')}`,
    changed.flatMap(({ row, before }) => [
      row.login_id,
      row.decided_at,
      before?.access ?? null,
      row.access,
      row.reason,
      row.generation,
      row.requested_by,
    ]),
  );
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

function rowOf(one: Decided, before: StoredRow | undefined, at: Date): DecisionRow {
  const { access, reason, reviewAt } = one.decision;
  const rateLimit = access.kind === 'throttled' ? formatRateLimit(access.rate) : null;
  const isSame =
    before?.access === access.kind &&
    before.access_fingerprint === one.accessFingerprint &&
    before.redial_fingerprint === one.redialFingerprint;
  return {
    login_id: one.loginId,
    access: access.kind,
    reason,
    rate_limit: rateLimit,
    review_at: reviewAt === null ? null : sqlInstant(reviewAt),
    generation: (BigInt(before?.generation ?? 0) + (isSame ? 0n : 1n)).toString(),
    access_fingerprint: one.accessFingerprint,
    redial_fingerprint: one.redialFingerprint,
    coa_attributes: JSON.stringify(one.coaAttributes),
    decided_at: sqlInstant(at),
    requested_by: one.requestedBy,
  };
}

function differs(row: DecisionRow, before: StoredRow): boolean {
  return (
    row.generation !== before.generation ||
    row.reason !== before.reason ||
    row.rate_limit !== before.rate_limit ||
    row.review_at !== before.review_at ||
    row.coa_attributes !== before.coa_attributes
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
