import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type App, openApp } from '../../../src/app.ts';
import { fixedClock } from '../../../src/clock.ts';
import { readConfig } from '../../../src/config.ts';
import { insertStaffSession } from '../../../src/db/staff-sessions.ts';
import { type StaffRole, staffRoles } from '../../../src/domain/permissions.ts';
import { routerSecretPlace } from '../../../src/db/routers.ts';
import { reviewImport } from '../../../src/subscribers/import.ts';
import { addStaff } from '../../../src/staff/manage-staff.ts';
import { hashOf } from '../../../src/staff/sign-in.ts';
import { backgroundEnds } from '../../../src/web/background.ts';
import { routes } from '../../../src/web/routes.ts';
import { createWeb, listen } from '../../../src/web/server.ts';
import { seedDemo } from '../../seed/demo.ts';
import { projectRoot } from '../../servers/place.ts';
import type { Secrets } from '../canaries.ts';
import { captureLog } from '../log-capture.ts';
import { databasePassword, type OwnDatabase, openOwnDatabase } from '../servers.ts';
import { discover, type Site } from './discover.ts';
import { addTraffic } from './traffic.ts';
import { type Answer, Wire } from './wire.ts';

export const staffPassword = 'canary staff password 93ad';
/** What is typed where a password or a secret is asked for. */
export const typedSecret = 'Canary-typed-58ce';
const vaultKey = 'c0ffee17'.repeat(8);
const metricsToken = 'canary-metrics-token-2b6e';
/** Begins every session's id, so that any of them is recognised. */
const sessionMark = 'canarysid';

export interface Person {
  readonly role: StaffRole;
  cookie: string;
  csrf: string;
}

export interface World {
  readonly app: App;
  readonly port: number;
  readonly site: Site;
  readonly secrets: Secrets;
  readonly people: readonly Person[];
  /** Every line of the log since it was taken the last time. */
  takeLog(): string[];
  /** Signs a person in again, whatever was done to the account. */
  heal(person: Person): Promise<void>;
  close(): Promise<void>;
}

/** The pages over the demo ISP in a database of its own, with people of every role signed in. */
export async function openWorld(isFurnished: boolean): Promise<World> {
  const now = new Date('2026-03-31T10:00:00Z');
  const own = await openOwnDatabase(now);
  const config = readConfig({
    SLUICE_DB_HOST: own.address.host,
    SLUICE_DB_PORT: String(own.address.port),
    SLUICE_DB_USER: own.address.user,
    SLUICE_DB_PASSWORD: databasePassword,
    SLUICE_DB_NAME: own.address.database,
    SLUICE_KEYS: `k1:${vaultKey}`,
    SLUICE_LOG_LEVEL: 'debug',
    SLUICE_METRICS_TOKEN: metricsToken,
  });
  const app = openApp(config, { role: 'web', clock: fixedClock(now.toISOString()) });
  let log: string[] = [];
  captureLog(app.log, (line) => log.push(line));
  if (isFurnished) await furnish(app, own, now);
  const server = await listen(createWeb(app, projectRoot, routes), '127.0.0.1', 0);
  const { port } = server.address() as AddressInfo;
  const people: Person[] = [];
  for (const role of staffRoles) {
    const person = { role, cookie: '', csrf: '' };
    await addStaff(app.context('fuzz'), {
      username: usernameOf(role),
      name: role,
      role,
      password: staffPassword,
    });
    people.push(person);
  }
  const heal = (person: Person) => signIn(app, port, person);
  for (const person of people) await heal(person);
  const wire = new Wire(port);
  const site = await discover(wire, people[0]?.cookie ?? '', startsOf());
  wire.close();
  return {
    app,
    port,
    site,
    people,
    heal,
    secrets: await secretsOf(app),
    takeLog() {
      const taken = log;
      log = [];
      return taken;
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await backgroundEnds(app);
      await app.close();
      await own.close();
    },
  };
}

const usernameOf = (role: StaffRole) => `fuzz-${role.replace('_', '-')}`;

function startsOf(): string[] {
  const plain = routes.filter((route) => route.method === 'get').map((route) => route.path);
  return ['/', ...plain.flatMap((path) => [path.replaceAll(/:\w+/g, '1'), path.replaceAll(/:\w+/g, '3')])];
}

/** Another case may just disable the account, or end its sessions: it is tried again. */
async function signIn(app: App, port: number, person: Person): Promise<void> {
  let answer: Answer | 'hangs' | 'closed' = 'closed';
  for (let attempt = 1; attempt <= 5; attempt++) {
    answer = await tryToSignIn(app, port, person);
    if (person.csrf !== '') return;
  }
  const said = typeof answer === 'string' ? answer : String(answer.status);
  throw new Error(`${person.role} could not be signed in: ${said}`);
}

/** As signing in does, without its deliberate slowness; without a token where it did not work. */
async function tryToSignIn(app: App, port: number, person: Person): Promise<Answer | 'hangs' | 'closed'> {
  const username = usernameOf(person.role);
  await app.db('staff').where({ username }).update({
    role: person.role,
    disabled_at: null,
    locked_until: null,
    failed_count: 0,
    totp_secret: null,
    totp_confirmed_at: null,
  });
  const staff = await app.db('staff').where({ username }).first<{ id: string }>('id');
  const sessionId = `${sessionMark}${randomBytes(24).toString('base64url')}`;
  const at = app.clock.now();
  await insertStaffSession(app.db, {
    idHash: hashOf(sessionId),
    staffId: staff.id,
    at,
    expiresAt: new Date(at.getTime() + 86_400_000),
    address: '127.0.0.1',
    agent: 'fuzz',
  });
  person.cookie = `sluice_session=${sessionId}`;
  const wire = new Wire(port);
  const answer = await wire.ask(
    Buffer.from(`GET /account HTTP/1.1\r\nHost: localhost\r\nCookie: ${person.cookie}\r\n\r\n`),
    false,
  );
  wire.close();
  person.csrf =
    typeof answer === 'string' ? '' : (/name="_csrf" value="([^"]+)"/.exec(answer.body)?.[1] ?? '');
  return answer;
}

/** What must not turn up: secrets of the demo's logins and routers too, as the database keeps them sealed. */
async function secretsOf(app: App): Promise<Secrets> {
  const routers = await app.db('router').select<{ id: string; secret: Buffer }[]>('id', 'secret').limit(5);
  const logins = await app.db('login').select<{ id: string; secret: Buffer }[]>('id', 'secret').limit(40);
  return new Map([
    ['the database password', databasePassword],
    ['the vault key', vaultKey],
    ['the metrics token', metricsToken],
    ['a staff password', staffPassword],
    ['a typed secret', typedSecret],
    ['a session cookie', sessionMark],
    ...routers.map(
      ({ id, secret }) => [`secret of router ${id}`, app.vault.open(routerSecretPlace(id), secret)] as const,
    ),
    ...logins
      .map(
        ({ id, secret }) =>
          [`password of login ${id}`, app.vault.open(`login.secret:${id}`, secret)] as const,
      )
      .filter(([, text]) => text.length >= 8),
  ]);
}

/** The demo ISP, and what its routers could have written. */
async function furnish(app: App, own: OwnDatabase, now: Date): Promise<void> {
  await seedDemo({
    db: own.db,
    vault: app.vault,
    now,
    labConfigFile: join(own.folder, 'lab.json'),
    env: { SLUICE_LAB_PORT: '1', SLUICE_RADIUS_AUTH_PORT: '1', SLUICE_RADIUS_ACCT_PORT: '1' },
    say: () => undefined,
    count: 40,
  });
  await addTraffic(own.db, now);
  const rows = Array.from(
    { length: 120 },
    (_, index) => `Person ${index},import-${index},Nope,block,${typedSecret}`,
  );
  const text = ['name,username,package,billing_profile,password', ...rows].join('\n');
  await reviewImport(app.context('fuzz'), { name: 'people.csv', bytes: Buffer.from(text) });
}
