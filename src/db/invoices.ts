import type { Day } from '../domain/day.ts';
import type { Id, InvoiceId, InvoiceRunId, PackageId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import type { InvoiceDraft } from '../domain/invoice.ts';
import type { Minor } from '../domain/money.ts';
import type { OpenInvoice } from '../domain/payment-allocation.ts';
import { chunksOf, type Db, type Trx } from './knex.ts';
import { known, type Money } from './ledger.ts';
import { updateEach } from './update-each.ts';

export type InvoiceState = 'open' | 'paid' | 'void' | 'written_off';
export type CreditNoteId = Id<'credit_note'>;

export interface Invoice extends OpenInvoice, Money {
  readonly series: string;
  readonly number: string;
  readonly subscriberId: SubscriberId;
  readonly subscriptionId: SubscriptionId;
  readonly periodStart: Day;
  /** First day after the period. */
  readonly periodEnd: Day;
  readonly netMinor: Minor;
  readonly taxMinor: Minor;
  readonly totalMinor: Minor;
  readonly state: InvoiceState;
}

export interface InvoiceLineRow {
  readonly description: string;
  readonly netMinor: Minor;
  readonly taxName: string;
  readonly taxRateBp: number;
  readonly taxMinor: Minor;
}

export async function readInvoice(db: Db, id: InvoiceId): Promise<Invoice | undefined> {
  const row = await db('invoice')
    .where({ id })
    .first<InvoiceRow | undefined>(...invoiceColumns);
  return row === undefined ? undefined : asInvoice(row);
}

/** What somebody wrote down: the id, or the number with or without its series (`INV-17`). */
export async function findInvoiceByNumber(
  db: Db,
  series: string,
  number: string,
): Promise<Invoice | undefined> {
  const row = await db('invoice')
    .where({ reseller_id: '1', series, number })
    .first<InvoiceRow | undefined>(...invoiceColumns);
  return row === undefined ? undefined : asInvoice(row);
}

export async function linesOf(db: Db, invoiceId: InvoiceId): Promise<InvoiceLineRow[]> {
  const rows = await db('invoice_line')
    .where({ invoice_id: invoiceId })
    .orderBy('line_no')
    .select<
      { description: string; net_minor: string; tax_name: string; tax_rate_bp: number; tax_minor: string }[]
    >('description', 'net_minor', 'tax_name', 'tax_rate_bp', 'tax_minor');
  return rows.map((row) => ({
    description: row.description,
    netMinor: BigInt(row.net_minor),
    taxName: row.tax_name,
    taxRateBp: row.tax_rate_bp,
    taxMinor: BigInt(row.tax_minor),
  }));
}

/** Invoices with something open, oldest due first. */
export async function openInvoicesOf(db: Db, subscriberIds: readonly SubscriberId[]): Promise<Invoice[]> {
  const invoices: Invoice[] = [];
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const rows = await db('invoice')
      .whereIn('subscriber_id', chunk)
      .where('state', 'open')
      .orderBy(['subscriber_id', 'due_on', 'issued_on', 'id'])
      .select<InvoiceRow[]>(...invoiceColumns);
    invoices.push(...rows.map(asInvoice));
  }
  return invoices;
}

export interface NewInvoice {
  readonly subscriberId: SubscriberId;
  readonly subscriptionId: SubscriptionId;
  readonly packageId: PackageId;
  readonly draft: InvoiceDraft;
}

/**
 * Inserts invoices with their lines, still without numbers: `giveNumbers` is the transaction's last act. Gives the id
 * of each, in the order given. One over nothing is born paid.
 */
export async function insertInvoices(
  trx: Trx,
  invoices: readonly NewInvoice[],
  given: { series: string; zone: string; money: Money; runId: InvoiceRunId | null },
): Promise<InvoiceId[]> {
  for (const chunk of chunksOf(invoices, 500)) {
    await trx('invoice').insert(chunk.map((invoice) => newInvoiceRow(invoice, given)));
  }
  const ids = await newIdsOf(trx, invoices);
  const ordered = invoices.map((invoice) =>
    known(ids, periodKey(invoice.subscriptionId, invoice.draft.period.start)),
  );
  const lines = invoices.flatMap((invoice, index) =>
    invoice.draft.lines.map((line, lineIndex) => ({
      invoice_id: ordered[index],
      line_no: lineIndex + 1,
      description: line.description,
      package_id: invoice.packageId,
      net_minor: line.netMinor.toString(),
      tax_name: line.taxName,
      tax_rate_bp: line.taxRateBp,
      tax_minor: line.taxMinor.toString(),
    })),
  );
  for (const chunk of chunksOf(lines, 500)) await trx('invoice_line').insert(chunk);
  return ordered;
}

function newInvoiceRow(
  invoice: NewInvoice,
  given: { series: string; zone: string; money: Money; runId: InvoiceRunId | null },
): Record<string, unknown> {
  const { draft } = invoice;
  return {
    series: given.series,
    subscriber_id: invoice.subscriberId,
    subscription_id: invoice.subscriptionId,
    period_start: draft.period.start,
    period_end: draft.period.end,
    zone: given.zone,
    issued_on: draft.issuedOn,
    due_on: draft.dueOn,
    currency: given.money.currency,
    exponent: given.money.exponent,
    net_minor: draft.netMinor.toString(),
    tax_minor: draft.taxMinor.toString(),
    total_minor: draft.totalMinor.toString(),
    open_minor: draft.totalMinor.toString(),
    state: draft.totalMinor === 0n ? 'paid' : 'open',
    run_id: given.runId,
  };
}

async function newIdsOf(trx: Trx, invoices: readonly NewInvoice[]): Promise<Map<string, InvoiceId>> {
  const ids = new Map<string, InvoiceId>();
  for (const chunk of chunksOf(invoices, 500)) {
    const rows = await livePeriodsFrom(trx, chunk)
      .whereNull('number')
      .select<PeriodRow[]>('id', 'subscription_id', 'period_start');
    for (const row of rows) ids.set(periodKey(row.subscription_id, row.period_start), row.id);
  }
  return ids;
}

/** Which of these (subscription, period) have an invoice already that is not void. */
export async function invoicedPeriods(trx: Trx, invoices: readonly NewInvoice[]): Promise<Set<string>> {
  const keys = new Set<string>();
  for (const chunk of chunksOf(invoices, 500)) {
    const rows = await livePeriodsFrom(trx, chunk).select<PeriodRow[]>(
      'id',
      'subscription_id',
      'period_start',
    );
    for (const row of rows) keys.add(periodKey(row.subscription_id, row.period_start));
  }
  return keys;
}

export function periodKey(subscriptionId: SubscriptionId, periodStart: Day): string {
  return `${subscriptionId}/${periodStart}`;
}

interface PeriodRow {
  id: InvoiceId;
  subscription_id: SubscriptionId;
  period_start: Day;
}

/** Not before the earliest period asked for, so that years of old invoices are not read. */
function livePeriodsFrom(trx: Trx, invoices: readonly NewInvoice[]) {
  const starts = invoices.map((invoice) => invoice.draft.period.start).sort();
  return trx('invoice')
    .whereIn('subscription_id', [...new Set(invoices.map((invoice) => invoice.subscriptionId))])
    .where('live_period', '>=', starts[0] ?? '');
}

/**
 * Adds to what is open of some invoices (a negative amount pays) and lets their state follow. The database itself
 * refuses less than nothing and more than the total.
 */
export async function changeOpen(
  trx: Trx,
  changes: readonly { invoiceId: InvoiceId; byMinor: Minor }[],
): Promise<void> {
  const total = new Map<InvoiceId, Minor>();
  for (const change of changes) {
    total.set(change.invoiceId, (total.get(change.invoiceId) ?? 0n) + change.byMinor);
  }
  await updateEach(trx, 'invoice', new Map([...total].map(([id, by]) => [id, { open_minor: by }])), 'add');
  for (const ids of chunksOf([...total.keys()], 500)) {
    await trx('invoice').whereIn('id', ids).where({ state: 'open', open_minor: 0 }).update({ state: 'paid' });
    await trx('invoice')
      .whereIn('id', ids)
      .whereIn('state', ['paid', 'written_off'])
      .where('open_minor', '>', 0)
      .update({ state: 'open' });
  }
}

/** An invoice that is given up or made void owes nothing any more; its number stays used. */
export async function closeInvoice(trx: Trx, id: InvoiceId, state: 'void' | 'written_off'): Promise<void> {
  await trx('invoice').where({ id }).update({ state, open_minor: 0 });
}

export async function creditedMinor(db: Db, invoiceId: InvoiceId): Promise<Minor> {
  const row = await db('credit_note')
    .where({ invoice_id: invoiceId })
    .first<{ sum: string | null }>(db.raw('SUM(total_minor) AS sum'));
  return BigInt(row.sum ?? 0);
}

export interface CreditNote {
  readonly id: CreditNoteId;
  readonly series: string;
  readonly number: string;
  readonly invoiceId: InvoiceId;
  readonly subscriberId: SubscriberId;
  readonly issuedOn: Day;
  readonly netMinor: Minor;
  readonly taxMinor: Minor;
  readonly totalMinor: Minor;
  readonly note: string;
}

/** Inserts a credit note without its number, as invoices are inserted. */
export async function insertCreditNote(
  trx: Trx,
  note: Omit<CreditNote, 'id' | 'number'> & { onceKey: string; money: Money },
): Promise<CreditNoteId> {
  await trx('credit_note').insert({
    series: note.series,
    invoice_id: note.invoiceId,
    subscriber_id: note.subscriberId,
    issued_on: note.issuedOn,
    currency: note.money.currency,
    exponent: note.money.exponent,
    net_minor: note.netMinor.toString(),
    tax_minor: note.taxMinor.toString(),
    total_minor: note.totalMinor.toString(),
    note: note.note,
    once_key: note.onceKey,
  });
  const row = await trx('credit_note').where({ once_key: note.onceKey }).first<{ id: CreditNoteId }>('id');
  return row.id;
}

export async function findCreditNote(db: Db, onceKey: string): Promise<CreditNote | undefined> {
  const row = await db('credit_note').where({ once_key: onceKey }).first<CreditNoteRow | undefined>();
  if (row === undefined) return undefined;
  return {
    id: row.id,
    series: row.series,
    number: row.number,
    invoiceId: row.invoice_id,
    subscriberId: row.subscriber_id,
    issuedOn: row.issued_on,
    netMinor: BigInt(row.net_minor),
    taxMinor: BigInt(row.tax_minor),
    totalMinor: BigInt(row.total_minor),
    note: row.note,
  };
}

interface CreditNoteRow {
  id: CreditNoteId;
  series: string;
  number: string;
  invoice_id: InvoiceId;
  subscriber_id: SubscriberId;
  issued_on: Day;
  net_minor: string;
  tax_minor: string;
  total_minor: string;
  note: string;
}

const invoiceColumns = [
  'id',
  'series',
  'number',
  'subscriber_id',
  'subscription_id',
  'period_start',
  'period_end',
  'issued_on',
  'due_on',
  'currency',
  'exponent',
  'net_minor',
  'tax_minor',
  'total_minor',
  'open_minor',
  'state',
] as const;

interface InvoiceRow {
  id: InvoiceId;
  series: string;
  number: string;
  subscriber_id: SubscriberId;
  subscription_id: SubscriptionId;
  period_start: Day;
  period_end: Day;
  issued_on: Day;
  due_on: Day;
  currency: string;
  exponent: number;
  net_minor: string;
  tax_minor: string;
  total_minor: string;
  open_minor: string;
  state: InvoiceState;
}

function asInvoice(row: InvoiceRow): Invoice {
  return {
    id: row.id,
    series: row.series,
    number: row.number,
    subscriberId: row.subscriber_id,
    subscriptionId: row.subscription_id,
    periodStart: row.period_start,
    periodEnd: row.period_end,
    issuedOn: row.issued_on,
    dueOn: row.due_on,
    currency: row.currency,
    exponent: row.exponent,
    netMinor: BigInt(row.net_minor),
    taxMinor: BigInt(row.tax_minor),
    totalMinor: BigInt(row.total_minor),
    openMinor: BigInt(row.open_minor),
    state: row.state,
  };
}
