import { timingSafeEqual } from 'node:crypto';
import type { Express, Request, RequestHandler } from 'express';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { App } from '../app.ts';
import { countRouterStates } from '../db/attention-list.ts';
import { figuresSince } from '../db/figures.ts';
import { livingProcesses } from '../db/heartbeats.ts';
import { pendingMigrations } from '../db/migrate.ts';
import { countActions, runsIn } from '../db/overdue-runs.ts';
import { queueDepth } from '../db/reconcile-queue.ts';
import { describeError } from '../log.ts';

/** A minute's figures are complete a minute later; older ones say that the timetable stands still. */
const figuresKeptMs = 10 * 60_000;

/** For machines: this host may always ask, others with the token. They have no session, and leave no cookie. */
export function mountHealth(web: Express, app: App, sqlDirectory: string): void {
  const guard = guardOf(app);
  web.get('/healthz', guard, (_req, res) => {
    res.json({ ok: true });
  });
  web.get('/readyz', guard, async (_req, res) => {
    const reason = await whyNotReady(app, sqlDirectory);
    res.status(reason === null ? 200 : 503).json(reason === null ? { ok: true } : { ok: false, reason });
  });
  web.get('/metrics', guard, async (_req, res) => {
    const registry = await collect(app);
    res.type(registry.contentType).send(await registry.metrics());
  });
}

function guardOf(app: App): RequestHandler {
  return (req, res, next) => {
    if (isLoopback(req.ip) || carriesToken(req, app.config.web.metricsToken)) next();
    else res.status(403).type('text').send('This host only, or with the bearer token.\n');
  };
}

function isLoopback(address: string | undefined): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address ?? '');
}

function carriesToken(req: Request, token: string | undefined): boolean {
  const sent = /^Bearer (.+)$/.exec(req.get('authorization') ?? '')?.[1];
  if (token === undefined || sent === undefined) return false;
  const [a, b] = [Buffer.from(sent), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** `database` does not answer, or its `schema` is older than this build; null when both are right. */
async function whyNotReady(app: App, sqlDirectory: string): Promise<'database' | 'schema' | null> {
  try {
    return (await pendingMigrations(app.db, sqlDirectory)).length === 0 ? null : 'schema';
  } catch (error) {
    app.log.warn('not ready', { error: describeError(error) });
    return 'database';
  }
}

/** Read at each scrape from small tables and from the minute's figures: nothing here walks a big table. */
async function collect(app: App): Promise<Registry> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name: `sluice_${name}`, help, labelNames, registers: [registry] });
  await Promise.all([
    addQueue(app, gauge),
    addFigures(app, gauge),
    addNetwork(app, gauge),
    addRuns(app, gauge),
  ]);
  return registry;
}

type MakeGauge = (name: string, help: string, labelNames: string[]) => Gauge;

async function addQueue(app: App, gauge: MakeGauge): Promise<void> {
  const rows = gauge('queue_rows', 'Keys of the reconcile queue', ['kind', 'state']);
  const oldest = gauge('queue_oldest_seconds', 'Age of the oldest wish that waits', ['kind']);
  const depths = await queueDepth(app.db);
  for (const kind of ['login', 'session', 'router'] as const) {
    const depth = depths.find((one) => one.kind === kind);
    for (const state of ['waiting', 'parked', 'failing'] as const)
      rows.set({ kind, state }, depth?.[state] ?? 0);
    oldest.set({ kind }, (depth?.oldestMs ?? 0) / 1000);
  }
}

/** Sessions, logins, rejects by reason, packets by outcome, changes of access: what the last full minute had. */
async function addFigures(app: App, gauge: MakeGauge): Promise<void> {
  const figure = gauge('last_minute', 'Figures of the last full minute, by kind', ['kind']);
  const minute = gauge('last_minute_timestamp_seconds', 'The minute that sluice_last_minute is of', []);
  const from = new Date(app.clock.now().getTime() - figuresKeptMs);
  const figures = (await figuresSince(app.db, '', from)).filter((one) => !one.kind.startsWith('mark.'));
  const newest = Math.max(0, ...figures.map((one) => one.at.getTime()));
  minute.set(newest / 1000);
  for (const one of figures)
    if (one.at.getTime() === newest) figure.set({ kind: one.kind }, Number(one.value));
}

async function addNetwork(app: App, gauge: MakeGauge): Promise<void> {
  const routers = gauge('routers', 'Live routers', ['state']);
  const states = await countRouterStates(app.db);
  for (const [state, count] of Object.entries(states)) routers.set({ state }, Number(count));
  const processes = gauge('processes', 'Living processes by role, by their heartbeats', ['role']);
  for (const role of ['web', 'worker', 'lane', 'radius-agent', 'scheduler']) processes.set({ role }, 0);
  for (const { role } of await livingProcesses(app.db)) processes.inc({ role });
}

/** How far overdue runs are that are at work now. */
async function addRuns(app: App, gauge: MakeGauge): Promise<void> {
  const actions = gauge('overdue_run_actions', 'Actions of overdue runs at work, by state', ['run', 'state']);
  for (const run of await runsIn(app.db, ['applying', 'rolling_back'])) {
    const counts = await countActions(app.db, run.id);
    for (const [state, count] of Object.entries(counts)) actions.set({ run: run.id, state }, count);
  }
}
