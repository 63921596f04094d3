import { expect } from 'chai';
import { creditInvoice } from '../../src/billing/invoices.ts';
import { recordPayment, reversePayment } from '../../src/billing/payments.ts';
import { documentsOf } from '../../src/db/documents.ts';
import { openInvoicesOf } from '../../src/db/invoices.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import { aPackage, aTaxRate, testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aPayer, balanceOf, clearTables, expectSound, house, invoiceOn, openOf } from './support.ts';

/** Dated stories: the clock is moved by hand, and at the end the ledger and the subscriber's page say the same. */
describe('stories of money', () => {
  let t: TestDb;
  let ctx: TestContext;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());
  beforeEach(async () => {
    await clearTables(t.db);
    ctx = testContext(t.db);
  });
  afterEach(() => expectSound(ctx));

  const payOn = async (day: string, subscriberId: SubscriberId, amountMinor: bigint) => {
    ctx.clock.set(`${day}T15:00:00Z`);
    const result = await recordPayment(ctx, {
      subscriberId,
      channel: 'bank',
      reference: `transfer of ${day}`,
      amountMinor,
    });
    if (!result.ok) throw new Error(result.reason);
    return result.payment;
  };

  it('Amina, born on the 31st, pays in parts and ahead, is credited an outage, and a transfer is called back', async () => {
    const taxRateId = await aTaxRate(t.db, { name: 'VAT', rateBp: 500 });
    const packageId = await aPackage(t.db, { name: 'Home 50', priceMinor: 100_000n, taxRateId });
    const { subscriberId } = await aPayer(t.db, { packageId, anchorOn: '2026-01-31' });

    // 31 January: the first invoice, 1050.00, due on 10 February. She brings 400.00 and then the rest with 200.00 on top.
    await invoiceOn(ctx, '2026-01-31');
    await payOn('2026-02-05', subscriberId, 40_000n);
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-02-10', 65_000n]]);
    await payOn('2026-02-09', subscriberId, 85_000n);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 20_000n });

    // 28 February: the second, and the wallet pays its 200.00 at once.
    await invoiceOn(ctx, '2026-02-28');
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-03-10', 85_000n]]);

    // 3 March: two days without service are credited on the first invoice, which is paid: it goes on to the second.
    ctx.clock.set('2026-03-03T09:00:00Z');
    const first = (await documentsOf(t.db, subscriberId, { limit: 10 })).find(
      (line) => line.name === 'INV-1',
    );
    await creditInvoice(ctx, {
      invoiceId: (first?.id ?? '') as never,
      amountMinor: 7_000n,
      note: 'two days without service',
    });
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-03-10', 78_000n]]);

    // 9 March: she pays; on 20 March the bank calls the transfer back, and the debt stands as it stood.
    const transfer = await payOn('2026-03-09', subscriberId, 78_000n);
    expect(await openOf(t.db, subscriberId)).to.deep.equal([]);
    ctx.clock.set('2026-03-20T09:00:00Z');
    await reversePayment(ctx, { paymentId: transfer.id, note: 'called back' });
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-03-10', 78_000n]]);

    // 31 March: the anchor's own day again.
    await invoiceOn(ctx, '2026-03-31');
    const lines = await documentsOf(t.db, subscriberId, { limit: 20 });
    expect(lines.map((line) => [line.on, line.name, line.amountMinor, line.state])).to.deep.equal([
      ['2026-03-31', 'INV-3', 105_000n, 'open'],
      ['2026-03-09', 'bank transfer of 2026-03-09', -78_000n, 'reversed'],
      ['2026-03-03', 'INV-CN-1', -7_000n, 'issued'],
      ['2026-02-28', 'INV-2', 105_000n, 'open'],
      ['2026-02-09', 'bank transfer of 2026-02-09', -85_000n, 'received'],
      ['2026-02-05', 'bank transfer of 2026-02-05', -40_000n, 'received'],
      ['2026-01-31', 'INV-1', 105_000n, 'paid'],
    ]);
    const owed = lines
      .filter((line) => line.state !== 'reversed')
      .reduce((sum, line) => sum + line.amountMinor, 0n);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed, wallet: 0n });
    expect(await house(t.db)).to.deep.equal({
      bank: 125_000n,
      revenue_internet: -300_000n + 6_667n,
      tax_payable: -15_000n + 333n,
    });
  });

  it('documentsOf, page by page, gives each line once and in the same order', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2025-06-01' });
    for (const day of ['2026-03-01', '2026-03-02', '2026-04-01']) {
      await invoiceOn(ctx, day);
      await payOn(day, subscriberId, 12_345n);
    }
    const all = await documentsOf(t.db, subscriberId, { limit: 100 });
    expect(all).to.have.length(14);
    const paged = [];
    for (;;) {
      const last = paged.at(-1);
      const page = await documentsOf(t.db, subscriberId, {
        limit: 4,
        ...(last === undefined ? {} : { before: last }),
      });
      if (page.length === 0) break;
      paged.push(...page);
    }
    expect(paged).to.deep.equal(all);
  });

  it('a year of months paid by the wallet alone, leaves nothing open and nothing over', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2025-05-31' });
    await payOn('2025-05-20', subscriberId, 12n * 30_000n);
    for (let month = 0; month < 12; month++) {
      const due = await t
        .db('subscription')
        .where({ subscriber_id: subscriberId })
        .pluck<string[]>('next_invoice_on');
      await invoiceOn(ctx, due[0] ?? '');
      expect(await openInvoicesOf(t.db, [subscriberId])).to.deep.equal([]);
    }
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 0n });
    expect(await t.db('invoice').where({ subscriber_id: subscriberId, state: 'paid' })).to.have.length(12);
  });
});
