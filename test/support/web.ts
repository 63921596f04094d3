import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type App, openApp } from '../../src/app.ts';
import { fixedClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import type { StaffRole } from '../../src/domain/permissions.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import { routes } from '../../src/web/routes.ts';
import { createWeb, listen } from '../../src/web/server.ts';
import { addStaff } from '../../src/staff/manage-staff.ts';
import { projectRoot } from '../../scripts/servers/place.ts';
import { testDb, type TestDb } from './db.ts';

export const staffPassword = 'correct horse battery';

export interface TestWeb {
  t: TestDb;
  app: App;
  clock: ReturnType<typeof fixedClock>;
  url: string;
  /** A browser without pictures: keeps cookies, follows nothing by itself. */
  visitor(): Visitor;
  /** Signed in as a person of that role, who is made when needed. */
  as(role: StaffRole): Promise<Visitor>;
  close(): Promise<void>;
}

export interface Visitor {
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** Sends a form with the CSRF token of the last page, unless `csrf` says otherwise. */
  post(path: string, fields?: Record<string, string>, options?: { csrf?: string | null }): Promise<Answer>;
  cookies: Map<string, string>;
}

export interface Answer {
  status: number;
  text: string;
  location: string | null;
  headers: Headers;
}

/** The pages on a free port of loopback, over a migrated database of their own. */
export async function openTestWeb(now = '2026-05-01T10:00:00Z'): Promise<TestWeb> {
  const t = await testDb();
  const clock = fixedClock(now);
  const config = readConfig({
    SLUICE_DB_HOST: t.address.host,
    SLUICE_DB_PORT: String(t.address.port),
    SLUICE_DB_USER: t.address.user,
    SLUICE_DB_PASSWORD: t.address.password,
    SLUICE_DB_NAME: t.address.database,
    SLUICE_KEYS: `k1:${'ab'.repeat(32)}`,
  });
  const app = openApp(config, { role: 'web', clock, isSilent: true });
  const server = await listen(createWeb(app, projectRoot, routes), '127.0.0.1', 0);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const visitor = () => visitorOf(url);
  return {
    t,
    app,
    clock,
    url,
    visitor,
    as: (role) => signedIn(app, visitor(), role),
    async close() {
      await closed(server);
      await backgroundEnds(app);
      await app.close();
      await t.drop();
    },
  };
}

async function signedIn(app: App, visitor: Visitor, role: StaffRole): Promise<Visitor> {
  const username = `the-${role.replace('_', '-')}`;
  await addStaff(app.context('test'), { username, name: role, role, password: staffPassword }).catch(
    () => undefined,
  );
  await visitor.get('/sign-in');
  const answer = await visitor.post('/sign-in', { username, password: staffPassword });
  if (answer.status !== 303) throw new Error(`not signed in: ${answer.status}`);
  return visitor;
}

export function visitorOf(url: string): Visitor {
  const cookies = new Map<string, string>();
  let token = '';
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url + path, {
      ...init,
      redirect: 'manual',
      headers: { ...(init.headers as Record<string, string> | undefined), cookie },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      if (value === '' || /expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(name);
      else cookies.set(name, value);
    }
    const text = await response.text();
    token = /name="_csrf" value="([^"]+)"/.exec(text)?.[1] ?? token;
    return {
      status: response.status,
      text,
      location: response.headers.get('location'),
      headers: response.headers,
    };
  };
  return {
    cookies,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, fields = {}, options = {}) => {
      const csrf = options.csrf === undefined ? token : options.csrf;
      const body = new URLSearchParams({ ...fields, ...(csrf === null ? {} : { _csrf: csrf }) });
      return send(path, { method: 'POST', body });
    },
  };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
