import { expect } from 'chai';
import { codeAt, matchingStep, toBase32 } from '../../src/domain/totp.ts';

const secret = Buffer.from('12345678901234567890');

describe('totp', () => {
  it('codeAt, for the times of RFC 6238 appendix B, gives their last six digits', () => {
    const vectors: [number, string][] = [
      [59, '287082'],
      [1111111109, '081804'],
      [1111111111, '050471'],
      [1234567890, '005924'],
      [2000000000, '279037'],
      [20000000000, '353130'],
    ];
    for (const [seconds, code] of vectors)
      expect(codeAt(secret, Math.floor(seconds / 30)), code).to.equal(code);
  });

  it('matchingStep, takes one step early or late and no more', () => {
    const now = new Date(1111111111 * 1000);
    const step = Math.floor(1111111111 / 30);
    expect(matchingStep(secret, codeAt(secret, step - 1), now)).to.equal(step - 1);
    expect(matchingStep(secret, codeAt(secret, step + 1), now)).to.equal(step + 1);
    expect(matchingStep(secret, codeAt(secret, step + 2), now)).to.equal(null);
    expect(matchingStep(secret, '12345', now)).to.equal(null);
  });

  it('toBase32, for the words of RFC 4648, gives theirs without padding', () => {
    expect(
      ['f', 'fo', 'foo', 'foob', 'fooba', 'foobar'].map((word) => toBase32(Buffer.from(word))),
    ).to.deep.equal(['MY', 'MZXQ', 'MZXW6', 'MZXW6YQ', 'MZXW6YTB', 'MZXW6YTBOI']);
  });
});
