import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction, isConflict, type Trx } from '../db/knex.ts';
import { debtsOf, overdueFactsOf } from '../db/overdue-facts.ts';
import {
  type ActionRow,
  type ActionState,
  actionsOf,
  countActions,
  findRun,
  markActions,
  markApplied,
  moveRun,
  nextSubscribers,
  type OverdueRun,
  touchRun,
} from '../db/overdue-runs.ts';
import { parkSubscriptions, settleParked } from '../db/parked.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { openSuspensions } from '../db/suspensions.ts';
import { dayIn } from '../domain/day.ts';
import type { OverdueRunId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { decideOverdue, type LeaveWhy, type OverdueDecision, type ParkWhy } from '../domain/overdue.ts';
import { AppError, notFound } from '../errors.ts';
import { describeError } from '../log.ts';
import { isAboutSomebody, reasonOf } from './run-faults.ts';
import { inTurn, patienceWith } from './run-turns.ts';

export type ActionCounts = Readonly<Record<ActionState, number>>;

export interface ApplyProgress {
  readonly runId: OverdueRunId;
  /** Actions that are settled, of all. */
  readonly done: number;
  readonly total: number;
  readonly applied: number;
  readonly changed: number;
  readonly parked: number;
}

export type ApplyResult =
  | { readonly ok: true; readonly run: OverdueRun; readonly counts: ActionCounts }
  | {
      readonly ok: false;
      readonly reason:
        'future_as_of' | 'not_planned_yet' | 'not_approved' | 'stopped' | 'cancelled' | 'rolled_back';
      readonly run: OverdueRun;
    };

/** What all rows of a run carry as their correlation id, whichever process applies it. */
export function correlationOf(runId: OverdueRunId): string {
  return `overdue-run:${runId}`;
}

/** Throws AppError `not_found`. */
export async function runOf(ctx: CommandContext, runId: OverdueRunId): Promise<OverdueRun> {
  const run = await findRun(ctx.db, runId);
  if (run === undefined) throw notFound(`overdue run ${runId}`);
  return run;
}

/**
 * Suspends what the run planned, at most 500 subscribers a transaction. Each subscriber is decided again from fresh
 * facts under the lock that payments take too, so a payment in the middle of a run wins. Killed at any point and called
 * again, or called twice at once, it ends in the same state: a batch moves its actions out of `planned` in the same
 * transaction that opens the suspensions. Where another process is at the run, this waits for its end.
 */
export async function applyOverdueRun(
  ctx: CommandContext,
  input: {
    runId: OverdueRunId;
    progress?: (progress: ApplyProgress) => Promise<void> | void;
    batchSize?: number;
  },
): Promise<ApplyResult> {
  const refused = await beginOverdueRun(ctx, input);
  if (refused !== null) return refused;
  const turn = {
    run: { kind: 'overdue', id: input.runId },
    isOver: async () => (await runOf(ctx, input.runId)).state !== 'applying',
    whileWaiting: async () =>
      input.progress?.(progressOf(input.runId, await countActions(ctx.db, input.runId))),
  } as const;
  const outcome = await inTurn(ctx, turn, () => applyBatches(ctx, input));
  if (outcome?.ok === false) return outcome;
  await finish(ctx, input.runId);
  const run = await runOf(ctx, input.runId);
  // While it waited for the process that was at it, the run was taken back.
  if (outcome === undefined && run.state !== 'applied') return { ok: false, reason: 'stopped', run };
  return { ok: true, run, counts: await countActions(ctx.db, run.id) };
}

type Applying = Parameters<typeof applyOverdueRun>[1];
type Stopped = Extract<ApplyResult, { ok: false }>;

async function applyBatches(ctx: CommandContext, input: Applying): Promise<{ ok: true } | Stopped> {
  const run = await runOf(ctx, input.runId);
  const counts = await countActions(ctx.db, run.id);
  let after: SubscriberId | null = null;
  while (run.state === 'applying') {
    const limit = Math.min(input.batchSize ?? 500, 500);
    const subscriberIds = await nextSubscribers(ctx.db, run.id, ['planned'], { after, limit });
    after = subscriberIds.at(-1) ?? null;
    if (after === null) break;
    const outcome = await applyTo(ctx, run, subscriberIds);
    if (outcome === 'stopped') {
      const now = await runOf(ctx, run.id);
      // Another worker has done the rest meanwhile: that is the end that both were after.
      if (now.state === 'applied') break;
      return { ok: false, reason: 'stopped', run: now };
    }
    ctx.wake('worker');
    const settled = outcome.applied + outcome.changed + outcome.parked;
    // Fewer than there are subscribers: another worker, or this one in a transaction whose answer was lost.
    if (settled < subscriberIds.length) Object.assign(counts, await countActions(ctx.db, run.id));
    else addUp(counts, outcome);
    await input.progress?.(progressOf(run.id, counts));
  }
  return { ok: true };
}

function addUp(
  counts: Record<ActionState, number>,
  outcome: { applied: number; changed: number; parked: number },
): void {
  for (const state of ['applied', 'changed', 'parked'] as const) {
    counts[state] += outcome[state];
    counts.planned -= outcome[state];
  }
}

/**
 * Moves the run to `applying`, or says why not; one that is applying or applied already is no refusal. From then on it
 * will be applied: by who called this and goes on, or, should that process die, by the timetable's resume.
 */
export async function beginOverdueRun(
  ctx: CommandContext,
  input: { runId: OverdueRunId },
): Promise<Extract<ApplyResult, { ok: false }> | null> {
  const { runId } = input;
  const run = await runOf(ctx, runId);
  const at = ctx.clock.now();
  const today = dayIn((await readSettings(ctx.db)).zone, at);
  if (run.asOf > today) return { ok: false, reason: 'future_as_of', run };
  switch (run.state) {
    case 'planning':
      return { ok: false, reason: 'not_planned_yet', run };
    case 'held':
      return { ok: false, reason: 'not_approved', run };
    case 'cancelled':
      return { ok: false, reason: 'cancelled', run };
    case 'rolling_back':
    case 'rolled_back':
      return { ok: false, reason: 'rolled_back', run };
    case 'applying':
    case 'applied':
      return null;
    case 'planned':
    case 'approved':
  }
  await inTransaction(ctx.db, async (trx) => {
    const isOurs = await moveRun(trx, runId, ['planned', 'approved'], { state: 'applying', startedAt: at });
    if (!isOurs) return;
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'overdue_run.apply',
      subject: { kind: 'overdue_run', id: runId },
      correlationId: correlationOf(runId),
      diff: { asOf: run.asOf, planned: run.plannedCount, requestedAs: ctx.correlationId },
    });
  });
  // Somebody may have cancelled it in between: what it is now decides.
  return await beginOverdueRun(ctx, input);
}

type Outcome = { applied: number; changed: number; parked: number } | 'stopped';

/** When at least so many fail together and nobody succeeds, the fault is not theirs and the run stops. */
const commonFaultMin = 10;

/**
 * One batch. When it fails over somebody's data it is halved until the broken subscribers stand alone; those are
 * parked, and the others get what was planned. Any other failure ends the attempt; the run is called again later.
 */
async function applyTo(
  ctx: CommandContext,
  run: OverdueRun,
  subscriberIds: readonly SubscriberId[],
): Promise<Outcome> {
  const broken: Broken[] = [];
  const outcome = await applyOrHalve(ctx, run, subscriberIds, broken);
  if (outcome === 'stopped' || broken.length === 0) return outcome;
  if (broken.length >= commonFaultMin && outcome.applied + outcome.changed === 0) {
    throw new AppError(
      'unavailable',
      `overdue run ${run.id}: everybody in a batch fails: ${broken[0]?.reason ?? ''}`,
    );
  }
  const parked = await parkBroken(ctx, run, broken);
  return parked === 'stopped' ? parked : { ...outcome, parked: outcome.parked + parked };
}

interface Broken {
  readonly subscriberId: SubscriberId;
  readonly reason: string;
}

async function applyOrHalve(
  ctx: CommandContext,
  run: OverdueRun,
  subscriberIds: readonly SubscriberId[],
  broken: Broken[],
  attempts = 6,
): Promise<Outcome> {
  try {
    const patience = { attempts, ...patienceWith(subscriberIds) };
    return await inTransaction(ctx.db, (trx) => applyBatch(ctx, trx, run, subscriberIds), patience);
  } catch (error) {
    if (!isAboutSomebody(error)) throw error;
    // A batch is halved over conflicts too, but one by itself is not broken for having lost to others.
    if (isConflict(error) && subscriberIds.length === 1) throw error;
    ctx.log.warn('overdue batch failed', {
      runId: run.id,
      subscribers: subscriberIds.length,
      error: describeError(error),
    });
    const [subscriberId, ...others] = subscriberIds;
    if (subscriberId === undefined || others.length === 0) {
      if (subscriberId !== undefined) broken.push({ subscriberId, reason: reasonOf(error) });
      return { applied: 0, changed: 0, parked: 0 };
    }
  }
  const middle = Math.ceil(subscriberIds.length / 2);
  const first = await applyOrHalve(ctx, run, subscriberIds.slice(0, middle), broken, 2);
  if (first === 'stopped') return first;
  const second = await applyOrHalve(ctx, run, subscriberIds.slice(middle), broken, 2);
  if (second === 'stopped') return second;
  return {
    applied: first.applied + second.applied,
    changed: first.changed + second.changed,
    parked: first.parked + second.parked,
  };
}

async function applyBatch(
  ctx: CommandContext,
  trx: Trx,
  run: OverdueRun,
  subscriberIds: readonly SubscriberId[],
): Promise<Outcome> {
  await lockSubscribers(trx, subscriberIds);
  if (!(await touchRun(trx, run.id, ['applying']))) return 'stopped';
  const actions = await actionsOf(trx, run.id, subscriberIds, ['planned']);
  const verdicts = await decideAgain(trx, run, actions);
  const at = ctx.clock.now();
  const suspend = verdicts.filter((verdict) => verdict.kind === 'suspend');
  await openSuspensions(
    trx,
    suspend.map(({ action }) => ({
      subscriptionId: action.subscriptionId,
      subscriberId: action.subscriberId,
      cause: 'overdue',
      effect: action.effect,
      throttleRate: action.throttleRate,
      runId: run.id,
    })),
    { at, actor: ctx.actor, correlationId: correlationOf(run.id), priority: 'run' },
  );
  const suspended = suspend.map(({ action }) => action.subscriptionId);
  await markApplied(trx, run.id, suspended, at);
  await settleParked(trx, 'overdue', suspended, at);
  const changed = verdicts.filter((verdict) => verdict.kind === 'changed');
  for (const [why, ids] of byWhy(changed)) await markActions(trx, run.id, ids, { state: 'changed', why, at });
  const parked = verdicts.filter((verdict) => verdict.kind === 'park');
  for (const [why, ids] of byWhy(parked)) await park(trx, run.id, ids, why, at);
  return { applied: suspend.length, changed: changed.length, parked: parked.length };
}

type Verdict =
  | { readonly kind: 'suspend'; readonly action: ActionRow }
  | { readonly kind: 'changed'; readonly action: ActionRow; readonly why: ChangedWhy }
  | { readonly kind: 'park'; readonly action: ActionRow; readonly why: ParkWhy };

/** What became of an action between plan and apply. `paid`: nothing is past due and grace any more. */
export type ChangedWhy = LeaveWhy | 'paid' | 'effect_changed';

async function decideAgain(trx: Trx, run: OverdueRun, actions: readonly ActionRow[]): Promise<Verdict[]> {
  const subscriberIds = [...new Set(actions.map((action) => action.subscriberId))];
  const debts = await debtsOf(trx, subscriberIds, run.asOf);
  const facts = await overdueFactsOf(trx, debts, subscriberIds);
  const bySubscription = new Map(facts.map((fact) => [fact.subscriptionId, fact]));
  return actions.map((action) => {
    const fact = bySubscription.get(action.subscriptionId);
    if (fact === undefined) return { kind: 'changed', action, why: 'terminated' };
    return verdictOn(action, decideOverdue(fact, run.asOf));
  });
}

/**
 * What was shown and approved is done, or it is left: a profile that became stricter since then is for the next run,
 * which shows it first.
 */
function verdictOn(action: ActionRow, decision: OverdueDecision): Verdict {
  switch (decision.action) {
    case 'park':
      return { kind: 'park', action, why: decision.why };
    case 'leave': {
      const isPaid = decision.why === 'not_overdue' || decision.why === 'in_grace';
      return { kind: 'changed', action, why: isPaid ? 'paid' : decision.why };
    }
    case 'suspend': {
      const isSame = decision.effect === action.effect && decision.throttleRate === action.throttleRate;
      return isSame ? { kind: 'suspend', action } : { kind: 'changed', action, why: 'effect_changed' };
    }
  }
}

function byWhy(verdicts: readonly { action: ActionRow; why: string }[]): Map<string, SubscriptionId[]> {
  const groups = new Map<string, SubscriptionId[]>();
  for (const { action, why } of verdicts) {
    const group = groups.get(why);
    if (group === undefined) groups.set(why, [action.subscriptionId]);
    else group.push(action.subscriptionId);
  }
  return groups;
}

async function parkBroken(
  ctx: CommandContext,
  run: OverdueRun,
  broken: readonly Broken[],
): Promise<number | 'stopped'> {
  return await inTransaction(ctx.db, async (trx) => {
    // Not the subscribers' lock: it may be what cannot be had.
    if (!(await touchRun(trx, run.id, ['applying']))) return 'stopped';
    const reasons = new Map(broken.map(({ subscriberId, reason }) => [subscriberId, reason]));
    const actions = await actionsOf(trx, run.id, [...reasons.keys()], ['planned']);
    const at = ctx.clock.now();
    const verdicts = actions.map((action) => ({ action, why: reasons.get(action.subscriberId) ?? '' }));
    for (const [reason, ids] of byWhy(verdicts)) await park(trx, run.id, ids, reason, at);
    return actions.length;
  });
}

async function park(
  trx: Trx,
  runId: OverdueRunId,
  subscriptionIds: readonly SubscriptionId[],
  reason: string,
  at: Date,
): Promise<void> {
  await markActions(trx, runId, subscriptionIds, { state: 'parked', why: reason, at });
  await parkSubscriptions(
    trx,
    subscriptionIds.map((subscriptionId) => ({ subscriptionId, reason })),
    { kind: 'overdue', id: runId, at },
  );
}

/** Done when no action is left planned; a second worker may be settling the last batch, and then finishes itself. */
async function finish(ctx: CommandContext, runId: OverdueRunId): Promise<void> {
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    if (!(await touchRun(trx, runId, ['applying']))) return;
    const counts = await countActions(trx, runId);
    if (counts.planned > 0) return;
    await moveRun(trx, runId, ['applying'], { state: 'applied', finishedAt: at });
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'overdue_run.applied',
      subject: { kind: 'overdue_run', id: runId },
      correlationId: correlationOf(runId),
      diff: { ...counts },
    });
  });
}

function progressOf(runId: OverdueRunId, counts: ActionCounts): ApplyProgress {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return {
    runId,
    done: total - counts.planned,
    total,
    applied: counts.applied,
    changed: counts.changed,
    parked: counts.parked,
  };
}
