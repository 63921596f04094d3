import { expect } from 'chai';
import { creditInvoice, voidInvoice, writeOffInvoice } from '../../src/billing/invoices.ts';
import { recordPayment, reversePayment } from '../../src/billing/payments.ts';
import { openInvoicesOf } from '../../src/db/invoices.ts';
import { openSuspensions } from '../../src/db/suspensions.ts';
import type { InvoiceId, SubscriberId } from '../../src/domain/ids.ts';
import type { AppError } from '../../src/errors.ts';
import { aPackage, aTaxRate, testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aPayer, balanceOf, expectSound, house, invoiceOn, losingCommits, openOf, rowOf } from './support.ts';

describe('invoices', () => {
  let t: TestDb;
  let ctx: TestContext;
  let taxed: string;
  before(async () => {
    t = await testDb();
    ctx = testContext(t.db);
    taxed = await aPackage(t.db, { priceMinor: 1_000n, taxRateId: await aTaxRate(t.db, { rateBp: 750 }) });
  });
  after(() => t.drop());
  afterEach(() => expectSound(ctx));

  const firstOpen = async (subscriberId: SubscriberId) => {
    const [invoice] = await openInvoicesOf(t.db, [subscriberId]);
    if (invoice === undefined) throw new Error('nothing open');
    return invoice;
  };
  const pay = (subscriberId: SubscriberId, reference: string, amountMinor: bigint) =>
    recordPayment(ctx, { subscriberId, channel: 'cash', reference, amountMinor });

  it('voidInvoice, of an untouched invoice, undoes its posting and keeps its number used', async () => {
    const { subscriberId } = await aPayer(t.db, { packageId: taxed });
    const before = await house(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    const result = await voidInvoice(ctx, { invoiceId: invoice.id, note: 'wrong package' });
    expect(result.ok).to.equal(true);
    expect(result.invoice).to.include({ state: 'void', openMinor: 0n, number: invoice.number });
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 0n });
    const after = await house(t.db);
    expect(after['revenue_internet']).to.equal(before['revenue_internet'] ?? 0n);
    expect(after['tax_payable']).to.equal(before['tax_payable'] ?? 0n);
    await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const [last] = await t.db('invoice').orderBy('number', 'desc').limit(1).pluck<string[]>('number');
    expect(Number(last)).to.equal(Number(invoice.number) + 1);
  });

  it('voidInvoice, of one that something was paid or credited on, is refused', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    await pay(subscriberId, 'void-1', 1n);
    const refused = await voidInvoice(ctx, { invoiceId: invoice.id, note: 'x' });
    expect(refused).to.include({ ok: false, reason: 'has_allocations' });
    const other = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const credited = await firstOpen(other.subscriberId);
    await creditInvoice(ctx, { invoiceId: credited.id, amountMinor: 1n, note: 'x' });
    const too = await voidInvoice(ctx, { invoiceId: credited.id, note: 'x' });
    expect(too).to.include({ ok: false, reason: 'has_allocations' });
  });

  it('voidInvoice, after its payment was reversed, works; a second time it is refused', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    const paid = await pay(subscriberId, 'void-2', 30_000n);
    await reversePayment(ctx, { paymentId: paid.payment.id, note: 'slip' });
    expect((await voidInvoice(ctx, { invoiceId: invoice.id, note: 'x' })).ok).to.equal(true);
    const again = await voidInvoice(ctx, { invoiceId: invoice.id, note: 'x' });
    expect(again).to.include({ ok: false, reason: 'already_void' });
  });

  it('creditInvoice, of a part, lowers what is open and takes back its share of the tax', async () => {
    const { subscriberId } = await aPayer(t.db, { packageId: taxed });
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    expect(invoice.totalMinor).to.equal(1_075n);
    const first = await creditInvoice(ctx, { invoiceId: invoice.id, amountMinor: 500n, note: 'outage' });
    if (!first.ok) throw new Error(first.reason);
    expect(first.creditNote).to.include({ netMinor: 465n, taxMinor: 35n, totalMinor: 500n });
    expect(first.invoice).to.include({ openMinor: 575n, state: 'open' });
    const rest = await creditInvoice(ctx, { invoiceId: invoice.id, note: 'outage' });
    if (!rest.ok) throw new Error(rest.reason);
    expect(rest.creditNote).to.include({ netMinor: 535n, taxMinor: 40n });
    expect(Number(rest.creditNote.number)).to.equal(Number(first.creditNote.number) + 1);
    expect(rest.invoice).to.include({ openMinor: 0n, state: 'paid' });
    const more = await creditInvoice(ctx, { invoiceId: invoice.id, amountMinor: 1n, note: 'x' });
    expect(more).to.include({ ok: false, reason: 'more_than_invoice' });
  });

  it('creditInvoice, of a paid invoice, goes into the wallet', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    await pay(subscriberId, 'credit-1', 30_000n);
    const result = await creditInvoice(ctx, { invoiceId: invoice.id, amountMinor: 12_000n, note: 'outage' });
    expect(result).to.include({ ok: true, toWalletMinor: 12_000n });
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 12_000n });
  });

  it('creditInvoice, of a paid invoice while another is open, pays that one', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    await pay(subscriberId, 'credit-2', 30_000n);
    await invoiceOn(ctx, '2026-04-01');
    await creditInvoice(ctx, { invoiceId: invoice.id, amountMinor: 12_000n, note: 'outage' });
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-04-11', 18_000n]]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 18_000n, wallet: 0n });
  });

  it('reversePayment, of an invoice that was credited since, lets the credit pay it', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    const paid = await pay(subscriberId, 'credit-3', 30_000n);
    await creditInvoice(ctx, { invoiceId: invoice.id, note: 'never worked' });
    await reversePayment(ctx, { paymentId: paid.payment.id, note: 'chargeback' });
    expect(await openOf(t.db, subscriberId)).to.deep.equal([]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 0n });
  });

  it('writeOffInvoice, gives up what is open as bad debt, and money that comes later is kept for the subscriber', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const invoice = await firstOpen(subscriberId);
    await pay(subscriberId, 'off-1', 10_000n);
    const result = await writeOffInvoice(ctx, { invoiceId: invoice.id, note: 'moved away' });
    expect(result).to.deep.include({ ok: true });
    expect(result.invoice).to.include({ state: 'written_off', openMinor: 0n });
    expect((await house(t.db))['bad_debt']).to.equal(20_000n);
    const credit = await creditInvoice(ctx, { invoiceId: invoice.id, amountMinor: 10_001n, note: 'x' });
    expect(credit).to.include({ ok: false, reason: 'more_than_invoice' });
    const again = await writeOffInvoice(ctx, { invoiceId: invoice.id, note: 'x' });
    expect(again).to.include({ ok: false, reason: 'nothing_open' });
    await pay(subscriberId, 'off-2', 20_000n);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 20_000n });
  });

  it('each way of closing an overdue invoice, gives service back and says why', async () => {
    const ways = {
      voided: (invoiceId: InvoiceId) => voidInvoice(ctx, { invoiceId, note: 'x' }),
      credited: (invoiceId: InvoiceId) => creditInvoice(ctx, { invoiceId, note: 'x' }),
      written_off: (invoiceId: InvoiceId) => writeOffInvoice(ctx, { invoiceId, note: 'x' }),
    };
    for (const [because, close] of Object.entries(ways)) {
      const { subscriberId, subscriptionId } = await aPayer(t.db);
      await invoiceOn(ctx, '2026-03-01');
      ctx.clock.set('2026-03-30T10:00:00Z');
      await openSuspensions(
        t.db,
        [{ subscriptionId, subscriberId, cause: 'overdue', effect: 'throttle', throttleRate: '1M/1M' }],
        { at: ctx.clock.now(), actor: 'test', correlationId: 'x', priority: 'run' },
      );
      const result = await close((await firstOpen(subscriberId)).id);
      expect(result.ok && result.closedSuspensions, because).to.have.length(1);
      const row = await rowOf(t.db, 'suspension', { subscription_id: subscriptionId });
      expect(row).to.include({ closed_because: because });
    }
  });

  it('commands, when the answer to their COMMIT is lost, end the same and do nothing twice', async () => {
    const { subscriberId } = await aPayer(t.db);
    const lossy = (times: number): TestContext => ({ ...ctx, db: losingCommits(t.db, times) });
    await invoiceOn(ctx, '2026-03-01');
    const first = await firstOpen(subscriberId);
    const credited = await creditInvoice(lossy(1), { invoiceId: first.id, amountMinor: 5_000n, note: 'x' });
    expect(credited).to.include({ ok: true, toWalletMinor: 0n });
    const paid = await recordPayment(lossy(2), {
      subscriberId,
      channel: 'bank',
      reference: 'lost-1',
      amountMinor: 26_000n,
    });
    expect(paid).to.include({ ok: true, isRepeat: false, toWalletMinor: 1_000n });
    const reversed = await reversePayment(lossy(1), { paymentId: paid.payment.id, note: 'x' });
    if (!reversed.ok) throw new Error(reversed.reason);
    expect(reversed.reopened).to.have.length(1);
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-03-11', 25_000n]]);
    expect(await writeOffInvoice(lossy(1), { invoiceId: first.id, note: 'x' })).to.include({ ok: true });
    await invoiceOn(ctx, '2026-04-01');
    const second = await firstOpen(subscriberId);
    expect(await voidInvoice(lossy(1), { invoiceId: second.id, note: 'x' })).to.include({ ok: true });
    expect(await t.db('credit_note').where({ invoice_id: first.id })).to.have.length(1);
    expect(await t.db('activity').where({ subscriber_id: subscriberId })).to.have.length(5);
  });

  it('commands on an invoice, of one that is not there or with a bad note, name it', async () => {
    const caught = (promise: Promise<unknown>) => promise.catch((error: unknown) => error as AppError);
    const missing = await caught(voidInvoice(ctx, { invoiceId: '99999' as InvoiceId, note: 'x' }));
    expect(missing).to.include({ kind: 'not_found' });
    const blank = await caught(writeOffInvoice(ctx, { invoiceId: '1' as InvoiceId, note: ' ' }));
    expect(blank).to.include({ kind: 'invalid', field: 'note' });
    const nothing = await caught(
      creditInvoice(ctx, { invoiceId: '1' as InvoiceId, note: 'x', amountMinor: 0n }),
    );
    expect(nothing).to.include({ kind: 'invalid', field: 'amountMinor' });
  });
});
