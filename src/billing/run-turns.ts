import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { CommandContext } from '../command.ts';
import { isConflict } from '../db/knex.ts';
import { leaseRun, releaseRun, type RunKey } from '../db/run-leases.ts';

/** A run whose process was killed is gone on with after so long at most. */
const leaseMs = 3000;
const keepMs = 1000;
const lookMs = 400;

/** Who this process is to the others. */
const owner = randomBytes(16).toString('hex');
/** Runs that this process is at: one that is not here and is leased to it was left by a call that failed. */
const atWork = new Set<string>();

export interface Turn {
  readonly run: RunKey;
  /** Whether there is nothing left to wait for. */
  readonly isOver: () => Promise<boolean>;
  /** Called at each look while another process is at the run; what it throws ends the waiting. */
  readonly whileWaiting?: () => Promise<void> | void;
}

/**
 * Works at a run when no other process does; while one is at it, waits for its end, or for its death. Two at once would do
 * no harm, since each batch decides under the locks of its subscribers, but on a cluster each would undo the other's
 * batches, and one of them could lose every time. So the lease is short and nothing is fenced by it: a process that
 * stood still and comes back finds its batches decided. Gives undefined where the run was over before it was our turn.
 */
export async function inTurn<T>(
  ctx: CommandContext,
  turn: Turn,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const name = `${turn.run.kind}:${turn.run.id}`;
  while (atWork.has(name) || !(await leaseRun(ctx.db, turn.run, { owner, ms: leaseMs }))) {
    if (await turn.isOver()) return undefined;
    await turn.whileWaiting?.();
    await wait(lookMs);
  }
  if (atWork.has(name)) return inTurn(ctx, turn, work);
  atWork.add(name);
  // A renewal that fails is made up for by the next; one that comes too late finds another at the run, and both go on.
  let kept: Promise<unknown> = Promise.resolve();
  const keeping = setInterval(() => {
    kept = leaseRun(ctx.db, turn.run, { owner, ms: leaseMs }).catch(() => undefined);
  }, keepMs);
  try {
    return await work();
  } finally {
    clearInterval(keeping);
    await kept;
    atWork.delete(name);
    await releaseRun(ctx.db, turn.run, owner).catch(() => undefined);
  }
}

/** How often a batch of several is repeated over conflicts before it is halved. */
const conflictsOfMany = 4;

/** For inTransaction: one by itself is repeated until its turn has come, a batch rather gets smaller. */
export function patienceWith(batch: readonly unknown[]): { conflicts?: number } {
  return batch.length > 1 ? { conflicts: conflictsOfMany } : {};
}

/**
 * The batch as a whole, or, where others' transactions on the same subscribers undo it again and again, in halves: the
 * smaller the batch, the shorter it is open to them. One by itself fails as it fails.
 */
export async function inHalves<T, R>(
  batch: readonly T[],
  work: (part: readonly T[]) => Promise<R>,
): Promise<R[]> {
  try {
    return [await work(batch)];
  } catch (error) {
    if (batch.length < 2 || !isConflict(error)) throw error;
  }
  const half = Math.ceil(batch.length / 2);
  const first = await inHalves(batch.slice(0, half), work);
  return [...first, ...(await inHalves(batch.slice(half), work))];
}
