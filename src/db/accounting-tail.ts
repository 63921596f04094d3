import { chunksOf, type Db, sqlInstant } from './knex.ts';
import { databaseNow, databaseNowPlus } from './leases.ts';
import { asNumber, priorities, randomVersion } from './reconcile-requests.ts';
import { sessionDiffers, sessionIsEnding } from './sessions.ts';

/**
 * One process reads the tail, sweeps, or checks evidence at a time; the others stand by. Gives whether it is `owner`, and
 * how far was read.
 */
export async function leaseTail(
  db: Db,
  name: string,
  lease: { owner: string; ms: number; at: Date },
): Promise<{ isOwner: boolean; readTo: string }> {
  await db('accounting_tail')
    .insert({ name, radacctid: 0, read_at: sqlInstant(lease.at) })
    .onConflict('name')
    .ignore();
  await db('accounting_tail')
    .where({ name })
    .andWhere((query) => {
      void query
        .whereNull('owner')
        .orWhere('owner', lease.owner)
        .orWhere('locked_until', '<', databaseNow(db));
    })
    .update({ owner: lease.owner, locked_until: databaseNowPlus(db, lease.ms) });
  const row = await db('accounting_tail')
    .where({ name })
    .first<{ owner: string | null; radacctid: string } | undefined>('owner', 'radacctid');
  return { isOwner: row?.owner === lease.owner, readTo: row?.radacctid ?? '0' };
}

export async function releaseTail(db: Db, name: string, owner: string): Promise<void> {
  await db('accounting_tail').where({ name, owner }).update({ owner: null, locked_until: null });
}

export async function saveTail(
  db: Db,
  name: string,
  owner: string,
  read: { to: string; at: Date },
): Promise<void> {
  await db('accounting_tail')
    .where({ name, owner })
    .update({ radacctid: read.to, read_at: sqlInstant(read.at) });
}

/** The newest row's id, or 0. */
export async function newestAccountingId(db: Db): Promise<string> {
  const rows = await db('radacct').max<{ id: string | null }[]>({ id: 'radacctid' });
  return rows[0]?.id ?? '0';
}

/**
 * The id that ends a stretch of `count` open sessions after `afterId`, or null where fewer are left: open sessions are
 * few beside ended ones, so the sweep walks the index of open ones.
 */
export async function endOfOpenStretch(db: Db, afterId: string, count: number): Promise<string | null> {
  const row = await db('radacct')
    .whereNull('acctstoptime')
    .andWhere('radacctid', '>', afterId)
    .orderBy('radacctid')
    .offset(count - 1)
    .first<{ radacctid: string } | undefined>('radacctid');
  return row?.radacctid ?? null;
}

/** Where a walk over sessions that were claimed gone stands: after this instant and session. */
export interface GonePlace {
  readonly at: string;
  readonly radacctid: string;
}

/**
 * The next `limit` sessions that their routers claimed gone at or after `place`, and were heard of since: the claim was
 * wrong. `next` is null at the end. Those that nobody hears of stay, so the caller begins late enough.
 */
export async function heardThoughGone(
  db: Db,
  place: GonePlace,
  limit: number,
): Promise<{ ids: string[]; next: GonePlace | null }> {
  const [rows = []]: { radacctid: string; claimed_gone_at: string; is_heard: number | null }[][] =
    await db.raw(
      `SELECT c.radacctid, c.claimed_gone_at, a.acctstoptime IS NULL AND a.acctupdatetime > c.claimed_gone_at AS is_heard
     FROM (SELECT radacctid, claimed_gone_at FROM session_access FORCE INDEX (session_access_claimed)
           WHERE claimed_gone_at >= ? AND (claimed_gone_at > ? OR radacctid > ?)
           ORDER BY claimed_gone_at, radacctid LIMIT ?) c
     LEFT JOIN radacct a ON a.radacctid = c.radacctid
     ORDER BY c.claimed_gone_at, c.radacctid`,
      [place.at, place.at, asNumber(place.radacctid), limit],
    );
  const last = rows.length < limit ? undefined : rows.at(-1);
  return {
    ids: rows.filter((row) => row.is_heard === 1).map((row) => row.radacctid),
    next: last === undefined ? null : { at: last.claimed_gone_at, radacctid: last.radacctid },
  };
}

/** Open sessions by their ids: a stretch (after, to], or some. */
export type WhichSessions =
  { readonly after: string; readonly to: string } | { readonly ids: readonly string[] };

/**
 * Requests those of these open sessions that do not have what is decided, or whose Class is ours and whose login is
 * unknown. A key that waits already is left as it is, with its backoff, and so is a session that is ending, or one on a
 * router that was removed: there is nobody to send to. Gives how many were requested.
 */
export async function requestDriftedSessions(
  db: Db,
  which: WhichSessions,
  requestedBy: string,
): Promise<number> {
  const range =
    'ids' in which
      ? { where: `a.radacctid IN (${which.ids.map(() => '?').join(', ')})`, bindings: which.ids }
      : { where: 'a.radacctid > ? AND a.radacctid <= ?', bindings: [which.after, which.to] };
  if (range.bindings.length === 0) return 0;
  const [found = []]: { radacctid: string; router_id: string }[][] = await db.raw(
    `SELECT a.radacctid, COALESCE(a.router_id, n.id) AS router_id
     FROM radacct a
     LEFT JOIN login l ON l.username = a.username
     LEFT JOIN access_decision d ON d.login_id = l.id
     LEFT JOIN session_access s ON s.radacctid = a.radacctid
     LEFT JOIN router n ON a.router_id IS NULL AND n.live_address = a.nasipaddress
     LEFT JOIN reconcile_queue q ON q.kind = 'session' AND q.\`key\` = a.radacctid
     WHERE ${range.where} AND a.acctstoptime IS NULL AND q.id IS NULL
       AND COALESCE(a.router_id, n.id) IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM router gone WHERE gone.id = a.router_id AND gone.removed_at IS NOT NULL)
       AND ((d.login_id IS NOT NULL AND ${sessionDiffers})
         OR (l.id IS NULL AND a.class LIKE 'S1.%'
             AND (s.claimed_gone_at IS NULL OR a.acctupdatetime > s.claimed_gone_at)))
       AND NOT ${sessionIsEnding}
     ORDER BY a.radacctid`,
    [...range.bindings],
  );
  let requested = 0;
  for (const chunk of chunksOf(found, 500)) requested += await requestUnasked(db, chunk, requestedBy);
  return requested;
}

/**
 * Listed, because INSERT .. SELECT would keep the lock of the table's AUTO_INCREMENT, and every payment's request with it,
 * while thousands of sessions are read. A key that waits by now is left as it is.
 */
async function requestUnasked(
  db: Db,
  sessions: readonly { radacctid: string; router_id: string }[],
  requestedBy: string,
): Promise<number> {
  const now = databaseNow(db).toQuery();
  const [result] = (await db.raw(
    `INSERT IGNORE INTO reconcile_queue
       (kind, \`key\`, version, priority, not_before, router_id, requested_by, requested_at)
     VALUES ${sessions.map(() => `('session', ?, ?, ?, ${now}, ?, ?, ${now})`).join(', ')}`,
    sessions.flatMap((one) => [one.radacctid, randomVersion(), priorities.tail, one.router_id, requestedBy]),
  )) as unknown as [{ affectedRows: number }];
  return result.affectedRows;
}
