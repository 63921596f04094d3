/**
 * A subscriber's speed, in bits a second. RouterOS writes it from the router's side (rx/tx): the first number is what
 * the router receives, so the subscriber's upload; the second the download. Named fields, so that nobody swaps them.
 *
 * Fields that hold RouterOS's default are left out: no burst, priority 8, a minimum equal to the rate.
 */
export interface RateLimit {
  readonly uploadBps: number;
  readonly downloadBps: number;
  readonly burst?: Burst;
  /** 1 is served first, 8 (the default) last. */
  readonly priority?: number;
  /** limit-at: what is kept free for the subscriber. */
  readonly min?: { readonly uploadBps: number; readonly downloadBps: number };
}

/** A direction whose burst rate is 0 has no burst; its threshold and time are then 0 too. */
export interface Burst {
  readonly uploadBps: number;
  readonly downloadBps: number;
  readonly uploadThresholdBps: number;
  readonly downloadThresholdBps: number;
  readonly uploadSeconds: number;
  readonly downloadSeconds: number;
}

type Pair = readonly [upload: number, download: number];

const bpsMax = 100_000_000_000;
const secondsMax = 86_400;
const defaultPriority = 8;
const multipliers: Record<string, number> = { '': 1, k: 1000, m: 1_000_000, g: 1_000_000_000 };

/**
 * Reads the text of a Mikrotik-Rate-Limit (MikroTik manual, RADIUS):
 * `rx[/tx] [rx-burst[/tx-burst] [threshold[/..] [time[/..] [priority [min[/..]]]]]]`, rates in bits a second with k, M or G
 * (1000, not 1024), times in seconds. Groups are positional; a missing tx equals rx, a missing threshold the plain rate,
 * a missing time one second. `0/0` in the burst places means no burst.
 * Throws RangeError that names the part and its rule.
 */
export function parseRateLimit(text: string): RateLimit {
  const groups = text.trim().split(/ +/);
  const [rate, burst, threshold, time, priority, min] = groups;
  if (rate === undefined || rate === '') throw new RangeError('rate: is missing; write it like 10M/50M');
  if (groups.length > 6) {
    throw new RangeError(
      'rate limit: has at most six groups: rate, burst, threshold, time, priority, minimum',
    );
  }
  const [uploadBps, downloadBps] = pairOf('rate', rate, bitsPerSecond);
  return checked({
    uploadBps,
    downloadBps,
    ...burstOf([uploadBps, downloadBps], burst, threshold, time),
    ...(priority === undefined ? {} : { priority: wholeNumber('priority', priority) }),
    ...(min === undefined ? {} : minOf(min)),
  });
}

/**
 * The canonical text: always both directions, whole numbers with the largest of M and k that divides them (older
 * RouterOS knows no G and no fractions), and no group that only repeats a default. Throws RangeError like the parser.
 * At most 120 bytes.
 */
export function formatRateLimit(rate: RateLimit): string {
  const { uploadBps, downloadBps, burst, priority, min } = checked(rate);
  const groups = [pairText(uploadBps, downloadBps)];
  const hasTail = priority !== undefined || min !== undefined;
  if (burst !== undefined || hasTail) groups.push(...burstTexts(rate, burst, hasTail));
  if (hasTail) groups.push(String(priority ?? defaultPriority));
  if (min !== undefined) groups.push(pairText(min.uploadBps, min.downloadBps));
  return groups.join(' ');
}

/**
 * What two limits at once leave. Where one is not faster than the other in any direction, bursts included, it is that
 * one, as it is; otherwise the slower rate of each direction, without bursts and guarantees.
 */
export function slowerOf(a: RateLimit, b: RateLimit): RateLimit {
  if (isWithin(a, b)) return checked(a);
  if (isWithin(b, a)) return checked(b);
  return {
    uploadBps: Math.min(a.uploadBps, b.uploadBps),
    downloadBps: Math.min(a.downloadBps, b.downloadBps),
  };
}

/** Whether `inner` never lets more through than `outer` would. */
export function isWithin(inner: RateLimit, outer: RateLimit): boolean {
  return (
    inner.uploadBps <= outer.uploadBps &&
    inner.downloadBps <= outer.downloadBps &&
    peakOf(inner, 'uploadBps') <= peakOf(outer, 'uploadBps') &&
    peakOf(inner, 'downloadBps') <= peakOf(outer, 'downloadBps')
  );
}

function peakOf(rate: RateLimit, direction: 'uploadBps' | 'downloadBps'): number {
  return Math.max(rate[direction], rate.burst?.[direction] ?? 0);
}

function burstOf(
  rate: Pair,
  burst: string | undefined,
  threshold: string | undefined,
  time: string | undefined,
): { burst: Burst } | Record<string, never> {
  if (burst === undefined) return {};
  const [uploadBps, downloadBps] = pairOf('burst rate', burst, bitsPerSecond);
  const thresholds = threshold === undefined ? rate : pairOf('burst threshold', threshold, bitsPerSecond);
  const times = time === undefined ? ([1, 1] as const) : pairOf('burst time', time, seconds);
  return {
    burst: {
      uploadBps,
      downloadBps,
      uploadThresholdBps: thresholds[0],
      downloadThresholdBps: thresholds[1],
      uploadSeconds: times[0],
      downloadSeconds: times[1],
    },
  };
}

function minOf(text: string): { min: { uploadBps: number; downloadBps: number } } {
  const [uploadBps, downloadBps] = pairOf('minimum rate', text, bitsPerSecond);
  return { min: { uploadBps, downloadBps } };
}

function pairOf(part: string, text: string, read: (part: string, text: string) => number): Pair {
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0) throw new RangeError(`${part}: is one value, or upload/download`);
  const upload = read(part, first);
  return [upload, second === undefined ? upload : read(part, second)];
}

function bitsPerSecond(part: string, text: string): number {
  const match = /^(\d{1,12})(?:\.(\d{1,9}))?([kmg]?)$/i.exec(text);
  if (match === null) throw new RangeError(`${part}: is a number with k, M or G, like 512k or 10M`);
  const [, whole = '', fraction = '', suffix = ''] = match;
  const multiplier = multipliers[suffix.toLowerCase()] ?? 1;
  // Exact: 1.1M is 1,100,000 and never 1,100,000.0000000001.
  const scaled = BigInt(whole + fraction) * BigInt(multiplier);
  const divisor = 10n ** BigInt(fraction.length);
  if (scaled % divisor !== 0n) throw new RangeError(`${part}: is a whole number of bits a second`);
  return Number(scaled / divisor);
}

function seconds(part: string, text: string): number {
  const match = /^(\d{1,6})s?$/.exec(text);
  if (match === null) throw new RangeError(`${part}: is whole seconds`);
  return Number(match[1]);
}

function wholeNumber(part: string, text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new RangeError(`${part}: is a whole number from 1 to 8`);
  return Number(text);
}

/** The rules that hold however a limit was made, and its normal form. */
function checked(rate: RateLimit): RateLimit {
  const { uploadBps, downloadBps, burst, priority, min } = rate;
  for (const bps of [uploadBps, downloadBps]) {
    if (!Number.isSafeInteger(bps) || bps < 1 || bps > bpsMax) {
      // RouterOS reads 0 as "no limit": a throttle to 0 would open the line.
      throw new RangeError('rate: is 1 bit/s to 100G; leave the limit away where there is none');
    }
  }
  if (priority !== undefined && (!Number.isInteger(priority) || priority < 1 || priority > 8)) {
    throw new RangeError('priority: is a whole number from 1 to 8');
  }
  const isMinPlain = min === undefined || (min.uploadBps === uploadBps && min.downloadBps === downloadBps);
  if (!isMinPlain) {
    checkMin(uploadBps, min.uploadBps);
    checkMin(downloadBps, min.downloadBps);
  }
  const isBurstPlain = burst === undefined || (burst.uploadBps === 0 && burst.downloadBps === 0);
  return {
    uploadBps,
    downloadBps,
    ...(isBurstPlain ? {} : { burst: checkedBurst(rate, burst) }),
    ...(priority === undefined || priority === defaultPriority ? {} : { priority }),
    ...(isMinPlain ? {} : { min: { uploadBps: min.uploadBps, downloadBps: min.downloadBps } }),
  };
}

function checkMin(bps: number, minBps: number): void {
  if (!Number.isSafeInteger(minBps) || minBps < 0 || minBps > bps) {
    throw new RangeError('minimum rate: is not above the rate');
  }
}

function checkedBurst(rate: RateLimit, burst: Burst): Burst {
  const up = checkedDirection(rate.uploadBps, burst.uploadBps, burst.uploadThresholdBps, burst.uploadSeconds);
  const down = checkedDirection(
    rate.downloadBps,
    burst.downloadBps,
    burst.downloadThresholdBps,
    burst.downloadSeconds,
  );
  return {
    uploadBps: burst.uploadBps,
    downloadBps: burst.downloadBps,
    uploadThresholdBps: up.threshold,
    downloadThresholdBps: down.threshold,
    uploadSeconds: up.time,
    downloadSeconds: down.time,
  };
}

function checkedDirection(
  bps: number,
  burstBps: number,
  threshold: number,
  time: number,
): { threshold: number; time: number } {
  if (burstBps === 0) return { threshold: 0, time: 0 };
  if (!Number.isSafeInteger(burstBps) || burstBps < bps || burstBps > bpsMax) {
    throw new RangeError('burst rate: is not below the rate, and at most 100G');
  }
  // The threshold may be above the plain rate: the manual's own example is.
  if (!Number.isSafeInteger(threshold) || threshold < 1 || threshold > burstBps) {
    throw new RangeError('burst threshold: is not above the burst rate, and not 0');
  }
  if (!Number.isInteger(time) || time < 1 || time > secondsMax) {
    throw new RangeError(`burst time: is 1 to ${secondsMax} seconds`);
  }
  return { threshold, time };
}

function burstTexts(rate: RateLimit, burst: Burst | undefined, hasTail: boolean): string[] {
  if (burst === undefined) return ['0/0', '0/0', '0/0'];
  const isTimePlain = burst.uploadSeconds === 1 && burst.downloadSeconds === 1;
  const isThresholdPlain =
    burst.uploadThresholdBps === rate.uploadBps && burst.downloadThresholdBps === rate.downloadBps;
  const texts = [pairText(burst.uploadBps, burst.downloadBps)];
  if (hasTail || !isTimePlain || !isThresholdPlain) {
    texts.push(pairText(burst.uploadThresholdBps, burst.downloadThresholdBps));
  }
  if (hasTail || !isTimePlain) texts.push(`${burst.uploadSeconds}/${burst.downloadSeconds}`);
  return texts;
}

function pairText(uploadBps: number, downloadBps: number): string {
  return `${bpsText(uploadBps)}/${bpsText(downloadBps)}`;
}

function bpsText(bps: number): string {
  if (bps === 0) return '0';
  if (bps % 1_000_000 === 0) return `${bps / 1_000_000}M`;
  if (bps % 1000 === 0) return `${bps / 1000}k`;
  return String(bps);
}
