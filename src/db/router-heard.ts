import { chunksOf, type Db, fromSqlInstant } from './knex.ts';

/** Of a router's open sessions so many of the newest are asked: with interims every five minutes, one of them is seconds old. */
const sampled = 20;
const routersAtOnce = 50;

/**
 * When accounting last came from each router: the newest report among its newest open sessions, or its last Stop if that
 * is later. A router that never sent any is left out. Nothing is kept for it, since FreeRADIUS would have to write the
 * same row of a router with each of its packets.
 */
export async function lastAccountingOf(db: Db, routerIds: readonly string[]): Promise<Map<string, Date>> {
  const heard = new Map<string, Date>();
  for (const chunk of chunksOf(routerIds, routersAtOnce)) {
    const [rows] = (await db.raw(
      chunk.map(() => ofOneRouter).join(' UNION ALL '),
      chunk.flatMap((id) => [id, id, sampled, id]),
    )) as unknown as [{ id: string; open_at: string | null; stopped_at: string | null }[]];
    for (const row of rows) {
      const instants = [row.open_at, row.stopped_at].filter((at) => at !== null).map(fromSqlInstant);
      const last = instants.sort((a, b) => a.getTime() - b.getTime()).at(-1);
      if (last !== undefined) heard.set(String(row.id), last);
    }
  }
  return heard;
}

const ofOneRouter = `SELECT CAST(? AS CHAR) AS id,
  (SELECT MAX(at) FROM (SELECT COALESCE(acctupdatetime, acctstarttime) AS at FROM radacct FORCE INDEX (radacct_router)
     WHERE router_id = ? AND acctstoptime IS NULL ORDER BY radacctid DESC LIMIT ?) newest) AS open_at,
  (SELECT acctstoptime FROM radacct FORCE INDEX (radacct_router)
   WHERE router_id = ? AND acctstoptime IS NOT NULL ORDER BY acctstoptime DESC LIMIT 1) AS stopped_at`;
