import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { type App, openApp } from '../../src/app.ts';
import { planOverdueRun } from '../../src/billing/overdue-run-plan.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import { readSettings } from '../../src/db/settings.ts';
import { addDays, type Day, dayIn } from '../../src/domain/day.ts';
import { radiusSettingsOf } from '../../src/domain/radius-attributes.ts';
import { freePort } from '../servers/child.ts';
import type { MariaDbHandle } from '../servers/mariadb.ts';
import { projectRoot } from '../servers/place.ts';
import type { LeanRoutersCount, LeanRoutersOrder } from './lean-routers.ts';
import { runOneAtATime } from './one-at-a-time.ts';
import { fillOverdueIsp, routerAddress } from './overdue-isp.ts';
import {
  type Figure,
  measureAllAtOnce,
  measureStages,
  since,
  type Stages,
  textOf,
} from './overdue-stages.ts';
import { ask, forkReady, Processes } from './processes.ts';

export interface OverdueMeasurement {
  readonly mariadb: MariaDbHandle;
  readonly database: string;
  readonly folder: string;
  readonly subscribers: number;
  readonly routers: number;
  /** Subscribers of each of the two runs of the loop. */
  readonly loop: number;
  readonly workers: number;
  readonly lanes: number;
  /** Once in stages with pacing, one loop, and all at once. */
  readonly isShort?: boolean;
  readonly profileFolder: string | undefined;
  readonly say: (text: string) => void;
}

export interface Measured {
  readonly title: string;
  readonly figures: readonly Figure[];
}

const routerSecret = 'only-for-the-measurement';
/** As many a second as the column holds: the pace is not what limits. */
const unpaced = 65_535;

/**
 * Three tenths of the subscribers come due, each tenth a day later: the first is suspended in stages with pacing, the
 * second in stages without, the third all at once, as in production. Between them a loop over single subscribers does the
 * same on the same data. Fills the database if it is empty.
 */
export async function measureOverdue(wanted: OverdueMeasurement): Promise<Measured[]> {
  const env = environmentOf(wanted);
  const app = openApp(readConfig(env), { role: 'bench' });
  const coaPort = await freePort();
  const { subscribers, routers, say, workers, lanes } = wanted;
  let lab: ChildProcess | undefined;
  try {
    await prepare(wanted, app, coaPort);
    const order: LeanRoutersOrder = {
      routers,
      subscribers,
      secret: routerSecret,
      port: coaPort,
      db: app.config.db,
    };
    lab = await forkReady('scripts/bench/lean-routers.ts', order);
    const logFile = join(wanted.folder, 'roles.log');
    const processes = new Processes({ env, db: app.db, logFile, profileFolder: wanted.profileFolder });
    const stages: Stages = { app, processes, workers, lanes, say };
    const measured = await measureAll(wanted, stages, coaPort);
    const count = await ask<LeanRoutersCount>(lab);
    say(
      `routers: ${count.acks.coa} CoA and ${count.acks.disconnect} Disconnect acknowledged, ${count.naks} refused, ${count.repeats} repeated, ${count.bad} unproved`,
    );
    return measured;
  } finally {
    lab?.kill();
    await app.close();
  }
}

function environmentOf({ mariadb, database }: OverdueMeasurement) {
  return {
    SLUICE_DB_HOST: '127.0.0.1',
    SLUICE_DB_PORT: String(mariadb.port),
    SLUICE_DB_USER: mariadb.user,
    SLUICE_DB_PASSWORD: mariadb.password,
    SLUICE_DB_NAME: database,
    SLUICE_KEYS: `k1:${'ab'.repeat(32)}`,
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
    SLUICE_LOG_LEVEL: 'warn',
  };
}

async function prepare(wanted: OverdueMeasurement, app: App, coaPort: number): Promise<void> {
  const { db, vault } = app;
  const now = systemClock.now();
  const startedAt = performance.now();
  await wanted.mariadb.createDatabase(wanted.database);
  await migrate(db, join(projectRoot, 'sql'), now);
  if ((await db('subscriber').first<{ id: string } | undefined>('id')) === undefined) {
    const { subscribers, routers, say } = wanted;
    await fillOverdueIsp({ db, vault, now, subscribers, routers, routerSecret, coaPort, say });
    say(`filled in ${Math.round(since(startedAt))} s`);
  } else {
    await db('router').update({ coa_port: coaPort });
    // Or all of them would be stale by now, and the sweep that ends such sessions would be at work beside the rest.
    await db('radacct')
      .whereNull('acctstoptime')
      .update({ acctupdatetime: sqlInstant(now) });
  }
}

async function measureAll(wanted: OverdueMeasurement, stages: Stages, coaPort: number): Promise<Measured[]> {
  const { say, loop } = wanted;
  const { db } = stages.app;
  const today = dayIn('UTC', systemClock.now());
  const measured: Measured[] = [];
  const part = async (title: string, work: () => Promise<Figure[]>) => {
    say(`\n${title}`);
    measured.push({ title, figures: await work() });
  };
  await part('in stages, 50 packets a second a router', () => measureStages(stages, addDays(today, -2)));
  const debtors = await debtorsOf(stages.app, today, loop * 2);
  await part('one at a time', () => measureLoop(wanted, stages.app, coaPort, today, debtors.slice(0, loop)));
  if (wanted.isShort !== true) {
    await db('router').update({ pace_per_second: unpaced });
    await part('in stages, without pacing', () => measureStages(stages, addDays(today, -1)));
    await part('one at a time, again', () =>
      measureLoop(wanted, stages.app, coaPort, today, debtors.slice(loop)),
    );
    await db('router').update({ pace_per_second: 50 });
  }
  await part('all at once, 50 packets a second a router', () => measureAllAtOnce(stages, today));
  return measured;
}

/** Subscribers whom a run of that day would suspend and no earlier one. */
async function debtorsOf({ db }: App, asOf: Day, most: number): Promise<string[]> {
  const before = new Set<string>();
  await planOverdueRun(db, addDays(asOf, -1), ({ actions }) => {
    for (const { subscriberId } of actions) before.add(subscriberId);
  });
  const ids: string[] = [];
  await planOverdueRun(db, asOf, ({ actions }) => {
    for (const { subscriberId } of actions) if (!before.has(subscriberId)) ids.push(subscriberId);
  });
  return ids.slice(0, most);
}

async function measureLoop(
  wanted: OverdueMeasurement,
  { db, vault, config }: App,
  coaPort: number,
  asOf: Day,
  subscriberIds: readonly string[],
): Promise<Figure[]> {
  const settings = radiusSettingsOf(await readSettings(db));
  const parts = { address: config.db, vault, settings, asOf, routerSecret, coaPort, routerAddress };
  const done = await runOneAtATime(parts, subscriberIds);
  const figures: Figure[] = [
    { stage: 'decided and suspended', count: done.subscribers, seconds: done.suspend, note: '' },
    { stage: 'decide and rows', count: done.subscribers, seconds: done.rows, note: '' },
    { stage: 'packets', count: done.packets, seconds: done.send, note: '' },
  ];
  for (const figure of figures) wanted.say(textOf(figure));
  return figures;
}
