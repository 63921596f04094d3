import type { Day } from '../domain/day.ts';
import type { OwedAge } from '../domain/figure-kinds.ts';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

/**
 * What charts are made of, counted from index ranges: rows that are newer than a known id, or a stretch of time of an
 * indexed column. The first minute and the last may be incomplete; who stores them counts them again.
 */

export interface Counted {
  readonly at: Date;
  readonly key: string;
  readonly count: bigint;
}

interface CountedRow {
  at: string;
  name: string | null;
  n: string;
}

const minuteOf = (column: string) => `CAST(DATE_FORMAT(${column}, '%Y-%m-%d %H:%i:00') AS DATETIME)`;
const fiveMinutesOf = (column: string) =>
  `CAST(DATE_FORMAT(${column} - INTERVAL (MINUTE(${column}) MOD 5) MINUTE, '%Y-%m-%d %H:%i:00') AS DATETIME)`;

/** The newest id of a table that only grows. */
export async function newestId(db: Db, table: 'radacct' | 'enforcement'): Promise<bigint> {
  const column = table === 'radacct' ? 'radacctid' : 'id';
  const row = await db(table).max<{ id: string | null }[]>({ id: column });
  return BigInt(row[0]?.id ?? 0);
}

/** Sessions by the minute in which they started, of the rows after an id. */
export async function countStarts(db: Db, after: bigint, from: Date): Promise<Counted[]> {
  return counted(db, {
    sql: `SELECT ${minuteOf('acctstarttime')} AS at, NULL AS name, COUNT(*) AS n FROM radacct FORCE INDEX (PRIMARY)
          WHERE radacctid > ? AND acctstarttime >= ? GROUP BY 1`,
    bindings: [after.toString(), sqlInstant(from)],
  });
}

/** The same for each router, by five minutes. */
export async function countRouterStarts(db: Db, after: bigint, from: Date): Promise<Counted[]> {
  return counted(db, {
    sql: `SELECT ${fiveMinutesOf('acctstarttime')} AS at, router_id AS name, COUNT(*) AS n
          FROM radacct FORCE INDEX (PRIMARY)
          WHERE radacctid > ? AND acctstarttime >= ? AND router_id IS NOT NULL GROUP BY 1, 2`,
    bindings: [after.toString(), sqlInstant(from)],
  });
}

/** Refused dials by minute and reason: FreeRADIUS writes each username and reason once a minute. */
export async function countRejects(db: Db, from: Date): Promise<Counted[]> {
  return counted(db, {
    sql: `SELECT ${minuteOf('authdate')} AS at, reason AS name, COUNT(*) AS n FROM radpostauth FORCE INDEX (radpostauth_date)
          WHERE authdate >= ? GROUP BY 1, 2`,
    bindings: [sqlInstant(from)],
  });
}

export async function countRouterRejects(db: Db, from: Date): Promise<Counted[]> {
  return counted(db, {
    sql: `SELECT ${fiveMinutesOf('authdate')} AS at, router_id AS name, COUNT(*) AS n
          FROM radpostauth FORCE INDEX (radpostauth_date) WHERE authdate >= ? AND router_id IS NOT NULL GROUP BY 1, 2`,
    bindings: [sqlInstant(from)],
  });
}

/** Logins that lost full access and that came back to it, by minute; what ended for good is not counted. */
export async function countAccessChanges(db: Db, from: Date): Promise<Counted[]> {
  return counted(db, {
    sql: `SELECT ${minuteOf('at')} AS at, IF(to_access = 'full', 'restored', 'blocked') AS name, COUNT(*) AS n
          FROM access_change FORCE INDEX (access_change_at)
          WHERE at >= ? AND from_access IS NOT NULL AND (from_access = 'full') <> (to_access = 'full')
            AND reason NOT IN ('subscription_terminated', 'login_retired')
          GROUP BY 1, 2`,
    bindings: [sqlInstant(from)],
  });
}

/** CoA and Disconnect packets by minute and `action.outcome`. */
export async function countPackets(db: Db, after: bigint, from: Date): Promise<Counted[]> {
  return counted(db, {
    sql: `SELECT ${minuteOf('sent_at')} AS at, CONCAT(action, '.', outcome) AS name, COUNT(*) AS n
          FROM enforcement FORCE INDEX (PRIMARY) WHERE id > ? AND sent_at >= ? GROUP BY 1, 2`,
    bindings: [after.toString(), sqlInstant(from)],
  });
}

async function counted(db: Db, query: { sql: string; bindings: readonly string[] }): Promise<Counted[]> {
  const [rows] = (await db.raw(query.sql, [...query.bindings])) as unknown as [CountedRow[]];
  return rows.map((row) => ({ at: fromSqlInstant(row.at), key: row.name ?? '', count: BigInt(row.n) }));
}

/** What was taken in on each day from that day on, without what was reversed. */
export async function collectedByDay(db: Db, from: Day): Promise<{ day: Day; minor: bigint }[]> {
  const [rows] = (await db.raw(
    `SELECT received_on AS day, SUM(amount_minor) AS minor FROM payment FORCE INDEX (payment_received)
     WHERE received_on >= ? AND reversed_at IS NULL GROUP BY received_on ORDER BY received_on`,
    [from],
  )) as unknown as [{ day: Day; minor: string }[]];
  return rows.map((row) => ({ day: row.day, minor: BigInt(row.minor) }));
}

/** What is open on invoices by how many days it is past due. It reads every open invoice from an index: only a job asks. */
export async function owedByAge(db: Db, today: Day): Promise<Map<OwedAge, bigint>> {
  const [rows] = (await db.raw(
    `SELECT CASE WHEN due_on >= ? THEN 'current'
                 WHEN due_on >= ? - INTERVAL 30 DAY THEN '1_30'
                 WHEN due_on >= ? - INTERVAL 60 DAY THEN '31_60'
                 WHEN due_on >= ? - INTERVAL 90 DAY THEN '61_90'
                 ELSE 'older' END AS age, SUM(open_minor) AS minor
     FROM invoice FORCE INDEX (invoice_overdue) WHERE state = 'open' GROUP BY 1`,
    [today, today, today, today],
  )) as unknown as [{ age: OwedAge; minor: string }[]];
  return new Map(rows.map((row) => [row.age, BigInt(row.minor)]));
}

/** Open sessions of logins that have less than full access, by access. From the decisions, which are the fewer. */
export async function countLessThanFull(db: Db): Promise<Map<string, number>> {
  const [rows] = (await db.raw(
    `SELECT STRAIGHT_JOIN d.access, COUNT(*) AS n
     FROM access_decision d FORCE INDEX (decision_access)
     JOIN login l ON l.id = d.login_id
     JOIN radacct a FORCE INDEX (radacct_user) ON a.username = l.username AND a.acctstoptime IS NULL
     WHERE d.access IN ('throttled', 'walled_garden', 'denied')
       AND d.reason NOT IN ('subscription_terminated', 'login_retired')
     GROUP BY d.access`,
  )) as unknown as [{ access: string; n: string }[]];
  return new Map(rows.map((row) => [row.access, Number(row.n)]));
}

/** Logins with full access. They are most of all: only a job counts them. */
export async function countFull(db: Db): Promise<number> {
  const [rows] = (await db.raw(
    "SELECT COUNT(*) AS n FROM access_decision FORCE INDEX (decision_access) WHERE access = 'full'",
  )) as unknown as [{ n: string }[]];
  return Number(rows[0]?.n ?? 0);
}

/** How many there are now. With `most`, counted to one more than that and no further. */
export interface Standing {
  readonly online: number;
  readonly overdue: number;
  readonly throttled: number;
  readonly walledGarden: number;
  /** Without logins that ended for good. */
  readonly blocked: number;
}

export async function countStanding(db: Db, today: Day, most: number | null): Promise<Standing> {
  const limit = most === null ? '' : `LIMIT ${Math.trunc(most) + 1}`;
  const [rows] = (await db.raw(
    `SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM radacct FORCE INDEX (radacct_open)
               WHERE acctstoptime IS NULL ${limit}) a) AS online,
            (SELECT COUNT(DISTINCT subscriber_id) FROM (SELECT subscriber_id FROM invoice FORCE INDEX (invoice_due)
               WHERE state = 'open' AND due_on < ? ${limit}) i) AS overdue,
            (SELECT COUNT(*) FROM (SELECT 1 FROM access_decision FORCE INDEX (decision_access)
               WHERE access = 'throttled' ${limit}) t) AS throttled,
            (SELECT COUNT(*) FROM (SELECT 1 FROM access_decision FORCE INDEX (decision_access)
               WHERE access = 'walled_garden' ${limit}) w) AS walled,
            (SELECT COUNT(*) FROM (SELECT 1 FROM access_decision FORCE INDEX (decision_access)
               WHERE access = 'denied' AND reason NOT IN ('subscription_terminated', 'login_retired') ${limit}) b) AS blocked`,
    [today],
  )) as unknown as [Record<'online' | 'overdue' | 'throttled' | 'walled' | 'blocked', string>[]];
  const [row] = rows;
  return {
    online: Number(row?.online ?? 0),
    overdue: Number(row?.overdue ?? 0),
    throttled: Number(row?.throttled ?? 0),
    walledGarden: Number(row?.walled ?? 0),
    blocked: Number(row?.blocked ?? 0),
  };
}
