import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { App } from '../app.ts';
import { countAttention, countRouterStates } from '../db/attention-list.ts';
import { figuresAt, latestFigures } from '../db/figures.ts';
import { livingProcesses } from '../db/heartbeats.ts';
import { heartbeatAges, invoiceRunAtWork, jobRuns, queueGauges } from '../db/metrics.ts';
import { countActions, runsIn } from '../db/overdue-runs.ts';

/** A sample older than this says only that the timetable stands still: it is left out. */
const sampleMaxAgeMs = 10 * 60_000;
/** However often somebody asks, the database is asked once in this time. */
const keptMs = 2000;
const attentionMost = 10_000;
const roles = ['web', 'worker', 'lane', 'radius-agent', 'scheduler'] as const;

type MakeGauge = (name: string, help: string, labelNames?: string[]) => Gauge;

/**
 * Gives the metrics' text. Names of subscribers, logins, routers and runs are in no label: labels are words from short
 * lists, so that the number of series does not grow with the installation.
 */
export function createMetrics(app: App, version: string): { contentType: string; text(): Promise<string> } {
  // Once in the process: it hangs observers into the runtime.
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  let kept: { at: number; text: Promise<string> } | undefined;
  return {
    contentType: ofProcess.contentType,
    async text() {
      if (kept === undefined || performance.now() - kept.at > keptMs) {
        kept = { at: performance.now(), text: ofDatabase(app, version) };
        // A failure is not kept.
        kept.text.catch(() => {
          kept = undefined;
        });
      }
      const text = await kept.text;
      return text + (await ofProcess.metrics());
    },
  };
}

async function ofDatabase(app: App, version: string): Promise<string> {
  const registry = new Registry();
  const gauge: MakeGauge = (name, help, labelNames = []) =>
    new Gauge({ name: `sluice_${name}`, help, labelNames, registers: [registry] });
  gauge('build_info', 'Always 1; what runs is in the labels', ['version', 'node']).set(
    { version, node: process.version },
    1,
  );
  await addQueue(app, gauge);
  await addSamples(app, gauge);
  await addNetwork(app, gauge);
  await addRuns(app, gauge);
  await addWork(app, gauge);
  return registry.metrics();
}

async function addQueue(app: App, gauge: MakeGauge): Promise<void> {
  const rows = gauge('queue_rows', 'Keys of the reconcile queue, counted to 100000', ['kind', 'state']);
  const oldest = gauge('queue_oldest_due_seconds', 'For how long the oldest due key has been due', ['kind']);
  for (const { kind, waiting, parked, oldestDueSeconds } of await queueGauges(app.db)) {
    rows.set({ kind, state: 'waiting' }, waiting);
    rows.set({ kind, state: 'parked' }, parked);
    oldest.set({ kind }, oldestDueSeconds);
  }
}

/** What stands as of the last count, and what the last full minute had; nothing where nobody counts. */
async function addSamples(app: App, gauge: MakeGauge): Promise<void> {
  const standing = {
    online: gauge('sessions_open', 'Open sessions at the last count'),
    overdue: gauge('subscribers_overdue', 'Subscribers with an invoice past due at the last count'),
  };
  const logins = gauge('logins', 'Logins by the access that is decided, at the last count', ['access']);
  const counted = gauge('counted_timestamp_seconds', 'When the figures were counted last');
  const starts = gauge('sessions_started', 'Sessions started in the last full minute');
  const rejects = gauge('logins_refused', 'Usernames refused in the last full minute, by reason', ['reason']);
  const packets = gauge('packets', 'CoA and Disconnect packets sent in the last full minute, by outcome', [
    'action',
    'outcome',
  ]);
  const changes = gauge(
    'access_changes',
    'Logins that lost or got back full access in the last full minute',
    ['to'],
  );
  const samples = await latestFigures(
    app.db,
    ['online', 'overdue', 'full', 'throttled', 'walled_garden', 'blocked_now'],
    new Date(app.clock.now().getTime() - sampleMaxAgeMs),
  );
  const at = samples.get('online')?.at;
  if (at === undefined) return;
  counted.set(at.getTime() / 1000);
  for (const [kind, of] of Object.entries(standing)) of.set(Number(samples.get(kind)?.value ?? 0));
  for (const [kind, access] of Object.entries(accessOf)) {
    logins.set({ access }, Number(samples.get(kind)?.value ?? 0));
  }
  // Whoever counted at this minute has seen the whole of the minute before.
  const full = new Date(at.getTime() - 60_000);
  for (const { kind, value } of await figuresAt(app.db, '', full)) {
    const [family = '', first = '', second = ''] = kind.split('.');
    if (kind === 'starts') starts.set(Number(value));
    if (kind === 'blocked' || kind === 'restored') changes.set({ to: kind }, Number(value));
    if (family === 'reject') rejects.set({ reason: first }, Number(value));
    if (family === 'packet') packets.set({ action: first, outcome: second }, Number(value));
  }
}

const accessOf = {
  full: 'full',
  throttled: 'throttled',
  walled_garden: 'walled_garden',
  blocked_now: 'denied',
} as const;

async function addNetwork(app: App, gauge: MakeGauge): Promise<void> {
  const { answering, silent, unasked, waiting } = await countRouterStates(app.db);
  const routers = gauge('routers', 'Live routers by whether they answer CoA and Disconnect', ['state']);
  routers.set({ state: 'answering' }, answering);
  routers.set({ state: 'silent' }, silent);
  routers.set({ state: 'unasked' }, unasked);
  gauge('routers_waiting', 'Live routers that some FreeRADIUS host has not taken').set(waiting);
  const attention = gauge('attention', 'What needs a person, counted to 10000', ['kind']);
  for (const [kind, count] of Object.entries(await countAttention(app.db, attentionMost)))
    attention.set({ kind }, Number(count));
}

/** How far runs are that are at work now; nothing when none is. */
async function addRuns(app: App, gauge: MakeGauge): Promise<void> {
  const actions = gauge('overdue_run_actions', 'Actions of overdue runs at work', ['state']);
  for (const run of await runsIn(app.db, ['applying', 'rolling_back'])) {
    for (const [state, count] of Object.entries(await countActions(app.db, run.id)))
      actions.inc({ state }, count);
  }
  const subscriptions = gauge('invoice_run_subscriptions', 'Subscriptions of the invoice run at work', [
    'state',
  ]);
  const run = await invoiceRunAtWork(app.db);
  if (run !== undefined)
    for (const [state, count] of Object.entries(run)) subscriptions.set({ state }, Number(count));
}

async function addWork(app: App, gauge: MakeGauge): Promise<void> {
  const processes = gauge('processes', 'Processes that said within half a minute that they live', ['role']);
  for (const role of roles) processes.set({ role }, 0);
  for (const { role } of await livingProcesses(app.db)) processes.inc({ role });
  const ages = gauge('heartbeat_age_seconds', 'Since the liveliest process of a role was heard of', ['role']);
  for (const [role, age] of await heartbeatAges(app.db)) ages.set({ role }, age);
  const finished = gauge('job_finished_timestamp_seconds', 'When a job of the timetable ended last', ['job']);
  const failed = gauge('job_failed', 'Whether it failed then', ['job']);
  for (const { name, lastFinishedAt, hasFailed } of await jobRuns(app.db)) {
    if (lastFinishedAt === null) continue;
    finished.set({ job: name }, lastFinishedAt.getTime() / 1000);
    failed.set({ job: name }, hasFailed ? 1 : 0);
  }
}
