import { expect } from 'chai';
import mysql from 'mysql2/promise';
import { fillBigIsp } from '../../scripts/bench/big-isp.ts';
import { lookedAt } from '../../src/db/session-list.ts';
import { sumBigRuns } from '../../src/billing/run-sums.ts';
import { fillFigures } from '../../src/network/figures.ts';
import { routes } from '../../src/web/routes.ts';
import { walk } from '../support/walk.ts';
import { openTestWeb, type TestWeb } from '../support/web.ts';

/** What one statement of a page may look at: some pages of a list with what stands beside them. */
const readMax = 12_000;
/** And for each row at which a statement stops by itself: found, put aside, and read again. */
const readsPerRow = 2.1;
/** The highest number at which a statement may stop. */
const stopMax = 20_001;
/** What the sums of one run, or of one day of the ledger, may look at: they grow with that run or day, not with the years. */
const readMaxOfPart = 20_000;
/** Each session of the window, and its login's interval. */
const readMaxOfWindow = 2 * lookedAt + 100;
/** More rows than this are not put in order by hand. */
const sortMax = 2_000;
const subscribers = 60_000;

interface Statement {
  readonly sql: string;
  readonly bindings: readonly unknown[];
  readonly path: string;
}

/**
 * At a size at which reading a whole table is plainly more than a page may: every statement of every page, part and
 * filter is explained, and run with the server counting what it looks at.
 */
describe('query plans of the pages', function () {
  this.timeout(300_000);
  let web: TestWeb;
  let connection: mysql.Connection;
  const statements = new Map<string, Statement>();

  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:00Z');
    await fillBigIsp({
      db: web.t.db,
      subscribers,
      sessions: subscribers * 5,
      now: web.clock.now(),
    });
    // As the scheduler does each minute: what is big is summed by a job, and not by its page.
    const ctx = web.app.context('test');
    await fillFigures(ctx);
    await sumBigRuns(ctx);
    const { host, port, user, password, database } = web.t.address;
    connection = await mysql.createConnection({ host, port, user, password, database, timezone: 'Z' });
    await collect();
  });
  after(async () => {
    await connection.end();
    await web.close();
  });

  /** Walks all pages as the owner and keeps each different SELECT with the values that it had. */
  async function collect(): Promise<void> {
    let path = '';
    web.app.db.on('query', (query: { sql: string; bindings?: readonly unknown[] }) => {
      if (!/^\s*\(?\s*(select|with)\b/i.test(query.sql)) return;
      const bindings = query.bindings ?? [];
      // The same text with other values is another question: a common state and a rare one.
      const key = `${query.sql} ${JSON.stringify(bindings.filter((value) => typeof value !== 'number'))}`;
      const shape = query.sql.replaceAll(/(\?, )+/g, '…');
      const alike = [...statements.keys()].filter((one) => one.startsWith(`${shape} `)).length;
      if (alike < 8) statements.set(`${shape} ${key}`, { sql: query.sql, bindings, path });
    });
    const owner = await web.as('owner');
    statements.clear();
    const steps = await walk({
      url: web.url,
      cookies: owner.cookies,
      routes,
      starts: [...startsOf(), ...searches],
      before: (next) => (path = next),
    });
    const failed = steps.filter((step) => step.status >= 500);
    expect(failed.map((step) => `${step.path} ${step.status}`)).to.deep.equal([]);
  }

  it('every page was asked', () => {
    expect(statements.size).to.be.greaterThan(200);
  });

  it('no statement reads a big table from end to end, or sorts one', async () => {
    const faults: string[] = [];
    for (const { sql, bindings, path } of statements.values()) {
      for (const fault of await faultsOf(sql, bindings)) faults.push(`${path}\n  ${fault}\n  ${sql}`);
    }
    // Not by expect: it would cut the list off.
    if (faults.length > 0) throw new Error(`${faults.length} faults\n${faults.join('\n\n')}`);
  });

  it('a statement that reads or sorts a table, would be found', async () => {
    expect(await faultsOf('SELECT id FROM login WHERE secret = ? LIMIT 5', ['y'])).to.not.deep.equal([]);
    expect(await faultsOf('SELECT COUNT(*) AS n FROM subscription', [])).to.not.deep.equal([]);
    expect(await faultsOf('SELECT id FROM subscriber ORDER BY street LIMIT 5', [])).to.not.deep.equal([]);
  });

  async function faultsOf(sql: string, bindings: readonly unknown[]): Promise<string[]> {
    const values = [...bindings];
    const [plan] = (await connection.query(`EXPLAIN ${sql}`, values)) as unknown as [PlanRow[]];
    const sortsAndReads = plan.flatMap((row) => {
      const count = Number(row.rows ?? 0);
      const isBig = count > sortMax && row.table?.startsWith('<') !== true;
      const why = `${row.table ?? ''} ${row.type ?? ''} key=${row.key ?? 'none'} rows=${count} ${row.Extra ?? ''}`;
      if (isBig && row.type === 'ALL') return [`reads the whole table: ${why}`];
      if (isBig && row.Extra?.includes('filesort') === true) return [`sorts by hand: ${why}`];
      return [];
    });
    await connection.query('FLUSH STATUS');
    await connection.query(sql, values);
    const [counters] = (await connection.query(
      "SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%' OR Variable_name = 'Sort_rows'",
    )) as unknown as [{ Variable_name: string; Value: string }[]];
    const read = counters
      .filter((row) => row.Variable_name.startsWith('Handler_read'))
      .reduce((sum, row) => sum + Number(row.Value), 0);
    const sorted = Number(counters.find((row) => row.Variable_name === 'Sort_rows')?.Value ?? 0);
    // Where a statement stops by itself, by LIMIT 10001 or a number handed to it, so many rows are put aside and counted.
    const stops = [
      ...[...sql.matchAll(/\bLIMIT (\d{4,5})\b/gi)].map((match) => Number(match[1])),
      ...bindings.filter((value) => typeof value === 'number').filter((value) => value >= 1000),
    ].filter((value) => value <= stopMax);
    const stopped = stops.reduce((sum, limit) => sum + limit, 0);
    // The sums of one run are made of its lines; what the house has is made of the sealed days and of today's entries.
    const isOfOneRun = /\b(run_id|opened_by_run_id)`? = \?/.test(sql);
    const isOfToday = sql.includes('FORCE INDEX (ledger_entry_posted)');
    // Those not heard of are looked for among the newest twenty thousand open sessions, between two ids.
    const isWindow = sql.includes('acctupdatetime') && sql.includes('`radacctid` >= ?');
    const part = isWindow ? readMaxOfWindow : isOfOneRun || isOfToday ? readMaxOfPart : readMax;
    const max = part + stopped * readsPerRow;
    return [
      ...sortsAndReads,
      ...(read > max ? [`looks at ${read} rows, ${max} at most`] : []),
      ...(sorted > sortMax && !isOfOneRun ? [`sorts ${sorted} rows, ${sortMax} at most`] : []),
    ];
  }
});

interface PlanRow {
  table: string | null;
  type: string | null;
  key: string | null;
  rows: string | number | null;
  Extra: string | null;
}

/** What is typed into the search field: each kind of thing that it knows, and what it does not find. */
const searches = [
  'u4711',
  'u4',
  'amina',
  'amina hoss',
  'a',
  '+8801000000077',
  '8801',
  '02:00:00:00:00:2A',
  '10.0.12.34',
  '2001:db8::1',
  'INV-4711',
  '4711',
  'r4711',
  '0000002A',
  '#4711',
  'nobody is called this',
  "o'hara",
].map((text) => `/search?q=${encodeURIComponent(text)}`);

/** Every page that needs no number, and the first rows of those that do. */
function startsOf(): string[] {
  return routes
    .filter((route) => route.method === 'get')
    .flatMap((route) =>
      route.path.includes(':')
        ? ['1', '4711', '29'].map((id) => route.path.replaceAll(/:[A-Za-z]+/g, id))
        : [route.path],
    );
}
