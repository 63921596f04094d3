import type { App } from '../app.ts';
import { parkedSubscriptions } from '../db/attention.ts';
import { countAttention, parkedKeyViews, silentRouters } from '../db/attention-list.ts';
import { damagedTables } from '../db/damage.ts';
import { livingProcesses, silentProcesses } from '../db/heartbeats.ts';
import { latestLedgerCheck } from '../db/ledger-check.ts';
import { runsIn } from '../db/overdue-runs.ts';
import { clientFaults, placeOfFault } from '../db/radius-clients.ts';
import { readSchedule } from '../db/schedule.ts';
import { damageShownMs, jobsInTrouble, missingRoles } from '../domain/attention.ts';
import { countMax } from './list.ts';

/** How much needs attention, of each kind and together; a kind is counted to ten thousand and no further. */
export async function attentionCounts(app: App) {
  const counted = await countAttention(app.db, countMax);
  const check = await latestLedgerCheck(app.db);
  const counts = {
    ...counted,
    ledger: check?.verdict === 'broken' ? 1 : 0,
    damaged: (await damagedNow(app)).length,
    jobs: jobsInTrouble(await readSchedule(app.db), app.clock.now()).length,
    processes: (await silentProcesses(app.db)).length + missingRoles(await livingProcesses(app.db)).length,
  };
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { ...counts, total: Math.min(total, countMax), isMore: total > countMax };
}

/** Kinds that have a list of their own: there may be more of them than one page holds. */
export const attentionKinds = ['keys', 'subscriptions', 'faults'] as const;
export type AttentionKind = (typeof attentionKinds)[number];

const nothing = {
  keys: [] as Awaited<ReturnType<typeof parkedKeyViews>>,
  subscriptions: [] as Awaited<ReturnType<typeof parkedSubscriptions>>,
  faults: [] as Awaited<ReturnType<typeof clientFaults>>,
  routers: [] as Awaited<ReturnType<typeof silentRouters>>,
  damaged: [] as Awaited<ReturnType<typeof damagedNow>>,
  ledger: null as NonNullable<Awaited<ReturnType<typeof latestLedgerCheck>>> | null,
  runs: [] as Awaited<ReturnType<typeof runsIn>>,
  jobs: [] as ReturnType<typeof jobsInTrouble<Awaited<ReturnType<typeof readSchedule>>[number]>>,
  silent: [] as Awaited<ReturnType<typeof silentProcesses>>,
  missing: [] as string[],
};
export type AttentionList = typeof nothing;

/** Everything that needs attention, each kind up to `limit`. */
export async function attentionList(app: App, limit: number): Promise<AttentionList> {
  const { db } = app;
  const check = await latestLedgerCheck(db);
  return {
    keys: await parkedKeyViews(db, limit),
    subscriptions: await parkedSubscriptions(db, limit),
    faults: await clientFaults(db, limit),
    routers: await silentRouters(db, limit),
    damaged: await damagedNow(app),
    ledger: check?.verdict === 'broken' ? check : null,
    runs: (await runsIn(db, ['held'])).slice(0, limit),
    jobs: jobsInTrouble(await readSchedule(db), app.clock.now()),
    silent: await silentProcesses(db),
    missing: missingRoles(await livingProcesses(db)),
  };
}

function damagedNow({ db, clock }: App) {
  return damagedTables(db, new Date(clock.now().getTime() - damageShownMs));
}

/** One kind alone, a page of it after a place, and where the next page begins. */
export async function attentionPage(
  app: App,
  kind: AttentionKind,
  limit: number,
  after: readonly string[] | null,
): Promise<{ list: AttentionList; next: readonly string[] | null }> {
  const page = <Row>(rows: readonly Row[], placeOf: (row: Row) => readonly string[]) => {
    const last = rows[limit - 1];
    const next = rows.length > limit && last !== undefined ? placeOf(last) : null;
    return { rows: rows.slice(0, limit), next };
  };
  if (kind === 'keys') {
    const { rows, next } = page(await parkedKeyViews(app.db, limit + 1, after), (key) => key.place);
    return { list: { ...nothing, keys: rows }, next };
  }
  if (kind === 'subscriptions') {
    const afterId = after?.length === 1 && /^\d{1,20}$/.test(after[0] ?? '') ? (after[0] ?? null) : null;
    const found = await parkedSubscriptions(app.db, limit + 1, afterId);
    const { rows, next } = page(found, (one) => [one.id]);
    return { list: { ...nothing, subscriptions: rows }, next };
  }
  const { rows, next } = page(await clientFaults(app.db, limit + 1, after), placeOfFault);
  return { list: { ...nothing, faults: rows }, next };
}
