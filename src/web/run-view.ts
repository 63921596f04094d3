import { type RunActionView, runActions, runReasons } from '../db/overdue-reports.ts';
import {
  countOpenSuspensionsOf,
  evidenceByRouter,
  largestDebts,
  plannedTotals,
  type RouterEvidence,
} from '../db/overdue-run-view.ts';
import { type ActionState, type OverdueRun, type RunState } from '../db/overdue-runs.ts';
import { areSame, bigRun, evidenceMost, findRunSums, type RunSums, sampleSize } from '../db/run-sums.ts';
import { readSchedule } from '../db/schedule.ts';
import { addDays, dayIn } from '../domain/day.ts';
import type { OverdueRunId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { filterLinks, keysetOf, listSize, paged, textQuery } from './list.ts';
import type { Page } from './page.ts';
import {
  actionState,
  actorText,
  counted,
  effectText,
  groundOf,
  isUnderWay,
  outcomeMeaning,
  reachMeaning,
  reachWords,
  runState,
  whyText,
} from './run-words.ts';

/** A number of ours in an address. */
export function isId(text: string | undefined): text is OverdueRunId {
  return text !== undefined && /^[1-9]\d{0,18}$/.test(text);
}

const order: readonly ActionState[] = [
  'planned',
  'applied',
  'changed',
  'parked',
  'excluded',
  'rolled_back',
  'kept',
];

export function actionStateOf(text: string): ActionState | undefined {
  return order.find((state) => state === text);
}

type Counts = Record<ActionState, number>;

/** Everything on a run's page but the list of its actions. */
export async function pagePart(page: Page, run: OverdueRun, counts: Counts) {
  const { db } = page.app;
  const isPlanned = run.state !== 'planning';
  const kept = await keptSums(page, run, counts);
  const totals = isPlanned ? (kept?.totals ?? (await plannedTotals(db, run.id))) : null;
  const isWaiting = run.state === 'planned' || run.state === 'held' || run.state === 'approved';
  const sample = isWaiting ? (kept?.sample ?? (await largestDebts(db, run.id, sampleSize))) : [];
  return {
    run: {
      id: run.id,
      asOf: run.asOf,
      state: runState(run.state),
      requestedBy: actorText(run.requestedBy),
      requestedAt: run.requestedAt,
      heldBecause: run.heldBecause,
      approvedBy: run.approvedBy,
      approvedAt: run.approvedAt,
      startedAt: run.startedAt,
      finishedAt: run.finishedAt,
      rolledBackBy: run.rolledBackBy,
      rolledBackAt: run.rolledBackAt,
      rollbackNote: run.rollbackNote,
      plannedCount: run.plannedCount,
      subjectCount: run.subjectCount,
      openMinor: run.plannedOpenMinor,
      isPlanned,
    },
    progress: await progressPart(page, run, counts),
    outcomes: outcomesOf(run, counts),
    reasons: reasonsOf(kept?.reasons ?? (await runReasons(db, run.id))),
    totals:
      totals === null || totals.effects.length === 0
        ? null
        : {
            effects: totals.effects.map((one) => ({
              ...one,
              text: effectText(one.effect, one.throttleRate),
            })),
            reach: (['yes', 'no', 'no_session', 'unknown'] as const)
              .filter((kind) => totals.reachable[kind] > 0)
              .map((kind) => ({
                word: reachWords[kind],
                meaning: reachMeaning[kind],
                count: totals.reachable[kind],
              })),
          },
    sample: sample.map((one) => ({ ...one, text: effectText(one.effect, one.throttleRate) })),
    evidence: await evidencePart(page, run),
    acts: {
      ...(await actsOf(page, run, counts)),
      openMinor: (totals?.effects ?? []).reduce((sum, one) => sum + one.openMinor, 0n),
    },
  };
}

/** What this person can do with the run now, with what it will do to how many. */
async function actsOf(page: Page, run: OverdueRun, counts: Counts) {
  const today = dayIn(page.settings.zone, page.now);
  const isIn = (...states: RunState[]) => states.includes(run.state);
  const isFuture = run.asOf > today;
  const isOwn = run.requestedBy === page.staff?.username;
  const canRollBack = isIn('applied', 'applying') && page.may('run.roll_back');
  const restored = canRollBack ? await countOpenSuspensionsOf(page.app.db, run.id) : 0;
  return {
    isFuture: isFuture && isIn('planned', 'approved', 'held'),
    isHeld: isIn('held'),
    isOwnHeld: isIn('held') && isOwn,
    isNothing: isIn('planned', 'approved') && counts.planned === 0,
    canApprove: isIn('held') && !isOwn && page.may('run.approve'),
    canApply: isIn('planned', 'approved') && !isFuture && counts.planned > 0 && page.may('run.apply'),
    canExclude: isIn('planned', 'held', 'approved', 'applying') && page.may('run.plan'),
    canCancel: isIn('planning', 'planned', 'held', 'approved') && page.may('run.plan'),
    canRollBack,
    isApplying: isIn('applying'),
    isNothingToRestore: isIn('applied') && restored === 0,
    restoredText: counted(restored, 'subscription'),
    deferredUntil: addDays(today < run.asOf ? run.asOf : today, page.settings.deferralDays),
    deferralDays: page.settings.deferralDays,
    // Of those still in it: who was excluded is not suspended, and not counted.
    planned: counted(counts.planned, 'subscription'),
  };
}

function outcomesOf(run: OverdueRun, counts: Counts) {
  return order
    .filter((state) => counts[state] > 0)
    .map((state) => ({
      ...actionState(state),
      meaning: state === 'planned' && !isUnderWay(run) ? 'waiting to be applied' : outcomeMeaning[state],
      count: counts[state],
      href: `/runs/${run.id}?state=${state}#actions`,
    }));
}

function reasonsOf(reasons: RunSums['reasons']) {
  return reasons.map((reason) => ({
    ...actionState(reason.state),
    text: whyText(reason.why),
    count: reason.count,
  }));
}

/** What the job summed of a big run, where nothing has moved since; null: the page sums it up itself. */
async function keptSums(page: Page, run: OverdueRun, counts: Counts): Promise<RunSums | null> {
  if (run.plannedCount <= bigRun) return null;
  const found = await findRunSums(page.app.db, run.id);
  return found !== undefined && areSame(found.sums.counts, counts) ? found.sums : null;
}

/** How far the work is; null when none is under way. */
export async function progressPart(page: Page, run: OverdueRun, counts: Counts) {
  if (!isUnderWay(run)) return null;
  const all = order.reduce((sum, state) => sum + counts[state], 0);
  const undone = counts.rolled_back + counts.kept;
  const parts = {
    planning: { word: 'Planning', done: all, total: null },
    applying: { word: 'Applying', done: all - counts.planned, total: all },
    rolling_back: { word: 'Rolling back', done: undone, total: undone + counts.applied + counts.planned },
  };
  return {
    runId: run.id,
    ...parts[run.state as keyof typeof parts],
    outcomes: outcomesOf(run, counts),
    failure: await failureOf(page, run),
    canPlanAgain:
      run.state === 'planning' &&
      page.may('run.plan') &&
      page.now.getTime() - run.requestedAt.getTime() > 120_000,
  };
}

/** Why the timetable could not go on with interrupted runs when it last tried, if that is since this one began. */
async function failureOf(page: Page, run: OverdueRun): Promise<string | null> {
  const job = (await readSchedule(page.app.db)).find((row) => row.name === 'resume-overdue-runs');
  const { lastOutcome, lastFinishedAt } = job ?? { lastOutcome: null, lastFinishedAt: null };
  const since = run.rolledBackAt ?? run.startedAt ?? run.requestedAt;
  if (lastOutcome === null || lastFinishedAt === null || lastFinishedAt < since) return null;
  return lastOutcome.startsWith('failed: ') ? lastOutcome.slice('failed: '.length) : null;
}

const watchedMs = 3_600_000;

/** What the routers answered; null before anybody is suspended. */
export async function evidencePart(page: Page, run: OverdueRun) {
  if (run.startedAt === null) return null;
  const kept = run.plannedCount > bigRun ? await findRunSums(page.app.db, run.id) : undefined;
  const isKept = kept !== undefined && kept.madeAt > run.startedAt;
  const rows = isKept ? kept.sums.evidence : await evidenceByRouter(page.app.db, run.id, evidenceMost);
  const sum = (name: keyof Omit<RouterEvidence, 'routerId' | 'routerName'>) =>
    rows.reduce((total, row) => total + row[name], 0);
  const logins = sum('logins');
  if (logins === 0) return null;
  const last = run.rolledBackAt ?? run.finishedAt ?? run.startedAt;
  const isOver = run.state === 'rolled_back';
  return {
    runId: run.id,
    logins,
    decided: sum('decided'),
    isOver,
    /** Null: counted just now. */
    countedAt: isKept ? kept.madeAt : null,
    isCut: logins >= evidenceMost,
    isLive: isUnderWay(run) || (!isOver && page.now.getTime() - last.getTime() < watchedMs),
    routers: rows.filter((row) => row.routerId !== null),
    nothingSent: rows.find((row) => row.routerId === null)?.logins ?? 0,
  };
}

/** The list of actions: filters, one page of rows, and what is ticked. */
export async function actionsPart(
  page: Page,
  run: OverdueRun,
  how: { counts: Counts; ticked: readonly string[] },
) {
  const { counts, ticked } = how;
  const chosen = textQuery(page, 'state');
  const state = actionStateOf(chosen);
  const keyset = keysetOf(page);
  const [subscriberId, subscriptionId] = keyset?.values ?? [];
  const key =
    keyset !== null && isId(subscriberId) && isId(subscriptionId)
      ? {
          [keyset.direction]: {
            subscriberId: subscriberId as string as SubscriberId,
            subscriptionId: subscriptionId as string as SubscriptionId,
          },
        }
      : {};
  const rows = await runActions(page.app.db, run.id, {
    ...(state === undefined ? {} : { states: [state] }),
    ...key,
    limit: listSize + 1,
  });
  const { rows: actions, pager } = paged(page, rows, keyset, (row) => [row.subscriberId, row.subscriptionId]);
  const isOpen = ['planned', 'held', 'approved', 'applying'].includes(run.state) && page.may('run.plan');
  return {
    filters: filterLinks(page, 'state', [
      { value: '', label: 'All', count: order.reduce((sum, one) => sum + counts[one], 0) },
      ...order
        .filter((one) => counts[one] > 0 || one === chosen)
        .map((one) => ({ value: one, label: actionState(one).word, count: counts[one] })),
    ]),
    actions: actions.map((action) => actionRow(run, action, { isOpen, ticked })),
    pager,
    csvHref: `/runs/${run.id}/actions.csv${state === undefined ? '' : `?state=${state}`}`,
    formHref: page.req.originalUrl,
  };
}

function actionRow(
  run: OverdueRun,
  action: RunActionView,
  how: { isOpen: boolean; ticked: readonly string[] },
) {
  const closed = action.suspension?.closedBecause ?? null;
  return {
    subscriptionId: action.subscriptionId,
    subscriberId: action.subscriberId,
    subscriberName: action.subscriberName,
    usernames: action.usernames.join(', '),
    ...groundOf(action, run.asOf),
    openMinor: action.openMinor,
    effect: effectText(action.effect, action.throttleRate),
    reach: reachWords[action.routerReachable],
    state: actionState(action.state),
    why: whyText(action.why),
    wasSuspended: action.suspension !== null,
    ended: closed === null || action.state !== 'applied' ? null : closed.replaceAll('_', ' '),
    endedAt: action.suspension?.closedAt ?? null,
    canTick: how.isOpen && (action.state === 'planned' || action.state === 'parked'),
    isTicked: how.ticked.includes(action.subscriptionId),
  };
}
