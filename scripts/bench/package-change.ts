import { setTimeout as wait } from 'node:timers/promises';
import type { App } from '../../src/app.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { setMasterPackage } from '../../src/catalog/set-master-package.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { readSettings, saveSettings } from '../../src/db/settings.ts';
import { addDays, dayIn } from '../../src/domain/day.ts';
import { asId, type SubscriberId } from '../../src/domain/ids.ts';
import { radiusSettingsOf } from '../../src/domain/radius-attributes.ts';
import { until } from '../servers/child.ts';
import { numbersGiven } from './arguments.ts';
import { type BenchServer, machineLine, openBenchServer } from './bench-server.ts';
import { effortOf } from './effort.ts';
import { print, quantile, say, tableHead, tableLine } from './figures.ts';
import { addDebts, benchMasterPackage, decideAll, fillLiveIsp, openSessions } from './live-isp.ts';
import { changeOneAtATime } from './one-at-a-time.ts';
import { type ResponderRouter, responderRouters, type Responders, startResponders } from './responders.ts';
import { build, type RoleProcess, startRoleProcess } from './role-processes.ts';

const usage = `scripts/bench/package-change.ts [--logins=100000] [--routers=200] [--pace=50] [--payers=100] [--again=1] [--loop=500]
  The speed of a package that everybody has is changed, with all of them online: the command, rows, and packets, with
  the pace of the routers, then without, and --again times more without. Meanwhile payments come from subscribers who are
  throttled. Before and after, the baseline: the same for --loop logins, one after another in a loop.
`;

const defaults = { logins: 100_000, routers: 200, pace: 50, payers: 100, again: 1, loop: 500 };
type Size = typeof defaults;

async function main(): Promise<void> {
  const size = numbersGiven(defaults, usage);
  if (size === undefined) return;
  build();
  const server = await openBenchServer();
  try {
    await measure(server, size);
  } finally {
    await server.close();
  }
}

async function measure(server: BenchServer, size: Size): Promise<void> {
  const { app } = server;
  const routers = responderRouters(size.routers, 'bench secret');
  const payers = await fill(app, size, routers);
  await decideAll(app);
  await openSessions(app, routers);
  const responders = await startResponders({ routers, db: server.address });
  try {
    await responders.load();
    print(`${machineLine()}\n${JSON.stringify(size)}\n`);
    const { logins, loop } = size;
    await changeInLoop(app, routers, { first: logins - loop + 1, count: loop, rate: '20M/91M' });
    await measureOurs(server, responders, size, payers);
    await changeInLoop(app, routers, { first: logins - 2 * loop + 1, count: loop, rate: '20M/92M' });
    print(machineLine());
  } finally {
    await responders.stop();
  }
}

/** The payers are the first; they are overdue and throttled. */
async function fill(
  app: App,
  { logins, pace, payers: count }: Size,
  routers: readonly ResponderRouter[],
): Promise<SubscriberId[]> {
  await fillLiveIsp(app, { subscribers: logins, routers, pacePerSecond: pace });
  await saveSettings(app.db, { overdueLimitCount: 1_000_000 }, app.clock.now());
  const today = dayIn('UTC', app.clock.now());
  await addDebts(app, { first: 1, last: count, dueOn: addDays(today, -30) });
  const { run } = await createOverdueRun(app.context('bench'), { asOf: today });
  await applyOverdueRun(app.context('bench'), { runId: run.id });
  return Array.from({ length: count }, (_, n) => asId<SubscriberId>(String(n + 1)));
}

async function measureOurs(
  server: BenchServer,
  responders: Responders,
  size: Size,
  payers: readonly SubscriberId[],
): Promise<void> {
  const { db, clock } = server.app;
  const roles = [await startRoleProcess(server, 'worker'), await startRoleProcess(server, 'lane')];
  try {
    // What the loop left undone is found and sent meanwhile.
    await wait(5000);
    print(tableHead(columns));
    const bench = new Bench(server, responders, { ...size, roles });
    const half = Math.floor(payers.length / 2);
    await bench.change(String(size.pace), '20M/101M', payers.slice(0, half));
    // 65,535 a second is more than anything here can send.
    await db('router').update({ pace_per_second: 65_535, changed_at: sqlInstant(clock.now()) });
    await wait(2000);
    await bench.change('off', '20M/102M', payers.slice(half));
    for (let n = 0; n < size.again; n++) await bench.change('off', `20M/${103 + n}M`, []);
    for (const role of roles) print(`${role.role}: ${role.memory().most.toFixed(0)} MB at its highest`);
  } finally {
    await Promise.all(roles.map(({ child }) => child.stop()));
  }
}

const columns = [
  'pace',
  'command, ms',
  'rows of all, s',
  'logins a second',
  'last ACK, s',
  'ACKs a second',
  'payment to its COMMIT, p50 / max, ms',
  'payment to the ACK, p50 / max, ms',
  'processor a login, µs: worker + lane + MariaDB',
];

/** The baseline: what a loop does whose author had the same rules and indexes. */
async function changeInLoop(
  { db, vault, config }: App,
  routers: readonly ResponderRouter[],
  which: { first: number; count: number; rate: string },
): Promise<void> {
  if (which.count === 0) return;
  await db('master_package').where({ name: benchMasterPackage }).update({ rate_limit: which.rate });
  const done = await changeOneAtATime(
    {
      address: config.db,
      vault,
      settings: radiusSettingsOf(await readSettings(db)),
      routerSecret: routers[0]?.secret ?? '',
      coaPort: routers[0]?.port ?? 0,
      routerAddress: (id) => routers[id - 1]?.address ?? '',
    },
    Array.from({ length: which.count }, (_, n) => String(which.first + n)),
  );
  const rate = (seconds: number) => `${(which.count / seconds).toFixed(0)} a second`;
  print(
    `one at a time: rows ${rate(done.rows)}, packets to the ACK ${rate(done.send)} (${done.packets}), both ${rate(done.rows + done.send)}\n`,
  );
}

class Bench {
  readonly #server: BenchServer;
  readonly #app: App;
  readonly #responders: Responders;
  readonly #size: Size & { roles: readonly RoleProcess[] };

  constructor(server: BenchServer, responders: Responders, size: Size & { roles: readonly RoleProcess[] }) {
    this.#server = server;
    this.#app = server.app;
    this.#responders = responders;
    this.#size = size;
  }

  async change(pace: string, rateLimit: string, payers: readonly SubscriberId[]): Promise<void> {
    await this.#responders.reset();
    const state = { isDone: false };
    const paying = this.#payMeanwhile(payers, state);
    await wait(200);
    const effort = await effortOf(this.#server, this.#size.roles);
    const startedAt = now();
    await setMasterPackage(this.#app.context('bench', `change ${pace}`), {
      masterPackage: benchMasterPackage,
      rateLimit,
    });
    const committedAt = now();
    const rowsAt = await this.#rowsWritten(rateLimit);
    const lastAt = await this.#lastAck();
    const { cpuMs } = await effort();
    state.isDone = true;
    const paid = await paying;
    const served = await this.#served(paid.map(({ id }) => id));
    const commits = paid.map((one) => one.committedAt - one.begunAt);
    const acks = paid.flatMap((one) => {
      const at = served.get(`u${one.id}`);
      return at === undefined ? [] : [at - one.committedAt];
    });
    const both = (values: readonly number[]) =>
      values.length === 0
        ? '–'
        : `${quantile(values, 0.5).toFixed(0)} / ${Math.max(...values).toFixed(0)} (${values.length})`;
    const perLogin = (name: string) => (((cpuMs.get(name) ?? 0) / this.#size.logins) * 1000).toFixed(0);
    const rate = (until: number) => (this.#size.logins / ((until - committedAt) / 1000)).toFixed(0);
    print(
      tableLine([
        pace,
        (committedAt - startedAt).toFixed(0),
        (rowsAt - committedAt) / 1000,
        rate(rowsAt),
        (lastAt - committedAt) / 1000,
        rate(lastAt),
        both(commits),
        both(acks),
        ['worker', 'lane', 'mariadbd'].map(perLogin).join(' + '),
      ]),
    );
  }

  async #payMeanwhile(payers: readonly SubscriberId[], state: { isDone: boolean }) {
    const paid: { id: SubscriberId; begunAt: number; committedAt: number }[] = [];
    for (const id of payers) {
      if (state.isDone) break;
      const begunAt = now();
      await recordPayment(this.#app.context('bench', `pay-${id}`), {
        subscriberId: id,
        channel: 'cash',
        reference: `R-${id}`,
        amountMinor: 3000n,
      });
      paid.push({ id, begunAt, committedAt: now() });
      await wait(100);
    }
    return paid;
  }

  /** When no login waits any more, nor the wish that they be asked for. */
  async #rowsWritten(rateLimit: string): Promise<number> {
    const { db } = this.#app;
    const isWritten = async () => {
      return (
        (await db('reconcile_queue').whereIn('kind', ['login', 'many_logins']).first<unknown>('id')) ===
        undefined
      );
    };
    await until(`the rows say ${rateLimit}`, isWritten, { timeoutMs: 600_000, stepMs: 100 });
    return now();
  }

  async #lastAck(): Promise<number> {
    const { db } = this.#app;
    const isSent = async () => {
      const { obeyed } = await this.#responders.stats();
      say(`${obeyed} of ${this.#size.logins}`);
      return (await db('reconcile_queue').where({ kind: 'session' }).first<unknown>('id')) === undefined;
    };
    await until('every session', isSent, { timeoutMs: 900_000, stepMs: 1000 });
    return (await this.#responders.stats()).lastAt;
  }

  /** When the routers acknowledged, by username. */
  async #served(ids: readonly SubscriberId[]): Promise<Map<string, number>> {
    const rows = await this.#app
      .db('radacct')
      .whereIn(
        'username',
        ids.map((id) => `u${id}`),
      )
      .select<{ username: string; acctsessionid: string }[]>('username', 'acctsessionid');
    const obeyed = new Map(
      (await this.#responders.obeyed()).map((one) => [one.acctSessionId, one.answeredAt]),
    );
    return new Map(
      rows.flatMap(({ username, acctsessionid }) => {
        const at = obeyed.get(acctsessionid);
        return at === undefined ? [] : [[username, at] as const];
      }),
    );
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

await main();
