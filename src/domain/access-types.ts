import type { RateLimit } from './rate-limit.ts';

/** What a login may do on the network. */
export type Access =
  | { readonly kind: 'full' }
  | { readonly kind: 'throttled'; readonly rate: RateLimit }
  | { readonly kind: 'walled_garden' }
  | { readonly kind: 'denied' };

export type AccessKind = Access['kind'];

/** Why, as a literal: shown beside the access everywhere, and sent as Reply-Message on a reject. */
export type Reason =
  | 'paid_up'
  | 'invoice_overdue'
  | 'prepaid_expired'
  | 'staff_hold'
  | 'fraud_hold'
  | 'vacation'
  | 'subscription_paused'
  | 'subscription_terminated'
  | 'login_retired';

export type SuspensionCause = 'overdue' | 'staff' | 'fraud' | 'vacation';
export type SuspensionEffect = 'block' | 'throttle' | 'walled_garden';
export type ExpiryEffect = SuspensionEffect;

/** What RADIUS, not Sluice's decision, refuses: read from FreeRADIUS's reject log. */
export type RejectReason =
  Reason | 'wrong_password' | 'unknown_user' | 'wrong_mac' | 'already_online' | 'bad_username';
