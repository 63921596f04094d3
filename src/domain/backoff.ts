/**
 * How long to wait before attempt `attempts + 1`, in ms: doubles from one second to five minutes, spread by +-25 % so
 * that rows which failed together do not come back together. `random` is in [0, 1).
 */
export function backoffMs(attempts: number, random: number): number {
  const base = Math.min(1000 * 2 ** Math.min(attempts, 20), 300_000);
  return Math.round(base * (0.75 + random * 0.5));
}

/** After this many failures a row stays, under Needs attention, until somebody asks again. */
export const attemptsMax = 12;
