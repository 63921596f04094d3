import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { recordDeferrals } from '../db/deferrals.ts';
import { inTransaction, type Trx } from '../db/knex.ts';
import {
  actionsOf,
  countActions,
  markActions,
  moveRun,
  nextSubscribers,
  type OverdueRun,
  touchRun,
} from '../db/overdue-runs.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { closeSuspensions, openSuspensionsOf } from '../db/suspensions.ts';
import { addDays, type Day, dayIn } from '../domain/day.ts';
import type { OverdueRunId, SubscriberId } from '../domain/ids.ts';
import { line, parseInput } from '../input.ts';
import { type ActionCounts, correlationOf, runOf } from './overdue-run-apply.ts';
import { inHalves, inTurn, patienceWith } from './run-turns.ts';

export type RollbackResult =
  | { readonly ok: true; readonly run: OverdueRun; readonly counts: ActionCounts }
  | { readonly ok: false; readonly reason: 'not_applied'; readonly run: OverdueRun };

const schema = z.strictObject({
  runId: z.custom<OverdueRunId>(),
  note: line(255),
  batchSize: z.number().int().min(1).max(500).optional(),
  progress: z.custom<(progress: RollbackProgress) => Promise<void> | void>().optional(),
});

export interface RollbackProgress {
  readonly runId: OverdueRunId;
  readonly rolledBack: number;
  readonly kept: number;
}

/**
 * Takes a run back, also one that is still being applied: its appliers stop at their next batch. Only suspensions that
 * this run opened and that are still open are closed; what a payment or a person closed since then is kept as it is.
 * Each subscription gets a deferral, so that the next tick does not do the same again; so does what the run had planned
 * and not reached. In batches, each its own transaction: killed and called again, it goes on.
 */
export async function rollbackRun(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<RollbackResult> {
  const wanted = parseInput(schema, input);
  const begun = await beginRollback(ctx, { runId: wanted.runId, note: wanted.note });
  if (!begun.ok) return begun;
  const { run } = begun;
  const progressNow = async () => {
    const { rolled_back: rolledBack, kept } = await countActions(ctx.db, run.id);
    await wanted.progress?.({ runId: run.id, rolledBack, kept });
  };
  const turn = {
    run: { kind: 'overdue', id: run.id },
    isOver: async () => (await runOf(ctx, run.id)).state !== 'rolling_back',
    whileWaiting: progressNow,
  } as const;
  await inTurn(ctx, turn, () => rollBackBatches(ctx, run, wanted));
  await finish(ctx, run.id);
  return { ok: true, run: await runOf(ctx, run.id), counts: await countActions(ctx.db, run.id) };
}

async function rollBackBatches(
  ctx: CommandContext,
  run: OverdueRun,
  wanted: Pick<z.output<typeof schema>, 'batchSize' | 'progress'>,
): Promise<void> {
  let after: SubscriberId | null = null;
  const counts = await countActions(ctx.db, run.id);
  while (run.state === 'rolling_back') {
    const page = { after, limit: wanted.batchSize ?? 500 };
    const subscriberIds = await nextSubscribers(ctx.db, run.id, ['applied', 'planned'], page);
    after = subscriberIds.at(-1) ?? null;
    if (after === null) break;
    const parts = await inHalves(subscriberIds, (part) =>
      inTransaction(ctx.db, (trx) => rollBackBatch(ctx, trx, run, part), patienceWith(part)),
    );
    ctx.wake('worker');
    for (const part of parts) {
      counts.rolled_back += part.rolledBack;
      counts.kept += part.kept;
    }
    await wanted.progress?.({ runId: run.id, rolledBack: counts.rolled_back, kept: counts.kept });
  }
}

const beginSchema = schema.pick({ runId: true, note: true });

/**
 * Moves the run to `rolling_back`; its appliers stop at their next batch. From then on it will be taken back: by who
 * called this and goes on, or, should that process die, by the timetable's resume.
 */
export async function beginRollback(
  ctx: CommandContext,
  input: z.input<typeof beginSchema>,
): Promise<{ ok: true; run: OverdueRun } | { ok: false; reason: 'not_applied'; run: OverdueRun }> {
  const { runId, note } = parseInput(beginSchema, input);
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    const isOurs = await moveRun(trx, runId, ['applied', 'applying'], {
      state: 'rolling_back',
      rolledBackAt: at,
      rolledBackBy: ctx.actor,
      rollbackNote: note,
    });
    if (!isOurs) return;
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'overdue_run.roll_back',
      subject: { kind: 'overdue_run', id: runId },
      correlationId: correlationOf(runId),
      diff: { note, requestedAs: ctx.correlationId },
    });
  });
  const run = await runOf(ctx, runId);
  if (run.state === 'rolling_back' || run.state === 'rolled_back') return { ok: true, run };
  return { ok: false, reason: 'not_applied', run };
}

async function rollBackBatch(
  ctx: CommandContext,
  trx: Trx,
  run: OverdueRun,
  subscriberIds: readonly SubscriberId[],
): Promise<{ rolledBack: number; kept: number }> {
  await lockSubscribers(trx, subscriberIds);
  if (!(await touchRun(trx, run.id, ['rolling_back']))) return { rolledBack: 0, kept: 0 };
  const actions = await actionsOf(trx, run.id, subscriberIds, ['applied', 'planned']);
  const ours = (await openSuspensionsOf(trx, subscriberIds, 'overdue')).filter(
    (suspension) => suspension.openedByRunId === run.id,
  );
  const at = ctx.clock.now();
  const actor = run.rolledBackBy ?? ctx.actor;
  const note = run.rollbackNote ?? '';
  await closeSuspensions(trx, ours, {
    at,
    actor,
    correlationId: correlationOf(run.id),
    // A person waits for this, and thousands are without service: before bulk, after payments.
    priority: 'staff',
    because: 'rolled_back',
    note,
  });
  const closed = new Set(ours.map((suspension) => suspension.subscriptionId));
  const isUndone = (action: (typeof actions)[number]) =>
    closed.has(action.subscriptionId) || action.state === 'planned';
  const undone = actions.filter(isUndone).map((action) => action.subscriptionId);
  const kept = actions.filter((action) => !isUndone(action)).map((action) => action.subscriptionId);
  const untilOn = await deferUntil(trx, run, at);
  await recordDeferrals(
    trx,
    undone.map((subscriptionId) => ({
      subscriptionId,
      source: 'rollback',
      untilOn,
      runId: run.id,
      note,
      onceKey: `rollback:${run.id}:${subscriptionId}`,
    })),
    { at, actor },
  );
  await markActions(trx, run.id, undone, { state: 'rolled_back', why: '', at });
  await markActions(trx, run.id, kept, { state: 'kept', why: 'closed_before', at });
  return { rolledBack: undone.length, kept: kept.length };
}

/** Counted from the rollback's own day; a run that was as of a later day than that does not exist. */
async function deferUntil(trx: Trx, run: OverdueRun, at: Date): Promise<Day> {
  const settings = await readSettings(trx);
  const today = dayIn(settings.zone, run.rolledBackAt ?? at);
  return addDays(today < run.asOf ? run.asOf : today, settings.deferralDays);
}

async function finish(ctx: CommandContext, runId: OverdueRunId): Promise<void> {
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    if (!(await touchRun(trx, runId, ['rolling_back']))) return;
    const counts = await countActions(trx, runId);
    if (counts.planned + counts.applied > 0) return;
    await moveRun(trx, runId, ['rolling_back'], { state: 'rolled_back', finishedAt: at });
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'overdue_run.rolled_back',
      subject: { kind: 'overdue_run', id: runId },
      correlationId: correlationOf(runId),
      diff: { ...counts },
    });
  });
}
