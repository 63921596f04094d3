import type { Reason } from '../domain/access-types.ts';

/** Why an access is what it is, in two or three words for a list. The subscriber's page says it in a sentence. */
const words: Record<Reason, string> = {
  paid_up: 'paid up',
  invoice_overdue: 'invoice overdue',
  prepaid_expired: 'prepaid used up',
  staff_hold: 'held by staff',
  fraud_hold: 'held: fraud',
  vacation: 'vacation',
  subscription_paused: 'paused',
  subscription_terminated: 'ended',
  login_retired: 'retired',
};

export function reasonWords(reason: Reason | null): string {
  return reason === null ? '' : words[reason];
}
