import type { SubscriberId } from '../domain/ids.ts';
import type { Db } from './knex.ts';
import {
  type Driver,
  driverFor,
  joined,
  othersOf,
  type Sql,
  type SubscriberFilter,
} from './subscriber-drivers.ts';

/** A subscriber's place in its list: the values of the driver's keys. */
export interface SubscriberPlace {
  readonly id: SubscriberId;
  readonly keys: readonly string[];
}

interface PlacesPage {
  readonly after?: readonly string[];
  readonly before?: readonly string[];
  readonly limit: number;
}

/**
 * A page of a list, by keyset. Each filter has an index that it walks, so that a page reads about as many rows as it
 * shows: the scarcest of what is asked for leads, and the others are looked up for each row.
 */
export async function subscriberPlaces(
  db: Db,
  filter: SubscriberFilter,
  page: PlacesPage,
): Promise<SubscriberPlace[]> {
  return placesUpTo(db, filter, page, null);
}

/**
 * The same for somebody who waits for it: where several things are asked for at once and few have them all, at most
 * `most` rows of the leading index are looked at. `cutAt` is where looking ended before the page was full, to go on from.
 */
export async function subscriberPlacesWithin(
  db: Db,
  filter: SubscriberFilter,
  page: PlacesPage,
  most: number,
): Promise<{ places: SubscriberPlace[]; cutAt: readonly string[] | null }> {
  const driver = driverFor(filter);
  const isOne = othersOf(driver, filter).length === 0;
  const end = isOne ? null : await endOfStretch(db, driver, page, most);
  const places = await placesUpTo(db, filter, page, end);
  return { places, cutAt: places.length < page.limit ? end : null };
}

/** The keys of the row that is `most` rows of the index further; null where there are not so many. */
async function endOfStretch(
  db: Db,
  driver: Driver,
  page: PlacesPage,
  most: number,
): Promise<readonly string[] | null> {
  const { start, order, columns } = orderOf(driver, page);
  const conditions = joined(start === null ? [driver.where] : [driver.where, start], ' AND ');
  const [rows] = (await db.raw(
    `SELECT ${columns} FROM ${driver.index} WHERE ${conditions.sql} ORDER BY ${order} LIMIT 1 OFFSET ?`,
    [...conditions.values, most - 1],
  )) as unknown as [Record<string, string>[]];
  const [row] = rows;
  return row === undefined ? null : keysOf(driver, row);
}

function keysOf(driver: Driver, row: Record<string, string>): string[] {
  return driver.keys.map((_, index) => String(row[`k${index}`]));
}

function orderOf(driver: Driver, page: PlacesPage): { start: Sql | null; order: string; columns: string } {
  const isBackwards = page.before !== undefined;
  const from = page.before ?? page.after;
  return {
    start: from?.length === driver.keys.length ? beyond(driver.keys, from, isBackwards) : null,
    order: driver.keys.map((key) => `${key} ${isBackwards ? 'DESC' : 'ASC'}`).join(', '),
    columns: driver.keys.map((key, index) => `${key} AS k${index}`).join(', '),
  };
}

async function placesUpTo(
  db: Db,
  filter: SubscriberFilter,
  page: PlacesPage,
  end: readonly string[] | null,
): Promise<SubscriberPlace[]> {
  const driver = driverFor(filter);
  const { start, order, columns } = orderOf(driver, page);
  const bounds = [start, end === null ? null : upTo(driver.keys, end, page.before !== undefined)];
  const conditions = conditionsOf(
    driver,
    filter,
    bounds.filter((one) => one !== null),
  );
  const [rows] = (await db.raw(
    `SELECT STRAIGHT_JOIN b.id, ${columns} FROM ${driver.from} WHERE ${conditions.sql} ORDER BY ${order} LIMIT ?`,
    [...conditions.values, page.limit],
  )) as unknown as [Record<string, string>[]];
  return rows.map((row) => ({
    id: row['id'] as SubscriberId,
    keys: keysOf(driver, row),
  }));
}

/** How many subscribers there are, counted to `limit` and no further. */
export async function countSubscribers(db: Db, filter: SubscriberFilter, limit: number): Promise<number> {
  const driver = driverFor(filter);
  const conditions = conditionsOf(driver, filter, []);
  const [rows] = (await db.raw(
    `SELECT COUNT(*) AS n FROM (
       SELECT STRAIGHT_JOIN 1 FROM ${driver.from} WHERE ${conditions.sql} LIMIT ?) x`,
    [...conditions.values, limit],
  )) as unknown as [{ n: string }[]];
  return Number(rows[0]?.n ?? 0);
}

function conditionsOf(driver: Driver, filter: SubscriberFilter, bounds: readonly Sql[]): Sql {
  const parts = [driver.where, ...othersOf(driver, filter)];
  if (driver.isFirst !== null) parts.push(driver.isFirst);
  parts.push(...bounds);
  return joined(parts, ' AND ');
}

/** Rows after (or before) the keys, with the first key alone in front so that the index range begins there. */
function beyond(keys: readonly string[], values: readonly string[], isBackwards: boolean): Sql {
  const sign = isBackwards ? '<' : '>';
  const alternatives = keys.map((key, index) => ({
    sql: [...keys.slice(0, index).map((before) => `${before} = ?`), `${key} ${sign} ?`].join(' AND '),
    values: values.slice(0, index + 1),
  }));
  const any = joined(
    alternatives.map((one) => ({ ...one, sql: `(${one.sql})` })),
    ' OR ',
  );
  return { sql: `${keys[0] ?? ''} ${sign}= ? AND (${any.sql})`, values: [values[0] ?? '', ...any.values] };
}

/** Rows up to and with these keys. */
function upTo(keys: readonly string[], values: readonly string[], isBackwards: boolean): Sql {
  const past = beyond(keys, values, isBackwards);
  const [first = ''] = keys;
  const [value = ''] = values;
  // The first key alone in front again: the range of the index ends there.
  return {
    sql: `${first} ${isBackwards ? '>' : '<'}= ? AND NOT (${past.sql})`,
    values: [value, ...past.values],
  };
}
