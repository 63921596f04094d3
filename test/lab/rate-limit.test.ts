import { expect } from 'chai';
import { parseRateLimit } from '../../scripts/lab/rate-limit.ts';

describe("lab router's queue", () => {
  // upload/download, burst, threshold, seconds, priority, minimum: all of them, since each has a default of its own.
  const good: [string, number[]][] = [
    ['128k', [128e3, 128e3, 0, 0, 0, 0, 0, 0, 8, 128e3, 128e3]],
    ['64k/128M', [64e3, 128e6, 0, 0, 0, 0, 0, 0, 8, 64e3, 128e6]],
    ['10M/50M', [10e6, 50e6, 0, 0, 0, 0, 0, 0, 8, 10e6, 50e6]],
    ['64k 256k', [64e3, 64e3, 256e3, 256e3, 64e3, 64e3, 1, 1, 8, 64e3, 64e3]],
    ['64k/64k 256k/256k 128k/128k 10/10', [64e3, 64e3, 256e3, 256e3, 128e3, 128e3, 10, 10, 8, 64e3, 64e3]],
    ['5M/20M 8M/30M 4M/16M 12/12 5 1M/4M', [5e6, 20e6, 8e6, 30e6, 4e6, 16e6, 12, 12, 5, 1e6, 4e6]],
    ['1M/2M 0/0 0/0 0/0 8 500k/1M', [1e6, 2e6, 0, 0, 0, 0, 0, 0, 8, 5e5, 1e6]],
    ['0/0', [0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]],
  ];
  for (const [text, expected] of good) {
    it(`parseRateLimit, given ${text}, reads each group`, () => {
      const { text: kept, ...numbers } = parseRateLimit(text) ?? { text: '' };
      expect(kept).to.equal(text);
      expect(Object.values(numbers)).to.deep.equal(expected);
    });
  }

  for (const text of [
    '',
    'fast',
    '1.5M',
    '1M/2M/3M',
    '1m',
    '1M/',
    '1M 2M 1M 1 9',
    '1M 2M 1M 1 5 1M more',
    '-1M',
  ]) {
    it(`parseRateLimit, given ${JSON.stringify(text)}, refuses it`, () => {
      expect(parseRateLimit(text)).to.equal(undefined);
    });
  }
});
