import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { addDays } from '../../src/domain/day.ts';
import { until } from '../servers/child.ts';
import { type PrivateFreeRadius, startFreeRadius } from '../servers/freeradius.ts';
import { makeFolder } from '../servers/place.ts';
import { Client } from './client.ts';
import { send } from './database.ts';
import { staff } from './isp.ts';
import { type LabSide, openLab } from './lab-side.ts';
import { type Observer, openObserver } from './observer.ts';
import { databaseName, type Place, portOf, radiusPassword, statusSecret } from './place.ts';
import { clockOff, endAll, type ProcessSpec, RoleProcess } from './processes.ts';
import { Ways } from './ways.ts';

/** Everything that runs in one story: the database as it was kept, FreeRADIUS, Sluice's processes, the lab. */
export interface World {
  readonly place: Place;
  readonly lab: LabSide;
  readonly radius: RadiusServer;
  readonly processes: ReadonlyMap<string, RoleProcess>;
  readonly observer: Observer;
  readonly ann: Client;
  readonly bob: Client;
  /** Ids of the overdue runs, by the key they were asked for with. */
  readonly runs: Map<string, string>;
  /** Whether command lines are killed too. */
  readonly killsCounters: boolean;
  readonly logs: string;
  envOf(name: string): NodeJS.ProcessEnv;
  inDays(days: number): string;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly isClockOff: boolean;
  readonly killsCounters: boolean;
  readonly say: (text: string) => void;
}

/** Two web, three worker and two lane processes on two hosts, a scheduler each, and the agent beside FreeRADIUS. */
const roster = [
  ['web-1', 'web', 'host-a'],
  ['web-2', 'web', 'host-b'],
  ['worker-1', 'worker', 'host-a'],
  ['worker-2', 'worker', 'host-b'],
  ['worker-3', 'worker', 'host-a'],
  ['lane-1', 'lane', 'host-a'],
  ['lane-2', 'lane', 'host-b'],
  ['scheduler', 'scheduler', 'host-b'],
  ['agent', 'radius-agent', 'host-a'],
] as const;

export const processNames: readonly string[] = roster.map(([name]) => name);

export async function openWorld(place: Place, options: WorldOptions): Promise<World> {
  const { database } = place;
  const logs = join(place.folder, 'log');
  rmSync(logs, { recursive: true, force: true });
  makeFolder(logs, undefined);
  database.restore();
  await database.start();
  const ways = new Ways(database);
  // One node is reached directly: the wires and the lab share this process, which must not be what everybody waits for.
  const radius = await openRadius(
    place,
    database.nodes.length === 1 ? portOf(database) : await ways.proxied(join(place.folder, 'proxy')),
  );
  const envs = new Map<string, NodeJS.ProcessEnv>();
  const processes = new Map<string, RoleProcess>();
  const offB = options.isClockOff ? (clockOff(2) ?? {}) : {};
  for (const [name, role, host] of roster) {
    const [wire, databaseEnv] = await ways.own();
    const webPort = place.ports.web[name === 'web-2' ? 1 : 0];
    const env = {
      ...place.env,
      ...(host === 'host-b' ? offB : {}),
      ...(role === 'radius-agent' ? radius.agentEnvironment() : {}),
      ...databaseEnv,
      SLUICE_HOST: host,
      SLUICE_WEB_PORT: String(webPort),
    };
    envs.set(name, env);
    const spec: ProcessSpec = { name, role, host, env };
    processes.set(name, new RoleProcess(spec, wire, logs, options.say));
  }
  const [, counterEnv] = await ways.own();
  envs.set('counter', { ...place.env, ...counterEnv, SLUICE_HOST: 'host-a' });
  const lab = await openLab(place.isp, place.ports);
  const observer = await openObserver(database);
  const urls = place.ports.web.map((port) => `http://127.0.0.1:${port}`);
  const world: World = {
    place,
    lab,
    radius,
    processes,
    observer,
    ann: new Client(urls),
    bob: new Client([...urls].reverse()),
    runs: new Map(),
    killsCounters: options.killsCounters,
    logs,
    envOf: (name) => envs.get(name) ?? {},
    inDays: (days) => addDays(place.isp.today, days),
    async close() {
      await lab.close();
      await endAll([...processes.values()]);
      await radius.end();
      await observer.close();
      await ways.close();
      await database.stop();
    },
  };
  try {
    await bringUp(world);
  } catch (error) {
    await world.close();
    throw error;
  }
  return world;
}

/** Processes up, staff signed in, every router known to FreeRADIUS, every home online that may be. */
async function bringUp(world: World): Promise<void> {
  for (const one of world.processes.values()) one.start();
  const [ann, bob] = staff;
  await Promise.all([world.ann.signIn(ann), world.bob.signIn(bob)]);
  await until(
    'every router is known to FreeRADIUS',
    () => world.radius.knows(world.place.isp.routers.length),
    {
      timeoutMs: 60_000,
      stepMs: 100,
    },
  );
  await wait(1200);
  world.lab.dialAll(world.lab.cpes.size);
  const areOnline = () => [...world.lab.cpes.values()].every((cpe) => cpe.view().state === 'online');
  await until('everybody is online', areOnline, { timeoutMs: 120_000, stepMs: 100 });
}

export interface RadiusServer {
  agentEnvironment(): NodeJS.ProcessEnv;
  /** Whether it has that many client files. */
  knows(routers: number): boolean;
  kill(): Promise<void>;
  start(): Promise<void>;
  end(): Promise<void>;
  /** What is wrong with it now, in words: it ended, or says nothing; undefined when it answers. */
  complaint(): Promise<string | undefined>;
}

async function openRadius(place: Place, port: number): Promise<RadiusServer> {
  const folder = join(place.folder, 'freeradius');
  rmSync(folder, { recursive: true, force: true });
  const startNow = () =>
    startFreeRadius(folder, {
      db: {
        host: '127.0.0.1',
        port,
        user: `${databaseName}_radius`,
        password: radiusPassword,
        database: databaseName,
      },
      authPort: place.ports.auth,
      acctPort: place.ports.acct,
      statusSecret,
    });
  let server: PrivateFreeRadius = await startNow();
  return {
    agentEnvironment: () => ({
      SLUICE_CLIENT_DIRECTORY: server.clientDirectory,
      SLUICE_CLIENT_DIRECTORY6: server.clientDirectory6,
      SLUICE_RADMIN_SOCKET: server.controlSocket,
      SLUICE_RADIUS_LOG: server.logFile,
    }),
    knows: (routers) => filesIn(server.clientDirectory) >= routers,
    async kill() {
      send(server.child.pid, 'SIGKILL');
      await server.child.exited;
    },
    /** As systemd does: until it is up, since it may find no database at first. */
    async start() {
      for (let attempt = 1; ; attempt++) {
        try {
          server = await startNow();
          return;
        } catch (error) {
          if (attempt === 20) throw error;
          await wait(500);
        }
      }
    },
    end: () => server.stop(),
    async complaint() {
      if (server.child.hasExited()) return `it ended by itself: ${lastLine(server.logFile)}`;
      // An answer may be lost on a busy machine; three in a row are not.
      for (let attempt = 0; attempt < 3; attempt++) if (await server.isAlive(2000)) return undefined;
      return `it does not answer Status-Server: ${lastLine(server.logFile)}`;
    },
  };
}

function lastLine(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? '';
}

function filesIn(folder: string): number {
  return readdirSync(folder).filter((name) => !name.startsWith('.')).length;
}
