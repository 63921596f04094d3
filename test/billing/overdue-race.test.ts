import { expect } from 'chai';
import { createOverdueRun, excludeFromRun, scheduledOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { rollbackRun } from '../../src/billing/overdue-run-rollback.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { promiseToPay } from '../../src/billing/promises.ts';
import { findWronglySuspended } from '../../src/billing/suspension-sweep.ts';
import { openDb } from '../../src/db/knex.ts';
import { parseDay } from '../../src/domain/day.ts';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import { liftSuspension } from '../../src/subscribers/lift.ts';
import { aSubscription, testContext, type TestContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import {
  actionStates,
  contextOn,
  type Debtor,
  expectNobodyWronged,
  forgetEverybody,
  isSuspended,
  manyDebtors,
  suspensionsOf,
} from '../support/overdue.ts';

const asOf = '2026-03-20';
const today = parseDay(asOf);

describe('the overdue run, while others write', function () {
  this.timeout(120_000);
  let test: TestDb;
  let ctx: TestContext;
  before(async () => {
    test = await testDb();
  });
  after(() => test.drop());
  beforeEach(async () => {
    await forgetEverybody(test.db);
    await test.db('payment').delete();
    ctx = testContext(test.db, { now: '2026-03-20T10:00:00Z', actor: 'anna' });
  });

  function pay(debtor: Debtor, amountMinor = 30_000n): Promise<unknown> {
    return recordPayment(ctx, {
      subscriberId: debtor.subscriberId,
      channel: 'bank',
      reference: `transfer ${debtor.subscriberId}`,
      amountMinor,
    });
  }

  /** The order is made by chance, but the same chance each time. */
  function shuffled<T>(items: readonly T[], seed: number): T[] {
    let state = seed;
    const next = () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648);
    return items
      .map((item) => ({ item, at: next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }

  async function inFours<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
    const waiting = [...items];
    await Promise.all(
      [1, 2, 3, 4].map(async () => {
        for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await act(item);
      }),
    );
  }

  for (const seed of [1, 2, 3]) {
    it(`applyOverdueRun, with 150 of 300 paying meanwhile (order ${seed}), leaves nobody wronged`, async () => {
      const debtors = await manyDebtors(test.db, 300);
      const { run } = await createOverdueRun(ctx, { asOf });
      await test.db('overdue_run').where({ id: run.id }).update({ state: 'approved' });
      const payers = shuffled(debtors, seed).slice(0, 150);
      const [result] = await Promise.all([
        applyOverdueRun(ctx, { runId: run.id, batchSize: 20 }),
        inFours(payers, (debtor) => pay(debtor)),
      ]);
      await expectNobodyWronged(test.db, today);
      expect(await findWronglySuspended(test.db, today, 10)).to.deep.equal([]);
      expect(result.ok && result.counts).to.include({ planned: 0, parked: 0 });
      for (const debtor of payers) {
        const before = (await suspensionsOf(test.db, debtor.subscriptionId)).map((row) => row.closedBecause);
        // Paid before its batch: never suspended. Paid after: suspended, and given back by that payment.
        expect([[], ['paid']]).to.deep.include(before);
      }
      const open = await test.db('suspension').where({ open_cause: 'overdue' }).select('id');
      expect(open).to.have.length(150);
      // A payment that gave service back asks for the login before bulk work, whatever the run asked.
      const hasty = await test
        .db('suspension as s')
        .join('login as l', 'l.subscription_id', 's.subscription_id')
        .join('reconcile_queue as q', (on) => on.on('q.key', 'l.id').andOnVal('q.kind', 'login'))
        .where('s.closed_because', 'paid')
        .pluck<number[]>('q.priority');
      expect(hasty.every((priority) => priority === 90)).to.equal(true);
    });
  }

  it('applyOverdueRun, with partial payments meanwhile, suspends them all the same', async () => {
    const debtors = await manyDebtors(test.db, 60);
    const { run } = await createOverdueRun(ctx, { asOf });
    await test.db('overdue_run').where({ id: run.id }).update({ state: 'approved' });
    await Promise.all([
      applyOverdueRun(ctx, { runId: run.id, batchSize: 7 }),
      inFours(debtors.slice(0, 30), (debtor) => pay(debtor, 29_999n)),
    ]);
    expect(await test.db('suspension').where({ open_cause: 'overdue' }).select('id')).to.have.length(60);
  });

  it('applyOverdueRun, by two workers at once, ends as by one', async () => {
    const debtors = await manyDebtors(test.db, 200, (n) => n % 10 !== 0);
    const { run } = await createOverdueRun(ctx, { asOf });
    await test.db('overdue_run').where({ id: run.id }).update({ state: 'approved' });
    const other = openDb(test.address);
    try {
      const results = await Promise.all([
        applyOverdueRun(ctx, { runId: run.id, batchSize: 10 }),
        applyOverdueRun(contextOn(ctx, other), { runId: run.id, batchSize: 13 }),
      ]);
      for (const result of results) expect(result.ok).to.equal(true);
    } finally {
      await other.destroy();
    }
    expect(debtors).to.have.length(200);
    expect(await test.db('suspension').select('id')).to.have.length(180);
    expect(await test.db('activity').where({ verb: 'suspension.open' }).select('id')).to.have.length(180);
    expect(await test.db('overdue_run').select('state')).to.deep.equal([{ state: 'applied' }]);
    await expectNobodyWronged(test.db, today);
  });

  it('two runs over the same debtors, applied at once, suspend each once', async () => {
    await manyDebtors(test.db, 100);
    const first = await createOverdueRun(ctx, { asOf });
    const second = await createOverdueRun(ctx, { asOf });
    await test.db('overdue_run').update({ state: 'approved' });
    await Promise.all([
      applyOverdueRun(ctx, { runId: first.run.id, batchSize: 9 }),
      applyOverdueRun(ctx, { runId: second.run.id, batchSize: 11 }),
    ]);
    expect(await test.db('suspension').select('id')).to.have.length(100);
    const applied = async (id: string) =>
      [...(await actionStates(test.db, id)).values()].filter((state) => state === 'applied').length;
    expect((await applied(first.run.id)) + (await applied(second.run.id))).to.equal(100);
  });

  it('exclusions, holds, lifts and promises during an apply each have their way', async () => {
    const debtors = await manyDebtors(test.db, 200);
    const { run } = await createOverdueRun(ctx, { asOf });
    await test.db('overdue_run').where({ id: run.id }).update({ state: 'approved' });
    const [promising, excluded, held] = [debtors.slice(0, 40), debtors.slice(40, 80), debtors.slice(80, 120)];
    await Promise.all([
      applyOverdueRun(ctx, { runId: run.id, batchSize: 10 }),
      inFours(promising, ({ subscriberId }) =>
        promiseToPay(ctx, { subscriberId, payBy: '2026-03-25', note: 'n' }),
      ),
      inFours(excluded, async ({ subscriptionId }) => {
        const result = await excludeFromRun(ctx, {
          runId: run.id,
          subscriptionIds: [subscriptionId],
          note: 'n',
        });
        // Too late for the run means suspended by it: then a lift does what the exclusion meant.
        if (!result.ok || result.excluded.length === 0) {
          const lifted = await liftSuspension(ctx, { subscriptionId, note: 'n', cause: 'overdue' });
          expect(lifted.ok).to.equal(true);
        }
      }),
      inFours(held, ({ subscriptionId }) =>
        holdSubscription(ctx, { subscriptionId, cause: 'staff', effect: 'block', note: 'n' }),
      ),
    ]);
    await expectNobodyWronged(test.db, today);
    for (const debtor of [...promising, ...excluded]) {
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
    }
    for (const debtor of held) {
      const causes = (await suspensionsOf(test.db, debtor.subscriptionId)).map((row) => row.cause).sort();
      expect(causes).to.deep.equal(['overdue', 'staff']);
    }
  });

  it('rollbackRun, while people pay, keeps what the payments closed and gives the rest back', async () => {
    const debtors = await manyDebtors(test.db, 120);
    const { run } = await createOverdueRun(ctx, { asOf });
    await test.db('overdue_run').where({ id: run.id }).update({ state: 'approved' });
    await applyOverdueRun(ctx, { runId: run.id });
    await Promise.all([
      rollbackRun(ctx, { runId: run.id, note: 'n', batchSize: 10 }),
      inFours(debtors.slice(30, 90), (debtor) => pay(debtor)),
    ]);
    expect(await test.db('suspension').where({ open_cause: 'overdue' }).select('id')).to.have.length(0);
    const states = [...(await actionStates(test.db, run.id)).values()];
    const byPayment = await test.db('suspension').where({ closed_because: 'paid' }).select('id');
    expect(states.filter((state) => state === 'kept: closed_before')).to.have.length(byPayment.length);
    expect(states.filter((state) => state === 'rolled_back')).to.have.length(120 - byPayment.length);
  });

  it('scheduledOverdueRun, ticked by three hosts at once while people pay, leaves nobody wronged', async () => {
    const debtors = await manyDebtors(test.db, 150);
    await aSubscription(test.db, { subscriberId: debtors[3]?.subscriberId ?? '' });
    await test.db('setting').insert({ name: 'overdueLimitCount', value: '100000', changed_at: '2026-01-01' });
    const schedule = { ...ctx, actor: 'schedule' };
    await Promise.all([
      scheduledOverdueRun(schedule),
      scheduledOverdueRun(schedule),
      scheduledOverdueRun(schedule),
      inFours(debtors.slice(0, 50), (debtor) => pay(debtor)),
    ]);
    await expectNobodyWronged(test.db, today);
    expect(await test.db('overdue_run').select('state')).to.deep.equal([{ state: 'applied' }]);
    const twice = await test
      .db('suspension')
      .groupBy('subscription_id')
      .having(test.db.raw('COUNT(*) > 1'))
      .select('subscription_id');
    expect(twice).to.deep.equal([]);
  });
});
