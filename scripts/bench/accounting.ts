import { join } from 'node:path';
import type { Knex } from 'knex';
import { askAsRoot } from '../servers/mariadb.ts';
import { accountingRequests, type AccountingStream } from './radius/accounting-requests.ts';
import { fillSessions, type Size } from './radius/fill.ts';
import { until } from '../servers/child.ts';
import { machine, print, step } from './radius/progress.ts';
import { type Contestant, takeTurns, tableOf, type Written, writtenTableOf } from './radius/rounds.ts';
import { type Bench, benchRouter, openBench, startOurs, threads } from './radius/servers.ts';
import { startStock, type StockVariant } from './radius/stock.ts';

const usage = `Measures accounting packets a second, each on the disk before it is answered: ours against the distribution's
FreeRADIUS configuration with SQL. Of twenty packets one is a Start, one a Stop, the others are interims.
  node --import tsx scripts/bench/accounting.ts [open sessions] [closed sessions] [seconds a turn] [turns] [contestants] [MB]
Contestants: ours,sql,sql-lean. With MB the database has a buffer pool of so much only, and what a turn leaves to be written
and cleared away is done, and counted with it, before the next begins. Needs /etc/freeradius/3.0, as the package installs it.`;

const names: Readonly<Record<string, string>> = {
  ours: 'ours',
  sql: 'stock SQL, as shipped (detail file and radwtmp too)',
  'sql-lean': 'stock SQL alone',
};

/** More than any of them answers a second on two cores. */
const perSecondAtMost = 12_000;

interface Side {
  readonly db: Knex;
  readonly stream: AccountingStream;
  sent: number;
}

async function main(): Promise<void> {
  if (process.argv.slice(2).some((arg) => arg.startsWith('-'))) {
    print(usage);
    return;
  }
  const [open = 20_000, closed = 200_000, seconds = 4, turns = 3] = process.argv.slice(2, 6).map(Number);
  const chosen = (process.argv[6] ?? Object.keys(names).join(',')).split(',');
  const poolMegabytes = process.argv[7] === undefined ? undefined : Number(process.argv[7]);
  const withHistory = Math.min(open, 5000);
  const size: Size = { logins: open, withHistory, closedEach: Math.floor(closed / withHistory) };
  const bench = await openBench();
  const servers: { stop(): Promise<void> }[] = [];
  try {
    await step(`${open} open and ${closed} closed sessions: ours`, () =>
      fillSessions(bench.ours.db, size, 'ours'),
    );
    await step('the same in the stock schema', () => fillSessions(bench.stock.db, size, 'stock'));
    await measure(bench, { open, seconds, turns, chosen, poolMegabytes }, servers);
  } finally {
    for (const server of servers) await server.stop();
    await bench.close();
  }
}

async function measure(
  bench: Bench,
  plan: {
    open: number;
    seconds: number;
    turns: number;
    chosen: readonly string[];
    poolMegabytes: number | undefined;
  },
  servers: { stop(): Promise<void> }[],
): Promise<void> {
  // Both stock contestants write to one database and so go on in one stream.
  const isOurs = (variant: string) => variant === 'ours';
  const turnsOf = (side: boolean) => plan.chosen.filter((variant) => isOurs(variant) === side).length;
  const sideOf = (own: boolean): Side => ({
    db: own ? bench.ours.db : bench.stock.db,
    stream: accountingRequests({
      count: turnsOf(own) * (plan.turns * plan.seconds + 2) * perSecondAtMost,
      open: plan.open,
      router: benchRouter,
      hasClass: own,
    }),
    sent: 0,
  });
  const sides = { ours: sideOf(true), stock: sideOf(false) };
  const contestants: Contestant[] = [];
  for (const variant of plan.chosen) {
    const server = isOurs(variant)
      ? await startOurs(bench)
      : await startStock(join(bench.folder, variant), {
          variant: variant as StockVariant,
          db: bench.stock.address,
          client: benchRouter,
          threads,
        });
    servers.push(server);
    const side = isOurs(variant) ? sides.ours : sides.stock;
    contestants.push({
      name: names[variant] ?? variant,
      port: server.acctPort,
      radiusPid: server.child.pid,
      requests: () => rest(side),
      took: (count) => {
        side.sent += count;
      },
    });
  }
  if (plan.poolMegabytes !== undefined) await shrinkPool(bench, plan.poolMegabytes);
  const figures = await takeTurns(contestants, {
    ...(plan.poolMegabytes === undefined ? {} : { settle: () => settle(bench) }),
    seconds: plan.seconds,
    turns: plan.turns,
    window: threads * 4,
    mariadbPid: bench.mariadb.child.pid,
    say: print,
  });
  for (const [name, side] of Object.entries(sides)) if (side.sent > 0) await verify(name, side, plan.open);
  print(`\n${plan.open} sessions open; ${plan.turns} turns of ${plan.seconds} s; ${machine()}\n`);
  print(`${tableOf(figures, 'packets', names['sql'] ?? '')}\n`);
  if (plan.poolMegabytes !== undefined) print(`${writtenTableOf(figures, 'packets')}\n`);
}

/** From here on the tables are bigger than what the database holds in memory. */
async function shrinkPool(bench: Bench, megabytes: number): Promise<void> {
  const { mariadb } = bench;
  await mariadb.asRoot('SET GLOBAL innodb_io_capacity_max = 20000, innodb_io_capacity = 20000');
  await step('everything written', async () => {
    await settle(bench);
  });
  await mariadb.asRoot(`SET GLOBAL innodb_buffer_pool_size = ${megabytes * 2 ** 20}`);
  const isDone = async () => {
    const [row] = await askAsRoot<{ Value: string }>(
      mariadb.folder,
      "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_total'",
    );
    return Number(row?.Value) <= (megabytes * 2 ** 20) / 16_384;
  };
  await until('a smaller buffer pool', isDone, { timeoutMs: 300_000, stepMs: 200 });
  const [size] = await askAsRoot<{ mb: string }>(
    mariadb.folder,
    `SELECT GROUP_CONCAT(CONCAT(table_schema, ' ', (data_length + index_length) DIV 1048576, ' MB')) AS mb
     FROM information_schema.tables WHERE table_name = 'radacct'`,
  );
  print(`radacct: ${size?.mb ?? ''}; buffer pool ${megabytes} MB`);
}

/** Until all changed pages are on the disk and what the changes have left behind is cleared away. */
async function settle(bench: Bench): Promise<Written> {
  const { mariadb } = bench;
  const share = (percent: number) =>
    mariadb.asRoot(`SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0, innodb_max_dirty_pages_pct = ${percent}`);
  const status = async () => {
    const rows = await askAsRoot<{ Variable_name: string; Value: string }>(
      mariadb.folder,
      "SHOW GLOBAL STATUS LIKE 'Innodb%'",
    );
    const values = new Map(rows.map((row) => [row.Variable_name.toLowerCase(), Number(row.Value)]));
    return (name: string) => values.get(`innodb_${name}`) ?? Number.NaN;
  };
  await share(0);
  let now = await status();
  const isSettled = async () => {
    now = await status();
    return now('buffer_pool_pages_dirty') < 20 && now('history_list_length') < 100;
  };
  await until('everything written', isSettled, { timeoutMs: 600_000, stepMs: 100 });
  await share(90);
  return {
    data: now('data_written') - now('os_log_written'),
    log: now('os_log_written'),
    flushes: now('data_fsyncs') + (Number.isNaN(now('os_log_fsyncs')) ? 0 : now('os_log_fsyncs')),
    reads: now('buffer_pool_reads'),
  };
}

/** What has not been sent yet: whose turn it is goes on where the last one of its side has ended. */
function rest(side: Side): AccountingStream {
  const from = side.sent;
  return {
    ...side.stream,
    count: side.stream.count - from,
    at: (i, identifier) => side.stream.at(from + i, identifier),
  };
}

/** Every packet that was answered is in the database: as many sessions, as many of them ended, as many octets. */
async function verify(name: string, side: Side, open: number): Promise<void> {
  const { begun, ended, octets } = side.stream.after(side.sent);
  const [rows] = (await side.db.raw(
    `SELECT COUNT(*) AS sessions, SUM(acctstoptime IS NOT NULL) AS ended, SUM(acctoutputoctets) AS octets
     FROM radacct WHERE acctsessionid LIKE '82%'`,
  )) as unknown as [{ sessions: number; ended: string; octets: string }[]];
  const found = `${String(rows[0]?.sessions)} ${String(rows[0]?.ended)} ${String(rows[0]?.octets)}`;
  const expected = `${open + begun} ${ended} ${octets}`;
  if (found !== expected) {
    throw new Error(
      `${name} has stored: sessions, ended and octets are ${found}, but what was answered makes ${expected}`,
    );
  }
  print(`${name}: ${side.sent} packets answered, all of them stored: ${found}`);
}

await main();
