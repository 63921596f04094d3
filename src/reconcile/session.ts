import type { Knex } from 'knex';
import {
  forgetKicks,
  type NewEvidence,
  noteDoubt,
  recordAssumedAccess,
  recordOutcomes,
  recordSending,
  requestedAtOf,
} from '../db/enforcement.ts';
import { inTransaction, type Trx } from '../db/knex.ts';
import type { Claim } from '../db/reconcile-queue.ts';
import type { RouterRow } from '../db/routers.ts';
import { lockDecisionsOf, type SessionFacts, sessionFacts } from '../db/sessions.ts';
import { stillWanted } from '../db/wanted.ts';
import { decideEnforcement, type Enforcement } from '../domain/enforcement.ts';
import { asId, type RouterId, type SessionId } from '../domain/ids.ts';
import { parseSessionClass } from '../domain/session-class.ts';

/** A packet that may be sent: it is written down, and its transaction has committed. */
export interface Sending {
  readonly claim: Claim;
  readonly facts: SessionFacts;
  readonly evidenceId: string;
  readonly evidence: NewEvidence;
}

export interface Prepared {
  readonly sendings: readonly Sending[];
  /** Nothing to send, or a newer wish has come: to be finished. */
  readonly done: readonly Claim[];
}

/** An outcome is looked for again after this long, should the sender die. */
const abandonedAfterMs = 120_000;

/**
 * Decides what a batch of session keys needs and writes it down, in one transaction: decisions locked against change,
 * wishes checked to be the ones claimed, facts, evidence. Nothing may be sent before this has returned, since only then
 * is it certain that whoever decides anew will find what was sent. A router that was removed gets nothing.
 */
export async function prepareSessions(
  db: Knex,
  claims: readonly Claim[],
  router: { id: RouterId; row: RouterRow | undefined },
  now: Date,
): Promise<Prepared> {
  const ids = claims.map((claim) => asId<SessionId>(claim.key));
  return inTransaction(db, async (trx) => {
    await lockDecisionsOf(trx, ids);
    const wanted = await stillWanted(trx, claims);
    const facts = await sessionFacts(trx, ids);
    const requestedAt = await requestedAtOf(
      trx,
      wanted.map((claim) => claim.id),
    );
    const decided = wanted.flatMap((claim) => {
      const session = facts.get(asId<SessionId>(claim.key));
      if (session === undefined) return [];
      const enforcement = decideEnforcement({
        session: session.state,
        wanted: session.wanted,
        isKicked: session.isKicked,
        rateChange: router.row?.rateChange ?? 'coa',
      });
      return [{ claim, session, enforcement, requestedAt: requestedAt.get(claim.id) ?? '' }];
    });
    await recordAssumedAccess(trx, decided.flatMap(assumedOf));
    await forgetKicks(
      trx,
      decided.filter(isKickOver).map(({ session }) => session.id),
    );
    const toSend = decided.flatMap((one) => sendingOf(one, router.id));
    const sendings = await writeDown(trx, toSend, now);
    if (router.row === undefined || router.row.removedAt !== null) {
      await recordUnsent(trx, sendings);
      return { sendings: [], done: claims };
    }
    const sent = new Set(sendings.map((sending) => sending.claim.id));
    return { sendings, done: claims.filter((claim) => !sent.has(claim.id)) };
  });
}

interface Decided {
  readonly claim: Claim;
  readonly session: SessionFacts;
  readonly enforcement: Enforcement;
  readonly requestedAt: string;
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

function sendingOf(
  { claim, session, enforcement, requestedAt }: Decided,
  routerId: RouterId,
): Omit<Sending, 'evidenceId'>[] {
  if (enforcement.action === 'none') return [];
  const { wanted } = session;
  const evidence: NewEvidence = {
    sessionId: session.id,
    loginId: wanted?.loginId ?? session.loginId ?? parseSessionClass(session.state.class)?.loginId ?? '0',
    routerId,
    action: enforcement.action,
    why: enforcement.because === 'kick' ? 'kick' : (wanted?.reason ?? enforcement.because),
    because: enforcement.because,
    generation: wanted?.generation ?? 0n,
    accessFingerprint: wanted?.accessFingerprint ?? '',
    redialFingerprint: wanted?.redialFingerprint ?? '',
    attributes: enforcement.action === 'coa' ? enforcement.attributes : [],
    requestedBy: claim.requestedBy,
    requestedAt,
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
