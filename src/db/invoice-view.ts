import type { Day } from '../domain/day.ts';
import type { InvoiceId, PaymentId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import type { AllocationSource } from './allocations.ts';
import { type Db, fromSqlInstant } from './knex.ts';

/** Reads for the page of one invoice: what was set against it, taken back, and posted. */

export interface AllocationView {
  readonly id: string;
  readonly invoiceId: InvoiceId;
  readonly invoiceName: string;
  readonly source: AllocationSource;
  readonly amountMinor: Minor;
  readonly at: Date;
  readonly reversedAt: Date | null;
  readonly payment: { id: PaymentId; channel: string; reference: string } | null;
  readonly creditNote: string | null;
}

/** Oldest first, with those that were taken back. At most a thousand. */
export async function allocationViews(
  db: Db,
  of: { invoiceId: InvoiceId } | { paymentId: PaymentId },
): Promise<AllocationView[]> {
  const rows = await db('allocation as a')
    .join('invoice as i', 'i.id', 'a.invoice_id')
    .leftJoin('payment as p', 'p.id', 'a.payment_id')
    .leftJoin('credit_note as c', 'c.id', 'a.credit_note_id')
    .where('invoiceId' in of ? { 'a.invoice_id': of.invoiceId } : { 'a.payment_id': of.paymentId })
    .orderBy('a.id')
    .limit(1000)
    .select<Record<string, string | null>[]>({
      id: 'a.id',
      invoice_id: 'a.invoice_id',
      series: 'i.series',
      number: 'i.number',
      source: 'a.source',
      amount_minor: 'a.amount_minor',
      at: 'a.allocated_at',
      reversed_at: 'a.reversed_at',
      payment_id: 'a.payment_id',
      channel: 'p.channel',
      reference: 'p.reference',
      note_series: 'c.series',
      note_number: 'c.number',
    });
  return (rows as Record<string, string | null>[]).map((row) => ({
    id: row['id'] ?? '',
    invoiceId: row['invoice_id'] as InvoiceId,
    invoiceName: `${row['series'] ?? ''}-${row['number'] ?? ''}`,
    source: row['source'] as AllocationSource,
    amountMinor: BigInt(row['amount_minor'] ?? '0'),
    at: fromSqlInstant(row['at'] ?? ''),
    reversedAt: row['reversed_at'] == null ? null : fromSqlInstant(row['reversed_at']),
    payment:
      row['payment_id'] == null
        ? null
        : {
            id: row['payment_id'] as PaymentId,
            channel: row['channel'] ?? '',
            reference: row['reference'] ?? '',
          },
    creditNote: row['note_number'] == null ? null : `${row['note_series'] ?? ''}-${row['note_number']}`,
  }));
}

export interface CreditNoteView {
  readonly id: string;
  readonly name: string;
  readonly issuedOn: Day;
  readonly netMinor: Minor;
  readonly taxMinor: Minor;
  readonly totalMinor: Minor;
  readonly note: string;
}

export async function creditNoteViews(db: Db, invoiceId: InvoiceId): Promise<CreditNoteView[]> {
  const rows = await db('credit_note')
    .where({ invoice_id: invoiceId })
    .orderBy('id')
    .limit(1000)
    .select<Record<string, string>[]>(
      'id',
      'series',
      'number',
      'issued_on',
      'net_minor',
      'tax_minor',
      'total_minor',
      'note',
    );
  return rows.map((row) => ({
    id: row['id'] ?? '',
    name: `${row['series'] ?? ''}-${row['number'] ?? ''}`,
    issuedOn: row['issued_on'] as Day,
    netMinor: BigInt(row['net_minor'] ?? 0),
    taxMinor: BigInt(row['tax_minor'] ?? 0),
    totalMinor: BigInt(row['total_minor'] ?? 0),
    note: row['note'] ?? '',
  }));
}

/** The once-keys under which everything about one invoice or payment was posted. */
export function onceKeysOf(parts: {
  invoiceId?: InvoiceId;
  paymentId?: PaymentId;
  creditNoteIds?: readonly string[];
  /** Of wallet uses and write-offs, whose allocation has the key of its entry. */
  allocationKeys?: readonly string[];
}): string[] {
  const { invoiceId, paymentId, creditNoteIds = [], allocationKeys = [] } = parts;
  return [
    ...(invoiceId === undefined ? [] : [`invoice:${invoiceId}`, `invoice:${invoiceId}:void`]),
    ...(paymentId === undefined ? [] : [`payment:${paymentId}`, `payment:${paymentId}:reversal`]),
    ...creditNoteIds.map((id) => `credit_note:${id}`),
    ...allocationKeys.flatMap((key) => [key, `${key}:reversal`]),
  ];
}

/** The keys of the entries that moved the wallet or gave up a debt for this invoice. */
export async function entryKeysOfInvoice(db: Db, invoiceId: InvoiceId): Promise<string[]> {
  return db('allocation')
    .where({ invoice_id: invoiceId })
    .whereIn('source', ['wallet', 'write_off'])
    .orderBy('id')
    .limit(1000)
    .pluck<string[]>('once_key');
}
