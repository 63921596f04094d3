import { type Db, fromSqlInstant } from './knex.ts';
import { databaseNow } from './leases.ts';
import { priorities, type ReconcileKind, reconcileKinds } from './reconcile-requests.ts';

/** Reads for monitoring: short looks into indexes, since it asks four times a minute for ever. */

const countMost = 100_000;

export interface QueueGauge {
  readonly kind: ReconcileKind;
  /** Counted to a hundred thousand and no further. */
  readonly waiting: number;
  readonly parked: number;
  /** For how long the key that is due longest has been due; 0 where none is. */
  readonly oldestDueSeconds: number;
}

export async function queueGauges(db: Db): Promise<QueueGauge[]> {
  const count = (kind: ReconcileKind, isParked: 0 | 1) =>
    `(SELECT COUNT(*) FROM (SELECT 1 FROM reconcile_queue FORCE INDEX (queue_due)
      WHERE kind = '${kind}' AND is_parked = ${isParked} LIMIT ${countMost}) x)`;
  // The index has the oldest of each priority at its beginning, and priorities are few.
  const oldest = (kind: ReconcileKind) =>
    Object.values(priorities).map(
      (priority) => `(SELECT not_before FROM reconcile_queue FORCE INDEX (queue_due)
        WHERE kind = '${kind}' AND is_parked = 0 AND priority = ${priority} ORDER BY not_before LIMIT 1)`,
    );
  const gauges: QueueGauge[] = [];
  for (const kind of reconcileKinds) {
    const [rows] = (await db.raw(
      `SELECT ${count(kind, 0)} AS waiting, ${count(kind, 1)} AS parked,
        (SELECT COALESCE(MAX(GREATEST(TIMESTAMPDIFF(SECOND, not_before, ?), 0)), 0)
         FROM (${oldest(kind).join(' UNION ALL ')}) o) AS oldest`,
      [databaseNow(db)],
    )) as unknown as [{ waiting: string; parked: string; oldest: string }[]];
    const [row] = rows;
    gauges.push({
      kind,
      waiting: Number(row?.waiting ?? 0),
      parked: Number(row?.parked ?? 0),
      oldestDueSeconds: Number(row?.oldest ?? 0),
    });
  }
  return gauges;
}

/** Per role, how long ago its liveliest process said that it lives; also of those that fell silent within the hour. */
export async function heartbeatAges(db: Db): Promise<Map<string, number>> {
  const rows = await db('process_heartbeat')
    .groupBy('role')
    .select<{ role: string; age: string }[]>(
      'role',
      db.raw('GREATEST(TIMESTAMPDIFF(SECOND, MAX(seen_at), ?), 0) AS age', [databaseNow(db)]),
    );
  return new Map(rows.map((row) => [row.role, Number(row.age)]));
}

export interface InvoiceRunGauge {
  readonly due: number;
  readonly done: number;
  readonly issued: number;
  readonly parked: number;
}

/** The invoice run that is at work, among the last few; undefined when none is. */
export async function invoiceRunAtWork(db: Db): Promise<InvoiceRunGauge | undefined> {
  const rows = await db('invoice_run').orderBy('id', 'desc').limit(5).select<
    {
      finished_at: string | null;
      due_count: number;
      done_count: number;
      issued_count: number;
      parked_count: number;
    }[]
  >('finished_at', 'due_count', 'done_count', 'issued_count', 'parked_count');
  const row = rows.find((one) => one.finished_at === null);
  if (row === undefined) return undefined;
  return {
    due: Number(row.due_count),
    done: Number(row.done_count),
    issued: Number(row.issued_count),
    parked: Number(row.parked_count),
  };
}

/** When the timetable's jobs ran last, by name: they are a dozen. */
export async function jobRuns(
  db: Db,
): Promise<{ name: string; lastFinishedAt: Date | null; hasFailed: boolean }[]> {
  const rows = await db('schedule')
    .orderBy('name')
    .select<{ name: string; last_finished_at: string | null; last_outcome: string | null }[]>(
      'name',
      'last_finished_at',
      'last_outcome',
    );
  return rows.map((row) => ({
    name: row.name,
    lastFinishedAt: row.last_finished_at === null ? null : fromSqlInstant(row.last_finished_at),
    hasFailed: row.last_outcome?.startsWith('failed') === true,
  }));
}
