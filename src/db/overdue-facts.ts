import type { SuspensionEffect } from '../domain/access-types.ts';
import type { Day } from '../domain/day.ts';
import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import type { Debt, OverdueFacts } from '../domain/overdue.ts';
import { chunksOf, type Db } from './knex.ts';

/** What a subscriber owes as of a day: the oldest due day with something open, and what is past due and grace. */
export interface SubscriberDebt {
  subscriberId: SubscriberId;
  oldestOpenDueOn: Day;
  debt: Debt | null;
}

/** The facts about one subscription, with whose it is. */
export interface SubscriptionFacts extends OverdueFacts {
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  subscriberName: string;
}

export type RouterReachable = 'yes' | 'no' | 'no_session' | 'unknown';

/** The debts of some subscribers; who has nothing open is missing. */
export async function debtsOf(
  db: Db,
  subscriberIds: readonly SubscriberId[],
  asOf: Day,
): Promise<Map<SubscriberId, SubscriberDebt>> {
  const debts = new Map<SubscriberId, SubscriberDebt>();
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const [rows] = (await db.raw(
      `${debtSelect('i.subscriber_id')} WHERE i.state = 'open' AND i.open_minor > 0 AND i.subscriber_id IN (${chunk.map(() => '?').join(', ')})
       GROUP BY i.subscriber_id`,
      [asOf, asOf, ...chunk],
    )) as unknown as [DebtRow[]];
    for (const row of rows) debts.set(row.subscriber_id, asDebt(row));
  }
  return debts;
}

/**
 * Past grace is `due_on + grace_days < as_of`, written so that the invoice's day stands alone. Order and indexes of the
 * join are fixed: begun at the few billing profiles, or buffered at them, as the optimiser likes it, every page would
 * sort all debtors.
 */
export function debtSelect(columns: string): string {
  return `SELECT STRAIGHT_JOIN ${columns}, MIN(i.due_on) AS oldest_due_on, SUM(${isBiting}) AS biting_count,
    SUM(IF(${isBiting}, i.open_minor, 0)) AS biting_minor
  FROM invoice i FORCE INDEX (invoice_overdue)
  JOIN subscriber c FORCE INDEX (PRIMARY) ON c.id = i.subscriber_id
  JOIN billing_profile p FORCE INDEX (PRIMARY) ON p.id = c.billing_profile_id`;
}

/** Past due and grace as of the day that is bound. */
export const isBiting = 'i.due_on < DATE_SUB(?, INTERVAL p.grace_days DAY)';

export interface DebtRow {
  subscriber_id: SubscriberId;
  oldest_due_on: Day;
  biting_count: string;
  biting_minor: string;
}

export function asDebt(row: DebtRow): SubscriberDebt {
  const invoiceCount = Number(row.biting_count);
  return {
    subscriberId: row.subscriber_id,
    oldestOpenDueOn: row.oldest_due_on,
    debt:
      invoiceCount === 0
        ? null
        : { invoiceCount, openMinor: BigInt(row.biting_minor), oldestDueOn: row.oldest_due_on },
  };
}

/** The facts about every subscription of some subscribers; in a transaction that holds their lock they are final. */
export async function overdueFactsOf(
  db: Db,
  debts: ReadonlyMap<SubscriberId, SubscriberDebt>,
  subscriberIds: readonly SubscriberId[],
): Promise<SubscriptionFacts[]> {
  const facts: SubscriptionFacts[] = [];
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const rows = await db('subscription as n')
      .join('subscriber as c', 'c.id', 'n.subscriber_id')
      .join('billing_profile as p', 'p.id', 'c.billing_profile_id')
      .leftJoin('suspension as s', (on) =>
        on.on('s.subscription_id', 'n.id').andOnVal('s.open_cause', 'overdue'),
      )
      .whereIn('n.subscriber_id', chunk)
      .orderBy(['n.subscriber_id', 'n.id'])
      .select<FactRow[]>(
        'n.id',
        'n.subscriber_id',
        'c.name',
        'n.state',
        's.id as suspension_id',
        'p.grace_days',
        'p.overdue_effect',
        'p.throttle_rate',
        'p.is_overdue_run_on',
        db.raw(
          '(SELECT MAX(d.until_on) FROM deferral d WHERE d.subscription_id = n.id AND d.closed_at IS NULL) AS deferred_until',
        ),
      );
    for (const row of rows) facts.push(asFacts(row, debts.get(row.subscriber_id)));
  }
  return facts;
}

export interface FactRow {
  id: SubscriptionId;
  subscriber_id: SubscriberId;
  name: string;
  state: 'active' | 'paused' | 'terminated';
  suspension_id: string | null;
  grace_days: number;
  overdue_effect: SuspensionEffect;
  throttle_rate: string | null;
  is_overdue_run_on: number;
  deferred_until: Day | null;
}

export function asFacts(row: FactRow, debt: SubscriberDebt | undefined): SubscriptionFacts {
  return {
    subscriptionId: row.id,
    subscriberId: row.subscriber_id,
    subscriberName: row.name,
    subscriptionState: row.state,
    oldestOpenDueOn: debt?.oldestOpenDueOn ?? null,
    debt: debt?.debt ?? null,
    isSuspendedAsOverdue: row.suspension_id !== null,
    deferredUntil: row.deferred_until,
    profile: {
      graceDays: row.grace_days,
      effect: row.overdue_effect,
      throttleRate: row.throttle_rate,
      isOverdueRunOn: row.is_overdue_run_on === 1,
    },
  };
}

/** How many subscriptions an overdue run could touch at all. */
export async function countActiveSubscriptions(db: Db): Promise<number> {
  const row = await db('subscription').where('state', 'active').count<{ n: string }[]>('* as n');
  return Number(row[0]?.n ?? 0);
}

/** The usernames of a subscription, and whether the routers of their live sessions answer. */
export interface Reach {
  usernames: string[];
  routerReachable: RouterReachable;
}

export interface ReachRow {
  username: string | null;
  radacctid: string | null;
  breaker: 'closed' | 'open' | null;
  last_answer_at: string | null;
}

/** Adds a login's session to what is known of its subscription. */
export function reachedBy(reach: Reach, row: ReachRow): void {
  if (row.username !== null && !reach.usernames.includes(row.username)) reach.usernames.push(row.username);
  reach.routerReachable = worse(reach.routerReachable, reachOf(row));
}

/** A router that has never answered a CoA or Disconnect may or may not: that is not a yes. */
function reachOf(row: ReachRow): RouterReachable {
  if (row.radacctid === null) return 'no_session';
  if (row.breaker === 'open') return 'no';
  return row.breaker === 'closed' && row.last_answer_at !== null ? 'yes' : 'unknown';
}

const badness: Record<RouterReachable, number> = { no_session: 0, yes: 1, unknown: 2, no: 3 };

function worse(a: RouterReachable, b: RouterReachable): RouterReachable {
  return badness[b] > badness[a] ? b : a;
}
