import type { AccessKind } from './access-types.ts';
import type { LoginId } from './ids.ts';
import { parseSessionClass } from './session-class.ts';

export interface Fingerprints {
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
}

/** A live session, as accounting and our own evidence know it. */
export interface SessionState {
  readonly isOpen: boolean;
  readonly class: string | null;
  readonly startedAt: Date | null;
  /** The last Start or Interim-Update. */
  readonly heardAt: Date | null;
  /** What the last acknowledged CoA gave it. */
  readonly acknowledged: (Fingerprints & { readonly at: Date | null; readonly generation: bigint }) | null;
  /** The oldest CoA that nobody answered since: it may have worked, now or later. */
  readonly unanswered: { readonly at: Date; readonly generation: bigint } | null;
  readonly claimedGoneAt: Date | null;
  /** Of the newest CoA that the router refused. */
  readonly refusedGeneration: bigint | null;
  /** A Disconnect was acknowledged, and its Stop is waited for. */
  readonly isEnding: boolean;
}

/** What its login should have: the newest decision. */
export interface WantedAccess extends Fingerprints {
  readonly loginId: LoginId;
  readonly access: AccessKind;
  readonly reason: string;
  readonly generation: bigint;
  /** Since when the rows that FreeRADIUS reads say so. */
  readonly since: Date;
  readonly coaAttributes: readonly (readonly [string, string])[];
}

export type Because =
  | 'kick'
  | 'denied'
  | 'unknown_login'
  | 'class_unknown'
  | 'redial_needed'
  | 'access_changed'
  | 'unanswered'
  | 'asserted_again'
  | 'coa_refused';

export type Enforcement =
  | {
      readonly action: 'none';
      readonly because:
        | 'ended'
        | 'claimed_gone'
        | 'ending'
        | 'not_ours'
        | 'undecided'
        | 'in_sync'
        /** Its Class says nothing, but it was accepted after the rows said what is wanted. */
        | 'accepted_since';
    }
  | {
      readonly action: 'coa';
      readonly because: Because;
      readonly attributes: readonly (readonly [string, string])[];
    }
  | { readonly action: 'disconnect'; readonly because: Because };

/** From Access-Accept to Start takes a moment: a session younger than this may come from the rows of before. */
const acceptToStartMs = 10_000;

/**
 * What has to be sent so that a live session has what is wanted; the order of the rules is the policy. `wanted` is
 * undefined where the login is unknown, null where it was not decided yet. A CoA carries everything that a CoA can
 * change; what it cannot change (address, pool, list, profile) takes a Disconnect and the redial.
 */
export function decideEnforcement(facts: {
  session: SessionState;
  wanted: WantedAccess | null | undefined;
  isKicked: boolean;
  rateChange: 'coa' | 'disconnect';
}): Enforcement {
  const { session, wanted } = facts;
  if (!session.isOpen) return { action: 'none', because: 'ended' };
  if (isClaimedGone(session)) return { action: 'none', because: 'claimed_gone' };
  if (session.isEnding) return { action: 'none', because: 'ending' };
  if (facts.isKicked) return { action: 'disconnect', because: 'kick' };
  if (wanted === null) return { action: 'none', because: 'undecided' };
  const given = parseSessionClass(session.class);
  if (wanted === undefined) {
    // Others may have users of their own in the same FreeRADIUS; only what our rows accepted is ours to end.
    return given === undefined
      ? { action: 'none', because: 'not_ours' }
      : { action: 'disconnect', because: 'unknown_login' };
  }
  if (wanted.access === 'denied') return { action: 'disconnect', because: 'denied' };
  const has = session.acknowledged ?? (given?.loginId === wanted.loginId ? given : undefined);
  if (has === undefined) return withUnknownClass(session, wanted, facts.rateChange);
  if (has.redialFingerprint !== wanted.redialFingerprint) {
    return { action: 'disconnect', because: 'redial_needed' };
  }
  if (session.unanswered !== null)
    return change(session, wanted, facts.rateChange, unansweredBecause(session, wanted));
  if (has.accessFingerprint !== wanted.accessFingerprint) {
    return change(session, wanted, facts.rateChange, 'access_changed');
  }
  return { action: 'none', because: 'in_sync' };
}

/** 503 once is enough, until the router itself accounts for the session again. */
function isClaimedGone({ claimedGoneAt, heardAt }: SessionState): boolean {
  return claimedGoneAt !== null && (heardAt === null || heardAt <= claimedGoneAt);
}

/**
 * A router that drops Class, or a session from before Sluice. Accepted since: it has what is wanted. Else the rate is
 * set once, which cuts nobody off. A walled garden can't be set by CoA, and leaving it out would be open internet.
 */
function withUnknownClass(
  session: SessionState,
  wanted: WantedAccess,
  rateChange: 'coa' | 'disconnect',
): Enforcement {
  const isSince =
    session.startedAt !== null &&
    session.startedAt.getTime() >= wanted.since.getTime() + acceptToStartMs &&
    session.unanswered === null;
  if (isSince) return { action: 'none', because: 'accepted_since' };
  if (wanted.access === 'walled_garden') return { action: 'disconnect', because: 'class_unknown' };
  return change(session, wanted, rateChange, 'class_unknown');
}

function unansweredBecause(session: SessionState, wanted: WantedAccess): Because {
  const isAnsweredSince = session.acknowledged?.generation === wanted.generation;
  return isAnsweredSince ? 'asserted_again' : 'unanswered';
}

/** No attributes: a CoA can't say what is wanted, so the redial has to. Nor can one that the router refused. */
function change(
  session: SessionState,
  wanted: WantedAccess,
  rateChange: 'coa' | 'disconnect',
  because: Because,
): Enforcement {
  if (session.refusedGeneration === wanted.generation)
    return { action: 'disconnect', because: 'coa_refused' };
  if (rateChange === 'disconnect' || wanted.coaAttributes.length === 0) {
    return { action: 'disconnect', because };
  }
  return { action: 'coa', because, attributes: wanted.coaAttributes };
}

/** RFC 5176 §3.6: the router knows no such session. */
export const sessionNotFound = 503;

/**
 * What follows a NAK. Gone: nothing more is sent until an interim says otherwise. A refused CoA is followed by a
 * Disconnect, as the redial brings what the CoA could not; a refused Disconnect is tried again later.
 */
export function decideAfterRefusal(
  action: 'coa' | 'disconnect',
  errorCause: number | null,
): 'claimed_gone' | 'disconnect' | 'try_again' {
  if (errorCause === sessionNotFound) return 'claimed_gone';
  return action === 'coa' ? 'disconnect' : 'try_again';
}

/**
 * What a session has after a CoA of `generation` was acknowledged. Where an older one got no answer, it may still be on
 * its way and arrive after this one: the CoA is asserted once more, and only then is the doubt over.
 */
export function isDoubtOver(session: SessionState, generation: bigint): boolean {
  const { unanswered, acknowledged } = session;
  if (unanswered === null || unanswered.generation === generation) return true;
  return (
    acknowledged?.at != null && acknowledged.generation === generation && acknowledged.at >= unanswered.at
  );
}
