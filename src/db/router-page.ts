import type { PacketOutcome } from '../domain/session-evidence.ts';
import { type RejectView, rejects, rejectView } from './access-view.ts';
import { type Db, sqlInstant } from './knex.ts';

/** The newest refused dials on a router. */
export async function rejectsOfRouter(db: Db, routerId: string, limit: number): Promise<RejectView[]> {
  const rows = await rejects(db)
    .where('p.router_id', routerId)
    .orderBy([
      { column: 'p.authdate', order: 'desc' },
      { column: 'p.id', order: 'desc' },
    ])
    .limit(limit);
  return (rows as Record<string, string | number | null>[]).map(rejectView);
}

export interface PacketCount {
  readonly action: 'coa' | 'disconnect';
  readonly outcome: PacketOutcome;
  readonly count: number;
}

/** What became of the packets sent to a router since an instant, of its newest `most` packets. */
export async function packetsToRouter(
  db: Db,
  routerId: string,
  since: Date,
  most: number,
): Promise<{ counts: PacketCount[]; isCut: boolean }> {
  const [rows] = (await db.raw(
    `SELECT action, outcome, COUNT(*) AS n FROM (
       SELECT action, outcome, sent_at FROM enforcement FORCE INDEX (enforcement_router)
       WHERE router_id = ? ORDER BY id DESC LIMIT ?) newest
     WHERE sent_at >= ? GROUP BY action, outcome ORDER BY action, n DESC`,
    [routerId, most, sqlInstant(since)],
  )) as unknown as [{ action: PacketCount['action']; outcome: PacketOutcome; n: string }[]];
  const counts = rows.map((row) => ({ action: row.action, outcome: row.outcome, count: Number(row.n) }));
  return { counts, isCut: counts.reduce((sum, one) => sum + one.count, 0) >= most };
}
