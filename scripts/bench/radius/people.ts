/** The logins of the measurements: made from their numbers, the same on every side. */

/** Padded, so that their order is that of their numbers and filling is quick. */
export function usernameOf(n: number): string {
  return `u${String(n).padStart(7, '0')}`;
}

export function passwordOf(n: number): string {
  return `secret-${n}`;
}

export function macOf(n: number, first = '02'): string {
  const hex = n.toString(16).padStart(10, '0').toUpperCase();
  return `${first}:${(hex.match(/../g) ?? []).join(':')}`;
}

/** What happens when the login dials; nine of a hundred are refused. */
export type Fate = 'accepted' | 'already_online' | 'wrong_password' | 'wrong_mac';

export function fateOf(n: number): Fate {
  const place = n % 100;
  if (place < 3) return 'already_online';
  if (place < 6) return 'wrong_password';
  return place < 9 ? 'wrong_mac' : 'accepted';
}

export const planCount = 20;

/** What an accept carries, the same on every side; ours adds its Class. */
export function replyOf(n: number): readonly (readonly [name: string, value: string])[] {
  const plan = n % planCount;
  return [
    ['Acct-Interim-Interval', '300'],
    ['Framed-Pool', `pool-${plan}`],
    ['Mikrotik-Address-List', 'full'],
    ['Mikrotik-Group', 'pppoe'],
    ['Mikrotik-Rate-Limit', `${plan + 5}M/${plan + 10}M`],
  ];
}
