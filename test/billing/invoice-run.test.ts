import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { planInvoiceRun } from '../../src/billing/invoice-run-plan.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { parkedForInvoicing } from '../../src/db/invoice-runs.ts';
import { openDb } from '../../src/db/knex.ts';
import { addMonths, parseDay } from '../../src/domain/day.ts';
import type { SubscriptionId } from '../../src/domain/ids.ts';
import type { AppError } from '../../src/errors.ts';
import {
  aPackage,
  aSubscriber,
  aSubscription,
  aTaxRate,
  testContext,
  type TestContext,
} from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import {
  aPayer,
  balanceOf,
  expectSound,
  clearTables,
  insertPayers,
  invoiceOn,
  openOf,
  rowOf,
} from './support.ts';

const march = parseDay('2026-03-01');

describe('invoice run', () => {
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

  const invoicesOf = (subscriptionId: SubscriptionId) =>
    t
      .db('invoice')
      .where({ subscription_id: subscriptionId })
      .orderBy('period_start')
      .select<Record<string, unknown>[]>();
  const numbers = async () => (await t.db('invoice').orderBy('number').pluck<string[]>('number')).map(Number);
  const manyPayers = async (count: number) => {
    await insertPayers(t.db, count);
    return t.db('subscription').orderBy('id').pluck<SubscriptionId[]>('id');
  };

  it('issues an invoice with its tax line, its day of issue and its due day', async () => {
    const taxRateId = await aTaxRate(t.db, { name: 'VAT', rateBp: 500 });
    const packageId = await aPackage(t.db, { name: 'Home 50', priceMinor: 100_000n, taxRateId });
    const { subscriptionId, subscriberId } = await aPayer(t.db, { packageId, dueDays: 14 });
    const run = await invoiceOn(ctx, '2026-03-01');
    expect(run).to.include({ issuedCount: 1, parkedCount: 0, totalMinor: 105_000n, stillDueCount: 0 });
    const [invoice] = await invoicesOf(subscriptionId);
    expect(invoice).to.include({
      number: '1',
      series: 'INV',
      period_start: '2026-03-01',
      period_end: '2026-04-01',
      zone: 'UTC',
      issued_on: '2026-03-01',
      due_on: '2026-03-15',
      currency: 'USD',
      exponent: 2,
      net_minor: '100000',
      tax_minor: '5000',
      total_minor: '105000',
      open_minor: '105000',
      state: 'open',
    });
    const lineRow = await rowOf(t.db, 'invoice_line', { invoice_id: String(invoice?.['id']) });
    expect(lineRow).to.include({
      description: 'Home 50',
      net_minor: '100000',
      tax_name: 'VAT',
      tax_rate_bp: 500,
      tax_minor: '5000',
    });
    expect(await balanceOf(t.db, subscriberId)).to.deep.equal({ owed: 105_000n, wallet: 0n });
  });

  it('takes the tax rate of the day of issue, and an issued invoice keeps its own', async () => {
    const taxRateId = await aTaxRate(t.db, { name: 'VAT', rateBp: 500, effectiveOn: '2026-01-01' });
    await aTaxRate(t.db, { name: 'VAT', rateBp: 750, effectiveOn: '2026-04-01' });
    const { subscriptionId } = await aPayer(t.db, {
      packageId: await aPackage(t.db, { priceMinor: 10_000n, taxRateId }),
    });
    await invoiceOn(ctx, '2026-03-01');
    await t.db('package').update({ customers_price_minor: '20000' });
    await invoiceOn(ctx, '2026-04-01');
    expect(
      (await invoicesOf(subscriptionId)).map((row) => [row['net_minor'], row['tax_minor']]),
    ).to.deep.equal([
      ['10000', '500'],
      ['20000', '1500'],
    ]);
  });

  it("takes the subscription's own price before the package's, an inclusive tax out of it, and zero as a price", async () => {
    const taxRateId = await aTaxRate(t.db, { rateBp: 500, isInclusive: true });
    const packageId = await aPackage(t.db, { taxRateId });
    const subscriberId = await aSubscriber(t.db);
    const own = await aSubscription(t.db, { subscriberId, packageId, priceOverrideMinor: 10_500n });
    const free = await aSubscription(t.db, { subscriberId, packageId, priceOverrideMinor: 0n });
    await invoiceOn(ctx, '2026-03-01');
    expect((await invoicesOf(own))[0]).to.include({
      net_minor: '10000',
      tax_minor: '500',
      total_minor: '10500',
    });
    expect((await invoicesOf(free))[0]).to.include({ total_minor: '0', state: 'paid' });
  });

  it('run twice, issues nothing twice', async () => {
    await manyPayers(3);
    expect((await invoiceOn(ctx, '2026-03-01')).issuedCount).to.equal(3);
    expect((await invoiceOn(ctx, '2026-03-01')).issuedCount).to.equal(0);
    expect(await numbers()).to.deep.equal([1, 2, 3]);
  });

  it('born on the 31st, pays from month end to month end and on the 31st again', async () => {
    const { subscriptionId } = await aPayer(t.db, { anchorOn: '2026-01-31' });
    for (const day of ['2026-01-31', '2026-02-27', '2026-02-28', '2026-03-30', '2026-03-31', '2026-04-30']) {
      await invoiceOn(ctx, day);
    }
    const rows = await invoicesOf(subscriptionId);
    expect(rows.map((row) => [row['issued_on'], row['period_start'], row['period_end']])).to.deep.equal([
      ['2026-01-31', '2026-01-31', '2026-02-28'],
      ['2026-02-28', '2026-02-28', '2026-03-31'],
      ['2026-03-31', '2026-03-31', '2026-04-30'],
      ['2026-04-30', '2026-04-30', '2026-05-31'],
    ]);
    const subscription = await rowOf(t.db, 'subscription', { id: subscriptionId });
    expect(subscription).to.include({ next_period: 4, next_invoice_on: '2026-05-31' });
  });

  it('after missed months, catches up a period an invoice, at most twelve in a run, none dated back', async () => {
    const { subscriptionId } = await aPayer(t.db, { anchorOn: '2025-01-01' });
    const first = await invoiceOn(ctx, '2026-03-01');
    expect(first).to.include({ issuedCount: 12, stillDueCount: 1 });
    const second = await invoiceOn(ctx, '2026-03-01');
    expect(second).to.include({ issuedCount: 3, stillDueCount: 0 });
    const rows = await invoicesOf(subscriptionId);
    expect(rows.map((row) => row['period_start'])).to.deep.equal(
      Array.from({ length: 15 }, (_, n) => addMonths(parseDay('2025-01-01'), n)),
    );
    expect(new Set(rows.map((row) => row['issued_on']))).to.deep.equal(new Set(['2026-03-01']));
  });

  it('leaves alone who is paused, terminated, daily, not due yet, or ends with the period', async () => {
    const subscriberId = await aSubscriber(t.db);
    const daily = await aPackage(t.db, { billingType: 'daily' });
    await aSubscription(t.db, { subscriberId, state: 'paused' });
    await aSubscription(t.db, { subscriberId, state: 'terminated' });
    await aSubscription(t.db, { subscriberId, packageId: daily });
    await aSubscription(t.db, { subscriberId, anchorOn: '2026-03-02' });
    await aSubscription(t.db, { subscriberId, nextInvoiceOn: null });
    const ending = await aSubscription(t.db, { subscriberId, anchorOn: '2026-02-01', endedOn: '2026-03-01' });
    const run = await invoiceOn(ctx, '2026-03-01');
    expect(run.issuedCount).to.equal(1);
    expect(await invoicesOf(ending)).to.have.length(1);
    expect((await rowOf(t.db, 'subscription', { id: ending }))['next_invoice_on']).to.equal(null);
  });

  it('of one who is suspended, invoices all the same', async () => {
    const { subscriptionId } = await aPayer(t.db);
    await t.db('suspension').insert({
      subscription_id: subscriptionId,
      cause: 'overdue',
      effect: 'block',
      opened_at: '2026-02-01 00:00:00.000',
      opened_by: 'test',
    });
    expect((await invoiceOn(ctx, '2026-03-01')).issuedCount).to.equal(1);
  });

  it('two subscriptions of one subscriber, are two invoices, and the wallet pays the older due first', async () => {
    const { subscriberId } = await aPayer(t.db);
    const second = await aSubscription(t.db, { subscriberId, anchorOn: '2026-03-01' });
    await recordPayment(ctx, { subscriberId, channel: 'cash', reference: 'w', amountMinor: 40_000n });
    await invoiceOn(ctx, '2026-03-01');
    expect(await openOf(t.db, subscriberId)).to.deep.equal([['2026-03-11', 20_000n]]);
    expect((await invoicesOf(second))[0]).to.include({ open_minor: '20000' });
  });

  it('as of a day after today, is refused: documents are not dated ahead', async () => {
    const error = (await applyInvoiceRun(ctx, { asOf: parseDay('2026-03-02') }).catch(
      (caught: unknown) => caught,
    )) as AppError;
    expect(error).to.include({ kind: 'invalid', field: 'asOf' });
  });

  it("as of today in the operator's zone, issues what is due there", async () => {
    await t
      .db('setting')
      .insert({ name: 'zone', value: '"Asia/Kolkata"', changed_at: '2026-01-01 00:00:00' });
    await aPayer(t.db, { anchorOn: '2026-03-02' });
    ctx.clock.set('2026-03-01T18:30:00Z');
    const run = await applyInvoiceRun(ctx, { asOf: parseDay('2026-03-02') });
    expect(run.issuedCount).to.equal(1);
  });

  it('planInvoiceRun, shows what the run then issues, and changes nothing', async () => {
    const taxRateId = await aTaxRate(t.db, { name: 'Later', effectiveOn: '2027-01-01' });
    const broken = await aPayer(t.db, { packageId: await aPackage(t.db, { taxRateId }) });
    await aPayer(t.db, { anchorOn: '2026-01-01' });
    await aPayer(t.db);
    const plan = await planInvoiceRun(t.db, march);
    expect(plan).to.include({ subscriptionCount: 3, invoiceCount: 4, brokenCount: 1, totalMinor: 120_000n });
    expect(plan.items[0]).to.include({
      subscriptionId: broken.subscriptionId,
      problem: 'no_tax_rate_in_force',
    });
    expect((await planInvoiceRun(t.db, march, { itemsMax: 1 })).items).to.have.length(1);
    expect(await t.db('invoice')).to.have.length(0);
    const run = await invoiceOn(ctx, '2026-03-01');
    expect(run).to.include({ issuedCount: 4, parkedCount: 1, totalMinor: 120_000n });
  });

  it('planInvoiceRun, as of tomorrow, shows tomorrow', async () => {
    await aPayer(t.db, { anchorOn: '2026-03-02' });
    expect((await planInvoiceRun(t.db, march)).invoiceCount).to.equal(0);
    expect((await planInvoiceRun(t.db, parseDay('2026-03-02'))).invoiceCount).to.equal(1);
  });

  it('a subscription that cannot be decided, is parked with the reason until it is put right', async () => {
    const taxRateId = await aTaxRate(t.db, { name: 'Later', effectiveOn: '2026-03-10' });
    const broken = await aPayer(t.db, { packageId: await aPackage(t.db, { taxRateId }) });
    await aPayer(t.db);
    const run = await invoiceOn(ctx, '2026-03-01');
    expect(run).to.include({ issuedCount: 1, parkedCount: 1, stillDueCount: 1 });
    expect(await parkedForInvoicing(t.db, 10)).to.deep.equal([
      {
        subscriptionId: broken.subscriptionId,
        subscriberId: broken.subscriberId,
        subscriberName: (await rowOf(t.db, 'subscriber', { id: broken.subscriberId }))['name'],
        reason: 'no_tax_rate_in_force',
        runId: run.id,
      },
    ]);
    await invoiceOn(ctx, '2026-03-02');
    expect(await parkedForInvoicing(t.db, 10)).to.have.length(1);
    await invoiceOn(ctx, '2026-03-10');
    expect(await parkedForInvoicing(t.db, 10)).to.deep.equal([]);
    expect(await invoicesOf(broken.subscriptionId)).to.have.length(1);
  });

  it('a subscription on which the database itself fails, is found among the others and parked alone', async () => {
    const victim = (await manyPayers(40))[17] ?? '';
    await t.db.raw(
      `CREATE TRIGGER break_one BEFORE INSERT ON invoice FOR EACH ROW
       IF NEW.subscription_id = ${victim} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'o''hara s3cret'; END IF`,
    );
    const run = await invoiceOn(ctx, '2026-03-01');
    expect(run).to.include({ issuedCount: 39, parkedCount: 1, stillDueCount: 1, isFinished: true });
    const [parked] = await parkedForInvoicing(t.db, 10);
    expect(parked).to.include({ subscriptionId: victim });
    expect(parked?.reason)
      .to.match(/^database or system error/)
      .and.not.include('s3cret');
    await t.db.raw('DROP TRIGGER break_one');
    expect((await invoiceOn(ctx, '2026-03-01')).issuedCount).to.equal(1);
    expect(await numbers()).to.deep.equal(Array.from({ length: 40 }, (_, n) => n + 1));
    expect(await parkedForInvoicing(t.db, 10)).to.deep.equal([]);
  });

  it('when nobody can be invoiced, the fault is not theirs: the run stops and parks nobody', async () => {
    await manyPayers(12);
    await t.db.raw(
      `CREATE TRIGGER break_all BEFORE INSERT ON invoice FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'`,
    );
    const error = (await invoiceOn(ctx, '2026-03-01').catch((caught: unknown) => caught)) as AppError;
    expect(error).to.include({ kind: 'unavailable' });
    expect(await parkedForInvoicing(t.db, 10)).to.deep.equal([]);
    await t.db.raw('DROP TRIGGER break_all');
    const run = await invoiceOn(ctx, '2026-03-01');
    expect(run).to.include({ isResumed: true, issuedCount: 12, dueCount: 12 });
  });

  it('when the disk is full, parks nobody, however few are left', async () => {
    await manyPayers(3);
    await t.db.raw(
      `CREATE TRIGGER full_disk BEFORE INSERT ON invoice FOR EACH ROW
       SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'`,
    );
    const error = await invoiceOn(ctx, '2026-03-01').catch((caught: unknown) => caught);
    expect(error).to.include({ errno: 1114 });
    expect(await parkedForInvoicing(t.db, 10)).to.deep.equal([]);
    await t.db.raw('DROP TRIGGER full_disk');
    expect(await invoiceOn(ctx, '2026-03-01')).to.include({ isResumed: true, issuedCount: 3 });
  });

  it('killed between two batches and started again, goes on in the same run and issues each once', async function () {
    this.timeout(60_000);
    await manyPayers(1100);
    ctx.clock.set('2026-03-01T10:00:00Z');
    const seen: { done: number; total: number }[] = [];
    const died = await applyInvoiceRun(ctx, {
      asOf: march,
      progress: (at) => {
        seen.push(at);
        if (seen.length === 2) throw new Error('killed');
      },
    }).catch((caught: unknown) => (caught as Error).message);
    expect(died).to.equal('killed');
    expect(seen).to.deep.equal([
      { done: 500, total: 1100 },
      { done: 1000, total: 1100 },
    ]);
    const again = await applyInvoiceRun(ctx, { asOf: march });
    expect(again).to.include({
      isResumed: true,
      issuedCount: 1100,
      totalMinor: 33_000_000n,
      stillDueCount: 0,
    });
    expect(await t.db('invoice_run')).to.have.length(1);
    expect(await numbers()).to.deep.equal(Array.from({ length: 1100 }, (_, n) => n + 1));
  });

  it('asked to stop, stops between batches and stays unfinished', async function () {
    this.timeout(60_000);
    await manyPayers(600);
    ctx.clock.set('2026-03-01T10:00:00Z');
    const stop = new AbortController();
    const run = await applyInvoiceRun(ctx, {
      asOf: march,
      signal: stop.signal,
      progress: () => stop.abort(),
    });
    expect(run).to.include({ isFinished: false, issuedCount: 500, stillDueCount: 100 });
  });

  it('in parallel with itself, on three connections pools, issues each once and leaves no gap', async function () {
    this.timeout(60_000);
    await manyPayers(1200);
    ctx.clock.set('2026-03-01T10:00:00Z');
    const pools = [openDb(t.address), openDb(t.address), openDb(t.address)];
    try {
      await Promise.all(pools.map((db) => applyInvoiceRun({ ...ctx, db }, { asOf: march })));
    } finally {
      await Promise.all(pools.map((db) => db.destroy()));
    }
    expect(await numbers()).to.deep.equal(Array.from({ length: 1200 }, (_, n) => n + 1));
    const runs = await t.db('invoice_run').pluck<number[]>('issued_count');
    expect(runs.reduce((sum, count) => sum + count, 0)).to.equal(1200);
  });

  it('of 5,000 subscriptions, takes a number of statements that grows with batches, not with subscriptions', async function () {
    this.timeout(120_000);
    await manyPayers(5000);
    ctx.clock.set('2026-03-01T10:00:00Z');
    let statements = 0;
    t.db.on('query', () => {
      statements++;
    });
    const run = await applyInvoiceRun(ctx, { asOf: march });
    expect(run.issuedCount).to.equal(5000);
    // Ten batches; some statements are split at 250 or 500 rows.
    expect(statements).to.be.below(10 * 60);
  });
});
