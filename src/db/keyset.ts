import type { Knex } from 'knex';
import type { Db } from './knex.ts';

/** The row that a page of a list follows or comes before: its values of the columns that give the order. */
export interface Place {
  readonly direction: 'after' | 'before';
  readonly values: readonly string[];
}

/**
 * Orders a query by columns that one index has in this order, all of them one way, and begins at a place. Rows of a
 * `before` page come in reverse. A place with another number of values is none.
 *
 * A row comparison `(a, b) < (?, ?)` would read the index from its end; spelled out, the server makes ranges of it.
 */
export function inOrder(
  db: Db,
  query: Knex.QueryBuilder,
  order: { columns: readonly string[]; way: 'asc' | 'desc' },
  place: Place | null,
): Knex.QueryBuilder {
  const isBefore = place?.direction === 'before';
  const way = isBefore ? (order.way === 'asc' ? 'desc' : 'asc') : order.way;
  if (place?.values.length === order.columns.length) {
    const sign = way === 'asc' ? '>' : '<';
    const [first = ''] = order.columns;
    const parts = order.columns.map((column, index) =>
      [...order.columns.slice(0, index).map((equal) => `${equal} = ?`), `${column} ${sign} ?`].join(' AND '),
    );
    const values = order.columns.flatMap((_, index) => place.values.slice(0, index + 1));
    void query.where(
      db.raw(`${first} ${sign}= ? AND (${parts.map((part) => `(${part})`).join(' OR ')})`, [
        place.values[0] ?? '',
        ...values,
      ]),
    );
  }
  return query.orderBy(order.columns.map((column) => ({ column, order: way })));
}

/** A query over one table that reads it by the index named: where the server could be tempted to read it otherwise. */
export function byIndex(db: Db, table: string, index: string): Knex.QueryBuilder {
  return db.queryBuilder().from(db.raw('?? FORCE INDEX (??)', [table, index]));
}

/** All rows of a list for a file: a thousand at a time, so that a million of them need no memory. */
export async function* everyRow<Row>(
  read: (place: Place | null, limit: number) => Promise<Row[]>,
  valuesOf: (row: Row) => readonly string[],
): AsyncGenerator<Row> {
  const limit = 1000;
  let place: Place | null = null;
  for (;;) {
    const rows: Row[] = await read(place, limit);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) return;
    place = { direction: 'after', values: valuesOf(last) };
  }
}

/** How many rows a query has, counted to one more than `max` and no further. */
export async function countUpTo(db: Db, query: Knex.QueryBuilder, max: number): Promise<number> {
  const some = query
    .select(db.raw('1'))
    .limit(max + 1)
    .as('some');
  const rows = await db.queryBuilder().from(some).select<{ n: string }[]>(db.raw('COUNT(*) AS n'));
  return Number(rows[0]?.n ?? 0);
}
