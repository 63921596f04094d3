/** A job is late when it was due so long ago and nobody has begun it. */
const lateMs = 2 * 60_000;

export interface SeenJob {
  readonly name: string;
  readonly nextDueAt: Date;
  readonly lastOutcome: string | null;
  readonly isRunning: boolean;
}

/** Jobs that should have begun, and jobs that failed the last time. */
export function jobsInTrouble<Job extends SeenJob>(
  jobs: readonly Job[],
  now: Date,
): { job: Job; trouble: 'late' | 'failed' }[] {
  return jobs
    .map((job) => ({ job, trouble: troubleOf(job, now) }))
    .filter((one): one is { job: Job; trouble: 'late' | 'failed' } => one.trouble !== null);
}

function troubleOf(job: SeenJob, now: Date): 'late' | 'failed' | null {
  if (!job.isRunning && now.getTime() - job.nextDueAt.getTime() > lateMs) return 'late';
  return job.lastOutcome?.startsWith('failed') === true ? 'failed' : null;
}

/** What the database called damaged stays on the list for so long after it last said so: nobody tells when it is mended. */
export const damageShownMs = 24 * 60 * 60_000;

/** Without one of these something stands still; the pages themselves prove that `web` lives. */
export const neededRoles = ['worker', 'lane', 'radius-agent', 'scheduler'] as const;

/** Roles of which no process has said that it lives. */
export function missingRoles(living: readonly { role: string }[]): string[] {
  const alive = new Set(living.map((process) => process.role));
  return neededRoles.filter((role) => !alive.has(role));
}
