import { expect } from 'chai';
import { recordPayment, reversePayment } from '../../src/billing/payments.ts';
import { openSuspensions } from '../../src/db/suspensions.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { PaymentId, SubscriberId } from '../../src/domain/ids.ts';
import { AppError } from '../../src/errors.ts';
import { aLogin, aPackage, aSubscription, testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aPayer, balanceOf, expectSound, house, invoiceOn, openOf, rowOf } from './support.ts';

describe('payments', () => {
  let t: TestDb;
  let ctx: TestContext;
  before(async () => {
    t = await testDb();
    ctx = testContext(t.db);
  });
  after(() => t.drop());
  afterEach(() => expectSound(ctx));

  const pay = async (subscriberId: SubscriberId, reference: string, amountMinor: bigint) => {
    const result = await recordPayment(ctx, { subscriberId, channel: 'cash', reference, amountMinor });
    if (!result.ok) throw new Error(result.reason);
    return result;
  };

  it('recordPayment, of part of what is open, pays the oldest due first', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2026-02-01' });
    await invoiceOn(ctx, '2026-02-01');
    await invoiceOn(ctx, '2026-03-01');
    const result = await pay(subscriberId, 'part-1', 40_000n);
    expect(result.allocations.map((part) => part.amountMinor)).to.deep.equal([30_000n, 10_000n]);
    expect(result.toWalletMinor).to.equal(0n);
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-03-11', 20_000n]]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 20_000n, wallet: 0n });
  });

  it('recordPayment, of more than is open, puts the rest into the wallet', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-03-01');
    const before = await house(t.db);
    const result = await pay(subscriberId, 'over-1', 35_000n);
    expect(result.toWalletMinor).to.equal(5_000n);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 5_000n });
    expect((await house(t.db))['cash']).to.equal((before['cash'] ?? 0n) + 35_000n);
    const invoice = await rowOf(t.db, 'invoice', { subscriber_id: subscriberId });
    expect(invoice).to.include({ state: 'paid', open_minor: '0' });
  });

  it('recordPayment, of one who owes nothing, is all wallet, and the next invoice is paid from it', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2026-03-05' });
    ctx.clock.set('2026-03-02T10:00:00Z');
    await pay(subscriberId, 'ahead-1', 50_000n);
    await invoiceOn(ctx, '2026-03-05');
    expect(await openOf(t.db, subscriberId)).to.deep.equal([]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 20_000n });
    await invoiceOn(ctx, '2026-04-05');
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-04-15', 10_000n]]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 10_000n, wallet: 0n });
  });

  it('recordPayment, when the reference comes again, gives the first payment', async () => {
    const { subscriberId } = await aPayer(t.db);
    await invoiceOn(ctx, '2026-04-05');
    const first = await pay(subscriberId, 'again-1', 30_000n);
    const second = await pay(subscriberId, '  again-1 ', 30_000n);
    expect(first.isRepeat).to.equal(false);
    expect(second.isRepeat).to.equal(true);
    expect(second.payment).to.deep.equal(first.payment);
    expect(second.allocations).to.deep.equal(first.allocations);
    expect(await t.db('payment').where({ subscriber_id: subscriberId })).to.have.length(1);
  });

  it('recordPayment, when the reference comes with another amount or for somebody else, is refused', async () => {
    const { subscriberId } = await aPayer(t.db);
    const other = await aPayer(t.db);
    const first = await pay(subscriberId, 'used-1', 30_000n);
    for (const [who, amountMinor] of [
      [subscriberId, 30_001n],
      [other.subscriberId, 30_000n],
    ] as const) {
      const result = await recordPayment(ctx, {
        subscriberId: who,
        channel: 'cash',
        reference: 'used-1',
        amountMinor,
      });
      expect(result).to.deep.include({ ok: false, reason: 'reference_used' });
      expect(result.payment.id).to.equal(first.payment.id);
    }
    expect(await balanceOf(t.db, other.subscriberId)).to.deep.equal({ owed: 0n, wallet: 0n });
  });

  it('recordPayment, when another channel has the reference, is a payment of its own', async () => {
    const { subscriberId } = await aPayer(t.db);
    const cash = await pay(subscriberId, 'both-1', 100n);
    const bank = await recordPayment(ctx, {
      subscriberId,
      channel: 'bank',
      reference: 'both-1',
      amountMinor: 100n,
    });
    expect(bank.payment.id).not.to.equal(cash.payment.id);
  });

  it('recordPayment, same reference from 8 tasks at once, is one payment', async () => {
    const { subscriberId } = await aPayer(t.db);
    const results = await Promise.all(Array.from({ length: 8 }, () => pay(subscriberId, 'storm-1', 12_345n)));
    expect(results.filter((result) => !result.isRepeat)).to.have.length(1);
    expect(new Set(results.map((result) => result.payment.id)).size).to.equal(1);
  });

  it('recordPayment, same reference for 8 subscribers at once, belongs to one of them', async () => {
    const payers = await Promise.all(Array.from({ length: 8 }, () => aPayer(t.db)));
    const results = await Promise.all(
      payers.map(({ subscriberId }) =>
        recordPayment(ctx, { subscriberId, channel: 'bank', reference: 'grab-1', amountMinor: 500n }),
      ),
    );
    expect(results.filter((result) => result.ok)).to.have.length(1);
    expect(results.filter((result) => !result.ok && result.reason === 'reference_used')).to.have.length(7);
  });

  it('recordPayment, that clears an overdue debt, closes its suspension, asks for the login and wakes a worker', async () => {
    const { subscriberId, subscriptionId } = await aPayer(t.db, { anchorOn: '2026-01-01' });
    const login = await aLogin(t.db, { subscriptionId });
    await invoiceOn(ctx, '2026-01-01');
    ctx.clock.set('2026-02-20T10:00:00Z');
    await openSuspensions(
      t.db,
      [{ subscriptionId, subscriberId, cause: 'overdue', effect: 'block', throttleRate: null }],
      { at: ctx.clock.now(), actor: 'test', correlationId: 'x', priority: 'run' },
    );
    const part = await pay(subscriberId, 'clear-1', 10_000n);
    expect(part.closedSuspensions).to.deep.equal([]);
    ctx.woken.length = 0;
    const rest = await pay(subscriberId, 'clear-2', 20_000n);
    expect(rest.closedSuspensions).to.have.length(1);
    const row = await rowOf(t.db, 'suspension', { subscription_id: subscriptionId });
    expect(row).to.include({ closed_because: 'paid', closed_by_payment_id: rest.payment.id });
    const wish = await rowOf(t.db, 'reconcile_queue', { kind: 'login', key: login.id });
    expect(wish).to.include({ priority: 90, requested_by: ctx.correlationId });
    expect(ctx.woken).to.deep.equal(['worker']);
  });

  it('recordPayment, given bad input, names the field and the rule and records nothing', async () => {
    const { subscriberId } = await aPayer(t.db);
    const good = { subscriberId, channel: 'cash', reference: 'bad-1', amountMinor: 100n } as const;
    const bad: [string, object][] = [
      ['amountMinor', { amountMinor: 0n }],
      ['amountMinor', { amountMinor: -5n }],
      ['amountMinor', { amountMinor: 5 }],
      ['reference', { reference: '   ' }],
      ['reference', { reference: 'x'.repeat(65) }],
      ['channel', { channel: 'card' }],
      ['receivedOn', { receivedOn: '2026-02-30' }],
      ['receivedOn', { receivedOn: '2999-01-01' }],
      ['subscriberId', { subscriberId: `${subscriberId} apples` }],
    ];
    for (const [field, change] of bad) {
      const error = await recordPayment(ctx, { ...good, ...change }).catch((caught: unknown) => caught);
      expect(error, JSON.stringify(Object.keys(change))).to.be.instanceOf(AppError);
      expect((error as AppError).field).to.equal(field);
    }
    const nobody = await recordPayment(ctx, { ...good, subscriberId: '999999' as SubscriberId }).catch(
      (caught: unknown) => caught,
    );
    expect((nobody as AppError).kind).to.equal('not_found');
    expect(await t.db('payment').where({ reference: 'bad-1' })).to.have.length(0);
  });

  it('recordPayment, received on an earlier day, is effective on that day and recorded today', async () => {
    const { subscriberId } = await aPayer(t.db);
    ctx.clock.set('2026-05-10T09:00:00Z');
    const result = await recordPayment(ctx, {
      subscriberId,
      channel: 'bank',
      reference: 'late-1',
      amountMinor: 100n,
      receivedOn: parseDay('2026-05-07'),
    });
    expect(result.payment.receivedOn).to.equal('2026-05-07');
    const entry = await rowOf(t.db, 'ledger_entry', { once_key: `payment:${result.payment.id}` });
    expect(entry).to.include({ effective_on: '2026-05-07', posted_at: '2026-05-10 09:00:00.000' });
  });

  it('reversePayment, opens its invoices again and takes the wallet part back', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2026-05-01' });
    await invoiceOn(ctx, '2026-05-10');
    const paid = await pay(subscriberId, 'bounce-1', 35_000n);
    const before = await house(t.db);
    const result = await reversePayment(ctx, { paymentId: paid.payment.id, note: 'cheque bounced' });
    if (!result.ok) throw new Error(result.reason);
    expect(result.reopened).to.deep.equal(paid.allocations);
    expect(result.payment).to.include({ reversedBy: 'test', reversalNote: 'cheque bounced' });
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-05-20', 30_000n]]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 30_000n, wallet: 0n });
    expect((await house(t.db))['cash']).to.equal((before['cash'] ?? 0n) - 35_000n);
    const contra = await rowOf(t.db, 'ledger_entry', { once_key: `payment:${paid.payment.id}:reversal` });
    expect(contra).to.include({ kind: 'payment_reversal' });
    expect(contra).to.have.property('reverses_id').that.is.a('string');
  });

  it('reversePayment, a second time, is refused and changes nothing', async () => {
    const { subscriberId } = await aPayer(t.db);
    const paid = await pay(subscriberId, 'twice-1', 500n);
    await reversePayment(ctx, { paymentId: paid.payment.id, note: 'slip' });
    const again = await reversePayment(ctx, { paymentId: paid.payment.id, note: 'slip' });
    expect(again).to.deep.include({ ok: false, reason: 'already_reversed' });
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 0n });
  });

  it('recordPayment, with the reference of a reversed payment, is refused: new money has a new reference', async () => {
    const { subscriberId } = await aPayer(t.db);
    const paid = await pay(subscriberId, 'dead-1', 500n);
    await reversePayment(ctx, { paymentId: paid.payment.id, note: 'slip' });
    const again = await recordPayment(ctx, {
      subscriberId,
      channel: 'cash',
      reference: 'dead-1',
      amountMinor: 500n,
    });
    expect(again).to.deep.include({ ok: false, reason: 'reference_reversed' });
  });

  it('reversePayment, when the wallet has spent its money, opens what the wallet paid, the latest first', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2026-06-01' });
    ctx.clock.set('2026-05-20T10:00:00Z');
    const paid = await pay(subscriberId, 'spent-1', 60_000n);
    const kept = await pay(subscriberId, 'spent-2', 20_000n);
    await invoiceOn(ctx, '2026-06-01');
    await invoiceOn(ctx, '2026-07-01');
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 20_000n });
    const result = await reversePayment(ctx, { paymentId: paid.payment.id, note: 'chargeback' });
    expect(result.ok).to.equal(true);
    // 20.000 of the second payment stay, and pay the older of the two invoices in part.
    expect(await openOf(t.db, subscriberId)).to.deep.equal([
      ['2026-06-11', 10_000n],
      ['2026-07-11', 30_000n],
    ]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 40_000n, wallet: 0n });
    await reversePayment(ctx, { paymentId: kept.payment.id, note: 'chargeback' });
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 60_000n, wallet: 0n });
  });

  it('reversePayment, of what the wallet can spare, leaves other invoices paid', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2026-08-01' });
    ctx.clock.set('2026-07-20T10:00:00Z');
    await pay(subscriberId, 'spare-1', 30_000n);
    await invoiceOn(ctx, '2026-08-01');
    const extra = await pay(subscriberId, 'spare-2', 7_000n);
    await reversePayment(ctx, { paymentId: extra.payment.id, note: 'slip' });
    expect(await openOf(t.db, subscriberId)).to.deep.equal([]);
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 0n, wallet: 0n });
  });

  it('reversePayment, of no payment, is not found', async () => {
    const error = await reversePayment(ctx, { paymentId: '424242' as PaymentId, note: 'x' }).catch(
      (caught: unknown) => caught,
    );
    expect((error as AppError).kind).to.equal('not_found');
  });

  it('recordPayment, over two subscriptions, pays by due day across both', async () => {
    const { subscriberId } = await aPayer(t.db, { anchorOn: '2026-09-02' });
    await aSubscription(t.db, {
      subscriberId,
      packageId: await aPackage(t.db, { priceMinor: 10_000n }),
      anchorOn: '2026-09-01',
    });
    await invoiceOn(ctx, '2026-09-01');
    await invoiceOn(ctx, '2026-09-02');
    await pay(subscriberId, 'cross-1', 15_000n);
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-09-12', 25_000n]]);
  });
});
