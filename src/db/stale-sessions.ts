import type { Knex } from 'knex';
import { chunksOf, sqlInstant } from './knex.ts';

/** Beside db/radius-rows.ts the one file that writes a table of FreeRADIUS: it ends sessions that nobody ended. */

/** In acctterminatecause. An interim re-opens such a session by FreeRADIUS's own query. */
export const staleCause = 'Sluice-Stale';

/** Where no row of the login says otherwise, as in freeradius/queries. */
const interimSecondsDefault = 300;

export interface StaleRules {
  readonly now: Date;
  /** Silence that is allowed beside three interims. */
  readonly slackSeconds: number;
  /** No shorter silence than this is stale, whatever the interim. */
  readonly leastSeconds: number;
}

/**
 * Looks at the next `limit` open sessions after `after`, in the order of their ids, and ends those that were not heard for
 * three interims and the slack, at their last update and not now: what is not known is not added. Gives how many it
 * ended and where the walk goes on, null at its end. So a walk reads each open session once, however many are stale.
 */
export async function closeStaleSessions(
  db: Knex,
  rules: StaleRules,
  walk: { after: string; limit: number },
): Promise<{ closed: number; next: string | null }> {
  const stale = `a.acctstoptime IS NULL AND COALESCE(a.acctupdatetime, a.acctstarttime)
    < ? - INTERVAL (GREATEST(?, 3 * COALESCE(NULLIF(CAST(i.value AS UNSIGNED), 0), ?) + ?)) SECOND`;
  const interim = `LEFT JOIN radreply i ON i.username = a.username AND i.attribute = 'Acct-Interim-Interval' AND i.ordinal = 0`;
  const bindings = [sqlInstant(rules.now), rules.leastSeconds, interimSecondsDefault, rules.slackSeconds];
  const [rows] = (await db.raw(
    `SELECT a.radacctid, ${stale} AS is_stale FROM
       (SELECT radacctid, username, acctstoptime, acctupdatetime, acctstarttime FROM radacct FORCE INDEX (radacct_open)
        WHERE acctstoptime IS NULL AND radacctid > ? ORDER BY radacctid LIMIT ?) a ${interim} ORDER BY a.radacctid`,
    [...bindings, walk.after, walk.limit],
  )) as unknown as [{ radacctid: string; is_stale: number | string }[]];
  let closed = 0;
  for (const chunk of chunksOf(
    rows.filter((row) => Number(row.is_stale) === 1),
    500,
  )) {
    // Asked again under the row's lock: an interim that came meanwhile keeps its session open.
    const [result] = (await db.raw(
      `UPDATE radacct a ${interim}
       SET a.acctstoptime = COALESCE(a.acctupdatetime, a.acctstarttime), a.acctterminatecause = ?
       WHERE a.radacctid IN (${chunk.map(() => '?').join(', ')}) AND ${stale}`,
      [staleCause, ...chunk.map((row) => row.radacctid), ...bindings],
    )) as unknown as [{ affectedRows: number }];
    closed += result.affectedRows;
  }
  return { closed, next: rows.length < walk.limit ? null : (rows.at(-1)?.radacctid ?? null) };
}

/** Whether no router at all sent an interim for so long: then accounting itself is down. */
export async function isAccountingSilent(
  db: Knex,
  options: { now: Date; silenceSeconds: number },
): Promise<boolean> {
  const since = new Date(options.now.getTime() - options.silenceSeconds * 1000);
  const heard = await db('radacct')
    .whereNull('acctstoptime')
    .andWhere('acctupdatetime', '>=', sqlInstant(since))
    .first<{ radacctid: string } | undefined>('radacctid');
  return heard === undefined;
}
