import { randomBytes } from 'node:crypto';
import { openOverdueRun, planOpenRun } from '../../billing/overdue-run.ts';
import { countRuns, countSuspendedBy } from '../../db/overdue-run-view.ts';
import { latestRuns, type OverdueRun, type RunState } from '../../db/overdue-runs.ts';
import { readSchedule } from '../../db/schedule.ts';
import { dayIn } from '../../domain/day.ts';
import { runInBackground } from '../background.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { filterLinks, keysetOf, listSize, paged, textQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { actorText, runState } from '../run-words.ts';
import { isId } from '../run-view.ts';

export const runsRoutes: readonly Route[] = [
  { method: 'get', path: '/runs', access: 'run.view', handle: (page) => showList(page, {}, null) },
  { method: 'post', path: '/runs', access: 'run.plan', handle: doPlan },
];

const groups: readonly { value: string; label: string; states: readonly RunState[] }[] = [
  { value: 'held', label: 'Held', states: ['held'] },
  { value: 'planned', label: 'Planned', states: ['planned', 'approved'] },
  { value: 'under-way', label: 'Under way', states: ['planning', 'applying', 'rolling_back'] },
  { value: 'applied', label: 'Applied', states: ['applied'] },
  { value: 'rolled-back', label: 'Rolled back', states: ['rolled_back'] },
  { value: 'cancelled', label: 'Cancelled', states: ['cancelled'] },
];

/** A run's suspensions are counted to here on the list; its own page has the exact number. */
const countMax = 10_001;

async function showList(page: Page, form: Typed, errors: FieldErrors | null): Promise<void> {
  const { db } = page.app;
  const group = groups.find((one) => one.value === textQuery(page, 'state'));
  const keyset = keysetOf(page);
  const id = keyset?.values[0];
  const rows = await latestRuns(db, {
    ...(group === undefined ? {} : { states: group.states }),
    ...(isId(id) ? { [keyset?.direction === 'before' ? 'after' : 'before']: id } : {}),
    limit: listSize + 1,
  });
  const { rows: runs, pager } = paged(page, rows, keyset, (run) => [run.id]);
  const suspended = await countSuspendedBy(
    db,
    runs.filter((run) => run.startedAt !== null).map((run) => run.id),
    countMax,
  );
  const counts = await countRuns(db);
  const sumOf = (states: readonly RunState[]) => states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  const today = dayIn(page.settings.zone, page.now);
  const data = {
    title: 'Overdue runs',
    filters: filterLinks(page, 'state', [
      { value: '', label: 'All', count: sumOf(groups.flatMap((one) => one.states)) },
      ...groups.map(({ value, label, states }) => ({ value, label, count: sumOf(states) })),
    ]),
    runs: runs.map((run) => viewOf(run, suspended.get(run.id))),
    isFiltered: group !== undefined,
    pager,
    timetable: await timetableOf(page),
    today,
    values: { asOf: form['asOf'] ?? today },
    once: randomBytes(12).toString('hex'),
  };
  if (errors === null) page.render('admin/runs/list', data);
  else page.render('admin/runs/list', { ...data, errors }, 400);
}

function viewOf(run: OverdueRun, suspended: number | undefined) {
  const isMore = suspended !== undefined && suspended >= countMax;
  return {
    id: run.id,
    asOf: run.asOf,
    state: runState(run.state),
    requestedBy: actorText(run.requestedBy),
    requestedAt: run.requestedAt,
    isPlanned: run.state !== 'planning',
    plannedCount: run.plannedCount,
    suspendedCount: suspended === undefined ? null : isMore ? countMax - 1 : suspended,
    isMore,
    openMinor: run.plannedOpenMinor,
  };
}

async function timetableOf(page: Page) {
  const row = (await readSchedule(page.app.db)).find((job) => job.name === 'overdue-run');
  return {
    at: page.settings.overdueRunAt,
    zone: page.settings.zone,
    nextDueAt: row?.nextDueAt ?? null,
    isRunning: row?.isRunning ?? false,
    isLate: row !== undefined && page.now.getTime() - row.nextDueAt.getTime() > 600_000,
    lastFinishedAt: row?.lastFinishedAt ?? null,
    lastOutcome: row?.lastOutcome ?? null,
  };
}

/** The plan of thousands takes seconds: its row is written here, and the rest is done while the run's page shows it. */
async function doPlan(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const once = form['once'] ?? '';
  const opened = await tryForm(() =>
    openOverdueRun(page.ctx, {
      asOf: form['asOf'] ?? '',
      // The form's own key: sent twice, it is one run.
      ...(/^[0-9a-f]{24}$/.test(once) ? { onceKey: `hand:${once}` } : {}),
    }),
  );
  if (!opened.ok) {
    await showList(page, form, opened.errors);
    return;
  }
  const { id, state } = opened.value;
  if (state === 'planning') runInBackground(page.app, `overdue-run:${id}`, () => planOpenRun(page.ctx, id));
  page.redirect(`/runs/${id}`);
}
