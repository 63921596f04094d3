import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LabRouter } from '../../scripts/lab/router.ts';
import type { RouterOptions } from '../../scripts/lab/settings.ts';
import { freePort, until } from '../../scripts/servers/child.ts';
import {
  createRadiusUser,
  type PrivateFreeRadius,
  startFreeRadius,
} from '../../scripts/servers/freeradius.ts';
import { dataRoot } from '../../scripts/servers/place.ts';
import { listenForWake, type WakeListener } from '../../src/adapters/wake.ts';
import { type App, openApp } from '../../src/app.ts';
import { addBillingProfile } from '../../src/catalog/add-billing-profile.ts';
import { addIpv4Pool } from '../../src/catalog/add-ipv4-pool.ts';
import { addMasterPackage } from '../../src/catalog/add-master-package.ts';
import { addPackage } from '../../src/catalog/add-package.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { CommandContext } from '../../src/command.ts';
import { readConfig } from '../../src/config.ts';
import { beat } from '../../src/db/heartbeats.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { addRouter } from '../../src/network/routers.ts';
import { type RoleName, type RunningRole, startRole } from '../../src/roles.ts';
import { addSubscriber } from '../../src/subscribers/register.ts';
import { theOperator } from './builders.ts';
import { testDb, type TestDb, testMariaDb } from './db.ts';
import { labAddress } from './lab.ts';

/** The whole of Sluice as it runs: FreeRADIUS, MariaDB, every role, and lab routers that were added as NOC adds them. */
export interface Stack {
  t: TestDb;
  app: App;
  ctx: CommandContext;
  clock: ShiftedClock;
  env: NodeJS.ProcessEnv;
  radius: PrivateFreeRadius;
  /** Where the pages are, when the roles have `web` among them. */
  url: string;
  /** A router in the lab that Sluice does not know yet. */
  unknownRouter(name: string, options?: Partial<RouterOptions>): Promise<LabRouter>;
  /** Adds a router with its command and waits until FreeRADIUS answers it. */
  router(name: string, options?: Partial<RouterOptions>): Promise<LabRouter & { routerId: string }>;
  /** Adds a subscriber on one of the stack's packages and waits until RADIUS has the login. */
  subscriber(
    username: string,
    given: { billingProfile: 'block' | 'throttle' | 'walled'; package?: string },
  ): Promise<Signed>;
  /** Polls until it holds; the message names what was waited for. */
  until(what: string, check: () => Promise<boolean> | boolean, timeoutMs?: number): Promise<void>;
  stopRole(role: RoleName): Promise<void>;
  startRole(role: RoleName): Promise<void>;
  close(): Promise<void>;
}

export interface Signed {
  subscriberId: string;
  subscriptionId: string;
  loginId: string;
  username: string;
  password: string;
  /** Of the CPE: a redial from the same one is not somebody else being online. */
  mac: string;
}

/** The real clock, set back by some days: FreeRADIUS lives in real time, so stories begin in the past and end today. */
export interface ShiftedClock extends Clock {
  daysAgo(days: number): void;
}

function shiftedClock(): ShiftedClock {
  let shiftMs = 0;
  return {
    now: () => new Date(systemClock.now().getTime() - shiftMs),
    daysAgo: (days) => {
      shiftMs = days * 86_400_000;
    },
  };
}

let count = 0;
let macs = 0;

export async function openStack(options: { roles?: readonly RoleName[] } = {}): Promise<Stack> {
  const clock = shiftedClock();
  const t = await testDb();
  const mariadb = await testMariaDb();
  const folder = join(dataRoot(), `test-${process.pid}`, `stack-${++count}`);
  const radius = await startFreeRadius(folder, {
    db: await createRadiusUser(mariadb, t.address.database, 'radius'),
  });
  const webPort = await freePort();
  const env = { ...environmentOf(t, radius), SLUICE_WEB_PORT: String(webPort) };
  const app = openApp(readConfig(env), { role: 'test', isSilent: true, clock });
  const listener = await listenForWake({
    address: '127.0.0.1',
    port: 0,
    key: app.vault.derive('wake'),
    now: () => app.clock.now(),
  });
  const running = new Map<RoleName, RunningRole>();
  const start = async (role: RoleName) => {
    running.set(role, await startRole(role, app, listener));
  };
  for (const role of options.roles ?? ['worker', 'lane', 'radius-agent']) {
    await start(role);
    await announce(app, role, listener);
  }
  const ctx = app.context('test');
  await smallIsp(ctx);
  const labs: LabRouter[] = [];
  const stack: Stack = {
    t,
    app,
    ctx,
    clock,
    env,
    radius,
    url: `http://127.0.0.1:${webPort}`,
    unknownRouter: async (name, given) => {
      const router = await openLabRouter(stack, name, given);
      labs.push(router);
      return router;
    },
    router: async (name, given) => {
      const router = await labRouter(stack, name, given);
      labs.push(router);
      return router;
    },
    subscriber: (username, given) => register(stack, username, given),
    until: (what, check, timeoutMs = 15_000) => until(what, check, { timeoutMs, stepMs: 25 }),
    async stopRole(role) {
      await running.get(role)?.stop();
      running.delete(role);
    },
    startRole: start,
    async close() {
      await Promise.all(labs.map((lab) => lab.close()));
      await Promise.all([...running.values()].map((role) => role.stop()));
      await listener.close();
      await app.close();
      await radius.stop();
      rmSync(folder, { recursive: true, force: true });
      await t.drop();
    },
  };
  return stack;
}

function environmentOf(t: TestDb, radius: PrivateFreeRadius): NodeJS.ProcessEnv {
  return {
    SLUICE_DB_HOST: t.address.host,
    SLUICE_DB_PORT: String(t.address.port),
    SLUICE_DB_USER: t.address.user,
    SLUICE_DB_PASSWORD: t.address.password,
    SLUICE_DB_NAME: t.address.database,
    SLUICE_KEYS: `k1:${'cd'.repeat(32)}`,
    SLUICE_HOST: 'stack',
    SLUICE_LOG_LEVEL: 'warn',
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
    SLUICE_CLIENT_DIRECTORY: radius.clientDirectory,
    SLUICE_CLIENT_DIRECTORY6: radius.clientDirectory6,
    SLUICE_RADMIN_SOCKET: radius.controlSocket,
    SLUICE_RADIUS_AUTH_PORT: String(radius.authPort),
    SLUICE_RADIUS_ACCT_PORT: String(radius.acctPort),
    SLUICE_RADIUS_STATUS_SECRET: radius.statusSecret,
  };
}

function announce(app: App, role: RoleName, listener: WakeListener): Promise<void> {
  return beat(app.db, {
    id: `${app.processId.slice(0, -2)}${role.slice(0, 2)}`,
    host: 'stack',
    role,
    pid: process.pid,
    wakeAddress: '127.0.0.1',
    wakePort: listener.port,
  });
}

/** One pool, two speeds, and a billing profile for each effect. */
async function smallIsp(ctx: CommandContext): Promise<void> {
  await theOperator(ctx.db);
  await saveSettings(ctx.db, { zone: 'UTC', currency: 'USD', exponent: 2 }, ctx.clock.now());
  await addIpv4Pool(ctx, { name: 'home', suspendedName: 'home-suspended' });
  for (const [name, rate] of [
    ['fast', '20M/100M'],
    ['slow', '2M/10M'],
  ] as const) {
    await addMasterPackage(ctx, {
      name: `${name} line`,
      customerType: 'pppoe',
      billingType: 'monthly',
      rateLimit: rate,
      pool: 'home',
      interimSeconds: 60,
    });
    await addPackage(ctx, {
      name,
      masterPackage: `${name} line`,
      customersPriceMinor: 3000n,
      operatorsPriceMinor: 2500n,
    });
  }
  const profile = { dueDays: 7, graceDays: 2, isOverdueRunOn: true };
  await addBillingProfile(ctx, { ...profile, name: 'block', overdueEffect: 'block' });
  await addBillingProfile(ctx, {
    ...profile,
    name: 'throttle',
    overdueEffect: 'throttle',
    throttleRate: '1M/1M',
  });
  await addBillingProfile(ctx, { ...profile, name: 'walled', overdueEffect: 'walled_garden' });
}

async function labRouter(stack: Stack, name: string, given: Partial<RouterOptions> = {}) {
  const lab = await openLabRouter(stack, name, given);
  const secret = given.secret ?? secretOf(name);
  const server = { address: '127.0.0.1', authPort: stack.radius.authPort, acctPort: stack.radius.acctPort };
  const added = await addRouter(
    stack.ctx,
    { name, address: lab.address, secret, coaPort: lab.coaPort },
    server,
  );
  await stack.until(`FreeRADIUS answers ${name}`, async () => {
    const outcome = await lab.dial({ username: 'nobody-at-all', password: 'x' });
    return !outcome.ok && outcome.why === 'reject';
  });
  return Object.assign(lab, { routerId: String(added.routerId) });
}

const secretOf = (name: string) => `secret of ${name}`;

function openLabRouter(stack: Stack, name: string, given: Partial<RouterOptions> = {}): Promise<LabRouter> {
  return new LabRouter({
    name,
    address: labAddress(),
    secret: secretOf(name),
    coaPort: 0,
    authServer: { address: '127.0.0.1', port: stack.radius.authPort },
    acctServer: { address: '127.0.0.1', port: stack.radius.acctPort },
    pools: { home: ['10.64.0.10', '10.64.3.250'], 'home-suspended': ['10.65.0.10', '10.65.3.250'] },
    ...given,
  }).open();
}

async function register(
  stack: Stack,
  username: string,
  given: { billingProfile: 'block' | 'throttle' | 'walled'; package?: string },
): Promise<Signed> {
  const password = `pw of ${username}`;
  const added = await addSubscriber(stack.ctx, {
    name: `Subscriber ${username}`,
    billingProfile: given.billingProfile,
    package: given.package ?? 'fast',
    username,
    password,
  });
  await stack.until(`RADIUS knows ${username}`, async () => {
    const row = (await stack.t.db('radcheck').where({ username }).first('username')) as unknown;
    return row !== undefined;
  });
  return {
    subscriberId: String(added.subscriberId),
    subscriptionId: String(added.subscriptionId),
    loginId: String(added.loginId),
    username,
    password,
    mac: `02:5A:00:00:00:${(++macs).toString(16).toUpperCase().padStart(2, '0')}`,
  };
}
