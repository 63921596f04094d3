import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatRateLimit,
  isWithin,
  parseRateLimit,
  type RateLimit,
  slowerOf,
} from '../../src/domain/rate-limit.ts';

const [k, M] = [1000, 1_000_000];

function burst(
  up: number,
  down: number,
  thresholdUp: number,
  thresholdDown: number,
  upS: number,
  downS: number,
) {
  return {
    uploadBps: up,
    downloadBps: down,
    uploadThresholdBps: thresholdUp,
    downloadThresholdBps: thresholdDown,
    uploadSeconds: upS,
    downloadSeconds: downS,
  };
}

const vectors: readonly [text: string, rate: RateLimit, canonical: string][] = [
  ['128k', { uploadBps: 128 * k, downloadBps: 128 * k }, '128k/128k'],
  ['64k/128M', { uploadBps: 64 * k, downloadBps: 128 * M }, '64k/128M'],
  ['10M/50M', { uploadBps: 10 * M, downloadBps: 50 * M }, '10M/50M'],
  [' 10m/50000K ', { uploadBps: 10 * M, downloadBps: 50 * M }, '10M/50M'],
  ['1G/2G', { uploadBps: 1000 * M, downloadBps: 2000 * M }, '1000M/2000M'],
  ['1.5M/2.25M', { uploadBps: 1500 * k, downloadBps: 2250 * k }, '1500k/2250k'],
  ['1500/1501', { uploadBps: 1500, downloadBps: 1501 }, '1500/1501'],
  [
    '64k 256k',
    { uploadBps: 64 * k, downloadBps: 64 * k, burst: burst(256 * k, 256 * k, 64 * k, 64 * k, 1, 1) },
    '64k/64k 256k/256k',
  ],
  [
    '64k/64k 256k/256k 128k/128k 10/10',
    { uploadBps: 64 * k, downloadBps: 64 * k, burst: burst(256 * k, 256 * k, 128 * k, 128 * k, 10, 10) },
    '64k/64k 256k/256k 128k/128k 10/10',
  ],
  [
    '64k/128k 256k/512k 64k/128k 10s',
    { uploadBps: 64 * k, downloadBps: 128 * k, burst: burst(256 * k, 512 * k, 64 * k, 128 * k, 10, 10) },
    '64k/128k 256k/512k 64k/128k 10/10',
  ],
  [
    '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M',
    {
      uploadBps: 5 * M,
      downloadBps: 20 * M,
      burst: burst(8 * M, 30 * M, 4 * M, 16 * M, 12, 12),
      priority: 5,
      min: { uploadBps: M, downloadBps: 4 * M },
    },
    '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M',
  ],
  ['5M/20M 0/0 0/0 0/0 3', { uploadBps: 5 * M, downloadBps: 20 * M, priority: 3 }, '5M/20M 0/0 0/0 0/0 3'],
  [
    '5M/20M 0/0 0/0 0/0 8 1M/4M',
    { uploadBps: 5 * M, downloadBps: 20 * M, min: { uploadBps: M, downloadBps: 4 * M } },
    '5M/20M 0/0 0/0 0/0 8 1M/4M',
  ],
  [
    '5M/20M 0/30M 0/16M 9/9',
    { uploadBps: 5 * M, downloadBps: 20 * M, burst: burst(0, 30 * M, 0, 16 * M, 0, 9) },
    '5M/20M 0/30M 0/16M 0/9',
  ],
  ['5M/20M 0/0 0/0 0/0 8 5M/20M', { uploadBps: 5 * M, downloadBps: 20 * M }, '5M/20M'],
];

const refusals: readonly [text: string, rule: string][] = [
  ['', 'rate: is missing'],
  ['0/0', 'rate: is 1 bit/s to 100G'],
  ['10M/0', 'rate: is 1 bit/s to 100G'],
  ['200G', 'rate: is 1 bit/s to 100G'],
  ['-1M', 'rate: is a number'],
  ['10 Mbit', 'burst rate: is a number'],
  ['10M/20M/30M', 'rate: is one value'],
  ['1.0001k', 'rate: is a whole number of bits'],
  ['10M/', 'rate: is a number'],
  ['ten', 'rate: is a number'],
  ['10M 5M', 'burst rate: is not below the rate'],
  ['10M 20M 30M', 'burst threshold: is not above the burst rate'],
  ['10M 20M 10M 0', 'burst time: is 1 to 86400 seconds'],
  ['10M 20M 10M 1m', 'burst time: is whole seconds'],
  ['10M 20M 10M 1 0', 'priority: is a whole number from 1 to 8'],
  ['10M 20M 10M 1 9', 'priority: is a whole number from 1 to 8'],
  ['10M 20M 10M 1 5/5', 'priority: is a whole number from 1 to 8'],
  ['10M 20M 10M 1 5 11M', 'minimum rate: is not above the rate'],
  ['10M 20M 10M 1 5 1M 7', 'rate limit: has at most six groups'],
  ['10M\n20M', 'rate: is a number'],
];

describe('domain/rate-limit', () => {
  for (const [text, rate, canonical] of vectors) {
    it(`parseRateLimit, given "${text}", reads upload first and fills in the defaults`, () => {
      expect(parseRateLimit(text)).to.deep.equal(rate);
      expect(formatRateLimit(parseRateLimit(text))).to.equal(canonical);
    });
  }

  for (const [text, rule] of refusals) {
    it(`parseRateLimit, given ${JSON.stringify(text)}, names the part and the rule`, () => {
      expect(() => parseRateLimit(text)).to.throw(RangeError, rule);
    });
  }

  it('formatRateLimit, of any limit, is read back as the same limit, in at most 120 bytes', () => {
    fc.assert(
      fc.property(anyRate(), (rate) => {
        const text = formatRateLimit(rate);
        expect(text.length).to.be.at.most(120);
        const again = parseRateLimit(text);
        expect(again).to.deep.equal(rate);
        expect(formatRateLimit(again)).to.equal(text);
      }),
      { numRuns: 2000 },
    );
  });

  it('formatRateLimit, when a limit was built wrong, refuses like the parser', () => {
    expect(() => formatRateLimit({ uploadBps: 1.5, downloadBps: 1 })).to.throw(RangeError, 'rate:');
    expect(() => formatRateLimit({ uploadBps: 0, downloadBps: 1 })).to.throw(RangeError, 'rate:');
    expect(() => formatRateLimit({ uploadBps: 1, downloadBps: Number.NaN })).to.throw(RangeError, 'rate:');
  });

  it('slowerOf, when one limit is within the other, keeps it as it is, burst and all', () => {
    const slow = parseRateLimit('512k/1M 1M/2M 512k/1M 8/8');
    expect(slowerOf(slow, parseRateLimit('5M/20M'))).to.deep.equal(slow);
    expect(slowerOf(parseRateLimit('5M/20M'), slow)).to.deep.equal(slow);
    expect(slowerOf(slow, parseRateLimit('1M/1500k'))).to.deep.equal(parseRateLimit('512k/1M'));
  });

  it('slowerOf, of two throttles, is never faster than either', () => {
    fc.assert(
      fc.property(anyRate(), anyRate(), (a, b) => {
        const slower = slowerOf(a, b);
        expect(slower.uploadBps).to.equal(Math.min(a.uploadBps, b.uploadBps));
        expect(slower.downloadBps).to.equal(Math.min(a.downloadBps, b.downloadBps));
        expect(isWithin(slower, a) && isWithin(slower, b)).to.equal(true);
        expect(slowerOf(a, a)).to.deep.equal(a);
      }),
    );
  });
});

/** Limits in their normal form: no field that only repeats a default. */
function anyRate(): fc.Arbitrary<RateLimit> {
  const bps = fc.oneof(
    fc.integer({ min: 1, max: 100_000_000_000 }),
    fc.integer({ min: 1, max: 100_000 }).map((n) => n * M),
    fc.integer({ min: 1, max: 100_000 }).map((n) => n * k),
  );
  return fc
    .record({
      up: bps,
      down: bps,
      upBurst: direction(),
      downBurst: direction(),
      priority: fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
      min: fc.option(
        fc.tuple(fc.double({ min: 0, max: 0.9, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
        {
          nil: undefined,
        },
      ),
    })
    .map((drawn) => {
      const up = drawn.upBurst(drawn.up);
      const down = drawn.downBurst(drawn.down);
      return {
        uploadBps: drawn.up,
        downloadBps: drawn.down,
        ...(up[0] === 0 && down[0] === 0
          ? {}
          : { burst: burst(up[0], down[0], up[1], down[1], up[2], down[2]) }),
        ...(drawn.priority === undefined ? {} : { priority: drawn.priority }),
        ...(drawn.min === undefined
          ? {}
          : {
              min: {
                uploadBps: Math.floor(drawn.up * drawn.min[0]),
                downloadBps: Math.floor(drawn.down * drawn.min[1]),
              },
            }),
      };
    });
}

function direction(): fc.Arbitrary<(bps: number) => [rate: number, threshold: number, time: number]> {
  return fc
    .record({
      has: fc.boolean(),
      extra: fc.integer({ min: 0, max: 1_000_000_000 }),
      part: fc.double({ min: 0.01, max: 1, noNaN: true }),
      time: fc.integer({ min: 1, max: 86_400 }),
    })
    .map(({ has, extra, part, time }) => (bps) => {
      if (!has) return [0, 0, 0];
      const rate = Math.min(bps + extra, 100_000_000_000);
      return [rate, Math.max(1, Math.floor(rate * part)), time];
    });
}
