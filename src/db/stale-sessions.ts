import type { Knex } from 'knex';
import { chunksOf, sqlInstant } from './knex.ts';

/** Beside db/radius-rows.ts the one file that writes a table of FreeRADIUS: it ends sessions that nobody ended. */

/** In acctterminatecause. An interim re-opens such a session by FreeRADIUS's own query. */
export const staleCause = 'Sluice-Stale';

/** Where no row of the login says otherwise, as in freeradius/queries. */
const interimSecondsDefault = 300;

/**
 * Ends open sessions that were not heard for three interims and `slackSeconds`, at their last update and not now: what is
 * not known is not added. Where nobody at all was heard for `silenceSeconds`, accounting itself is down, and only those
 * older than `silentAfterSeconds` are ended. Gives how many.
 */
export async function closeStaleSessions(
  db: Knex,
  options: {
    now: Date;
    slackSeconds: number;
    silenceSeconds: number;
    silentAfterSeconds: number;
    limit: number;
  },
): Promise<number> {
  const now = sqlInstant(options.now);
  const stale = `a.acctstoptime IS NULL AND COALESCE(a.acctupdatetime, a.acctstarttime)
    < ? - INTERVAL (GREATEST(?, 3 * COALESCE(NULLIF(CAST(i.value AS UNSIGNED), 0), ?) + ?)) SECOND`;
  const interim = `LEFT JOIN radreply i ON i.username = a.username AND i.attribute = 'Acct-Interim-Interval' AND i.ordinal = 0`;
  const least = (await isSilent(db, options)) ? options.silentAfterSeconds : 0;
  const bindings = [now, least, interimSecondsDefault, options.slackSeconds];
  const [rows] = (await db.raw(
    `SELECT a.radacctid FROM radacct a ${interim} WHERE ${stale} ORDER BY a.radacctid LIMIT ?`,
    [...bindings, options.limit],
  )) as unknown as [{ radacctid: string }[]];
  let closed = 0;
  for (const chunk of chunksOf(rows, 500)) {
    // Asked again under the row's lock: an interim that came meanwhile keeps its session open.
    const [result] = (await db.raw(
      `UPDATE radacct a ${interim}
       SET a.acctstoptime = COALESCE(a.acctupdatetime, a.acctstarttime), a.acctterminatecause = ?
       WHERE a.radacctid IN (${chunk.map(() => '?').join(', ')}) AND ${stale}`,
      [staleCause, ...chunk.map((row) => row.radacctid), ...bindings],
    )) as unknown as [{ affectedRows: number }];
    closed += result.affectedRows;
  }
  return closed;
}

async function isSilent(db: Knex, options: { now: Date; silenceSeconds: number }): Promise<boolean> {
  const since = new Date(options.now.getTime() - options.silenceSeconds * 1000);
  const heard = await db('radacct')
    .whereNull('acctstoptime')
    .andWhere('acctupdatetime', '>=', sqlInstant(since))
    .first<{ radacctid: string } | undefined>('radacctid');
  return heard === undefined;
}
