import type { Day } from './day.ts';
import type { InvoiceId } from './ids.ts';
import type { Minor } from './money.ts';

export interface OpenInvoice {
  readonly id: InvoiceId;
  readonly dueOn: Day;
  readonly issuedOn: Day;
  readonly openMinor: Minor;
}

export interface AllocatedPart {
  readonly invoiceId: InvoiceId;
  readonly amountMinor: Minor;
}

/**
 * Sets money against open invoices: oldest due first, then by issue day, then by id. What no invoice takes is the rest,
 * for the wallet. The parts never exceed the money, nor any of them its invoice. Throws RangeError for negative money.
 */
export function allocate(
  amountMinor: Minor,
  invoices: readonly OpenInvoice[],
): { allocations: AllocatedPart[]; restMinor: Minor } {
  if (amountMinor < 0n) throw new RangeError('money that is set against invoices is not negative');
  let restMinor = amountMinor;
  const allocations: AllocatedPart[] = [];
  for (const invoice of [...invoices].sort(oldestFirst)) {
    const part = invoice.openMinor < restMinor ? invoice.openMinor : restMinor;
    if (part <= 0n) continue;
    allocations.push({ invoiceId: invoice.id, amountMinor: part });
    restMinor -= part;
  }
  return { allocations, restMinor };
}

function oldestFirst(a: OpenInvoice, b: OpenInvoice): number {
  return compareText(a.dueOn, b.dueOn) || compareText(a.issuedOn, b.issuedOn) || compareIds(a.id, b.id);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Ids are decimal text without leading zeros: the longer one is the larger one. */
export function compareIds(a: string, b: string): number {
  return a.length - b.length || compareText(a, b);
}
