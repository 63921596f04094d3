import type { StaffRole } from '../domain/permissions.ts';
import { type Db, fromSqlInstant, repeatStatement, sqlInstant } from './knex.ts';

export interface StaffSession {
  idHash: string;
  staffId: string;
  username: string;
  name: string;
  role: StaffRole;
  createdAt: Date;
  seenAt: Date;
}

/** Repeated where it meets the end of others' sessions; asked twice, it is there once. */
export async function insertStaffSession(
  db: Db,
  session: { idHash: string; staffId: string; at: Date; expiresAt: Date; address: string; agent: string },
): Promise<void> {
  const row = {
    id_hash: session.idHash,
    staff_id: session.staffId,
    created_at: sqlInstant(session.at),
    seen_at: sqlInstant(session.at),
    expires_at: sqlInstant(session.expiresAt),
    address: session.address.slice(0, 45),
    agent: session.agent.slice(0, 190),
  };
  await repeatStatement(db, async () => {
    await db('staff_session').insert(row).onConflict('id_hash').ignore();
  });
}

/** The session of a cookie, if it is still good at that instant and its owner is not disabled. */
export async function findStaffSession(db: Db, idHash: string, at: Date): Promise<StaffSession | undefined> {
  interface Row {
    id_hash: string;
    staff_id: string;
    username: string;
    name: string;
    role: StaffRole;
    created_at: string;
    seen_at: string;
  }
  const row = await db('staff_session as s')
    .join('staff as p', 'p.id', 's.staff_id')
    .where('s.id_hash', idHash)
    .where('s.expires_at', '>', sqlInstant(at))
    .whereNull('p.disabled_at')
    .first<Row | undefined>(
      's.id_hash',
      's.staff_id',
      'p.username',
      'p.name',
      'p.role',
      's.created_at',
      's.seen_at',
    );
  if (row === undefined) return undefined;
  return {
    idHash: row.id_hash,
    staffId: row.staff_id,
    username: row.username,
    name: row.name,
    role: row.role,
    createdAt: fromSqlInstant(row.created_at),
    seenAt: fromSqlInstant(row.seen_at),
  };
}

export async function touchStaffSession(db: Db, idHash: string, at: Date, expiresAt: Date): Promise<void> {
  await db('staff_session')
    .where({ id_hash: idHash })
    .update({ seen_at: sqlInstant(at), expires_at: sqlInstant(expiresAt) });
}

export interface ListedSession {
  idHash: string;
  createdAt: Date;
  seenAt: Date;
  address: string;
  agent: string;
}

export async function sessionsOfStaff(db: Db, staffId: string, at: Date): Promise<ListedSession[]> {
  const rows = (await db('staff_session')
    .select('id_hash', 'created_at', 'seen_at', 'address', 'agent')
    .where({ staff_id: staffId })
    .where('expires_at', '>', sqlInstant(at))
    .orderBy('seen_at', 'desc')
    .limit(100)) as {
    id_hash: string;
    created_at: string;
    seen_at: string;
    address: string;
    agent: string;
  }[];
  return rows.map((row) => ({
    idHash: row.id_hash,
    createdAt: fromSqlInstant(row.created_at),
    seenAt: fromSqlInstant(row.seen_at),
    address: row.address,
    agent: row.agent,
  }));
}

export async function deleteStaffSession(db: Db, idHash: string): Promise<void> {
  await repeatStatement(db, async () => {
    await db('staff_session').where({ id_hash: idHash }).del();
  });
}

/** Signs a person out everywhere, but for one session if given. Gives how many ended. */
export async function deleteSessionsOfStaff(db: Db, staffId: string, except?: string): Promise<number> {
  const query = db('staff_session').where({ staff_id: staffId });
  if (except !== undefined) void query.whereNot({ id_hash: except });
  return await query.del();
}

export async function deleteExpiredSessions(db: Db, at: Date): Promise<number> {
  return repeatStatement(db, async () => db('staff_session').where('expires_at', '<=', sqlInstant(at)).del());
}
