import { median } from './figure-kinds.ts';

/** What is known of one login that has full access again. Instants of one clock. */
export interface SeenRestore {
  readonly askedAt: Date | null;
  readonly decidedAt: Date;
  readonly packets: number;
  readonly acknowledgedAt: Date | null;
}

export interface RestoreTimes {
  readonly medianMs: number | null;
  readonly slowestMs: number | null;
  /** Of so many. */
  readonly count: number;
  /** Something was sent to a router, and nothing was acknowledged yet. */
  readonly waiting: number;
}

/**
 * How long service took to come back: from the act that asked for it to the router's acknowledgement, or, where nobody
 * was online and so nothing was sent, to the RADIUS rows that the next dial finds. Those without an act are left out.
 */
export function restoreTimes(restores: readonly SeenRestore[]): RestoreTimes {
  const times: number[] = [];
  let waiting = 0;
  for (const { askedAt, decidedAt, packets, acknowledgedAt } of restores) {
    if (askedAt === null) continue;
    if (packets > 0 && acknowledgedAt === null) {
      waiting++;
      continue;
    }
    times.push(Math.max(0, (acknowledgedAt ?? decidedAt).getTime() - askedAt.getTime()));
  }
  return {
    medianMs: median(times),
    slowestMs: times.length === 0 ? null : Math.max(...times),
    count: times.length,
    waiting,
  };
}
