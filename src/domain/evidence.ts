/** A packet that was sent, and what accounting says of its session since. */
export interface EvidenceState {
  readonly action: 'coa' | 'disconnect';
  readonly outcome: 'pending' | 'ack' | 'nak' | 'timeout' | 'superseded' | 'abandoned' | 'unsent';
  /** When it was answered, else sent. */
  readonly since: Date;
  /** How often it was looked at in vain. */
  readonly checks: number;
  /** How many Disconnects of this session were acknowledged while it went on. */
  readonly disobeyed: number;
  /** Null where accounting has no such row any more. */
  readonly session: {
    readonly isOpen: boolean;
    /** The router said so itself; a session can also be closed as stale or by a reboot. */
    readonly isStopSeen: boolean;
    readonly heardAt: Date | null;
  } | null;
}

export type EvidenceVerdict =
  /** The Stop is there: the Disconnect was obeyed. */
  | { readonly kind: 'confirmed' }
  /** Closed, but not by a Stop. */
  | { readonly kind: 'ended' }
  /** No outcome was ever written: the sender died. */
  | { readonly kind: 'abandoned' }
  | { readonly kind: 'later'; readonly waitMs: number }
  /** Acknowledged, and accounted for since: the router did not do it. */
  | { readonly kind: 'send_again' }
  /** The same, once too often. */
  | { readonly kind: 'park' }
  /** Acknowledged, and nothing was heard since: it stays acknowledged. */
  | { readonly kind: 'give_up' }
  /** Never acknowledged, and no Stop came of it: nothing is known, and the queue goes on by itself. */
  | { readonly kind: 'not_proved' };

/** Interims that were on their way when the session ended come up to this much later; accounting has whole seconds. */
export const slackMs = 5000;
/** 5, 15, 45 … seconds: a minute and a half for a Stop that is retransmitted, then half an hour for interims. */
const checksMost = 6;
/** Disconnects acknowledged without obeying before a person has to look. */
const disobeyedMost = 3;

/**
 * An acknowledgement is not proof: a Disconnect is confirmed by the Stop that follows. RouterOS's queue, which would
 * prove a rate, can only be read over its API, so a CoA stays acknowledged and is not looked at again.
 */
export function judgeEvidence(evidence: EvidenceState): EvidenceVerdict {
  const { session, outcome } = evidence;
  if (outcome === 'pending') return { kind: 'abandoned' };
  if (evidence.action === 'coa') return { kind: 'not_proved' };
  if (session === null) return { kind: 'ended' };
  if (!session.isOpen) return { kind: session.isStopSeen ? 'confirmed' : 'ended' };
  if (outcome !== 'ack') return evidence.checks < 2 ? later(evidence.checks) : { kind: 'not_proved' };
  const wentOn = session.heardAt !== null && session.heardAt.getTime() > evidence.since.getTime() + slackMs;
  if (wentOn) {
    return { kind: evidence.disobeyed + 1 < disobeyedMost ? 'send_again' : 'park' };
  }
  return evidence.checks < checksMost ? later(evidence.checks) : { kind: 'give_up' };
}

function later(checks: number): EvidenceVerdict {
  return { kind: 'later', waitMs: 5000 * 3 ** Math.min(checks, 6) };
}
