import type { CommandContext } from '../command.ts';
import { unfinishedInvoiceRuns } from '../db/invoice-run-view.ts';
import { isRunLeased } from '../db/run-leases.ts';
import { readSettings } from '../db/settings.ts';
import { dayIn } from '../domain/day.ts';
import type { InvoiceRunId } from '../domain/ids.ts';
import { beginInvoiceRun, goOnWithInvoiceRun } from './invoice-run.ts';

/** A run that is not done after so long is gone on with by the timetable too; twice at once does no harm. */
const unattendedMs = 300_000;

/**
 * Goes on with today's invoice runs whose process was killed. One of an earlier day is left: what was due then is due
 * today too, and today's run issues it.
 */
export async function resumeInvoiceRuns(ctx: CommandContext): Promise<InvoiceRunId[]> {
  const at = ctx.clock.now();
  const today = dayIn((await readSettings(ctx.db)).zone, at);
  const begunBefore = new Date(at.getTime() - unattendedMs);
  const resumed: InvoiceRunId[] = [];
  for (const run of await unfinishedInvoiceRuns(ctx.db, { asOf: today, begunBefore })) {
    // Some process is at it: nothing was left.
    if (await isRunLeased(ctx.db, { kind: 'invoice', id: run.id })) continue;
    await goOnWithInvoiceRun(ctx, await beginInvoiceRun(ctx, { asOf: run.asOf }));
    resumed.push(run.id);
  }
  return resumed;
}
