import type { Knex } from 'knex';
import { fromSqlInstant } from './knex.ts';
import { databaseNow } from './leases.ts';

export interface Heartbeat {
  id: string;
  host: string;
  role: string;
  pid: number;
  wakeAddress: string;
  wakePort: number;
}

/** Seconds after which a process that says nothing counts as gone. */
export const heartbeatFreshSeconds = 30;

/** Says that the process lives, in the database's clock, which all hosts share. */
export async function beat(db: Knex, heartbeat: Heartbeat): Promise<void> {
  const now = databaseNow(db);
  await db('process_heartbeat')
    .insert({
      id: heartbeat.id,
      host: heartbeat.host,
      role: heartbeat.role,
      pid: heartbeat.pid,
      wake_address: heartbeat.wakeAddress,
      wake_port: heartbeat.wakePort,
      started_at: now,
      seen_at: now,
    })
    .onConflict('id')
    .merge(['seen_at', 'wake_address', 'wake_port']);
}

export async function forgetHeartbeat(db: Knex, id: string): Promise<void> {
  await db('process_heartbeat').where({ id }).del();
}

/** Removes processes that have said nothing for an hour, so that the table stays as small as the installation. */
export async function forgetOldHeartbeats(db: Knex): Promise<void> {
  await db('process_heartbeat')
    .whereRaw('seen_at < ? - INTERVAL 1 HOUR', [databaseNow(db)])
    .del();
}

export interface LivingProcess extends Heartbeat {
  secondsSinceSeen: number;
}

/** Processes that fell silent within the last hour without saying goodbye; one that is stopped takes its row out. */
export async function silentProcesses(db: Knex): Promise<SilentProcess[]> {
  const rows = await db('process_heartbeat')
    .whereRaw('seen_at < ? - INTERVAL ? SECOND', [databaseNow(db), heartbeatFreshSeconds])
    .orderBy(['seen_at', 'id'])
    .select<{ host: string; role: string; pid: number; seen_at: string }[]>('host', 'role', 'pid', 'seen_at');
  return rows.map((row) => ({
    host: row.host,
    role: row.role,
    pid: Number(row.pid),
    seenAt: fromSqlInstant(row.seen_at),
  }));
}

export interface SilentProcess {
  host: string;
  role: string;
  pid: number;
  seenAt: Date;
}

export async function livingProcesses(db: Knex, role?: string): Promise<LivingProcess[]> {
  interface Row {
    id: string;
    host: string;
    role: string;
    pid: number;
    wake_address: string;
    wake_port: number;
    age: string;
  }
  const rows = (await db('process_heartbeat')
    .select('id', 'host', 'role', 'pid', 'wake_address', 'wake_port')
    .select(db.raw('TIMESTAMPDIFF(SECOND, seen_at, ?) AS age', [databaseNow(db)]))
    .whereRaw('seen_at >= ? - INTERVAL ? SECOND', [databaseNow(db), heartbeatFreshSeconds])
    .modify((query) => {
      if (role !== undefined) void query.where({ role });
    })
    .orderBy(['role', 'host', 'id'])) as Row[];
  return rows.map((row) => ({
    id: row.id,
    host: row.host,
    role: row.role,
    pid: Number(row.pid),
    wakeAddress: row.wake_address,
    wakePort: Number(row.wake_port),
    secondsSinceSeen: Number(row.age),
  }));
}
