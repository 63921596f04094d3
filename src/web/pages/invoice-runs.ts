import { beginInvoiceRun, goOnWithInvoiceRun } from '../../billing/invoice-run.ts';
import {
  countDueUpTo,
  findInvoiceRun,
  type InvoiceRunView,
  listInvoiceRuns,
  parkedInRun,
} from '../../db/invoice-run-view.ts';
import { readSchedule } from '../../db/schedule.ts';
import { dayIn } from '../../domain/day.ts';
import type { InvoiceRunId, SubscriptionId } from '../../domain/ids.ts';
import { notFound } from '../../errors.ts';
import { runInBackground } from '../background.ts';
import { tryForm } from '../form.ts';
import { keysetOf, listSize, paged } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { actorText, counted, type StateWord, upTo, whyText } from '../run-words.ts';
import { isId } from '../run-view.ts';

export const invoiceRunRoutes: readonly Route[] = [
  { method: 'get', path: '/invoice-runs', access: 'invoice.view', handle: showList },
  { method: 'post', path: '/invoice-runs', access: 'invoice.edit', handle: doRun },
  { method: 'get', path: '/invoice-runs/:id', access: 'invoice.view', handle: showRun },
  { method: 'get', path: '/invoice-runs/:id/progress', access: 'invoice.view', handle: showProgress },
];

/** What is due is counted to here and no further. */
const dueMost = 10_000;
/** Beyond this, an unfinished run that does not go on is called interrupted. */
const unattendedMs = 600_000;

async function showList(page: Page): Promise<void> {
  const { db } = page.app;
  const keyset = keysetOf(page);
  const id = keyset?.values[0];
  const rows = await listInvoiceRuns(db, {
    ...(isId(id)
      ? { [keyset?.direction === 'before' ? 'after' : 'before']: id as string as InvoiceRunId }
      : {}),
    limit: listSize + 1,
  });
  const { rows: runs, pager } = paged(page, rows, keyset, (run) => [run.id]);
  const today = dayIn(page.settings.zone, page.now);
  const due = await countDueUpTo(db, today, dueMost + 1);
  const job = (await readSchedule(db)).find((row) => row.name === 'invoice-run');
  page.render('admin/invoice-runs/list', {
    title: 'Invoice runs',
    crumbs: [{ label: 'Invoices', href: '/invoices' }],
    runs: runs.map((run) => viewOf(page, run)),
    pager,
    today,
    due: due === 0 ? null : `${upTo(due, dueMost)} ${due === 1 ? 'subscription' : 'subscriptions'}`,
    timetable: {
      at: page.settings.invoiceRunAt,
      zone: page.settings.zone,
      nextDueAt: job?.nextDueAt ?? null,
      isRunning: job?.isRunning ?? false,
      lastFinishedAt: job?.lastFinishedAt ?? null,
      lastOutcome: job?.lastOutcome ?? null,
    },
  });
}

function viewOf(page: Page, run: InvoiceRunView) {
  return {
    ...run,
    requestedBy: actorText(run.requestedBy),
    state: stateOf(page, run),
    dueText: counted(run.dueCount, 'subscription'),
    issuedText: counted(run.issuedCount, 'invoice'),
    parkedText: counted(run.parkedCount, 'subscription'),
  };
}

function stateOf(page: Page, run: InvoiceRunView): StateWord {
  if (run.finishedAt !== null) {
    return run.parkedCount === 0
      ? { word: 'Done', colour: 'full', symbol: 'check-circle-fill' }
      : { word: 'Done, some parked', colour: 'throttled', symbol: 'exclamation-triangle' };
  }
  return isInterrupted(page, run)
    ? { word: 'Interrupted', colour: 'denied', symbol: 'exclamation-triangle' }
    : { word: 'Under way', colour: 'pending', symbol: 'hourglass-split' };
}

/** Of an earlier day: today's run issues what it left. */
function isInterrupted(page: Page, run: InvoiceRunView): boolean {
  const today = dayIn(page.settings.zone, page.now);
  return run.asOf < today && page.now.getTime() - run.startedAt.getTime() > unattendedMs;
}

/** The run's row is written here, so that it will be done whatever becomes of this process. */
async function doRun(page: Page): Promise<void> {
  const asOf = dayIn(page.settings.zone, page.now);
  const begun = await tryForm(() => beginInvoiceRun(page.ctx, { asOf }));
  if (!begun.ok) {
    page.redirect('/invoice-runs', { kind: 'danger', text: Object.values(begun.errors).join(' ') });
    return;
  }
  const run = begun.value;
  runInBackground(page.app, `invoice-run:${run.id}`, (signal) =>
    goOnWithInvoiceRun(page.ctx, run, { signal }),
  );
  page.redirect(`/invoice-runs/${run.id}`);
}

async function runOf(page: Page): Promise<InvoiceRunView> {
  const id = String(page.req.params['id']);
  const run = isId(id) ? await findInvoiceRun(page.app.db, id as string as InvoiceRunId) : undefined;
  if (run === undefined) throw notFound(`invoice run ${id}`);
  return run;
}

async function showRun(page: Page): Promise<void> {
  const run = await runOf(page);
  const keyset = keysetOf(page);
  const id = keyset?.values[0];
  const rows = await parkedInRun(
    page.app.db,
    { kind: 'invoice', id: run.id },
    {
      ...(keyset !== null && isId(id) ? { [keyset.direction]: id as string as SubscriptionId } : {}),
      limit: listSize + 1,
    },
  );
  const { rows: parked, pager } = paged(page, rows, keyset, (row) => [row.subscriptionId]);
  page.render('admin/invoice-runs/show', {
    title: `Invoice run ${run.id}`,
    crumbs: [
      { label: 'Invoices', href: '/invoices' },
      { label: 'Invoice runs', href: '/invoice-runs' },
    ],
    run: viewOf(page, run),
    progress: progressOf(page, run),
    isInterrupted: run.finishedAt === null && isInterrupted(page, run),
    parked: parked.map((row) => ({ ...row, reason: whyText(row.reason) })),
    pager,
  });
}

function progressOf(page: Page, run: InvoiceRunView) {
  if (run.finishedAt !== null || isInterrupted(page, run)) return null;
  // What comes due meanwhile, or is met again after a restart, must not make a bar of more than all.
  const total = Math.max(run.dueCount, run.doneCount);
  return {
    runId: run.id,
    done: run.doneCount,
    total,
    issuedText: counted(run.issuedCount, 'invoice'),
    parkedText: run.parkedCount === 0 ? null : counted(run.parkedCount, 'subscription'),
  };
}

/** What a page that watches asks for every two seconds; when the work is over the whole page is loaded again. */
async function showProgress(page: Page): Promise<void> {
  const run = await runOf(page);
  if (!page.wantsPart) {
    page.redirect(`/invoice-runs/${run.id}`);
    return;
  }
  const progress = progressOf(page, run);
  if (progress === null) page.res.set('HX-Refresh', 'true').status(200).end();
  else page.renderPart('admin/invoice-runs/progress', { progress });
}
