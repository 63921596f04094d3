import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

/** A login that has full access again: what was asked, when its rows were written, what its router said. */
export interface Restore {
  readonly loginId: string;
  readonly username: string;
  readonly reason: string;
  /** When the payment, lift or promise behind it was recorded; null where no act is on record (a sweep, a rollback job). */
  readonly askedAt: Date | null;
  /** When the decision was stored; its RADIUS rows were written in the same transaction. */
  readonly decidedAt: Date;
  /** CoA or Disconnect packets that were sent because of it. */
  readonly packets: number;
  readonly acknowledgedAt: Date | null;
}

/** The newest of them since an instant, at most `limit`. Each costs two short looks into an index. */
export async function restoresSince(db: Db, since: Date, limit: number): Promise<Restore[]> {
  interface Row {
    login_id: string;
    username: string;
    reason: string;
    at: string;
    asked_at: string | null;
    packets: string;
    acknowledged_at: string | null;
  }
  const ofThis =
    'e.login_id = c.login_id AND e.requested_by = c.requested_by AND e.sent_at >= c.at - INTERVAL 1 MINUTE';
  const [rows] = (await db.raw(
    `SELECT c.login_id, l.username, c.reason, c.at,
            (SELECT MIN(v.at) FROM activity v FORCE INDEX (activity_subscriber)
             WHERE v.subscriber_id = s.subscriber_id AND v.correlation_id = c.requested_by) AS asked_at,
            (SELECT COUNT(*) FROM enforcement e FORCE INDEX (enforcement_login) WHERE ${ofThis}) AS packets,
            (SELECT MIN(e.answered_at) FROM enforcement e FORCE INDEX (enforcement_login)
             WHERE ${ofThis} AND e.outcome = 'ack') AS acknowledged_at
     FROM access_change c FORCE INDEX (access_change_at)
     JOIN login l ON l.id = c.login_id
     JOIN subscription s ON s.id = l.subscription_id
     WHERE c.at >= ? AND c.to_access = 'full' AND c.from_access <> 'full'
     ORDER BY c.at DESC LIMIT ?`,
    [sqlInstant(since), limit],
  )) as unknown as [Row[]];
  const instant = (text: string | null) => (text === null ? null : fromSqlInstant(text));
  return rows.map((row) => ({
    loginId: row.login_id,
    username: row.username,
    reason: row.reason,
    askedAt: instant(row.asked_at),
    decidedAt: fromSqlInstant(row.at),
    packets: Number(row.packets),
    acknowledgedAt: instant(row.acknowledged_at),
  }));
}
