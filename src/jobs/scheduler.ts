import { randomBytes } from 'node:crypto';
import cron from 'node-cron';
import type { App } from '../app.ts';
import type { CommandContext } from '../command.ts';
import { addToSchedule, claimJob, finishJob, renewJob } from '../db/schedule.ts';
import { type OperatorSettings, readSettings } from '../db/settings.ts';
import { nextDue, type Rhythm } from '../domain/timetable.ts';
import { describeError } from '../log.ts';

export interface Job {
  readonly name: string;
  rhythm(settings: OperatorSettings): Rhythm;
  /** One call, idempotent: it reads from the database what is due, so a missed or doubled tick changes nothing. */
  run(ctx: CommandContext): Promise<string>;
}

const leaseMs = 60_000;
const renewMs = 20_000;
const retryMs = 5 * 60_000;

/**
 * Ticks, and at each tick runs what the database says is due. Several schedulers may tick: the claim decides who runs.
 * Jobs do not wait for one another, so that a long run delays no review; one that is still running is not begun again.
 * A job that fails comes due again in five minutes, and its outcome says so.
 */
export function startScheduler(app: App, jobs: readonly Job[]): { stop(): Promise<void> } {
  const running = new Map<string, Promise<unknown>>();
  const tick = () => {
    const free = jobs.filter((job) => !running.has(job.name));
    for (const job of free) {
      const run = runDueJobs(app, [job])
        .catch((error: unknown) =>
          app.log.error('tick failed', { job: job.name, error: describeError(error) }),
        )
        .finally(() => running.delete(job.name));
      running.set(job.name, run);
    }
  };
  // Every five seconds, in UTC: a zone's clock changes cannot skip a tick, and what is due is in the database anyway.
  const task = cron.schedule('*/5 * * * * *', tick, { timezone: 'UTC', name: 'sluice' });
  tick();
  return {
    async stop() {
      await task.stop();
      await Promise.all(running.values());
    },
  };
}

/** One tick. Gives the names of the jobs that it ran. */
export async function runDueJobs(app: App, jobs: readonly Job[]): Promise<string[]> {
  const settings = await readSettings(app.db);
  const now = app.clock.now();
  await addToSchedule(
    app.db,
    jobs.map((job) => ({ name: job.name, nextDueAt: nextDue(job.rhythm(settings), now) })),
  );
  const ran = await Promise.all(jobs.map(async (job) => ((await runIfDue(app, job)) ? [job.name] : [])));
  return ran.flat();
}

async function runIfDue(app: App, job: Job): Promise<boolean> {
  const token = randomBytes(16).toString('hex');
  const isOurs = await claimJob(app.db, { name: job.name, token, now: app.clock.now(), leaseMs });
  if (!isOurs) return false;
  const renewal = setInterval(() => {
    renewJob(app.db, { name: job.name, token, leaseMs }).catch(() => undefined);
  }, renewMs);
  let outcome: string;
  let hasFailed = false;
  try {
    outcome = await job.run(app.context('schedule', `${job.name}:${app.clock.now().toISOString()}`));
  } catch (error) {
    hasFailed = true;
    const described = describeError(error);
    outcome = `failed: ${described.message}`;
    app.log.error('job failed', { job: job.name, error: described });
  } finally {
    clearInterval(renewal);
  }
  const now = app.clock.now();
  // Read again: somebody may have changed the hour while the job ran.
  const rhythm = job.rhythm(await readSettings(app.db));
  const nextDueAt = hasFailed ? new Date(now.getTime() + retryMs) : nextDue(rhythm, now);
  await finishJob(app.db, { name: job.name, token, now, nextDueAt, outcome });
  return true;
}
