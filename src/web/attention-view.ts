import type { App } from '../app.ts';
import { parkedSubscriptions } from '../db/attention.ts';
import { countAttention, parkedKeyViews, silentRouters } from '../db/attention-list.ts';
import { livingProcesses, silentProcesses } from '../db/heartbeats.ts';
import { latestLedgerCheck } from '../db/ledger-check.ts';
import { runsIn } from '../db/overdue-runs.ts';
import { clientFaults } from '../db/radius-clients.ts';
import { readSchedule } from '../db/schedule.ts';
import { jobsInTrouble, missingRoles } from '../domain/attention.ts';
import { countMax } from './list.ts';

/** How much needs attention, of each kind and together; a kind is counted to ten thousand and no further. */
export async function attentionCounts(app: App) {
  const counted = await countAttention(app.db, countMax);
  const check = await latestLedgerCheck(app.db);
  const counts = {
    ...counted,
    ledger: check?.verdict === 'broken' ? 1 : 0,
    jobs: jobsInTrouble(await readSchedule(app.db), app.clock.now()).length,
    processes: (await silentProcesses(app.db)).length + missingRoles(await livingProcesses(app.db)).length,
  };
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { ...counts, total: Math.min(total, countMax), isMore: total > countMax };
}

/** Everything that needs attention, each kind up to `limit`. */
export async function attentionList(app: App, limit: number) {
  const { db } = app;
  const check = await latestLedgerCheck(db);
  return {
    keys: await parkedKeyViews(db, limit),
    subscriptions: await parkedSubscriptions(db, limit),
    faults: await clientFaults(db, limit),
    routers: await silentRouters(db, limit),
    ledger: check?.verdict === 'broken' ? check : null,
    runs: (await runsIn(db, ['held'])).slice(0, limit),
    jobs: jobsInTrouble(await readSchedule(db), app.clock.now()),
    silent: await silentProcesses(db),
    missing: missingRoles(await livingProcesses(db)),
  };
}
