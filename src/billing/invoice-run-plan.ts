import { dueFacts, duePage, type DueSubscription, readTaxRates } from '../db/invoice-runs.ts';
import type { Db } from '../db/knex.ts';
import type { Day } from '../domain/day.ts';
import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { decideInvoices, type InvoiceDraft, type InvoicingProblem } from '../domain/invoice.ts';
import type { Minor } from '../domain/money.ts';

/** Subscriptions a transaction: each of them locks its subscriber until the batch is committed. */
const batchSize = 500;
/** Invoices that one run gives a subscription which missed periods; the rest stays due for the next run. */
export const catchUpMax = 12;

export interface PlannedSubscription {
  readonly subscriptionId: SubscriptionId;
  readonly subscriberId: SubscriberId;
  readonly subscriberName: string;
  readonly packageName: string;
  readonly invoices: readonly InvoiceDraft[];
  readonly problem: InvoicingProblem | null;
}

export interface InvoiceRunPlan {
  readonly asOf: Day;
  readonly subscriptionCount: number;
  readonly invoiceCount: number;
  readonly brokenCount: number;
  readonly netMinor: Minor;
  readonly taxMinor: Minor;
  readonly totalMinor: Minor;
  /** The first of them; broken ones come before the others. */
  readonly items: readonly PlannedSubscription[];
}

/**
 * What the invoice run would issue as of a day, by the same rules, changing nothing. The sums are over all that is due;
 * the items are the first `itemsMax`. Memory does not grow with the number of subscribers.
 */
export async function planInvoiceRun(
  db: Db,
  asOf: Day,
  options: { itemsMax?: number } = {},
): Promise<InvoiceRunPlan> {
  const itemsMax = options.itemsMax ?? 100;
  const rates = await readTaxRates(db);
  const sound: PlannedSubscription[] = [];
  const broken: PlannedSubscription[] = [];
  const sums = { subscriptionCount: 0, invoiceCount: 0, brokenCount: 0, netMinor: 0n, taxMinor: 0n };
  for await (const page of duePages(db, asOf)) {
    const facts = await dueFacts(
      db,
      asOf,
      page.map((one) => one.id),
    );
    for (const due of facts) {
      const planned = planOne(due, decideInvoices(due, rates, { asOf, countMax: catchUpMax }));
      const list = planned.problem === null ? sound : broken;
      if (list.length < itemsMax) list.push(planned);
      sums.subscriptionCount += 1;
      sums.brokenCount += planned.problem === null ? 0 : 1;
      sums.invoiceCount += planned.invoices.length;
      for (const invoice of planned.invoices) {
        sums.netMinor += invoice.netMinor;
        sums.taxMinor += invoice.taxMinor;
      }
    }
  }
  const items = [...broken, ...sound].slice(0, itemsMax);
  return { asOf, ...sums, totalMinor: sums.netMinor + sums.taxMinor, items };
}

function planOne(due: DueSubscription, decision: ReturnType<typeof decideInvoices>): PlannedSubscription {
  return {
    subscriptionId: due.id,
    subscriberId: due.subscriberId,
    subscriberName: due.subscriberName,
    packageName: due.packageName,
    invoices: decision.ok ? decision.invoices : [],
    problem: decision.ok ? null : decision.problem,
  };
}

export type DueKey = { id: SubscriptionId; subscriberId: SubscriberId };

/** What may be due, by id. */
export async function* duePages(db: Db, asOf: Day): AsyncGenerator<DueKey[]> {
  let afterId: SubscriptionId | null = null;
  for (;;) {
    const page: DueKey[] = await duePage(db, { asOf, afterId, limit: batchSize });
    if (page.length > 0) yield page;
    if (page.length < batchSize) return;
    afterId = page.at(-1)?.id ?? null;
  }
}
