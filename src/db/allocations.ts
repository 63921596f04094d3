import type { Id, InvoiceId, PaymentId, SubscriberId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import { changeOpen, type CreditNoteId } from './invoices.ts';
import { chunksOf, type Db, sqlInstant, type Trx } from './knex.ts';

export type AllocationId = Id<'allocation'>;
export type AllocationSource = 'payment' | 'wallet' | 'credit_note' | 'write_off';

export interface NewAllocation {
  readonly invoiceId: InvoiceId;
  readonly source: AllocationSource;
  readonly amountMinor: Minor;
  readonly onceKey: string;
  readonly paymentId?: PaymentId;
  readonly creditNoteId?: CreditNoteId;
}

export interface Allocation {
  readonly id: AllocationId;
  readonly invoiceId: InvoiceId;
  readonly source: AllocationSource;
  readonly amountMinor: Minor;
  readonly onceKey: string;
}

/** Sets money against invoices: writes the allocations down and lowers what is open. */
export async function insertAllocations(
  trx: Trx,
  allocations: readonly NewAllocation[],
  at: Date,
): Promise<void> {
  if (allocations.length === 0) return;
  for (const chunk of chunksOf(allocations, 500)) {
    await trx('allocation').insert(
      chunk.map((allocation) => ({
        invoice_id: allocation.invoiceId,
        payment_id: allocation.paymentId ?? null,
        credit_note_id: allocation.creditNoteId ?? null,
        source: allocation.source,
        once_key: allocation.onceKey,
        amount_minor: allocation.amountMinor.toString(),
        allocated_at: sqlInstant(at),
      })),
    );
  }
  await changeOpen(
    trx,
    allocations.map(({ invoiceId, amountMinor }) => ({ invoiceId, byMinor: -amountMinor })),
  );
}

/** Takes allocations back: their rows stay, marked, and the invoices are open again by as much. */
export async function reverseAllocations(
  trx: Trx,
  allocations: readonly Allocation[],
  at: Date,
): Promise<void> {
  if (allocations.length === 0) return;
  for (const chunk of chunksOf(allocations, 500)) {
    await trx('allocation')
      .whereIn(
        'id',
        chunk.map((allocation) => allocation.id),
      )
      .update({ reversed_at: sqlInstant(at) });
  }
  await changeOpen(
    trx,
    allocations.map(({ invoiceId, amountMinor }) => ({ invoiceId, byMinor: amountMinor })),
  );
}

export async function allocationsOfPayment(db: Db, paymentId: PaymentId): Promise<Allocation[]> {
  const rows = await allocationRows(db)
    .where('a.payment_id', paymentId)
    .whereNull('a.reversed_at')
    .orderBy('a.id');
  return rows.map(asAllocation);
}

/** What one reversal took back. */
export async function allocationsReversedAt(
  db: Db,
  subscriberId: SubscriberId,
  at: Date,
): Promise<Allocation[]> {
  const rows = await allocationRows(db)
    .join('invoice as i', 'i.id', 'a.invoice_id')
    .where('i.subscriber_id', subscriberId)
    .where('a.reversed_at', sqlInstant(at))
    .orderBy('a.id');
  return rows.map(asAllocation);
}

export async function liveAllocationsOfInvoice(db: Db, invoiceId: InvoiceId): Promise<Allocation[]> {
  const rows = await allocationRows(db).where('a.invoice_id', invoiceId).whereNull('a.reversed_at');
  return rows.map(asAllocation);
}

/** What the wallet paid and still pays, the latest first. */
export async function liveWalletUsesOf(db: Db, subscriberId: SubscriberId): Promise<Allocation[]> {
  const rows = await allocationRows(db)
    .join('invoice as i', 'i.id', 'a.invoice_id')
    .where('i.subscriber_id', subscriberId)
    .where('a.source', 'wallet')
    .whereNull('a.reversed_at')
    .orderBy([
      { column: 'a.allocated_at', order: 'desc' },
      { column: 'a.id', order: 'desc' },
    ]);
  return rows.map(asAllocation);
}

function allocationRows(db: Db) {
  return db('allocation as a').select<AllocationRow[]>(
    'a.id',
    'a.invoice_id',
    'a.source',
    'a.amount_minor',
    'a.once_key',
  );
}

interface AllocationRow {
  id: AllocationId;
  invoice_id: InvoiceId;
  source: AllocationSource;
  amount_minor: string;
  once_key: string;
}

function asAllocation(row: AllocationRow): Allocation {
  return {
    id: row.id,
    invoiceId: row.invoice_id,
    source: row.source,
    amountMinor: BigInt(row.amount_minor),
    onceKey: row.once_key,
  };
}
