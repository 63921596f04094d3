import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { hasDeferral, recordDeferrals } from '../db/deferrals.ts';
import { chunksOf, inTransaction } from '../db/knex.ts';
import {
  type ActionRow,
  actionsOf,
  actionsOfSubscriptions,
  countActions,
  insertRun,
  markActions,
  moveRun,
  type OverdueRun,
  plannedDebt,
  replacePlanned,
  type RunAction,
  runsIn,
  touchRun,
} from '../db/overdue-runs.ts';
import { parkSubscriptions } from '../db/parked.ts';
import { isRunLeased } from '../db/run-leases.ts';
import { readSettings } from '../db/settings.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { type Day, dayIn } from '../domain/day.ts';
import type { OverdueRunId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { deferUntil, isUnusual } from '../domain/overdue.ts';
import { compareIds } from '../domain/payment-allocation.ts';
import { invalid } from '../errors.ts';
import { day, line, parseInput } from '../input.ts';
import { applyOverdueRun, type ApplyProgress, correlationOf, runOf } from './overdue-run-apply.ts';
import { type PlannedAction, planOverdueRun, type PlanPage, type PlanTotals } from './overdue-run-plan.ts';
import { rollbackRun } from './overdue-run-rollback.ts';

const createSchema = z.strictObject({ asOf: day(), onceKey: line(40).optional() });

export interface CreatedRun {
  readonly run: OverdueRun;
  /** False when a run with this once_key had been planned before; that one is given. */
  readonly isNew: boolean;
}

/**
 * Plans a run and writes it down for people to look at: `planned`, or `held` when it is unusually large. One once_key
 * is one run; if its planning was killed, this call plans it afresh.
 */
export async function createOverdueRun(
  ctx: CommandContext,
  input: z.input<typeof createSchema>,
): Promise<CreatedRun> {
  const opened = await openOverdueRun(ctx, input);
  if (opened.state !== 'planning') return { run: opened, isNew: false };
  return { run: await planOpenRun(ctx, opened.id), isNew: true };
}

/**
 * Writes down that a run is wanted, and plans nothing yet. It will be planned: by who called this and goes on with
 * `planOpenRun`, or, should that process die, by the timetable's resume.
 */
export async function openOverdueRun(
  ctx: CommandContext,
  input: z.input<typeof createSchema>,
): Promise<OverdueRun> {
  const wanted = parseInput(createSchema, input);
  const at = ctx.clock.now();
  // A run by hand has a key of its own, so that a repeated transaction finds its first row and makes no second run.
  const onceKey = wanted.onceKey ?? `hand:${randomBytes(12).toString('hex')}`;
  const id = await inTransaction(ctx.db, (trx) =>
    insertRun(trx, { asOf: wanted.asOf, onceKey, actor: ctx.actor, at }),
  );
  return await runOf(ctx, id);
}

/** Plans a run that is still `planning`, from its beginning; one that is past that stays as it is. */
export async function planOpenRun(ctx: CommandContext, id: OverdueRunId): Promise<OverdueRun> {
  const run = await runOf(ctx, id);
  if (run.state !== 'planning') return run;
  const totals = await planOverdueRun(ctx.db, run.asOf, (page) => writePage(ctx, id, page));
  await finishPlanning(ctx, id, totals);
  return await runOf(ctx, id);
}

async function writePage(ctx: CommandContext, id: OverdueRunId, page: PlanPage): Promise<void> {
  await inTransaction(ctx.db, async (trx) => {
    // Another process may have finished planning, or somebody cancelled: then there is nothing to write any more.
    if (!(await touchRun(trx, id, ['planning']))) return;
    await replacePlanned(trx, id, page, page.actions.map(asRunAction));
    await parkSubscriptions(
      trx,
      page.actions.flatMap(({ subscriptionId, park }) =>
        park === null ? [] : [{ subscriptionId, reason: park }],
      ),
      { kind: 'overdue', id, at: ctx.clock.now() },
    );
  });
}

function asRunAction(action: PlannedAction): RunAction {
  return {
    subscriptionId: action.subscriptionId,
    subscriberId: action.subscriberId,
    effect: action.effect,
    throttleRate: action.throttleRate,
    openMinor: action.debt.openMinor,
    invoiceCount: action.debt.invoiceCount,
    oldestDueOn: action.debt.oldestDueOn,
    routerReachable: action.routerReachable,
    state: action.park === null ? 'planned' : 'parked',
    why: action.park ?? '',
  };
}

async function finishPlanning(ctx: CommandContext, id: OverdueRunId, totals: PlanTotals): Promise<void> {
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    if (!(await touchRun(trx, id, ['planning']))) return;
    const settings = await readSettings(trx);
    // Counted from the rows, not from this attempt: they are what will be applied.
    const planned = (await countActions(trx, id)).planned;
    const isHeld = isUnusual({ planned, subjects: totals.subjects }, settings);
    const heldBecause = isHeld
      ? `would suspend ${planned} of ${totals.subjects} active subscriptions; the limit is ${settings.overdueLimitPermille} in 1000 and ${settings.overdueLimitCount}`
      : null;
    await moveRun(trx, id, ['planning'], {
      state: isHeld ? 'held' : 'planned',
      heldBecause,
      subjectCount: totals.subjects,
      plannedCount: planned,
      plannedOpenMinor: await plannedDebt(trx, id),
    });
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'overdue_run.plan',
      subject: { kind: 'overdue_run', id },
      correlationId: correlationOf(id),
      outcome: isHeld ? 'held' : 'done',
      diff: { asOf: totals.asOf, planned, subjects: totals.subjects, left: totals.left, heldBecause },
    });
  });
}

const excludeSchema = z.strictObject({
  runId: z.custom<OverdueRunId>(),
  subscriptionIds: z.array(z.custom<SubscriptionId>()).max(10_000).optional(),
  subscriberIds: z.array(z.custom<SubscriberId>()).max(10_000).optional(),
  note: line(255),
  untilOn: day().optional(),
});

export type ExcludeResult =
  | {
      readonly ok: true;
      readonly excluded: readonly SubscriptionId[];
      /** Named, but not waiting in this run: suspended already, changed, or never part of it. */
      readonly notPlanned: number;
      readonly untilOn: Day;
    }
  | { readonly ok: false; readonly reason: 'not_open'; readonly run: OverdueRun };

/**
 * Takes subscriptions out of a run that has not reached them, and defers them, so that the next scheduled run leaves
 * them alone as well until `untilOn` (else so many days as the operator's settings say).
 */
export async function excludeFromRun(
  ctx: CommandContext,
  input: z.input<typeof excludeSchema>,
): Promise<ExcludeResult> {
  const wanted = parseInput(excludeSchema, input);
  const settings = await readSettings(ctx.db);
  const at = ctx.clock.now();
  const today = dayIn(settings.zone, at);
  const run = await runOf(ctx, wanted.runId);
  const until = deferUntil(wanted.untilOn, {
    today: run.asOf > today ? run.asOf : today,
    days: settings.deferralDays,
  });
  if (!until.ok) throw invalid('untilOn', until.rule);
  const untilOn = until.day;
  const bySubscription = await actionsOfSubscriptions(ctx.db, run.id, wanted.subscriptionIds ?? []);
  const subscriberIds = [
    ...new Set([...(wanted.subscriberIds ?? []), ...bySubscription.map((action) => action.subscriberId)]),
  ].sort(compareIds);
  const wholly = new Set(wanted.subscriberIds ?? []);
  const singly = new Set(wanted.subscriptionIds ?? []);
  const isNamed = (action: ActionRow) => wholly.has(action.subscriberId) || singly.has(action.subscriptionId);
  const excluded: SubscriptionId[] = [];
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const done = await excludeBatch(ctx, run.id, chunk, { isNamed, untilOn, note: wanted.note, at });
    if (done === null) return { ok: false, reason: 'not_open', run: await runOf(ctx, run.id) };
    excluded.push(...done);
  }
  const missing = wholly.size + singly.size - excluded.length;
  return { ok: true, excluded, notPlanned: Math.max(0, missing), untilOn };
}

async function excludeBatch(
  ctx: CommandContext,
  runId: OverdueRunId,
  subscriberIds: readonly SubscriberId[],
  how: { isNamed: (action: ActionRow) => boolean; untilOn: Day; note: string; at: Date },
): Promise<SubscriptionId[] | null> {
  let own: SubscriptionId[] | null = null;
  return await inTransaction(ctx.db, async (trx) => {
    await lockSubscribers(trx, subscriberIds);
    // Excluded by this very call, in a transaction whose answer was lost: it is done.
    if (own !== null && (await hasDeferral(trx, keyOf(runId, own[0])))) return own;
    if (!(await touchRun(trx, runId, ['planned', 'held', 'approved', 'applying']))) return null;
    const open = await actionsOf(trx, runId, subscriberIds, ['planned', 'parked']);
    const actions = open.filter(how.isNamed);
    const ids = actions.map((action) => action.subscriptionId);
    await markActions(trx, runId, ids, { state: 'excluded', why: how.note.slice(0, 190), at: how.at });
    await recordDeferrals(
      trx,
      ids.map((subscriptionId) => ({
        subscriptionId,
        source: 'exclusion',
        untilOn: how.untilOn,
        runId,
        note: how.note,
        onceKey: keyOf(runId, subscriptionId),
      })),
      { at: how.at, actor: ctx.actor },
    );
    await recordActivity(
      trx,
      actions.map((action) => ({
        at: how.at,
        actor: ctx.actor,
        verb: 'overdue_run.exclude',
        subject: { kind: 'subscription', id: action.subscriptionId },
        subscriberId: action.subscriberId,
        correlationId: ctx.correlationId,
        diff: { runId, untilOn: how.untilOn, note: how.note },
      })),
    );
    if (ids.length > 0) own = ids;
    return ids;
  });
}

function keyOf(runId: OverdueRunId, subscriptionId: SubscriptionId | undefined): string {
  return `exclusion:${runId}:${subscriptionId ?? ''}`;
}

export type ApproveResult =
  | { readonly ok: true; readonly run: OverdueRun }
  | {
      readonly ok: false;
      readonly reason: 'not_held' | 'needs_another_person' | 'needs_a_person';
      readonly run: OverdueRun;
    };

/** Actors that are no person: what they ask for any person may approve, and they approve nothing. */
const machines = new Set(['schedule', 'system']);

/** Lets a held run go on. It takes another person than the one who asked for it. */
export async function approveRun(
  ctx: CommandContext,
  input: { runId: OverdueRunId },
): Promise<ApproveResult> {
  const run = await runOf(ctx, input.runId);
  if (machines.has(ctx.actor)) return { ok: false, reason: 'needs_a_person', run };
  if (run.state === 'held' && run.requestedBy === ctx.actor) {
    return { ok: false, reason: 'needs_another_person', run };
  }
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    const to = { state: 'approved', approvedBy: ctx.actor, approvedAt: at } as const;
    if (!(await moveRun(trx, run.id, ['held'], to))) return;
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'overdue_run.approve',
      subject: { kind: 'overdue_run', id: run.id },
      correlationId: ctx.correlationId,
      diff: { heldBecause: run.heldBecause, requestedBy: run.requestedBy },
    });
  });
  const after = await runOf(ctx, run.id);
  // Approved by this same person a moment ago (a lost answer, a second click) is approved.
  return after.approvedBy === ctx.actor
    ? { ok: true, run: after }
    : { ok: false, reason: 'not_held', run: after };
}

export type CancelResult =
  | { readonly ok: true; readonly run: OverdueRun }
  | { readonly ok: false; readonly reason: 'applying' | 'over'; readonly run: OverdueRun };

/** Gives up a run that has not begun; one that has is rolled back instead. */
export async function cancelRun(
  ctx: CommandContext,
  input: { runId: OverdueRunId; note: string },
): Promise<CancelResult> {
  const { note } = parseInput(z.strictObject({ runId: z.custom<OverdueRunId>(), note: line(255) }), input);
  const at = ctx.clock.now();
  await inTransaction(ctx.db, async (trx) => {
    const from = ['planning', 'planned', 'held', 'approved'] as const;
    if (!(await moveRun(trx, input.runId, from, { state: 'cancelled', finishedAt: at }))) return;
    await recordActivity(trx, {
      at,
      actor: ctx.actor,
      verb: 'overdue_run.cancel',
      subject: { kind: 'overdue_run', id: input.runId },
      correlationId: ctx.correlationId,
      diff: { note },
    });
  });
  const run = await runOf(ctx, input.runId);
  if (run.state === 'cancelled') return { ok: true, run };
  return { ok: false, reason: run.state === 'applying' ? 'applying' : 'over', run };
}

/**
 * What the timetable calls: finishes runs that were killed half-way, then plans today's, in the operator's zone, and
 * applies it unless it is held. One run a day, however often it is called.
 */
export async function scheduledOverdueRun(
  ctx: CommandContext,
  options: { progress?: (progress: ApplyProgress) => Promise<void> | void } = {},
): Promise<{ run: OverdueRun; resumed: readonly OverdueRunId[] }> {
  const today = dayIn((await readSettings(ctx.db)).zone, ctx.clock.now());
  const resumed = await resumeOverdueRuns(ctx);
  await dropOutdated(ctx, today);
  const { run } = await createOverdueRun(ctx, { asOf: today, onceKey: scheduledKey(today) });
  if (run.state === 'planned' || run.state === 'approved' || run.state === 'applying') {
    await applyOverdueRun(ctx, { runId: run.id, ...options });
  }
  return { run: await runOf(ctx, run.id), resumed };
}

function scheduledKey(today: Day): string {
  return `scheduled:${today}`;
}

/** A plan by hand that is not done after so long is planned by the resume too; twice at once does no harm. */
const planningMs = 120_000;

/** Goes on with runs whose process was killed while it planned them, applied them or rolled them back. */
export async function resumeOverdueRuns(ctx: CommandContext): Promise<OverdueRunId[]> {
  const interrupted: OverdueRun[] = [];
  for (const run of await runsIn(ctx.db, ['planning', 'applying', 'rolling_back'])) {
    if (run.state === 'planning' && !isPlanLeft(run, ctx.clock.now())) continue;
    // Some process is at it: nothing was interrupted.
    if (await isRunLeased(ctx.db, { kind: 'overdue', id: run.id })) continue;
    interrupted.push(run);
    if (run.state === 'planning') await planOpenRun(ctx, run.id);
    else if (run.state === 'applying') await applyOverdueRun(ctx, { runId: run.id });
    else await rollbackRun(ctx, { runId: run.id, note: run.rollbackNote ?? 'resumed' });
  }
  return interrupted.map((run) => run.id);
}

/** The timetable plans its own runs again itself, and after a day nobody waits for a plan any more. */
function isPlanLeft(run: OverdueRun, now: Date): boolean {
  const age = now.getTime() - run.requestedAt.getTime();
  return run.onceKey?.startsWith('hand:') === true && age > planningMs && age < dayMs;
}

const dayMs = 86_400_000;

/**
 * A scheduled run of an earlier day that was planned and never begun: today's looks at the same debts afresh. And a plan
 * of anybody's whose process died over it.
 */
async function dropOutdated(ctx: CommandContext, today: Day): Promise<void> {
  const dayAgo = new Date(ctx.clock.now().getTime() - dayMs);
  for (const run of await runsIn(ctx.db, ['planning', 'planned'])) {
    const isScheduled = run.onceKey?.startsWith('scheduled:') === true && run.asOf < today;
    const isDead = run.state === 'planning' && run.requestedAt < dayAgo;
    if (!isScheduled && !isDead) continue;
    await cancelRun(ctx, { runId: run.id, note: `not begun in time; ${today} has a run of its own` });
  }
}
