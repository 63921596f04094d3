import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { creditInvoice, voidInvoice, writeOffInvoice } from '../../src/billing/invoices.ts';
import { recordPayment, reversePayment } from '../../src/billing/payments.ts';
import { openInvoicesOf } from '../../src/db/invoices.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { InvoiceId } from '../../src/domain/ids.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aPayer, insertPayers, invoiceOn } from './support.ts';

/** The order of statements is a promise: it is what keeps parallel work from deadlocks and from waiting in a line. */
describe('the order of a money transaction', () => {
  let t: TestDb;
  let ctx: TestContext;
  before(async () => {
    t = await testDb();
    ctx = testContext(t.db);
  });
  after(() => t.drop());

  /** The statements of each transaction that `work` made, without BEGIN and COMMIT. */
  const transactionsOf = async (work: () => Promise<unknown>): Promise<string[][]> => {
    const byTransaction = new Map<string, string[]>();
    const listen = (query: { sql: string; __knexTxId?: string }) => {
      if (query.__knexTxId === undefined || /^(BEGIN|COMMIT|ROLLBACK|SET )/.test(query.sql)) return;
      byTransaction.set(query.__knexTxId, [...(byTransaction.get(query.__knexTxId) ?? []), query.sql]);
    };
    t.db.on('query', listen);
    await work();
    t.db.removeListener('query', listen);
    return [...byTransaction.values()];
  };

  it("every command on money, first writes its subscriber's version", async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2025-12-01' });
    await invoiceOn(ctx, '2026-03-01');
    const open = await openInvoicesOf(t.db, [subscriberId]);
    const invoice = (n: number): InvoiceId => open[n]?.id ?? ('0' as InvoiceId);
    const payment = { subscriberId, channel: 'cash', reference: 'order', amountMinor: 100n } as const;
    const { payment: paid } = await recordPayment(ctx, { ...payment, reference: 'order-0' });
    const commands: Record<string, () => Promise<unknown>> = {
      recordPayment: () => recordPayment(ctx, payment),
      'recordPayment again': () => recordPayment(ctx, payment),
      reversePayment: () => reversePayment(ctx, { paymentId: paid.id, note: 'x' }),
      creditInvoice: () => creditInvoice(ctx, { invoiceId: invoice(1), amountMinor: 1n, note: 'x' }),
      voidInvoice: () => voidInvoice(ctx, { invoiceId: invoice(2), note: 'x' }),
      writeOffInvoice: () => writeOffInvoice(ctx, { invoiceId: invoice(3), note: 'x' }),
    };
    for (const [name, command] of Object.entries(commands)) {
      const transactions = await transactionsOf(command);
      expect(transactions, name).to.have.length(1);
      expect(transactions[0]?.[0], name).to.match(/^UPDATE subscriber .*SET version = version \+ 1/);
    }
  });

  it('the counter of numbers, is locked last: after it only numbers are written', async () => {
    await insertPayers(t.db, 600);
    ctx.clock.set('2026-03-01T10:00:00Z');
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2025-12-01' });
    const run = await transactionsOf(() => applyInvoiceRun(ctx, { asOf: parseDay('2026-03-01') }));
    const [first] = await openInvoicesOf(t.db, [subscriberId]);
    const credit = await transactionsOf(() =>
      creditInvoice(ctx, { invoiceId: first?.id ?? ('0' as InvoiceId), amountMinor: 1n, note: 'x' }),
    );
    const issuing = [...run, ...credit].filter((statements) =>
      statements.some((sql) => /insert into `document_counter`/.test(sql)),
    );
    expect(issuing).to.have.length(3);
    for (const statements of issuing) {
      const counterAt = statements.findIndex((sql) => /insert into `document_counter`/.test(sql));
      const later = statements.slice(counterAt + 1).filter((sql) => !/^select /i.test(sql));
      expect(later).to.have.length.greaterThan(0);
      for (const sql of later) expect(sql).to.match(/^UPDATE `(invoice|credit_note)` .*SET `number` = /);
    }
  });
});
