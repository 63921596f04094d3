import { expect } from 'chai';
import fc from 'fast-check';
import {
  basisPointsOf,
  divideHalfUp,
  formatMinor,
  parseMinor,
  splitByWeights,
} from '../../src/domain/money.ts';

describe('money', () => {
  it('splitByWeights, of 300.00 over 15 and 16 days of March, gives the reference parts', () => {
    expect(splitByWeights(30_000n, [15n, 16n])).to.deep.equal([14_516n, 15_484n]);
  });

  it('splitByWeights, of any amount, adds up to it', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }),
        fc.array(fc.bigInt({ min: 1n, max: 1000n }), { minLength: 1, maxLength: 12 }),
        (amount, weights) => splitByWeights(amount, weights).reduce((sum, part) => sum + part, 0n) === amount,
      ),
    );
  });

  it('divideHalfUp, rounds a half away from zero on both sides', () => {
    expect(divideHalfUp(5n, 2n)).to.equal(3n);
    expect(divideHalfUp(-5n, 2n)).to.equal(-3n);
    expect(divideHalfUp(4n, 3n)).to.equal(1n);
    expect(basisPointsOf(1_050n, 500)).to.equal(53n);
  });

  it('formatMinor and parseMinor, for 0, 2 and 3 decimals, undo each other', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }),
        fc.constantFrom(0, 2, 3),
        (amount, exponent) => parseMinor(formatMinor(amount, exponent), exponent) === amount,
      ),
    );
    expect(formatMinor(-5n, 2)).to.equal('-0.05');
    expect(formatMinor(115_000n, 2)).to.equal('1150.00');
  });

  it('parseMinor, refuses too many decimals, exponents and words', () => {
    for (const text of ['1.234', '1e3', '', 'abc', '1,000', '--1', '.5', '1.']) {
      expect(() => parseMinor(text, 2), text).to.throw(RangeError);
    }
    expect(() => parseMinor('1.5', 0)).to.throw(RangeError);
  });
});
