/** A session ends after this long without a request, and at the latest after `sessionMs`. */
export const idleMs = 12 * 3600_000;
export const sessionMs = 7 * 24 * 3600_000;

export const passwordBytes = { min: 10, max: 200 } as const;

/**
 * For how long an account is locked after so many failures in a row, in ms: nothing for the first four, then a minute,
 * doubling up to half an hour. Guessing gets slow and a forgetful colleague is not locked out for the night.
 */
export function lockMs(failures: number): number {
  if (failures < 5) return 0;
  return Math.min(60_000 * 2 ** (failures - 5), 30 * 60_000);
}

/** What is wrong with a new password, as the rule that it breaks; null when nothing is. */
export function passwordFault(password: string, username: string): string | null {
  const size = Buffer.byteLength(password);
  if (size < passwordBytes.min) return `must have at least ${passwordBytes.min} characters`;
  if (size > passwordBytes.max) return `must have at most ${passwordBytes.max} characters`;
  if (password.toLowerCase().includes(username.toLowerCase())) return 'must not hold the username';
  if (new Set(password).size < 5) return 'must have at least five different characters';
  return null;
}

/** When a session that was seen just now ends. */
export function sessionEnd(createdAt: Date, seenAt: Date): Date {
  return new Date(Math.min(seenAt.getTime() + idleMs, createdAt.getTime() + sessionMs));
}
