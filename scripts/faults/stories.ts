import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { diceFor } from '../seed/random.ts';
import { carryOut, endTroubles } from './carry-out.ts';
import { checkAll } from './checks.ts';
import { planTroubles, type Trouble, type TroublePlan, troubleText } from './fault-plan.ts';
import { finding, type Finding } from './findings.ts';
import { operate } from './operations.ts';
import type { Place } from './place.ts';
import { type Operation, planStory, type Story, type StoryName, type StorySize } from './plan.ts';
import { restFindings, untilQuiet } from './quiet.ts';
import { compare, type Snapshot, takeSnapshot } from './snapshot.ts';
import { timelines } from './timelines.ts';
import { openWorld, processNames, type World } from './world.ts';

export interface StoryOptions {
  readonly name: StoryName;
  readonly size: StorySize;
  /** How many different stories there are; a seed plays number seed modulo this. */
  readonly variants: number;
  /** A phase lasts at least so long, so that what goes wrong in it meets what is done in it. */
  readonly phaseMs: number;
  readonly say: (text: string) => void;
}

export interface Outcome {
  readonly seed: number;
  readonly findings: readonly Finding[];
  readonly timelines: readonly string[];
  readonly troubles: number;
  /** Killed processes, and COMMITs at which something struck. */
  readonly kills: number;
  readonly commitsStruck: number;
  /** Requests that clients sent again. */
  readonly repeats: number;
  /** Accounting packets that routers were told were received. */
  readonly accounted: number;
  readonly seconds: number;
  readonly quietSeconds: number;
  /** The longest that this process itself, with the lab and the wires in it, was late: more than a second is a busy machine. */
  readonly lateMs: number;
}

const atOnce = 6;
/** What takes longer than this is told. */
const slowSeconds = 15;
const churnMs = 60;

/** The undisturbed stories, each played once when it is first needed. */
export class Stories {
  readonly #place: Place;
  readonly #options: StoryOptions;
  readonly #usual = new Map<number, Snapshot>();
  #world: World | undefined;

  constructor(place: Place, options: StoryOptions) {
    this.#place = place;
    this.#options = options;
  }

  /** Plays a seed: its story with what goes wrong in it, compared with the same one undisturbed. */
  async play(seed: number): Promise<Outcome> {
    const variant = seed % this.#options.variants;
    const story = planStory(this.#place.isp, this.#options.name, variant, this.#options.size);
    const usual = this.#usual.get(variant) ?? (await this.#playUndisturbed(variant, story));
    this.#usual.set(variant, usual);
    const plan = planTroubles(seed, {
      processes: processNames,
      routers: this.#place.isp.routers.map((router) => router.name),
      nodes: this.#place.database.nodes.length,
      phases: story.phases.length,
      hasDisk: this.#place.database.disk !== undefined,
      withinMs: Math.round(this.#options.phaseMs * 0.9),
    });
    return this.#playDisturbed(seed, story, plan, usual);
  }

  /** Ends what is being played. */
  async close(): Promise<void> {
    await this.#world?.close();
    this.#world = undefined;
  }

  async #open(isClockOff: boolean, killsCounters: boolean): Promise<World> {
    const { say } = this.#options;
    this.#world = await openWorld(this.#place, { isClockOff, killsCounters, say });
    return this.#world;
  }

  async #playUndisturbed(variant: number, story: Story): Promise<Snapshot> {
    const { say, phaseMs } = this.#options;
    say(`story ${variant}, undisturbed`);
    const world = await this.#open(false, false);
    try {
      const failures = await playPhases(world, story, [], { say, phaseMs });
      const quiet = await untilQuiet(world, say);
      const findings = [...failures, ...quiet.findings, ...(await checkAll(world))];
      if (findings.length > 0) {
        const texts = findings.slice(0, 5).map((one) => `${one.check}: ${one.subject}: ${one.detail}`);
        throw new Error(`the undisturbed story does not hold by itself:\n${texts.join('\n')}`);
      }
      return await takeSnapshot(world, story);
    } finally {
      await this.close();
    }
  }

  async #playDisturbed(seed: number, story: Story, plan: TroublePlan, usual: Snapshot): Promise<Outcome> {
    const { say, phaseMs } = this.#options;
    const startedAt = performance.now();
    const late = monitorEventLoopDelay({ resolution: 20 });
    late.enable();
    say(`seed ${seed}${plan.isClockOff ? ', one host two seconds ahead' : ''}`);
    const world = await this.#open(plan.isClockOff, true);
    try {
      const failures = await playPhases(world, story, plan.troubles, { say, phaseMs });
      await endTroubles(world);
      say('nothing goes wrong any more');
      const quiet = await untilQuiet(world, say);
      say(`quiet after ${(quiet.ms / 1000).toFixed(1)} s`);
      const lateMs = Math.round(late.max / 1e6);
      const findings = [
        ...failures,
        ...quiet.findings,
        ...restFindings(quiet.ms, { lateMs, troubles: plan.troubles }),
        ...(await checkAll(world)),
        ...compare(usual, await takeSnapshot(world, story)),
      ];
      const processes = [...world.processes.values()];
      return {
        seed,
        findings,
        timelines: await timelines(world, findings),
        troubles: plan.troubles.length,
        kills: processes.reduce((sum, one) => sum + one.kills, 0),
        commitsStruck: processes.reduce((sum, one) => sum + one.wire.struck, 0),
        repeats: world.ann.repeats + world.bob.repeats,
        accounted: world.lab.record.packets,
        seconds: (performance.now() - startedAt) / 1000,
        quietSeconds: quiet.ms / 1000,
        lateMs,
      };
    } finally {
      await this.close();
    }
  }
}

/** One phase after the other, each with its troubles; homes come and go all the time. */
async function playPhases(
  world: World,
  story: Story,
  troubles: readonly Trouble[],
  { say, phaseMs }: { say: (text: string) => void; phaseMs: number },
): Promise<Finding[]> {
  const failures: Finding[] = [];
  const going: Promise<void>[] = [];
  const homes = diceFor('homes');
  const stopChurn = world.lab.churn(churnMs, () => homes.next());
  for (const [index, phase] of story.phases.entries()) {
    say(`  ${phase.name}`);
    const own = troubles.filter((trouble) => trouble.phase === index);
    for (const trouble of own) going.push(later(world, trouble, say, failures));
    await Promise.all([wait(phaseMs), doAll(world, phase.operations, { say, phaseMs, failures })]);
  }
  await Promise.all(going);
  stopChurn();
  return failures;
}

async function later(
  world: World,
  trouble: Trouble,
  say: (text: string) => void,
  failures: Finding[],
): Promise<void> {
  await wait(trouble.atMs);
  say(`    ${troubleText(trouble)}`);
  try {
    await carryOut(world, trouble);
  } catch (error) {
    failures.push(finding('what went wrong could not be put right', troubleText(trouble), textOf(error)));
  }
}

/** Runs at once; the rest one after the other by a few hands, spread over the phase. */
async function doAll(
  world: World,
  operations: readonly Operation[],
  { say, phaseMs, failures }: { say: (text: string) => void; phaseMs: number; failures: Finding[] },
): Promise<void> {
  const isLong = (one: Operation) => ['overdue_run', 'rollback', 'invoice_run', 'speed'].includes(one.kind);
  const short = operations.filter((one) => !isLong(one));
  const pauseMs = (phaseMs * 0.8 * atOnce) / Math.max(1, short.length);
  const attempt = async (operation: Operation) => {
    const startedAt = performance.now();
    try {
      await operate(world, operation);
    } catch (error) {
      const subject = 'person' in operation ? operation.person.username : operation.kind;
      failures.push(finding(`${operation.kind} was not done`, subject, textOf(error)));
    }
    const seconds = (performance.now() - startedAt) / 1000;
    if (seconds > slowSeconds)
      say(`      ${operation.kind.replaceAll('_', ' ')} took ${seconds.toFixed(0)} s`);
  };
  const waiting = [...short];
  const hand = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const startedAt = performance.now();
      await attempt(one);
      await wait(Math.max(0, pauseMs - (performance.now() - startedAt)));
    }
  };
  await Promise.all([...operations.filter(isLong).map(attempt), ...Array.from({ length: atOnce }, hand)]);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
