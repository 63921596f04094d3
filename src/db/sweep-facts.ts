import type { LoginId } from '../domain/ids.ts';
import { type Db, sqlInstant } from './knex.ts';

/**
 * Logins whose stored review is due and that nobody has asked for yet, the longest overdue first. Those that wait in
 * the queue are left out: asking again would only put back a look that is going on.
 */
export async function loginsDueForReview(db: Db, now: Date, limit: number): Promise<LoginId[]> {
  return db('access_decision as d')
    .leftJoin('reconcile_queue as q', (on) => on.on('q.key', 'd.login_id').andOnVal('q.kind', 'login'))
    .whereNull('q.id')
    .where('d.review_at', '<=', sqlInstant(now))
    .orderBy('d.review_at')
    .limit(limit)
    .pluck<LoginId[]>('d.login_id');
}

/** The next logins by id that RADIUS knows or should know, without those that wait in the queue already. */
export async function loginsAfter(
  db: Db,
  after: LoginId | null,
  limit: number,
): Promise<{ id: LoginId; isWaiting: boolean }[]> {
  const rows = await db('login as l')
    .leftJoin('reconcile_queue as q', (on) => on.on('q.key', 'l.id').andOnVal('q.kind', 'login'))
    .where('l.id', '>', after ?? '0')
    .andWhere((query) =>
      query
        .whereNull('l.retired_at')
        .orWhereExists(db('radcheck as c').select(db.raw('1')).whereRaw('c.username = l.username')),
    )
    .orderBy('l.id')
    .limit(limit)
    .select<{ id: LoginId; queue_id: string | null }[]>('l.id', 'q.id as queue_id');
  return rows.map((row) => ({ id: row.id, isWaiting: row.queue_id !== null }));
}
