import type { SubscriberId } from '../domain/ids.ts';
import { chunksOf, type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';

export const bulkKinds = ['hold', 'lift', 'kick', 'reconcile', 'change_package'] as const;
export type BulkKind = (typeof bulkKinds)[number];
export type BulkItemState = 'waiting' | 'changed' | 'unchanged' | 'failed';

export interface BulkJob {
  readonly id: string;
  readonly kind: BulkKind;
  readonly state: 'draft' | 'working' | 'done' | 'cancelled';
  readonly chosen: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly requestedBy: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly total: number;
  readonly done: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly failed: number;
}

export async function insertBulkDraft(
  trx: Trx,
  draft: { kind: BulkKind; chosen: string; input: Record<string, unknown>; requestedBy: string; at: Date },
): Promise<string> {
  const [id] = await trx('bulk_job').insert({
    kind: draft.kind,
    chosen: draft.chosen,
    input: JSON.stringify(draft.input),
    requested_by: draft.requestedBy,
    created_at: sqlInstant(draft.at),
  });
  return String(id);
}

export async function addBulkItems(trx: Trx, jobId: string, ids: readonly SubscriberId[]): Promise<void> {
  for (const chunk of chunksOf([...ids], 1000)) {
    await trx('bulk_item')
      .insert(chunk.map((id) => ({ job_id: jobId, subscriber_id: id })))
      .onConflict()
      .ignore();
  }
}

/** Counts the items once they are all there; gives how many. */
export async function sealBulkDraft(trx: Trx, jobId: string): Promise<number> {
  const row = await trx('bulk_item').where({ job_id: jobId }).count<{ n: string }>({ n: '*' }).first();
  const total = Number(row?.n ?? 0);
  await trx('bulk_job').where({ id: jobId }).update({ total });
  return total;
}

/** Of the ids those that are subscribers. */
export async function knownSubscribers(db: Db, ids: readonly string[]): Promise<SubscriberId[]> {
  const chunks = await Promise.all(
    chunksOf([...ids], 500).map((chunk) =>
      db('subscriber').whereIn('id', chunk).orderBy('id').pluck<SubscriberId[]>('id'),
    ),
  );
  return chunks.flat();
}

export async function findBulkJob(db: Db, id: string): Promise<BulkJob | undefined> {
  const row = await db('bulk_job').where({ id }).first<Row | undefined>();
  return row === undefined ? undefined : asJob(row);
}

/** The newest jobs that were begun; drafts that nobody said yes to are left out. */
export async function listBulkJobs(
  db: Db,
  page: { before?: string; after?: string; limit: number },
): Promise<BulkJob[]> {
  const query = db('bulk_job').whereNot('state', 'draft').limit(page.limit);
  if (page.before !== undefined) void query.where('id', '<', page.before);
  if (page.after !== undefined) void query.where('id', '>', page.after);
  const rows = await query.orderBy('id', page.after === undefined ? 'desc' : 'asc').select<Row[]>();
  return rows.map(asJob);
}

/** Says yes to a draft; false where it is none any more. */
export async function beginBulkJob(
  trx: Trx,
  id: string,
  start: { input: Record<string, unknown>; by: string; at: Date },
): Promise<boolean> {
  const begun = await trx('bulk_job')
    .where({ id, state: 'draft' })
    .update({
      state: 'working',
      input: JSON.stringify(start.input),
      requested_by: start.by,
      started_at: sqlInstant(start.at),
    });
  return begun > 0;
}

export async function waitingBulkItems(db: Db, jobId: string, limit: number): Promise<SubscriberId[]> {
  return db('bulk_item')
    .where({ job_id: jobId, state: 'waiting' })
    .orderBy('subscriber_id')
    .limit(limit)
    .pluck<SubscriberId[]>('subscriber_id');
}

export interface BulkResult {
  readonly subscriberId: SubscriberId;
  readonly state: Exclude<BulkItemState, 'waiting'>;
  readonly result: string;
}

/** Writes down what came of some items, and adds them up. */
export async function recordBulkResults(
  trx: Trx,
  jobId: string,
  results: readonly BulkResult[],
): Promise<void> {
  const counts = { changed: 0, unchanged: 0, failed: 0 };
  for (const one of results) {
    const written = await trx('bulk_item')
      .where({ job_id: jobId, subscriber_id: one.subscriberId, state: 'waiting' })
      .update({ state: one.state, result: one.result.slice(0, 190) });
    counts[one.state] += written;
  }
  await trx('bulk_job')
    .where({ id: jobId })
    .update({
      done_count: trx.raw('done_count + ?', [counts.changed + counts.unchanged + counts.failed]),
      changed_count: trx.raw('changed_count + ?', [counts.changed]),
      unchanged_count: trx.raw('unchanged_count + ?', [counts.unchanged]),
      failed_count: trx.raw('failed_count + ?', [counts.failed]),
    });
}

export async function endBulkJob(
  db: Db,
  id: string,
  end: { state: 'done' | 'cancelled'; at: Date },
): Promise<boolean> {
  const ended = await db('bulk_job')
    .where({ id, state: 'working' })
    .update({ state: end.state, finished_at: sqlInstant(end.at), claim_token: null, locked_until: null });
  return ended > 0;
}

export interface BulkItem {
  readonly subscriberId: SubscriberId;
  readonly name: string;
  readonly state: BulkItemState;
  readonly result: string;
}

/** The items of a job in one state, by subscriber. */
export async function bulkItems(
  db: Db,
  jobId: string,
  page: { state: BulkItemState; after?: string; before?: string; limit: number },
): Promise<BulkItem[]> {
  const query = db('bulk_item as i')
    .join('subscriber as b', 'b.id', 'i.subscriber_id')
    .where({ 'i.job_id': jobId, 'i.state': page.state })
    .orderBy('i.subscriber_id', page.before === undefined ? 'asc' : 'desc')
    .limit(page.limit);
  if (page.after !== undefined) void query.where('i.subscriber_id', '>', page.after);
  if (page.before !== undefined) void query.where('i.subscriber_id', '<', page.before);
  const rows = await query.select<
    { subscriber_id: SubscriberId; name: string; state: BulkItemState; result: string }[]
  >('i.subscriber_id', 'b.name', 'i.state', 'i.result');
  return rows.map((row) => ({
    subscriberId: row.subscriber_id,
    name: row.name,
    state: row.state,
    result: row.result,
  }));
}

/** Forgets drafts that nobody said yes to, some at a time; gives how many. */
export async function deleteBulkDrafts(db: Db, before: Date): Promise<number> {
  return db('bulk_job')
    .where({ state: 'draft' })
    .where('created_at', '<', sqlInstant(before))
    .orderBy('id')
    .limit(100)
    .delete();
}

interface Row {
  id: string;
  kind: BulkKind;
  state: BulkJob['state'];
  chosen: string;
  input: string;
  requested_by: string;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  total: number;
  done_count: number;
  changed_count: number;
  unchanged_count: number;
  failed_count: number;
}

function asJob(row: Row): BulkJob {
  const instant = (text: string | null) => (text === null ? null : fromSqlInstant(text));
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    chosen: row.chosen,
    input: JSON.parse(row.input) as Record<string, unknown>,
    requestedBy: row.requested_by,
    createdAt: fromSqlInstant(row.created_at),
    startedAt: instant(row.started_at),
    finishedAt: instant(row.finished_at),
    total: row.total,
    done: row.done_count,
    changed: row.changed_count,
    unchanged: row.unchanged_count,
    failed: row.failed_count,
  };
}
