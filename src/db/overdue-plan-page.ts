import type { Day } from '../domain/day.ts';
import { asId, type SubscriberId, type SubscriptionId } from '../domain/ids.ts';
import { compareIds } from '../domain/payment-allocation.ts';
import type { Db } from './knex.ts';
import {
  asDebt,
  asFacts,
  type DebtRow,
  debtSelect,
  type FactRow,
  isBiting,
  type ReachRow,
  type Reach,
  reachedBy,
  type SubscriptionFacts,
} from './overdue-facts.ts';

/** One page of a plan: debtors in the order of their ids, with all that decides about their subscriptions. */
export interface DebtorPage {
  /** Debtors on the page; fewer than the limit on the last one. */
  readonly count: number;
  readonly last: SubscriberId | null;
  readonly facts: readonly (SubscriptionFacts & { readonly reach: Reach })[];
}

/** Subscribers with `after < id <= upTo`; null where there is no bound. */
export interface Stretch {
  readonly after: SubscriberId | null;
  readonly upTo: SubscriberId | null;
}

/** Ids of a stretch: where every tenth owes, about as many debtors as a page has. */
const stretchIds = 5000n;
/** Were ids far apart, there would be more stretches than subscribers. */
const stretchesMax = 400n;

/** All ids, in stretches that can be read beside one another; the first and the last are open to their side. */
export async function stretchesOfDebtors(db: Db): Promise<Stretch[]> {
  const end = (direction: 'ASC' | 'DESC') =>
    `(SELECT subscriber_id FROM invoice FORCE INDEX (invoice_overdue) WHERE state = 'open'
      ORDER BY subscriber_id ${direction} LIMIT 1)`;
  const [[row]] = (await db.raw(`SELECT ${end('ASC')} AS first, ${end('DESC')} AS last`)) as unknown as [
    [{ first: string | null; last: string | null }],
  ];
  const first = BigInt(row.first ?? 0);
  const span = BigInt(row.last ?? 0) - first;
  const width = span / stretchesMax > stretchIds ? span / stretchesMax : stretchIds;
  const bounds: SubscriberId[] = [];
  for (let bound = first + width; bound < first + span; bound += width) bounds.push(asId(bound));
  return [null, ...bounds].map((after, index) => ({ after, upTo: bounds[index] ?? null }));
}

/**
 * The next subscribers, by id, with something past due and grace, their subscriptions, and whether their routers can be
 * told; one statement. It walks (state, subscriber, due day, open amount) in order and stops at the limit, so a page
 * costs the same wherever it is. Of what is suspended already no session is looked for: nobody will be told anything.
 */
export async function debtorPage(
  db: Db,
  asOf: Day,
  page: { after: SubscriberId | null; upTo?: SubscriberId | null; limit: number },
): Promise<DebtorPage> {
  const upTo = page.upTo ?? null;
  const [rows] = (await db.raw(
    `SELECT d.subscriber_id, d.name, d.grace_days, d.overdue_effect, d.throttle_rate, d.is_overdue_run_on,
       d.oldest_due_on, d.biting_count, d.biting_minor, n.id, n.state, s.id AS suspension_id,
       (SELECT MAX(f.until_on) FROM deferral f WHERE f.subscription_id = n.id AND f.closed_at IS NULL) AS deferred_until,
       l.username, r.radacctid, e.breaker, e.last_answer_at
     FROM (${debtSelect('i.subscriber_id, c.name, p.grace_days, p.overdue_effect, p.throttle_rate, p.is_overdue_run_on')}
       WHERE i.state = 'open' AND i.open_minor > 0 AND i.subscriber_id > ? ${upTo === null ? '' : 'AND i.subscriber_id <= ?'} AND i.due_on < ? AND ${isBiting}
       GROUP BY i.subscriber_id ORDER BY i.subscriber_id LIMIT ?) d
     LEFT JOIN subscription n FORCE INDEX (subscription_subscriber) ON n.subscriber_id = d.subscriber_id
     LEFT JOIN suspension s FORCE INDEX (suspension_one_open) ON s.subscription_id = n.id AND s.open_cause = 'overdue'
     LEFT JOIN login l FORCE INDEX (login_subscription)
       ON l.subscription_id = n.id AND l.retired_at IS NULL AND s.id IS NULL
     LEFT JOIN radacct r FORCE INDEX (radacct_user) ON r.username = l.username AND r.acctstoptime IS NULL
     LEFT JOIN router_lane e ON e.router_id = r.router_id`,
    [asOf, asOf, page.after ?? '0', ...(upTo === null ? [] : [upTo]), asOf, asOf, page.limit],
  )) as unknown as [PlanRow[]];
  // They come in order as it is, from a walk of nested loops, but nothing promises that.
  return pageOf(rows.sort(inOrder));
}

type PlanRow = DebtRow & ReachRow & Omit<FactRow, 'id'> & { id: SubscriptionId | null };

function inOrder(a: PlanRow, b: PlanRow): number {
  return compareIds(a.subscriber_id, b.subscriber_id) || compareIds(a.id ?? '0', b.id ?? '0');
}

/** A subscription has a row for each of its logins and their sessions. */
function pageOf(rows: readonly PlanRow[]): DebtorPage {
  const facts: (SubscriptionFacts & { reach: Reach })[] = [];
  let count = 0;
  let last: SubscriberId | null = null;
  for (const row of rows) {
    if (row.subscriber_id !== last) count += 1;
    last = row.subscriber_id;
    if (row.id === null) continue;
    let fact = facts.at(-1);
    if (fact?.subscriptionId !== row.id) {
      const reach: Reach = { usernames: [], routerReachable: 'no_session' };
      fact = { ...asFacts({ ...row, id: row.id }, asDebt(row)), reach };
      facts.push(fact);
    }
    if (row.username !== null) reachedBy(fact.reach, row);
  }
  return { count, last, facts };
}
