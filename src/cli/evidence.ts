import type { DecisionView, EnforcementView, SessionView } from '../db/access-view.ts';
import type { LoginId } from '../domain/ids.ts';

/**
 * How far the network has come with one session. Each line says only what was seen: an acknowledgement is the router's
 * word, a confirmation is something observed, and the rest is unknown.
 */
export interface Evidence {
  isSettled: boolean;
  has: string;
  wanted: string;
  sent: string;
  acknowledged: string;
  confirmed: string;
}

export function evidenceOf(
  session: SessionView,
  decision: DecisionView | undefined,
  loginId: LoginId,
): Evidence {
  const has = fingerprintsOf(session, loginId);
  const isRight =
    decision !== undefined &&
    decision.access !== 'denied' &&
    has !== undefined &&
    has.access === decision.accessFingerprint &&
    has.redial === decision.redialFingerprint;
  const isSettled = isRight && !session.isKickWanted;
  return {
    isSettled,
    has: hasText(session, has, isRight),
    wanted: wantedText(session, decision, has, isRight),
    ...packetTexts(session.last, isSettled),
  };
}

interface Fingerprints {
  access: string;
  redial: string;
  by: 'ack' | 'class';
}

/** By the last acknowledged CoA, else by the Class that the Access-Accept carried; undefined where neither is ours. */
function fingerprintsOf(session: SessionView, loginId: LoginId): Fingerprints | undefined {
  if (session.acknowledged !== null) {
    const { accessFingerprint: access, redialFingerprint: redial } = session.acknowledged;
    return { access, redial, by: 'ack' };
  }
  const match = /^S1\.(\d+)\.([0-9a-f]{10})\.([0-9a-f]{10})\./.exec(session.class ?? '');
  if (match?.[1] !== loginId || match[2] === undefined || match[3] === undefined) return undefined;
  return { access: match[2], redial: match[3], by: 'class' };
}

function hasText(session: SessionView, has: Fingerprints | undefined, isRight: boolean): string {
  if (session.claimedGoneAt !== null)
    return 'the router said that it is gone; waiting for its Stop, or an interim that says otherwise';
  if (has === undefined) return 'unknown: its Class is not one that Sluice wrote';
  const source = has.by === 'ack' ? 'by its last acknowledged CoA' : 'by the Class of its Access-Accept';
  return `${isRight ? 'what it should have' : 'something else than it should have'}, ${source}`;
}

function wantedText(
  session: SessionView,
  decision: DecisionView | undefined,
  has: Fingerprints | undefined,
  isRight: boolean,
): string {
  if (session.isKickWanted) return 'a Disconnect: staff want it ended';
  if (decision === undefined) return 'not decided yet';
  if (isRight) return 'nothing';
  if (session.queued?.isParked === true) return `given up: ${session.queued.lastError ?? 'no error noted'}`;
  const waits = session.queued === null ? '' : ", waiting for its router's turn";
  if (decision.access === 'denied') return `a Disconnect: the login is denied${waits}`;
  if (has?.redial === decision.redialFingerprint) return `a CoA to generation ${decision.generation}${waits}`;
  return `a Disconnect, and a redial to generation ${decision.generation}${waits}`;
}

function packetTexts(
  last: EnforcementView | null,
  isSettled: boolean,
): Pick<Evidence, 'sent' | 'acknowledged' | 'confirmed'> {
  if (last === null) {
    const none = isSettled ? 'nothing was needed' : 'nothing yet';
    return { sent: none, acknowledged: none, confirmed: isSettled ? 'by its own Access-Accept' : 'no' };
  }
  const kind = last.action === 'coa' ? 'CoA' : 'Disconnect';
  return {
    sent: `${kind} (${last.why}), ${last.attempts} ${last.attempts === 1 ? 'packet' : 'packets'}`,
    acknowledged: answerText(last),
    confirmed:
      last.confirmedAt !== null
        ? `yes, by ${last.confirmedBy === 'stop' ? "the session's Stop" : 'the rate that was read on the router'}`
        : last.action === 'coa'
          ? 'unknown: nothing observes the rate on the router'
          : 'no: its Stop has not come',
  };
}

function answerText(last: EnforcementView): string {
  switch (last.outcome) {
    case 'ack':
      return 'yes';
    case 'nak':
      return `refused, Error-Cause ${last.errorCause ?? 'none given'}`;
    case 'timeout':
      return 'no answer';
    case 'pending':
      return 'not yet';
    case 'superseded':
      return 'given up for a newer one';
  }
}
