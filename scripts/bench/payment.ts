import { execFile } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { join } from 'node:path';
import type { App } from '../../src/app.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { chunksOf, fromSqlInstant } from '../../src/db/knex.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { addDays, dayIn } from '../../src/domain/day.ts';
import { asId, type SubscriberId } from '../../src/domain/ids.ts';
import { until } from '../servers/child.ts';
import { projectRoot } from '../servers/place.ts';
import { numbersGiven } from './arguments.ts';
import { type BenchServer, machineLine, openBenchServer } from './bench-server.ts';
import { effortOf } from './effort.ts';
import { mean, print, quantile, say, tableHead, tableLine } from './figures.ts';
import { addDebts, benchSessionId, decideAll, fillLiveIsp, openSessions } from './live-isp.ts';
import { asPanel, bareRoundTrips } from './payment-baselines.ts';
import { type ResponderRouter, responderRouters, type Responders, startResponders } from './responders.ts';
import { build, startRoleProcess } from './role-processes.ts';

const usage = `scripts/bench/payment.ts [--payments=1000] [--debtors=10000] [--routers=20] [--pace=50] [--rate=15]
  Payment committed to CoA acknowledged at the router: idle, and while overdue runs of --debtors are being enforced.
  Web, worker and lane are processes of their own; routers answer from another one; --rate payments a second.
`;

/** How many runs' worth of debtors there are: as many runs as it takes to cover the payments under load. */
const groups = 6;
/** With neither wake-ups nor anything to do, and as a panel does it. */
const pollingPayments = 60;
const panelPayments = 60;

const defaults = { payments: 1000, debtors: 10_000, routers: 20, pace: 50, rate: 15 };
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
  const responders = await startResponders({ routers, db: server.address });
  await responders.load();
  const roles = [];
  for (const role of ['web', 'worker', 'lane'] as const) {
    roles.push(await startRoleProcess(server, role, { SLUICE_WEB_PORT: '18999' }));
  }
  const bench = new Bench(server, responders, size.rate);
  try {
    print(`${machineLine()}\n${JSON.stringify(size)}\n`);
    print(tableHead(['what', 'count', 'p50, ms', 'p90, ms', 'p99, ms', 'max, ms']));
    show('bare CoA round trip', await bareRoundTrips(app, routers, payers.slice(0, 500)));
    const idle = await bench.pay(payers.splice(0, size.payments));
    show('payment, idle', idle.map(totalOf));
    const effort = await effortOf(server, roles);
    const loaded = await underLoad(bench, server, size, payers.splice(0, size.payments));
    const efforts = (await effort()).text;
    show(`payment, overdue runs of ${size.debtors} going on`, loaded.map(totalOf));
    await wakeUpsGoNowhere(app);
    show('payment, idle, polling only', (await bench.pay(payers.splice(0, pollingPayments))).map(totalOf));
    show(
      'a panel: UPDATE and radclient in the request',
      await asPanel(app, routers, payers.splice(0, panelPayments)),
    );
    print('\nWhere the time goes, ms (p50 / p99):\n');
    print(tableHead(['stage', 'idle', 'under load']));
    for (const stage of stages) {
      const of = (taken: readonly Taken[]) => {
        const values = taken.map(stage.ms);
        return `${quantile(values, 0.5).toFixed(1)} / ${quantile(values, 0.99).toFixed(1)}`;
      };
      print(tableLine([stage.name, of(idle), of(loaded)]));
    }
    print(`\nUnder load: ${efforts.join('; ')}`);
    print(machineLine());
  } finally {
    await Promise.all(roles.map(({ child }) => child.stop()));
    await responders.stop();
  }
}

/** Payers are overdue and throttled already; debtors are not yet. Gives the payers. */
async function fill(app: App, size: Size, routers: readonly ResponderRouter[]): Promise<SubscriberId[]> {
  const count = size.payments * 2 + pollingPayments + panelPayments;
  const today = dayIn('UTC', app.clock.now());
  const debtors = { first: count + 1, last: count + size.debtors * groups };
  await fillLiveIsp(app, { subscribers: debtors.last, routers, pacePerSecond: size.pace });
  // The shares of this ISP are unusual on purpose: no second person is asked.
  await saveSettings(app.db, { overdueLimitCount: 1_000_000 }, app.clock.now());
  await addDebts(app, { first: 1, last: count, dueOn: addDays(today, -60) });
  const { run } = await createOverdueRun(app.context('bench'), { asOf: today });
  await applyOverdueRun(app.context('bench'), { runId: run.id });
  await decideAll(app);
  await openSessions(app, routers);
  for (let group = 0; group < groups; group++) {
    const first = debtors.first + group * size.debtors;
    await addDebts(app, { first, last: first + size.debtors - 1, dueOn: addDays(today, group - groups - 1) });
  }
  return Array.from({ length: count }, (_, n) => asId<SubscriberId>(String(n + 1)));
}

/** When each thing happened to one payment, in ms since 1970. */
interface Taken {
  readonly begunAt: number;
  readonly committedAt: number;
  readonly lookedAt: number;
  readonly sessionAskedAt: number;
  readonly preparedAt: number;
  readonly receivedAt: number;
  readonly answeredAt: number;
  readonly heardAt: number;
}

const totalOf = (taken: Taken) => taken.answeredAt - taken.committedAt;

const stages: { name: string; ms: (taken: Taken) => number }[] = [
  { name: 'the payment itself, to its COMMIT (not counted)', ms: (t) => t.committedAt - t.begunAt },
  { name: 'wake-up, worker claims the login', ms: (t) => t.lookedAt - t.committedAt },
  { name: 'facts, decision, RADIUS rows', ms: (t) => t.sessionAskedAt - t.lookedAt },
  { name: 'COMMIT, wake-up, lane claims the session', ms: (t) => t.preparedAt - t.sessionAskedAt },
  { name: 'evidence written, packet on its way', ms: (t) => t.receivedAt - t.preparedAt },
  { name: 'router answers', ms: (t) => t.answeredAt - t.receivedAt },
  { name: 'lane hears it (not counted)', ms: (t) => t.heardAt - t.answeredAt },
  { name: 'committed to acknowledged', ms: totalOf },
];

class Bench {
  readonly #app: App;
  readonly #responders: Responders;
  readonly #rate: number;

  constructor(server: BenchServer, responders: Responders, rate: number) {
    this.#app = server.app;
    this.#responders = responders;
    this.#rate = rate;
  }

  /** Payments that come by themselves, whether or not the one before is through. */
  async pay(payers: readonly SubscriberId[], mayEnd: () => boolean = () => true): Promise<Taken[]> {
    const times = new Map<SubscriberId, { begunAt: number; committedAt: number }>();
    const paying: Promise<void>[] = [];
    for (const subscriberId of payers) {
      await wait((-Math.log(1 - Math.random()) * 1000) / this.#rate);
      paying.push(this.#payOne(subscriberId, times));
      if (times.size % 100 === 0) say(`${times.size} of ${payers.length} payments`);
    }
    await Promise.all(paying);
    await until('the routers have heard of every payment', () => this.#areObeyed(payers), {
      timeoutMs: 120_000,
      stepMs: 200,
    });
    while (!mayEnd()) await wait(100);
    // The outcome is written a moment after the answer.
    await wait(1000);
    return this.#taken(payers, times);
  }

  async #payOne(
    subscriberId: SubscriberId,
    times: Map<SubscriberId, { begunAt: number; committedAt: number }>,
  ): Promise<void> {
    const begunAt = preciseNow();
    const result = await recordPayment(this.#app.context('bench', `pay-${subscriberId}`), {
      subscriberId,
      channel: 'cash',
      reference: `R-${subscriberId}`,
      amountMinor: 3000n,
    });
    if (!result.ok || result.closedSuspensions.length !== 1) throw new Error(`${subscriberId} is not served`);
    times.set(subscriberId, { begunAt, committedAt: preciseNow() });
  }

  async #areObeyed(payers: readonly SubscriberId[]): Promise<boolean> {
    const obeyed = await this.#fullSpeed();
    return payers.every((id) => obeyed.has(benchSessionId(id)));
  }

  async #fullSpeed() {
    const obeyed = await this.#responders.obeyed();
    return new Map(obeyed.filter(({ rate }) => rate === '20M/100M').map((one) => [one.acctSessionId, one]));
  }

  async #taken(
    payers: readonly SubscriberId[],
    times: ReadonlyMap<SubscriberId, { begunAt: number; committedAt: number }>,
  ): Promise<Taken[]> {
    const obeyed = await this.#fullSpeed();
    const rows = new Map<string, Row>();
    for (const chunk of chunksOf(payers, 500)) {
      const found = await this.#app
        .db('enforcement as e')
        .join('access_decision as d', 'd.login_id', 'e.login_id')
        .whereIn('e.login_id', chunk)
        .andWhere('e.outcome', 'ack')
        .select<Row[]>('e.login_id', 'd.decided_at', 'e.requested_at', 'e.sent_at', 'e.answered_at');
      for (const row of found) rows.set(row.login_id, row);
    }
    return payers.map((id): Taken => {
      const [at, row, seen] = [times.get(id), rows.get(id), obeyed.get(benchSessionId(id))];
      if (at === undefined || row === undefined || seen === undefined)
        throw new Error(`no evidence of ${id}`);
      const instant = (text: string) => fromSqlInstant(text).getTime();
      return {
        ...at,
        lookedAt: instant(row.decided_at),
        sessionAskedAt: instant(row.requested_at),
        preparedAt: instant(row.sent_at),
        receivedAt: seen.receivedAt,
        answeredAt: seen.answeredAt,
        heardAt: instant(row.answered_at),
      };
    });
  }
}

interface Row {
  login_id: string;
  decided_at: string;
  requested_at: string;
  sent_at: string;
  answered_at: string;
}

/** Runs of the command line one after another, until the payments are through. */
async function underLoad(
  bench: Bench,
  server: BenchServer,
  size: Size,
  payers: readonly SubscriberId[],
): Promise<Taken[]> {
  const state = { isPaid: false, runs: 0 };
  const today = dayIn('UTC', server.app.clock.now());
  const running = (async () => {
    while (!state.isPaid && state.runs < groups) {
      const startedAt = performance.now();
      await promisify(execFile)(
        process.execPath,
        [
          join(projectRoot, '.build/src/cli/index.js'),
          'overdue-run',
          '--as-of',
          addDays(today, state.runs - groups),
          '--apply',
          '--actor',
          'bench',
        ],
        { env: { PATH: process.env['PATH'], ...server.env }, maxBuffer: 1 << 26 },
      );
      state.runs++;
      const waits = () => state.isPaid || isEnforced(server.app, size.debtors * state.runs);
      await until('the run is enforced', waits, { timeoutMs: 600_000, stepMs: 250 });
      say(`overdue run ${state.runs}: ${Math.round(performance.now() - startedAt)} ms`);
    }
  })();
  await wait(1500);
  const taken = bench.pay(payers).finally(() => {
    state.isPaid = true;
  });
  const result = await taken;
  await running;
  say(`${state.runs} overdue runs under way meanwhile`);
  return result;
}

/** Whether so many debtors have acknowledged what the runs did to them. */
async function isEnforced(app: App, count: number): Promise<boolean> {
  const row = await app
    .db('enforcement')
    .where({ outcome: 'ack', why: 'invoice_overdue' })
    .count<{ n: string }[]>('* as n');
  return Number(row[0]?.n) >= count;
}

/** From now on every wake-up of any process is lost: what is left is polling. */
async function wakeUpsGoNowhere(app: App): Promise<void> {
  for (const when of ['INSERT', 'UPDATE']) {
    await app.db.raw(
      `CREATE TRIGGER nowhere_${when} BEFORE ${when} ON process_heartbeat FOR EACH ROW SET NEW.wake_port = 9`,
    );
  }
  await app.db.raw('UPDATE process_heartbeat SET wake_port = 9');
  // Addresses are kept for two seconds.
  await wait(3000);
}

function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}

function show(what: string, values: readonly number[]): void {
  const cells = [0.5, 0.9, 0.99, 1].map((share) => quantile(values, share).toFixed(1));
  print(tableLine([what, String(values.length), ...cells]));
  say(`mean ${mean(values).toFixed(1)} ms, least ${Math.min(...values).toFixed(1)}`);
}

await main();
