import { expect } from 'chai';
import { excludeFromRun, createOverdueRun, scheduledOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { rollbackRun } from '../../src/billing/overdue-run-rollback.ts';
import { creditInvoice, voidInvoice, writeOffInvoice } from '../../src/billing/invoices.ts';
import { recordPayment, reversePayment } from '../../src/billing/payments.ts';
import { promiseToPay } from '../../src/billing/promises.ts';
import { saveSettings } from '../../src/db/settings.ts';
import type { InvoiceId, SubscriptionId } from '../../src/domain/ids.ts';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import { liftSuspension } from '../../src/subscribers/lift.ts';
import {
  aBillingProfile,
  anInvoice,
  aSubscription,
  testContext,
  type TestContext,
} from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { aDebtor, type Debtor, forgetEverybody, isSuspended, suspensionsOf } from '../support/overdue.ts';

/** Dated stories: the clock is moved by hand, the daily run ticks, and the rows say who has service. */
describe('stories of the overdue run', () => {
  let test: TestDb;
  let ctx: TestContext;
  before(async () => {
    test = await testDb();
  });
  after(() => test.drop());
  beforeEach(async () => {
    await forgetEverybody(test.db);
    await test.db('payment').delete();
    ctx = testContext(test.db, { now: '2026-03-01T10:00:00Z', actor: 'anna' });
  });

  const tick = () => scheduledOverdueRun({ ...ctx, actor: 'schedule' });

  /** Ticks once a day at ten and tells on which of the days the subscription is suspended afterwards. */
  async function days(subscriptionId: SubscriptionId, from: string, count: number): Promise<string[]> {
    const suspended: string[] = [];
    ctx.clock.set(`${from}T10:00:00Z`);
    for (let n = 0; n < count; n++) {
      await tick();
      if (await isSuspended(test.db, subscriptionId))
        suspended.push(ctx.clock.now().toISOString().slice(0, 10));
      ctx.clock.advance(86_400_000);
    }
    return suspended;
  }

  const pay = (debtor: Debtor, reference: string, amountMinor = 30_000n) =>
    recordPayment(ctx, { subscriberId: debtor.subscriberId, channel: 'cash', reference, amountMinor });

  it('lapses, pays at night: due 11 March, three days of grace, blocked on the 15th, back at 23:59:59', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    expect(await days(debtor.subscriptionId, '2026-03-10', 6)).to.deep.equal(['2026-03-15']);
    ctx.clock.set('2026-03-15T23:59:59Z');
    const paid = await pay(debtor, 'night');
    expect(paid.ok && paid.closedSuspensions).to.have.length(1);
    expect(await days(debtor.subscriptionId, '2026-03-16', 3)).to.deep.equal([]);
    expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.deep.equal([
      { cause: 'overdue', effect: 'block', closedBecause: 'paid' },
    ]);
  });

  it('pays an hour before the run: is never suspended', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    ctx.clock.set('2026-03-15T09:00:00Z');
    await pay(debtor, 'morning');
    expect(await days(debtor.subscriptionId, '2026-03-15', 2)).to.deep.equal([]);
    expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.deep.equal([]);
  });

  it('pays one minor unit short: stays suspended until the last one is paid', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    await days(debtor.subscriptionId, '2026-03-15', 1);
    await pay(debtor, 'nearly', 29_999n);
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(true);
    await pay(debtor, 'rest', 1n);
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
  });

  it('owes two months and pays the older: stays suspended while the younger is past grace', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-02-11' });
    await anInvoice(test.db, { ...debtor, dueOn: '2026-03-11', periodStart: '2026-02-01' });
    await days(debtor.subscriptionId, '2026-03-14', 1);
    ctx.clock.set('2026-03-14T20:00:00Z');
    await pay(debtor, 'older');
    expect(await isSuspended(test.db, debtor.subscriptionId), '14th: the younger is in grace').to.equal(
      false,
    );
    expect(await days(debtor.subscriptionId, '2026-03-15', 1)).to.deep.equal(['2026-03-15']);
    await pay(debtor, 'younger');
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
  });

  it('a cheque bounces: the payment is reversed and the next tick suspends again', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    await days(debtor.subscriptionId, '2026-03-15', 1);
    const paid = await pay(debtor, 'cheque');
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
    if (paid.ok) await reversePayment(ctx, { paymentId: paid.payment.id, note: 'bounced' });
    expect(await days(debtor.subscriptionId, '2026-03-16', 1)).to.deep.equal(['2026-03-16']);
  });

  it('a credit note, a void or a write-off of the debt gives service back, each with its reason', async () => {
    const closes = [
      ['credited', (invoiceId: InvoiceId) => creditInvoice(ctx, { invoiceId, note: 'n' })],
      ['voided', (invoiceId: InvoiceId) => voidInvoice(ctx, { invoiceId, note: 'n' })],
      ['written_off', (invoiceId: InvoiceId) => writeOffInvoice(ctx, { invoiceId, note: 'n' })],
    ] as const;
    for (const [because, act] of closes) {
      const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
      ctx.clock.set('2026-03-15T10:00:00Z');
      const { run } = await createOverdueRun(ctx, { asOf: '2026-03-15' });
      await applyOverdueRun(ctx, { runId: run.id });
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(true);
      await act(debtor.invoiceId as InvoiceId);
      expect(await suspensionsOf(test.db, debtor.subscriptionId), because).to.deep.equal([
        { cause: 'overdue', effect: 'block', closedBecause: because },
      ]);
    }
  });

  it('excluded until the 18th: left alone on the 15th, 16th and 17th, suspended on the 18th', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    ctx.clock.set('2026-03-15T09:00:00Z');
    const { run } = await createOverdueRun(ctx, { asOf: '2026-03-15' });
    await excludeFromRun(ctx, {
      runId: run.id,
      subscriberIds: [debtor.subscriberId],
      note: 'ill',
      untilOn: '2026-03-18',
    });
    await applyOverdueRun(ctx, { runId: run.id });
    expect(await days(debtor.subscriptionId, '2026-03-15', 5)).to.deep.equal(['2026-03-18', '2026-03-19']);
  });

  it("lifted by staff on the day: the next day's tick leaves it, the tick after a week does not", async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    await days(debtor.subscriptionId, '2026-03-15', 1);
    ctx.clock.set('2026-03-15T11:00:00Z');
    await liftSuspension(ctx, { subscriptionId: debtor.subscriptionId, note: 'manager' });
    expect(await days(debtor.subscriptionId, '2026-03-15', 9)).to.deep.equal(['2026-03-22', '2026-03-23']);
  });

  it('a run is rolled back in the morning: no tick repeats it for a week, and who pays meanwhile is out', async () => {
    const [payer, other] = [await aDebtor(test.db), await aDebtor(test.db)];
    ctx.clock.set('2026-03-15T10:00:00Z');
    const { run } = await tick();
    await rollbackRun(ctx, { runId: run.id, note: 'the bank file came late' });
    expect(await days(other.subscriptionId, '2026-03-15', 7)).to.deep.equal([]);
    await pay(payer, 'late file');
    expect(await days(other.subscriptionId, '2026-03-22', 1)).to.deep.equal(['2026-03-22']);
    expect(await isSuspended(test.db, payer.subscriptionId)).to.equal(false);
  });

  it('promises to pay by the 25th: service until the end of that day, and none from the 26th', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    await days(debtor.subscriptionId, '2026-03-20', 1);
    await promiseToPay(ctx, { subscriberId: debtor.subscriberId, payBy: '2026-03-25', note: 'salary' });
    expect(await days(debtor.subscriptionId, '2026-03-21', 6)).to.deep.equal(['2026-03-26']);
  });

  it('two subscriptions of one subscriber: one unpaid invoice takes both, one payment gives both back', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    const second = await aSubscription(test.db, { subscriberId: debtor.subscriberId });
    await days(debtor.subscriptionId, '2026-03-15', 1);
    expect(await isSuspended(test.db, second)).to.equal(true);
    await pay(debtor, 'both');
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
    expect(await isSuspended(test.db, second)).to.equal(false);
  });

  it('sells a second subscription while suspended: the next tick takes the new one too', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    await days(debtor.subscriptionId, '2026-03-15', 1);
    const second = await aSubscription(test.db, { subscriberId: debtor.subscriberId });
    expect(await days(second, '2026-03-16', 1)).to.deep.equal(['2026-03-16']);
  });

  it("grace over the month's end: due 27 February with five days of grace, suspended on 5 March", async () => {
    const billingProfileId = await aBillingProfile(test.db, { graceDays: 5 });
    const debtor = await aDebtor(test.db, { billingProfileId, dueOn: '2026-02-27' });
    expect(await days(debtor.subscriptionId, '2026-02-26', 8)).to.deep.equal(['2026-03-05']);
  });

  it('grace over 29 February of a leap year: due 27 February 2028 with three days, suspended on 2 March', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2028-02-27' });
    expect(await days(debtor.subscriptionId, '2028-02-27', 5)).to.deep.equal(['2028-03-02']);
  });

  it('a zone of UTC+5:30: the day after grace begins at 18:30 UTC of the day before', async () => {
    await saveSettings(test.db, { zone: 'Asia/Kolkata' }, ctx.clock.now());
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    ctx.clock.set('2026-03-14T18:29:59Z');
    await tick();
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
    ctx.clock.set('2026-03-14T18:30:00Z');
    expect((await tick()).run.asOf).to.equal('2026-03-15');
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(true);
  });

  it('a zone whose clocks change that night: each day has one run', async () => {
    await saveSettings(test.db, { zone: 'Europe/Berlin' }, ctx.clock.now());
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-25' });
    for (const at of [
      '2026-03-28T22:59:00Z',
      '2026-03-28T23:01:00Z',
      '2026-03-29T01:30:00Z',
      '2026-03-29T21:59:00Z',
    ]) {
      ctx.clock.set(at);
      await tick();
    }
    expect(await test.db('overdue_run').orderBy('id').pluck<string[]>('as_of')).to.deep.equal([
      '2026-03-28',
      '2026-03-29',
    ]);
    expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(true);
  });

  it('held by staff and overdue: payment ends the one, and only a person the other', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
    await days(debtor.subscriptionId, '2026-03-15', 1);
    await holdSubscription(ctx, {
      subscriptionId: debtor.subscriptionId,
      cause: 'staff',
      effect: 'block',
      note: 'broke the router',
    });
    await pay(debtor, 'debt');
    expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.deep.equal([
      { cause: 'overdue', effect: 'block', closedBecause: 'paid' },
      { cause: 'staff', effect: 'block', closedBecause: null },
    ]);
    await liftSuspension(ctx, { subscriptionId: debtor.subscriptionId, note: 'new router', cause: 'staff' });
    expect(
      (await suspensionsOf(test.db, debtor.subscriptionId)).map((row) => row.closedBecause),
    ).to.deep.equal(['paid', 'lifted']);
  });

  it('an invoice of nothing, years old: never suspends', async () => {
    const debtor = await aDebtor(test.db, { dueOn: '2026-06-01' });
    await anInvoice(test.db, {
      ...debtor,
      dueOn: '2020-01-01',
      periodStart: '2020-01-01',
      totalMinor: 0n,
    });
    expect(await days(debtor.subscriptionId, '2026-03-15', 2)).to.deep.equal([]);
  });
});
