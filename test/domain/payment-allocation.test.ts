import { expect } from 'chai';
import fc from 'fast-check';
import { parseDay } from '../../src/domain/day.ts';
import type { InvoiceId } from '../../src/domain/ids.ts';
import { allocate, compareIds, type OpenInvoice } from '../../src/domain/payment-allocation.ts';

const invoice = (id: string, dueOn: string, issuedOn: string, openMinor: bigint): OpenInvoice => ({
  id: id as InvoiceId,
  dueOn: parseDay(dueOn),
  issuedOn: parseDay(issuedOn),
  openMinor,
});

describe('allocate', () => {
  it('goes to the oldest due first, then by issue day, then by id as a number', () => {
    const { allocations } = allocate(1_000n, [
      invoice('10', '2026-02-10', '2026-02-01', 1n),
      invoice('9', '2026-02-10', '2026-02-01', 1n),
      invoice('1', '2026-03-10', '2026-01-01', 1n),
      invoice('11', '2026-02-10', '2026-01-31', 1n),
    ]);
    expect(allocations.map((part) => part.invoiceId)).to.deep.equal(['11', '9', '10', '1']);
  });

  it('a partial payment, fills the oldest and gives the next its part', () => {
    expect(
      allocate(150n, [
        invoice('2', '2026-03-10', '2026-03-01', 100n),
        invoice('1', '2026-02-10', '2026-02-01', 100n),
      ]),
    ).to.deep.equal({
      allocations: [
        { invoiceId: '1', amountMinor: 100n },
        { invoiceId: '2', amountMinor: 50n },
      ],
      restMinor: 0n,
    });
  });

  it('what no invoice takes, is the rest', () => {
    expect(allocate(150n, [invoice('1', '2026-02-10', '2026-02-01', 100n)]).restMinor).to.equal(50n);
    expect(allocate(150n, [])).to.deep.equal({ allocations: [], restMinor: 150n });
    expect(allocate(150n, [invoice('1', '2026-02-10', '2026-02-01', 0n)]).allocations).to.deep.equal([]);
  });

  it('never gives out more than the money, nor an invoice more than is open, nor a part of nothing', () => {
    const invoices = fc.array(
      fc.record({
        id: fc.integer({ min: 1, max: 10_000 }).map((id) => String(id) as InvoiceId),
        dueOn: fc.constantFrom('2026-01-10', '2026-02-10', '2026-03-10').map(parseDay),
        issuedOn: fc.constantFrom('2026-01-01', '2026-01-02').map(parseDay),
        openMinor: fc.bigInt({ min: 0n, max: 100_000n }),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 500_000n }), invoices, (amount, list) => {
        const open = list.filter((one, at) => list.findIndex((other) => other.id === one.id) === at);
        const { allocations, restMinor } = allocate(amount, open);
        const given = allocations.reduce((sum, part) => sum + part.amountMinor, 0n);
        const owed = open.reduce((sum, one) => sum + one.openMinor, 0n);
        return (
          given + restMinor === amount &&
          given === (amount < owed ? amount : owed) &&
          allocations.every((part) => {
            const size = open.find((one) => one.id === part.invoiceId)?.openMinor ?? -1n;
            return part.amountMinor > 0n && part.amountMinor <= size;
          })
        );
      }),
    );
  });

  it('given negative money, throws', () => {
    expect(() => allocate(-1n, [])).to.throw(RangeError);
  });

  it('compareIds, orders as numbers do', () => {
    expect(['10', '9', '100', '1'].sort(compareIds)).to.deep.equal(['1', '9', '10', '100']);
  });
});
