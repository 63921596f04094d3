/** The dynamic simple queue that RouterOS makes for a session, in bits a second; 0 is no limit. */
export interface Queue {
  readonly text: string;
  readonly uploadBps: number;
  readonly downloadBps: number;
  readonly burstUploadBps: number;
  readonly burstDownloadBps: number;
  readonly thresholdUploadBps: number;
  readonly thresholdDownloadBps: number;
  readonly burstUploadSeconds: number;
  readonly burstDownloadSeconds: number;
  readonly priority: number;
  readonly minUploadBps: number;
  readonly minDownloadBps: number;
}

type Pair = readonly [number, number];
const suffixes: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };

/**
 * Reads Mikrotik-Rate-Limit as RouterOS does (MikroTik manual, RADIUS): groups by position, rx first, which is the
 * subscriber's upload; tx left out equals rx. Undefined for text outside the grammar.
 */
export function parseRateLimit(text: string): Queue | undefined {
  const groups = text.trim().split(/ +/);
  const [rateText = '', burstText, thresholdText, timeText, priorityText = '8', minText] = groups;
  if (groups.length > 6 || !/^[1-8]$/.test(priorityText)) return undefined;
  const rate = pairOf(rateText, bits);
  if (rate === undefined) return undefined;
  const burst = pairOr(burstText, bits, [0, 0]);
  const threshold = pairOr(thresholdText, bits, burstText === undefined ? [0, 0] : rate);
  const time = pairOr(timeText, seconds, burstText === undefined ? [0, 0] : [1, 1]);
  const min = pairOr(minText, bits, rate);
  if (burst === undefined || threshold === undefined || time === undefined || min === undefined)
    return undefined;
  return {
    text,
    uploadBps: rate[0],
    downloadBps: rate[1],
    burstUploadBps: burst[0],
    burstDownloadBps: burst[1],
    thresholdUploadBps: threshold[0],
    thresholdDownloadBps: threshold[1],
    burstUploadSeconds: time[0],
    burstDownloadSeconds: time[1],
    priority: Number(priorityText),
    minUploadBps: min[0],
    minDownloadBps: min[1],
  };
}

function pairOr(
  text: string | undefined,
  read: (part: string) => number | undefined,
  otherwise: Pair,
): Pair | undefined {
  return text === undefined ? otherwise : pairOf(text, read);
}

function pairOf(text: string, read: (part: string) => number | undefined): Pair | undefined {
  const [rx = '', tx = rx, ...more] = text.split('/');
  const [first, second] = [read(rx), read(tx)];
  return more.length > 0 || first === undefined || second === undefined ? undefined : [first, second];
}

function bits(part: string): number | undefined {
  const [, digits, suffix = ''] = /^(\d{1,12})([kMG]?)$/.exec(part) ?? [];
  return digits === undefined ? undefined : Number(digits) * (suffixes[suffix] ?? 1);
}

function seconds(part: string): number | undefined {
  const [, digits] = /^(\d{1,6})s?$/.exec(part) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
