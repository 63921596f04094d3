import type { Knex } from 'knex';
import { addMonths, type Day } from '../domain/day.ts';
import type { InvoiceId, SubscriberId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import type { InvoiceState } from './invoices.ts';
import { byIndex, countUpTo, inOrder, type Place } from './keyset.ts';
import type { Db } from './knex.ts';
import { subscriberNames } from './subscriber-pick.ts';

/** What a list of invoices is narrowed to. */
export interface InvoiceFilter {
  /** `overdue`: open, and due before today. */
  readonly state?: InvoiceState | 'overdue';
  readonly today: Day;
  /** First day of a month: invoices whose period begins in it. */
  readonly month?: Day;
  readonly number?: { series: string; number: string };
  readonly subscriberIds?: readonly SubscriberId[];
}

export interface InvoiceSummary {
  readonly id: InvoiceId;
  readonly name: string;
  readonly subscriberId: SubscriberId;
  readonly subscriberName: string;
  readonly periodStart: Day;
  readonly periodEnd: Day;
  readonly issuedOn: Day;
  readonly dueOn: Day;
  readonly currency: string;
  readonly totalMinor: Minor;
  readonly openMinor: Minor;
  readonly state: InvoiceState;
}

/** A page of invoices, the newest period first; the overdue ones by due day, the oldest first. */
export async function invoicePage(
  db: Db,
  filter: InvoiceFilter,
  place: Place | null,
  limit: number,
): Promise<InvoiceSummary[]> {
  const query = inOrder(db, invoicesOf(db, filter), orderOf(filter), place).limit(limit);
  const rows = await query.select<Row[]>(
    'id',
    'series',
    'number',
    'subscriber_id',
    'period_start',
    'period_end',
    'issued_on',
    'due_on',
    'currency',
    'total_minor',
    'open_minor',
    'state',
  );
  const names = await subscriberNames(
    db,
    rows.map((row) => row.subscriber_id),
  );
  return rows.map((row) => ({
    id: row.id,
    name: `${row.series}-${row.number}`,
    subscriberId: row.subscriber_id,
    subscriberName: names.get(row.subscriber_id) ?? '',
    periodStart: row.period_start,
    periodEnd: row.period_end,
    issuedOn: row.issued_on,
    dueOn: row.due_on,
    currency: row.currency,
    totalMinor: BigInt(row.total_minor),
    openMinor: BigInt(row.open_minor),
    state: row.state,
  }));
}

/** Where the row stands in the list's order. */
export function invoicePlace(filter: InvoiceFilter, row: InvoiceSummary): string[] {
  return isByDueDay(filter) ? [row.dueOn, row.subscriberId, row.id] : [row.periodStart, row.id];
}

/** How many there are, counted to one more than `max`. */
export async function countInvoices(db: Db, filter: InvoiceFilter, max: number): Promise<number> {
  return countUpTo(db, invoicesOf(db, filter), max);
}

function orderOf(filter: InvoiceFilter): { columns: readonly string[]; way: 'asc' | 'desc' } {
  return isByDueDay(filter)
    ? { columns: ['due_on', 'subscriber_id', 'id'], way: 'asc' }
    : { columns: ['period_start', 'id'], way: 'desc' };
}

function isByDueDay(filter: InvoiceFilter): boolean {
  return filter.state === 'overdue' && filter.month === undefined && filter.subscriberIds === undefined;
}

/** The index is named where the server could be tempted to sort a big part of the table instead. */
function invoicesOf(db: Db, filter: InvoiceFilter): Knex.QueryBuilder {
  const { state, month, number, subscriberIds } = filter;
  const query = byIndex(db, 'invoice', indexFor(filter));
  if (state !== undefined) void query.where('state', state === 'overdue' ? 'open' : state);
  if (state === 'overdue') void query.where('due_on', '<', filter.today);
  if (month !== undefined) {
    void query.where('period_start', '>=', month).where('period_start', '<', addMonths(month, 1));
  }
  if (number !== undefined) void query.where({ reseller_id: '1', ...number });
  if (subscriberIds !== undefined) void query.whereIn('subscriber_id', [...subscriberIds]);
  return query;
}

function indexFor(filter: InvoiceFilter): string {
  if (filter.number !== undefined) return 'invoice_number';
  if (filter.subscriberIds !== undefined) return 'invoice_subscriber';
  if (isByDueDay(filter)) return 'invoice_due';
  return filter.state === undefined ? 'invoice_period' : 'invoice_state';
}

interface Row {
  id: InvoiceId;
  series: string;
  number: string;
  subscriber_id: SubscriberId;
  period_start: Day;
  period_end: Day;
  issued_on: Day;
  due_on: Day;
  currency: string;
  total_minor: string;
  open_minor: string;
  state: InvoiceState;
}
