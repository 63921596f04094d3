import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { openApp } from '../../src/app.ts';
import { sumBigRuns } from '../../src/billing/run-sums.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import { fillFigures } from '../../src/network/figures.ts';
import { addStaff } from '../../src/staff/manage-staff.ts';
import { routes } from '../../src/web/routes.ts';
import { createWeb, listen } from '../../src/web/server.ts';
import { type PrivateMariaDb, startMariaDb } from '../servers/mariadb.ts';
import { dataRoot, makeFolder, projectRoot, serverAccount } from '../servers/place.ts';
import { fillBigIsp } from './big-isp.ts';

const password = 'only for the measurement';

/**
 * Measures pages over HTTP in a database of any size: `scripts/bench/pages.ts [subscribers] [accounting rows] [requests]`.
 * Makes a MariaDB and a database of its own and throws both away, unless SLUICE_BENCH_FOLDER names where they are kept
 * and found again. The baseline is a file that the same server serves
 * from memory, in the same minute.
 */
async function main(): Promise<void> {
  const [subscribers = 1_000_000, sessions = subscribers * 10, requests = 40] = process.argv
    .slice(2)
    .map(Number);
  makeFolder(dataRoot(), undefined);
  const kept = process.env['SLUICE_BENCH_FOLDER'];
  const folder = kept ?? mkdtempSync(join(dataRoot(), 'bench-'));
  makeFolder(folder, serverAccount('mysql'));
  const mariadb = await startMariaDb(folder, {
    password: 'bench-only',
    isDurable: false,
    extra: [
      'innodb_buffer_pool_size=4G',
      'innodb_log_file_size=2G',
      'innodb_doublewrite=0',
      'sort_buffer_size=64M',
    ],
  });
  try {
    await measure(mariadb, { subscribers, sessions, requests });
  } finally {
    await mariadb.stop();
    if (kept === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

interface Size {
  subscribers: number;
  sessions: number;
  requests: number;
}

async function measure(mariadb: PrivateMariaDb, size: Size): Promise<void> {
  const now = systemClock.now();
  await mariadb.createDatabase('sluice_bench');
  const address = {
    host: '127.0.0.1',
    port: mariadb.port,
    user: mariadb.user,
    password: mariadb.password,
    database: 'sluice_bench',
  };
  const db = openDb(address);
  await migrate(db, join(projectRoot, 'sql'), now);
  const isFilled = (await db('subscriber').first<{ id: string } | undefined>('id')) !== undefined;
  const startedAt = performance.now();
  if (!isFilled) await fillBigIsp({ db, now, isIndexedLast: true, say: print, ...size });
  print(isFilled ? 'filled before' : `filled in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  await db.destroy();
  const app = openApp(
    readConfig({
      SLUICE_DB_HOST: address.host,
      SLUICE_DB_PORT: String(address.port),
      SLUICE_DB_USER: address.user,
      SLUICE_DB_PASSWORD: address.password,
      SLUICE_DB_NAME: address.database,
      SLUICE_KEYS: `k1:${'ab'.repeat(32)}`,
    }),
    { role: 'bench', isSilent: true },
  );
  if (!isFilled)
    await addStaff(app.context('bench'), { username: 'bench', name: 'bench', role: 'owner', password });
  // As the scheduler does each minute: pages of what is big show what it counted.
  const jobsAt = performance.now();
  await fillFigures(app.context('bench'));
  const runs = await sumBigRuns(app.context('bench'));
  print(`figures, and the sums of ${runs.length} runs: ${Math.round(performance.now() - jobsAt)} ms`);
  const server = await listen(createWeb(app, projectRoot, routes), '127.0.0.1', 0);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const cookie = await signIn(url);
    print(
      `${size.subscribers} subscribers, ${size.sessions} accounting rows; ${cpus().length} cores, ${cpus()[0]?.model ?? ''}; load ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}; ${size.requests} requests each, one after another`,
    );
    print('| page | status | kB | first, ms | p50, ms | p99, ms |\n| --- | --- | --- | --- | --- | --- |');
    for (const path of [await anAsset(url, cookie), ...(await pages(url, cookie, size))]) {
      print(await row(url, cookie, path, size.requests));
    }
    print(`load at the end ${loadavg()[0]?.toFixed(1) ?? ''}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await app.close();
  }
}

async function signIn(url: string): Promise<string> {
  const first = await fetch(`${url}/sign-in`);
  const cookies = cookiesOf(first);
  const csrf = /name="_csrf" value="([^"]+)"/.exec(await first.text())?.[1] ?? '';
  const answer = await fetch(`${url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: cookies },
    body: new URLSearchParams({ username: 'bench', password, _csrf: csrf }),
  });
  if (answer.status !== 303) throw new Error(`not signed in: ${answer.status}`);
  return cookiesOf(answer);
}

function cookiesOf(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0] ?? '')
    .join('; ');
}

async function anAsset(url: string, cookie: string): Promise<string> {
  const page = await (await fetch(`${url}/account`, { headers: { cookie } })).text();
  return /href="(\/assets\/sluice[^"]+\.css)"/.exec(page)?.[1] ?? '/assets/';
}

/** Lists with their filters as a person would click them, a page further on, a few rows, and what is searched for. */
async function pages(url: string, cookie: string, size: Size): Promise<string[]> {
  const middle = Math.round(size.subscribers / 2);
  const lists = routes
    .filter((route) => route.method === 'get' && !route.path.includes(':') && !route.path.endsWith('.csv'))
    .map((route) => route.path)
    .filter((path) => !/^\/(sign-in|first-run|account|healthz|readyz|metrics)/.test(path));
  const paths = [...lists];
  for (const path of lists) {
    const text = await (await fetch(url + path, { headers: { cookie } })).text();
    const main = text.slice(text.indexOf('<main'), text.indexOf('</main>'));
    const links = [...main.matchAll(/href="([^"]+)"/g)].map(([, link = '']) =>
      link.replaceAll('&amp;', '&').replaceAll('&#x3D;', '='),
    );
    paths.push(...links.filter((link) => link.startsWith(`${path}?`) && !/\.csv|correlation=/.test(link)));
  }
  const one = [
    '/subscribers/:id',
    '/subscribers/:id/why',
    '/invoices/:id',
    '/payments/:id',
    '/routers/:id',
    '/sessions/:id',
    '/runs/:id',
  ]
    .filter((path) => routes.some((route) => route.method === 'get' && route.path === path))
    .map((path) => path.replace(':id', /routers|runs/.test(path) ? '7' : String(middle)));
  const searches = [
    `u${middle}`,
    'u12',
    'amina',
    'amina hossain',
    'INV-4711',
    '10.0.12.34',
    `+8801${String(middle).padStart(9, '0')}`,
    'nobody at all',
  ];
  const several = ['online&package=1', 'throttled&package=2', 'denied&profile=1', 'full&router=7'].map(
    (filter) => `/subscribers?state=${filter}`,
  );
  return [
    ...new Set([
      ...paths,
      ...several,
      ...one,
      ...searches.map((text) => `/search?q=${encodeURIComponent(text)}`),
    ]),
  ];
}

async function row(url: string, cookie: string, path: string, requests: number): Promise<string> {
  const times: number[] = [];
  let [status, bytes] = [0, 0];
  for (let count = 0; count <= requests; count++) {
    const startedAt = performance.now();
    const response = await fetch(url + path, { headers: { cookie }, redirect: 'manual' });
    bytes = (await response.arrayBuffer()).byteLength;
    status = response.status;
    times.push(performance.now() - startedAt);
    // Far off the mark: more of it would only take time.
    if (count >= 3 && times.reduce((sum, time) => sum + time, 0) > 20_000) break;
  }
  const [first = 0, ...rest] = times;
  const sorted = rest.sort((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  return `| ${path} | ${status} | ${Math.round(bytes / 1000)} | ${first.toFixed(1)} | ${at(0.5)} | ${at(0.99)} |`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
