import { expect } from 'chai';
import fc from 'fast-check';
import { parseDay } from '../../src/domain/day.ts';
import { noTax, rateInForce, taxLine } from '../../src/domain/tax.ts';

const rate = (rateBp: number, isInclusive: boolean) => ({ name: 'VAT', rateBp, isInclusive });

describe('tax', () => {
  it('taxLine, table', () => {
    const table: [price: bigint, rateBp: number, isInclusive: boolean, net: bigint, tax: bigint][] = [
      [100_000n, 500, false, 100_000n, 5_000n],
      [105_000n, 500, true, 100_000n, 5_000n],
      [1_050n, 500, false, 1_050n, 53n], // 52.5 is rounded up
      [999n, 1_500, true, 869n, 130n],
      [30_000n, 0, false, 30_000n, 0n],
      [0n, 500, true, 0n, 0n],
    ];
    for (const [price, rateBp, isInclusive, netMinor, taxMinor] of table) {
      expect(taxLine(price, rate(rateBp, isInclusive)), `${price} at ${rateBp}`).to.deep.equal({
        netMinor,
        taxMinor,
        totalMinor: netMinor + taxMinor,
        taxName: 'VAT',
        taxRateBp: rateBp,
      });
    }
  });

  it('taxLine, at 0 % and without tax, still says so on the line', () => {
    expect(taxLine(30_000n, noTax)).to.include({ taxName: 'none', taxRateBp: 0, taxMinor: 0n });
  });

  it('taxLine, inclusive, leaves the total as the price says', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 12n }),
        fc.integer({ min: 0, max: 10_000 }),
        (price, bp) => {
          const line = taxLine(price, rate(bp, true));
          return line.totalMinor === price && line.taxMinor >= 0n && line.netMinor >= 0n;
        },
      ),
    );
  });

  it('rateInForce, takes the latest row of the name that has begun', () => {
    const rows = ['2025-01-01', '2026-07-01', '2026-01-01'].map((from, index) => ({
      ...rate(500 + index, false),
      effectiveOn: parseDay(from),
    }));
    const other = { ...rate(9_900, false), name: 'Duty', effectiveOn: parseDay('2026-02-01') };
    const on = (day: string) => rateInForce([...rows, other], 'VAT', parseDay(day))?.rateBp;
    expect(on('2024-12-31')).to.equal(undefined);
    expect(on('2025-06-01')).to.equal(500);
    expect(on('2026-01-01')).to.equal(502);
    expect(on('2026-06-30')).to.equal(502);
    expect(on('2026-07-01')).to.equal(501);
  });

  it('taxLine, given a rate that is none, throws', () => {
    expect(() => taxLine(1n, rate(-1, false))).to.throw(RangeError);
    expect(() => taxLine(1n, rate(0.5, false))).to.throw(RangeError);
  });
});
