import {
  type BulkItemState,
  bulkItems,
  type BulkJob,
  bulkKinds,
  type BulkKind,
  findBulkJob,
  listBulkJobs,
} from '../../db/bulk-jobs.ts';
import { listPackages } from '../../db/packages.ts';
import { subscriberSummaries } from '../../db/subscriber-list-rows.ts';
import type { Permission } from '../../domain/permissions.ts';
import { AppError, notFound } from '../../errors.ts';
import {
  bulkMax,
  cancelBulk,
  draftBulk,
  goOnWithBulk,
  sellableNames,
  startBulk,
} from '../../subscribers/bulk.ts';
import { runInBackground } from '../background.ts';
import { type FieldErrors, listOf, tryForm, type Typed, typed } from '../form.ts';
import { filterLinks, keysetOf, listSize, paged, textQuery } from '../list.ts';
import { jobState } from '../job-words.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { filterQuery, idsOf, stateLabels, subscriberFilter } from '../subscriber-filter.ts';

export const bulkRoutes: readonly Route[] = [
  { method: 'post', path: '/subscribers/bulk', access: 'subscriber.edit', handle: doDraft },
  { method: 'get', path: '/bulk', access: 'subscriber.view', handle: showList },
  { method: 'get', path: '/bulk/:id', access: 'subscriber.view', handle: (page) => show(page, {}, null) },
  { method: 'get', path: '/bulk/:id/progress', access: 'subscriber.view', handle: showProgress },
  { method: 'post', path: '/bulk/:id/start', access: 'subscriber.edit', handle: doStart },
  { method: 'post', path: '/bulk/:id/cancel', access: 'subscriber.edit', handle: doCancel },
];

/** What each act needs, says that it does, and is undone by. */
const acts: Record<BulkKind, { word: string; needs: Permission; does: string; undone: string }> = {
  hold: {
    word: 'Hold',
    needs: 'subscriber.hold',
    does: 'Every living subscription of theirs is suspended until somebody lifts it; a payment does not end it. Live sessions follow at once.',
    undone: 'Undone by “Lift holds” on the same subscribers.',
  },
  lift: {
    word: 'Lift holds',
    needs: 'subscriber.hold',
    does: 'Their open suspensions of the cause below are closed, and the service comes back where nothing else is open. Lifting an overdue one keeps the overdue run away for the days of the settings.',
    undone: 'Undone by holding them again.',
  },
  kick: {
    word: 'Kick sessions',
    needs: 'session.kick',
    does: 'Every open session of theirs is ended by its router. They may dial again at once: this takes nothing away from them.',
    undone: 'It undoes itself: their routers dial again.',
  },
  reconcile: {
    word: 'Check again',
    needs: 'subscriber.edit',
    does: 'Their RADIUS rows and live sessions are compared with what they should be, and put right.',
    undone: 'There is nothing to undo.',
  },
  change_package: {
    word: 'Change package',
    needs: 'subscriber.edit',
    does: 'Their subscriptions get another package: the speed at once, the price from the next invoice. A price agreed for the old package ends with it.',
    undone: 'Undone by changing it back; agreed prices do not come back by themselves.',
  },
};

const crumbs = [{ label: 'Subscribers', href: '/subscribers' }];

async function doDraft(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const kind = bulkKinds.find((one) => one === form['kind']);
  const query = new URLSearchParams(form['filter'] ?? '');
  const carried = filterQuery(query);
  const back = `/subscribers${carried === '' ? '' : `?${carried}`}`;
  if (kind === undefined) {
    page.redirect(back, { kind: 'danger', text: 'Nothing was done: choose what to do.' });
    return;
  }
  demand(page, kind);
  const isAll = form['scope'] === 'filter';
  const filter = subscriberFilter(page, query);
  const packageName = await packageNamed(page, filter.packageId);
  const drafted = await draftBulk(page.ctx, {
    kind,
    chosen: isAll ? chosenWords(query, packageName) : 'chosen one by one',
    input: kind === 'change_package' && packageName !== null ? { from: packageName } : {},
    ids: isAll ? idsOf(page, filter, 2000) : chosenIds(page),
  });
  if (drafted.ok) {
    page.redirect(`/bulk/${drafted.jobId}`);
    return;
  }
  page.redirect(back, {
    kind: 'danger',
    text:
      drafted.reason === 'nobody'
        ? 'Nothing was done: tick somebody first, or say that you mean everybody of the list.'
        : `Nothing was done: these are more than ${bulkMax.toLocaleString('en')}. Narrow the list first.`,
  });
}

// eslint-disable-next-line @typescript-eslint/require-await -- a list that is there already, as one that is read
async function* chosenIds(page: Page): AsyncGenerator<string[]> {
  yield listOf(page.req.body, 'id').filter((id) => /^[1-9]\d{0,18}$/.test(id));
}

function chosenWords(query: URLSearchParams, packageName: string | null): string {
  const state = Object.entries(stateLabels).find(([name]) => name === query.get('state'))?.[1];
  const parts = [
    state === undefined ? 'everybody' : `everybody under “${state}”`,
    ...(query.get('text') === null ? [] : [`found by “${query.get('text') ?? ''}”`]),
    ...(packageName === null ? [] : [`with package ${packageName}`]),
    ...(query.get('profile') === null ? [] : ['with the billing profile chosen']),
    ...(query.get('router') === null ? [] : ['online on the router chosen']),
  ];
  return parts.join(', ');
}

async function packageNamed(page: Page, id: string | null): Promise<string | null> {
  if (id === null) return null;
  return (await listPackages(page.app.db)).find((one) => one.id === id)?.name ?? null;
}

/** Some acts need more than the page does. */
function demand(page: Page, kind: BulkKind): void {
  if (!page.may(acts[kind].needs))
    throw new AppError('forbidden', `This needs the permission ${acts[kind].needs}.`);
}

async function showList(page: Page): Promise<void> {
  const keyset = keysetOf(page);
  const id = keyset?.values[0] ?? '';
  const found = await listBulkJobs(page.app.db, {
    ...(keyset !== null && /^\d+$/.test(id)
      ? { [keyset.direction === 'after' ? 'before' : 'after']: id }
      : {}),
    limit: listSize + 1,
  });
  const { rows, pager } = paged(page, found, keyset, (job) => [job.id]);
  page.render('admin/bulk/list', { title: 'Bulk acts', crumbs, jobs: rows.map(viewOf), pager });
}

function viewOf(job: BulkJob) {
  const input = Object.entries(job.input)
    .filter(([, value]) => typeof value === 'string')
    .map(([name, value]) => `${name}: ${String(value).replace('_', ' ')}`);
  return {
    ...job,
    act: acts[job.kind],
    stateWord: jobState(job, { draft: 'Not begun', cancelled: 'Cancelled' }),
    inputText: input.join(', '),
    left: job.total - job.done,
  };
}

function progressOf(job: BulkJob) {
  return {
    href: `/bulk/${job.id}/progress`,
    word: 'Under way',
    done: job.done,
    total: job.total,
    parts: [
      { count: job.changed, what: 'done' },
      { count: job.unchanged, what: 'with nothing to do' },
      { count: job.failed, what: 'failed' },
    ],
  };
}

async function jobOf(page: Page): Promise<BulkJob> {
  const id = String(page.req.params['id']);
  const job = /^[1-9]\d{0,18}$/.test(id) ? await findBulkJob(page.app.db, id) : undefined;
  if (job === undefined) throw notFound(`bulk act ${id}`);
  return job;
}

async function show(page: Page, form: Typed, errors: FieldErrors | null): Promise<void> {
  const job = await jobOf(page);
  if (job.state === 'draft') await showPreview(page, job, form, errors);
  else await showJob(page, job);
}

async function showPreview(page: Page, job: BulkJob, form: Typed, errors: FieldErrors | null): Promise<void> {
  const { db } = page.app;
  const sample = await bulkItems(db, job.id, { state: 'waiting', limit: 10 });
  const values: Typed = {
    cause: 'staff',
    effect: 'block',
    throttleRate: '',
    note: '',
    package: '',
    from: typeof job.input['from'] === 'string' ? job.input['from'] : '',
    ...form,
  };
  const data = {
    title: acts[job.kind].word,
    crumbs,
    job: viewOf(job),
    fields: {
      isHold: job.kind === 'hold',
      isLift: job.kind === 'lift',
      isKick: job.kind === 'kick',
      isPackage: job.kind === 'change_package',
    },
    mayStart: page.may(acts[job.kind].needs),
    values,
    packages: job.kind === 'change_package' ? await sellableNames(page.ctx) : [],
    sample: await subscriberSummaries(
      db,
      sample.map((item) => item.subscriberId),
    ),
  };
  if (errors === null) page.render('admin/bulk/preview', data);
  else page.render('admin/bulk/preview', { ...data, errors }, 400);
}

const itemStates: readonly { value: BulkItemState; label: string }[] = [
  { value: 'failed', label: 'Failed' },
  { value: 'changed', label: 'Done' },
  { value: 'unchanged', label: 'Nothing to do' },
  { value: 'waiting', label: 'Not reached' },
];

/** What somebody wants to see first: what went wrong, else what was done. */
function firstState(job: BulkJob): BulkItemState {
  if (job.failed > 0) return 'failed';
  if (job.changed > 0) return 'changed';
  return job.unchanged > 0 ? 'unchanged' : 'waiting';
}

async function showJob(page: Page, job: BulkJob): Promise<void> {
  const asked = itemStates.find(({ value }) => value === textQuery(page, 'state'))?.value;
  const state = asked ?? firstState(job);
  const keyset = keysetOf(page);
  const id = keyset?.values[0] ?? '';
  const found = await bulkItems(page.app.db, job.id, {
    state,
    ...(keyset !== null && /^\d+$/.test(id) ? { [keyset.direction]: id } : {}),
    limit: listSize + 1,
  });
  const { rows: items, pager } = paged(page, found, keyset, (item) => [item.subscriberId]);
  const counts = {
    failed: job.failed,
    changed: job.changed,
    unchanged: job.unchanged,
    waiting: job.total - job.done,
  };
  page.render('admin/bulk/show', {
    title: `${acts[job.kind].word}, bulk act ${job.id}`,
    crumbs: [...crumbs, { label: 'Bulk acts', href: '/bulk' }],
    job: viewOf(job),
    progress: job.state === 'working' ? progressOf(job) : null,
    items,
    pager,
    filters: filterLinks(
      page,
      'state',
      itemStates.map(({ value, label }) => ({ value, label, count: counts[value] })),
    ).map((link, index) => ({ ...link, isHere: itemStates[index]?.value === state })),
  });
}

/** What a page that watches asks for; when the work is over the whole page is loaded again. */
async function showProgress(page: Page): Promise<void> {
  const job = await jobOf(page);
  if (!page.wantsPart) page.redirect(`/bulk/${job.id}`);
  else if (job.state !== 'working') page.res.set('HX-Refresh', 'true').status(200).end();
  else page.renderPart('admin/bulk/progress', { progress: progressOf(job) });
}

const inputNames: Record<BulkKind, readonly string[]> = {
  hold: ['cause', 'effect', 'throttleRate', 'note'],
  lift: ['cause', 'note'],
  kick: ['note'],
  reconcile: [],
  change_package: ['package', 'from'],
};

async function doStart(page: Page): Promise<void> {
  const job = await jobOf(page);
  demand(page, job.kind);
  const form = typed(page.req.body);
  const input = Object.fromEntries(
    inputNames[job.kind].flatMap((name) => {
      const value = (form[name] ?? '').trim();
      return value === '' && name !== 'note'
        ? []
        : value === '' && job.kind === 'kick'
          ? []
          : [[name, value]];
    }),
  );
  const started = await tryForm(() => startBulk(page.ctx, { jobId: job.id, input }));
  if (!started.ok) {
    await show(page, form, started.errors);
    return;
  }
  if (started.value.ok) {
    runInBackground(page.app, `bulk:${job.id}`, (signal) => goOnWithBulk(page.ctx, job.id, { signal }));
  }
  page.redirect(`/bulk/${job.id}`);
}

async function doCancel(page: Page): Promise<void> {
  const job = await jobOf(page);
  demand(page, job.kind);
  const cancelled = await cancelBulk(page.ctx, job.id);
  page.redirect(
    `/bulk/${job.id}`,
    cancelled
      ? { kind: 'warning', text: 'It stops after the ones that it is at. What is done stays done.' }
      : { kind: 'danger', text: 'It was over already.' },
  );
}
