import type { RowFault } from '../domain/import-file.ts';
import type { SubscriberId } from '../domain/ids.ts';
import { chunksOf, type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';

export type ImportRowState = 'good' | 'bad' | 'imported' | 'failed';

export interface ImportJob {
  readonly id: string;
  readonly state: 'review' | 'working' | 'done' | 'cancelled';
  readonly fileName: string;
  readonly requestedBy: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly forgottenAt: Date | null;
  readonly total: number;
  readonly good: number;
  readonly bad: number;
  readonly done: number;
  readonly imported: number;
  readonly failed: number;
}

export interface ImportRow {
  readonly line: number;
  readonly state: ImportRowState;
  /** Sealed, as it was typed; empty once it is forgotten. */
  readonly typed: Buffer;
  readonly faults: readonly RowFault[];
  readonly username: string | null;
  readonly subscriberId: SubscriberId | null;
}

export async function insertImportJob(
  trx: Trx,
  job: { fileName: string; requestedBy: string; at: Date },
): Promise<string> {
  const [id] = await trx('import_job').insert({
    file_name: job.fileName,
    requested_by: job.requestedBy,
    created_at: sqlInstant(job.at),
  });
  return String(id);
}

export async function insertImportRows(
  trx: Trx,
  jobId: string,
  rows: readonly Omit<ImportRow, 'subscriberId'>[],
): Promise<void> {
  for (const chunk of chunksOf([...rows], 500)) {
    await trx('import_row').insert(
      chunk.map((row) => ({
        job_id: jobId,
        line_no: row.line,
        state: row.state,
        typed: row.typed,
        faults: JSON.stringify(row.faults),
        username: row.username,
      })),
    );
  }
}

export async function setImportCounts(
  trx: Trx,
  jobId: string,
  counts: { good: number; bad: number },
): Promise<void> {
  await trx('import_job')
    .where({ id: jobId })
    .update({ total: counts.good + counts.bad, good_count: counts.good, bad_count: counts.bad });
}

export async function findImportJob(db: Db, id: string): Promise<ImportJob | undefined> {
  const row = await db('import_job').where({ id }).first<JobRow | undefined>();
  return row === undefined ? undefined : asJob(row);
}

export async function latestImportJobs(db: Db, limit: number): Promise<ImportJob[]> {
  return (await db('import_job').orderBy('id', 'desc').limit(limit).select<JobRow[]>()).map(asJob);
}

export async function beginImportJob(
  trx: Trx,
  id: string,
  start: { by: string; at: Date },
): Promise<boolean> {
  const begun = await trx('import_job')
    .where({ id, state: 'review' })
    .update({ state: 'working', requested_by: start.by, started_at: sqlInstant(start.at) });
  return begun > 0;
}

export async function endImportJob(
  db: Db,
  id: string,
  end: { from: readonly ImportJob['state'][]; state: 'done' | 'cancelled'; at: Date },
): Promise<boolean> {
  const ended = await db('import_job')
    .where({ id })
    .whereIn('state', [...end.from])
    .update({ state: end.state, finished_at: sqlInstant(end.at), claim_token: null, locked_until: null });
  return ended > 0;
}

/** Rows of a job in some states, by line. */
export async function importRows(
  db: Db,
  jobId: string,
  page: { states: readonly ImportRowState[]; after?: number; limit: number },
): Promise<ImportRow[]> {
  const lists = await Promise.all(
    page.states.map((state) =>
      db('import_row')
        .where({ job_id: jobId, state })
        .where('line_no', '>', page.after ?? 0)
        .orderBy('line_no')
        .limit(page.limit)
        .select<RowRow[]>(),
    ),
  );
  return lists
    .flat()
    .sort((a, b) => a.line_no - b.line_no)
    .slice(0, page.limit)
    .map(asRow);
}

export interface ImportResult {
  readonly line: number;
  readonly state: 'imported' | 'failed';
  readonly subscriberId: SubscriberId | null;
  readonly faults: readonly RowFault[];
}

/** Writes down what came of some rows, and adds them up. */
export async function recordImportResults(
  trx: Trx,
  jobId: string,
  results: readonly ImportResult[],
): Promise<void> {
  const counts = { imported: 0, failed: 0 };
  for (const one of results) {
    counts[one.state] += await trx('import_row')
      .where({ job_id: jobId, line_no: one.line, state: 'good' })
      .update({ state: one.state, subscriber_id: one.subscriberId, faults: JSON.stringify(one.faults) });
  }
  await trx('import_job')
    .where({ id: jobId })
    .update({
      done_count: trx.raw('done_count + ?', [counts.imported + counts.failed]),
      imported_count: trx.raw('imported_count + ?', [counts.imported]),
      failed_count: trx.raw('failed_count + ?', [counts.failed]),
    });
}

/** What was typed is forgotten of jobs made before that: the passwords are in it. Gives the jobs. */
export async function forgetTyped(db: Db, before: Date, at: Date): Promise<string[]> {
  const ids = await db('import_job')
    .whereNull('forgotten_at')
    .whereNot('state', 'working')
    .where('created_at', '<', sqlInstant(before))
    .orderBy('id')
    .limit(20)
    .pluck<string[]>('id');
  for (const id of ids) {
    await db('import_row')
      .where({ job_id: id })
      .update({ typed: Buffer.alloc(0) });
    await db('import_job')
      .where({ id })
      .update({
        forgotten_at: sqlInstant(at),
        state: db.raw("IF(state = 'review', 'cancelled', state)"),
      });
  }
  return ids;
}

/** Of these usernames, addresses and prefixes those that are given already. */
export async function takenBefore(
  db: Db,
  wanted: { usernames: readonly string[]; addresses: readonly string[]; prefixes: readonly string[] },
): Promise<{ usernames: Set<string>; addresses: Set<string>; prefixes: Set<string> }> {
  const [usernames, addresses, prefixes] = await Promise.all([
    db('login')
      .whereIn('username', [...wanted.usernames])
      .pluck<string[]>('username'),
    db('login')
      .whereIn('live_static_ipv4', [...wanted.addresses])
      .pluck<string[]>('live_static_ipv4'),
    db('login')
      .whereIn('delegated_ipv6_prefix', [...wanted.prefixes])
      .whereNull('retired_at')
      .pluck<string[]>('delegated_ipv6_prefix'),
  ]);
  return { usernames: new Set(usernames), addresses: new Set(addresses), prefixes: new Set(prefixes) };
}

export interface PoolSpan {
  readonly pool: string;
  readonly first: number;
  readonly last: number;
}

/** The address ranges of every pool, normal and suspended. */
export async function poolSpans(db: Db): Promise<PoolSpan[]> {
  const rows = await db('ipv4_pool_range as r')
    .join('ipv4_pool as p', 'p.id', 'r.pool_id')
    .limit(10_000)
    .select<
      {
        name: string;
        first_address: number;
        last_address: number;
        suspended_first_address: number;
        suspended_last_address: number;
      }[]
    >('p.name', 'r.*');
  return rows.flatMap((row) => [
    { pool: row.name, first: Number(row.first_address), last: Number(row.last_address) },
    { pool: row.name, first: Number(row.suspended_first_address), last: Number(row.suspended_last_address) },
  ]);
}

interface JobRow {
  id: string;
  state: ImportJob['state'];
  file_name: string;
  requested_by: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  forgotten_at: string | null;
  total: number;
  good_count: number;
  bad_count: number;
  done_count: number;
  imported_count: number;
  failed_count: number;
}

function asJob(row: JobRow): ImportJob {
  const instant = (text: string | null) => (text === null ? null : fromSqlInstant(text));
  return {
    id: row.id,
    state: row.state,
    fileName: row.file_name,
    requestedBy: row.requested_by,
    createdAt: fromSqlInstant(row.created_at),
    startedAt: instant(row.started_at),
    finishedAt: instant(row.finished_at),
    forgottenAt: instant(row.forgotten_at),
    total: row.total,
    good: row.good_count,
    bad: row.bad_count,
    done: row.done_count,
    imported: row.imported_count,
    failed: row.failed_count,
  };
}

interface RowRow {
  line_no: number;
  state: ImportRowState;
  typed: Buffer;
  faults: string;
  username: string | null;
  subscriber_id: SubscriberId | null;
}

function asRow(row: RowRow): ImportRow {
  return {
    line: row.line_no,
    state: row.state,
    typed: row.typed,
    faults: JSON.parse(row.faults) as RowFault[],
    username: row.username,
    subscriberId: row.subscriber_id,
  };
}
