const rejectReasons = new Set([
  'invoice_overdue',
  'prepaid_expired',
  'staff_hold',
  'fraud_hold',
  'vacation',
  'subscription_paused',
  'subscription_terminated',
  'login_retired',
  'denied',
  'wrong_password',
  'unreadable_password',
  'unknown_user',
  'bad_username',
  'wrong_mac',
  'already_online',
  'no_password',
  'unsupported_method',
]);

/** The reason of a reject as figures and metrics name it: one of a list that is known, so that they stay few. */
export function rejectReasonOf(text: string): string {
  return rejectReasons.has(text) ? text : 'other';
}

/** How long what is owed is past due, in days. */
export const owedAges = ['current', '1_30', '31_60', '61_90', 'older'] as const;
export type OwedAge = (typeof owedAges)[number];

export const owedKind = (age: OwedAge) => `owed.${age}`;

/** Those in the middle: of an even number the mean of both, null of none. Values in any order. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) return null;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
