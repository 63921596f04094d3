import { expect } from 'chai';
import fc from 'fast-check';
import { addDays, parseDay } from '../../src/domain/day.ts';
import { prorate } from '../../src/domain/proration.ts';

const march = { start: parseDay('2026-03-01'), end: parseDay('2026-04-01') };

describe('prorate', () => {
  it('300.00 over March, cut on the 16th, gives 15 and 16 days and the reference amounts', () => {
    expect(prorate(30_000n, march, [parseDay('2026-03-16')])).to.deep.equal([
      { start: '2026-03-01', end: '2026-03-16', days: 15, amountMinor: 14_516n },
      { start: '2026-03-16', end: '2026-04-01', days: 16, amountMinor: 15_484n },
    ]);
  });

  it('cut twice on one day, at the edges or outside, makes no empty and no negative part', () => {
    const parts = prorate(30_000n, march, [
      parseDay('2026-03-16'),
      parseDay('2026-03-16'),
      march.start,
      march.end,
      parseDay('2026-05-01'),
    ]);
    expect(parts.map((part) => part.days)).to.deep.equal([15, 16]);
  });

  it('of any amount and any cuts, the parts add up to the amount and to the days', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 9n), max: 10n ** 9n }),
        fc.array(fc.integer({ min: -5, max: 40 }), { maxLength: 6 }),
        (amount, offsets) => {
          const parts = prorate(
            amount,
            march,
            offsets.map((offset) => addDays(march.start, offset)),
          );
          return (
            parts.reduce((sum, part) => sum + part.amountMinor, 0n) === amount &&
            parts.reduce((sum, part) => sum + part.days, 0) === 31 &&
            parts.every((part) => part.days > 0)
          );
        },
      ),
    );
  });

  it('of an empty period, throws', () => {
    expect(() => prorate(1n, { start: march.start, end: march.start }, [])).to.throw(RangeError);
  });
});
