import { join } from 'node:path';
import { fillOurs, fillStock, refreshOnline, type Size } from './radius/fill.ts';
import { loginRequests, withoutSessionCount } from './radius/login-requests.ts';
import { macOf, passwordOf, replyOf, usernameOf } from './radius/people.ts';
import { machine, print, step } from './radius/progress.ts';
import { type Contestant, takeTurns, tableOf } from './radius/rounds.ts';
import { type Bench, benchRouter, openBench, startOurs, threads } from './radius/servers.ts';
import { startStock, type StockRadius, type StockVariant } from './radius/stock.ts';

const usage = `Measures logins a second: ours against the distribution's FreeRADIUS configuration with SQL, and with a users file.
  node --import tsx scripts/bench/logins.ts [logins] [with history] [closed sessions each] [seconds a turn] [turns] [contestants]
Contestants: ours,sql,sql-rejects,files,files-sql. Needs /etc/freeradius/3.0, as the package installs it.`;

const names: Readonly<Record<string, string>> = {
  ours: 'ours',
  sql: 'stock SQL, as shipped (accepts logged too)',
  'sql-rejects': 'stock SQL, rejects logged only',
  files: 'users file, no session count, no log',
  'files-sql': 'users file, stock session count, rejects logged',
};

async function main(): Promise<void> {
  if (process.argv.slice(2).some((arg) => arg.startsWith('-'))) {
    print(usage);
    return;
  }
  const numbers = process.argv.slice(2, 7).map(Number);
  const [logins = 20_000, withHistory = 500, closedEach = 800, seconds = 4, turns = 3] = numbers;
  const chosen = (process.argv[7] ?? Object.keys(names).join(',')).split(',');
  const size: Size = { logins, withHistory, closedEach };
  const bench = await openBench();
  const servers: { stop(): Promise<void> }[] = [];
  try {
    await step(`${logins} logins, ${withHistory} of them with ${closedEach} closed sessions: ours`, () =>
      fillOurs(bench.ours.db, size),
    );
    await step('the same in the stock schema', () => fillStock(bench.stock.db, size));
    await measure(bench, size, { seconds, turns, chosen }, servers);
  } finally {
    for (const server of servers) await server.stop();
    await bench.close();
  }
}

async function measure(
  bench: Bench,
  size: Size,
  plan: { seconds: number; turns: number; chosen: readonly string[] },
  servers: { stop(): Promise<void> }[],
): Promise<void> {
  const started: { name: string; authPort: number; child: { pid: number } }[] = [];
  for (const variant of plan.chosen) {
    const server =
      variant === 'ours'
        ? await startOurs(bench)
        : await startStockWith(bench, size, variant as StockVariant);
    servers.push(server);
    started.push({ name: names[variant] ?? variant, authPort: server.authPort, child: server.child });
  }
  const groups: [string, number][] = [['all logins', size.logins]];
  if (size.withHistory > 0) groups.push([`those with ${size.closedEach} closed sessions`, size.withHistory]);
  for (const [title, logins] of groups) {
    const requests = loginRequests(
      Math.min(Math.max(logins, Math.ceil(plan.seconds * 12_000)), 200_000),
      logins,
      benchRouter.address,
    );
    const uncounted = withoutSessionCount(requests, logins);
    await refreshOnline(bench.ours.db);
    const contestants: Contestant[] = started.map(({ name, authPort, child }) => ({
      name,
      port: authPort,
      radiusPid: child.pid,
      requests: () => (name === names['files'] ? uncounted : requests),
    }));
    const figures = await takeTurns(contestants, {
      seconds: plan.seconds,
      turns: plan.turns,
      window: threads * 4,
      mariadbPid: bench.mariadb.child.pid,
      say: print,
    });
    print(`\n${size.logins} logins, ${title}; ${plan.turns} turns of ${plan.seconds} s; ${machine()}\n`);
    print(`${tableOf(figures, 'logins', names['sql'] ?? '')}\n`);
  }
}

async function startStockWith(bench: Bench, size: Size, variant: StockVariant): Promise<StockRadius> {
  return await startStock(join(bench.folder, variant), {
    variant,
    db: bench.stock.address,
    client: benchRouter,
    threads,
    ...(variant.startsWith('files') ? { users: usersFile(size.logins) } : {}),
  });
}

function usersFile(logins: number): string {
  const entries: string[] = [];
  for (let n = 1; n <= logins; n++) {
    const check = `Cleartext-Password := "${passwordOf(n)}", Calling-Station-Id == "${macOf(n)}", Simultaneous-Use := 1`;
    const reply = replyOf(n).map(([name, value]) => `\t${name} = "${value}"`);
    entries.push(`${usernameOf(n)} ${check}\n${reply.join(',\n')}\n`);
  }
  return entries.join('\n');
}

await main();
