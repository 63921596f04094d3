import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import {
  forgetKicks,
  type NewEvidence,
  noteDoubt,
  recordAssumedAccess,
  recordOutcomes,
  recordSending,
} from '../db/enforcement.ts';
import { inTransaction, isPassing, type Trx } from '../db/knex.ts';
import { type Claim, claim, fail } from '../db/reconcile-queue.ts';
import type { RouterRow } from '../db/routers.ts';
import {
  dropSessions,
  type DueSession,
  keepSessions,
  lockDueSessions,
  type SessionWish,
} from '../db/session-claims.ts';
import { holdDecisionsOf, type SessionFacts, sessionFacts } from '../db/sessions.ts';
import { decideEnforcement, type Enforcement } from '../domain/enforcement.ts';
import { asId, type RouterId, type SessionId } from '../domain/ids.ts';
import { parseSessionClass } from '../domain/session-class.ts';
import { describeError, type Log } from '../log.ts';

/** A packet that may be sent: it is written down, and its transaction has committed. */
export interface Sending {
  readonly claim: Claim;
  readonly facts: SessionFacts;
  readonly evidenceId: string;
  readonly evidence: NewEvidence;
}

/** What the sender of one router wants to send now. */
export interface LaneWish extends SessionWish {
  /** Undefined where there is no such router. */
  readonly row: RouterRow | undefined;
}

export interface Prepared {
  readonly sendings: readonly Sending[];
  /** Keys that were looked at, those with nothing to send too. */
  readonly taken: number;
  /** Keys whose decision somebody is just writing: to be looked at again in a moment. */
  readonly passedOver: number;
}

/** An outcome is looked for again after this long, should the sender die. */
const abandonedAfterMs = 120_000;

/**
 * Takes due session keys of some routers, decides what each session needs and writes it down, in one transaction:
 * decisions locked against change, facts, evidence, claims. Nothing may be sent before this has returned, since only then
 * is it certain that whoever decides anew will find what was sent. It waits for no lock: a decision that is being
 * written belongs to somebody whose wish comes with its COMMIT. A router that was removed gets nothing.
 */
export async function prepareSessions(
  db: Knex,
  wishes: readonly LaneWish[],
  options: { claimMs: number; now: Date },
): Promise<Prepared[]> {
  const token = randomBytes(16).toString('hex');
  return inTransaction(db, async (trx) => {
    const due = await lockDueSessions(trx, wishes, token);
    if (due.length === 0) return wishes.map(() => ({ sendings: [], taken: 0, passedOver: 0 }));
    const ids = due.map((key) => asId<SessionId>(key.key));
    const held = await holdDecisionsOf(trx, ids);
    const facts = await sessionFacts(trx, ids);
    const isTaken = (key: DueSession) => isHeld(facts.get(asId<SessionId>(key.key)), held);
    const keys = due.filter(isTaken);
    const sendings = await settle(trx, keys, { wishes, facts, now: options.now });
    const sent = new Set(sendings.map(({ claim }) => claim.id));
    const isSent = (key: DueSession) => sent.has(key.id);
    await keepSessions(trx, keys.filter(isSent), { token, ms: options.claimMs });
    await dropSessions(
      trx,
      keys.filter((key) => !isSent(key)),
    );
    return wishes.map(({ routerId }) => ({
      sendings: sendings.filter(({ claim }) => claim.routerId === routerId),
      taken: keys.filter((key) => key.routerId === routerId).length,
      passedOver: due.filter((key) => key.routerId === routerId && !isTaken(key)).length,
    }));
  });
}

/**
 * The same, where something of one session cannot be read or written: each router apart then, and there each key, until
 * the broken one stands alone. That one fails, with the wait and the end of every failure, and the others go on.
 */
export async function prepareApart(
  deps: { db: Knex; log: Log },
  wishes: readonly LaneWish[],
  options: { claimMs: number; now: Date },
): Promise<Prepared[]> {
  try {
    return await prepareSessions(deps.db, wishes, options);
  } catch (error) {
    const [only, ...others] = wishes;
    if (isPassing(error) || only === undefined) throw error;
    if (others.length > 0) {
      const prepared: Prepared[] = [];
      for (const wish of wishes) prepared.push(...(await prepareApart(deps, [wish], options)));
      return prepared;
    }
    if (only.most + only.urgentMost > 1) {
      return prepareApart(deps, [{ ...only, most: 1, urgentMost: 0 }], options);
    }
    const claims = await claim(deps.db, 'session', { limit: 1, leaseMs: 10_000, routerId: only.routerId });
    const { message } = describeError(error);
    deps.log.error('session not prepared', { session: claims[0]?.key, error: describeError(error) });
    await fail(
      deps.db,
      claims.map((one) => ({ claim: one, error: message })),
    );
    return [{ sendings: [], taken: claims.length, passedOver: 0 }];
  }
}

/** Decides and writes down; gives what may be sent once that has committed. */
async function settle(
  trx: Trx,
  keys: readonly DueSession[],
  given: { wishes: readonly LaneWish[]; facts: ReadonlyMap<SessionId, SessionFacts>; now: Date },
): Promise<Sending[]> {
  const routers = new Map(given.wishes.map((wish) => [wish.routerId, wish.row]));
  const rowOf = (key: Claim) => routers.get(asId<RouterId>(key.routerId ?? ''));
  const decided = keys.flatMap((claim): Decided[] => {
    const session = given.facts.get(asId<SessionId>(claim.key));
    return session === undefined
      ? []
      : [{ claim, session, enforcement: enforcementOf(session, rowOf(claim)) }];
  });
  await recordAssumedAccess(trx, decided.flatMap(assumedOf));
  await forgetKicks(
    trx,
    decided.filter(isKickOver).map(({ session }) => session.id),
  );
  const sendings = await writeDown(trx, decided.flatMap(sendingOf), given.now);
  const isGone = ({ claim }: Sending) => {
    const row = rowOf(claim);
    return row === undefined || row.removedAt !== null;
  };
  await recordUnsent(trx, sendings.filter(isGone));
  return sendings.filter((sending) => !isGone(sending));
}

/** A session without a login or without a decision has nothing to be held. */
function isHeld(session: SessionFacts | undefined, held: ReadonlySet<string>): boolean {
  return session?.wanted == null || held.has(session.wanted.loginId);
}

function enforcementOf(session: SessionFacts, row: RouterRow | undefined): Enforcement {
  return decideEnforcement({
    session: session.state,
    wanted: session.wanted,
    isKicked: session.isKicked,
    rateChange: row?.rateChange ?? 'coa',
  });
}

interface Decided {
  readonly claim: DueSession;
  readonly session: SessionFacts;
  readonly enforcement: Enforcement;
}

/** A wish to end what is gone by itself must not end it should it come back some day. */
function isKickOver({ session, enforcement }: Decided): boolean {
  return session.isKicked && (enforcement.because === 'ended' || enforcement.because === 'claimed_gone');
}

function assumedOf({ session, enforcement }: Decided) {
  const { wanted } = session;
  if (enforcement.because !== 'accepted_since' || wanted == null) return [];
  const { loginId, generation, accessFingerprint, redialFingerprint } = wanted;
  return [{ sessionId: session.id, loginId, generation, accessFingerprint, redialFingerprint }];
}

function sendingOf({ claim, session, enforcement }: Decided): Omit<Sending, 'evidenceId'>[] {
  if (enforcement.action === 'none') return [];
  const { wanted } = session;
  const evidence: NewEvidence = {
    sessionId: session.id,
    loginId: wanted?.loginId ?? session.loginId ?? parseSessionClass(session.state.class)?.loginId ?? '0',
    routerId: asId<RouterId>(claim.routerId ?? '0'),
    action: enforcement.action,
    why: enforcement.because === 'kick' ? 'kick' : (wanted?.reason ?? enforcement.because),
    because: enforcement.because,
    generation: wanted?.generation ?? 0n,
    accessFingerprint: wanted?.accessFingerprint ?? '',
    redialFingerprint: wanted?.redialFingerprint ?? '',
    attributes: enforcement.action === 'coa' ? enforcement.attributes : [],
    requestedBy: claim.requestedBy,
    requestedAt: claim.requestedAt,
  };
  return [{ claim, facts: session, evidence }];
}

async function writeDown(
  trx: Trx,
  toSend: readonly Omit<Sending, 'evidenceId'>[],
  now: Date,
): Promise<Sending[]> {
  const ids = await recordSending(
    trx,
    toSend.map((one) => one.evidence),
    { sentAt: now, checkAt: new Date(now.getTime() + abandonedAfterMs) },
  );
  await noteDoubt(
    trx,
    toSend
      .filter(({ evidence }) => evidence.action === 'coa')
      .map(({ facts, evidence }) => ({
        sessionId: facts.id,
        loginId: evidence.loginId,
        has: hasOf(facts),
        generation: evidence.generation,
      })),
    now,
  );
  return toSend.map((one, index) => ({ ...one, evidenceId: ids[index] ?? '' }));
}

/** What the session has, as far as is known; empty where it is not. */
export function hasOf(facts: SessionFacts): { accessFingerprint: string; redialFingerprint: string } {
  const given = parseSessionClass(facts.state.class);
  const has = facts.state.acknowledged ?? (given?.loginId === facts.loginId ? given : undefined);
  return {
    accessFingerprint: has?.accessFingerprint ?? '',
    redialFingerprint: has?.redialFingerprint ?? '',
  };
}

async function recordUnsent(trx: Trx, sendings: readonly Sending[]): Promise<void> {
  await recordOutcomes(
    trx,
    sendings.map((sending) => ({
      id: sending.evidenceId,
      outcome: 'unsent',
      answeredAt: null,
      errorCause: null,
      roundTripUs: null,
      attempts: 0,
      detail: 'the router was removed',
      nextCheckAt: null,
    })),
  );
}
