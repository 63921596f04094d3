import { expect } from 'chai';
import fc from 'fast-check';
import { parseDay } from '../../src/domain/day.ts';
import { type BillingFacts, decideInvoices, makeInvoice, splitCredit } from '../../src/domain/invoice.ts';
import { periodAt } from '../../src/domain/billing-cycle.ts';

const facts: BillingFacts = {
  anchorOn: parseDay('2026-01-31'),
  nextPeriod: 0,
  endedOn: null,
  packageName: 'Home 50',
  packagePriceMinor: 30_000n,
  priceOverrideMinor: null,
  taxName: 'VAT',
  dueDays: 10,
};
const rates = [
  { name: 'VAT', rateBp: 500, isInclusive: false, effectiveOn: parseDay('2020-01-01') },
  { name: 'VAT', rateBp: 750, isInclusive: false, effectiveOn: parseDay('2026-03-01') },
];
const run = (asOf: string, countMax = 12) => ({ asOf: parseDay(asOf), countMax });

describe('invoice', () => {
  it('decideInvoices, on the first day of a period, issues one that is due so many days later', () => {
    const decision = decideInvoices(facts, rates, run('2026-01-31'));
    if (!decision.ok) throw new Error(decision.problem);
    expect(decision.invoices).to.have.length(1);
    expect(decision.invoices[0]).to.include({
      issuedOn: '2026-01-31',
      dueOn: '2026-02-10',
      netMinor: 30_000n,
      taxMinor: 1_500n,
      totalMinor: 31_500n,
    });
    expect(decision.next).to.deep.equal(periodAt(facts.anchorOn, 1));
  });

  it('decideInvoices, after missed periods, dates none back and takes the rate of the day of issue', () => {
    const decision = decideInvoices(facts, rates, run('2026-03-31'));
    if (!decision.ok) throw new Error(decision.problem);
    expect(decision.invoices.map((one) => [one.period.start, one.issuedOn, one.dueOn])).to.deep.equal([
      ['2026-01-31', '2026-03-31', '2026-04-10'],
      ['2026-02-28', '2026-03-31', '2026-04-10'],
      ['2026-03-31', '2026-03-31', '2026-04-10'],
    ]);
    expect(decision.invoices.map((one) => one.lines[0]?.taxRateBp)).to.deep.equal([750, 750, 750]);
  });

  it("decideInvoices, with the subscription's own price, takes it, and zero is a price", () => {
    const own = (priceOverrideMinor: bigint) => {
      const decision = decideInvoices({ ...facts, priceOverrideMinor }, rates, run('2026-01-31'));
      return decision.ok ? decision.invoices[0]?.netMinor : decision.problem;
    };
    expect(own(9_900n)).to.equal(9_900n);
    expect(own(0n)).to.equal(0n);
    expect(own(-1n)).to.equal('price_is_negative');
  });

  it('decideInvoices, before its tax rate begins, names the problem instead of issuing without tax', () => {
    expect(decideInvoices({ ...facts, taxName: 'Duty' }, rates, run('2026-01-31'))).to.deep.equal({
      ok: false,
      problem: 'no_tax_rate_in_force',
    });
  });

  it('decideInvoices, of a package without tax, puts a line at 0 %', () => {
    const decision = decideInvoices({ ...facts, taxName: null }, rates, run('2026-01-31'));
    expect(decision.ok && decision.invoices[0]?.lines[0]).to.include({ taxName: 'none', taxRateBp: 0 });
  });

  it('decideInvoices, before the period begins, issues nothing', () => {
    const decision = decideInvoices(facts, rates, run('2026-01-30'));
    expect(decision.ok && decision.invoices).to.deep.equal([]);
  });

  it('makeInvoice, sums lines that were each rounded, and refuses none', () => {
    const line = {
      description: 'x',
      netMinor: 10n,
      taxMinor: 1n,
      totalMinor: 11n,
      taxName: 'VAT',
      taxRateBp: 500,
    };
    const period = periodAt(facts.anchorOn, 0);
    const two = makeInvoice({ period, issuedOn: period.start, dueDays: 0, lines: [line, line] });
    expect(two).to.include({ netMinor: 20n, taxMinor: 2n, totalMinor: 22n });
    expect(() => makeInvoice({ period, issuedOn: period.start, dueDays: 0, lines: [] })).to.throw(RangeError);
  });

  it('splitCredit, of notes that take back the whole, takes back exactly its tax', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: 10n ** 6n }),
        fc.bigInt({ min: 0n, max: 10n ** 5n }),
        fc.array(fc.bigInt({ min: 1n, max: 10n ** 5n }), { maxLength: 8 }),
        (netMinor, taxMinor, wanted) => {
          const invoice = { taxMinor, totalMinor: netMinor + taxMinor };
          let credited = 0n;
          let tax = 0n;
          let isSane = true;
          for (const amount of [...wanted, invoice.totalMinor]) {
            const left = invoice.totalMinor - credited;
            const part = amount < left ? amount : left;
            if (part === 0n) continue;
            const split = splitCredit(invoice, credited, part);
            isSane &&=
              split.netMinor >= 0n && split.taxMinor >= 0n && split.netMinor + split.taxMinor === part;
            credited += part;
            tax += split.taxMinor;
          }
          return isSane && tax === taxMinor;
        },
      ),
    );
    expect(() => splitCredit({ taxMinor: 5n, totalMinor: 105n }, 100n, 6n)).to.throw(RangeError);
  });
});
