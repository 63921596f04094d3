import { expect } from 'chai';
import fc from 'fast-check';
import {
  approveRun,
  cancelRun,
  createOverdueRun,
  excludeFromRun,
  scheduledOverdueRun,
} from '../../src/billing/overdue-run.ts';
import { applyOverdueRun, type ApplyProgress } from '../../src/billing/overdue-run-apply.ts';
import { rollbackRun } from '../../src/billing/overdue-run-rollback.ts';
import { debtsOf } from '../../src/db/overdue-facts.ts';
import { debtorPage } from '../../src/db/overdue-plan-page.ts';
import { evidenceOf, runActions, runSummary } from '../../src/db/overdue-reports.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { addDays, parseDay } from '../../src/domain/day.ts';
import { debtOf } from '../../src/domain/overdue.ts';
import type { OverdueRunId } from '../../src/domain/ids.ts';
import {
  aBillingProfile,
  anInvoice,
  aRouter,
  aSubscriber,
  aSubscription,
  testContext,
  type TestContext,
} from '../support/builders.ts';
import { type TestDb, testDb, testMariaDb } from '../support/db.ts';
import {
  actionStates,
  aDebtor,
  type Debtor,
  forgetEverybody,
  isSuspended,
  manyDebtors,
  markPaid,
  suspensionsOf,
  wholePlan,
} from '../support/overdue.ts';

const asOf = '2026-03-20';

describe('the overdue run', () => {
  let test: TestDb;
  let ctx: TestContext;
  before(async () => {
    test = await testDb();
  });
  after(() => test.drop());
  beforeEach(async () => {
    await forgetEverybody(test.db);
    ctx = testContext(test.db, { now: '2026-03-20T10:00:00Z', actor: 'anna' });
  });

  const asActor = (actor: string): TestContext => ({ ...ctx, actor });

  async function planned(): Promise<OverdueRunId> {
    return (await createOverdueRun(ctx, { asOf })).run.id;
  }

  describe('planOverdueRun', () => {
    it('planOverdueRun, for a debtor, says who, why, how much and for how long', async () => {
      const debtor = await aDebtor(test.db, { dueOn: '2026-03-11' });
      await anInvoice(test.db, {
        ...debtor,
        dueOn: '2026-02-11',
        periodStart: '2026-02-01',
        openMinor: 500n,
      });
      await anInvoice(test.db, { ...debtor, dueOn: '2026-03-19', periodStart: '2026-01-01' });
      const { actions, totals } = await wholePlan(test.db, asOf);
      expect(actions).to.have.length(1);
      expect(actions[0]).to.deep.include({
        subscriptionId: debtor.subscriptionId,
        subscriberId: debtor.subscriberId,
        usernames: [debtor.username],
        effect: 'block',
        throttleRate: null,
        debt: { invoiceCount: 2, openMinor: 30_500n, oldestDueOn: '2026-02-11' },
        daysPastDue: 37,
        daysPastGrace: 34,
        routerReachable: 'no_session',
        park: null,
      });
      expect(totals).to.deep.include({
        subjects: 1,
        overdueSubscribers: 1,
        planned: 1,
        plannedSubscribers: 1,
        openMinor: 30_500n,
      });
    });

    it('planOverdueRun, for a subscriber with two subscriptions, plans both and counts the debt once', async () => {
      const debtor = await aDebtor(test.db);
      await aSubscription(test.db, { subscriberId: debtor.subscriberId });
      await aSubscription(test.db, { subscriberId: debtor.subscriberId, state: 'terminated' });
      const { actions, totals } = await wholePlan(test.db, asOf);
      expect(actions).to.have.length(2);
      expect(totals).to.deep.include({ planned: 2, plannedSubscribers: 1, openMinor: 30_000n });
    });

    it('planOverdueRun, for those it leaves alone, counts them by reason', async () => {
      const off = await aBillingProfile(test.db, { isOverdueRunOn: false });
      await aDebtor(test.db, { billingProfileId: off });
      await aDebtor(test.db, { state: 'paused' });
      const deferred = await aDebtor(test.db);
      await test.db('deferral').insert({
        subscription_id: deferred.subscriptionId,
        source: 'promise',
        until_on: '2026-03-21',
        opened_at: '2026-03-01',
        opened_by: 'test',
      });
      const closed = await aDebtor(test.db);
      await test.db('deferral').insert({
        subscription_id: closed.subscriptionId,
        source: 'promise',
        until_on: '2026-03-21',
        opened_at: '2026-03-01',
        opened_by: 'test',
        closed_at: '2026-03-02',
      });
      const { actions, totals } = await wholePlan(test.db, asOf);
      expect(actions.map((action) => action.subscriptionId)).to.deep.equal([closed.subscriptionId]);
      expect(totals.left).to.deep.equal({ profile_off: 1, paused: 1, deferred: 1 });
    });

    it('planOverdueRun, as of a day to come, shows who will be overdue then and writes nothing', async () => {
      await aDebtor(test.db, { dueOn: '2026-04-01' });
      expect((await wholePlan(test.db, asOf)).actions).to.have.length(0);
      expect((await wholePlan(test.db, '2026-04-04')).actions).to.have.length(0);
      expect((await wholePlan(test.db, '2026-04-05')).actions).to.have.length(1);
      expect(await test.db('overdue_run').select('id')).to.have.length(0);
      expect(await test.db('suspension').select('id')).to.have.length(0);
    });

    it('planOverdueRun, in pages of any size, gives the same actions in the order of subscribers', async () => {
      await manyDebtors(test.db, 23, (n) => n % 3 !== 0);
      const whole = await wholePlan(test.db, asOf);
      for (const pageSize of [1, 2, 7, 16, 100]) {
        expect(await wholePlan(test.db, asOf, { pageSize })).to.deep.equal(whole);
      }
      expect(whole.actions).to.have.length(16);
    });

    it('planOverdueRun, for a router with an open breaker, says that it cannot be reached', async () => {
      const lanes: [string, Record<string, unknown> | null, string][] = [
        ['answering', { breaker: 'closed', last_answer_at: '2026-03-20' }, 'yes'],
        ['dead', { breaker: 'open', last_answer_at: '2026-03-01' }, 'no'],
        ['never asked', { breaker: 'closed', last_answer_at: null }, 'unknown'],
        ['without a lane', null, 'unknown'],
      ];
      const expected = new Map<string, string>();
      for (const [name, lane, reachable] of lanes) {
        const router = await aRouter(test.db, { name: `${name} ${Math.random()}` });
        if (lane !== null) await test.db('router_lane').insert({ router_id: router.id, ...lane });
        const debtor = await aDebtor(test.db);
        await aSession(debtor, router.id);
        expected.set(debtor.subscriptionId, reachable);
      }
      const gone = await aDebtor(test.db);
      await aSession(gone, null, '2026-03-19');
      expected.set(gone.subscriptionId, 'no_session');
      const { actions } = await wholePlan(test.db, asOf);
      expect(new Map(actions.map((action) => [action.subscriptionId, action.routerReachable]))).to.deep.equal(
        expected,
      );
    });

    it('debtsOf and debtorPage, for any invoices, agree with the rule in domain/', async () => {
      const anyInvoice = fc.record({
        // Days from the last day of grace: the interesting ones are beside it.
        past: fc.oneof(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -40, max: 40 })),
        open: fc.constantFrom(0n, 1n, 300n, 30_000n),
        state: fc.constantFrom('open', 'open', 'open', 'paid', 'void'),
      });
      const anyCase = fc.record({ grace: fc.nat(20), invoices: fc.array(anyInvoice, { maxLength: 5 }) });
      for (const given of fc.sample(anyCase, { numRuns: 60, seed: 20_260_320 })) {
        const dueOn = (past: number) => addDays(parseDay(asOf), -given.grace - past);
        const billingProfileId = await aBillingProfile(test.db, { graceDays: given.grace });
        const subscriberId = await aSubscriber(test.db, { billingProfileId });
        const subscriptionId = await aSubscription(test.db, { subscriberId });
        for (const [n, invoice] of given.invoices.entries()) {
          await anInvoice(test.db, {
            subscriberId,
            subscriptionId,
            dueOn: dueOn(invoice.past),
            periodStart: addDays(parseDay('2026-01-01'), n),
            openMinor: invoice.state === 'open' ? invoice.open : 0n,
            state: invoice.state,
          });
        }
        const expected = debtOf(
          given.invoices
            .filter((invoice) => invoice.state === 'open')
            .map((invoice) => ({ dueOn: dueOn(invoice.past), openMinor: invoice.open })),
          given.grace,
          parseDay(asOf),
        );
        const found = await debtsOf(test.db, [subscriberId], parseDay(asOf));
        expect(found.get(subscriberId)?.debt ?? null).to.deep.equal(expected);
        const { facts } = await debtorPage(test.db, parseDay(asOf), { after: null, limit: 1000 });
        expect(facts.find((fact) => fact.subscriberId === subscriberId)?.debt ?? null).to.deep.equal(
          expected,
        );
      }
    });
  });

  async function aSession(debtor: Debtor, routerId: string | null, stoppedAt: string | null = null) {
    const [id] = await test.db('radacct').insert({
      acctuniqueid: debtor.username.padEnd(32, '0'),
      username: debtor.username,
      acctstarttime: '2026-03-01',
      acctstoptime: stoppedAt,
      router_id: routerId,
    });
    return String(id);
  }

  describe('createOverdueRun', () => {
    it('createOverdueRun, writes the plan down and suspends nobody', async () => {
      const debtor = await aDebtor(test.db);
      const { run, isNew } = await createOverdueRun(ctx, { asOf });
      expect(isNew).to.equal(true);
      expect(run).to.include({
        state: 'planned',
        subjectCount: 1,
        plannedCount: 1,
        plannedOpenMinor: 30_000n,
      });
      expect(await actionStates(test.db, run.id)).to.deep.equal(
        new Map([[debtor.subscriptionId, 'planned']]),
      );
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
    });

    it('createOverdueRun, when the once_key comes again, gives the first run as it is', async () => {
      await aDebtor(test.db);
      const first = await createOverdueRun(ctx, { asOf, onceKey: 'scheduled:2026-03-20' });
      await aDebtor(test.db);
      const again = await createOverdueRun(ctx, { asOf, onceKey: 'scheduled:2026-03-20' });
      expect(again.isNew).to.equal(false);
      expect(again.run).to.deep.equal(first.run);
    });

    it('createOverdueRun, when its planning was killed, plans afresh and forgets who has paid since', async () => {
      const paid = await aDebtor(test.db);
      const owing = await aDebtor(test.db);
      const { run } = await createOverdueRun(ctx, { asOf, onceKey: 'k' });
      await test.db('overdue_run').where({ id: run.id }).update({ state: 'planning' });
      await markPaid(test.db, [paid.invoiceId]);
      const again = await createOverdueRun(ctx, { asOf, onceKey: 'k' });
      expect(again.run).to.include({ id: run.id, state: 'planned', plannedCount: 1 });
      expect([...(await actionStates(test.db, run.id)).keys()]).to.deep.equal([owing.subscriptionId]);
    });

    it('createOverdueRun, twice at once with one key, is one run with one action for each', async () => {
      await manyDebtors(test.db, 40);
      const both = await Promise.all([
        createOverdueRun(ctx, { asOf, onceKey: 'k' }),
        createOverdueRun(ctx, { asOf, onceKey: 'k' }),
      ]);
      expect(both[0].run.id).to.equal(both[1].run.id);
      expect(await test.db('overdue_run').select('state')).to.deep.equal([{ state: 'planned' }]);
      expect((await actionStates(test.db, both[0].run.id)).size).to.equal(40);
    });

    it('createOverdueRun, above the limit in share and number, is held and says why', async () => {
      await saveSettings(test.db, { overdueLimitPermille: 500, overdueLimitCount: 5 }, ctx.clock.now());
      await manyDebtors(test.db, 10, (n) => n <= 6);
      const { run } = await createOverdueRun(ctx, { asOf });
      expect(run.state).to.equal('held');
      expect(run.heldBecause).to.equal(
        'would suspend 6 of 10 active subscriptions; the limit is 500 in 1000 and 5',
      );
    });

    it('createOverdueRun, for a day that does not exist, names the field and the rule', async () => {
      const error = await createOverdueRun(ctx, { asOf: '2026-02-30' }).catch((caught: unknown) => caught);
      expect(error).to.include({ kind: 'invalid', field: 'asOf' });
    });
  });

  describe('applyOverdueRun', () => {
    it('applyOverdueRun, suspends with the effect of the profile, with a trail, and asks for the logins', async () => {
      const effects = [
        ['block', null],
        ['throttle', '512k/1M'],
        ['walled_garden', null],
      ] as const;
      for (const [overdueEffect, throttleRate] of effects) {
        const billingProfileId = await aBillingProfile(test.db, { overdueEffect, throttleRate });
        await aDebtor(test.db, { billingProfileId });
      }
      const runId = await planned();
      const result = await applyOverdueRun(ctx, { runId });
      expect(result).to.deep.include({ ok: true });
      if (!result.ok) return;
      expect(result.run).to.include({ state: 'applied' });
      expect(result.counts).to.include({ planned: 0, applied: 3 });
      const rows = await test
        .db('suspension')
        .orderBy('id')
        .select('cause', 'effect', 'throttle_rate', 'opened_by', 'opened_by_run_id');
      expect(rows).to.deep.equal(
        effects.map(([effect, rate]) => ({
          cause: 'overdue',
          effect,
          throttle_rate: rate,
          opened_by: 'anna',
          opened_by_run_id: runId,
        })),
      );
      expect(await test.db('reconcile_queue').select('kind', 'priority', 'requested_by')).to.deep.equal(
        Array(3).fill({ kind: 'login', priority: 50, requested_by: `overdue-run:${runId}` }),
      );
      expect(await test.db('activity').where({ verb: 'suspension.open' }).select('id')).to.have.length(3);
      expect(ctx.woken).to.include('worker');
    });

    it('applyOverdueRun, again, changes nothing more', async () => {
      await manyDebtors(test.db, 7);
      const runId = await planned();
      const first = await applyOverdueRun(ctx, { runId });
      const again = await applyOverdueRun(ctx, { runId });
      expect(again).to.deep.equal(first);
      expect(await test.db('suspension').select('id')).to.have.length(7);
      expect(await test.db('activity').where({ verb: 'suspension.open' }).select('id')).to.have.length(7);
    });

    it('applyOverdueRun, decides again: what changed since the plan is left, with the reason', async () => {
      const [paid, partly, deferred, suspended, paused, gone, off, stricter, owing] = [
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
      ];
      const runId = await planned();
      await markPaid(test.db, [paid.invoiceId]);
      await test.db('invoice').where({ id: partly.invoiceId }).update({ open_minor: 1 });
      await test.db('deferral').insert({
        subscription_id: deferred.subscriptionId,
        source: 'promise',
        until_on: '2026-03-25',
        opened_at: '2026-03-20',
        opened_by: 'test',
      });
      await test.db('suspension').insert({
        subscription_id: suspended.subscriptionId,
        cause: 'overdue',
        effect: 'block',
        opened_at: '2026-03-20',
        opened_by: 'test',
      });
      await test.db('subscription').where({ id: paused.subscriptionId }).update({ state: 'paused' });
      await test.db('subscription').where({ id: gone.subscriptionId }).update({ state: 'terminated' });
      const profileOf = (debtor: Debtor) =>
        test
          .db('billing_profile')
          .whereIn(
            'id',
            test.db('subscriber').where({ id: debtor.subscriberId }).select('billing_profile_id'),
          );
      await profileOf(off).update({ is_overdue_run_on: false });
      await profileOf(stricter).update({ overdue_effect: 'walled_garden' });
      const result = await applyOverdueRun(ctx, { runId });
      expect(await actionStates(test.db, runId)).to.deep.equal(
        new Map([
          [paid.subscriptionId, 'changed: paid'],
          [partly.subscriptionId, 'applied'],
          [deferred.subscriptionId, 'changed: deferred'],
          [suspended.subscriptionId, 'changed: already_suspended'],
          [paused.subscriptionId, 'changed: paused'],
          [gone.subscriptionId, 'changed: terminated'],
          [off.subscriptionId, 'changed: profile_off'],
          [stricter.subscriptionId, 'changed: effect_changed'],
          [owing.subscriptionId, 'applied'],
        ]),
      );
      expect(result.ok && result.counts).to.include({ applied: 2, changed: 7 });
    });

    it("applyOverdueRun, as of a day that has not come in the operator's zone, refuses", async () => {
      await aDebtor(test.db);
      const { run } = await createOverdueRun(ctx, { asOf: '2026-03-21' });
      expect(await applyOverdueRun(ctx, { runId: run.id })).to.include({ ok: false, reason: 'future_as_of' });
      // In Kolkata (UTC+5:30) that day begins at 18:30 UTC.
      await saveSettings(test.db, { zone: 'Asia/Kolkata' }, ctx.clock.now());
      ctx.clock.set('2026-03-20T18:29:59Z');
      expect(await applyOverdueRun(ctx, { runId: run.id })).to.include({ ok: false, reason: 'future_as_of' });
      ctx.clock.set('2026-03-20T18:30:00Z');
      expect(await applyOverdueRun(ctx, { runId: run.id })).to.include({ ok: true });
    });

    it('applyOverdueRun, of a run that is held, cancelled or still being planned, refuses', async () => {
      const debtor = await aDebtor(test.db);
      const runId = await planned();
      for (const [state, reason] of [
        ['held', 'not_approved'],
        ['cancelled', 'cancelled'],
        ['planning', 'not_planned_yet'],
        ['rolled_back', 'rolled_back'],
      ] as const) {
        await test.db('overdue_run').where({ id: runId }).update({ state });
        expect(await applyOverdueRun(ctx, { runId })).to.include({ ok: false, reason });
      }
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
    });

    it('applyOverdueRun, of a run that is not there, says so', async () => {
      const error = await applyOverdueRun(ctx, { runId: '999' as OverdueRunId }).catch(
        (caught: unknown) => caught,
      );
      expect(error).to.include({ kind: 'not_found' });
    });

    it('applyOverdueRun, with one broken subscriber, parks that one and suspends all others', async () => {
      const debtors = await manyDebtors(test.db, 33);
      const broken = debtors[20];
      const runId = await planned();
      await breakFor(broken);
      try {
        const result = await applyOverdueRun(ctx, { runId, batchSize: 16 });
        expect(result.ok && result.counts).to.include({ applied: 32, parked: 1, planned: 0 });
      } finally {
        await test.db.raw('DROP TRIGGER broken_subscriber');
      }
      const states = await actionStates(test.db, runId);
      expect(states.get(broken?.subscriptionId ?? '')).to.equal(
        'parked: database or system error ER_SIGNAL_EXCEPTION',
      );
      const parked = await test.db('parked').select('subscription_id', 'run_kind', 'settled_at');
      expect(parked).to.deep.equal([
        { subscription_id: broken?.subscriptionId, run_kind: 'overdue', settled_at: null },
      ]);
    });

    it('applyOverdueRun, when a parked subscriber works in a later run, takes it off the list', async () => {
      const debtor = await aDebtor(test.db);
      const runId = await planned();
      await breakFor(debtor);
      try {
        await applyOverdueRun(ctx, { runId });
      } finally {
        await test.db.raw('DROP TRIGGER broken_subscriber');
      }
      expect(await test.db('parked').whereNull('settled_at').select('id')).to.have.length(1);
      await applyOverdueRun(ctx, { runId: await planned() });
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(true);
      expect(await test.db('parked').whereNull('settled_at').select('id')).to.have.length(0);
    });

    it('applyOverdueRun, for a profile that throttles without a rate, parks its subscribers alone', async () => {
      const billingProfileId = await aBillingProfile(test.db, {
        overdueEffect: 'throttle',
        throttleRate: '1M/1M',
      });
      await test.db('billing_profile').where({ id: billingProfileId }).update({ throttle_rate: null });
      const broken = await aDebtor(test.db, { billingProfileId });
      const debtor = await aDebtor(test.db);
      const runId = await planned();
      expect((await actionStates(test.db, runId)).get(broken.subscriptionId)).to.equal(
        'parked: throttle_rate_missing',
      );
      await applyOverdueRun(ctx, { runId });
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(true);
      expect(await isSuspended(test.db, broken.subscriptionId)).to.equal(false);
      expect(await test.db('parked').select('reason')).to.deep.equal([{ reason: 'throttle_rate_missing' }]);
    });

    it('applyOverdueRun, tells its progress after each batch', async () => {
      await manyDebtors(test.db, 25);
      const runId = await planned();
      const seen: ApplyProgress[] = [];
      await applyOverdueRun(ctx, { runId, batchSize: 10, progress: (progress) => void seen.push(progress) });
      expect(seen.map(({ done, total }) => [done, total])).to.deep.equal([
        [10, 25],
        [20, 25],
        [25, 25],
      ]);
    });

    it('applyOverdueRun, when the database takes no writes, stops, parks nobody, and goes on later', async () => {
      await manyDebtors(test.db, 12);
      const runId = await planned();
      const server = await testMariaDb();
      await server.asRoot('SET GLOBAL read_only = 1');
      let error: unknown;
      try {
        await applyOverdueRun(ctx, { runId, batchSize: 5 }).catch((caught: unknown) => {
          error = caught;
        });
      } finally {
        await server.asRoot('SET GLOBAL read_only = 0');
      }
      expect(error).to.include({ errno: 1290 });
      expect(await test.db('parked').select('id')).to.have.length(0);
      const result = await applyOverdueRun(ctx, { runId });
      expect(result.ok && result.counts).to.include({ applied: 12, parked: 0 });
    });

    it('applyOverdueRun, when everybody fails alike, parks nobody and stops', async () => {
      await manyDebtors(test.db, 12);
      const runId = await planned();
      await test.db.raw(
        `CREATE TRIGGER broken_subscriber BEFORE INSERT ON suspension FOR EACH ROW
         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'broken on purpose'`,
      );
      let error: unknown;
      try {
        await applyOverdueRun(ctx, { runId }).catch((caught: unknown) => {
          error = caught;
        });
      } finally {
        await test.db.raw('DROP TRIGGER broken_subscriber');
      }
      expect(error).to.include({ kind: 'unavailable' });
      expect(await test.db('parked').select('id')).to.have.length(0);
      const result = await applyOverdueRun(ctx, { runId });
      expect(result.ok && result.counts).to.include({ applied: 12 });
    });

    async function breakFor(debtor: Debtor | undefined): Promise<void> {
      await test.db.raw(
        `CREATE TRIGGER broken_subscriber BEFORE INSERT ON suspension FOR EACH ROW
         IF NEW.subscription_id = ${debtor?.subscriptionId ?? ''} THEN
           SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'broken on purpose'; END IF`,
      );
    }
  });

  describe('excludeFromRun', () => {
    it('excludeFromRun, keeps the subscription out of this run and out of the next ones until its day', async () => {
      const [out, owing] = [await aDebtor(test.db), await aDebtor(test.db)];
      const runId = await planned();
      const excluded = await excludeFromRun(ctx, {
        runId,
        subscriptionIds: [out.subscriptionId],
        note: 'hospital',
        untilOn: '2026-03-23',
      });
      expect(excluded).to.deep.equal({
        ok: true,
        excluded: [out.subscriptionId],
        notPlanned: 0,
        untilOn: '2026-03-23',
      });
      await applyOverdueRun(ctx, { runId });
      expect(await isSuspended(test.db, out.subscriptionId)).to.equal(false);
      expect(await isSuspended(test.db, owing.subscriptionId)).to.equal(true);
      for (const [day, expected] of [
        ['2026-03-21', false],
        ['2026-03-22', false],
        ['2026-03-23', true],
      ] as const) {
        ctx.clock.set(`${day}T10:00:00Z`);
        await scheduledOverdueRun(asActor('schedule'));
        expect(await isSuspended(test.db, out.subscriptionId), day).to.equal(expected);
      }
    });

    it("excludeFromRun, for a subscriber, takes all of the subscriber's subscriptions", async () => {
      const debtor = await aDebtor(test.db);
      const second = await aSubscription(test.db, { subscriberId: debtor.subscriberId });
      const runId = await planned();
      const result = await excludeFromRun(ctx, { runId, subscriberIds: [debtor.subscriberId], note: 'n' });
      expect(result).to.deep.include({ ok: true, excluded: [debtor.subscriptionId, second] });
    });

    it('excludeFromRun, for what was suspended already or is not in the run, says so and defers nothing', async () => {
      const debtor = await aDebtor(test.db);
      const stranger = await aDebtor(test.db, { dueOn: '2026-06-01' });
      const runId = await planned();
      await test.db('overdue_run_action').where({ run_id: runId }).update({ state: 'applied' });
      const ids = [debtor.subscriptionId, stranger.subscriptionId];
      expect(await excludeFromRun(ctx, { runId, subscriptionIds: ids, note: 'n' })).to.deep.include({
        ok: true,
        excluded: [],
        notPlanned: 2,
      });
      expect(await test.db('deferral').select('id')).to.have.length(0);
    });

    it('excludeFromRun, twice, is one deferral', async () => {
      const debtor = await aDebtor(test.db);
      const runId = await planned();
      const input = { runId, subscriptionIds: [debtor.subscriptionId], note: 'n' };
      await excludeFromRun(ctx, input);
      await excludeFromRun(ctx, input);
      expect(await test.db('deferral').select('id')).to.have.length(1);
    });

    it('excludeFromRun, of a run that is over, refuses', async () => {
      const debtor = await aDebtor(test.db);
      const runId = await planned();
      await applyOverdueRun(ctx, { runId });
      expect(
        await excludeFromRun(ctx, { runId, subscriptionIds: [debtor.subscriptionId], note: 'n' }),
      ).to.include({ ok: false, reason: 'not_open' });
    });

    it('excludeFromRun, without a note, or until a day that is no later than today, names the field', async () => {
      const debtor = await aDebtor(test.db);
      const runId = await planned();
      const fieldOf = (note: string, untilOn: string) =>
        excludeFromRun(ctx, { runId, subscriptionIds: [debtor.subscriptionId], note, untilOn }).catch(
          (error: unknown) => (error as { field?: string }).field,
        );
      expect(await fieldOf(' ', '2026-03-25')).to.equal('note');
      expect(await fieldOf('n', '2026-03-20')).to.equal('untilOn');
      expect(await fieldOf('n', '2036-03-20')).to.equal('untilOn');
    });
  });

  describe('approveRun', () => {
    async function held(requestedBy: string): Promise<OverdueRunId> {
      await saveSettings(test.db, { overdueLimitPermille: 0, overdueLimitCount: 0 }, ctx.clock.now());
      await aDebtor(test.db);
      const { run } = await createOverdueRun(asActor(requestedBy), { asOf });
      expect(run.state).to.equal('held');
      return run.id;
    }

    it('approveRun, by the person who asked for the run, refuses', async () => {
      const runId = await held('anna');
      expect(await approveRun(ctx, { runId })).to.include({ ok: false, reason: 'needs_another_person' });
      expect(await applyOverdueRun(ctx, { runId })).to.include({ ok: false, reason: 'not_approved' });
    });

    it('approveRun, by another person, lets the run be applied', async () => {
      const runId = await held('anna');
      expect(await approveRun(asActor('bert'), { runId })).to.include({ ok: true });
      const applied = await applyOverdueRun(ctx, { runId });
      expect(applied.ok && applied.run).to.include({ state: 'applied', approvedBy: 'bert' });
    });

    it('approveRun, of a scheduled run, may be any person but not the schedule', async () => {
      const runId = await held('schedule');
      expect(await approveRun(asActor('schedule'), { runId })).to.include({
        ok: false,
        reason: 'needs_a_person',
      });
      expect(await approveRun(ctx, { runId })).to.include({ ok: true });
      expect(await approveRun(ctx, { runId })).to.include({ ok: true });
    });

    it('approveRun, of a run that is not held, refuses', async () => {
      await aDebtor(test.db);
      expect(await approveRun(asActor('bert'), { runId: await planned() })).to.include({
        ok: false,
        reason: 'not_held',
      });
    });
  });

  describe('rollbackRun', () => {
    it('rollbackRun, closes what the run opened and keeps the next ticks away until the deferral ends', async () => {
      const debtors = await manyDebtors(test.db, 5);
      const runId = await planned();
      await applyOverdueRun(ctx, { runId });
      const result = await rollbackRun(asActor('bert'), { runId, note: 'wrong price list' });
      expect(result.ok && result.run).to.include({
        state: 'rolled_back',
        rolledBackBy: 'bert',
        rollbackNote: 'wrong price list',
      });
      expect(result.ok && result.counts).to.include({ rolled_back: 5, applied: 0 });
      expect(await suspensionsOf(test.db, debtors[0]?.subscriptionId ?? ('0' as never))).to.deep.equal([
        { cause: 'overdue', effect: 'block', closedBecause: 'rolled_back' },
      ]);
      const suspendedOn = async (day: string) => {
        ctx.clock.set(`${day}T10:00:00Z`);
        await scheduledOverdueRun(asActor('schedule'));
        return (await test.db('suspension').where({ open_cause: 'overdue' }).select('id')).length;
      };
      expect(await suspendedOn('2026-03-20')).to.equal(0);
      expect(await suspendedOn('2026-03-21')).to.equal(0);
      expect(await suspendedOn('2026-03-26')).to.equal(0);
      expect(await suspendedOn('2026-03-27')).to.equal(5);
    });

    it('rollbackRun, keeps what a payment closed, what another run opened and what staff hold', async () => {
      const [paid, again, held] = [await aDebtor(test.db), await aDebtor(test.db), await aDebtor(test.db)];
      const runId = await planned();
      await applyOverdueRun(ctx, { runId });
      const close = (debtor: Debtor, because: string) =>
        test
          .db('suspension')
          .where({ subscription_id: debtor.subscriptionId })
          .update({ closed_at: '2026-03-20', closed_because: because, closed_by: 'x' });
      await close(paid, 'paid');
      await close(again, 'lifted');
      await applyOverdueRun(ctx, { runId: (await createOverdueRun(ctx, { asOf })).run.id });
      await test.db('suspension').insert({
        subscription_id: held.subscriptionId,
        cause: 'staff',
        effect: 'block',
        opened_at: '2026-03-20',
        opened_by: 'x',
      });
      await rollbackRun(ctx, { runId, note: 'n' });
      const states = await actionStates(test.db, runId);
      expect(states.get(paid.subscriptionId)).to.equal('kept: closed_before');
      expect(states.get(again.subscriptionId)).to.equal('kept: closed_before');
      expect(states.get(held.subscriptionId)).to.equal('rolled_back');
      expect((await suspensionsOf(test.db, paid.subscriptionId)).at(0)?.closedBecause).to.equal('paid');
      expect(await isSuspended(test.db, again.subscriptionId), 'opened by the second run').to.equal(true);
      expect((await suspensionsOf(test.db, held.subscriptionId)).at(1)).to.include({
        cause: 'staff',
        closedBecause: null,
      });
    });

    it('rollbackRun, while the run is being applied, stops it and takes the rest out too', async () => {
      await manyDebtors(test.db, 30);
      const runId = await planned();
      let rolledBack: Promise<unknown> | undefined;
      const result = await applyOverdueRun(ctx, {
        runId,
        batchSize: 5,
        progress: ({ done }) => {
          if (done === 10) rolledBack = rollbackRun(asActor('bert'), { runId, note: 'stop' });
        },
      });
      await rolledBack;
      // The applier may have come to its end of the list first; either way nothing stays suspended.
      expect(result.ok ? 'applied' : result.reason).to.be.oneOf(['stopped', 'applied']);
      expect(await test.db('suspension').where({ open_cause: 'overdue' }).select('id')).to.have.length(0);
      expect(await test.db('deferral').where({ source: 'rollback' }).select('id')).to.have.length(30);
      expect(new Set((await actionStates(test.db, runId)).values())).to.deep.equal(new Set(['rolled_back']));
    });

    it('applyOverdueRun, when a rollback begins, suspends nobody more', async () => {
      await manyDebtors(test.db, 30);
      const runId = await planned();
      const result = await applyOverdueRun(ctx, {
        runId,
        batchSize: 5,
        progress: async ({ done }) => {
          if (done === 10)
            await test.db('overdue_run').where({ id: runId }).update({ state: 'rolling_back' });
        },
      });
      expect(result).to.include({ ok: false, reason: 'stopped' });
      expect(await test.db('suspension').select('id')).to.have.length(10);
      const rolledBack = await rollbackRun(ctx, { runId, note: 'n' });
      expect(rolledBack.ok && rolledBack.counts).to.include({ rolled_back: 30, planned: 0, applied: 0 });
    });

    it('rollbackRun, again, changes nothing', async () => {
      await manyDebtors(test.db, 3);
      const runId = await planned();
      await applyOverdueRun(ctx, { runId });
      const first = await rollbackRun(ctx, { runId, note: 'n' });
      expect(await rollbackRun(ctx, { runId, note: 'other' })).to.deep.equal(first);
      expect(await test.db('deferral').select('id')).to.have.length(3);
      expect(await test.db('activity').where({ verb: 'suspension.close' }).select('id')).to.have.length(3);
    });

    it('rollbackRun, of a run that was never applied, refuses', async () => {
      await aDebtor(test.db);
      expect(await rollbackRun(ctx, { runId: await planned(), note: 'n' })).to.include({
        ok: false,
        reason: 'not_applied',
      });
    });
  });

  describe('cancelRun', () => {
    it('cancelRun, before it begins, ends it; once it is applying, refuses', async () => {
      await aDebtor(test.db);
      const runId = await planned();
      expect(await cancelRun(ctx, { runId, note: 'n' })).to.include({ ok: true });
      expect(await cancelRun(ctx, { runId, note: 'n' })).to.include({ ok: true });
      const second = await planned();
      await test.db('overdue_run').where({ id: second }).update({ state: 'applying' });
      expect(await cancelRun(ctx, { runId: second, note: 'n' })).to.include({
        ok: false,
        reason: 'applying',
      });
    });
  });

  describe('scheduledOverdueRun', () => {
    const tick = () => scheduledOverdueRun(asActor('schedule'));

    it('scheduledOverdueRun, when the tick is doubled, is one run and one suspension each', async () => {
      await manyDebtors(test.db, 20);
      const [first, second] = await Promise.all([tick(), tick()]);
      const third = await tick();
      expect(first.run.id).to.equal(second.run.id);
      expect(third.run).to.include({ id: first.run.id, state: 'applied' });
      expect(await test.db('suspension').select('id')).to.have.length(20);
    });

    it("scheduledOverdueRun, when a tick was missed for days, does today's once", async () => {
      await manyDebtors(test.db, 3);
      ctx.clock.set('2026-03-20T10:00:00Z');
      await tick();
      ctx.clock.set('2026-03-29T10:00:00Z');
      await manyDebtors(test.db, 2);
      expect((await tick()).run).to.include({ plannedCount: 2, asOf: '2026-03-29' });
    });

    it('scheduledOverdueRun, above the limit, waits for a person and is applied once approved', async () => {
      await saveSettings(test.db, { overdueLimitPermille: 0, overdueLimitCount: 0 }, ctx.clock.now());
      const debtor = await aDebtor(test.db);
      const { run } = await tick();
      expect(run.state).to.equal('held');
      await tick();
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(false);
      await approveRun(ctx, { runId: run.id });
      await tick();
      expect(await isSuspended(test.db, debtor.subscriptionId)).to.equal(true);
    });

    it('scheduledOverdueRun, finishes a run of another day that was killed while it applied', async () => {
      const debtor = await aDebtor(test.db);
      const runId = await planned();
      await test.db('overdue_run').where({ id: runId }).update({ state: 'applying' });
      ctx.clock.set('2026-03-21T10:00:00Z');
      const { run, resumed } = await tick();
      expect(resumed).to.deep.equal([runId]);
      expect(run).to.include({ plannedCount: 0, state: 'applied' });
      expect((await actionStates(test.db, runId)).get(debtor.subscriptionId)).to.equal('applied');
    });

    it('scheduledOverdueRun, drops a scheduled plan of an earlier day that never began, and no other', async () => {
      await aDebtor(test.db);
      const old = await createOverdueRun(asActor('schedule'), { asOf, onceKey: `scheduled:${asOf}` });
      const byHand = await planned();
      ctx.clock.set('2026-03-21T10:00:00Z');
      await tick();
      const states = await test
        .db('overdue_run')
        .whereIn('id', [old.run.id, byHand])
        .orderBy('id')
        .pluck<string[]>('state');
      expect(states).to.deep.equal(['cancelled', 'planned']);
    });
  });

  describe('runSummary', () => {
    it('runSummary, counts actions, amounts, reasons and what came back from the network', async () => {
      const [paid, blocked, silent] = [
        await aDebtor(test.db),
        await aDebtor(test.db),
        await aDebtor(test.db),
      ];
      const runId = await planned();
      await markPaid(test.db, [paid.invoiceId]);
      await applyOverdueRun(ctx, { runId });
      await packet(blocked, { outcome: 'ack', requested_at: '2026-03-19' });
      await packet(blocked, { outcome: 'ack', confirmed_at: '2026-03-20 10:00:02', confirmed_by: 'stop' });
      await packet(silent, { outcome: 'timeout' });
      await decided(blocked);
      const summary = await runSummary(test.db, runId);
      expect(summary?.counts).to.include({ applied: 2, changed: 1 });
      expect(summary?.openMinor).to.deep.equal({ applied: 60_000n, changed: 30_000n });
      expect(summary?.why).to.deep.equal([{ state: 'changed', why: 'paid', count: 1 }]);
      expect(summary?.evidence).to.deep.equal({
        logins: 2,
        decided: 1,
        sent: 0,
        acknowledged: 0,
        confirmed: 1,
        refused: 0,
        silent: 1,
        superseded: 0,
        nothingSent: 0,
      });
      const evidence = await evidenceOf(test.db, runId, blocked.subscriberId);
      expect(evidence).to.have.length(1);
      expect(evidence[0]).to.include({
        username: blocked.username,
        access: 'denied',
        reason: 'invoice_overdue',
      });
      expect(evidence[0]?.packets).to.have.length(1);
      expect(evidence[0]?.packets[0]).to.include({ outcome: 'ack', confirmedBy: 'stop' });
    });

    it('runSummary, before any packet, says that nothing was sent', async () => {
      await aDebtor(test.db);
      const runId = await planned();
      await applyOverdueRun(ctx, { runId });
      expect((await runSummary(test.db, runId))?.evidence).to.include({
        logins: 1,
        nothingSent: 1,
        decided: 0,
      });
    });

    it('runActions, page by page, gives every action once with its subscriber and usernames', async () => {
      const debtors = await manyDebtors(test.db, 7);
      const runId = await planned();
      await applyOverdueRun(ctx, { runId });
      const seen: string[] = [];
      let after: { subscriberId: never; subscriptionId: never } | undefined;
      for (;;) {
        const page = await runActions(test.db, runId, {
          limit: 3,
          ...(after === undefined ? {} : { after }),
        });
        const last = page.at(-1);
        if (last === undefined) break;
        seen.push(...page.flatMap((action) => action.usernames));
        expect(last.suspension).to.include({ closedAt: null });
        after = last as never;
      }
      expect(seen).to.deep.equal(debtors.map((debtor) => debtor.username));
    });

    async function packet(debtor: Debtor, given: Record<string, unknown>): Promise<void> {
      await test.db('enforcement').insert({
        radacctid: 1,
        login_id: debtor.loginId,
        router_id: 1,
        action: 'disconnect',
        why: 'invoice_overdue',
        generation: 1,
        access_fingerprint: 'a',
        redial_fingerprint: 'b',
        attributes: '[]',
        requested_by: 'x',
        requested_at: '2026-03-20 10:00:01',
        sent_at: '2026-03-20 10:00:01',
        ...given,
      });
    }

    async function decided(debtor: Debtor): Promise<void> {
      await test.db('access_decision').insert({
        login_id: debtor.loginId,
        access: 'denied',
        reason: 'invoice_overdue',
        generation: 1,
        access_fingerprint: 'a',
        redial_fingerprint: 'b',
        coa_attributes: '[]',
        decided_at: '2026-03-20',
        requested_by: 'x',
      });
    }
  });
});
