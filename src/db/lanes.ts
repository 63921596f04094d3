import type { Knex } from 'knex';
import type { RouterId } from '../domain/ids.ts';
import { chunksOf, type Db, inTransaction } from './knex.ts';
import { databaseNow, databaseNowPlus } from './leases.ts';

/**
 * Routers that have session work due now and whose lane is free or ours, also those whose breaker is open and whose probe
 * is due. Each router is one look into an index, however much work waits; those of `except` are not looked at, since
 * whoever serves them steps over what is on its way. Only a lane's owner claims, so where nobody owns it a claim is one
 * that somebody lost track of (the database went away under it), and no reason to wait.
 */
export async function routersWithDueSessions(
  db: Db,
  which: { owner: string; except: readonly RouterId[]; limit: number },
): Promise<RouterId[]> {
  const now = databaseNow(db);
  const except =
    which.except.length === 0 ? '' : `r.id NOT IN (${which.except.map(() => '?').join(', ')}) AND`;
  const [rows] = (await db.raw(
    `SELECT r.id FROM router r LEFT JOIN router_lane n ON n.router_id = r.id
     WHERE ${except} (n.owner IS NULL OR n.owner = ? OR n.locked_until < ?)
       AND (n.breaker IS NULL OR n.breaker = 'closed' OR n.probe_at <= ?)
       AND EXISTS (SELECT 1 FROM reconcile_queue q
         WHERE q.router_id = r.id AND q.kind = 'session' AND q.is_parked = 0 AND q.not_before <= ?
           AND (q.locked_until IS NULL OR q.locked_until < ? OR n.owner IS NULL OR n.locked_until < ?))
     LIMIT ?`,
    [...which.except, which.owner, now, now, now, now, now, which.limit],
  )) as unknown as [{ id: RouterId }[]];
  return rows.map((row) => row.id);
}

/**
 * Takes the lanes that nobody has, in database time. Only the owner sends to a router, so keys that a former owner
 * claimed and left behind are free again: its lease is over, and it knows that. Gives the lanes that are ours now.
 */
export async function leaseLanes(
  db: Knex,
  routerIds: readonly RouterId[],
  lease: { owner: string; ms: number },
): Promise<RouterId[]> {
  if (routerIds.length === 0) return [];
  const ids = sorted(routerIds);
  // A statement of its own: on a row that exists it takes a shared lock, and two processes that both went on from there
  // to the exclusive one would deadlock, with each other and with whoever notes an answer.
  await db('router_lane')
    .insert(ids.map((id) => ({ router_id: id })))
    .onConflict('router_id')
    .ignore();
  return inTransaction(db, async (trx) => {
    const free = await trx('router_lane')
      .whereIn('router_id', ids)
      .andWhere((query) => {
        void query
          .where('owner', lease.owner)
          .orWhereNull('owner')
          .orWhere('locked_until', '<', databaseNow(trx));
      })
      .orderBy('router_id')
      .forUpdate()
      .pluck<RouterId[]>('router_id');
    if (free.length === 0) return [];
    await trx('router_lane')
      .whereIn('router_id', free)
      .update({ owner: lease.owner, locked_until: databaseNowPlus(trx, lease.ms) });
    await trx('reconcile_queue')
      .where({ kind: 'session' })
      .whereIn('router_id', free)
      .whereNotNull('claim_token')
      .update({ claim_token: null, locked_until: null });
    return free;
  });
}

/** Keeps lanes for another lease. Gives those that are still ours. */
export async function renewLanes(
  db: Db,
  routerIds: readonly RouterId[],
  lease: { owner: string; ms: number },
): Promise<RouterId[]> {
  const kept: RouterId[] = [];
  for (const chunk of chunksOf(sorted(routerIds), 500)) {
    // A lease that ran out is not renewed: another may have sent since and be gone again.
    await db('router_lane')
      .whereIn('router_id', chunk)
      .andWhere({ owner: lease.owner })
      .andWhere('locked_until', '>=', databaseNow(db))
      .update({ locked_until: databaseNowPlus(db, lease.ms) });
    kept.push(
      ...(await db('router_lane')
        .whereIn('router_id', chunk)
        .andWhere({ owner: lease.owner })
        .andWhere('locked_until', '>=', databaseNow(db))
        .pluck<RouterId[]>('router_id')),
    );
  }
  return kept;
}

export async function releaseLanes(db: Db, routerIds: readonly RouterId[], owner: string): Promise<void> {
  for (const chunk of chunksOf(sorted(routerIds), 500)) {
    await db('router_lane')
      .whereIn('router_id', chunk)
      .andWhere({ owner })
      .update({ owner: null, locked_until: null });
  }
}

/** These routers answered, as they did before: one statement for many, since a sign of life of each is due often. */
export async function noteAnswers(db: Db, routerIds: readonly RouterId[]): Promise<void> {
  for (const chunk of chunksOf(sorted(routerIds), 500)) {
    await db('router_lane')
      .whereIn('router_id', chunk)
      // What somebody has learnt to the contrary since stays.
      .andWhere({ breaker: 'closed', failures: 0 })
      .update({ last_answer_at: databaseNow(db), last_error: null });
  }
}

export interface LaneState {
  readonly isOpen: boolean;
  readonly failures: number;
}

export async function laneState(db: Db, routerId: RouterId): Promise<LaneState> {
  const row = await db('router_lane')
    .where({ router_id: routerId })
    .first<{ breaker: 'closed' | 'open'; failures: number } | undefined>('breaker', 'failures');
  return { isOpen: row?.breaker === 'open', failures: row?.failures ?? 0 };
}

/** What the lane learnt about its router; `probeInMs` with an open breaker only. */
export async function saveLaneState(
  db: Db,
  routerId: RouterId,
  state: LaneState & {
    probeInMs?: number;
    isNewlyOpen?: boolean;
    hasAnswered?: boolean;
    lastError?: string | null;
  },
): Promise<void> {
  await db('router_lane')
    .where({ router_id: routerId })
    .update({
      breaker: state.isOpen ? 'open' : 'closed',
      failures: state.failures,
      ...(state.isOpen ? {} : { breaker_opened_at: null, probe_at: null }),
      ...(state.isNewlyOpen === true ? { breaker_opened_at: databaseNow(db) } : {}),
      ...(state.probeInMs === undefined ? {} : { probe_at: databaseNowPlus(db, state.probeInMs) }),
      ...(state.hasAnswered === true ? { last_answer_at: databaseNow(db), last_error: null } : {}),
      ...(state.lastError == null ? {} : { last_error: state.lastError.slice(0, 120) }),
    });
}

/**
 * Routers whose accounting moved again after their breaker opened: the next packet may go now. Once for each opening: a
 * router that accounts all the time and never answers CoA would otherwise be tried for ever at full speed.
 */
export async function probeReturningRouters(db: Db): Promise<RouterId[]> {
  const [rows] = (await db.raw(
    `SELECT n.router_id FROM router_lane n
     WHERE n.breaker = 'open' AND COALESCE(n.last_accounting_at, '1970-01-01') <= n.breaker_opened_at
       AND EXISTS (SELECT 1 FROM radacct a WHERE a.router_id = n.router_id AND a.acctstoptime IS NULL
                   AND a.acctupdatetime > n.breaker_opened_at)
     ORDER BY n.router_id LIMIT 500`,
  )) as unknown as [{ router_id: RouterId }[]];
  const returned = rows.map((row) => row.router_id);
  if (returned.length === 0) return [];
  await db.raw(
    `UPDATE router_lane n
     JOIN (SELECT router_id, MAX(acctupdatetime) AS heard FROM radacct
           WHERE router_id IN (${returned.map(() => '?').join(', ')}) AND acctstoptime IS NULL GROUP BY router_id) a
       ON a.router_id = n.router_id
     SET n.last_accounting_at = a.heard, n.probe_at = ?
     WHERE n.breaker = 'open' AND a.heard > n.breaker_opened_at`,
    [...returned, databaseNow(db)],
  );
  return returned;
}

function sorted(ids: readonly RouterId[]): RouterId[] {
  return [...ids].sort((a, b) => Number(BigInt(a) - BigInt(b)));
}
