import type { OverdueRunId } from '../domain/ids.ts';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';
import { runReasons, type RunSummary } from './overdue-reports.ts';
import {
  evidenceByRouter,
  largestDebts,
  type PlannedDebt,
  type PlannedTotals,
  plannedTotals,
  type RouterEvidence,
} from './overdue-run-view.ts';
import { type ActionState, countActions } from './overdue-runs.ts';

/** Runs with more actions than this are summed by a job; smaller ones at each look. */
export const bigRun = 2000;
/** Evidence is of so many of a run's suspensions. */
export const evidenceMost = 10_000;
/** The planned actions with the most behind them that are shown. */
export const sampleSize = 5;

/** What a run's page says of all its actions together. */
export interface RunSums {
  readonly counts: Record<ActionState, number>;
  readonly totals: PlannedTotals;
  readonly reasons: RunSummary['why'];
  readonly sample: readonly PlannedDebt[];
  readonly evidence: readonly RouterEvidence[];
}

/** Sums a run up from its actions, suspensions and packets. */
export async function sumRun(db: Db, runId: OverdueRunId): Promise<RunSums> {
  return {
    counts: await countActions(db, runId),
    totals: await plannedTotals(db, runId),
    reasons: await runReasons(db, runId),
    sample: await largestDebts(db, runId, sampleSize),
    evidence: await evidenceByRouter(db, runId, evidenceMost),
  };
}

export async function saveRunSums(db: Db, runId: OverdueRunId, sums: RunSums, at: Date): Promise<void> {
  await db('overdue_run_sums')
    .insert({ run_id: runId, made_at: sqlInstant(at), sums: JSON.stringify(sums, plain) })
    .onConflict('run_id')
    .merge(['made_at', 'sums']);
}

export async function findRunSums(
  db: Db,
  runId: OverdueRunId,
): Promise<{ madeAt: Date; sums: RunSums } | undefined> {
  const row = await db('overdue_run_sums')
    .where({ run_id: runId })
    .first<{ made_at: string; sums: string } | undefined>('made_at', 'sums');
  if (row === undefined) return undefined;
  return { madeAt: fromSqlInstant(row.made_at), sums: JSON.parse(row.sums, big) as RunSums };
}

/** Whether the actions stand as they stood when the sums were made. */
export function areSame(a: RunSums['counts'], b: RunSums['counts']): boolean {
  return (Object.keys(a) as ActionState[]).every((state) => a[state] === b[state]);
}

/** Amounts are bigint, which JSON has no word for; they all are called openMinor. */
function plain(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function big(name: string, value: unknown): unknown {
  return name === 'openMinor' && typeof value === 'string' ? BigInt(value) : value;
}
