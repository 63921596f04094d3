import type { Knex } from 'knex';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';
import { databaseNow, databaseNowPlus } from './leases.ts';

export interface ScheduleRow {
  name: string;
  nextDueAt: Date;
  lastStartedAt: Date | null;
  lastFinishedAt: Date | null;
  lastOutcome: string | null;
  isRunning: boolean;
}

/** Puts jobs on the timetable that are not there yet; those that are keep their hour. */
export async function addToSchedule(
  db: Knex,
  jobs: readonly { name: string; nextDueAt: Date }[],
): Promise<void> {
  if (jobs.length === 0) return;
  await db('schedule')
    .insert(jobs.map((job) => ({ name: job.name, next_due_at: sqlInstant(job.nextDueAt) })))
    .onConflict('name')
    .ignore();
}

/** Takes the job if it is due and nobody has it; the affected row count decides between two hosts. */
export async function claimJob(
  db: Knex,
  claim: { name: string; token: string; now: Date; leaseMs: number },
): Promise<boolean> {
  const taken = await db('schedule')
    .where({ name: claim.name })
    .where('next_due_at', '<=', sqlInstant(claim.now))
    .where((free) => free.whereNull('locked_until').orWhere('locked_until', '<', databaseNow(db)))
    .update({
      claim_token: claim.token,
      locked_until: databaseNowPlus(db, claim.leaseMs),
      last_started_at: sqlInstant(claim.now),
    });
  return taken === 1;
}

/** Keeps a long job's claim; false when somebody else has it by now. */
export async function renewJob(
  db: Knex,
  claim: { name: string; token: string; leaseMs: number },
): Promise<boolean> {
  const kept = await db('schedule')
    .where({ name: claim.name, claim_token: claim.token })
    .update({ locked_until: databaseNowPlus(db, claim.leaseMs) });
  return kept === 1;
}

export async function finishJob(
  db: Knex,
  done: { name: string; token: string; now: Date; nextDueAt: Date; outcome: string },
): Promise<void> {
  await db('schedule')
    .where({ name: done.name, claim_token: done.token })
    .update({
      claim_token: null,
      locked_until: null,
      next_due_at: sqlInstant(done.nextDueAt),
      last_finished_at: sqlInstant(done.now),
      last_outcome: done.outcome.slice(0, 255),
    });
}

/** Moves a job's hour, after an operator changed the settings it depends on. One that is due already stays due. */
export async function setNextDue(db: Db, name: string, to: { nextDueAt: Date; now: Date }): Promise<void> {
  await db('schedule')
    .where({ name })
    .andWhere('next_due_at', '>', sqlInstant(to.now))
    .update({ next_due_at: sqlInstant(to.nextDueAt) });
}

export async function readSchedule(db: Knex): Promise<ScheduleRow[]> {
  interface Row {
    name: string;
    next_due_at: string;
    last_started_at: string | null;
    last_finished_at: string | null;
    last_outcome: string | null;
    is_running: string;
  }
  const rows = (await db('schedule')
    .select('name', 'next_due_at', 'last_started_at', 'last_finished_at', 'last_outcome')
    .select(db.raw('locked_until IS NOT NULL AND locked_until >= ? AS is_running', [databaseNow(db)]))
    .orderBy('name')) as Row[];
  return rows.map((row) => ({
    name: row.name,
    nextDueAt: fromSqlInstant(row.next_due_at),
    lastStartedAt: row.last_started_at === null ? null : fromSqlInstant(row.last_started_at),
    lastFinishedAt: row.last_finished_at === null ? null : fromSqlInstant(row.last_finished_at),
    lastOutcome: row.last_outcome,
    isRunning: Number(row.is_running) === 1,
  }));
}
