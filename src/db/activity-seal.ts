import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import { addDays, type Day, daysBetween } from '../domain/day.ts';
import { sqlInstant } from './knex.ts';

interface Seal {
  day: string;
  first_id: string;
  last_id: string;
  row_count: number;
  sha256: string;
}

const chunk = 2000;
const daysMax = 400;

/**
 * Seals every finished UTC day of the activity log that has no seal yet: one hash over its rows, chained to the seal
 * before, so that a row which is changed or removed later no longer fits. Gives the days that it sealed.
 */
export async function sealActivity(db: Knex, today: Day, now: Date): Promise<string[]> {
  const sealed: string[] = [];
  for (let count = 0; count < daysMax; count++) {
    const last = await lastSeal(db);
    const day = last === undefined ? await firstDay(db) : addDays(last.day as Day, 1);
    if (day === undefined || day >= today) break;
    const seal = await hashDay(db, day, last);
    await db('activity_seal')
      .insert({ ...seal, sealed_at: sqlInstant(now) })
      .onConflict('day')
      .ignore();
    sealed.push(day);
  }
  return sealed;
}

/** Recomputes the seals of the last `days` days; gives the first day that does not fit, or null. */
export async function findBrokenSeal(db: Knex, today: Day, days: number): Promise<string | null> {
  const seals = (await db('activity_seal')
    .select('day', 'first_id', 'last_id', 'row_count', 'sha256')
    .where('day', '>=', addDays(today, -days - 1))
    .orderBy('day')) as Seal[];
  for (const [index, seal] of seals.entries()) {
    const before = index === 0 ? await sealBefore(db, seal.day) : seals[index - 1];
    if (before !== undefined && daysBetween(before.day as Day, seal.day as Day) !== 1) return seal.day;
    const again = await hashRange(db, seal.first_id, seal.last_id, before?.sha256 ?? '');
    if (again.sha256 !== seal.sha256 || again.count !== Number(seal.row_count)) return seal.day;
  }
  return null;
}

async function lastSeal(db: Knex): Promise<Seal | undefined> {
  return db('activity_seal').orderBy('day', 'desc').first<Seal | undefined>();
}

async function sealBefore(db: Knex, day: string): Promise<Seal | undefined> {
  return db('activity_seal').where('day', '<', day).orderBy('day', 'desc').first<Seal | undefined>();
}

async function firstDay(db: Knex): Promise<Day | undefined> {
  const row = await db('activity').orderBy('id').first<{ at: string } | undefined>('at');
  return row === undefined ? undefined : (row.at.slice(0, 10) as Day);
}

/** A day's rows are a range of ids that begins where the day before ended, so that no row falls between two days. */
async function hashDay(
  db: Knex,
  day: Day,
  last: Seal | undefined,
): Promise<Omit<Seal, 'day'> & { day: string }> {
  const firstId = last === undefined ? 1n : BigInt(last.last_id) + 1n;
  const row = (await db('activity')
    .where('at', '<', `${addDays(day, 1)} 00:00:00.000`)
    .where('id', '>=', firstId.toString())
    .max('id as last')
    .first()) as { last: string | null } | undefined;
  const lastId = row?.last == null ? firstId - 1n : BigInt(row.last);
  const { sha256, count } = await hashRange(db, firstId.toString(), lastId.toString(), last?.sha256 ?? '');
  return { day, first_id: firstId.toString(), last_id: lastId.toString(), row_count: count, sha256 };
}

async function hashRange(
  db: Knex,
  firstId: string,
  lastId: string,
  before: string,
): Promise<{ sha256: string; count: number }> {
  const hash = createHash('sha256').update(before);
  let count = 0;
  for (let from = BigInt(firstId); from <= BigInt(lastId);) {
    const rows = (await db('activity')
      .where('id', '>=', from.toString())
      .where('id', '<=', lastId)
      .orderBy('id')
      .limit(chunk)) as Record<string, string | null>[];
    if (rows.length === 0) break;
    for (const row of rows) hash.update(JSON.stringify(Object.entries(row).sort(byName)));
    count += rows.length;
    from = BigInt(rows.at(-1)?.['id'] ?? lastId) + 1n;
  }
  return { sha256: hash.digest('hex'), count };
}

function byName(a: [string, unknown], b: [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}
