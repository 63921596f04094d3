import { setTimeout as wait } from 'node:timers/promises';
import type { App } from '../../src/app.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { setMasterPackage } from '../../src/catalog/set-master-package.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { addDays, dayIn } from '../../src/domain/day.ts';
import { asId, type SubscriberId } from '../../src/domain/ids.ts';
import { until } from '../servers/child.ts';
import { numbersGiven } from './arguments.ts';
import { machineLine, openBenchServer } from './bench-server.ts';
import { print, quantile, say, tableHead, tableLine } from './figures.ts';
import { addDebts, benchMasterPackage, decideAll, fillLiveIsp, openSessions } from './live-isp.ts';
import { responderRouters, type Responders, startResponders } from './responders.ts';
import { build, startRoleProcess } from './role-processes.ts';

const usage = `scripts/bench/package-change.ts [--logins=100000] [--routers=200] [--pace=50] [--payers=100]
  The speed of a package that everybody has is changed, with all of them online: the command, rows, and packets, with
  the pace of the routers on and then off. Meanwhile payments come from subscribers who are throttled.
`;

const defaults = { logins: 100_000, routers: 200, pace: 50, payers: 100 };
type Size = typeof defaults;

async function main(): Promise<void> {
  const size = numbersGiven(defaults, usage);
  if (size === undefined) return;
  build();
  const server = await openBenchServer();
  const routers = responderRouters(size.routers, 'bench secret');
  const payers = await fill(server.app, size);
  await decideAll(server.app);
  await openSessions(server.app, routers);
  const responders = await startResponders({ routers, db: server.address });
  await responders.load();
  const roles = [await startRoleProcess(server, 'worker'), await startRoleProcess(server, 'lane')];
  try {
    print(`${machineLine()}\n${JSON.stringify(size)}\n`);
    print(
      tableHead([
        'pace',
        'command, ms',
        'rows of all, s',
        'logins a second',
        'last ACK, s',
        'ACKs a second',
        'payment to its COMMIT, p50 / max, ms',
        'payment to the ACK, p50 / max, ms',
      ]),
    );
    const bench = new Bench(server.app, responders, size);
    const half = Math.floor(payers.length / 2);
    await bench.change(String(size.pace), '20M/101M', payers.slice(0, half));
    // 65,535 a second is more than anything here can send.
    await server.app
      .db('router')
      .update({ pace_per_second: 65_535, changed_at: sqlInstant(server.app.clock.now()) });
    await wait(2000);
    await bench.change('off', '20M/102M', payers.slice(half));
    for (const role of roles) {
      print(
        `${role.role}: ${role.memory().most.toFixed(0)} MB at its highest, ${(role.cpuMs() / 1000).toFixed(0)} s of processor`,
      );
    }
    print(machineLine());
  } finally {
    await Promise.all(roles.map(({ child }) => child.stop()));
    await responders.stop();
    await server.close();
  }

  /** The payers are the first; they are overdue and throttled. */
  async function fill(app: App, { logins, pace, payers: count }: Size): Promise<SubscriberId[]> {
    await fillLiveIsp(app, { subscribers: logins, routers, pacePerSecond: pace });
    await saveSettings(app.db, { overdueLimitCount: 1_000_000 }, app.clock.now());
    const today = dayIn('UTC', app.clock.now());
    await addDebts(app, { first: 1, last: count, dueOn: addDays(today, -30) });
    const { run } = await createOverdueRun(app.context('bench'), { asOf: today });
    await applyOverdueRun(app.context('bench'), { runId: run.id });
    return Array.from({ length: count }, (_, n) => asId<SubscriberId>(String(n + 1)));
  }
}

class Bench {
  readonly #app: App;
  readonly #responders: Responders;
  readonly #size: Size;

  constructor(app: App, responders: Responders, size: Size) {
    this.#app = app;
    this.#responders = responders;
    this.#size = size;
  }

  async change(pace: string, rateLimit: string, payers: readonly SubscriberId[]): Promise<void> {
    await this.#responders.reset();
    const state = { isDone: false };
    const paying = this.#payMeanwhile(payers, state);
    await wait(200);
    const startedAt = now();
    await setMasterPackage(this.#app.context('bench', `change ${pace}`), {
      masterPackage: benchMasterPackage,
      rateLimit,
    });
    const committedAt = now();
    const rowsAt = await this.#rowsWritten(rateLimit);
    const lastAt = await this.#lastAck();
    state.isDone = true;
    const paid = await paying;
    const served = await this.#served(paid.map(({ id }) => id));
    const commits = paid.map((one) => one.committedAt - one.begunAt);
    const acks = paid.flatMap((one) => {
      const at = served.get(`u${one.id}`);
      return at === undefined ? [] : [at - one.committedAt];
    });
    const both = (values: readonly number[]) =>
      `${quantile(values, 0.5).toFixed(0)} / ${Math.max(...values).toFixed(0)} (${values.length})`;
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
