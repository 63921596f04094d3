import { join } from 'node:path';
import { listenForWake } from '../../src/adapters/wake.ts';
import { type App, openApp } from '../../src/app.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import { startRole, stopRoles } from '../../src/roles.ts';
import { freePort, until } from '../servers/child.ts';
import { createRadiusUser } from '../servers/freeradius.ts';
import { checkAccount } from '../servers/haproxy.ts';
import { makeFolder, projectRoot } from '../servers/place.ts';
import type { Database } from './database.ts';
import { buildIsp, type Isp, type IspSize } from './isp.ts';

/** What stays the same through all stories of one call: ports, keys, the database, and the ISP they begin with. */
export interface Place {
  readonly folder: string;
  readonly database: Database;
  readonly ports: { readonly auth: number; readonly acct: number; readonly web: readonly number[] };
  readonly env: NodeJS.ProcessEnv;
  readonly isp: Isp;
}

export const databaseName = 'sluice_chaos';
export const radiusPassword = 'chaos radius';
export const statusSecret = 'chaos status secret';

/** Starts the database, builds the ISP, lets a worker write its RADIUS rows, and keeps all that for the stories. */
export async function openPlace(
  folder: string,
  database: Database,
  size: IspSize,
  say: (text: string) => void,
): Promise<Place> {
  makeFolder(folder, undefined);
  const ports = {
    auth: await freePort(),
    acct: await freePort(),
    web: [await freePort(), await freePort()],
  };
  await database.start();
  await database.createDatabase(databaseName);
  const env = environmentOf(database, ports);
  const app = openApp(readConfig({ ...env, SLUICE_DB_PORT: String(portOf(database)) }), {
    role: 'chaos',
    isSilent: true,
    poolMax: 12,
  });
  try {
    await migrateAll(database);
    await createRadiusUser(
      { asRoot: (statement) => database.asRoot(statement), port: portOf(database) },
      databaseName,
      radiusPassword,
    );
    if (database.nodes.length > 1) await database.asRoot(checkAccount);
    say('building the ISP');
    const isp = await buildIsp(app, size, { authPort: ports.auth, acctPort: ports.acct }, say);
    await writeRadiusRows(app);
    say('the ISP is built');
    return { folder, database, ports, env, isp };
  } finally {
    await app.close();
    await database.stop();
    database.save();
  }
}

export function portOf(database: Database): number {
  const [node] = database.nodes;
  if (node === undefined) throw new Error('a database has at least one node');
  return node.port;
}

async function migrateAll(database: Database): Promise<void> {
  const db = openDb(addressOf(database), { poolMax: 1 });
  try {
    await migrate(db, join(projectRoot, 'sql'), systemClock.now());
  } finally {
    await db.destroy();
  }
}

export function addressOf(database: Database, port = portOf(database)) {
  return {
    host: '127.0.0.1',
    port,
    user: database.user,
    password: database.password,
    database: databaseName,
  };
}

function environmentOf(database: Database, ports: Place['ports']): NodeJS.ProcessEnv {
  return {
    SLUICE_DB_HOST: '127.0.0.1',
    SLUICE_DB_USER: database.user,
    SLUICE_DB_PASSWORD: database.password,
    SLUICE_DB_NAME: databaseName,
    SLUICE_KEYS: `k1:${'c4'.repeat(32)}`,
    SLUICE_LOG_LEVEL: 'info',
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
    SLUICE_RADIUS_AUTH_PORT: String(ports.auth),
    SLUICE_RADIUS_ACCT_PORT: String(ports.acct),
    SLUICE_RADIUS_STATUS_SECRET: statusSecret,
  };
}

/** Every login's rows and every router's, by the worker itself, so that a story begins with nothing to do. */
async function writeRadiusRows(app: App): Promise<void> {
  const listener = await listenForWake({
    address: '127.0.0.1',
    port: 0,
    key: app.vault.derive('wake'),
    now: () => app.clock.now(),
  });
  const worker = await startRole('worker', app, listener);
  const isIdle = async () =>
    (await app.db('reconcile_queue').first<{ id: string } | undefined>('id')) === undefined;
  await until('the RADIUS rows of the ISP', isIdle, { timeoutMs: 300_000, stepMs: 100 });
  await stopRoles(app, [worker]);
  await listener.close();
  await app.db('process_heartbeat').del();
}
