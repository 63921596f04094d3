import type { CommandContext } from '../command.ts';
import { countActions, latestRuns, type OverdueRun } from '../db/overdue-runs.ts';
import { areSame, bigRun, findRunSums, saveRunSums, sumRun } from '../db/run-sums.ts';

/** Older runs do not move any more. */
const looked = 40;
/** Routers answer for so long after the last step of a run, and may confirm it. */
const settlesMs = 3_600_000;

/**
 * Sums up the big runs of late whose sums may have changed, so that their pages need not: a run that is waiting when its
 * actions have changed, one that is at work or was a short while ago each time. Gives the runs that it summed.
 */
export async function sumBigRuns(ctx: CommandContext): Promise<OverdueRun['id'][]> {
  const summed: OverdueRun['id'][] = [];
  const runs = await latestRuns(ctx.db, { limit: looked });
  for (const run of runs.filter((one) => one.plannedCount > bigRun && one.state !== 'planning')) {
    if (!(await isStale(ctx, run))) continue;
    await saveRunSums(ctx.db, run.id, await sumRun(ctx.db, run.id), ctx.clock.now());
    summed.push(run.id);
  }
  return summed;
}

async function isStale(ctx: CommandContext, run: OverdueRun): Promise<boolean> {
  const found = await findRunSums(ctx.db, run.id);
  if (found === undefined) return true;
  const lastStep = run.rolledBackAt ?? run.finishedAt ?? run.startedAt;
  if (lastStep !== null && found.madeAt.getTime() < lastStep.getTime() + settlesMs) return true;
  return !areSame(found.sums.counts, await countActions(ctx.db, run.id));
}
