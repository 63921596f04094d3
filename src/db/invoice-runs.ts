import type { Day } from '../domain/day.ts';
import type { InvoiceRunId, PackageId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { asId } from '../domain/ids.ts';
import type { BillingFacts } from '../domain/invoice.ts';
import type { Minor } from '../domain/money.ts';
import type { TaxRate } from '../domain/tax.ts';
import { type Db, sqlInstant, type Trx } from './knex.ts';
import { holdRule } from './rules.ts';
import { parkSubscriptions } from './parked.ts';
import { updateEach } from './update-each.ts';

export interface DueSubscription extends BillingFacts {
  readonly id: SubscriptionId;
  readonly subscriberId: SubscriberId;
  readonly subscriberName: string;
  readonly packageId: PackageId;
}

/**
 * The order of the joins is fixed, subscriptions first: after a large import the server's statistics are old, and it
 * would walk every subscriber for every profile.
 */
const dueFrom = `
  FROM subscription n
  STRAIGHT_JOIN package p ON p.id = n.package_id
  STRAIGHT_JOIN master_package m ON m.id = p.master_package_id`;
const isDue = "n.state = 'active' AND n.next_invoice_on <= ? AND m.billing_type = 'monthly'";

/** Active monthly subscriptions with a period that has begun and has no invoice. */
export async function countDue(db: Db, asOf: Day): Promise<number> {
  const [rows] = (await db.raw(`SELECT COUNT(*) AS n ${dueFrom} WHERE ${isDue}`, [asOf])) as [
    { n: string }[],
  ];
  return Number(rows[0]?.n ?? 0);
}

/**
 * The next page of what may be due, by id. The run walks the subscriptions once in the order of their ids; a broken
 * one, which stays due, is met once.
 */
export async function duePage(
  db: Db,
  page: { asOf: Day; afterId: SubscriptionId | null; limit: number },
): Promise<{ id: SubscriptionId; subscriberId: SubscriberId }[]> {
  // Without the hint every page would sort all that is due.
  const [rows] = (await db.raw(
    `SELECT id, subscriber_id FROM subscription FORCE INDEX (PRIMARY)
     WHERE id > ? AND state = 'active' AND next_invoice_on <= ? ORDER BY id LIMIT ?`,
    [page.afterId ?? '0', page.asOf, page.limit],
  )) as [{ id: SubscriptionId; subscriber_id: SubscriberId }[]];
  return rows.map((row) => ({ id: row.id, subscriberId: row.subscriber_id }));
}

/** Those of the given subscriptions that are due, with what decides their invoices. */
export async function dueFacts(
  db: Db,
  asOf: Day,
  ids: readonly SubscriptionId[],
): Promise<DueSubscription[]> {
  if (ids.length === 0) return [];
  const [rows] = (await db.raw(
    `SELECT n.id, n.subscriber_id, c.name AS subscriber_name, n.package_id, n.anchor_on, n.next_period, n.ended_on,
       p.name AS package_name, p.customers_price_minor, n.price_override_minor, t.name AS tax_name, b.due_days
     ${dueFrom.replace('subscription n', 'subscription n FORCE INDEX (PRIMARY)')}
     STRAIGHT_JOIN subscriber c ON c.id = n.subscriber_id
     STRAIGHT_JOIN billing_profile b ON b.id = c.billing_profile_id
     LEFT JOIN tax_rate t ON t.id = p.tax_rate_id
     WHERE n.id IN (${ids.map(() => '?').join(', ')}) AND ${isDue}
     ORDER BY n.id`,
    [...ids, asOf],
  )) as [DueRow[]];
  return rows.map(asDueSubscription);
}

interface DueRow {
  id: SubscriptionId;
  subscriber_id: SubscriberId;
  subscriber_name: string;
  package_id: PackageId;
  anchor_on: Day;
  next_period: number;
  ended_on: Day | null;
  package_name: string;
  customers_price_minor: string;
  price_override_minor: string | null;
  tax_name: string | null;
  due_days: number;
}

function asDueSubscription(row: DueRow): DueSubscription {
  return {
    id: row.id,
    subscriberId: row.subscriber_id,
    subscriberName: row.subscriber_name,
    packageId: row.package_id,
    anchorOn: row.anchor_on,
    nextPeriod: row.next_period,
    endedOn: row.ended_on,
    packageName: row.package_name,
    packagePriceMinor: BigInt(row.customers_price_minor),
    priceOverrideMinor: row.price_override_minor === null ? null : BigInt(row.price_override_minor),
    taxName: row.tax_name,
    dueDays: row.due_days,
  };
}

/** All rates there ever were: a handful. Which is in force, the domain decides. */
export async function readTaxRates(db: Db): Promise<TaxRate[]> {
  const rows = await db('tax_rate').select<
    { name: string; rate_bp: number; is_inclusive: number; effective_on: Day }[]
  >('name', 'rate_bp', 'is_inclusive', 'effective_on');
  return rows.map((row) => ({
    name: row.name,
    rateBp: row.rate_bp,
    isInclusive: row.is_inclusive === 1,
    effectiveOn: row.effective_on,
  }));
}

/** Moves subscriptions on to their first period without an invoice; null when they end before it. */
export async function advanceSubscriptions(
  trx: Trx,
  moves: readonly { id: SubscriptionId; nextPeriod: number; nextInvoiceOn: Day | null }[],
): Promise<void> {
  await updateEach(
    trx,
    'subscription',
    new Map(
      moves.map((move) => [move.id, { next_period: move.nextPeriod, next_invoice_on: move.nextInvoiceOn }]),
    ),
  );
}

export interface InvoiceRun {
  readonly id: InvoiceRunId;
  readonly asOf: Day;
  readonly dueCount: number;
  readonly issuedCount: number;
  readonly parkedCount: number;
  readonly totalMinor: Minor;
  readonly isFinished: boolean;
}

/** The run of that day which was never finished, to go on with; a new one when there is none. */
export async function openInvoiceRun(
  trx: Trx,
  run: { asOf: Day; actor: string; at: Date; dueCount: number },
): Promise<InvoiceRun & { readonly isResumed: boolean }> {
  await holdRule(trx, 'invoice_run');
  const unfinished = await trx('invoice_run')
    .where({ as_of: run.asOf })
    .whereNull('finished_at')
    .orderBy('id', 'desc')
    .first<InvoiceRunRow | undefined>();
  if (unfinished !== undefined) return { ...asRun(unfinished), isResumed: true };
  const [id] = await trx('invoice_run').insert({
    as_of: run.asOf,
    requested_by: run.actor,
    started_at: sqlInstant(run.at),
    due_count: run.dueCount,
  });
  return {
    id: asId(id ?? ''),
    asOf: run.asOf,
    dueCount: run.dueCount,
    issuedCount: 0,
    parkedCount: 0,
    totalMinor: 0n,
    isFinished: false,
    isResumed: false,
  };
}

/** Counts what a batch did, in the batch's own transaction: the totals are true wherever the run is killed. */
export async function addToInvoiceRun(
  trx: Trx,
  id: InvoiceRunId,
  /** `done` counts subscriptions that were dealt with: invoiced, passed over or parked. */
  done: { done: number; issued: number; totalMinor: Minor },
): Promise<void> {
  await trx.raw(
    'UPDATE invoice_run SET done_count = done_count + ?, issued_count = issued_count + ?, total_minor = total_minor + CAST(? AS SIGNED) WHERE id = ?',
    [done.done, done.issued, done.totalMinor.toString(), id],
  );
}

/** False where it was finished before. */
export async function finishInvoiceRun(db: Db, id: InvoiceRunId, at: Date): Promise<boolean> {
  const finished = await db('invoice_run')
    .where({ id })
    .whereNull('finished_at')
    .update({ finished_at: sqlInstant(at) });
  return finished === 1;
}

export async function readInvoiceRun(db: Db, id: InvoiceRunId): Promise<InvoiceRun | undefined> {
  const row = await db('invoice_run').where({ id }).first<InvoiceRunRow | undefined>();
  return row === undefined ? undefined : asRun(row);
}

interface InvoiceRunRow {
  id: InvoiceRunId;
  as_of: Day;
  finished_at: string | null;
  due_count: number;
  issued_count: number;
  parked_count: number;
  total_minor: string;
}

function asRun(row: InvoiceRunRow): InvoiceRun {
  return {
    id: row.id,
    asOf: row.as_of,
    dueCount: row.due_count,
    issuedCount: row.issued_count,
    parkedCount: row.parked_count,
    totalMinor: BigInt(row.total_minor),
    isFinished: row.finished_at !== null,
  };
}

/** Sets subscriptions aside with the reason, and counts them; what an earlier run noted of them is settled. */
export async function parkForInvoicing(
  trx: Trx,
  runId: InvoiceRunId,
  parked: readonly { subscriptionId: SubscriptionId; reason: string }[],
  at: Date,
): Promise<void> {
  if (parked.length === 0) return;
  await trx('parked')
    .where({ run_kind: 'invoice' })
    .whereNull('settled_at')
    .whereNot({ run_id: runId })
    .whereIn(
      'subscription_id',
      parked.map((one) => one.subscriptionId),
    )
    .update({ settled_at: sqlInstant(at) });
  await parkSubscriptions(trx, parked, { kind: 'invoice', id: runId, at });
  const row = await trx('parked')
    .where({ run_kind: 'invoice', run_id: runId })
    .whereNull('settled_at')
    .first<{ n: string }>(trx.raw('COUNT(*) AS n'));
  await trx('invoice_run')
    .where({ id: runId })
    .update({ parked_count: Number(row.n) });
}

export interface ParkedSubscription {
  readonly subscriptionId: SubscriptionId;
  readonly subscriberId: SubscriberId;
  readonly subscriberName: string;
  readonly reason: string;
  readonly runId: InvoiceRunId;
}

/** What the invoice run set aside and nobody has put right yet, latest first. */
export async function parkedForInvoicing(db: Db, limit: number): Promise<ParkedSubscription[]> {
  const rows = await db('parked as k')
    .join('subscription as n', 'n.id', 'k.subscription_id')
    .join('subscriber as c', 'c.id', 'n.subscriber_id')
    .where('k.run_kind', 'invoice')
    .whereNull('k.settled_at')
    .orderBy('k.id', 'desc')
    .limit(limit)
    .select<
      {
        subscription_id: SubscriptionId;
        subscriber_id: SubscriberId;
        name: string;
        reason: string;
        run_id: InvoiceRunId;
      }[]
    >('k.subscription_id', 'n.subscriber_id', 'c.name', 'k.reason', 'k.run_id');
  return rows.map((row) => ({
    subscriptionId: row.subscription_id,
    subscriberId: row.subscriber_id,
    subscriberName: row.name,
    reason: row.reason,
    runId: row.run_id,
  }));
}
