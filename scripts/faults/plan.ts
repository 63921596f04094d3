import { addDays, type Day } from '../../src/domain/day.ts';
import { type Dice, diceFor } from '../seed/random.ts';
import { type Isp, type LabRouterPlace, masterPackages, packages, type Person } from './isp.ts';

/** One thing that somebody wants done, with the key by which it may be asked for again. */
export type Operation =
  | {
      readonly kind: 'payment';
      readonly person: Person;
      readonly reference: string;
      readonly amount: string;
      readonly via: 'page' | 'command line';
    }
  | { readonly kind: 'overdue_run'; readonly once: string; readonly asOf: Day }
  | { readonly kind: 'rollback'; readonly once: string }
  | { readonly kind: 'invoice_run' }
  | { readonly kind: 'speed'; readonly masterPackage: string; readonly rate: string }
  | {
      readonly kind: 'router';
      readonly router: LabRouterPlace;
      readonly pace: number;
      readonly secret: string | undefined;
    }
  | { readonly kind: 'package'; readonly person: Person; readonly package: string }
  | { readonly kind: 'hold'; readonly person: Person }
  | { readonly kind: 'promise'; readonly person: Person }
  | { readonly kind: 'join'; readonly username: string };

export interface Phase {
  readonly name: string;
  readonly operations: readonly Operation[];
}

export const storyNames = ['everything', 'runs', 'speeds'] as const;
export type StoryName = (typeof storyNames)[number];

/**
 * What happens, and what of it depends on who comes first: a payment in the middle of a run leaves a suspension that was
 * opened and closed, or none; either is right, so the history of these subscribers is not compared, only where they end.
 */
export interface Story {
  readonly phases: readonly Phase[];
  readonly contended: ReadonlySet<string>;
}

export interface StorySize {
  readonly payments: number;
  readonly changes: number;
}

/**
 * The same for the same variant, whatever goes wrong. Within a phase nothing depends on the order, but for the history of
 * those who are `contended`; the phases follow one another.
 */
export function planStory(isp: Isp, name: StoryName, variant: number, size: StorySize): Story {
  const dice = diceFor(`story ${name} ${variant}`);
  const payments = paymentsOf(isp, dice, variant, size.payments);
  const third = Math.ceil(payments.length / 3);
  const part = (index: number) => payments.slice(index * third, (index + 1) * third);
  const taken = new Set(payments.map(({ person }) => person.username));
  const free = shuffled(
    isp.people.filter((person) => !taken.has(person.username) && person.group !== 'fresh'),
    dice,
  );
  const promises = free
    .filter((person) => person.group === 'late')
    .slice(0, size.changes)
    .map((person): Operation => ({ kind: 'promise', person }));
  const promised = new Set(promises.map((one) => (one.kind === 'promise' ? one.person.username : '')));
  const others = free.filter((person) => !promised.has(person.username));
  const moves = others.slice(0, size.changes).map((person): Operation => ({
    kind: 'package',
    person,
    package: dice.pick(packages.filter((one) => one !== person.package)),
  }));
  const holds = others
    .slice(size.changes, size.changes * 2)
    .map((person): Operation => ({ kind: 'hold', person }));
  const joins = Array.from({ length: size.changes }, (_, index): Operation => ({
    kind: 'join',
    username: `new-${variant}-${index}`,
  }));
  const routers = routerEdits(isp, dice, variant);
  const speed = (index: number, rate: string): Operation => ({
    kind: 'speed',
    masterPackage: masterPackages[index] ?? '',
    rate,
  });
  const run = (days: number): Operation => ({
    kind: 'overdue_run',
    once: onceKey(variant, days),
    asOf: addDays(isp.today, -days),
  });
  const rollback: Operation = { kind: 'rollback', once: onceKey(variant, 3) };
  const phases = phasesOf(name, { part, run, speed, routers, joins, moves, holds, promises, rollback });
  return { phases, contended: new Set([...taken, ...promised]) };
}

interface Acts {
  readonly part: (index: number) => readonly Operation[];
  readonly run: (daysAgo: number) => Operation;
  readonly speed: (index: number, rate: string) => Operation;
  readonly rollback: Operation;
  readonly routers: readonly Operation[];
  readonly joins: readonly Operation[];
  readonly moves: readonly Operation[];
  readonly holds: readonly Operation[];
  readonly promises: readonly Operation[];
}

function phasesOf(name: StoryName, acts: Acts): Phase[] {
  const { part, run, speed, rollback, routers, joins, moves, holds, promises } = acts;
  const all: Record<StoryName, Phase[]> = {
    everything: [
      { name: 'an overdue run of three days ago', operations: [run(3), ...part(0), ...routers.slice(0, 2)] },
      {
        name: 'its rollback, and a new speed',
        operations: [rollback, speed(0, '6M/30M'), ...part(1), ...routers.slice(2), ...joins],
      },
      {
        name: 'the overdue run of today, an invoice run and a new speed',
        operations: [
          run(0),
          { kind: 'invoice_run' },
          speed(1, '12M/60M'),
          ...part(2),
          ...moves,
          ...holds,
          ...promises,
        ],
      },
    ],
    runs: [
      { name: 'an overdue run of three days ago', operations: [run(3), ...part(0)] },
      { name: 'its rollback', operations: [rollback, ...part(1)] },
      { name: 'the overdue run of today', operations: [run(0), { kind: 'invoice_run' }, ...part(2)] },
    ],
    speeds: [
      { name: 'new speeds', operations: [speed(0, '6M/30M'), speed(1, '12M/60M'), ...moves] },
      { name: 'newer speeds', operations: [speed(0, '7M/35M'), speed(2, '25M/120M'), ...routers, ...holds] },
    ],
  };
  return all[name];
}

/** Most pay what they owe, some part of it, some too much; one in ten at the counter's command line. */
function paymentsOf(isp: Isp, dice: Dice, variant: number, count: number) {
  const payers = shuffled(
    isp.people.filter((person) => person.group !== 'fresh'),
    dice,
  )
    .sort((a, b) => Number(a.group === 'current') - Number(b.group === 'current'))
    .slice(0, count);
  return shuffled(payers, dice).map((person, index) => ({
    kind: 'payment' as const,
    person,
    reference: `chaos-${variant}-${index}`,
    amount: dice.percent(70) ? '30.00' : dice.percent(50) ? '12.50' : '75.00',
    via: index % 40 === 0 ? ('command line' as const) : ('page' as const),
  }));
}

function routerEdits(isp: Isp, dice: Dice, variant: number): Operation[] {
  return shuffled(isp.routers, dice)
    .slice(0, Math.min(4, isp.routers.length))
    .map((router, index) => ({
      kind: 'router' as const,
      router,
      pace: 60 + index,
      secret: index % 2 === 0 ? `a newer secret of ${router.name} ${variant}` : undefined,
    }));
}

/** 24 hex digits, as the page's form has them. */
function onceKey(variant: number, days: number): string {
  return `c4a05${String(variant).padStart(10, '0')}${String(days).padStart(9, '0')}`;
}

export function shuffled<T>(items: readonly T[], dice: Dice): T[] {
  return items
    .map((item) => ({ item, at: dice.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
