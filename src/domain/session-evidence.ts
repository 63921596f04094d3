import type { LoginId } from './ids.ts';

/** What is known about one open session: its row, its last acknowledged CoA, and what waits for it. */
export interface SeenSession {
  readonly class: string | null;
  /** By its last acknowledged CoA; null where only its Class says. */
  readonly acknowledged: { readonly accessFingerprint: string; readonly redialFingerprint: string } | null;
  readonly claimedGoneAt: Date | null;
  readonly isKickWanted: boolean;
  readonly queued: { readonly isParked: boolean; readonly lastError: string | null } | null;
  readonly last: SeenPacket | null;
}

/** The last CoA or Disconnect that was sent about it. */
export interface SeenPacket {
  readonly action: 'coa' | 'disconnect';
  readonly why: string;
  readonly outcome: PacketOutcome;
  readonly errorCause: number | null;
  readonly attempts: number;
  readonly confirmedAt: Date | null;
  readonly confirmedBy: string | null;
}

export type PacketOutcome = 'pending' | 'ack' | 'nak' | 'timeout' | 'superseded' | 'abandoned' | 'unsent';

/** What is decided about its login. */
export interface SeenDecision {
  readonly access: string;
  readonly generation: string;
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
}

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

/** Pure: the session as it was read, beside what is decided about its login. */
export function evidenceOf(
  session: SeenSession,
  decision: SeenDecision | undefined,
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

/** A session's speed as Mikrotik-Rate-Limit writes it: upload/download, in the router's view. */
export interface SpeedEvidence {
  readonly wanted: string;
  readonly sent: string;
  readonly confirmed: string;
}

/**
 * The speed that is wanted for a session, the one that its router was told, and what is known of the one in force. A
 * router's acknowledgement is its word and no reading, and is said to be that.
 */
export function speedOf(
  session: SeenSession & { readonly last: (SeenPacket & { readonly rate: string | null }) | null },
  decision: (SeenDecision & { readonly rate: string | null }) | undefined,
  loginId: LoginId,
): SpeedEvidence {
  const wanted = decision?.rate ?? (decision?.access === 'denied' ? 'none: denied' : 'none is named');
  const { last } = session;
  if (last?.action === 'coa' && last.rate !== null && last.outcome !== 'unsent') {
    return { wanted, sent: `${last.rate}, by CoA`, confirmed: confirmedSpeed(last.rate, last) };
  }
  const has = fingerprintsOf(session, loginId);
  if (decision?.rate == null || has?.access !== decision.accessFingerprint) {
    return { wanted, sent: 'not yet', confirmed: 'unknown: it has what it was given before' };
  }
  return {
    wanted,
    sent: `${decision.rate}, with its Access-Accept`,
    confirmed: `${decision.rate} by its start; nobody has read it on the router`,
  };
}

function confirmedSpeed(rate: string, last: SeenPacket): string {
  if (last.confirmedBy === 'rate') return `${rate}, read on the router`;
  if (last.outcome === 'ack') return `${rate} by the router's word; nobody has read it there`;
  return `no: ${answerText(last)}`;
}

interface Fingerprints {
  access: string;
  redial: string;
  by: 'ack' | 'class';
}

/** By the last acknowledged CoA, else by the Class that the Access-Accept carried; undefined where neither is ours. */
function fingerprintsOf(session: SeenSession, loginId: LoginId): Fingerprints | undefined {
  if (session.acknowledged !== null) {
    const { accessFingerprint: access, redialFingerprint: redial } = session.acknowledged;
    return { access, redial, by: 'ack' };
  }
  const match = /^S1\.(\d+)\.([0-9a-f]{10})\.([0-9a-f]{10})\./.exec(session.class ?? '');
  if (match?.[1] !== loginId || match[2] === undefined || match[3] === undefined) return undefined;
  return { access: match[2], redial: match[3], by: 'class' };
}

function hasText(session: SeenSession, has: Fingerprints | undefined, isRight: boolean): string {
  if (session.claimedGoneAt !== null)
    return 'the router said that it is gone; waiting for its Stop, or an interim that says otherwise';
  if (has === undefined) return 'unknown: its Class is not one that Sluice wrote';
  const source = has.by === 'ack' ? 'by its last acknowledged CoA' : 'by the Class of its Access-Accept';
  return `${isRight ? 'what it should have' : 'something else than it should have'}, ${source}`;
}

function wantedText(
  session: SeenSession,
  decision: SeenDecision | undefined,
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
  last: SeenPacket | null,
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

function answerText(last: SeenPacket): string {
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
    case 'abandoned':
      return 'not known: its sender ended before an answer';
    case 'unsent':
      return 'nothing was sent';
  }
}
