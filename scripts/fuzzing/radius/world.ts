import { createSocket, type Socket } from 'node:dgram';
import { join } from 'node:path';
import { listenForWake } from '../../../src/adapters/wake.ts';
import { type App, openApp } from '../../../src/app.ts';
import { addBillingProfile } from '../../../src/catalog/add-billing-profile.ts';
import { addIpv4Pool } from '../../../src/catalog/add-ipv4-pool.ts';
import { addMasterPackage } from '../../../src/catalog/add-master-package.ts';
import { addPackage } from '../../../src/catalog/add-package.ts';
import { systemClock } from '../../../src/clock.ts';
import { readConfig } from '../../../src/config.ts';
import { saveSettings } from '../../../src/db/settings.ts';
import { ensureOperator } from '../../../src/db/subscribers.ts';
import { addRouter } from '../../../src/network/routers.ts';
import { startRole } from '../../../src/roles.ts';
import { addSubscriber } from '../../../src/subscribers/register.ts';
import { freePort, until } from '../../servers/child.ts';
import { createRadiusUser, type PrivateFreeRadius, startFreeRadius } from '../../servers/freeradius.ts';
import type { Secrets } from '../canaries.ts';
import { captureLog } from '../log-capture.ts';
import { databasePassword, endWithUs, type OwnDatabase, openOwnDatabase } from '../servers.ts';

const vaultKey = 'feedface'.repeat(8);
const radiusDatabasePassword = 'canary-radius-db-77e1';
const passwordOf = (index: number) => `canary-login-${index}-b81f`;
const secretOf = (index: number) => `canary-router-${index}-c2d9`;

export interface RouterEnd {
  readonly address: string;
  readonly secret: string;
}

export interface RadiusWorld {
  readonly own: OwnDatabase;
  readonly app: App;
  readonly radius: PrivateFreeRadius;
  readonly routers: readonly RouterEnd[];
  readonly logins: readonly { username: string; password: string }[];
  readonly secrets: Secrets;
  readonly log: string[];
  close(): Promise<void>;
}

/** FreeRADIUS with our configuration, and the workers that read what it writes; routers and logins come by commands. */
export async function openRadiusWorld(): Promise<RadiusWorld> {
  const own = await openOwnDatabase(systemClock.now());
  const db = await createRadiusUser(own.mariadb, own.address.database, radiusDatabasePassword);
  const radius = await startFreeRadius(join(own.folder, 'freeradius'), { db });
  const forget = endWithUs(radius.child);
  const app = openApp(readConfig(environmentOf(own, radius)), { role: 'fuzz' });
  const log: string[] = [];
  captureLog(app.log, (line) => log.push(line));
  const listener = await listenForWake({
    address: '127.0.0.1',
    port: 0,
    key: app.vault.derive('wake'),
    now: () => app.clock.now(),
  });
  const names = ['worker', 'lane', 'radius-agent'] as const;
  const roles = await Promise.all(names.map((role) => startRole(role, app, listener)));
  const { routers, logins, liars } = await furnish(app, radius);
  return {
    own,
    app,
    radius,
    routers,
    logins,
    log,
    secrets: new Map([
      ['the database password', databasePassword],
      ["FreeRADIUS's database password", radiusDatabasePassword],
      ['the vault key', vaultKey],
      ['the status secret', radius.statusSecret],
      ["a login's password", 'canary-login-'],
      ["a router's secret", 'canary-router-'],
    ]),
    async close() {
      for (const liar of liars) liar.close();
      await Promise.all(roles.map((role) => role.stop()));
      await listener.close();
      await app.close();
      await radius.stop();
      forget();
      await own.close();
    },
  };
}

function environmentOf(own: OwnDatabase, radius: PrivateFreeRadius): NodeJS.ProcessEnv {
  return {
    SLUICE_DB_HOST: own.address.host,
    SLUICE_DB_PORT: String(own.address.port),
    SLUICE_DB_USER: own.address.user,
    SLUICE_DB_PASSWORD: own.address.password,
    SLUICE_DB_NAME: own.address.database,
    SLUICE_KEYS: `k1:${vaultKey}`,
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
    SLUICE_CLIENT_DIRECTORY: radius.clientDirectory,
    SLUICE_CLIENT_DIRECTORY6: radius.clientDirectory6,
    SLUICE_RADMIN_SOCKET: radius.controlSocket,
    SLUICE_RADIUS_LOG: radius.logFile,
    SLUICE_RADIUS_AUTH_PORT: String(radius.authPort),
    SLUICE_RADIUS_ACCT_PORT: String(radius.acctPort),
    SLUICE_RADIUS_STATUS_SECRET: radius.statusSecret,
  };
}

async function furnish(app: App, radius: PrivateFreeRadius) {
  const ctx = app.context('fuzz');
  await ensureOperator(app.db, app.clock.now());
  await saveSettings(app.db, { zone: 'UTC', currency: 'USD', exponent: 2 }, app.clock.now());
  await addIpv4Pool(ctx, { name: 'home', suspendedName: 'home-suspended' });
  await addMasterPackage(ctx, {
    name: 'line',
    customerType: 'pppoe',
    billingType: 'monthly',
    rateLimit: '20M/100M',
    pool: 'home',
    interimSeconds: 60,
  });
  await addPackage(ctx, {
    name: 'fast',
    masterPackage: 'line',
    customersPriceMinor: 3000n,
    operatorsPriceMinor: 2500n,
  });
  await addBillingProfile(ctx, {
    name: 'block',
    dueDays: 7,
    graceDays: 2,
    overdueEffect: 'block',
    isOverdueRunOn: true,
  });
  const logins = Array.from({ length: 30 }, (_, index) => ({
    username: `fuzz-${index}`,
    password: passwordOf(index),
  }));
  for (const [index, login] of logins.entries()) {
    await addSubscriber(app.context('fuzz'), {
      name: `Fuzz ${index}`,
      billingProfile: 'block',
      package: 'fast',
      simultaneousUse: index % 3,
      ...login,
    });
  }
  const routers: RouterEnd[] = [];
  const liars: Socket[] = [];
  for (let index = 0; index < 4; index++) {
    const router = { address: `127.0.0.${61 + index}`, secret: secretOf(index) };
    const coaPort = await freePort();
    liars.push(await openLiar(router.address, coaPort));
    const server = { address: '127.0.0.1', authPort: radius.authPort, acctPort: radius.acctPort };
    await addRouter(app.context('fuzz'), { name: `fuzz-${index}`, coaPort, ...router }, server);
    routers.push(router);
  }
  await until(
    'the rows of all logins',
    async () => {
      const rows = await app.db('radcheck').countDistinct<{ n: string }[]>({ n: 'username' });
      return Number(rows[0]?.n) === logins.length;
    },
    { timeoutMs: 60_000 },
  );
  return { routers, logins, liars };
}

/** A router that answers what it is sent with itself, with its own bytes turned round, or with nothing. */
function openLiar(address: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  let turn = 0;
  socket.on('message', (bytes, from) => {
    const answer = Buffer.from(bytes);
    answer[0] = [41, 42, 44, 45, 40, 0][turn++ % 6] ?? 0;
    const lie =
      turn % 3 === 0 ? answer.subarray(0, 20) : turn % 3 === 1 ? answer : Buffer.from(answer).reverse();
    if (turn % 4 !== 0) socket.send(lie, from.port, from.address);
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => resolve(socket));
  });
}
