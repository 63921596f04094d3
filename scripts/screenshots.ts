import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { listenForWake } from '../src/adapters/wake.ts';
import { type App, openApp } from '../src/app.ts';
import { systemClock } from '../src/clock.ts';
import { readConfig } from '../src/config.ts';
import { beat } from '../src/db/heartbeats.ts';
import { openInvoicesOf } from '../src/db/invoices.ts';
import { openDb } from '../src/db/knex.ts';
import { migrate } from '../src/db/migrate.ts';
import { loginByUsername } from '../src/db/subscribers.ts';
import { recordPayment } from '../src/billing/payments.ts';
import { createOverdueRun } from '../src/billing/overdue-run.ts';
import { dayIn } from '../src/domain/day.ts';
import { fillFigures } from '../src/network/figures.ts';
import { readSettings } from '../src/db/settings.ts';
import { roleNames, startRole, stopRoles } from '../src/roles.ts';
import { openBrowser, type Tab } from '../test/support/browser.ts';
import { seedDemoStaff } from './dev/demo-staff.ts';
import { replayADay } from './dev/replay-day.ts';
import { readLabConfig } from './lab/config.ts';
import { Lab } from './lab/lab.ts';
import { seedDemo } from './seed/demo.ts';
import { freePort, until } from './servers/child.ts';
import { createRadiusUser, startFreeRadius } from './servers/freeradius.ts';
import { startMariaDb } from './servers/mariadb.ts';
import { dataRoot, makeFolder, projectRoot } from './servers/place.ts';

const password = 'only for the pictures';
const database = 'sluice_pictures';
const images = join(projectRoot, 'docs/images');

/**
 * Pictures of the main pages into docs/images, over the demo ISP with its lab dialling real RADIUS logins, on servers of
 * their own. `scripts/screenshots [minutes]`: so long the lab is let live first, since charts are made of minutes.
 */
async function main(): Promise<void> {
  const minutes = Number(process.argv[2] ?? 3);
  const only = process.argv.slice(3);
  makeFolder(dataRoot(), undefined);
  const folder = mkdtempSync(join(dataRoot(), 'pictures-'));
  // The servers' accounts find their own folders in it.
  chmodSync(folder, 0o755);
  const closing: (() => Promise<unknown>)[] = [];
  try {
    const { app, url } = await openDemo(folder, closing);
    say(`the lab lives for ${minutes} minutes`);
    await wait(minutes * 60_000);
    await haveAMorning(app);
    await takePictures(app, url, only);
  } finally {
    for (const close of closing.reverse()) await close().catch((error: unknown) => say(String(error)));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Everything of the demo in this process; what was opened is noted in `closing`. */
async function openDemo(
  folder: string,
  closing: (() => Promise<unknown>)[],
): Promise<{ app: App; url: string }> {
  const mariadb = await startMariaDb(join(folder, 'mariadb'), {
    password: 'pictures-only',
    isDurable: false,
  });
  closing.push(() => mariadb.stop());
  await mariadb.createDatabase(database);
  const { user } = mariadb;
  const db = openDb({ host: '127.0.0.1', port: mariadb.port, user, password: mariadb.password, database });
  await migrate(db, join(projectRoot, 'sql'), systemClock.now());
  await db.destroy();
  const radius = await startFreeRadius(join(folder, 'freeradius'), {
    db: await createRadiusUser(mariadb, database, 'radius'),
  });
  closing.push(() => radius.stop());
  const webPort = await freePort();
  const env = {
    SLUICE_DB_HOST: '127.0.0.1',
    SLUICE_DB_PORT: String(mariadb.port),
    SLUICE_DB_USER: user,
    SLUICE_DB_PASSWORD: mariadb.password,
    SLUICE_DB_NAME: database,
    SLUICE_KEYS: `k1:${'cd'.repeat(32)}`,
    SLUICE_HOST: 'radius-1',
    SLUICE_LOG_LEVEL: 'warn',
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
    SLUICE_CLIENT_DIRECTORY: radius.clientDirectory,
    SLUICE_CLIENT_DIRECTORY6: radius.clientDirectory6,
    SLUICE_RADMIN_SOCKET: radius.controlSocket,
    SLUICE_RADIUS_AUTH_PORT: String(radius.authPort),
    SLUICE_RADIUS_ACCT_PORT: String(radius.acctPort),
    SLUICE_RADIUS_STATUS_SECRET: radius.statusSecret,
    SLUICE_LAB_PORT: String(await freePort()),
    SLUICE_WEB_PORT: String(webPort),
  };
  const app = openApp(readConfig(env), { role: 'pictures' });
  closing.push(() => app.close());
  const labConfigFile = join(folder, 'lab.json');
  await seedDemo({ db: app.db, vault: app.vault, now: app.clock.now(), labConfigFile, env, say });
  await seedDemoStaff(app, password);
  say('a day of sessions is replayed, and counted as it goes');
  await replayADay(app);
  const listener = await listenForWake({
    ...app.config.wake,
    port: 0,
    key: app.vault.derive('wake'),
    now: () => app.clock.now(),
  });
  closing.push(() => listener.close());
  const running = await Promise.all(roleNames.map((role) => startRole(role, app, listener)));
  closing.push(() => stopRoles(app, running));
  const beating = setInterval(() => void beatAll(app, listener.port), 5000);
  closing.push(() => {
    clearInterval(beating);
    return Promise.resolve();
  });
  await beatAll(app, listener.port);
  const lab = new Lab(readLabConfig(labConfigFile), () => undefined);
  closing.push(() => lab.stop(3000));
  await lab.start();
  await until('a hundred sessions', async () => (await openSessions(app)) > 100, {
    timeoutMs: 120_000,
    stepMs: 500,
  });
  return { app, url: `http://127.0.0.1:${webPort}` };
}

async function beatAll(app: App, wakePort: number): Promise<void> {
  for (const [index, role] of roleNames.entries()) {
    await beat(app.db, {
      id: `${app.processId.slice(0, -2)}${String(index).padStart(2, '0')}`,
      host: app.config.host,
      role,
      pid: process.pid,
      wakeAddress: '127.0.0.1',
      wakePort,
    });
  }
}

async function openSessions(app: App): Promise<number> {
  const rows = await app.db('radacct').whereNull('acctstoptime').count<{ n: string }[]>({ n: '*' });
  return Number(rows[0]?.n ?? 0);
}

/** A morning at the desk: who was throttled pays, and the network follows. */
async function haveAMorning(app: App): Promise<void> {
  const login = await loginByUsername(app.db, 'demo-throttled');
  if (login === undefined) return;
  const [invoice] = await openInvoicesOf(app.db, [login.subscriberId]);
  if (invoice === undefined) return;
  await recordPayment(app.context('finance'), {
    subscriberId: login.subscriberId,
    channel: 'cash',
    reference: 'R-040117',
    amountMinor: invoice.openMinor,
  });
  await wait(3000);
  // What the scheduler does within the minute.
  await fillFigures(app.context('pictures'));
}

interface Picture {
  readonly name: string;
  readonly path: string;
  /** Beside the light one for a desk. */
  readonly also?: readonly ('dark' | 'phone')[];
}

async function pictures(app: App): Promise<Picture[]> {
  const numberOf = async (username: string) => (await loginByUsername(app.db, username))?.subscriberId ?? '1';
  const { zone } = await readSettings(app.db);
  const { run } = await createOverdueRun(app.context('finance'), { asOf: dayIn(zone, app.clock.now()) });
  const walled = await numberOf('demo-walled');
  return [
    { name: 'dashboard', path: '/', also: ['dark', 'phone'] },
    { name: 'subscribers', path: '/subscribers' },
    { name: 'restored', path: `/subscribers/${await numberOf('demo-throttled')}` },
    { name: 'subscriber', path: `/subscribers/${walled}`, also: ['dark', 'phone'] },
    { name: 'why', path: '/why/demo-blocked' },
    { name: 'sessions', path: '/sessions' },
    { name: 'routers', path: '/routers' },
    { name: 'run', path: `/runs/${run.id}`, also: ['dark'] },
    { name: 'invoices', path: '/invoices' },
    { name: 'payments', path: '/payments' },
    { name: 'ledger', path: '/ledger' },
  ];
}

async function takePictures(app: App, url: string, only: readonly string[]): Promise<void> {
  mkdirSync(images, { recursive: true });
  const browser = await openBrowser();
  let bytes = 0;
  try {
    const tabs = {
      light: await browser.open(),
      dark: await browser.open({ scheme: 'dark' }),
      phone: await browser.open({ width: 390, height: 844 }),
    };
    for (const tab of Object.values(tabs)) await tab.signIn(url, 'owner', password);
    for (const { name, path, also = [] } of await pictures(app)) {
      if (only.length > 0 && !only.includes(name)) continue;
      bytes += await take(tabs.light, url + path, `${name}.png`);
      for (const kind of also) bytes += await take(tabs[kind], url + path, `${name}-${kind}.png`);
    }
    for (const [kind, tab] of Object.entries(tabs)) {
      for (const fault of tab.faults) say(`${kind}: ${fault}`);
    }
  } finally {
    await browser.close();
  }
  say(`${Math.round(bytes / 1000)} kB in docs/images`);
}

async function take(tab: Tab, address: string, file: string): Promise<number> {
  const answer = await tab.page.goto(address);
  if (answer?.status() !== 200) {
    say(`${file}: ${address} answered ${answer?.status() ?? 'nothing'}`);
    return 0;
  }
  // Charts draw after the page, and parts come by themselves.
  await tab.page.waitForTimeout(1200);
  const path = join(images, file);
  await tab.page.screenshot({ path, animations: 'disabled' });
  say(`${file} ${Math.round(statSync(path).size / 1000)} kB`);
  return statSync(path).size;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

await main();
