/** The only source of business time. Everything else is handed an instant, so a run can be told any day. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** A clock for tests and stories: it stands still until it is moved. */
export function fixedClock(start: string): Clock & { set(instant: string): void; advance(ms: number): void } {
  let current = instant(start);
  return {
    now: () => new Date(current),
    set: (next) => {
      current = instant(next);
    },
    advance: (ms) => {
      current += ms;
    },
  };
}

function instant(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new RangeError(`not an instant: ${text}`);
  return ms;
}
