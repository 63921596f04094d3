export type Health = 'ok' | 'look' | 'broken' | 'unknown';

/** One part as it was found, and what to do about it. */
export interface Finding {
  readonly part: string;
  readonly health: Health;
  readonly found: string;
  readonly advice?: string;
}

export function ok(part: string, found: string): Finding {
  return { part, health: 'ok', found };
}

/** Works, but somebody should look at it. */
export function look(part: string, found: string, advice: string): Finding {
  return { part, health: 'look', found, advice };
}

export function broken(part: string, found: string, advice: string): Finding {
  return { part, health: 'broken', found, advice };
}

/** Could not be seen from here: said, and not taken for health. */
export function unknown(part: string, found: string, advice: string): Finding {
  return { part, health: 'unknown', found, advice };
}
