import { applyOverdueRun, beginOverdueRun } from '../../billing/overdue-run-apply.ts';
import { beginRollback, rollbackRun } from '../../billing/overdue-run-rollback.ts';
import { approveRun, cancelRun, excludeFromRun, planOpenRun } from '../../billing/overdue-run.ts';
import { type ActionKey, evidenceOf, runActions, type SubscriberEvidence } from '../../db/overdue-reports.ts';
import { runSubscriber } from '../../db/overdue-run-view.ts';
import { type ActionState, countActions, findRun, type OverdueRun } from '../../db/overdue-runs.ts';
import type { OverdueRunId, SubscriberId, SubscriptionId } from '../../domain/ids.ts';
import { formatMinor } from '../../domain/money.ts';
import { notFound } from '../../errors.ts';
import { runInBackground } from '../background.ts';
import { sendCsv } from '../csv.ts';
import { type FieldErrors, listOf, tryForm, type Typed, typed } from '../form.ts';
import { textQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { applyRefused, cancelRefused } from '../run-refusals.ts';
import { actionState, counted, effectText, groundOf, reachWords, runState, whyText } from '../run-words.ts';
import { actionStateOf, actionsPart, evidencePart, isId, pagePart, progressPart } from '../run-view.ts';

export const runRoutes: readonly Route[] = [
  { method: 'get', path: '/runs/:id', access: 'run.view', handle: showRun },
  { method: 'get', path: '/runs/:id/progress', access: 'run.view', handle: showProgress },
  { method: 'get', path: '/runs/:id/evidence', access: 'run.view', handle: showEvidence },
  {
    method: 'get',
    path: '/runs/:id/subscribers/:subscriberId',
    access: 'run.view',
    handle: showSubscriber,
  },
  { method: 'get', path: '/runs/:id/actions.csv', access: 'run.view', handle: sendActions },
  { method: 'post', path: '/runs/:id', access: 'run.plan', handle: doExclude },
  { method: 'post', path: '/runs/:id/approve', access: 'run.approve', handle: doApprove },
  { method: 'post', path: '/runs/:id/apply', access: 'run.apply', handle: doApply },
  { method: 'post', path: '/runs/:id/rollback', access: 'run.roll_back', handle: doRollback },
  { method: 'post', path: '/runs/:id/cancel', access: 'run.plan', handle: doCancel },
  { method: 'post', path: '/runs/:id/plan', access: 'run.plan', handle: doPlanAgain },
];

async function runOf(page: Page): Promise<OverdueRun> {
  const id = String(page.req.params['id']);
  const run = isId(id) ? await findRun(page.app.db, id) : undefined;
  if (run === undefined) throw notFound(`overdue run ${id}`);
  return run;
}

interface Rejected {
  /** Which form it was: what was typed goes back into that one. */
  form: 'exclude' | 'rollback' | 'cancel';
  typed: Typed;
  ticked: readonly string[];
  errors: FieldErrors;
}

async function showRun(page: Page): Promise<void> {
  await show(page, await runOf(page), null);
}

async function show(page: Page, run: OverdueRun, rejected: Rejected | null): Promise<void> {
  const typedIn = (form: Rejected['form'], name: string) =>
    rejected?.form === form ? (rejected.typed[name] ?? '') : '';
  const counts = await countActions(page.app.db, run.id);
  const data = {
    title: `Overdue run ${run.id}`,
    crumbs: [{ label: 'Overdue runs', href: '/runs' }],
    ...(await pagePart(page, run, counts)),
    ...(await actionsPart(page, run, { counts, ticked: rejected?.ticked ?? [] })),
    values: {
      note: typedIn('exclude', 'note'),
      untilOn: typedIn('exclude', 'untilOn'),
      rollbackNote: typedIn('rollback', 'rollbackNote'),
      cancelNote: typedIn('cancel', 'cancelNote'),
    },
  };
  if (rejected === null) page.render('admin/runs/show', data);
  else page.render('admin/runs/show', { ...data, errors: rejected.errors }, 400);
}

/** What a page that watches asks for every two seconds; when the work is over the whole page is loaded again. */
async function showProgress(page: Page): Promise<void> {
  const run = await runOf(page);
  if (!page.wantsPart) {
    page.redirect(`/runs/${run.id}`);
    return;
  }
  const progress = await progressPart(page, run, await countActions(page.app.db, run.id));
  if (progress === null) page.res.set('HX-Refresh', 'true').status(200).end();
  else page.renderPart('admin/runs/progress', { progress });
}

/** What the routers have answered so far, for a page that watches. */
async function showEvidence(page: Page): Promise<void> {
  const run = await runOf(page);
  if (page.wantsPart) page.renderPart('admin/runs/evidence', { evidence: await evidencePart(page, run) });
  else page.redirect(`/runs/${run.id}`);
}

/** What reached the network for one subscriber of the run. */
async function showSubscriber(page: Page): Promise<void> {
  const run = await runOf(page);
  const id = String(page.req.params['subscriberId']);
  const action = isId(id)
    ? await runSubscriber(page.app.db, run.id, id as string as SubscriberId)
    : undefined;
  if (action === undefined) throw notFound(`subscriber ${id} in overdue run ${run.id}`);
  const logins = await evidenceOf(page.app.db, run.id, action.subscriberId);
  page.render('admin/runs/subscriber', {
    title: action.subscriberName,
    crumbs: [
      { label: 'Overdue runs', href: '/runs' },
      { label: `Run ${run.id}`, href: `/runs/${run.id}` },
    ],
    runId: run.id,
    subscriberId: action.subscriberId,
    logins: logins.map((login) => ({
      ...login,
      reason: login.reason?.replaceAll('_', ' ') ?? null,
      packets: login.packets.map(packetRow),
    })),
  });
}

async function doExclude(page: Page): Promise<void> {
  const run = await runOf(page);
  const form = typed(page.req.body);
  const ticked = listOf(page.req.body, 'subscription').filter((id): id is SubscriptionId & OverdueRunId =>
    isId(id),
  );
  const reject = (errors: FieldErrors) => show(page, run, { form: 'exclude', typed: form, ticked, errors });
  if (ticked.length === 0) {
    await reject({ subscription: 'Tick at least one line of the list.' });
    return;
  }
  const done = await tryForm(() =>
    excludeFromRun(page.ctx, {
      runId: run.id,
      subscriptionIds: ticked,
      note: form['note'] ?? '',
      ...((form['untilOn'] ?? '') === '' ? {} : { untilOn: form['untilOn'] ?? '' }),
    }),
  );
  if (!done.ok) {
    await reject(done.errors);
    return;
  }
  const result = done.value;
  if (!result.ok) {
    const word = runState(result.run.state).word.toLowerCase();
    page.redirect(`/runs/${run.id}`, {
      kind: 'danger',
      text: `Nobody was excluded: the run is ${word} by now.`,
    });
    return;
  }
  const late =
    result.notPlanned === 0
      ? ''
      : ` ${result.notPlanned} of those you ticked were not waiting in this run any more.`;
  page.redirect(`/runs/${run.id}`, {
    kind: result.notPlanned === 0 ? 'success' : 'warning',
    text: `${counted(result.excluded.length, 'subscription')} excluded; no run touches them before ${result.untilOn}.${late}`,
  });
}

/** One packet in words: what was sent, what came back, and whether it was seen to work. */
function packetRow(packet: SubscriberEvidence['packets'][number]) {
  const answer: Record<string, string> = {
    pending: 'no answer yet',
    ack: 'acknowledged',
    nak: 'refused',
    timeout: 'no answer',
    superseded: 'overtaken by something newer',
    abandoned: 'the sender ended meanwhile',
    unsent: 'not sent',
  };
  const { errorCause, roundTripUs } = packet;
  return {
    sentAt: packet.sentAt,
    action: packet.action === 'coa' ? 'CoA: new speed' : 'Disconnect',
    answer: answer[packet.outcome] ?? packet.outcome,
    isBad: packet.outcome === 'nak' || packet.outcome === 'timeout',
    detail: [
      ...(errorCause === null ? [] : [`Error-Cause ${errorCause}`]),
      ...(roundTripUs === null ? [] : [`${Math.round(roundTripUs / 100) / 10} ms`]),
      ...(packet.attempts > 1 ? [`${packet.attempts} attempts`] : []),
    ].join(', '),
    confirmedAt: packet.confirmedAt,
    confirmedBy: packet.confirmedBy === 'stop' ? 'the session’s end' : 'the rate on the router',
  };
}

async function doApprove(page: Page): Promise<void> {
  const run = await runOf(page);
  const result = await approveRun(page.ctx, { runId: run.id });
  const back = `/runs/${run.id}`;
  if (result.ok) {
    page.redirect(back, { kind: 'success', text: 'Approved. It can be applied now.' });
    return;
  }
  const text = {
    needs_another_person:
      'Not approved: you asked for this run yourself. Another person has to look at it and approve it.',
    needs_a_person: 'Not approved: only a person can approve a run.',
    not_held: `Not approved: the run is ${runState(result.run.state).word.toLowerCase()}, and needs no approval.`,
  }[result.reason];
  page.redirect(back, { kind: 'danger', text });
}

/** The run is moved to `applying` here, so that it will be applied whatever becomes of this process. */
async function doApply(page: Page): Promise<void> {
  const run = await runOf(page);
  const back = `/runs/${run.id}`;
  const refused = await beginOverdueRun(page.ctx, { runId: run.id });
  if (refused !== null) {
    page.redirect(back, { kind: 'danger', text: applyRefused(refused) });
    return;
  }
  if (run.state === 'applied') {
    page.redirect(back, { kind: 'warning', text: 'This run was applied already.' });
    return;
  }
  runInBackground(page.app, `overdue-run:${run.id}`, (signal) =>
    applyOverdueRun(page.ctx, { runId: run.id, progress: () => signal.throwIfAborted() }),
  );
  page.redirect(back);
}

async function doRollback(page: Page): Promise<void> {
  const run = await runOf(page);
  const form = typed(page.req.body);
  const begun = await tryForm(() =>
    beginRollback(page.ctx, { runId: run.id, note: form['rollbackNote'] ?? '' }),
  );
  if (!begun.ok) {
    const errors = { rollbackNote: begun.errors['note'] ?? Object.values(begun.errors)[0] ?? '' };
    await show(page, run, { form: 'rollback', typed: form, ticked: [], errors });
    return;
  }
  const back = `/runs/${run.id}`;
  if (!begun.value.ok) {
    const word = runState(begun.value.run.state).word.toLowerCase();
    page.redirect(back, { kind: 'danger', text: `The run is ${word}: there is nothing to roll back.` });
    return;
  }
  const note = begun.value.run.rollbackNote ?? '';
  // A name of its own: what applies the run may still be in its last batch.
  runInBackground(page.app, `overdue-run-rollback:${run.id}`, (signal) =>
    rollbackRun(page.ctx, { runId: run.id, note, progress: () => signal.throwIfAborted() }),
  );
  page.redirect(back);
}

async function doCancel(page: Page): Promise<void> {
  const run = await runOf(page);
  const form = typed(page.req.body);
  const done = await tryForm(() => cancelRun(page.ctx, { runId: run.id, note: form['cancelNote'] ?? '' }));
  if (!done.ok) {
    const errors = { cancelNote: done.errors['note'] ?? Object.values(done.errors)[0] ?? '' };
    await show(page, run, { form: 'cancel', typed: form, ticked: [], errors });
    return;
  }
  const back = `/runs/${run.id}`;
  if (done.value.ok) page.redirect(back, { kind: 'success', text: 'Cancelled: nobody was suspended by it.' });
  else page.redirect(back, { kind: 'danger', text: cancelRefused(done.value) });
}

async function doPlanAgain(page: Page): Promise<void> {
  const run = await runOf(page);
  if (run.state === 'planning')
    runInBackground(page.app, `overdue-run:${run.id}`, () => planOpenRun(page.ctx, run.id));
  page.redirect(`/runs/${run.id}`);
}

const csvColumns = [
  'subscriber',
  'name',
  'usernames',
  'effect',
  'amount',
  'currency',
  'invoices',
  'oldest_due_on',
  'why',
  'router',
  'state',
  'outcome',
];

async function sendActions(page: Page): Promise<void> {
  const run = await runOf(page);
  const state = actionStateOf(textQuery(page, 'state'));
  await sendCsv(page, `overdue-run-${run.id}`, csvColumns, csvRows(page, run, state));
}

async function* csvRows(
  page: Page,
  run: OverdueRun,
  state: ActionState | undefined,
): AsyncGenerator<readonly string[]> {
  const { currency, exponent } = page.settings;
  let after: ActionKey | undefined;
  for (;;) {
    const actions = await runActions(page.app.db, run.id, {
      ...(state === undefined ? {} : { states: [state] }),
      ...(after === undefined ? {} : { after }),
      limit: 500,
    });
    for (const action of actions) {
      const { since, past } = groundOf(action, run.asOf);
      yield [
        action.subscriberId,
        action.subscriberName,
        action.usernames.join(' '),
        effectText(action.effect, action.throttleRate),
        formatMinor(action.openMinor, exponent),
        currency,
        String(action.invoiceCount),
        action.oldestDueOn,
        `${since}: ${past}`,
        reachWords[action.routerReachable],
        actionState(action.state).word,
        whyText(action.why),
      ];
    }
    after = actions.at(-1);
    if (after === undefined || actions.length < 500) return;
  }
}
