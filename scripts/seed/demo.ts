import type { Knex } from 'knex';
import type { Vault } from '../../src/adapters/vault.ts';
import { fixedClock } from '../../src/clock.ts';
import type { CommandContext } from '../../src/command.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { ensureOperator } from '../../src/db/subscribers.ts';
import { addMonths, dayIn, timeOnDay } from '../../src/domain/day.ts';
import { createLog } from '../../src/log.ts';
import { castOf } from './cast.ts';
import { seedCatalogue } from './catalogue.ts';
import { writeLabConfig } from './lab-config.ts';
import { planYear } from './plan.ts';
import { playActs, playDay, type Stage } from './story.ts';

export interface DemoLogin {
  username: string;
  password: string;
  router: string;
  state: string;
  expect: string;
}

export interface DemoOptions {
  db: Knex;
  vault: Vault;
  /** The demo's year ends here, at its first seeding. */
  now: Date;
  labConfigFile: string;
  /** SLUICE_LAB_PORT and the two RADIUS ports, for the lab. */
  env: NodeJS.ProcessEnv;
  say: (text: string) => void;
  progress?: (done: number, total: number) => void;
  /** Subscribers' logins in all; at least the thirty that have a part to play. */
  count?: number;
}

export interface Demo {
  /** False where the database holds something else than the demo: then nothing was touched. */
  isDemo: boolean;
  logins: readonly DemoLogin[];
}

const zone = 'Asia/Dhaka';
const defaultCount = 300;

interface Marker {
  seededAt: string;
  count: number;
  /** Days before this one need not be played again. */
  playedUntil: string;
  isFinished: boolean;
}

/**
 * The demo ISP: a year of joining, invoicing, paying and not paying, played through the functions that staff and
 * timetable use, and the lab's configuration. Killed anywhere and called again it goes on where it was, since every act
 * has a name of its own; finished, it only writes the lab's file again. A database that is in use is left alone.
 */
export async function seedDemo(options: DemoOptions): Promise<Demo> {
  const { db, say } = options;
  const before = await readMarker(db);
  if (before === undefined && (await isInUse(db))) {
    say('This database holds subscribers that are not the demo: nothing is seeded');
    return { isDemo: false, logins: [] };
  }
  const marker = before ?? (await firstMarker(options));
  const cast = castOf(marker.count);
  if (!marker.isFinished) await play(options, marker, cast);
  await writeLabConfig(options.labConfigFile, { ...options, cast });
  return { isDemo: true, logins: demoLogins() };
}

/** Who has a part to play, and what to expect of them. */
export function demoLogins(): DemoLogin[] {
  return castOf(0).map(({ username, password, router, state, expect }) => ({
    username,
    password,
    router,
    state: state ?? '',
    expect: expect ?? '',
  }));
}

async function play(options: DemoOptions, marker: Marker, cast: ReturnType<typeof castOf>): Promise<void> {
  const { db, say } = options;
  const now = new Date(marker.seededAt);
  const today = dayIn(zone, now);
  const stage = stageOf(options);
  say(`Demo ISP: a year of ${cast.length} subscribers`);
  const opened = timeOnDay(addMonths(today, -13), '09:00', zone);
  await ensureOperator(db, opened);
  await saveSettings(db, { zone, currency: 'BDT', exponent: 2 }, opened);
  await seedCatalogue((id) => stage.context(opened, 'rana', id));
  const days = planYear(cast, today);
  for (const [index, plan] of days.entries()) {
    if (plan.day < marker.playedUntil) continue;
    await playDay(stage, plan);
    options.progress?.(index + 1, days.length);
    if (index % 10 === 9) await saveMarker(db, { ...marker, playedUntil: plan.day });
  }
  await playActs(stage, cast, now, today);
  await saveMarker(db, { ...marker, playedUntil: today, isFinished: true });
  say('Demo ISP: ready');
}

function stageOf(options: DemoOptions): Stage {
  const log = createLog({ level: 'error', role: 'seed', silent: true });
  return {
    zone,
    context: (at: Date, actor: string, correlationId: string): CommandContext => ({
      db: options.db,
      vault: options.vault,
      clock: fixedClock(at.toISOString()),
      log,
      wake: () => undefined,
      actor,
      correlationId: correlationId.slice(0, 64),
    }),
  };
}

async function isInUse(db: Knex): Promise<boolean> {
  for (const table of ['subscriber', 'router', 'package']) {
    if ((await db(table).first<{ id: string } | undefined>('id')) !== undefined) return true;
  }
  return false;
}

async function readMarker(db: Knex): Promise<Marker | undefined> {
  const row = await db('setting').where({ name: 'demo' }).first<{ value: string } | undefined>('value');
  return row === undefined ? undefined : (JSON.parse(row.value) as Marker);
}

async function firstMarker(options: DemoOptions): Promise<Marker> {
  const marker: Marker = {
    seededAt: options.now.toISOString(),
    count: options.count ?? defaultCount,
    playedUntil: '',
    isFinished: false,
  };
  await saveMarker(options.db, marker);
  return marker;
}

async function saveMarker(db: Knex, marker: Marker): Promise<void> {
  const row = {
    name: 'demo',
    value: JSON.stringify(marker),
    changed_at: sqlInstant(new Date(marker.seededAt)),
  };
  await db('setting').insert(row).onConflict('name').merge(['value', 'changed_at']);
}
