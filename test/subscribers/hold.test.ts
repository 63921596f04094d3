import { expect } from 'chai';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { promiseToPay } from '../../src/billing/promises.ts';
import type { SubscriberId, SubscriptionId } from '../../src/domain/ids.ts';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import { liftSuspension } from '../../src/subscribers/lift.ts';
import { aLogin, aSubscription, testContext, type TestContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { mortalDb } from '../support/mortal-db.ts';
import { aDebtor, contextOn, type Debtor, forgetEverybody, suspensionsOf } from '../support/overdue.ts';

describe('holds, lifts and promises', () => {
  let test: TestDb;
  let ctx: TestContext;
  let debtor: Debtor;
  before(async () => {
    test = await testDb();
  });
  after(() => test.drop());
  beforeEach(async () => {
    await forgetEverybody(test.db);
    ctx = testContext(test.db, { now: '2026-03-20T10:00:00Z', actor: 'anna' });
    debtor = await aDebtor(test.db);
  });

  const suspendAll = async () => {
    const { run } = await createOverdueRun(ctx, { asOf: '2026-03-20' });
    await applyOverdueRun(ctx, { runId: run.id });
    await test.db('reconcile_queue').delete();
  };
  const hold = (given: Partial<Parameters<typeof holdSubscription>[1]> = {}) =>
    holdSubscription(ctx, {
      subscriptionId: debtor.subscriptionId,
      cause: 'staff',
      effect: 'block',
      note: 'moved out',
      ...given,
    });
  const fieldOf = (act: Promise<unknown>) =>
    act.then(
      () => 'no error',
      (error: unknown) => (error as { field?: string }).field,
    );

  describe('holdSubscription', () => {
    it('holdSubscription, opens a row with who, what and why, logs it and asks for the login first', async () => {
      expect(await hold()).to.deep.equal({ ok: true, held: [debtor.subscriptionId], already: [] });
      const row = await test.db('suspension').first<Record<string, unknown>>();
      expect(row).to.include({
        cause: 'staff',
        effect: 'block',
        throttle_rate: null,
        opened_by: 'anna',
        opened_by_run_id: null,
        note: 'moved out',
        closed_at: null,
      });
      const log = await test.db('activity').first<Record<string, string>>();
      expect(log).to.include({ verb: 'suspension.open', actor: 'anna', subscriber_id: debtor.subscriberId });
      expect(await test.db('reconcile_queue').select('kind', 'key', 'priority')).to.deep.equal([
        { kind: 'login', key: debtor.loginId, priority: 80 },
      ]);
      expect(ctx.woken).to.deep.equal(['worker']);
    });

    it('holdSubscription, for a subscriber, holds every living subscription and asks for living logins only', async () => {
      const second = await aSubscription(test.db, { subscriberId: debtor.subscriberId, state: 'paused' });
      await aSubscription(test.db, { subscriberId: debtor.subscriberId, state: 'terminated' });
      await aLogin(test.db, { subscriptionId: second, retiredAt: new Date('2026-01-05T00:00:00Z') });
      const result = await holdSubscription(ctx, {
        subscriberId: debtor.subscriberId,
        cause: 'fraud',
        effect: 'walled_garden',
        note: 'n',
      });
      expect(result).to.deep.include({ ok: true, held: [debtor.subscriptionId, second] });
      expect(await test.db('reconcile_queue').pluck<string[]>('key')).to.deep.equal([debtor.loginId]);
    });

    it('holdSubscription, when the cause is open already, refuses; another cause goes beside it', async () => {
      await hold();
      expect(await hold({ note: 'again' })).to.deep.equal({ ok: false, reason: 'already_held' });
      expect(await hold({ cause: 'fraud' })).to.include({ ok: true });
      expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.have.length(2);
    });

    it('holdSubscription, when the answer to its COMMIT is lost, is one hold and no refusal', async () => {
      const { db, hasBroken, close } = await mortalDb(test.address, { losesFirstCommit: true });
      try {
        const input = {
          subscriptionId: debtor.subscriptionId,
          cause: 'staff',
          effect: 'block',
          note: 'n',
        } as const;
        expect(await holdSubscription(contextOn(ctx, db), input)).to.deep.equal({
          ok: true,
          held: [debtor.subscriptionId],
          already: [],
        });
      } finally {
        await close();
      }
      expect(hasBroken()).to.equal(true);
      expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.have.length(1);
    });

    it('holdSubscription, for a terminated subscription, refuses; for one that is not there, says so', async () => {
      const gone = await aSubscription(test.db, { state: 'terminated' });
      expect(await hold({ subscriptionId: gone })).to.deep.equal({ ok: false, reason: 'terminated' });
      const error = await hold({ subscriptionId: '999999' as SubscriptionId }).catch(
        (caught: unknown) => caught,
      );
      expect(error).to.include({ kind: 'not_found' });
    });

    it('holdSubscription, to a rate, keeps the rate; without one, or with one that is none, names the field', async () => {
      expect(await hold({ effect: 'throttle', throttleRate: '512k/2M' })).to.include({ ok: true });
      expect(await test.db('suspension').pluck<string[]>('throttle_rate')).to.deep.equal(['512k/2M']);
      expect(await fieldOf(hold({ effect: 'throttle' }))).to.equal('throttleRate');
      expect(await fieldOf(hold({ effect: 'throttle', throttleRate: 'slow' }))).to.equal('throttleRate');
      expect(await fieldOf(hold({ effect: 'block', throttleRate: '1M/1M' }))).to.equal('throttleRate');
    });

    it('holdSubscription, with a bad cause, no note, or both ids, names the field', async () => {
      expect(await fieldOf(hold({ cause: 'overdue' }))).to.equal('cause');
      expect(await fieldOf(hold({ note: '' }))).to.equal('note');
      expect(await fieldOf(hold({ note: 'x'.repeat(256) }))).to.equal('note');
      expect(await fieldOf(hold({ subscriberId: debtor.subscriberId }))).to.equal('subscriptionId');
    });
  });

  describe('liftSuspension', () => {
    const lift = (given: Partial<Parameters<typeof liftSuspension>[1]> = {}) =>
      liftSuspension(ctx, { subscriptionId: debtor.subscriptionId, note: 'promised by phone', ...given });

    it('liftSuspension, of an overdue suspension, closes it and records until when the run stays away', async () => {
      await suspendAll();
      expect(await lift()).to.deep.equal({
        ok: true,
        lifted: [{ subscriptionId: debtor.subscriptionId, cause: 'overdue' }],
        deferredUntil: '2026-03-27',
      });
      expect((await suspensionsOf(test.db, debtor.subscriptionId))[0]?.closedBecause).to.equal('lifted');
      expect(await test.db('deferral').select('source', 'until_on', 'opened_by', 'note')).to.deep.equal([
        { source: 'lift', until_on: '2026-03-27', opened_by: 'anna', note: 'promised by phone' },
      ]);
      expect(await test.db('reconcile_queue').pluck<number[]>('priority')).to.deep.equal([80]);
    });

    it('liftSuspension, of a hold of staff, records no deferral', async () => {
      await hold();
      expect(await lift()).to.deep.include({ ok: true, deferredUntil: null });
      expect(await test.db('deferral').select('id')).to.have.length(0);
    });

    it('liftSuspension, when several causes are open, refuses until it is told which', async () => {
      await suspendAll();
      await hold({ cause: 'fraud' });
      expect(await lift()).to.deep.equal({
        ok: false,
        reason: 'several_causes',
        causes: ['fraud', 'overdue'],
      });
      expect(await lift({ cause: 'overdue' })).to.include({ ok: true });
      expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.deep.include({
        cause: 'fraud',
        effect: 'block',
        closedBecause: null,
      });
    });

    it('liftSuspension, with nothing open, refuses', async () => {
      expect(await lift()).to.deep.equal({ ok: false, reason: 'nothing_open' });
      await hold();
      expect(await lift()).to.include({ ok: true });
      expect(await lift()).to.deep.equal({ ok: false, reason: 'nothing_open' });
    });

    it('liftSuspension, when the answer to its COMMIT is lost, is one lift and no refusal', async () => {
      await suspendAll();
      const { db, hasBroken, close } = await mortalDb(test.address, { losesFirstCommit: true });
      try {
        const result = await liftSuspension(contextOn(ctx, db), {
          subscriptionId: debtor.subscriptionId,
          note: 'n',
        });
        expect(result).to.deep.include({ ok: true, deferredUntil: '2026-03-27' });
      } finally {
        await close();
      }
      expect(hasBroken()).to.equal(true);
      expect(await test.db('deferral').select('id')).to.have.length(1);
      expect(await test.db('activity').where({ verb: 'suspension.close' }).select('id')).to.have.length(1);
    });

    it('liftSuspension, until today or before, or without a note, names the field', async () => {
      await suspendAll();
      expect(await fieldOf(lift({ untilOn: '2026-03-20' }))).to.equal('untilOn');
      expect(await fieldOf(lift({ untilOn: 'soon' }))).to.equal('untilOn');
      expect(await fieldOf(lift({ note: ' ' }))).to.equal('note');
      expect((await suspensionsOf(test.db, debtor.subscriptionId))[0]?.closedBecause).to.equal(null);
    });
  });

  describe('promiseToPay', () => {
    const promise = (payBy: string) =>
      promiseToPay(ctx, { subscriberId: debtor.subscriberId, payBy, note: 'salary on the 25th' });

    it('promiseToPay, gives service back and keeps the run away until the day after', async () => {
      await suspendAll();
      const result = await promise('2026-03-25');
      expect(result).to.deep.include({ ok: true, deferredUntil: '2026-03-26' });
      expect(result.ok && result.restored).to.have.length(1);
      expect((await suspensionsOf(test.db, debtor.subscriptionId))[0]?.closedBecause).to.equal('promise');
    });

    it('promiseToPay, covers all living subscriptions and leaves a hold of staff open', async () => {
      const second = await aSubscription(test.db, { subscriberId: debtor.subscriberId });
      await suspendAll();
      await hold();
      const result = await promise('2026-03-25');
      expect(result.ok && result.restored).to.have.length(2);
      expect((await test.db('deferral').pluck<string[]>('subscription_id')).sort()).to.deep.equal(
        [debtor.subscriptionId, second].sort(),
      );
      expect((await suspensionsOf(test.db, debtor.subscriptionId)).at(-1)).to.deep.equal({
        cause: 'staff',
        effect: 'block',
        closedBecause: null,
      });
    });

    it('promiseToPay, before any suspension, keeps the run away all the same', async () => {
      const result = await promise('2026-03-20');
      expect(result).to.deep.include({ ok: true, restored: [], deferredUntil: '2026-03-21' });
      await suspendAll();
      expect(await suspensionsOf(test.db, debtor.subscriptionId)).to.deep.equal([]);
    });

    it('promiseToPay, for a day that is over or years ahead, names the field; for nobody, says so', async () => {
      expect(await fieldOf(promise('2026-03-19'))).to.equal('payBy');
      expect(await fieldOf(promise('2036-03-19'))).to.equal('payBy');
      const error = await promiseToPay(ctx, {
        subscriberId: '999999' as SubscriberId,
        payBy: '2026-03-25',
        note: 'n',
      }).catch((caught: unknown) => caught);
      expect(error).to.include({ kind: 'not_found' });
    });
  });
});
