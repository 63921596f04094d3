import { expect } from 'chai';
import fc from 'fast-check';
import { addDays, type Day, daysBetween, parseDay } from '../../src/domain/day.ts';
import {
  debtOf,
  decideOverdue,
  deferUntil,
  isDeferred,
  isOverdue,
  isUnusual,
  type OverdueFacts,
} from '../../src/domain/overdue.ts';

const day = parseDay;
const anyDay = fc.integer({ min: 0, max: 20_000 }).map((n) => addDays(day('2000-01-01'), n));
const anyInvoice = fc.record({ dueOn: anyDay, openMinor: fc.bigInt({ min: -5n, max: 1000n }) });

type Given = Partial<Omit<OverdueFacts, 'profile'>> & { profile?: Partial<OverdueFacts['profile']> };

function facts(given: Given = {}): OverdueFacts {
  const dueOn = day('2026-03-11');
  return {
    subscriptionState: 'active',
    oldestOpenDueOn: dueOn,
    debt: { invoiceCount: 1, openMinor: 30_000n, oldestDueOn: dueOn },
    isSuspendedAsOverdue: false,
    deferredUntil: null,
    ...given,
    profile: { graceDays: 3, effect: 'block', throttleRate: null, isOverdueRunOn: true, ...given.profile },
  };
}

describe('isOverdue', () => {
  const cases: [string, string, number, string, boolean][] = [
    ['the day before the due day', '2026-03-11', 0, '2026-03-10', false],
    ['the due day itself, without grace', '2026-03-11', 0, '2026-03-11', false],
    ['the day after the due day, without grace', '2026-03-11', 0, '2026-03-12', true],
    ['the last day of grace', '2026-03-11', 3, '2026-03-14', false],
    ['the day after grace', '2026-03-11', 3, '2026-03-15', true],
    ['grace over the end of February', '2026-02-27', 3, '2026-03-02', false],
    ['the day after grace over the end of February', '2026-02-27', 3, '2026-03-03', true],
    ['grace over 29 February of a leap year', '2028-02-27', 3, '2028-03-01', false],
    ['the day after grace over 29 February', '2028-02-27', 3, '2028-03-02', true],
    ['grace over new year', '2025-12-30', 5, '2026-01-04', false],
    ['the day after grace over new year', '2025-12-30', 5, '2026-01-05', true],
  ];
  for (const [name, dueOn, grace, asOf, expected] of cases) {
    it(`isOverdue, on ${name}, is ${String(expected)}`, () => {
      expect(isOverdue([{ dueOn: day(dueOn), openMinor: 1n }], grace, day(asOf))).to.equal(expected);
    });
  }

  it('isOverdue, without invoices, is false', () => {
    expect(isOverdue([], 0, day('2026-03-12'))).to.equal(false);
  });

  it('isOverdue, for an invoice of nothing or with nothing or less left open, is false for ever', () => {
    for (const openMinor of [0n, -1n]) {
      expect(isOverdue([{ dueOn: day('2020-01-01'), openMinor }], 0, day('2026-03-12'))).to.equal(false);
    }
  });

  it('isOverdue, for the last minor unit of a partly paid invoice, is true', () => {
    expect(isOverdue([{ dueOn: day('2026-03-01'), openMinor: 1n }], 3, day('2026-03-05'))).to.equal(true);
  });

  it('isOverdue, for a grace that is negative or not whole, throws', () => {
    for (const grace of [-1, 0.5]) {
      expect(() =>
        isOverdue([{ dueOn: day('2026-03-01'), openMinor: 1n }], grace, day('2026-03-05')),
      ).to.throw(RangeError);
    }
  });

  it('isOverdue, as days pass and nobody pays, never turns back to false', () => {
    fc.assert(
      fc.property(fc.array(anyInvoice), fc.nat(60), anyDay, fc.nat(400), (invoices, grace, asOf, later) => {
        if (isOverdue(invoices, grace, asOf)) {
          expect(isOverdue(invoices, grace, addDays(asOf, later))).to.equal(true);
        }
      }),
    );
  });

  it('isOverdue, when some invoice is paid, cannot become true by that', () => {
    fc.assert(
      fc.property(
        fc.array(anyInvoice, { minLength: 1 }),
        fc.nat(60),
        anyDay,
        fc.nat(),
        (invoices, grace, asOf, n) => {
          const paid = invoices.filter((_, at) => at !== n % invoices.length);
          if (!isOverdue(invoices, grace, asOf)) expect(isOverdue(paid, grace, asOf)).to.equal(false);
        },
      ),
    );
  });

  it('isOverdue, with a longer grace, cannot become true by that', () => {
    fc.assert(
      fc.property(fc.array(anyInvoice), fc.nat(30), fc.nat(30), anyDay, (invoices, grace, more, asOf) => {
        if (!isOverdue(invoices, grace, asOf)) {
          expect(isOverdue(invoices, grace + more, asOf)).to.equal(false);
        }
      }),
    );
  });
});

describe('debtOf', () => {
  it('debtOf, counts what is past due and grace and nothing that is still in time', () => {
    const invoices = [
      { dueOn: day('2026-02-11'), openMinor: 100n },
      { dueOn: day('2026-01-11'), openMinor: 20n },
      { dueOn: day('2026-01-01'), openMinor: 0n },
      { dueOn: day('2026-03-11'), openMinor: 7n },
    ];
    expect(debtOf(invoices, 3, day('2026-03-12'))).to.deep.equal({
      invoiceCount: 2,
      openMinor: 120n,
      oldestDueOn: '2026-01-11',
    });
  });

  it('debtOf, is the sum of parts in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(anyInvoice), fc.nat(60), anyDay, (invoices, grace, asOf) => {
        expect(debtOf([...invoices].reverse(), grace, asOf)).to.deep.equal(debtOf(invoices, grace, asOf));
        const debt = debtOf(invoices, grace, asOf);
        if (debt === null) return;
        expect(debt.openMinor > 0n).to.equal(true);
        expect(daysBetween(debt.oldestDueOn, asOf)).to.be.greaterThan(grace);
      }),
    );
  });
});

describe('decideOverdue', () => {
  const asOf = day('2026-03-15');

  it('decideOverdue, past due and grace, suspends with the effect of the profile and says why', () => {
    expect(decideOverdue(facts({ profile: { effect: 'walled_garden' } }), asOf)).to.deep.equal({
      action: 'suspend',
      effect: 'walled_garden',
      throttleRate: null,
      debt: { invoiceCount: 1, openMinor: 30_000n, oldestDueOn: '2026-03-11' },
      daysPastDue: 4,
      daysPastGrace: 1,
    });
  });

  it('decideOverdue, with the effect throttle, gives the rate; with another effect none', () => {
    const throttled = decideOverdue(facts({ profile: { effect: 'throttle', throttleRate: '1M/2M' } }), asOf);
    expect(throttled).to.include({ action: 'suspend', effect: 'throttle', throttleRate: '1M/2M' });
    const blocked = decideOverdue(facts({ profile: { effect: 'block', throttleRate: '1M/2M' } }), asOf);
    expect(blocked).to.include({ action: 'suspend', effect: 'block', throttleRate: null });
  });

  const parked: [string, string | null, string][] = [
    ['no rate', null, 'throttle_rate_missing'],
    ['an empty rate', ' ', 'throttle_rate_missing'],
    ['a rate that no router understands', 'fast', 'throttle_rate_invalid'],
  ];
  for (const [name, throttleRate, why] of parked) {
    it(`decideOverdue, for throttle with ${name}, parks`, () => {
      const decision = decideOverdue(facts({ profile: { effect: 'throttle', throttleRate } }), asOf);
      expect(decision).to.include({ action: 'park', why });
    });
  }

  const left: [string, Given, string][] = [
    ['with nothing open', { oldestOpenDueOn: null, debt: null }, 'not_overdue'],
    ['with an invoice that is due today', { oldestOpenDueOn: asOf, debt: null }, 'not_overdue'],
    ['in grace', { oldestOpenDueOn: day('2026-03-12'), debt: null }, 'in_grace'],
    ['suspended already', { isSuspendedAsOverdue: true }, 'already_suspended'],
    ['paused', { subscriptionState: 'paused' }, 'paused'],
    ['terminated', { subscriptionState: 'terminated' }, 'terminated'],
    ['on a profile without the run', { profile: { isOverdueRunOn: false } }, 'profile_off'],
    ['deferred until tomorrow', { deferredUntil: day('2026-03-16') }, 'deferred'],
  ];
  for (const [name, given, why] of left) {
    it(`decideOverdue, for a subscription ${name}, leaves it: ${why}`, () => {
      expect(decideOverdue(facts(given), asOf)).to.deep.equal({ action: 'leave', why });
    });
  }

  it('decideOverdue, on the day on which a deferral ends, acts again', () => {
    expect(decideOverdue(facts({ deferredUntil: asOf }), asOf)).to.include({ action: 'suspend' });
  });

  it('decideOverdue, never suspends who is not overdue, whatever else the facts say', () => {
    const anyFacts = fc.record({
      invoices: fc.array(anyInvoice),
      grace: fc.nat(30),
      asOf: anyDay,
      state: fc.constantFrom('active', 'paused', 'terminated'),
      suspended: fc.boolean(),
      deferredUntil: fc.option(anyDay),
      isOn: fc.boolean(),
      effect: fc.constantFrom('block', 'throttle', 'walled_garden'),
      rate: fc.option(fc.constantFrom('1M/1M', '', 'nonsense')),
    });
    fc.assert(
      fc.property(anyFacts, (any) => {
        const open = any.invoices.filter((invoice) => invoice.openMinor > 0n).map((invoice) => invoice.dueOn);
        const decision = decideOverdue(
          {
            subscriptionState: any.state,
            oldestOpenDueOn: open.sort()[0] ?? null,
            debt: debtOf(any.invoices, any.grace, any.asOf),
            isSuspendedAsOverdue: any.suspended,
            deferredUntil: any.deferredUntil,
            profile: {
              graceDays: any.grace,
              effect: any.effect,
              throttleRate: any.rate,
              isOverdueRunOn: any.isOn,
            },
          },
          any.asOf,
        );
        const mayAct =
          isOverdue(any.invoices, any.grace, any.asOf) &&
          any.state === 'active' &&
          !any.suspended &&
          any.isOn &&
          !isDeferred(any.deferredUntil, any.asOf);
        expect(decision.action !== 'leave').to.equal(mayAct);
        if (decision.action === 'suspend') expect(decision.daysPastGrace).to.be.at.least(1);
      }),
    );
  });
});

describe('isDeferred', () => {
  const cases: [string | null, string, boolean][] = [
    [null, '2026-03-15', false],
    ['2026-03-16', '2026-03-15', true],
    ['2026-03-15', '2026-03-15', false],
    ['2026-03-14', '2026-03-15', false],
  ];
  for (const [until, asOf, expected] of cases) {
    it(`isDeferred, until ${String(until)} as of ${asOf}, is ${String(expected)}`, () => {
      expect(isDeferred(until as Day | null, day(asOf))).to.equal(expected);
    });
  }
});

describe('deferUntil', () => {
  const from = { today: day('2026-03-15'), days: 7 };

  it('deferUntil, when no day is asked, counts the days of the settings', () => {
    expect(deferUntil(undefined, from)).to.deep.equal({ ok: true, day: '2026-03-22' });
  });

  it('deferUntil, for today or before, refuses: it would defer nothing', () => {
    expect(deferUntil(day('2026-03-15'), from)).to.deep.equal({
      ok: false,
      rule: 'must be later than 2026-03-15',
    });
  });

  it('deferUntil, for a day years ahead, refuses: it would be free service for ever', () => {
    expect(deferUntil(day('2027-03-16'), from)).to.deep.equal({ ok: true, day: '2027-03-16' });
    expect(deferUntil(day('2027-03-17'), from)).to.deep.equal({ ok: false, rule: 'must be within a year' });
  });
});

describe('isUnusual', () => {
  const limit = { overdueLimitPermille: 100, overdueLimitCount: 50 };
  const cases: [string, number, number, boolean][] = [
    ['nothing to do', 0, 0, false],
    ['few, though everybody, of a small operator', 50, 50, false],
    ['one more than the count, but a small share', 51, 100_000, false],
    ['exactly the share', 1000, 10_000, false],
    ['one more than the share', 1001, 10_000, true],
    ['more than the count and everybody', 51, 51, true],
  ];
  for (const [name, planned, subjects, expected] of cases) {
    it(`isUnusual, for ${name}, is ${String(expected)}`, () => {
      expect(isUnusual({ planned, subjects }, limit)).to.equal(expected);
    });
  }
});
