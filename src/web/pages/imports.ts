import {
  findImportJob,
  type ImportJob,
  type ImportRow,
  importRows,
  latestImportJobs,
} from '../../db/imports.ts';
import { listBillingProfiles, listPackages } from '../../db/packages.ts';
import { importColumns, remarkColumn } from '../../domain/import-file.ts';
import { invalid, notFound } from '../../errors.ts';
import {
  cancelImport,
  goOnWithImport,
  reviewImport,
  startImport,
  typedOf,
} from '../../subscribers/import.ts';
import { runInBackground } from '../background.ts';
import { sendCsv } from '../csv.ts';
import { type FieldErrors, tryForm } from '../form.ts';
import { listSize, textQuery, withQuery } from '../list.ts';
import { jobState } from '../job-words.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { uploadMax, uploadOf } from '../upload.ts';

const access = 'subscriber.import';

export const importRoutes: readonly Route[] = [
  { method: 'get', path: '/subscribers/import', access, handle: (page) => showUpload(page, null) },
  { method: 'get', path: '/subscribers/import/template.csv', access, handle: sendTemplate },
  { method: 'post', path: '/subscribers/import', access, body: 'file', handle: doUpload },
  { method: 'get', path: '/imports/:id', access, handle: showJob },
  { method: 'get', path: '/imports/:id/progress', access, handle: showProgress },
  { method: 'get', path: '/imports/:id/bad.csv', access, handle: sendBad },
  { method: 'get', path: '/imports/:id/passwords.csv', access, handle: sendPasswords },
  { method: 'post', path: '/imports/:id/start', access, handle: doStart },
  { method: 'post', path: '/imports/:id/cancel', access, handle: doCancel },
];

const crumbs = [{ label: 'Subscribers', href: '/subscribers' }];
const importCrumbs = [...crumbs, { label: 'Import', href: '/subscribers/import' }];

async function showUpload(page: Page, errors: FieldErrors | null): Promise<void> {
  const jobs = await latestImportJobs(page.app.db, 10);
  const data = {
    title: 'Import subscribers',
    crumbs,
    megabytes: uploadMax / 1024 / 1024,
    columns: importColumns.map(({ column, isRequired }) => ({ column, isRequired })),
    jobs: jobs.map(viewOf),
  };
  if (errors === null) page.render('admin/imports/upload', data);
  else page.render('admin/imports/upload', { ...data, errors }, 400);
}

/** A file to begin with: the columns, and a row that shows how each is written. */
async function sendTemplate(page: Page): Promise<void> {
  const [packages, profiles] = await Promise.all([
    listPackages(page.app.db),
    listBillingProfiles(page.app.db),
  ]);
  const sold = packages.find(
    (one) => !one.isRetired && one.billingType === 'monthly' && one.customerType !== 'static_ip',
  );
  const examples: Record<string, string> = {
    package: sold?.name ?? '',
    billing_profile: profiles[0]?.name ?? '',
  };
  const row = importColumns.map(({ column, example }) => examples[column] ?? example);
  await sendCsv(
    page,
    'subscribers-to-import',
    importColumns.map(({ column }) => column),
    oneByOne([row]),
  );
}

// eslint-disable-next-line @typescript-eslint/require-await -- rows that are there already, as ones that are read
async function* oneByOne(rows: readonly string[][]): AsyncGenerator<string[]> {
  yield* rows;
}

async function doUpload(page: Page): Promise<void> {
  const reviewed = await tryForm(async () => {
    const file = uploadOf(page.req);
    if (file === undefined || file.bytes.length === 0) throw invalid('file', 'is missing: choose a CSV file');
    return reviewImport(page.ctx, file);
  });
  if (reviewed.ok) page.redirect(`/imports/${reviewed.value.jobId}`);
  else await showUpload(page, reviewed.errors);
}

function viewOf(job: ImportJob) {
  return {
    ...job,
    stateWord: jobState(job, { draft: 'To be looked over', cancelled: 'Given up' }),
    isReview: job.state === 'review',
    isOver: job.state === 'done' || job.state === 'cancelled',
    badCount: job.bad + job.failed,
  };
}

function progressOf(job: ImportJob) {
  return {
    href: `/imports/${job.id}/progress`,
    word: 'Adding',
    done: job.done,
    total: job.good,
    parts: [
      { count: job.imported, what: 'added' },
      { count: job.failed, what: 'failed' },
    ],
  };
}

async function jobOf(page: Page): Promise<ImportJob> {
  const id = String(page.req.params['id']);
  const job = /^[1-9]\d{0,18}$/.test(id) ? await findImportJob(page.app.db, id) : undefined;
  if (job === undefined) throw notFound(`import ${id}`);
  return job;
}

async function showJob(page: Page): Promise<void> {
  const job = await jobOf(page);
  const which = textQuery(page, 'rows') === 'good' ? 'good' : 'bad';
  const place = textQuery(page, 'after');
  // What Number() alone would make of 1e999 is no number to the database.
  const after = /^\d{1,9}$/.test(place) ? Number(place) : 0;
  const found = await importRows(page.app.db, job.id, {
    states: which === 'bad' ? ['bad', 'failed'] : ['good', 'imported'],
    after,
    limit: listSize + 1,
  });
  const rows = found.slice(0, listSize);
  const link = (rowsShown: string) => withQuery(page, { rows: rowsShown, after: null });
  page.render('admin/imports/show', {
    title: job.fileName,
    crumbs: importCrumbs,
    job: viewOf(job),
    progress: job.state === 'working' ? progressOf(job) : null,
    filters: [
      {
        label: 'With faults',
        count: job.bad + job.failed,
        isMore: false,
        href: link('bad'),
        isHere: which === 'bad',
      },
      {
        label: 'Good',
        count: job.total - job.bad - job.failed,
        isMore: false,
        href: link('good'),
        isHere: which === 'good',
      },
    ],
    isBad: which === 'bad',
    rows: rows.map((row) => rowView(page, job, row)),
    pager: {
      previous: after > 0 ? withQuery(page, { after: null }) : null,
      next: found.length > listSize ? withQuery(page, { after: String(rows.at(-1)?.line ?? 0) }) : null,
    },
  });
}

function rowView(page: Page, job: ImportJob, row: ImportRow) {
  const typed = typedOf(page.ctx, job.id, row);
  // Without a username nobody can tell which of its cells is the password: they are in the file of bad rows alone.
  const cells = row.username === null ? {} : (typed?.cells ?? {});
  return {
    line: row.line,
    name: cells['name'] ?? '',
    username: cells['username'] ?? row.username ?? '',
    package: cells['package'] ?? '',
    faults: row.faults.map(({ column, rule }) => ({
      column,
      rule,
      // A password is never shown, also not a wrong one.
      typed: column === 'password' ? null : (cells[column] ?? '').slice(0, 200),
    })),
    subscriberId: row.subscriberId,
  };
}

async function showProgress(page: Page): Promise<void> {
  const job = await jobOf(page);
  if (!page.wantsPart) page.redirect(`/imports/${job.id}`);
  else if (job.state !== 'working') page.res.set('HX-Refresh', 'true').status(200).end();
  else page.renderPart('admin/imports/progress', { progress: progressOf(job) });
}

async function* allRows(page: Page, job: ImportJob, states: readonly ImportRow['state'][]) {
  let after = 0;
  for (;;) {
    const rows = await importRows(page.app.db, job.id, { states, after, limit: 500 });
    yield* rows;
    after = rows.at(-1)?.line ?? 0;
    if (rows.length < 500) return;
  }
}

/** The bad rows as they were typed, to be mended and sent again; what is wrong is in a column of its own. */
async function sendBad(page: Page): Promise<void> {
  const job = await jobOf(page);
  const names = importColumns.map(({ column }) => column);
  async function* rows(): AsyncGenerator<string[]> {
    for await (const row of allRows(page, job, ['bad', 'failed'])) {
      const cells = typedOf(page.ctx, job.id, row)?.cells ?? {};
      const faults = row.faults.map(({ column, rule }) => `${column}: ${rule}`).join('; ');
      yield [...names.map((name) => cells[name] ?? ''), `line ${row.line}: ${faults}`];
    }
  }
  await sendCsv(page, `import-${job.id}-to-mend`, [...names, remarkColumn], rows());
}

/** Passwords that were made because the file had none. They can be had for a day. */
async function sendPasswords(page: Page): Promise<void> {
  const job = await jobOf(page);
  async function* rows(): AsyncGenerator<string[]> {
    for await (const row of allRows(page, job, ['imported'])) {
      const typed = typedOf(page.ctx, job.id, row);
      if (typed?.made != null)
        yield [String(row.subscriberId), typed.cells['name'] ?? '', row.username ?? '', typed.made];
    }
  }
  await sendCsv(page, `import-${job.id}-passwords`, ['subscriber', 'name', 'username', 'password'], rows());
}

async function doStart(page: Page): Promise<void> {
  const job = await jobOf(page);
  if (job.good === 0) {
    page.redirect(`/imports/${job.id}`, { kind: 'danger', text: 'There is no good row to import.' });
    return;
  }
  if (await startImport(page.ctx, job.id)) {
    runInBackground(page.app, `import:${job.id}`, (signal) => goOnWithImport(page.ctx, job.id, { signal }));
  }
  page.redirect(`/imports/${job.id}`);
}

async function doCancel(page: Page): Promise<void> {
  const job = await jobOf(page);
  const cancelled = await cancelImport(page.ctx, job.id);
  page.redirect(
    `/imports/${job.id}`,
    cancelled
      ? { kind: 'warning', text: 'It is given up. Whoever was added stays.' }
      : { kind: 'danger', text: 'It was over already.' },
  );
}
