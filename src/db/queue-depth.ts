import type { Db } from './knex.ts';
import { databaseNow } from './leases.ts';
import type { ReconcileKind } from './reconcile-requests.ts';

export interface QueueDepth {
  kind: ReconcileKind;
  waiting: number;
  parked: number;
  /** Rows that failed at least once and will be tried again. */
  failing: number;
  /** Age of the oldest wish that waits, in ms; null when none does. */
  oldestMs: number | null;
}

export async function queueDepth(db: Db): Promise<QueueDepth[]> {
  const [rows = []]: DepthRow[][] = await db.raw(
    `SELECT kind, SUM(is_parked = 0) AS waiting, SUM(is_parked = 1) AS parked,
            SUM(is_parked = 0 AND attempts > 0) AS failing,
            TIMESTAMPDIFF(MICROSECOND, MIN(IF(is_parked, NULL, requested_at)), ?) AS oldest_us
     FROM reconcile_queue GROUP BY kind ORDER BY kind`,
    [databaseNow(db)],
  );
  return rows.map((row) => ({
    kind: row.kind,
    waiting: Number(row.waiting),
    parked: Number(row.parked),
    failing: Number(row.failing),
    oldestMs: row.oldest_us === null ? null : Math.max(0, Math.round(Number(row.oldest_us) / 1000)),
  }));
}

interface DepthRow {
  kind: ReconcileKind;
  waiting: string;
  parked: string;
  failing: string;
  oldest_us: string | null;
}
