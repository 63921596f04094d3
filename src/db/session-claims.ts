import type { RouterId } from '../domain/ids.ts';
import { chunksOf, type Db, type Trx } from './knex.ts';
import { databaseNow, databaseNowPlus } from './leases.ts';
import type { Claim } from './reconcile-queue.ts';
import { urgentFrom } from './reconcile-requests.ts';

/** What the sender of a router asks for; it has the router's lane. */
export interface SessionWish {
  readonly routerId: RouterId;
  /** Keys that may be sent now. */
  readonly most: number;
  /** So many more of those that a person waits for: the pace is made up for afterwards. */
  readonly urgentMost: number;
  /** Behind an open breaker: nothing until the probe is due. */
  readonly isProbe: boolean;
}

export interface DueSession extends Claim {
  /** As it stands in the queue. */
  readonly requestedAt: string;
}

/**
 * Due session keys of several routers in one look, each router's most urgent first, locked until the transaction ends.
 * Waits for nobody: a key that somebody is just asking for again is left for the next look.
 */
export async function lockDueSessions(
  trx: Trx,
  wishes: readonly SessionWish[],
  token: string,
): Promise<DueSession[]> {
  const found = await candidates(trx, await withoutWaitingProbes(trx, wishes));
  if (found.length === 0) return [];
  const rows = await trx('reconcile_queue')
    .select<QueueRow[]>(queueColumns)
    .whereIn(
      'id',
      found.map((row) => row.id),
    )
    .andWhere({ kind: 'session', is_parked: false })
    .andWhere((free) => void free.whereNull('locked_until').orWhere('locked_until', '<', databaseNow(trx)))
    .orderBy('id')
    .forUpdate()
    .skipLocked();
  const byId = new Map(rows.map((row) => [row.id, row]));
  // In the order of the look, which is the order of sending.
  return found.flatMap(({ id }) => {
    const row = byId.get(id);
    return row === undefined ? [] : [dueSession(row, token)];
  });
}

async function withoutWaitingProbes(db: Db, wishes: readonly SessionWish[]): Promise<readonly SessionWish[]> {
  const probing = wishes.filter((wish) => wish.isProbe).map((wish) => wish.routerId);
  if (probing.length === 0) return wishes;
  const waiting = new Set(
    await db('router_lane')
      .whereIn('router_id', probing)
      .andWhere({ breaker: 'open' })
      .andWhere((query) => void query.whereNull('probe_at').orWhere('probe_at', '>', databaseNow(db)))
      .pluck<RouterId[]>('router_id'),
  );
  return wishes.filter((wish) => !waiting.has(wish.routerId));
}

/** One look into the index for each router, in one statement; reads without locks. */
async function candidates(
  db: Db,
  wishes: readonly SessionWish[],
): Promise<{ id: string; priority: number }[]> {
  const found: { id: string; priority: number }[] = [];
  for (const chunk of chunksOf(wishes, 100)) {
    const now = databaseNow(db);
    const [rows = []]: { id: string; router_id: RouterId; priority: number }[][] = await db.raw(
      chunk
        .map(
          ({ most }) =>
            `(SELECT id, router_id, priority FROM reconcile_queue FORCE INDEX (queue_router)
              WHERE router_id = ? AND kind = 'session' AND is_parked = 0 AND not_before <= ?
                AND (locked_until IS NULL OR locked_until < ?)${most > 0 ? '' : ' AND priority >= ?'}
              ORDER BY priority DESC, not_before LIMIT ?)`,
        )
        .join(' UNION ALL '),
      chunk.flatMap(({ routerId, most, urgentMost }) => [
        routerId,
        now,
        now,
        ...(most > 0 ? [] : [urgentFrom]),
        Math.max(0, most) + urgentMost,
      ]),
    );
    const most = new Map(chunk.map((wish) => [wish.routerId, Math.max(0, wish.most)]));
    for (const row of rows) {
      const left = most.get(row.router_id) ?? 0;
      if (left > 0) most.set(row.router_id, left - 1);
      if (left > 0 || row.priority >= urgentFrom) found.push(row);
    }
  }
  return found;
}

interface QueueRow {
  id: string;
  key: string;
  version: string;
  priority: number;
  attempts: number;
  router_id: RouterId | null;
  requested_by: string;
  requested_at: string;
}

const queueColumns = [
  'id',
  'key',
  'version',
  'priority',
  'attempts',
  'router_id',
  'requested_by',
  'requested_at',
] as const;

function dueSession(row: QueueRow, token: string): DueSession {
  return {
    id: row.id,
    kind: 'session',
    key: row.key,
    version: row.version,
    token,
    attempts: row.attempts,
    priority: row.priority,
    routerId: row.router_id,
    requestedBy: row.requested_by,
    requestedAt: row.requested_at,
  };
}

/** Makes keys that are locked ours for the time that sending takes. */
export async function keepSessions(
  trx: Trx,
  keys: readonly DueSession[],
  lease: { token: string; ms: number },
): Promise<void> {
  for (const chunk of chunksOf(keys, 500)) {
    await trx('reconcile_queue')
      .whereIn(
        'id',
        chunk.map((key) => key.id),
      )
      .update({ claim_token: lease.token, locked_until: databaseNowPlus(trx, lease.ms) });
  }
}

/** Keys that are locked and need nothing: their wishes are over. */
export async function dropSessions(trx: Trx, keys: readonly DueSession[]): Promise<void> {
  for (const chunk of chunksOf(keys, 500)) {
    await trx('reconcile_queue')
      .whereIn(
        'id',
        chunk.map((key) => key.id),
      )
      .del();
  }
}
