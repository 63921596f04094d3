/** Whether a router answers. While it is open nothing is sent to it, save one packet when a probe is due. */
export interface Breaker {
  readonly isOpen: boolean;
  /** Packets in a row that got no answer. */
  readonly failures: number;
}

export const closedBreaker: Breaker = { isOpen: false, failures: 0 };

/** Timeouts in a row before nothing more is sent. */
export const failuresToOpen = 5;
const firstProbeMs = 5000;
const probeMsMost = 60_000;

export type BreakerChange =
  | { readonly breaker: Breaker; readonly event: 'none' | 'closed' }
  /** `probeInMs`: when one packet may go through. */
  | { readonly breaker: Breaker; readonly event: 'opened' | 'still_open'; readonly probeInMs: number };

/** Any answer, a NAK too, shows that the router lives and knows our secret. */
export function afterAnswer(breaker: Breaker): BreakerChange {
  return { breaker: closedBreaker, event: breaker.isOpen ? 'closed' : 'none' };
}

/**
 * A packet that got no answer after all its retransmits, or could not be sent. Probes of an open breaker come after 5,
 * 10, 20 … at most 60 seconds, spread by a quarter, so that routers behind one link don't come back together.
 * `random` is in [0, 1).
 */
export function afterTimeout(breaker: Breaker, random: number): BreakerChange {
  const failures = Math.min(breaker.failures + 1, 1000);
  if (failures < failuresToOpen) return { breaker: { isOpen: false, failures }, event: 'none' };
  const doublings = Math.min(failures - failuresToOpen, 10);
  const probeInMs = Math.round(Math.min(firstProbeMs * 2 ** doublings, probeMsMost) * (0.75 + random * 0.5));
  return { breaker: { isOpen: true, failures }, event: breaker.isOpen ? 'still_open' : 'opened', probeInMs };
}
