import { expect } from 'chai';
import { settleSuspensions, type SettleInput } from '../../src/billing/settle-suspensions.ts';
import { findWronglySuspended, repairWronglySuspended } from '../../src/billing/suspension-sweep.ts';
import { inTransaction } from '../../src/db/knex.ts';
import { lockSubscribers } from '../../src/db/subscriber-lock.ts';
import { openSuspensions } from '../../src/db/suspensions.ts';
import type { SuspensionCause } from '../../src/domain/access-types.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { SubscriberId, SuspensionId } from '../../src/domain/ids.ts';
import {
  aBillingProfile,
  anInvoice,
  aSubscription,
  testContext,
  type TestContext,
} from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { aDebtor, type Debtor, manyDebtors, markPaid, suspensionsOf } from '../support/overdue.ts';

const today = parseDay('2026-03-20');

describe('settleSuspensions', () => {
  let test: TestDb;
  let ctx: TestContext;
  before(async () => {
    test = await testDb();
  });
  after(() => test.drop());
  beforeEach(() => {
    ctx = testContext(test.db, { now: '2026-03-20T10:00:00Z' });
  });

  async function suspend(debtor: Debtor, cause: SuspensionCause = 'overdue'): Promise<void> {
    await inTransaction(test.db, async (trx) => {
      await lockSubscribers(trx, [debtor.subscriberId]);
      await openSuspensions(trx, [{ ...debtor, cause, effect: 'block', throttleRate: null }], {
        at: ctx.clock.now(),
        actor: 'test',
        correlationId: ctx.correlationId,
        priority: 'run',
      });
    });
  }

  async function settle(
    subscriberIds: readonly SubscriberId[],
    given: Partial<SettleInput> = {},
  ): Promise<SuspensionId[]> {
    return await inTransaction(test.db, async (trx) => {
      await lockSubscribers(trx, subscriberIds.slice(0, 500));
      return await settleSuspensions(trx, {
        subscriberIds,
        at: ctx.clock.now(),
        today,
        actor: ctx.actor,
        correlationId: ctx.correlationId,
        because: 'paid',
        priority: 'payment',
        ...given,
      });
    });
  }

  it('settleSuspensions, when nothing is overdue any more, closes and says by which payment', async () => {
    const debtor = await aDebtor(test.db);
    await suspend(debtor);
    await markPaid(test.db, [debtor.invoiceId]);
    const closed = await settle([debtor.subscriberId], { paymentId: '77' as never });
    expect(closed).to.have.length(1);
    const row = await test.db('suspension').where({ id: closed[0] }).first<Record<string, string>>();
    expect(row).to.include({
      closed_by: ctx.actor,
      closed_because: 'paid',
      closed_by_payment_id: '77',
      closed_at: '2026-03-20 10:00:00.000',
    });
  });

  it('settleSuspensions, for what it closes, writes one activity row and asks for the logins before bulk work', async () => {
    const debtor = await aDebtor(test.db);
    await suspend(debtor);
    await markPaid(test.db, [debtor.invoiceId]);
    await settle([debtor.subscriberId]);
    const log = await test
      .db('activity')
      .where({ correlation_id: ctx.correlationId, verb: 'suspension.close' })
      .select<{ subscriber_id: string; diff: string }[]>('subscriber_id', 'diff');
    expect(log).to.have.length(1);
    expect(log[0]?.subscriber_id).to.equal(debtor.subscriberId);
    expect(JSON.parse(log[0]?.diff ?? '')).to.include({ because: 'paid', cause: 'overdue' });
    const queued = await test.db('reconcile_queue').where({ kind: 'login', key: debtor.loginId }).first<{
      priority: number;
      requested_by: string;
    }>();
    expect(queued).to.include({ priority: 90, requested_by: ctx.correlationId });
  });

  it('settleSuspensions, when another invoice is past due and grace, leaves it open', async () => {
    const debtor = await aDebtor(test.db);
    await anInvoice(test.db, { ...debtor, dueOn: '2026-02-11', periodStart: '2026-02-01' });
    await suspend(debtor);
    await markPaid(test.db, [debtor.invoiceId]);
    expect(await settle([debtor.subscriberId])).to.deep.equal([]);
    expect((await suspensionsOf(test.db, debtor.subscriptionId))[0]?.closedBecause).to.equal(null);
  });

  it('settleSuspensions, when the rest is due but in grace, closes', async () => {
    const debtor = await aDebtor(test.db);
    await anInvoice(test.db, { ...debtor, dueOn: '2026-03-18', periodStart: '2026-02-01' });
    await suspend(debtor);
    await markPaid(test.db, [debtor.invoiceId]);
    expect(await settle([debtor.subscriberId])).to.have.length(1);
  });

  it('settleSuspensions, when one minor unit is left of the invoice, leaves it open', async () => {
    const debtor = await aDebtor(test.db);
    await suspend(debtor);
    await test.db('invoice').where({ id: debtor.invoiceId }).update({ open_minor: 1 });
    expect(await settle([debtor.subscriberId])).to.deep.equal([]);
  });

  it('settleSuspensions, when nothing is left of an invoice that is still marked open, closes', async () => {
    const debtor = await aDebtor(test.db);
    await suspend(debtor);
    await test.db('invoice').where({ id: debtor.invoiceId }).update({ open_minor: 0 });
    expect(await settle([debtor.subscriberId])).to.have.length(1);
  });

  it('settleSuspensions, beside a hold of staff, closes the overdue one and keeps the hold', async () => {
    const debtor = await aDebtor(test.db);
    await suspend(debtor);
    await suspend(debtor, 'staff');
    await suspend(debtor, 'fraud');
    await markPaid(test.db, [debtor.invoiceId]);
    expect(await settle([debtor.subscriberId])).to.have.length(1);
    expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.deep.equal([
      { cause: 'overdue', effect: 'block', closedBecause: 'paid' },
      { cause: 'staff', effect: 'block', closedBecause: null },
      { cause: 'fraud', effect: 'block', closedBecause: null },
    ]);
  });

  it('settleSuspensions, for a subscriber with two subscriptions, closes both', async () => {
    const debtor = await aDebtor(test.db);
    const second = await aSubscription(test.db, { subscriberId: debtor.subscriberId });
    await suspend(debtor);
    await suspend({ ...debtor, subscriptionId: second });
    await markPaid(test.db, [debtor.invoiceId]);
    expect(await settle([debtor.subscriberId])).to.have.length(2);
  });

  it('settleSuspensions, called twice, closes once', async () => {
    const debtor = await aDebtor(test.db);
    await suspend(debtor);
    await markPaid(test.db, [debtor.invoiceId]);
    expect(await settle([debtor.subscriberId])).to.have.length(1);
    expect(await settle([debtor.subscriberId])).to.deep.equal([]);
    const log = await test
      .db('activity')
      .where({ subscriber_id: debtor.subscriberId, verb: 'suspension.close' })
      .select('id');
    expect(log).to.have.length(1);
  });

  it('settleSuspensions, for a subscriber who is not suspended, does nothing', async () => {
    const debtor = await aDebtor(test.db);
    expect(await settle([debtor.subscriberId])).to.deep.equal([]);
    expect(await settle([])).to.deep.equal([]);
  });

  it('settleSuspensions, for 1,200 subscribers, is a bounded number of statements', async () => {
    const debtors = await manyDebtors(test.db, 1200);
    for (let at = 0; at < debtors.length; at += 400) {
      await inTransaction(test.db, (trx) =>
        openSuspensions(
          trx,
          debtors
            .slice(at, at + 400)
            .map((debtor) => ({ ...debtor, cause: 'overdue', effect: 'block', throttleRate: null })),
          { at: ctx.clock.now(), actor: 'test', correlationId: 'many', priority: 'run' },
        ),
      );
    }
    await markPaid(
      test.db,
      debtors.slice(0, 1000).map((debtor) => debtor.invoiceId),
    );
    let statements = 0;
    const count = () => (statements += 1);
    test.db.on('query', count);
    const closed = await settle(debtors.map((debtor) => debtor.subscriberId));
    test.db.removeListener('query', count);
    expect(closed).to.have.length(1000);
    expect(statements).to.be.lessThan(40);
  });

  it('repairWronglySuspended, when a longer grace makes people not overdue, finds and closes exactly theirs', async () => {
    const profile = await aBillingProfile(test.db, { graceDays: 3 });
    const spared = await aDebtor(test.db, { billingProfileId: profile, dueOn: '2026-03-11' });
    const owing = await aDebtor(test.db, { billingProfileId: profile, dueOn: '2026-02-11' });
    await suspend(spared);
    await suspend(owing);
    expect(await findWronglySuspended(test.db, today, 10)).to.deep.equal([]);
    await test.db('billing_profile').where({ id: profile }).update({ grace_days: 20 });
    const wrong = await findWronglySuspended(test.db, today, 10);
    expect(wrong.map((suspension) => suspension.subscriptionId)).to.deep.equal([spared.subscriptionId]);
    expect(await repairWronglySuspended(ctx)).to.have.length(1);
    expect((await suspensionsOf(test.db, spared.subscriptionId))[0]?.closedBecause).to.equal('repaired');
    expect((await suspensionsOf(test.db, owing.subscriptionId))[0]?.closedBecause).to.equal(null);
    expect(await repairWronglySuspended(ctx)).to.deep.equal([]);
  });
});
