import type { Knex } from 'knex';
import { endOfOpenStretch } from './accounting-tail.ts';
import { chunksOf, sqlInstant } from './knex.ts';

/** Beside db/radius-rows.ts the one file that writes a table of FreeRADIUS: it ends sessions that nobody ended. */

/** In acctterminatecause. An interim re-opens such a session by FreeRADIUS's own query. */
export const staleCause = 'Sluice-Stale';

/** Where no row of the login says otherwise, as in freeradius/queries. */
const interimSecondsDefault = 300;
/** RFC 2869, 5.16: no interval may be shorter. A row that says less counts as this. */
const interimSecondsLeast = 60;

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
  const next = await endOfOpenStretch(db, walk.after, walk.limit);
  const ids = await staleIds(db, rules, { after: walk.after, to: next });
  let closed = 0;
  for (const chunk of chunksOf(ids, 500)) {
    // Asked again under the row's lock: an interim that came meanwhile keeps its session open.
    const [result] = (await db.raw(
      `UPDATE radacct a ${interim}
       SET a.acctstoptime = ${heardAt}, a.acctterminatecause = ?
       WHERE a.radacctid IN (${chunk.map(() => '?').join(', ')}) AND ${isStale}`,
      [staleCause, ...chunk, ...staleBindings(rules)],
    )) as unknown as [{ affectedRows: number }];
    closed += result.affectedRows;
  }
  return { closed, next };
}

const heardAt = 'COALESCE(a.acctupdatetime, a.acctstarttime)';

const interim = `LEFT JOIN radreply i
  ON i.username = a.username AND i.attribute = 'Acct-Interim-Interval' AND i.ordinal = 0`;

/** What its login's interval says is asked for nobody who was heard lately enough for any: that is four in five. */
const isStale = `a.acctstoptime IS NULL AND ${heardAt} < ? - INTERVAL ? SECOND
  AND ${heardAt} < ? - INTERVAL (3 * COALESCE(NULLIF(CAST(i.value AS UNSIGNED), 0), ?) + ?) SECOND`;

function staleBindings({ now, slackSeconds, leastSeconds }: StaleRules): readonly (string | number)[] {
  const soonest = Math.max(leastSeconds, 3 * interimSecondsLeast + slackSeconds);
  return [sqlInstant(now), soonest, sqlInstant(now), interimSecondsDefault, slackSeconds];
}

async function staleIds(
  db: Knex,
  rules: StaleRules,
  range: { after: string; to: string | null },
): Promise<string[]> {
  const [rows] = (await db.raw(
    `SELECT a.radacctid FROM radacct a FORCE INDEX (radacct_open) ${interim}
     WHERE a.radacctid > ? ${range.to === null ? '' : 'AND a.radacctid <= ?'} AND ${isStale}`,
    [range.after, ...(range.to === null ? [] : [range.to]), ...staleBindings(rules)],
  )) as unknown as [{ radacctid: string }[]];
  return rows.map((row) => row.radacctid);
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
