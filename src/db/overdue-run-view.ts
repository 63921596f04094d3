import type { SuspensionEffect } from '../domain/access-types.ts';
import type { OverdueRunId, RouterId, SubscriberId } from '../domain/ids.ts';
import type { Db } from './knex.ts';
import type { RouterReachable } from './overdue-facts.ts';
import { newestPacket } from './overdue-reports.ts';
import type { RunState } from './overdue-runs.ts';

/** Runs by state; the table grows by one a day. */
export async function countRuns(db: Db): Promise<Partial<Record<RunState, number>>> {
  const rows = await db('overdue_run')
    .groupBy('state')
    .select<{ state: RunState; n: string }[]>('state', db.raw('COUNT(*) AS n'));
  return Object.fromEntries(rows.map((row) => [row.state, Number(row.n)]));
}

/** Subscriptions that each run suspended, whatever became of them since; counted to `limit` and no further. */
export async function countSuspendedBy(
  db: Db,
  runIds: readonly OverdueRunId[],
  limit: number,
): Promise<Map<OverdueRunId, number>> {
  if (runIds.length === 0) return new Map();
  // One bounded count a run: a list page must not read every action of fifty runs.
  const one =
    'SELECT ? AS run_id, (SELECT COUNT(*) FROM (SELECT 1 FROM suspension WHERE opened_by_run_id = ? LIMIT ?) x) AS n';
  const [rows] = (await db.raw(
    runIds.map(() => one).join(' UNION ALL '),
    runIds.flatMap((id) => [id, id, limit]),
  )) as unknown as [{ run_id: OverdueRunId; n: string }[]];
  return new Map(rows.map((row) => [String(row.run_id) as OverdueRunId, Number(row.n)]));
}

/** Suspensions that the run opened and that are open: what a rollback closes. */
export async function countOpenSuspensionsOf(db: Db, runId: OverdueRunId): Promise<number> {
  const row = await db('suspension')
    .where({ opened_by_run_id: runId })
    .whereNull('closed_at')
    .first<{ n: string }>(db.raw('COUNT(*) AS n'));
  return Number(row.n);
}

export interface PlannedEffect {
  effect: SuspensionEffect;
  throttleRate: string | null;
  subscriptions: number;
  subscribers: number;
  openMinor: bigint;
}

export interface PlannedTotals {
  effects: PlannedEffect[];
  reachable: Record<RouterReachable, number>;
}

/** What a run does or did, by effect and by whether the router could be told; without the excluded and the parked. */
export async function plannedTotals(db: Db, runId: OverdueRunId): Promise<PlannedTotals> {
  const acted = ['planned', 'applied', 'rolled_back', 'kept'];
  // A subscriber with two subscriptions owes once.
  const each = db('overdue_run_action')
    .where({ run_id: runId })
    .whereIn('state', acted)
    .groupBy('effect', 'throttle_rate', 'subscriber_id')
    .select('effect', 'throttle_rate', db.raw('COUNT(*) AS n'), db.raw('MAX(open_minor) AS open_minor'))
    .as('each_subscriber');
  const effects = await db
    .from(each)
    .groupBy('effect', 'throttle_rate')
    .orderBy(['effect', 'throttle_rate'])
    .select<
      {
        effect: SuspensionEffect;
        throttle_rate: string | null;
        subscriptions: string;
        subscribers: string;
        total: string;
      }[]
    >(
      'effect',
      'throttle_rate',
      db.raw('SUM(n) AS subscriptions'),
      db.raw('COUNT(*) AS subscribers'),
      db.raw('SUM(open_minor) AS total'),
    );
  const reach = await db('overdue_run_action')
    .where({ run_id: runId })
    .whereIn('state', acted)
    .groupBy('router_reachable')
    .select<{ router_reachable: RouterReachable; n: string }[]>('router_reachable', db.raw('COUNT(*) AS n'));
  const reachable = { yes: 0, no: 0, no_session: 0, unknown: 0 };
  for (const row of reach) reachable[row.router_reachable] = Number(row.n);
  return {
    effects: effects.map((row) => ({
      effect: row.effect,
      throttleRate: row.throttle_rate,
      subscriptions: Number(row.subscriptions),
      subscribers: Number(row.subscribers),
      openMinor: BigInt(row.total),
    })),
    reachable,
  };
}

export interface PlannedDebt {
  subscriberId: SubscriberId;
  subscriberName: string;
  effect: SuspensionEffect;
  throttleRate: string | null;
  openMinor: bigint;
}

/** The planned actions with the most money behind them: who looks at a plan looks at those first. */
export async function largestDebts(db: Db, runId: OverdueRunId, limit: number): Promise<PlannedDebt[]> {
  const rows = await db('overdue_run_action as a')
    .join('subscriber as c', 'c.id', 'a.subscriber_id')
    .where({ 'a.run_id': runId, 'a.state': 'planned' })
    .orderBy([{ column: 'a.open_minor', order: 'desc' }, 'a.subscriber_id'])
    .limit(limit)
    .select<
      {
        subscriber_id: SubscriberId;
        name: string;
        effect: SuspensionEffect;
        throttle_rate: string | null;
        open_minor: string;
      }[]
    >('a.subscriber_id', 'c.name', 'a.effect', 'a.throttle_rate', 'a.open_minor');
  return rows.map((row) => ({
    subscriberId: row.subscriber_id,
    subscriberName: row.name,
    effect: row.effect,
    throttleRate: row.throttle_rate,
    openMinor: BigInt(row.open_minor),
  }));
}

/** A subscriber that the run reached, with the name; undefined for another. */
export async function runSubscriber(
  db: Db,
  runId: OverdueRunId,
  subscriberId: SubscriberId,
): Promise<{ subscriberId: SubscriberId; subscriberName: string } | undefined> {
  const row = await db('overdue_run_action as a')
    .join('subscriber as c', 'c.id', 'a.subscriber_id')
    .where({ 'a.run_id': runId, 'a.subscriber_id': subscriberId })
    .first<{ id: SubscriberId; name: string } | undefined>('c.id', 'c.name');
  return row === undefined ? undefined : { subscriberId: row.id, subscriberName: row.name };
}

/** What the network said to a run's suspensions, by router: the newest packet of each login counts. */
export interface RouterEvidence {
  /** Null: no packet was sent. */
  routerId: RouterId | null;
  routerName: string | null;
  logins: number;
  /** Logins whose RADIUS rows say overdue now. */
  decided: number;
  sent: number;
  acknowledged: number;
  confirmed: number;
  refused: number;
  silent: number;
  /** Something newer was wanted meanwhile, or the sender ended; the router may have obeyed. */
  other: number;
}

/** By router, of the first `limit` suspensions that the run opened. */
export async function evidenceByRouter(
  db: Db,
  runId: OverdueRunId,
  limit: number,
): Promise<RouterEvidence[]> {
  const [rows] = (await db.raw(
    `SELECT e.router_id, r.name, COUNT(*) AS logins,
       SUM(x.is_decided) AS decided,
       SUM(e.outcome = 'pending') AS sent,
       SUM(e.outcome = 'ack' AND e.confirmed_at IS NULL) AS acknowledged,
       SUM(e.confirmed_at IS NOT NULL) AS confirmed,
       SUM(e.outcome = 'nak' AND e.confirmed_at IS NULL) AS refused,
       SUM(e.outcome = 'timeout' AND e.confirmed_at IS NULL) AS silent,
       SUM(e.outcome NOT IN ('pending','ack','nak','timeout') AND e.confirmed_at IS NULL) AS other
     FROM (
       SELECT ${newestPacket} AS packet_id,
         d.access IS NOT NULL AND d.access <> 'full' AND d.reason = 'invoice_overdue' AS is_decided
       FROM (
         SELECT subscription_id, opened_at, closed_at FROM suspension FORCE INDEX (suspension_run)
         WHERE opened_by_run_id = ? ORDER BY id LIMIT ?
       ) s
       JOIN login l ON l.subscription_id = s.subscription_id AND l.retired_at IS NULL
       LEFT JOIN access_decision d ON d.login_id = l.id
     ) x
     LEFT JOIN enforcement e ON e.id = x.packet_id
     LEFT JOIN router r ON r.id = e.router_id
     GROUP BY e.router_id, r.name
     ORDER BY e.router_id IS NULL, r.name`,
    [runId, limit],
  )) as unknown as [EvidenceRow[]];
  return rows.map((row) => ({
    routerId: row.router_id,
    routerName: row.name,
    logins: Number(row.logins),
    decided: Number(row.decided ?? 0),
    sent: Number(row.sent ?? 0),
    acknowledged: Number(row.acknowledged ?? 0),
    confirmed: Number(row.confirmed ?? 0),
    refused: Number(row.refused ?? 0),
    silent: Number(row.silent ?? 0),
    other: Number(row.other ?? 0),
  }));
}

type Counted = 'decided' | 'sent' | 'acknowledged' | 'confirmed' | 'refused' | 'silent' | 'other';
type EvidenceRow = { router_id: RouterId | null; name: string | null; logins: string } & Record<
  Counted,
  string | null
>;
