import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type PrivateMariaDb, startMariaDb } from '../servers/mariadb.ts';
import { numbersGiven } from './arguments.ts';
import { fillOurs } from './radius/fill.ts';
import { Homes, loginsFor } from './radius/homes.ts';
import { machine, print, step } from './radius/progress.ts';
import { type Bench, benchRouter, openBench, startOurs } from './radius/servers.ts';

const usage = `node --import tsx scripts/bench/freeze.ts [--homes=1200] [--seconds=12] [--slow=1] [--slowfor=20] [--kill=0] [--busy=0]
    [--timeout=3000] [--redial=6000]
While so many homes dial, the database stands still for so many seconds (SIGSTOP; with --kill=1 it is killed, and started
again after them), with FreeRADIUS on it directly. How long until everybody is online?
--slow=150: once it is back, the database runs for 4 ms in every 600 (4 times 150) only, for --slowfor seconds.
--timeout, --redial: milliseconds that a router waits for each of its three tries, and at most until the next dial.
--busy: processes that do nothing but use a processor meanwhile.
`;
const defaults = {
  homes: 1200,
  seconds: 12,
  slow: 1,
  slowfor: 20,
  kill: 0,
  busy: 0,
  timeout: 3000,
  redial: 6000,
};
type Plan = typeof defaults;
const giveUpAfterMs = 60_000;
const sliceMs = 4;

async function main(): Promise<void> {
  const plan = numbersGiven(defaults, usage);
  if (plan === undefined) return;
  const bench = await openBench();
  const busy: { kill(): boolean }[] = [];
  try {
    await step(`${plan.homes} homes`, () =>
      fillOurs(bench.ours.db, { logins: loginsFor(plan.homes), withHistory: 0, closedEach: 0 }),
    );
    for (let i = 0; i < plan.busy; i++) busy.push(spawn(process.execPath, ['-e', 'for (;;);']));
    await storm(bench, plan);
  } finally {
    for (const child of busy) child.kill();
    await bench.close();
  }
}

async function storm(bench: Bench, plan: Plan): Promise<void> {
  const server = await startOurs(bench);
  const homes = new Homes({
    count: plan.homes,
    router: benchRouter,
    authPort: server.authPort,
    acctPort: server.acctPort,
    timeoutMs: plan.timeout,
    redialMs: plan.redial,
    spreadMs: 2000,
    interimMs: 5000,
  });
  try {
    await homes.start();
    await wait(300);
    const database = await interrupt(bench, plan);
    try {
      if (plan.slow > 1) await whileSlow(database.child.pid, homes, plan);
      await report(homes, plan);
    } finally {
      // Every Start that was acknowledged has to be there.
      const row = await bench.ours.db('radacct').whereNotNull('class').count({ count: '*' }).first();
      print(`sessions in the database: ${String(row?.['count'])} of ${homes.stored()} acknowledged`);
      if (database !== bench.mariadb) await database.stop();
    }
  } finally {
    homes.stop();
    if (server.child.hasExited()) print('FreeRADIUS is not running any more');
    await server.stop();
    print(logged(server.logFile));
  }
}

/** Gives the database that goes on: a new one, where the old one was killed. */
async function interrupt(bench: Bench, plan: Plan): Promise<PrivateMariaDb> {
  const { mariadb } = bench;
  if (plan.kill === 0) {
    process.kill(mariadb.child.pid, 'SIGSTOP');
    await wait(plan.seconds * 1000).finally(() => process.kill(mariadb.child.pid, 'SIGCONT'));
    return mariadb;
  }
  process.kill(mariadb.child.pid, 'SIGKILL');
  await wait(plan.seconds * 1000);
  return await startMariaDb(join(bench.folder, 'mariadb'), { port: mariadb.port, password: 'bench-only' });
}

/** Lets the database run for one of `slow` parts of the time, and says who gets online meanwhile. */
async function whileSlow(pid: number, homes: Homes, plan: Plan): Promise<void> {
  const end = performance.now() + plan.slowfor * 1000;
  const before = countsOf(homes);
  let saidAt = performance.now();
  try {
    while (performance.now() < end) {
      process.kill(pid, 'SIGSTOP');
      await wait(sliceMs * (plan.slow - 1));
      process.kill(pid, 'SIGCONT');
      await wait(sliceMs);
      if (performance.now() - saidAt >= 1000) {
        saidAt = performance.now();
        say(homes, `slow for another ${Math.round((end - saidAt) / 1000)} s`);
      }
    }
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const after = countsOf(homes);
  print(
    `slow for ${plan.slowfor} s: ${after.accepted - before.accepted} accepted, ${after.stored - before.stored} Starts stored, ` +
      `${after.late - before.late} answers too late, ${after.dials - before.dials} dials`,
  );
}

async function report(homes: Homes, plan: Plan): Promise<void> {
  const backAt = performance.now();
  const before = countsOf(homes);
  while (performance.now() - backAt < giveUpAfterMs && countsOf(homes).stored < plan.homes) {
    await wait(1000);
    say(homes, `${Math.round((performance.now() - backAt) / 1000)} s`);
  }
  const after = homes
    .acceptedAt()
    .map((at) => (at - backAt) / 1000)
    .filter((at) => at > 0)
    .sort((a, b) => a - b);
  const waiting = plan.homes - before.accepted;
  const at = (share: number) => after[Math.ceil(waiting * share) - 1]?.toFixed(1) ?? 'never';
  print(
    `${JSON.stringify(plan)}; ${machine()}\n${waiting} homes were waiting: half of them accepted ${at(0.5)} s after it was ` +
      `back, 99 % ${at(0.99)} s, all ${at(1)} s; ${homes.dials - before.dials} dials meanwhile, ` +
      `${homes.late - before.late} answers too late, ${homes.rejected} rejects`,
  );
}

function countsOf(homes: Homes): { accepted: number; stored: number; late: number; dials: number } {
  const { late, dials } = homes;
  return { accepted: homes.acceptedAt().length, stored: homes.stored(), late, dials };
}

function say(homes: Homes, when: string): void {
  const { accepted, stored, dials, late } = countsOf(homes);
  process.stderr.write(
    `  ${when}: ${accepted} accepted, ${stored} stored, ${dials} dials, ${late} answers too late\n`,
  );
}

/** What FreeRADIUS has written into its log meanwhile. */
function logged(file: string): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  const duplicates = lines.filter((line) => line.includes('Ignoring duplicate packet')).length;
  return `FreeRADIUS logged ${lines.length} lines, ${duplicates} of them of packets that came again`;
}

await main();
