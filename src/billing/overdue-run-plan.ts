import type { Db } from '../db/knex.ts';
import { countActiveSubscriptions, type RouterReachable } from '../db/overdue-facts.ts';
import { type DebtorPage, debtorPage, type Stretch, stretchesOfDebtors } from '../db/overdue-plan-page.ts';
import type { SuspensionEffect } from '../domain/access-types.ts';
import type { Day } from '../domain/day.ts';
import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { type Debt, decideOverdue, type LeaveWhy, type ParkWhy } from '../domain/overdue.ts';

/** One thing that the run would do: to whom, what, why, how much, and whether the network can be told. */
export interface PlannedAction {
  readonly subscriptionId: SubscriptionId;
  readonly subscriberId: SubscriberId;
  readonly subscriberName: string;
  readonly usernames: readonly string[];
  readonly effect: SuspensionEffect;
  readonly throttleRate: string | null;
  /** What the subscriber owes past due and grace: the reason, and what would have to be paid to keep the service. */
  readonly debt: Debt;
  readonly daysPastDue: number;
  readonly daysPastGrace: number;
  readonly routerReachable: RouterReachable;
  /** Set when the set-up keeps the run from acting: it will be parked for a person. */
  readonly park: ParkWhy | null;
}

/** The actions for the subscribers with `after < id <= upTo`; `upTo` is null on the last page. */
export interface PlanPage {
  readonly after: SubscriberId | null;
  readonly upTo: SubscriberId | null;
  readonly actions: readonly PlannedAction[];
}

export interface PlanTotals {
  readonly asOf: Day;
  /** Active subscriptions: what a share is a share of. */
  readonly subjects: number;
  /** Subscribers with something past due and grace. */
  readonly overdueSubscribers: number;
  /** Subscriptions that would be suspended, their subscribers, and what those owe. */
  readonly planned: number;
  readonly plannedSubscribers: number;
  readonly openMinor: bigint;
  readonly parked: number;
  /** Subscriptions of overdue subscribers that are left alone, by reason. */
  readonly left: Readonly<Partial<Record<LeaveWhy, number>>>;
}

/** Stretches of ids that are read at the same time: the database has more than one processor, and a page is one walk. */
const readers = 2;

/**
 * What an overdue run as of a day would do, today's facts given. It only reads, so any day may be asked, tomorrow too.
 * Pages go to `onPage` in the order of subscriber ids, one at a time, while the next are read: memory holds the debtors
 * of some thousand ids.
 */
export async function planOverdueRun(
  db: Db,
  asOf: Day,
  onPage: (page: PlanPage) => Promise<void> | void,
  options: { pageSize?: number } = {},
): Promise<PlanTotals> {
  const totals = { overdueSubscribers: 0, planned: 0, plannedSubscribers: 0, openMinor: 0n, parked: 0 };
  const left: Partial<Record<LeaveWhy, number>> = {};
  const counting = countActiveSubscriptions(db);
  // Should a page fail first, nobody waits for this one any more; nor for what is read ahead.
  counting.catch(() => undefined);
  for await (const page of pagesOf(db, asOf, options.pageSize ?? 1000)) {
    const actions = actionsFor(page, asOf, left);
    await onPage({ after: page.after, upTo: page.upTo, actions });
    totals.overdueSubscribers += page.count;
    addUp(totals, actions);
  }
  return { asOf, subjects: await counting, ...totals, left };
}

type Page = DebtorPage & Stretch;

async function* pagesOf(db: Db, asOf: Day, limit: number): AsyncGenerator<Page> {
  const waiting = await stretchesOfDebtors(db);
  const reading: Promise<Page[]>[] = [];
  const readOn = () => {
    const stretch = waiting.shift();
    if (stretch === undefined) return;
    const pages = readStretch(db, asOf, stretch, limit);
    pages.catch(() => undefined);
    reading.push(pages);
  };
  for (let n = 0; n < readers; n++) readOn();
  for (let next = reading.shift(); next !== undefined; next = reading.shift()) {
    const pages = await next;
    readOn();
    yield* pages;
  }
}

async function readStretch(db: Db, asOf: Day, stretch: Stretch, limit: number): Promise<Page[]> {
  const pages: Page[] = [];
  let after = stretch.after;
  for (;;) {
    const page: DebtorPage = await debtorPage(db, asOf, { after, upTo: stretch.upTo, limit });
    const isLast = page.count < limit;
    pages.push({ ...page, after, upTo: isLast ? stretch.upTo : page.last });
    if (isLast) return pages;
    after = page.last;
  }
}

function actionsFor(page: DebtorPage, asOf: Day, left: Partial<Record<LeaveWhy, number>>): PlannedAction[] {
  const actions: PlannedAction[] = [];
  for (const fact of page.facts) {
    const decision = decideOverdue(fact, asOf);
    if (decision.action === 'leave') {
      left[decision.why] = (left[decision.why] ?? 0) + 1;
      continue;
    }
    actions.push({
      subscriptionId: fact.subscriptionId,
      subscriberId: fact.subscriberId,
      subscriberName: fact.subscriberName,
      usernames: fact.reach.usernames,
      effect: fact.profile.effect,
      throttleRate: decision.action === 'suspend' ? decision.throttleRate : fact.profile.throttleRate,
      debt: decision.debt,
      daysPastDue: decision.daysPastDue,
      daysPastGrace: decision.daysPastGrace,
      routerReachable: fact.reach.routerReachable,
      park: decision.action === 'park' ? decision.why : null,
    });
  }
  return actions;
}

/** A subscriber with two subscriptions owes once; a page holds all of a subscriber's. */
function addUp(
  totals: { planned: number; plannedSubscribers: number; openMinor: bigint; parked: number },
  actions: readonly PlannedAction[],
): void {
  const owed = new Map<SubscriberId, bigint>();
  for (const action of actions) {
    if (action.park !== null) {
      totals.parked += 1;
      continue;
    }
    totals.planned += 1;
    owed.set(action.subscriberId, action.debt.openMinor);
  }
  totals.plannedSubscribers += owed.size;
  for (const amount of owed.values()) totals.openMinor += amount;
}
