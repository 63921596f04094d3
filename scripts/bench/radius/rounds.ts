import { setTimeout as wait } from 'node:timers/promises';
import { blast, type BlastResult, type Requests } from './blast.ts';
import { cpuSeconds } from './cpu.ts';
import { benchRouter } from './servers.ts';

/** A server that takes part. */
export interface Contestant {
  readonly name: string;
  readonly port: number;
  readonly radiusPid: number;
  /** Made once, or for each turn. */
  requests(): Requests;
  /** Told how many of them were sent. */
  took?(count: number): void;
}

export interface Plan {
  readonly turns: number;
  readonly seconds: number;
  readonly window: number;
  readonly mariadbPid: number;
  readonly say: (text: string) => void;
  /** Waits until nothing is left to write or clear away, and counts; then that work is the turn's own. */
  readonly settle?: () => Promise<Written>;
}

/** What the database has done to its disk since it started: bytes of pages and of log, flushes, pages read. */
export interface Written {
  readonly data: number;
  readonly log: number;
  readonly flushes: number;
  readonly reads: number;
}

export interface Figure {
  readonly name: string;
  /** In the middle of the turns. */
  readonly perSecond: number;
  readonly least: number;
  readonly most: number;
  /** Microseconds of processor time a request. */
  readonly radius: number;
  readonly database: number;
  readonly generator: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answered: number;
  /** Each request's part of it. */
  readonly written: Written | undefined;
}

type Turn = BlastResult & {
  radius: number;
  database: number;
  generator: number;
  written: Written | undefined;
};

/**
 * Every contestant in turn, again and again, each first once without being counted. A single wrong, lost or forged answer
 * ends the measurement: a figure of a server that answers something else is none.
 */
export async function takeTurns(contestants: readonly Contestant[], plan: Plan): Promise<Figure[]> {
  const turns = new Map<string, Turn[]>(contestants.map(({ name }) => [name, []]));
  const places = new Map<string, number>();
  for (let round = 0; round <= plan.turns; round++) {
    for (const contestant of contestants) {
      const turn = await takeTurn(contestant, plan, places, round === 0);
      if (round > 0) turns.get(contestant.name)?.push(turn);
      plan.say(
        `${round === 0 ? 'warming up' : `turn ${round} of ${plan.turns}`}: ${contestant.name}: ${Math.round(turn.perSecond)} a second`,
      );
      // What the last one has left to write.
      await wait(500);
    }
  }
  return contestants.map(({ name }) => figureOf(name, turns.get(name) ?? []));
}

async function takeTurn(
  contestant: Contestant,
  plan: Plan,
  places: Map<string, number>,
  isWarmUp: boolean,
): Promise<Turn> {
  const requests = contestant.requests();
  const writtenBefore = await plan.settle?.();
  const before = usage(contestant, plan);
  const result = await blast({
    requests,
    from: benchRouter,
    port: contestant.port,
    window: plan.window,
    forMs: isWarmUp ? Math.min(2000, plan.seconds * 1000) : plan.seconds * 1000,
    startAt: places.get(contestant.name) ?? 0,
  });
  const writtenAfter = await plan.settle?.();
  const after = usage(contestant, plan);
  places.set(contestant.name, contestant.took === undefined ? result.nextAt : 0);
  contestant.took?.(result.answered);
  if (result.wrong > 0 || result.lost > 0 || result.forged > 0) {
    throw new Error(
      `${contestant.name}: of ${result.answered} answers ${result.wrong} were wrong (${JSON.stringify(result.wrongOnes.slice(0, 5))}), ` +
        `${result.forged} forged; ${result.lost} requests had none`,
    );
  }
  const each = (key: keyof typeof before) => ((after[key] - before[key]) * 1e6) / result.answered;
  return {
    ...result,
    radius: each('radius'),
    database: each('database'),
    generator: each('generator'),
    written: writtenFor(result.answered, writtenBefore, writtenAfter),
  };
}

function writtenFor(
  requests: number,
  before: Written | undefined,
  after: Written | undefined,
): Written | undefined {
  if (before === undefined || after === undefined) return undefined;
  const each = (key: keyof Written) => (after[key] - before[key]) / requests;
  return { data: each('data'), log: each('log'), flushes: each('flushes'), reads: each('reads') };
}

function usage(contestant: Contestant, plan: Plan): { radius: number; database: number; generator: number } {
  const own = process.cpuUsage();
  return {
    radius: cpuSeconds(contestant.radiusPid),
    database: cpuSeconds(plan.mariadbPid),
    generator: (own.user + own.system) / 1e6,
  };
}

function figureOf(name: string, turns: readonly Turn[]): Figure {
  const median = (
    key: keyof Turn & ('perSecond' | 'radius' | 'database' | 'generator' | 'p50Ms' | 'p99Ms'),
  ) => {
    const sorted = turns.map((turn) => turn[key]).sort((a, b) => a - b);
    return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
  };
  const parts = turns.flatMap(({ written }) => (written === undefined ? [] : [written]));
  const mean = (key: keyof Written) => parts.reduce((sum, part) => sum + part[key], 0) / parts.length;
  return {
    name,
    perSecond: median('perSecond'),
    least: Math.min(...turns.map((turn) => turn.perSecond)),
    most: Math.max(...turns.map((turn) => turn.perSecond)),
    radius: median('radius'),
    database: median('database'),
    generator: median('generator'),
    p50Ms: median('p50Ms'),
    p99Ms: median('p99Ms'),
    answered: turns.reduce((sum, turn) => sum + turn.answered, 0),
    written:
      parts.length === 0
        ? undefined
        : { data: mean('data'), log: mean('log'), flushes: mean('flushes'), reads: mean('reads') },
  };
}

/** A table in Markdown; the ratios are to the contestant `to`, by rate and by the servers' processor time. */
export function tableOf(figures: readonly Figure[], what: string, to: string): string {
  const base = figures.find((figure) => figure.name === to);
  const cpu = (figure: Figure) => figure.radius + figure.database;
  const rows = figures.map((figure) => {
    const byRate = base === undefined ? 0 : figure.perSecond / base.perSecond;
    const byCpu = base === undefined ? 0 : cpu(base) / cpu(figure);
    return [
      figure.name,
      `${Math.round(figure.perSecond)} (${Math.round(figure.least)}–${Math.round(figure.most)})`,
      `${figure.radius.toFixed(0)} + ${figure.database.toFixed(0)} = ${cpu(figure).toFixed(0)}`,
      byRate.toFixed(2),
      byCpu.toFixed(2),
      `${figure.p50Ms.toFixed(1)} / ${figure.p99Ms.toFixed(1)}`,
      figure.generator.toFixed(0),
    ];
  });
  const head = [
    'what answers',
    `${what} a second`,
    'µs of processor, FreeRADIUS + MariaDB',
    'ratio by rate',
    'ratio by processor',
    'p50 / p99, ms',
    "µs of the generator's",
  ];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** What each request has the database write and read, as a second table. */
export function writtenTableOf(figures: readonly Figure[], what: string): string {
  const kilobytes = (bytes: number) => (bytes / 1000).toFixed(2);
  const rows = figures.flatMap(({ name, written }) =>
    written === undefined
      ? []
      : [
          [
            name,
            kilobytes(written.data),
            kilobytes(written.log),
            written.flushes.toFixed(2),
            written.reads.toFixed(2),
          ],
        ],
  );
  const head = [`each of the ${what}`, 'pages written, kB', 'log written, kB', 'flushes', 'pages read'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
