import type { Fault as RouterFault } from '../lab/faults.ts';
import { type Dice, diceFor } from '../seed/random.ts';
import { isTalkative } from './lab-side.ts';

/** Something that goes wrong, and when: so many ms after its phase begins. */
export type Trouble = { readonly phase: number; readonly atMs: number } & (
  | { readonly kind: 'kill'; readonly process: string; readonly againMs: number }
  | {
      readonly kind: 'kill_at_commit' | 'cut_at_commit';
      readonly process: string;
      readonly moment: 'before' | 'after';
      readonly skips: number;
      readonly againMs: number;
    }
  | { readonly kind: 'freeze'; readonly process: string; readonly ms: number }
  | { readonly kind: 'database_kill'; readonly node: number; readonly downMs: number }
  | { readonly kind: 'database_freeze'; readonly node: number; readonly ms: number }
  | { readonly kind: 'database_split'; readonly node: number; readonly ms: number }
  | { readonly kind: 'disk_full'; readonly ms: number }
  | { readonly kind: 'radius_kill'; readonly downMs: number }
  | { readonly kind: 'router'; readonly router: string; readonly fault: RouterFault; readonly ms: number }
  | { readonly kind: 'reboot'; readonly router: string; readonly isSilent: boolean }
);

export interface TroublePlan {
  readonly troubles: readonly Trouble[];
  /** Whether the second host's clock is two seconds ahead. */
  readonly isClockOff: boolean;
}

export interface Stage {
  readonly processes: readonly string[];
  readonly routers: readonly string[];
  readonly nodes: number;
  readonly phases: number;
  readonly hasDisk: boolean;
  /** A phase's operations are under way in so many of its first ms. */
  readonly withinMs: number;
}

/** What goes wrong under a seed: always the same. */
export function planTroubles(seed: number, stage: Stage): TroublePlan {
  const dice = diceFor(`troubles ${seed}`);
  const when = () => ({ phase: dice.between(0, stage.phases - 1), atMs: dice.between(0, stage.withinMs) });
  const troubles: Trouble[] = [];
  for (let count = dice.between(2, 4); count > 0; count--) {
    troubles.push({
      ...when(),
      kind: 'kill',
      process: dice.pick(stage.processes),
      againMs: dice.between(200, 3000),
    });
  }
  for (let count = dice.between(3, 5); count > 0; count--) troubles.push(atCommit(dice, stage, when()));
  for (let count = dice.between(2, 4); count > 0; count--) troubles.push(atRouter(dice, stage, when()));
  if (dice.percent(30)) {
    troubles.push({
      ...when(),
      kind: 'freeze',
      process: dice.pick(stage.processes),
      ms: dice.between(1000, 20_000),
    });
  }
  const node = dice.between(0, stage.nodes - 1);
  const confused = atConfusedRouter(seed, stage);
  if (confused !== undefined) troubles.push(confused);
  if (stage.nodes > 1) {
    troubles.push(atNode(dice, seed, { ...when(), node }));
    return { troubles: troubles.sort(byTime), isClockOff: seed % 2 === 0 };
  }
  switch (seed % 4) {
    case 0:
      troubles.push({ ...when(), kind: 'database_kill', node, downMs: dice.between(0, 4000) });
      break;
    case 1:
      troubles.push({ ...when(), kind: 'database_freeze', node, ms: dice.between(1000, 12_000) });
      break;
    case 2:
      troubles.push({ ...when(), kind: 'radius_kill', downMs: dice.between(0, 5000) });
      break;
    default:
      if (stage.hasDisk) troubles.push({ ...when(), kind: 'disk_full', ms: dice.between(1500, 6000) });
  }
  return { troubles: troubles.sort(byTime), isClockOff: seed % 2 === 0 };
}

/** A cluster loses a node in every story: it dies, stands still, or is cut off from the others. */
function atNode(dice: Dice, seed: number, at: { phase: number; atMs: number; node: number }): Trouble {
  if (seed % 3 === 0) return { ...at, kind: 'database_kill', downMs: dice.between(0, 8000) };
  if (seed % 3 === 1) return { ...at, kind: 'database_freeze', ms: dice.between(1000, 20_000) };
  return { ...at, kind: 'database_split', ms: dice.between(3000, 15_000) };
}

function atCommit(dice: Dice, stage: Stage, when: { phase: number; atMs: number }): Trouble {
  return {
    ...when,
    kind: dice.percent(75) ? 'kill_at_commit' : 'cut_at_commit',
    process: dice.pick(stage.processes.filter((name) => /web|worker|lane/.test(name))),
    moment: dice.percent(50) ? 'before' : 'after',
    skips: dice.between(0, 12),
    againMs: dice.between(200, 3000),
  };
}

function atRouter(dice: Dice, stage: Stage, when: { phase: number; atMs: number }): Trouble {
  const index = dice.between(0, stage.routers.length - 1);
  const router = stage.routers[index] ?? '';
  const ms = dice.between(2000, 15_000);
  if (dice.percent(20)) return { ...when, kind: 'reboot', router, isSilent: dice.percent(40) };
  // A router that lies is found out by its interims, so only those that send them often lie within a story.
  const talkative = stage.routers.filter((_, at) => isTalkative(at));
  if (dice.percent(25)) {
    const fault: RouterFault = dice.percent(60)
      ? { kind: 'ack_without_obeying', times: dice.between(1, 12) }
      : { kind: 'ignore_rate', times: dice.between(1, 12) };
    return { ...when, kind: 'router', router: dice.pick(talkative), fault, ms };
  }
  const fault = dice.pick<RouterFault>([
    { kind: 'silent' },
    { kind: 'deaf' },
    { kind: 'refuse', errorCause: 503 },
    { kind: 'refuse', errorCause: 506 },
    { kind: 'refuse', errorCause: 401 },
    { kind: 'lose_replies' },
    { kind: 'ack_late', ms: 2500 },
    { kind: 'ack_late', ms: 3500, obeysLate: true },
    { kind: 'stop_twice' },
    { kind: 'interim_after_stop' },
    { kind: 'redial_at_once' },
    { kind: 'repeat_session_ids' },
  ]);
  return { ...when, kind: 'router', router, fault, ms };
}

/**
 * In every third seed a router does to one line what was meant for another, and acknowledges. It came later than the
 * others and has dice of its own, so that a seed's other troubles are what they were.
 */
function atConfusedRouter(seed: number, stage: Stage): Trouble | undefined {
  const dice = diceFor(`confused router ${seed}`);
  if (seed % 3 !== 1) return undefined;
  const talkative = stage.routers.filter((_, at) => isTalkative(at));
  return {
    phase: dice.between(0, stage.phases - 1),
    atMs: dice.between(0, stage.withinMs),
    kind: 'router',
    router: dice.pick(talkative),
    fault: { kind: 'obey_for_another', times: dice.between(1, 6) },
    ms: dice.between(4000, 15_000),
  };
}

function byTime(a: Trouble, b: Trouble): number {
  return a.phase - b.phase || a.atMs - b.atMs;
}

export function troubleText(trouble: Trouble): string {
  switch (trouble.kind) {
    case 'kill':
      return `kill -9 ${trouble.process}, again after ${trouble.againMs} ms`;
    case 'kill_at_commit':
      return `kill -9 ${trouble.process} ${trouble.moment} its COMMIT number ${trouble.skips + 1}`;
    case 'cut_at_commit':
      return `the connection of ${trouble.process} breaks ${trouble.moment} its COMMIT number ${trouble.skips + 1}`;
    case 'freeze':
      return `${trouble.process} stands still for ${trouble.ms} ms`;
    case 'database_kill':
      return `kill -9 of the database (node ${trouble.node + 1}), again after ${trouble.downMs} ms`;
    case 'database_freeze':
      return `the database (node ${trouble.node + 1}) stands still for ${trouble.ms} ms`;
    case 'database_split':
      return `node ${trouble.node + 1} of the database is cut off for ${trouble.ms} ms`;
    case 'disk_full':
      return `the database's disk is full for ${trouble.ms} ms`;
    case 'radius_kill':
      return `kill -9 FreeRADIUS, again after ${trouble.downMs} ms`;
    case 'router':
      return `${trouble.router}: ${faultText(trouble.fault)} for ${trouble.ms} ms`;
    case 'reboot':
      return `${trouble.router} reboots${trouble.isSilent ? ', without a word' : ''}`;
  }
}

function faultText(fault: RouterFault): string {
  const details = Object.entries(fault)
    .filter(([name]) => name !== 'kind')
    .map(([name, value]) => `${name} ${String(value)}`);
  return [fault.kind.replaceAll('_', ' '), ...details].join(', ');
}
