import { expect } from 'chai';
import fc from 'fast-check';
import { periodAt, periodHolding, periodsBegun } from '../../src/domain/billing-cycle.ts';
import { addDays, parseDay } from '../../src/domain/day.ts';

const day = fc.integer({ min: 0, max: 20_000 }).map((days) => addDays(parseDay('2000-01-01'), days));

describe('billing cycle', () => {
  it('periodAt, born on the 31st, ends with short months and comes back to the 31st', () => {
    const anchor = parseDay('2026-01-31');
    expect([0, 1, 2, 3].map((n) => periodAt(anchor, n)).map(({ start, end }) => [start, end])).to.deep.equal([
      ['2026-01-31', '2026-02-28'],
      ['2026-02-28', '2026-03-31'],
      ['2026-03-31', '2026-04-30'],
      ['2026-04-30', '2026-05-31'],
    ]);
  });

  it('periods, of any anchor, follow each other without a gap and are never empty', () => {
    fc.assert(
      fc.property(day, fc.integer({ min: 0, max: 400 }), (anchor, index) => {
        const period = periodAt(anchor, index);
        return period.end > period.start && periodAt(anchor, index + 1).start === period.end;
      }),
    );
  });

  it('periodHolding, of any day from the anchor on, holds it; before the anchor there is none', () => {
    fc.assert(
      fc.property(day, fc.integer({ min: 0, max: 4000 }), (anchor, later) => {
        const asked = addDays(anchor, later);
        const period = periodHolding(anchor, asked);
        return period !== undefined && period.start <= asked && asked < period.end;
      }),
    );
    expect(periodHolding(parseDay('2026-01-31'), parseDay('2026-01-30'))).to.equal(undefined);
    expect(periodHolding(parseDay('2026-01-31'), parseDay('2026-02-28'))?.index).to.equal(1);
    expect(periodHolding(parseDay('2026-01-31'), parseDay('2026-02-27'))?.index).to.equal(0);
  });

  it('periodsBegun, after missed months, gives each of them up to the limit and names the next', () => {
    const anchor = parseDay('2026-01-31');
    const asOf = parseDay('2026-04-30');
    const all = periodsBegun(anchor, 0, { asOf, endedOn: null, countMax: 12 });
    expect(all.periods.map((period) => period.start)).to.deep.equal([
      '2026-01-31',
      '2026-02-28',
      '2026-03-31',
      '2026-04-30',
    ]);
    expect(all.next?.start).to.equal('2026-05-31');
    const some = periodsBegun(anchor, 0, { asOf, endedOn: null, countMax: 2 });
    expect(some.periods).to.have.length(2);
    expect(some.next).to.deep.equal(periodAt(anchor, 2));
  });

  it('periodsBegun, of a subscription that ends, gives no period that begins on its last day or later', () => {
    const anchor = parseDay('2026-01-15');
    const until = { asOf: parseDay('2026-12-31'), countMax: 99 };
    const ended = periodsBegun(anchor, 0, { ...until, endedOn: parseDay('2026-03-15') });
    expect(ended.periods.map((period) => period.index)).to.deep.equal([0, 1]);
    expect(ended.next).to.equal(undefined);
  });

  it('periodAt, given no index, throws', () => {
    expect(() => periodAt(parseDay('2026-01-01'), -1)).to.throw(RangeError);
    expect(() => periodAt(parseDay('2026-01-01'), 1.5)).to.throw(RangeError);
  });
});
