import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { dataRoot, makeFolder } from '../servers/place.ts';
import { type Database, oneMariaDb } from './database.ts';
import type { Finding } from './findings.ts';
import { galeraDatabase } from './galera-database.ts';
import type { IspSize } from './isp.ts';
import { openPlace } from './place.ts';
import { type StoryName, storyNames, type StorySize } from './plan.ts';
import { clockOff } from './processes.ts';
import { type Outcome, Stories } from './stories.ts';

const usage = `usage: scripts/chaos [--seeds N | --seed S] [--from S] [--story ${storyNames.join('|')}] [--short]
       [--subscribers N] [--galera]

Plays N seeds (50): each is a story of an ISP under which things go wrong, and ends by comparing everything with the same
story undisturbed. --from begins at another seed than 1; --seed plays one again. --short takes a small ISP,
--subscribers one of another size than 5,000.
--galera plays them over a cluster of three nodes, one of which dies, freezes or is cut off in each story.`;

const startedAt = performance.now();
const whole = {
  isp: { subscribers: 5000, routers: 50 },
  story: { payments: 240, changes: 12 },
  variants: 4,
  phaseMs: 4500,
};
const short = {
  isp: { subscribers: 300, routers: 10 },
  story: { payments: 45, changes: 4 },
  variants: 1,
  phaseMs: 2500,
};

export interface Call {
  readonly seeds: readonly number[];
  readonly story: StoryName;
  readonly isp: IspSize;
  readonly size: StorySize;
  readonly variants: number;
  readonly phaseMs: number;
  readonly isGalera?: boolean;
}

/** What the arguments ask for; undefined where they cannot be understood. */
export function readCall(args: readonly string[]): Call | undefined {
  const values = valuesOf(args);
  if (values === undefined) return undefined;
  const story = storyNames.find((name) => name === values.story);
  const numbers = [values.seeds, values.from, values.seed ?? '1', values.subscribers ?? '1'];
  if (story === undefined || numbers.some((text) => !/^\d{1,6}$/.test(text))) return undefined;
  const from = Number(values.from);
  const seeds =
    values.seed === undefined
      ? Array.from({ length: Number(values.seeds) }, (_, index) => from + index)
      : [Number(values.seed)];
  const { isp: usual, story: size, variants, phaseMs } = values.short ? short : whole;
  const isp = { ...usual, subscribers: Number(values.subscribers ?? usual.subscribers) };
  return { seeds, story, isp, size, variants, phaseMs, isGalera: values.galera };
}

function valuesOf(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: 'string', default: '50' },
        seed: { type: 'string' },
        from: { type: 'string', default: '1' },
        story: { type: 'string', default: 'everything' },
        subscribers: { type: 'string' },
        short: { type: 'boolean', default: false },
        galera: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch {
    return undefined;
  }
}

/** Plays the seeds over a database; gives what became of each. */
export async function playSeeds(
  call: Call,
  database: Database,
  folder: string,
  say: (text: string) => void,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let stories: Stories | undefined;
  const close = async () => {
    await stories?.close();
    await database.stop();
    database.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  const interrupted = () => void close().finally(() => process.exit(130));
  for (const signal of signals) process.once(signal, interrupted);
  try {
    const place = await openPlace(join(folder, 'place'), database, call.isp, say);
    stories = new Stories(place, { ...call, name: call.story, say });
    for (const seed of call.seeds) {
      const outcome = await stories.play(seed);
      outcomes.push(outcome);
      say(summaryOf(outcome));
    }
  } finally {
    for (const signal of signals) process.off(signal, interrupted);
    await close();
  }
  return outcomes;
}

const signals = ['SIGINT', 'SIGTERM'] as const;

function summaryOf(outcome: Outcome): string {
  const { seed, findings, troubles, kills, commitsStruck, repeats, accounted, seconds } = outcome;
  const { quietSeconds, lateMs } = outcome;
  const facts = `${troubles} troubles, ${kills} kills, ${commitsStruck} at a COMMIT, ${repeats} requests repeated, ${accounted} accounting packets, ${seconds.toFixed(0)} s, quiet after ${quietSeconds.toFixed(0)} s, the lab at most ${lateMs} ms late`;
  if (findings.length === 0) return `seed ${seed}: holds (${facts})`;
  return [
    `seed ${seed}: ${findings.length} FINDINGS (${facts})`,
    ...grouped(findings),
    ...outcome.timelines.map((text) => `  ${text}`),
    `  again: scripts/chaos --seed ${seed}`,
  ].join('\n');
}

/** A few of each kind, and how many there are. */
function grouped(findings: readonly Finding[]): string[] {
  const kinds = new Map<string, Finding[]>();
  for (const one of findings) kinds.set(one.check, [...(kinds.get(one.check) ?? []), one]);
  return [...kinds].flatMap(([check, all]) => [
    `  ${check}: ${all.length}`,
    ...all.slice(0, 5).map((one) => `    ${one.subject}: ${one.detail}`),
  ]);
}

function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(7);
  process.stderr.write(`${seconds} s  ${text}\n`);
}

async function main(args: readonly string[]): Promise<void> {
  const call = readCall(args);
  if (call === undefined) {
    process.stderr.write(`${usage}\n`);
    process.exitCode = 2;
    return;
  }
  const folder = join(dataRoot(), `chaos-${process.pid}`);
  const at = makeFolder(join(folder, 'database'), undefined);
  const database = call.isGalera ? galeraDatabase(at) : await oneMariaDb(at);
  if (database.disk === undefined && !call.isGalera)
    say('not root: the disk cannot be filled, those seeds go without that trouble');
  if (clockOff(2) === undefined)
    say('libfaketime is not installed: all hosts have one clock (apt-get install faketime)');
  const outcomes = await playSeeds(call, database, folder, say);
  const broken = outcomes.filter((one) => one.findings.length > 0);
  process.stdout.write(
    broken.length === 0
      ? `${outcomes.length} seeds, all hold\n`
      : `${outcomes.length} seeds, ${broken.length} with findings: ${broken.map((one) => one.seed).join(', ')}\n`,
  );
  process.exitCode = broken.length === 0 ? 0 : 1;
}

if (import.meta.filename === process.argv[1]) await main(process.argv.slice(2));
