import type { Day } from '../domain/day.ts';
import type { InvoiceRunId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

/** An invoice run as its page shows it. */
export interface InvoiceRunView {
  readonly id: InvoiceRunId;
  readonly asOf: Day;
  readonly requestedBy: string;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  /** Subscriptions that were due when it began, and those that were dealt with since. */
  readonly dueCount: number;
  readonly doneCount: number;
  readonly issuedCount: number;
  readonly parkedCount: number;
  readonly totalMinor: Minor;
}

/** Newest first, a page at a time; `after` gives the ones that are newer, oldest of them first. */
export async function listInvoiceRuns(
  db: Db,
  page: { before?: InvoiceRunId; after?: InvoiceRunId; limit: number },
): Promise<InvoiceRunView[]> {
  const query = db('invoice_run').limit(page.limit);
  if (page.before !== undefined) void query.where('id', '<', page.before);
  if (page.after !== undefined) void query.where('id', '>', page.after);
  const rows = await query.orderBy('id', page.after === undefined ? 'desc' : 'asc').select<Row[]>();
  return rows.map(asView);
}

export async function findInvoiceRun(db: Db, id: InvoiceRunId): Promise<InvoiceRunView | undefined> {
  const row = await db('invoice_run').where({ id }).first<Row | undefined>();
  return row === undefined ? undefined : asView(row);
}

/** Runs of that day which began before an instant and are not finished, oldest first. */
export async function unfinishedInvoiceRuns(
  db: Db,
  which: { asOf: Day; begunBefore: Date },
): Promise<InvoiceRunView[]> {
  const rows = await db('invoice_run')
    .where({ as_of: which.asOf })
    .whereNull('finished_at')
    .where('started_at', '<', sqlInstant(which.begunBefore))
    .orderBy('id')
    .limit(20)
    .select<Row[]>();
  return rows.map(asView);
}

interface Row {
  id: InvoiceRunId;
  as_of: Day;
  requested_by: string;
  started_at: string;
  finished_at: string | null;
  due_count: number;
  done_count: number;
  issued_count: number;
  parked_count: number;
  total_minor: string;
}

function asView(row: Row): InvoiceRunView {
  return {
    id: row.id,
    asOf: row.as_of,
    requestedBy: row.requested_by,
    startedAt: fromSqlInstant(row.started_at),
    finishedAt: row.finished_at === null ? null : fromSqlInstant(row.finished_at),
    dueCount: row.due_count,
    doneCount: row.done_count,
    issuedCount: row.issued_count,
    parkedCount: row.parked_count,
    totalMinor: BigInt(row.total_minor),
  };
}

/** Subscriptions whose next period has begun as of a day, counted to `limit` and no further. */
export async function countDueUpTo(db: Db, asOf: Day, limit: number): Promise<number> {
  const due = db('subscription')
    .where('next_invoice_on', '<=', asOf)
    .where('state', 'active')
    .limit(limit)
    .select(db.raw('1'))
    .as('due');
  const [row] = await db.from(due).select<{ n: string }[]>(db.raw('COUNT(*) AS n'));
  return Number(row?.n ?? 0);
}

export interface ParkedInRun {
  readonly subscriptionId: SubscriptionId;
  readonly subscriberId: SubscriberId;
  readonly subscriberName: string;
  readonly reason: string;
  readonly parkedAt: Date;
  readonly settledAt: Date | null;
}

/** What a run set aside, by subscription, a page at a time. */
export async function parkedInRun(
  db: Db,
  run: { kind: 'invoice' | 'overdue'; id: InvoiceRunId },
  page: { after?: SubscriptionId; before?: SubscriptionId; limit: number },
): Promise<ParkedInRun[]> {
  const query = db('parked as k')
    .join('subscription as n', 'n.id', 'k.subscription_id')
    .join('subscriber as c', 'c.id', 'n.subscriber_id')
    .where({ 'k.run_kind': run.kind, 'k.run_id': run.id })
    .limit(page.limit);
  if (page.after !== undefined) void query.where('k.subscription_id', '>', page.after);
  if (page.before !== undefined) void query.where('k.subscription_id', '<', page.before);
  const rows = await query
    .orderBy('k.subscription_id', page.before === undefined ? 'asc' : 'desc')
    .select<ParkedRow[]>(
      'k.subscription_id',
      'n.subscriber_id',
      'c.name',
      'k.reason',
      'k.parked_at',
      'k.settled_at',
    );
  return rows.map((row) => ({
    subscriptionId: row.subscription_id,
    subscriberId: row.subscriber_id,
    subscriberName: row.name,
    reason: row.reason,
    parkedAt: fromSqlInstant(row.parked_at),
    settledAt: row.settled_at === null ? null : fromSqlInstant(row.settled_at),
  }));
}

interface ParkedRow {
  subscription_id: SubscriptionId;
  subscriber_id: SubscriberId;
  name: string;
  reason: string;
  parked_at: string;
  settled_at: string | null;
}
