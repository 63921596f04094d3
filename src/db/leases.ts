import type { Knex } from 'knex';

/**
 * The one place that asks the database for the time. A lease is compared by several hosts whose clocks differ, so it
 * must be in the clock that they share; everything else is told the time by its caller.
 */
export function databaseNow(db: Knex | Knex.Transaction): Knex.Raw {
  return db.raw('UTC_TIMESTAMP(3)');
}

/** Database time plus some milliseconds. */
export function databaseNowPlus(db: Knex | Knex.Transaction, ms: number): Knex.Raw {
  return db.raw('UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND', [Math.round(ms * 1000)]);
}
