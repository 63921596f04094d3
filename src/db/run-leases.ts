import { type Db, repeatStatement } from './knex.ts';
import { databaseNow, databaseNowPlus } from './leases.ts';

export interface RunKey {
  readonly kind: 'invoice' | 'overdue';
  readonly id: string;
}

/** Takes the run, or keeps it, for so long; false where another process is at it. */
export async function leaseRun(db: Db, run: RunKey, lease: { owner: string; ms: number }): Promise<boolean> {
  return repeatStatement(db, () => leaseOnce(db, run, lease));
}

async function leaseOnce(db: Db, run: RunKey, lease: { owner: string; ms: number }): Promise<boolean> {
  const key = { kind: run.kind, run_id: run.id };
  const until = databaseNowPlus(db, lease.ms);
  const taken = await db('run_lease')
    .where(key)
    .andWhere((free) => void free.where('owner', lease.owner).orWhere('locked_until', '<', databaseNow(db)))
    .update({ owner: lease.owner, locked_until: until });
  if (taken > 0) return true;
  // Of two who come first, one row stays.
  await db('run_lease')
    .insert({ ...key, owner: lease.owner, locked_until: until })
    .onConflict(['kind', 'run_id'])
    .ignore();
  const row = await db('run_lease').where(key).first<{ owner: string } | undefined>('owner');
  return row?.owner === lease.owner;
}

export async function releaseRun(db: Db, run: RunKey, owner: string): Promise<void> {
  await db('run_lease').where({ kind: run.kind, run_id: run.id, owner }).delete();
}

/** Whether some process is at the run. */
export async function isRunLeased(db: Db, run: RunKey): Promise<boolean> {
  const row = await db('run_lease')
    .where({ kind: run.kind, run_id: run.id })
    .andWhere('locked_until', '>=', databaseNow(db))
    .first<{ owner: string } | undefined>('owner');
  return row !== undefined;
}
