import type { SuspensionEffect } from './access-types.ts';
import { addDays, type Day, daysBetween } from './day.ts';
import type { Minor } from './money.ts';
import { parseRateLimit } from './rate-limit.ts';

/** What an unpaid invoice weighs: its due day and what is still open of it, in minor units. */
export interface OpenInvoice {
  readonly dueOn: Day;
  readonly openMinor: Minor;
}

/** The invoices of one subscriber that are past due and grace, together. */
export interface Debt {
  readonly invoiceCount: number;
  readonly openMinor: Minor;
  readonly oldestDueOn: Day;
}

/** Which causes for leaving a subscription alone exist; shown beside the action, and counted by a run. */
export type LeaveWhy =
  'not_overdue' | 'in_grace' | 'deferred' | 'already_suspended' | 'profile_off' | 'paused' | 'terminated';

/** Everything that the decision about one subscription reads. */
export interface OverdueFacts {
  readonly subscriptionState: 'active' | 'paused' | 'terminated';
  /** The subscriber's oldest due day with something open, and what is past due and grace. */
  readonly oldestOpenDueOn: Day | null;
  readonly debt: Debt | null;
  readonly isSuspendedAsOverdue: boolean;
  /** First day on which the run may act again, of the deferrals that are not closed; the latest. */
  readonly deferredUntil: Day | null;
  readonly profile: {
    readonly graceDays: number;
    readonly effect: SuspensionEffect;
    readonly throttleRate: string | null;
    readonly isOverdueRunOn: boolean;
  };
}

/** Why the run acts: what is owed, and for how long. */
export interface Ground {
  readonly debt: Debt;
  readonly daysPastDue: number;
  readonly daysPastGrace: number;
}

export type OverdueDecision =
  | ({
      readonly action: 'suspend';
      readonly effect: SuspensionEffect;
      readonly throttleRate: string | null;
    } & Ground)
  | ({ readonly action: 'park'; readonly why: ParkWhy } & Ground)
  | { readonly action: 'leave'; readonly why: LeaveWhy };

/** What in the set-up keeps the run from acting; a person has to mend the billing profile. */
export type ParkWhy = 'throttle_rate_missing' | 'throttle_rate_invalid';

/**
 * Whether the overdue run acts on a subscription as of a day. The order of the rules is the policy: what somebody
 * decided about the subscription (terminated, run switched off) comes before what its invoices say, and a promise or
 * a lift before the debt. A fault in the set-up is `park`: that subscriber is set aside and the run goes on.
 */
export function decideOverdue(facts: OverdueFacts, asOf: Day): OverdueDecision {
  const { profile, debt } = facts;
  if (facts.subscriptionState === 'terminated') return leave('terminated');
  if (facts.oldestOpenDueOn === null || facts.oldestOpenDueOn >= asOf) return leave('not_overdue');
  if (debt === null || !isPastGrace(debt.oldestDueOn, profile.graceDays, asOf)) return leave('in_grace');
  if (facts.isSuspendedAsOverdue) return leave('already_suspended');
  if (facts.subscriptionState === 'paused') return leave('paused');
  if (!profile.isOverdueRunOn) return leave('profile_off');
  if (isDeferred(facts.deferredUntil, asOf)) return leave('deferred');
  const daysPastDue = daysBetween(debt.oldestDueOn, asOf);
  const ground = { debt, daysPastDue, daysPastGrace: daysPastDue - profile.graceDays };
  const fault = profile.effect === 'throttle' ? faultOfRate(profile.throttleRate) : null;
  if (fault !== null) return { action: 'park', why: fault, ...ground };
  const throttleRate = profile.effect === 'throttle' ? profile.throttleRate : null;
  return { action: 'suspend', effect: profile.effect, throttleRate, ...ground };
}

function leave(why: LeaveWhy): OverdueDecision {
  return { action: 'leave', why };
}

function faultOfRate(rate: string | null): ParkWhy | null {
  if (rate === null || rate.trim() === '') return 'throttle_rate_missing';
  try {
    parseRateLimit(rate);
    return null;
  } catch {
    return 'throttle_rate_invalid';
  }
}

/** Overdue as of a day: something is open of an invoice whose due day and grace are over. */
export function isOverdue(invoices: readonly OpenInvoice[], graceDays: number, asOf: Day): boolean {
  return debtOf(invoices, graceDays, asOf) !== null;
}

/**
 * What is past due and grace as of a day; null when nothing is. An invoice of nothing, or one with nothing or less
 * left open, weighs nothing: a subscriber never loses service over a zero.
 */
export function debtOf(invoices: readonly OpenInvoice[], graceDays: number, asOf: Day): Debt | null {
  const biting = invoices.filter(
    (invoice) => invoice.openMinor > 0n && isPastGrace(invoice.dueOn, graceDays, asOf),
  );
  const [first, ...others] = biting;
  if (first === undefined) return null;
  return {
    invoiceCount: biting.length,
    openMinor: biting.reduce((sum, invoice) => sum + invoice.openMinor, 0n),
    oldestDueOn: others.reduce((day, invoice) => (invoice.dueOn < day ? invoice.dueOn : day), first.dueOn),
  };
}

/** The due day itself and the days of grace after it are still in time. Throws RangeError for a negative grace. */
export function isPastGrace(dueOn: Day, graceDays: number, asOf: Day): boolean {
  if (!Number.isInteger(graceDays) || graceDays < 0) throw new RangeError('grace is whole days, 0 or more');
  return addDays(dueOn, graceDays) < asOf;
}

/** The first day on which the run acts on an invoice that was due on that day. Throws RangeError as `isPastGrace`. */
export function actsOn(dueOn: Day, graceDays: number): Day {
  if (!Number.isInteger(graceDays) || graceDays < 0) throw new RangeError('grace is whole days, 0 or more');
  return addDays(dueOn, graceDays + 1);
}

/** A deferral holds until the day before `until`: on that day the run may act again. */
export function isDeferred(until: Day | null, asOf: Day): boolean {
  return until !== null && until > asOf;
}

/** A deferral that nobody ends must not keep the run away for ever: a year is a slip of the pen. */
const deferralDaysMax = 366;

/** The first day on which the run may act again: as asked, else so many days from today. The rule, when it cannot be. */
export function deferUntil(
  asked: Day | undefined,
  from: { readonly today: Day; readonly days: number },
): { readonly ok: true; readonly day: Day } | { readonly ok: false; readonly rule: string } {
  const day = asked ?? addDays(from.today, from.days);
  if (day <= from.today) return { ok: false, rule: `must be later than ${from.today}` };
  if (day > addDays(from.today, deferralDaysMax)) return { ok: false, rule: 'must be within a year' };
  return { ok: true, day };
}

/**
 * Whether a run is so large that a person has to look at it first: more than so many in a thousand of the active
 * subscriptions, and more than a number that a small operator would not call unusual.
 */
export function isUnusual(
  run: { readonly planned: number; readonly subjects: number },
  limit: { readonly overdueLimitPermille: number; readonly overdueLimitCount: number },
): boolean {
  return (
    run.planned > limit.overdueLimitCount && run.planned * 1000 > run.subjects * limit.overdueLimitPermille
  );
}
