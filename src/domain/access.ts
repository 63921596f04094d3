import type {
  Access,
  AccessKind,
  ExpiryEffect,
  Reason,
  SuspensionCause,
  SuspensionEffect,
} from './access-types.ts';
import { formatRateLimit, type RateLimit, slowerOf } from './rate-limit.ts';

/** Everything that the decision about one login reads. */
export interface AccessFacts {
  readonly retiredAt: Date | null;
  /** The package's speed; null is unlimited. */
  readonly packageRate: RateLimit | null;
  readonly subscriptionState: 'active' | 'paused' | 'terminated';
  /** Prepaid validity: the first instant at which it is over. Null where nothing expires. */
  readonly validUntil: Date | null;
  readonly expiryEffect: ExpiryEffect;
  /** The speed after expiry, where its effect is throttle. */
  readonly expiryRate: RateLimit | null;
  readonly openSuspensions: readonly OpenSuspension[];
}

export interface OpenSuspension {
  readonly cause: SuspensionCause;
  readonly effect: SuspensionEffect;
  /** Where the effect is throttle. */
  readonly throttleRate: RateLimit | null;
}

export interface AccessDecision {
  readonly access: Access;
  readonly reason: Reason;
  /** The next instant at which the answer changes although nothing happens; null when it never does by itself. */
  readonly reviewAt: Date | null;
}

/** A retired login's rows say why it is refused for so long; after that it is a name that RADIUS does not know. */
export const retiredRowsKeptMs = 30 * 86_400_000;

/**
 * What a login may do at an instant, and why: the one place in which this is decided.
 *
 * Each rule that applies is a restriction. The strictest restriction wins: denied before walled garden before throttled
 * before full. Among equally strict ones the first in the order of `rules` gives the reason: what the subscriber cannot
 * settle alone comes before what a payment settles, so nobody is told to pay for something that paying does not open.
 * Of several throttles, and of a throttle and the package, the slower speed holds in each direction; the slowest
 * throttle gives the reason.
 *
 * So another suspension never loosens access, and closing one never tightens it.
 */
export function decideAccess(facts: AccessFacts, now: Date): AccessDecision {
  const { access, reason } = answerAt(facts, now);
  return { access, reason, reviewAt: nextChange(facts, now, { access, reason }) };
}

/** Whether FreeRADIUS should know the login at all. */
export function hasRadiusRows(facts: AccessFacts, now: Date): boolean {
  return facts.retiredAt === null || now.getTime() < facts.retiredAt.getTime() + retiredRowsKeptMs;
}

/** From open to closed. A higher rank is stricter. */
export const strictness: Record<AccessKind, number> = { full: 0, throttled: 1, walled_garden: 2, denied: 3 };

interface Answer {
  readonly access: Access;
  readonly reason: Reason;
}

/** The policy: which rules there are, and whose reason is told first. */
const rules: readonly ((facts: AccessFacts, now: Date) => Answer | undefined)[] = [
  (facts, now) => (isReached(facts.retiredAt, now) ? denied('login_retired') : undefined),
  (facts) => (facts.subscriptionState === 'terminated' ? denied('subscription_terminated') : undefined),
  (facts) => suspended(facts, 'fraud', 'fraud_hold'),
  (facts) => suspended(facts, 'staff', 'staff_hold'),
  (facts) => (facts.subscriptionState === 'paused' ? denied('subscription_paused') : undefined),
  (facts) => suspended(facts, 'vacation', 'vacation'),
  (facts, now) =>
    isReached(facts.validUntil, now)
      ? restricted(facts.expiryEffect, facts.expiryRate, 'prepaid_expired')
      : undefined,
  (facts) => suspended(facts, 'overdue', 'invoice_overdue'),
];

function answerAt(facts: AccessFacts, now: Date): Answer {
  const restrictions = rules.flatMap((rule) => rule(facts, now) ?? []);
  const worst = Math.max(0, ...restrictions.map((one) => strictness[one.access.kind]));
  const strictest = restrictions.filter((one) => strictness[one.access.kind] === worst);
  const [first] = strictest;
  if (first === undefined) return { access: { kind: 'full' }, reason: 'paid_up' };
  return first.access.kind === 'throttled' ? slowest(strictest, facts.packageRate) : first;
}

function slowest(throttles: readonly Answer[], packageRate: RateLimit | null): Answer {
  const slow = throttles.reduce((held, next) => {
    if (held.access.kind !== 'throttled' || next.access.kind !== 'throttled') return held;
    const rate = slowerOf(held.access.rate, next.access.rate);
    const isNextSlower = next.access.rate.downloadBps < held.access.rate.downloadBps;
    return { access: { kind: 'throttled', rate }, reason: isNextSlower ? next.reason : held.reason };
  });
  if (slow.access.kind !== 'throttled' || packageRate === null) return slow;
  // A throttle faster than the package would be a gift for not paying.
  return { ...slow, access: { kind: 'throttled', rate: slowerOf(slow.access.rate, packageRate) } };
}

function suspended(facts: AccessFacts, cause: SuspensionCause, reason: Reason): Answer | undefined {
  const open = facts.openSuspensions.find((suspension) => suspension.cause === cause);
  return open === undefined ? undefined : restricted(open.effect, open.throttleRate, reason);
}

function restricted(effect: SuspensionEffect, rate: RateLimit | null, reason: Reason): Answer {
  switch (effect) {
    case 'block':
      return denied(reason);
    case 'walled_garden':
      return { access: { kind: 'walled_garden' }, reason };
    case 'throttle':
      // A throttle that nobody gave a speed cannot be applied: the next stricter effect is, and never full access.
      if (rate === null) return { access: { kind: 'walled_garden' }, reason };
      return { access: { kind: 'throttled', rate }, reason };
  }
}

function denied(reason: Reason): Answer {
  return { access: { kind: 'denied' }, reason };
}

function isReached(instant: Date | null, now: Date): boolean {
  return instant !== null && now.getTime() >= instant.getTime();
}

function nextChange(facts: AccessFacts, now: Date, answer: Answer): Date | null {
  const retired = facts.retiredAt?.getTime();
  const instants = [
    facts.validUntil?.getTime(),
    retired,
    retired === undefined ? undefined : retired + retiredRowsKeptMs,
  ]
    .filter((instant) => instant !== undefined)
    .filter((instant) => instant > now.getTime())
    .sort((a, b) => a - b)
    .map((instant) => new Date(instant));
  const differs = (at: Date) =>
    !isSameAnswer(answer, answerAt(facts, at)) || hasRadiusRows(facts, now) !== hasRadiusRows(facts, at);
  return instants.find(differs) ?? null;
}

function isSameAnswer(a: Answer, b: Answer): boolean {
  return a.reason === b.reason && isSameAccess(a.access, b.access);
}

export function isSameAccess(a: Access, b: Access): boolean {
  if (a.kind !== 'throttled' || b.kind !== 'throttled') return a.kind === b.kind;
  return formatRateLimit(a.rate) === formatRateLimit(b.rate);
}
