import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type PrivateMariaDb, startMariaDb } from '../servers/mariadb.ts';
import { numbersGiven } from './arguments.ts';
import { fillOurs } from './radius/fill.ts';
import { Homes, loginsFor } from './radius/homes.ts';
import { machine, print, step } from './radius/progress.ts';
import { type Bench, benchRouter, openBench, startOurs } from './radius/servers.ts';

const usage = `node --import tsx scripts/bench/freeze.ts [--homes=1200] [--seconds=12] [--kill=0] [--busy=0] [--timeout=1100] [--redial=6000] [--slow=1]
While so many homes dial, the database stands still for so many seconds (SIGSTOP; with --kill=1 it is killed, and started
again after them), with FreeRADIUS on it directly. How long until everybody is online? --busy: processes that do nothing
but use a processor meanwhile. --slow=20: once it is back, the database runs for a twentieth of the time only.
`;
const defaults = { homes: 1200, seconds: 12, kill: 0, busy: 0, timeout: 1100, redial: 6000, slow: 1 };
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
    const slowed = slowDown(database.child.pid, plan.slow);
    try {
      await report(homes, plan);
    } finally {
      await slowed.stop();
      // Every Start that was acknowledged has to be there.
      const row = await bench.ours.db('radacct').whereNotNull('class').count({ count: '*' }).first();
      print(`sessions in the database: ${String(row?.['count'])} of ${homes.stored()} acknowledged`);
      if (database !== bench.mariadb) await database.stop();
    }
  } finally {
    homes.stop();
    await server.stop();
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

/** Lets the process run for one of `share` parts of the time. */
function slowDown(pid: number, share: number): { stop(): Promise<void> } {
  let isOver = false;
  const turns = async () => {
    while (!isOver && share > 1) {
      process.kill(pid, 'SIGSTOP');
      await wait(sliceMs * (share - 1));
      process.kill(pid, 'SIGCONT');
      await wait(sliceMs);
    }
  };
  const done = turns();
  return {
    stop() {
      isOver = true;
      return done;
    },
  };
}

async function report(homes: Homes, plan: Plan): Promise<void> {
  const backAt = performance.now();
  const before = homes.acceptedAt().length;
  const dialsBefore = homes.dials;
  while (performance.now() - backAt < giveUpAfterMs && homes.acceptedAt().length < plan.homes) {
    await wait(1000);
    const seconds = Math.round((performance.now() - backAt) / 1000);
    const counts = `${homes.acceptedAt().length} accepted, ${homes.stored()} stored`;
    process.stderr.write(`  ${seconds} s: ${counts}, ${homes.dials} dials, ${homes.late} answers too late\n`);
  }
  const after = homes
    .acceptedAt()
    .map((at) => (at - backAt) / 1000)
    .filter((at) => at > 0)
    .sort((a, b) => a - b);
  const waiting = plan.homes - before;
  const at = (share: number) => after[Math.ceil(waiting * share) - 1]?.toFixed(1) ?? 'never';
  print(
    `${JSON.stringify(plan)}; ${machine()}\n${waiting} homes were waiting: half of them accepted ${at(0.5)} s after it was ` +
      `back, 99 % ${at(0.99)} s, all ${at(1)} s; ${homes.dials - dialsBefore} dials meanwhile, ` +
      `${homes.late} answers too late, ${homes.rejected} rejects`,
  );
}

await main();
