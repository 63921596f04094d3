import { applyOverdueRun, type ApplyResult } from '../../billing/overdue-run-apply.ts';
import { type PlannedAction, planOverdueRun } from '../../billing/overdue-run-plan.ts';
import { rollbackRun } from '../../billing/overdue-run-rollback.ts';
import { approveRun, cancelRun, createOverdueRun, excludeFromRun } from '../../billing/overdue-run.ts';
import type { OverdueRun } from '../../db/overdue-runs.ts';
import type { OperatorSettings } from '../../db/settings.ts';
import { type Day, dayIn } from '../../domain/day.ts';
import type { OverdueRunId, SubscriberId, SubscriptionId } from '../../domain/ids.ts';
import { invalid } from '../../errors.ts';
import { count, money } from '../format.ts';
import { optional } from '../optional.ts';
import { table } from '../output.ts';
import { refuse } from '../refusal.ts';
import { subscriptionsNamed } from '../subject.ts';
import { type Call, UsageError, type Verb } from '../verb.ts';
import { runLines } from './overdue-run-show.ts';
import { effectText, runIdOf } from '../overdue-words.ts';

/** A preview shows so many in full; the totals are of all. */
const previewMost = 500;

export const overdueRun: Verb = {
  name: 'overdue-run',
  group: 'Money',
  summary: 'who is past due and grace, and what happens to them',
  options: {
    'as-of': {
      value: 'DAY',
      about: 'judged as of this day; without --apply or --plan it is a preview that writes nothing',
    },
    apply: { about: 'suspends: what --as-of plans, or the run of --run' },
    plan: { about: 'writes the plan of --as-of down, for others to look at, exclude from, approve' },
    run: { value: 'ID', about: 'a run that was planned before' },
    exclude: {
      value: 'WHO',
      about: 'leaves them out, and the next runs too: a username or #number',
      isList: true,
    },
    'until-on': { value: 'DAY', about: 'with --exclude: first day on which a run may act again' },
    approve: { about: 'lets a held run go on; it takes another person than who asked for it' },
    rollback: { about: 'takes the run back: closes what it opened and is still open' },
    cancel: { about: 'gives up a run that has not begun' },
    note: { value: 'TEXT', about: 'why; needed by --exclude, --rollback and --cancel' },
  },
  details: [
    'A run that would suspend an unusual share of all subscriptions is held until another person approves it. A payment in the middle of a run wins. Killed at any point, the same --run ID --apply goes on.',
    'An excluded, lifted or rolled-back subscription is left alone by the scheduled runs too, until the day that the answer names.',
  ],
  examples: [
    'overdue-run --as-of 2026-12-01',
    'overdue-run --as-of 2026-12-01 --apply --exclude amina --note "hospital"',
    'overdue-run --run 12 --approve --actor rana',
    'overdue-run --run 12 --apply',
    'overdue-run --run 12 --rollback --note "bank file was late"',
  ],
  async run(call) {
    const asOf = call.day('as-of');
    const runId = call.maybeText('run');
    if (asOf !== undefined && runId !== undefined)
      throw new UsageError('--run: cannot be given with --as-of');
    if (runId !== undefined) return existingRun(call, runIdOf(runId, 'run'));
    if (asOf === undefined)
      throw new UsageError('--as-of: is missing; or --run names a run that was planned before');
    for (const option of ['approve', 'rollback', 'cancel']) {
      if (call.has(option)) throw new UsageError(`--${option}: needs --run ID`);
    }
    if (!call.has('apply') && !call.has('plan')) return preview(call, asOf);
    return newRun(call, asOf);
  },
};

async function preview(call: Call, asOf: Day): Promise<undefined> {
  const actions: PlannedAction[] = [];
  const excluded = await named(call);
  let left = 0;
  const totals = await planOverdueRun(call.app().db, asOf, (page) => {
    for (const action of page.actions) {
      if (excluded.subscriberIds.includes(action.subscriberId)) left++;
      else if (excluded.subscriptionIds.includes(action.subscriptionId)) left++;
      else if (actions.length < previewMost) actions.push(action);
    }
    call.out.progress(`${actions.length} found`);
  });
  const settings = await call.settings();
  call.out.show(
    {
      ok: true,
      isPreview: true,
      totals,
      excludedNow: left,
      actions,
      isCut: totals.planned + totals.parked - left > actions.length,
    },
    () => [
      ...(actions.length === 0 ? [] : planTable(actions, settings)),
      ...(actions.length === previewMost ? [`… and more; only the first ${previewMost} are listed.`] : []),
      '',
      `As of ${asOf}: ${count(totals.planned, 'subscription')} of ${totals.subjects} would be suspended; ${count(totals.plannedSubscribers, 'subscriber')} owe ${money(totals.openMinor, settings)}.`,
      ...(left === 0 ? [] : [`${left} of them are excluded by what you typed.`]),
      ...(totals.parked === 0 ? [] : [`${totals.parked} would be parked for a person to look at.`]),
      ...Object.entries(totals.left).map(
        ([why, number]) => `${number} left alone: ${why.replaceAll('_', ' ')}.`,
      ),
      'This was a preview: nothing was changed. --apply does it; --plan writes it down first.',
    ],
  );
  return undefined;
}

function planTable(actions: readonly PlannedAction[], settings: OperatorSettings): string[] {
  return table(
    [
      'SUBSCRIBER',
      'NAME',
      'LOGINS',
      { title: 'OWES', isRight: true },
      'SINCE',
      { title: 'PAST GRACE', isRight: true },
      'WHAT',
      'ROUTER',
    ],
    actions.map((action) => [
      `#${action.subscriberId}`,
      action.subscriberName,
      action.usernames.join(', '),
      money(action.debt.openMinor, settings),
      action.debt.oldestDueOn,
      count(action.daysPastGrace, 'day'),
      action.park === null ? effectText(action) : `parked: ${action.park.replaceAll('_', ' ')}`,
      action.routerReachable === 'no_session' ? 'no session' : action.routerReachable,
    ]),
  );
}

async function newRun(call: Call, asOf: Day): Promise<number | undefined> {
  const excluded = await named(call);
  if (excluded.count > 0) call.text('note');
  const today = dayIn((await call.settings()).zone, call.clock.now());
  if (call.has('apply') && asOf > today) {
    throw invalid('as-of', `must not be later than ${today} with --apply; --plan writes the plan down`);
  }
  call.out.progress('planning');
  const { run } = await createOverdueRun(call.context(), { asOf });
  if (excluded.count > 0) await exclude(call, run.id, excluded);
  if (call.has('apply')) return apply(call, run.id);
  return showRun(call, run.id);
}

async function existingRun(call: Call, runId: OverdueRunId): Promise<number | undefined> {
  const acts = ['approve', 'rollback', 'cancel'].filter((option) => call.has(option));
  if (acts.length > 1) throw new UsageError(`--${acts[1] ?? ''}: cannot be given with --${acts[0] ?? ''}`);
  if (call.has('plan')) throw new UsageError('--plan: belongs to --as-of');
  const excluded = await named(call);
  if (excluded.count > 0) {
    const code = await exclude(call, runId, excluded);
    if (code !== undefined) return code;
  }
  if (call.has('rollback')) return rollback(call, runId);
  if (call.has('cancel')) return cancel(call, runId);
  if (call.has('approve')) {
    const code = await approve(call, runId);
    if (code !== undefined) return code;
  }
  if (call.has('apply')) return apply(call, runId);
  return showRun(call, runId);
}

interface Named {
  subscriberIds: SubscriberId[];
  subscriptionIds: SubscriptionId[];
  count: number;
}

async function named(call: Call): Promise<Named> {
  const found: Named = { subscriberIds: [], subscriptionIds: [], count: 0 };
  for (const who of call.list('exclude')) {
    const target = await subscriptionsNamed(call.app().db, who, '--exclude');
    if ('subscriberId' in target) found.subscriberIds.push(target.subscriberId);
    else found.subscriptionIds.push(target.subscriptionId);
    found.count++;
  }
  return found;
}

async function exclude(call: Call, runId: OverdueRunId, who: Named): Promise<number | undefined> {
  const result = await excludeFromRun(call.context(), {
    runId,
    subscriberIds: who.subscriberIds,
    subscriptionIds: who.subscriptionIds,
    note: call.text('note'),
    ...optional('untilOn', call.day('until-on')),
  });
  if (!result.ok)
    return refuse(
      call,
      result,
      `Run ${runId} is ${result.run.state.replace('_', ' ')}: nobody can be excluded any more.`,
    );
  call.out.note(`Excluded: ${count(result.excluded.length, 'subscription')}, until ${result.untilOn}.`);
  if (result.notPlanned > 0) call.out.note(`${result.notPlanned} named were not waiting in this run.`);
  return undefined;
}

async function approve(call: Call, runId: OverdueRunId): Promise<number | undefined> {
  const result = await approveRun(call.context(), { runId });
  if (result.ok) return undefined;
  return refuse(call, result, `Run ${runId} was not approved: ${result.reason.replaceAll('_', ' ')}.`);
}

async function apply(call: Call, runId: OverdueRunId): Promise<number | undefined> {
  const result = await applyOverdueRun(call.context(), {
    runId,
    progress: ({ done, total }) => call.out.progress(`run ${runId}: ${done} of ${total}`),
  });
  if (!result.ok) return refuse(call, result, applyRefused(result));
  return showRun(call, runId);
}

function applyRefused(result: Extract<ApplyResult, { ok: false }>): string {
  const { run } = result;
  switch (result.reason) {
    case 'not_approved':
      return `Run ${run.id} is held: it ${run.heldBecause ?? 'is unusually large'}. Another person may let it go on: sluice overdue-run --run ${run.id} --approve --apply`;
    case 'future_as_of':
      return `Run ${run.id} is as of ${run.asOf}, which is still to come; it can be applied from that day on.`;
    case 'not_planned_yet':
      return `Run ${run.id} is still being planned.`;
    case 'stopped':
      return `Run ${run.id} was stopped by somebody else while it was applied; it is ${run.state.replace('_', ' ')} now.`;
    case 'cancelled':
      return `Run ${run.id} was cancelled.`;
    case 'rolled_back':
      return `Run ${run.id} was rolled back.`;
  }
}

async function rollback(call: Call, runId: OverdueRunId): Promise<number | undefined> {
  const result = await rollbackRun(call.context(), {
    runId,
    note: call.text('note'),
    progress: (progress) => call.out.progress(`run ${runId}: ${progress.rolledBack} taken back`),
  });
  if (!result.ok)
    return refuse(call, result, `Run ${runId} is ${result.run.state}: there is nothing to take back.`);
  return showRun(call, runId);
}

async function cancel(call: Call, runId: OverdueRunId): Promise<number | undefined> {
  const result = await cancelRun(call.context(), { runId, note: call.text('note') });
  if (!result.ok) {
    const hint =
      result.reason === 'applying'
        ? 'it is being applied; --rollback takes it back'
        : `it is ${result.run.state.replace('_', ' ')}`;
    return refuse(call, result, `Run ${runId} was not cancelled: ${hint}.`);
  }
  return showRun(call, runId);
}

async function showRun(call: Call, runId: OverdueRunId): Promise<undefined> {
  const shown = await runLines(call, runId);
  call.out.show({ ok: true, ...shown.data }, () => [...shown.lines, ...nextStep(shown.run)]);
  return undefined;
}

function nextStep(run: OverdueRun): string[] {
  if (run.state === 'applied') {
    return ['', `What comes back from the network takes a moment: sluice overdue-run show ${run.id}`];
  }
  if (run.state === 'planned' || run.state === 'approved')
    return ['', `sluice overdue-run --run ${run.id} --apply does it.`];
  if (run.state === 'held')
    return [
      '',
      `Held. Another person may let it go on: sluice overdue-run --run ${run.id} --approve --apply`,
    ];
  return [];
}
