import { expect } from 'chai';
import fc from 'fast-check';
import {
  type AccessFacts,
  decideAccess,
  hasRadiusRows,
  type OpenSuspension,
  retiredRowsKeptMs,
  strictness,
} from '../../src/domain/access.ts';
import type { Access, Reason, SuspensionCause, SuspensionEffect } from '../../src/domain/access-types.ts';
import { isWithin, parseRateLimit } from '../../src/domain/rate-limit.ts';

const now = new Date('2026-06-15T12:00:00.000Z');
const before = new Date('2026-06-15T11:59:59.999Z');
const later = new Date('2026-06-20T00:00:00.000Z');
const good: AccessFacts = {
  retiredAt: null,
  packageRate: parseRateLimit('20M/100M'),
  subscriptionState: 'active',
  validUntil: null,
  expiryEffect: 'block',
  expiryRate: null,
  openSuspensions: [],
};
const open = (cause: SuspensionCause, effect: SuspensionEffect, rate?: string): OpenSuspension => ({
  cause,
  effect,
  throttleRate: rate === undefined ? null : parseRateLimit(rate),
});
const full: Access = { kind: 'full' };
const denied: Access = { kind: 'denied' };
const walled: Access = { kind: 'walled_garden' };
const throttled = (rate: string): Access => ({ kind: 'throttled', rate: parseRateLimit(rate) });

const table: readonly [what: string, facts: Partial<AccessFacts>, access: Access, reason: Reason][] = [
  ['nothing against it', {}, full, 'paid_up'],
  ['prepaid and still valid', { validUntil: later }, full, 'paid_up'],
  ['a retired login', { retiredAt: before }, denied, 'login_retired'],
  [
    'a retired login of a terminated subscription',
    { retiredAt: now, subscriptionState: 'terminated' },
    denied,
    'login_retired',
  ],
  ['a terminated subscription', { subscriptionState: 'terminated' }, denied, 'subscription_terminated'],
  [
    'a terminated subscription that is overdue too',
    { subscriptionState: 'terminated', openSuspensions: [open('overdue', 'block')] },
    denied,
    'subscription_terminated',
  ],
  ['a paused subscription', { subscriptionState: 'paused' }, denied, 'subscription_paused'],
  [
    'a paused subscription with a staff walled garden',
    { subscriptionState: 'paused', openSuspensions: [open('staff', 'walled_garden')] },
    denied,
    'subscription_paused',
  ],
  [
    'a paused subscription with a staff block',
    { subscriptionState: 'paused', openSuspensions: [open('staff', 'block')] },
    denied,
    'staff_hold',
  ],
  ['a fraud block', { openSuspensions: [open('fraud', 'block')] }, denied, 'fraud_hold'],
  [
    'a fraud throttle and an overdue block',
    { openSuspensions: [open('fraud', 'throttle', '1M'), open('overdue', 'block')] },
    denied,
    'invoice_overdue',
  ],
  [
    'fraud and staff blocks',
    { openSuspensions: [open('staff', 'block'), open('fraud', 'block')] },
    denied,
    'fraud_hold',
  ],
  ['a staff block', { openSuspensions: [open('staff', 'block')] }, denied, 'staff_hold'],
  [
    'a staff throttle',
    { openSuspensions: [open('staff', 'throttle', '2M/4M')] },
    throttled('2M/4M'),
    'staff_hold',
  ],
  ['a staff walled garden', { openSuspensions: [open('staff', 'walled_garden')] }, walled, 'staff_hold'],
  [
    'an overdue throttle and a staff block',
    { openSuspensions: [open('overdue', 'throttle', '1M'), open('staff', 'block')] },
    denied,
    'staff_hold',
  ],
  [
    'an overdue walled garden and a staff throttle',
    { openSuspensions: [open('overdue', 'walled_garden'), open('staff', 'throttle', '1M')] },
    walled,
    'invoice_overdue',
  ],
  [
    'an overdue block and a staff walled garden',
    { openSuspensions: [open('overdue', 'block'), open('staff', 'walled_garden')] },
    denied,
    'invoice_overdue',
  ],
  [
    'an overdue block and a staff block',
    { openSuspensions: [open('overdue', 'block'), open('staff', 'block')] },
    denied,
    'staff_hold',
  ],
  [
    'two throttles, each slower in one direction',
    { openSuspensions: [open('staff', 'throttle', '1M/8M'), open('overdue', 'throttle', '2M/4M')] },
    throttled('1M/4M'),
    'invoice_overdue',
  ],
  [
    'two equal throttles with bursts',
    { openSuspensions: [open('staff', 'throttle', '1M 2M'), open('overdue', 'throttle', '1M 2M')] },
    throttled('1M 2M'),
    'staff_hold',
  ],
  [
    'an overdue throttle faster than the package',
    { packageRate: parseRateLimit('1M/2M'), openSuspensions: [open('overdue', 'throttle', '4M')] },
    throttled('1M/2M'),
    'invoice_overdue',
  ],
  [
    'an overdue throttle on an unlimited package',
    { packageRate: null, openSuspensions: [open('overdue', 'throttle', '4M 8M')] },
    throttled('4M 8M'),
    'invoice_overdue',
  ],
  ['a vacation block', { openSuspensions: [open('vacation', 'block')] }, denied, 'vacation'],
  ['a vacation walled garden', { openSuspensions: [open('vacation', 'walled_garden')] }, walled, 'vacation'],
  [
    'a vacation and an overdue block',
    { openSuspensions: [open('vacation', 'block'), open('overdue', 'block')] },
    denied,
    'vacation',
  ],
  ['prepaid over at this very instant', { validUntil: now }, denied, 'prepaid_expired'],
  [
    'prepaid over, effect throttle',
    { validUntil: before, expiryEffect: 'throttle', expiryRate: parseRateLimit('64k') },
    throttled('64k'),
    'prepaid_expired',
  ],
  [
    'prepaid over, effect throttle without a speed',
    { validUntil: before, expiryEffect: 'throttle' },
    walled,
    'prepaid_expired',
  ],
  [
    'prepaid over, effect walled garden',
    { validUntil: before, expiryEffect: 'walled_garden' },
    walled,
    'prepaid_expired',
  ],
  [
    'prepaid over and overdue',
    { validUntil: before, openSuspensions: [open('overdue', 'block')] },
    denied,
    'prepaid_expired',
  ],
  ['an overdue block', { openSuspensions: [open('overdue', 'block')] }, denied, 'invoice_overdue'],
  [
    'an overdue throttle',
    { openSuspensions: [open('overdue', 'throttle', '512k/1M')] },
    throttled('512k/1M'),
    'invoice_overdue',
  ],
  [
    'an overdue throttle without a speed',
    { openSuspensions: [open('overdue', 'throttle')] },
    walled,
    'invoice_overdue',
  ],
  [
    'an overdue walled garden',
    { openSuspensions: [open('overdue', 'walled_garden')] },
    walled,
    'invoice_overdue',
  ],
];

describe('domain/access', () => {
  for (const [what, facts, access, reason] of table) {
    it(`decideAccess, with ${what}, says ${access.kind} because of ${reason}`, () => {
      const decision = decideAccess({ ...good, ...facts }, now);
      expect(decision.access).to.deep.equal(access);
      expect(decision.reason).to.equal(reason);
    });
  }

  it('decideAccess, for every combination of causes and effects, takes the strictest and tells the first cause of it', () => {
    const causes: readonly SuspensionCause[] = ['fraud', 'staff', 'vacation', 'overdue'];
    const reasons: readonly Reason[] = ['fraud_hold', 'staff_hold', 'vacation', 'invoice_overdue'];
    const effects = [null, 'throttle', 'walled_garden', 'block'] as const;
    let count = 0;
    for (let drawn = 0; drawn < effects.length ** causes.length; drawn++) {
      const chosen = causes.map(
        (_, i) => effects[Math.floor(drawn / effects.length ** i) % effects.length] ?? null,
      );
      const openSuspensions = causes.flatMap((cause, i) => {
        const effect = chosen[i];
        return effect == null ? [] : [open(cause, effect, '1M')];
      });
      const decision = decideAccess({ ...good, openSuspensions }, now);
      const worst = Math.max(...chosen.map((effect) => effects.indexOf(effect)));
      expect(strictness[decision.access.kind]).to.equal(worst);
      const first = chosen.findIndex((effect) => effects.indexOf(effect) === worst);
      expect(decision.reason).to.equal(worst === 0 ? 'paid_up' : reasons[first]);
      count++;
    }
    expect(count).to.equal(256);
  });

  it('decideAccess, when one more suspension is opened, is never looser, and when one is closed never stricter', () => {
    fc.assert(
      fc.property(anyFacts(), anySuspension(), anyInstant(), (facts, extra, at) => {
        const others = facts.openSuspensions.filter((one) => one.cause !== extra.cause);
        const without = decideAccess({ ...facts, openSuspensions: others }, at).access;
        for (const openSuspensions of [
          [...others, extra],
          [extra, ...others],
        ]) {
          const withIt = decideAccess({ ...facts, openSuspensions }, at).access;
          expect(strictness[withIt.kind]).to.be.at.least(strictness[without.kind]);
          const rateOf = (access: Access) => (access.kind === 'throttled' ? access.rate : facts.packageRate);
          const rates = [rateOf(withIt), rateOf(without)] as const;
          if (withIt.kind === 'throttled' && rates[0] !== null && rates[1] !== null) {
            expect(isWithin(rates[0], rates[1])).to.equal(true);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('decideAccess, of the same suspensions in another order, says the same', () => {
    fc.assert(
      fc.property(anyFacts(), anyInstant(), (facts, at) => {
        const turned = { ...facts, openSuspensions: [...facts.openSuspensions].reverse() };
        expect(decideAccess(turned, at)).to.deep.equal(decideAccess(facts, at));
      }),
    );
  });

  it('decideAccess, full, means that nothing restricts', () => {
    fc.assert(
      fc.property(anyFacts(), anyInstant(), (facts, at) => {
        const isFree =
          (facts.retiredAt === null || facts.retiredAt > at) &&
          facts.subscriptionState === 'active' &&
          (facts.validUntil === null || facts.validUntil > at) &&
          facts.openSuspensions.length === 0;
        expect(decideAccess(facts, at).access.kind === 'full').to.equal(isFree);
      }),
    );
  });

  describe('reviewAt', () => {
    it('decideAccess, when nothing expires, has no next review', () => {
      expect(decideAccess({ ...good, openSuspensions: [open('overdue', 'block')] }, now).reviewAt).to.equal(
        null,
      );
    });

    it('decideAccess, when prepaid is valid, is to be reviewed when it ends', () => {
      expect(decideAccess({ ...good, validUntil: later }, now).reviewAt).to.deep.equal(later);
      expect(decideAccess({ ...good, validUntil: now }, now).reviewAt).to.equal(null);
    });

    it('decideAccess, when the end of validity changes nothing, needs no review', () => {
      const facts = { ...good, validUntil: later, openSuspensions: [open('staff', 'block')] };
      expect(decideAccess(facts, now).reviewAt).to.equal(null);
    });

    it('decideAccess, of a retired login, is to be reviewed when its rows may go', () => {
      const end = new Date(now.getTime() + retiredRowsKeptMs);
      const facts = { ...good, retiredAt: now };
      expect(decideAccess(facts, now).reviewAt).to.deep.equal(end);
      expect(hasRadiusRows(facts, now)).to.equal(true);
      expect(hasRadiusRows(facts, end)).to.equal(false);
      expect(decideAccess(facts, end).reviewAt).to.equal(null);
    });

    it('decideAccess, at any time before reviewAt, says the same, and at reviewAt something else', () => {
      fc.assert(
        fc.property(
          anyFacts(),
          anyInstant(),
          fc.double({ min: 0, max: 0.999, noNaN: true }),
          (facts, at, part) => {
            const { access, reason, reviewAt } = decideAccess(facts, at);
            const answer = (when: Date) => {
              const { access: a, reason: r } = decideAccess(facts, when);
              return { a, r, rows: hasRadiusRows(facts, when) };
            };
            const end = reviewAt ?? new Date(at.getTime() + 10 * 365 * 86_400_000);
            const between = new Date(at.getTime() + Math.floor((end.getTime() - at.getTime()) * part));
            expect(answer(between)).to.deep.equal({ a: access, r: reason, rows: hasRadiusRows(facts, at) });
            if (reviewAt === null) return;
            expect(reviewAt.getTime()).to.be.above(at.getTime());
            expect(answer(reviewAt)).to.not.deep.equal(answer(at));
          },
        ),
        { numRuns: 1000 },
      );
    });
  });
});

function anyInstant(): fc.Arbitrary<Date> {
  return fc.date({
    min: new Date('2026-01-01T00:00:00Z'),
    max: new Date('2026-12-31T00:00:00Z'),
    noInvalidDate: true,
  });
}

function anySuspension(): fc.Arbitrary<OpenSuspension> {
  return fc
    .record({
      cause: fc.constantFrom<SuspensionCause>('overdue', 'staff', 'fraud', 'vacation'),
      effect: fc.constantFrom<SuspensionEffect>('block', 'throttle', 'walled_garden'),
      rate: fc.option(fc.constantFrom('64k', '1M/2M', '2M/1M', '10M 20M', '512k/4M')),
    })
    .map(({ cause, effect, rate }) => open(cause, effect, rate ?? undefined));
}

function anyFacts(): fc.Arbitrary<AccessFacts> {
  return fc.record({
    retiredAt: fc.option(anyInstant(), { freq: 1 }),
    packageRate: fc.option(fc.constantFrom('128k', '5M/20M', '1M/1M 8M/8M').map(parseRateLimit)),
    subscriptionState: fc.constantFrom('active', 'active', 'active', 'paused', 'terminated'),
    validUntil: fc.option(anyInstant()),
    expiryEffect: fc.constantFrom<SuspensionEffect>('block', 'throttle', 'walled_garden'),
    expiryRate: fc.option(fc.constantFrom('64k', '3M/1M').map(parseRateLimit)),
    openSuspensions: fc.uniqueArray(anySuspension(), { maxLength: 4, selector: (one) => one.cause }),
  });
}
