import { join } from 'node:path';
import type { Knex } from 'knex';
import { accountingRequests, type AccountingStream } from './radius/accounting-requests.ts';
import { fillSessions, type Size } from './radius/fill.ts';
import { machine, print, step } from './radius/progress.ts';
import { type Contestant, takeTurns, tableOf } from './radius/rounds.ts';
import { type Bench, benchRouter, openBench, startOurs, threads } from './radius/servers.ts';
import { startStock, type StockVariant } from './radius/stock.ts';

const usage = `Measures accounting packets a second, each on the disk before it is answered: ours against the distribution's
FreeRADIUS configuration with SQL. Of twenty packets one is a Start, one a Stop, the others are interims.
  node --import tsx scripts/bench/accounting.ts [open sessions] [closed sessions] [seconds a turn] [turns] [contestants]
Contestants: ours,sql,sql-lean. Needs /etc/freeradius/3.0, as the package installs it.`;

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
  const withHistory = Math.min(open, 5000);
  const size: Size = { logins: open, withHistory, closedEach: Math.floor(closed / withHistory) };
  const bench = await openBench();
  const servers: { stop(): Promise<void> }[] = [];
  try {
    await step(`${open} open and ${closed} closed sessions: ours`, () =>
      fillSessions(bench.ours.db, size, 'ours'),
    );
    await step('the same in the stock schema', () => fillSessions(bench.stock.db, size, 'stock'));
    await measure(bench, { open, seconds, turns, chosen }, servers);
  } finally {
    for (const server of servers) await server.stop();
    await bench.close();
  }
}

async function measure(
  bench: Bench,
  plan: { open: number; seconds: number; turns: number; chosen: readonly string[] },
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
  const figures = await takeTurns(contestants, {
    seconds: plan.seconds,
    turns: plan.turns,
    window: threads * 4,
    mariadbPid: bench.mariadb.child.pid,
    say: print,
  });
  for (const side of Object.values(sides)) if (side.sent > 0) await verify(side, plan.open);
  print(`\n${plan.open} sessions open; ${plan.turns} turns of ${plan.seconds} s; ${machine()}\n`);
  print(`${tableOf(figures, 'packets', names['sql'] ?? '')}\n`);
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
async function verify(side: Side, open: number): Promise<void> {
  const { begun, ended, octets } = side.stream.after(side.sent);
  const [rows] = (await side.db.raw(
    `SELECT COUNT(*) AS sessions, SUM(acctstoptime IS NOT NULL) AS ended, SUM(acctoutputoctets) AS octets
     FROM radacct WHERE acctsessionid LIKE '82%'`,
  )) as unknown as [{ sessions: number; ended: string; octets: string }[]];
  const found = `${String(rows[0]?.sessions)} ${String(rows[0]?.ended)} ${String(rows[0]?.octets)}`;
  const expected = `${open + begun} ${ended} ${octets}`;
  if (found !== expected) {
    throw new Error(
      `stored: sessions, ended and octets are ${found}, but what was answered makes ${expected}`,
    );
  }
  print(`${side.sent} packets answered, all of them stored: ${found}`);
}

await main();
