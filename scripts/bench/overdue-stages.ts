import { setTimeout as wait } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { App } from '../../src/app.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { planOverdueRun } from '../../src/billing/overdue-run-plan.ts';
import { approveRun, createOverdueRun } from '../../src/billing/overdue-run.ts';
import type { Day } from '../../src/domain/day.ts';
import type { OverdueRunId } from '../../src/domain/ids.ts';
import type { ServerChild } from '../servers/child.ts';
import { MemoryWatch, type Processes } from './processes.ts';

export interface Stages {
  readonly app: App;
  readonly processes: Processes;
  readonly workers: number;
  readonly lanes: number;
  readonly say: (text: string) => void;
}

/** What one stage came to: so many of something in so many seconds. */
export interface Figure {
  readonly stage: string;
  readonly count: number;
  readonly seconds: number;
  readonly note: string;
}

/** A run in stages, nothing else going on: plan, suspend, decide and rows, packets, evidence. */
export async function measureStages(stages: Stages, asOf: Day): Promise<Figure[]> {
  const figures: Figure[] = [];
  const keep = (figure: Figure) => {
    figures.push(figure);
    stages.say(textOf(figure));
  };
  keep(await preview(stages, asOf));
  const planned = await plan(stages, asOf);
  keep(planned.figure);
  keep(await suspend(stages, planned.runId));
  keep(await drained(stages, 'login', () => stages.processes.start('worker', stages.workers)));
  keep(await drained(stages, 'session', () => stages.processes.start('lane', stages.lanes)));
  keep(await drained(stages, 'evidence', () => stages.processes.start('worker', 1)));
  return figures;
}

/** A run as in production: every process at work, until the last packet is acknowledged. */
export async function measureAllAtOnce(stages: Stages, asOf: Day): Promise<Figure[]> {
  const { app, processes, say } = stages;
  const { runId } = await plan(stages, asOf);
  const children = [
    ...(await processes.start('worker', stages.workers)),
    ...(await processes.start('lane', stages.lanes)),
  ];
  try {
    const startedAt = performance.now();
    const suspended = await suspend(stages, runId);
    while ((await waiting(app.db, 'login')) + (await waiting(app.db, 'session')) > 0) await wait(500);
    const seconds = since(startedAt);
    const note = await delays(app.db, runId);
    const figures = [
      suspended,
      { stage: 'suspended, rows and packets', count: suspended.count, seconds, note },
    ];
    for (const figure of figures) say(textOf(figure));
    return figures;
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

/** From the suspension's instant to the router's answer. */
async function delays(db: Knex, runId: OverdueRunId): Promise<string> {
  const rows = await db('enforcement as e')
    .join('login as l', 'l.id', 'e.login_id')
    .join('suspension as s', 's.subscription_id', 'l.subscription_id')
    .where({ 's.opened_by_run_id': runId, 'e.outcome': 'ack' })
    .whereRaw('e.answered_at > s.opened_at')
    .select<{ ms: string }[]>(
      db.raw('TIMESTAMPDIFF(MICROSECOND, s.opened_at, e.answered_at) DIV 1000 AS ms'),
    );
  const values = rows.map((row) => Number(row.ms));
  return `${values.length} acknowledged; suspension to acknowledgement p50 ${at(values, 0.5)} ms, p99 ${at(values, 0.99)} ms`;
}

export function textOf({ stage, count, seconds, note }: Figure): string {
  const perSecond = seconds === 0 ? '' : Math.round(count / seconds).toLocaleString('en');
  return `${stage}: ${count.toLocaleString('en')} in ${seconds.toFixed(2)} s, ${perSecond} a second. ${note}`;
}

async function preview({ app }: Stages, asOf: Day): Promise<Figure> {
  const memory = new MemoryWatch([process.pid]);
  const startedAt = performance.now();
  const all = { seen: 0 };
  const totals = await planOverdueRun(app.db, asOf, (page) => {
    all.seen += page.actions.length;
    memory.note(0.5);
  });
  const left = Object.entries(totals.left).map(([why, count]) => `${count} ${why}`);
  const note = `${totals.subjects.toLocaleString('en')} active subscriptions; left alone: ${left.join(', ')}; memory ${memory.text()}`;
  return { stage: 'plan, read and decided', count: totals.planned, seconds: since(startedAt), note };
}

async function plan({ app }: Stages, asOf: Day): Promise<{ figure: Figure; runId: OverdueRunId }> {
  const startedAt = performance.now();
  const { run } = await createOverdueRun(app.context('bench'), { asOf });
  const figure = {
    stage: 'plan, written down',
    count: run.plannedCount,
    seconds: since(startedAt),
    note: run.state,
  };
  if (run.state === 'held') await approveRun(app.context('another'), { runId: run.id });
  return { figure, runId: run.id };
}

async function suspend({ app }: Stages, runId: OverdueRunId): Promise<Figure> {
  const memory = new MemoryWatch([process.pid]);
  const batches: number[] = [];
  const startedAt = performance.now();
  let last = startedAt;
  const result = await applyOverdueRun(app.context('bench'), {
    runId,
    progress: ({ done, total }) => {
      batches.push(performance.now() - last);
      last = performance.now();
      memory.note(done / total);
    },
  });
  const seconds = since(startedAt);
  if (!result.ok) throw new Error(`the run was not applied: ${result.reason}`);
  const note = `batch of 500: p50 ${at(batches, 0.5)} ms, p99 ${at(batches, 0.99)} ms; memory ${memory.text()}`;
  return { stage: 'suspend', count: result.counts.applied, seconds, note };
}

type Work = 'login' | 'session' | 'evidence';
const names = { login: 'decide and rows', session: 'packets', evidence: 'evidence' } as const;

/**
 * Starts the processes and waits until the work of that kind is done; they are stopped then. Measured from the first that
 * is done: how long a process takes to start is not part of it.
 */
async function drained(stages: Stages, work: Work, start: () => Promise<ServerChild[]>): Promise<Figure> {
  const { db } = stages.app;
  const all = await waiting(db, work);
  const children = await start();
  const memory = new MemoryWatch(children.map((child) => child.pid));
  let begun: { at: number; left: number } | undefined;
  let left = all;
  try {
    while (left > 0) {
      await wait(500);
      left = await waiting(db, work);
      if (left < all) begun ??= { at: performance.now(), left };
      memory.note(1 - left / Math.max(1, all));
    }
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
  const count = begun?.left ?? 0;
  const seconds = begun === undefined ? 0 : since(begun.at);
  const note = `${children.length} processes; memory ${memory.text()}${work === 'session' ? `; ${await answers(db)}` : ''}`;
  return { stage: names[work], count, seconds, note };
}

/** Evidence that can be had: of a Disconnect, since a CoA stays acknowledged. */
async function waiting(db: Knex, work: Work): Promise<number> {
  const query =
    work === 'evidence'
      ? db('enforcement').whereNotNull('next_check_at')
      : db('reconcile_queue').where({ kind: work, is_parked: false });
  const row = await query.first<{ n: string }>(db.raw('COUNT(*) AS n'));
  return Number(row.n);
}

async function answers(db: Knex): Promise<string> {
  const rows = await db('enforcement')
    .whereNotIn('requested_by', ['bench', 'loop'])
    .orderBy('id', 'desc')
    .limit(100_000)
    .select<{ action: string; outcome: string; round_trip_us: number | null }[]>(
      'action',
      'outcome',
      'round_trip_us',
    );
  const times = rows.flatMap((row) => (row.round_trip_us === null ? [] : [row.round_trip_us / 1000]));
  const unanswered = rows.filter((row) => row.outcome !== 'ack').length;
  return `round trip p50 ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms; ${unanswered} not acknowledged`;
}

export function at(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
}

export function since(startedAt: number): number {
  return (performance.now() - startedAt) / 1000;
}
