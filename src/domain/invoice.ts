import { type Period, periodsBegun } from './billing-cycle.ts';
import { addDays, type Day } from './day.ts';
import { divideHalfUp, type Minor } from './money.ts';
import { noTax, rateInForce, type TaxedAmount, taxLine, type TaxRate } from './tax.ts';

/** What the invoice run knows of a subscription that may be due. */
export interface BillingFacts {
  readonly anchorOn: Day;
  /** Index of the first period that has no invoice yet. */
  readonly nextPeriod: number;
  readonly endedOn: Day | null;
  readonly packageName: string;
  readonly packagePriceMinor: Minor;
  readonly priceOverrideMinor: Minor | null;
  /** Name of the package's tax; null for what is not taxed. */
  readonly taxName: string | null;
  readonly dueDays: number;
}

export interface InvoiceLine extends TaxedAmount {
  readonly description: string;
}

export interface InvoiceDraft {
  readonly period: Period;
  readonly issuedOn: Day;
  readonly dueOn: Day;
  readonly lines: readonly InvoiceLine[];
  readonly netMinor: Minor;
  readonly taxMinor: Minor;
  readonly totalMinor: Minor;
}

export type InvoicingProblem = 'price_is_negative' | 'no_tax_rate_in_force';

export type InvoicingDecision =
  | { readonly ok: true; readonly invoices: readonly InvoiceDraft[]; readonly next: Period | undefined }
  | { readonly ok: false; readonly problem: InvoicingProblem };

/**
 * The invoices that a subscription is to get as of a day: one for each period that has begun and has none, at most
 * `countMax` at a time. Price and tax rate are those of the day of issue, also for a period that was missed: a document
 * is not dated back. `next` is the first period left without an invoice; undefined when nothing more is due.
 */
export function decideInvoices(
  facts: BillingFacts,
  rates: readonly TaxRate[],
  run: { asOf: Day; countMax: number },
): InvoicingDecision {
  const priceMinor = facts.priceOverrideMinor ?? facts.packagePriceMinor;
  if (priceMinor < 0n) return { ok: false, problem: 'price_is_negative' };
  const rate = facts.taxName === null ? noTax : rateInForce(rates, facts.taxName, run.asOf);
  if (rate === undefined) return { ok: false, problem: 'no_tax_rate_in_force' };
  const { periods, next } = periodsBegun(facts.anchorOn, facts.nextPeriod, {
    asOf: run.asOf,
    endedOn: facts.endedOn,
    countMax: run.countMax,
  });
  const invoices = periods.map((period) =>
    makeInvoice({
      period,
      issuedOn: run.asOf,
      dueDays: facts.dueDays,
      lines: [{ description: facts.packageName, ...taxLine(priceMinor, rate) }],
    }),
  );
  return { ok: true, invoices, next };
}

/** A document of lines: its totals are the sums of its lines, each of which was rounded by itself. */
export function makeInvoice(given: {
  period: Period;
  issuedOn: Day;
  dueDays: number;
  lines: readonly InvoiceLine[];
}): InvoiceDraft {
  if (given.lines.length === 0) throw new RangeError('an invoice has at least one line');
  const netMinor = given.lines.reduce((sum, line) => sum + line.netMinor, 0n);
  const taxMinor = given.lines.reduce((sum, line) => sum + line.taxMinor, 0n);
  return {
    period: given.period,
    issuedOn: given.issuedOn,
    dueOn: addDays(given.issuedOn, given.dueDays),
    lines: given.lines,
    netMinor,
    taxMinor,
    totalMinor: netMinor + taxMinor,
  };
}

/**
 * Net and tax of a credit note. Tax is counted on the whole that has been credited and not note by note, so that notes
 * which together take back the invoice take back exactly its tax. Throws RangeError beyond the invoice's total.
 */
export function splitCredit(
  invoice: { readonly taxMinor: Minor; readonly totalMinor: Minor },
  creditedBeforeMinor: Minor,
  amountMinor: Minor,
): { netMinor: Minor; taxMinor: Minor } {
  const after = creditedBeforeMinor + amountMinor;
  if (amountMinor <= 0n || after > invoice.totalMinor) {
    throw new RangeError('a credit note is more than nothing, and all of them at most the invoice');
  }
  const taxOn = (credited: Minor) => divideHalfUp(invoice.taxMinor * credited, invoice.totalMinor);
  const taxMinor = taxOn(after) - taxOn(creditedBeforeMinor);
  return { netMinor: amountMinor - taxMinor, taxMinor };
}
