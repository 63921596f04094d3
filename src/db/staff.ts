import type { StaffRole } from '../domain/permissions.ts';
import { inOrder, type Place } from './keyset.ts';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

export interface Staff {
  id: string;
  username: string;
  name: string;
  role: StaffRole;
  passwordHash: string;
  totpSecret: Buffer | null;
  isTotpOn: boolean;
  totpLastStep: number;
  failedCount: number;
  lockedUntil: Date | null;
  disabledAt: Date | null;
  createdAt: Date;
}

interface StaffRow {
  id: string;
  username: string;
  name: string;
  role: StaffRole;
  password_hash: string;
  totp_secret: Buffer | null;
  totp_confirmed_at: string | null;
  totp_last_step: string;
  failed_count: number;
  locked_until: string | null;
  disabled_at: string | null;
  created_at: string;
}

export async function findStaff(
  db: Db,
  by: { id: string } | { username: string },
): Promise<Staff | undefined> {
  const row = await db('staff').where(by).first<StaffRow | undefined>();
  return row === undefined ? undefined : staffOf(row);
}

export async function allStaff(db: Db): Promise<Staff[]> {
  const rows = (await db('staff').orderBy('username')) as StaffRow[];
  return rows.map(staffOf);
}

/** People by username, a page at a time. */
export async function staffPage(db: Db, place: Place | null, limit: number): Promise<Staff[]> {
  const query = db('staff').limit(limit);
  const rows = await inOrder(db, query, { columns: ['username'], way: 'asc' }, place).select<StaffRow[]>('*');
  return rows.map(staffOf);
}

export async function hasStaff(db: Db): Promise<boolean> {
  return (await db('staff').first('id')) !== undefined;
}

export async function insertStaff(
  db: Db,
  staff: { username: string; name: string; role: StaffRole; passwordHash: string; createdAt: Date },
): Promise<string> {
  const [id] = await db('staff').insert({
    username: staff.username,
    name: staff.name,
    role: staff.role,
    password_hash: staff.passwordHash,
    created_at: sqlInstant(staff.createdAt),
  });
  return String(id);
}

export interface StaffChanges {
  name?: string;
  role?: StaffRole;
  passwordHash?: string;
  totpSecret?: Buffer | null;
  totpConfirmedAt?: Date | null;
  failedCount?: number;
  lockedUntil?: Date | null;
  disabledAt?: Date | null;
}

export async function changeStaff(db: Db, id: string, changes: StaffChanges): Promise<void> {
  const instant = (at: Date | null) => (at === null ? null : sqlInstant(at));
  const row = {
    ...(changes.name === undefined ? {} : { name: changes.name }),
    ...(changes.role === undefined ? {} : { role: changes.role }),
    ...(changes.passwordHash === undefined ? {} : { password_hash: changes.passwordHash }),
    ...(changes.totpSecret === undefined ? {} : { totp_secret: changes.totpSecret, totp_last_step: 0 }),
    ...(changes.totpConfirmedAt === undefined ? {} : { totp_confirmed_at: instant(changes.totpConfirmedAt) }),
    ...(changes.failedCount === undefined ? {} : { failed_count: changes.failedCount }),
    ...(changes.lockedUntil === undefined ? {} : { locked_until: instant(changes.lockedUntil) }),
    ...(changes.disabledAt === undefined ? {} : { disabled_at: instant(changes.disabledAt) }),
  };
  if (Object.keys(row).length > 0) await db('staff').where({ id }).update(row);
}

/** Counts a failed sign-in and gives the new count; the row is the lock, so parallel guesses are all counted. */
export async function countFailure(db: Db, id: string): Promise<number> {
  await db('staff')
    .where({ id })
    .update({ failed_count: db.raw('LEAST(failed_count + 1, 60000)') });
  const row = await db('staff').where({ id }).first<{ failed_count: number } | undefined>('failed_count');
  return Number(row?.failed_count ?? 0);
}

/** Uses up a one-time code's step; false when that step or a later one was used already. */
export async function useTotpStep(db: Db, id: string, step: number): Promise<boolean> {
  const changed = await db('staff')
    .where({ id })
    .where('totp_last_step', '<', step)
    .update({ totp_last_step: step });
  return changed === 1;
}

function staffOf(row: StaffRow): Staff {
  return {
    id: row.id,
    username: row.username,
    name: row.name,
    role: row.role,
    passwordHash: row.password_hash,
    totpSecret: row.totp_secret,
    isTotpOn: row.totp_confirmed_at !== null,
    totpLastStep: Number(row.totp_last_step),
    failedCount: Number(row.failed_count),
    lockedUntil: row.locked_until === null ? null : fromSqlInstant(row.locked_until),
    disabledAt: row.disabled_at === null ? null : fromSqlInstant(row.disabled_at),
    createdAt: fromSqlInstant(row.created_at),
  };
}
