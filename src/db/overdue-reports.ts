import type { AccessKind, SuspensionEffect } from '../domain/access-types.ts';
import type { Day } from '../domain/day.ts';
import type { LoginId, OverdueRunId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { type Db, fromSqlInstant } from './knex.ts';
import type { RouterReachable } from './overdue-facts.ts';
import { type ActionState, countActions, findRun, type OverdueRun } from './overdue-runs.ts';

/**
 * How far the network has followed, by login of the suspensions that the run opened. Evidence comes from the router or
 * FreeRADIUS; a login without a live session has nothing to be sent, only rows for its next dial.
 */
export interface RunEvidence {
  /** Living logins of the applied (or since rolled back) subscriptions. */
  logins: number;
  /** Logins whose decision, and so their RADIUS rows, say overdue now. */
  decided: number;
  /** The newest packet because of this suspension, by what came back. */
  sent: number;
  acknowledged: number;
  confirmed: number;
  refused: number;
  silent: number;
  superseded: number;
  /** No packet was sent: no live session then, or not yet. */
  nothingSent: number;
}

export interface RunSummary {
  run: OverdueRun;
  counts: Record<ActionState, number>;
  /** Owed by the subscribers of the actions, each once, as it was planned. */
  openMinor: Partial<Record<ActionState, bigint>>;
  /** Why actions changed between plan and apply, or were parked. */
  why: { state: ActionState; why: string; count: number }[];
  reachable: Record<RouterReachable, number>;
  evidence: RunEvidence;
}

export async function runSummary(db: Db, runId: OverdueRunId): Promise<RunSummary | undefined> {
  const run = await findRun(db, runId);
  if (run === undefined) return undefined;
  const each = db('overdue_run_action')
    .where({ run_id: runId })
    .groupBy('state', 'subscriber_id')
    .select('state')
    .max('open_minor as open_minor')
    .as('each_subscriber');
  const amounts = await db
    .from(each)
    .groupBy('state')
    .select<{ state: ActionState; total: string }[]>('state', db.raw('SUM(open_minor) AS total'));
  const reachable: RunSummary['reachable'] = { yes: 0, no: 0, no_session: 0, unknown: 0 };
  const reach = await db('overdue_run_action')
    .where({ run_id: runId })
    .groupBy('router_reachable')
    .select<{ router_reachable: RouterReachable; n: string }[]>('router_reachable', db.raw('COUNT(*) AS n'));
  for (const row of reach) reachable[row.router_reachable] = Number(row.n);
  return {
    run,
    counts: await countActions(db, runId),
    openMinor: Object.fromEntries(amounts.map((row) => [row.state, BigInt(row.total)])),
    why: await runReasons(db, runId),
    reachable,
    evidence: await runEvidence(db, runId),
  };
}

/** Why actions changed between plan and apply, or were parked, with how many. */
export async function runReasons(db: Db, runId: OverdueRunId): Promise<RunSummary['why']> {
  const why = await db('overdue_run_action')
    .where({ run_id: runId })
    .whereIn('state', ['changed', 'parked'])
    .groupBy('state', 'why')
    .orderBy(['state', 'why'])
    .select<{ state: ActionState; why: string; n: string }[]>('state', 'why', db.raw('COUNT(*) AS n'));
  return why.map((row) => ({ state: row.state, why: row.why, count: Number(row.n) }));
}

/** Only packets that were sent while the suspension was open, and because of it, are its evidence. */
export const newestPacket = `(SELECT MAX(e.id) FROM enforcement e WHERE e.login_id = l.id AND e.why = 'invoice_overdue'
   AND e.requested_at >= s.opened_at AND (s.closed_at IS NULL OR e.requested_at < s.closed_at))`;

async function runEvidence(db: Db, runId: OverdueRunId): Promise<RunEvidence> {
  const [rows] = (await db.raw(
    `SELECT COUNT(*) AS logins,
       SUM(x.is_decided) AS decided,
       SUM(e.id IS NULL) AS nothing_sent,
       SUM(e.outcome = 'pending') AS sent,
       SUM(e.outcome = 'ack' AND e.confirmed_at IS NULL) AS acknowledged,
       SUM(e.confirmed_at IS NOT NULL) AS confirmed,
       SUM(e.outcome = 'nak' AND e.confirmed_at IS NULL) AS refused,
       SUM(e.outcome = 'timeout' AND e.confirmed_at IS NULL) AS silent,
       SUM(e.outcome = 'superseded' AND e.confirmed_at IS NULL) AS superseded
     FROM (
       SELECT ${newestPacket} AS packet_id,
         d.access IS NOT NULL AND d.access <> 'full' AND d.reason = 'invoice_overdue' AS is_decided
       FROM suspension s
       JOIN login l ON l.subscription_id = s.subscription_id AND l.retired_at IS NULL
       LEFT JOIN access_decision d ON d.login_id = l.id
       WHERE s.opened_by_run_id = ?
     ) x LEFT JOIN enforcement e ON e.id = x.packet_id`,
    [runId],
  )) as [Record<string, string | null>[]];
  const row = rows[0] ?? {};
  const count = (name: string) => Number(row[name] ?? 0);
  return {
    logins: count('logins'),
    decided: count('decided'),
    sent: count('sent'),
    acknowledged: count('acknowledged'),
    confirmed: count('confirmed'),
    refused: count('refused'),
    silent: count('silent'),
    superseded: count('superseded'),
    nothingSent: count('nothing_sent'),
  };
}

export interface RunActionView {
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  subscriberName: string;
  usernames: string[];
  effect: SuspensionEffect;
  throttleRate: string | null;
  openMinor: bigint;
  invoiceCount: number;
  oldestDueOn: Day;
  /** Of the subscriber's billing profile, now. */
  graceDays: number;
  routerReachable: RouterReachable;
  state: ActionState;
  why: string;
  settledAt: Date | null;
  suspension: { openedAt: Date; closedAt: Date | null; closedBecause: string | null } | null;
}

/** Where a page of actions begins. */
export interface ActionKey {
  subscriberId: SubscriberId;
  subscriptionId: SubscriptionId;
}

/**
 * The actions of a run in the order of subscribers, a page at a time; `after` is the last one of the page before.
 * With `before` they are the ones in front of that, the nearest first.
 */
export async function runActions(
  db: Db,
  runId: OverdueRunId,
  page: {
    states?: readonly ActionState[];
    after?: ActionKey;
    before?: ActionKey;
    limit: number;
  },
): Promise<RunActionView[]> {
  const order = page.before === undefined ? 'asc' : 'desc';
  const index = page.states?.length === 1 ? 'overdue_action_state' : 'overdue_action_order';
  // Left to itself the optimiser may begin at the few billing profiles, and sort the whole run for each page.
  const query = db
    .from(db.raw('overdue_run_action AS a FORCE INDEX (??)', [index]))
    .joinRaw('STRAIGHT_JOIN subscriber AS c ON c.id = a.subscriber_id')
    .joinRaw('STRAIGHT_JOIN billing_profile AS p FORCE INDEX (PRIMARY) ON p.id = c.billing_profile_id')
    .leftJoin('suspension as s', 's.id', 'a.suspension_id')
    .where('a.run_id', runId)
    .orderBy([
      { column: 'a.subscriber_id', order },
      { column: 'a.subscription_id', order },
    ])
    .limit(page.limit);
  if (page.states !== undefined) void query.whereIn('a.state', page.states);
  const key = page.before ?? page.after;
  if (key !== undefined) {
    // Written out, because MariaDB takes no range of an index from a comparison of rows.
    const sign = page.before === undefined ? '>' : '<';
    void query.whereRaw(
      `a.subscriber_id ${sign}= ? AND (a.subscriber_id ${sign} ? OR a.subscription_id ${sign} ?)`,
      [key.subscriberId, key.subscriberId, key.subscriptionId],
    );
  }
  const rows = await query.select<ActionViewRow[]>(
    'a.*',
    'c.name',
    'p.grace_days',
    's.opened_at',
    's.closed_at',
    's.closed_because',
    db.raw(
      "(SELECT GROUP_CONCAT(l.username ORDER BY l.id SEPARATOR ' ') FROM login l WHERE l.subscription_id = a.subscription_id AND l.retired_at IS NULL) AS usernames",
    ),
  );
  return rows.map(asView);
}

interface ActionViewRow {
  subscription_id: SubscriptionId;
  subscriber_id: SubscriberId;
  name: string;
  usernames: string | null;
  effect: SuspensionEffect;
  throttle_rate: string | null;
  open_minor: string;
  invoice_count: number;
  oldest_due_on: Day;
  grace_days: number;
  router_reachable: RouterReachable;
  state: ActionState;
  why: string;
  settled_at: string | null;
  opened_at: string | null;
  closed_at: string | null;
  closed_because: string | null;
}

function asView(row: ActionViewRow): RunActionView {
  return {
    subscriptionId: row.subscription_id,
    subscriberId: row.subscriber_id,
    subscriberName: row.name,
    // A username has no space in it.
    usernames: row.usernames?.split(' ') ?? [],
    effect: row.effect,
    throttleRate: row.throttle_rate,
    openMinor: BigInt(row.open_minor),
    invoiceCount: row.invoice_count,
    oldestDueOn: row.oldest_due_on,
    graceDays: row.grace_days,
    routerReachable: row.router_reachable,
    state: row.state,
    why: row.why,
    settledAt: row.settled_at === null ? null : fromSqlInstant(row.settled_at),
    suspension:
      row.opened_at === null
        ? null
        : {
            openedAt: fromSqlInstant(row.opened_at),
            closedAt: row.closed_at === null ? null : fromSqlInstant(row.closed_at),
            closedBecause: row.closed_because,
          },
  };
}

export interface SubscriberEvidence {
  subscriptionId: SubscriptionId;
  loginId: LoginId;
  username: string;
  access: AccessKind | null;
  reason: string | null;
  packets: {
    action: 'coa' | 'disconnect';
    sentAt: Date;
    outcome: 'pending' | 'ack' | 'nak' | 'timeout' | 'superseded';
    errorCause: number | null;
    roundTripUs: number | null;
    attempts: number;
    confirmedAt: Date | null;
    confirmedBy: 'stop' | 'rate' | null;
  }[];
}

/** What reached the network for one subscriber of a run: the decision of each login, and its last packets. */
export async function evidenceOf(
  db: Db,
  runId: OverdueRunId,
  subscriberId: SubscriberId,
): Promise<SubscriberEvidence[]> {
  const rows = await db('subscription as n')
    .join('suspension as s', 's.subscription_id', 'n.id')
    .join('login as l', 'l.subscription_id', 'n.id')
    .leftJoin('access_decision as d', 'd.login_id', 'l.id')
    .leftJoin('enforcement as e', (on) =>
      on
        .on('e.login_id', 'l.id')
        .andOnVal('e.why', 'invoice_overdue')
        .andOn('e.requested_at', '>=', 's.opened_at'),
    )
    .where({ 'n.subscriber_id': subscriberId, 's.opened_by_run_id': runId })
    .where((inTime) =>
      inTime.whereNull('e.id').orWhereNull('s.closed_at').orWhereRaw('e.requested_at < s.closed_at'),
    )
    .orderBy(['l.id', 'e.id'])
    .limit(500)
    .select<EvidenceRow[]>(
      'n.id as subscription_id',
      'l.id as login_id',
      'l.username',
      'd.access',
      'd.reason',
      'e.action',
      'e.sent_at',
      'e.outcome',
      'e.error_cause',
      'e.round_trip_us',
      'e.attempts',
      'e.confirmed_at',
      'e.confirmed_by',
    );
  const byLogin = new Map<LoginId, SubscriberEvidence>();
  for (const row of rows) {
    const seen = byLogin.get(row.login_id) ?? {
      subscriptionId: row.subscription_id,
      loginId: row.login_id,
      username: row.username,
      access: row.access,
      reason: row.reason,
      packets: [],
    };
    byLogin.set(row.login_id, seen);
    if (row.action === null || row.sent_at === null || row.outcome === null) continue;
    seen.packets.push({
      action: row.action,
      sentAt: fromSqlInstant(row.sent_at),
      outcome: row.outcome,
      errorCause: row.error_cause,
      roundTripUs: row.round_trip_us,
      attempts: row.attempts ?? 0,
      confirmedAt: row.confirmed_at === null ? null : fromSqlInstant(row.confirmed_at),
      confirmedBy: row.confirmed_by,
    });
  }
  return [...byLogin.values()];
}

interface EvidenceRow {
  subscription_id: SubscriptionId;
  login_id: LoginId;
  username: string;
  access: AccessKind | null;
  reason: string | null;
  action: 'coa' | 'disconnect' | null;
  sent_at: string | null;
  outcome: 'pending' | 'ack' | 'nak' | 'timeout' | 'superseded' | null;
  error_cause: number | null;
  round_trip_us: number | null;
  attempts: number | null;
  confirmed_at: string | null;
  confirmed_by: 'stop' | 'rate' | null;
}
