import { sealLedger } from '../billing/rollup.ts';
import { applyInvoiceRun } from '../billing/invoice-run.ts';
import { resumeInvoiceRuns } from '../billing/invoice-run-resume.ts';
import { checkLedger } from '../billing/ledger-check.ts';
import { resumeOverdueRuns, scheduledOverdueRun } from '../billing/overdue-run.ts';
import { sumBigRuns } from '../billing/run-sums.ts';
import { repairWronglySuspended } from '../billing/suspension-sweep.ts';
import type { CommandContext } from '../command.ts';
import { findBrokenSeal, sealActivity } from '../db/activity-seal.ts';
import { type OperatorSettings, readSettings } from '../db/settings.ts';
import { deleteExpiredSessions } from '../db/staff-sessions.ts';
import { dayIn } from '../domain/day.ts';
import type { Rhythm } from '../domain/timetable.ts';
import { fillFigures, tidyFigures } from '../network/figures.ts';
import { resumeBulk } from '../subscribers/bulk.ts';
import { resumeImports } from '../subscribers/import.ts';
import { indexMissingTerms } from '../subscribers/index-terms.ts';
import { sweepAllLogins, sweepDueReviews } from '../reconcile/sweep.ts';
import type { Job } from './scheduler.ts';

const daily =
  (at: string | ((settings: OperatorSettings) => string)) =>
  (settings: OperatorSettings): Rhythm => ({
    kind: 'daily',
    at: typeof at === 'string' ? at : at(settings),
    zone: settings.zone,
  });
const every = (seconds: number) => (): Rhythm => ({ kind: 'every', ms: seconds * 1000 });

/** The whole timetable. Each job reads from the database what is due, so one run catches up with any that were missed. */
export const timetable: readonly Job[] = [
  {
    name: 'invoice-run',
    rhythm: daily((settings) => settings.invoiceRunAt),
    async run(ctx) {
      const run = await applyInvoiceRun(ctx, { asOf: await today(ctx) });
      return `${run.issuedCount} issued, ${run.parkedCount} parked, ${run.stillDueCount} still due`;
    },
  },
  {
    name: 'overdue-run',
    rhythm: daily((settings) => settings.overdueRunAt),
    async run(ctx) {
      const { run } = await scheduledOverdueRun(ctx);
      return `run ${run.id} is ${run.state}, ${run.plannedCount} planned`;
    },
  },
  {
    // A run that was killed half-way goes on within a minute, whoever began it.
    name: 'resume-overdue-runs',
    rhythm: every(60),
    async run(ctx) {
      const resumed = await resumeOverdueRuns(ctx);
      return resumed.length === 0 ? 'none' : `resumed ${resumed.join(', ')}`;
    },
  },
  {
    // One that somebody began by hand, and whose process died; a scheduled one that fails comes due again by itself.
    name: 'resume-invoice-runs',
    rhythm: every(60),
    async run(ctx) {
      const resumed = await resumeInvoiceRuns(ctx);
      return resumed.length === 0 ? 'none' : `resumed ${resumed.join(', ')}`;
    },
  },
  {
    // Acts on many subscribers and imports, whose process died; each goes on where it was.
    name: 'resume-bulk',
    rhythm: every(60),
    async run(ctx) {
      const resumed = [...(await resumeBulk(ctx)), ...(await resumeImports(ctx))];
      return resumed.length === 0 ? 'none' : `resumed ${resumed.join(', ')}`;
    },
  },
  {
    name: 'index-search',
    rhythm: daily('04:10'),
    run: async (ctx) => `${await indexMissingTerms(ctx)} subscribers could not be found before`,
  },
  {
    name: 'review-access',
    rhythm: every(5),
    run: async (ctx) => `${await sweepDueReviews(ctx)} requested`,
  },
  {
    name: 'reconcile-everything',
    rhythm: daily('03:30'),
    run: async (ctx) => `${await sweepAllLogins(ctx)} requested`,
  },
  {
    name: 'repair-suspensions',
    rhythm: every(3600),
    async run(ctx) {
      const closed = await repairWronglySuspended(ctx);
      return closed.length === 0 ? 'none wrong' : `closed ${closed.length} without ground`;
    },
  },
  {
    name: 'seal-ledger',
    rhythm: daily('02:10'),
    run: async (ctx) => `sealed ${(await sealLedger(ctx)).length} days`,
  },
  {
    name: 'check-ledger',
    rhythm: daily('03:00'),
    async run(ctx) {
      const { verdict, entryCount, findings } = await checkLedger(ctx);
      return verdict === 'ok' ? `ok, ${entryCount} entries` : `broken: ${findings.length} findings`;
    },
  },
  {
    name: 'seal-activity',
    rhythm: daily('02:20'),
    async run(ctx) {
      // Sealed by UTC days, so that a change of zone leaves no gap.
      const day = dayIn('UTC', ctx.clock.now());
      const sealed = await sealActivity(ctx.db, day, ctx.clock.now());
      const broken = await findBrokenSeal(ctx.db, day, 35);
      if (broken !== null) ctx.log.error('the activity log was changed', { day: broken });
      return broken === null ? `sealed ${sealed.length} days` : `rows of ${broken} were changed or removed`;
    },
  },
  {
    name: 'forget-sessions',
    rhythm: every(3600),
    run: async (ctx) => `${await deleteExpiredSessions(ctx.db, ctx.clock.now())} staff sessions ended`,
  },
  {
    name: 'figures',
    rhythm: every(60),
    run: async (ctx) => `${await fillFigures(ctx)} written`,
  },
  {
    // The pages of runs over thousands would sum them up at each look.
    name: 'sum-runs',
    rhythm: every(60),
    run: async (ctx) => `${(await sumBigRuns(ctx)).length} summed`,
  },
  {
    name: 'tidy-figures',
    rhythm: daily('03:50'),
    run: async (ctx) => `${await tidyFigures(ctx)} old ones taken out`,
  },
];

async function today(ctx: CommandContext) {
  return dayIn((await readSettings(ctx.db)).zone, ctx.clock.now());
}
