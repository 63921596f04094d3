import { expect } from 'chai';
import { createOverdueRun, excludeFromRun, scheduledOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { rollbackRun } from '../../src/billing/overdue-run-rollback.ts';
import { planOverdueRun } from '../../src/billing/overdue-run-plan.ts';
import { promiseToPay } from '../../src/billing/promises.ts';
import type { CommandContext } from '../../src/command.ts';
import type { Db } from '../../src/db/knex.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { OverdueRunId, SubscriberId } from '../../src/domain/ids.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { mortalDb } from '../support/mortal-db.ts';
import {
  contextOn,
  type Debtor,
  endState,
  forgetEverybody,
  manyDebtors,
  markPaid,
} from '../support/overdue.ts';

const asOf = '2026-03-20';
const batchSize = 3;

/**
 * Each story is told once without a fault, and then again and again, with the process killed at its first statement,
 * its second, and so on to the last; after each death it is called again, and must end in the state of the first telling.
 */
describe('the overdue run, killed at any statement and called again', function () {
  this.timeout(180_000);
  let test: TestDb;
  let ctx: TestContext;
  let debtors: Debtor[];
  before(async () => {
    test = await testDb();
  });
  after(() => test.drop());

  async function begin(): Promise<void> {
    await forgetEverybody(test.db);
    await restartIds(test.db);
    ctx = testContext(test.db, { now: '2026-03-20T10:00:00Z', actor: 'schedule', correlationId: 'story' });
    debtors = await manyDebtors(test.db, 8, (n) => n !== 5);
  }

  /** Ids begin anew, so that two tellings have the same rows. */
  async function restartIds(db: Db): Promise<void> {
    for (const table of ['subscriber', 'subscription', 'login', 'invoice', 'suspension', 'overdue_run']) {
      await db.raw(`ALTER TABLE ${table} AUTO_INCREMENT = 1`);
    }
  }

  async function survives(
    prepare: () => Promise<void>,
    act: (mortal: CommandContext) => Promise<unknown>,
    options: { afterAnswer?: boolean } = {},
  ): Promise<number> {
    await begin();
    await prepare();
    const whole = await mortalDb(test.address);
    await act(contextOn(ctx, whole.db));
    const statements = whole.seen();
    // An answer matters where it says that something is done for good.
    const deaths =
      options.afterAnswer === true ? whole.commits() : Array.from({ length: statements }, (_, n) => n + 1);
    await whole.close();
    const expected = await endState(test.db);
    for (const diesAt of deaths) {
      await begin();
      await prepare();
      const mortal = await mortalDb(test.address, { diesAt, ...options });
      let death: unknown;
      try {
        await act(contextOn(ctx, mortal.db));
      } catch (error) {
        death = error;
      }
      await mortal.close();
      expect(death, `no death at statement ${diesAt} of ${statements}`).to.be.instanceOf(Error);
      await act(ctx);
      expect(await endState(test.db), `killed at statement ${diesAt} of ${statements}`).to.deep.equal(
        expected,
      );
    }
    return deaths.length;
  }

  const onlyRun = async (): Promise<OverdueRunId> =>
    (await test.db('overdue_run').orderBy('id').first<{ id: OverdueRunId }>('id')).id;

  it('createOverdueRun, killed anywhere, ends in one complete plan', async () => {
    const deaths = await survives(
      () => Promise.resolve(),
      (mortal) => createOverdueRun(mortal, { asOf, onceKey: 'k' }),
    );
    expect(deaths).to.be.greaterThan(10);
  });

  for (const afterAnswer of [false, true]) {
    const when = afterAnswer ? 'before the answer to a COMMIT' : 'at a statement';
    it(`applyOverdueRun, killed ${when}, suspends each debtor once and nobody else`, async () => {
      const deaths = await survives(
        async () => {
          const { run } = await createOverdueRun(ctx, { asOf });
          await excludeFromRun(ctx, {
            runId: run.id,
            subscriptionIds: debtors.slice(1, 2).map((debtor) => debtor.subscriptionId),
            note: 'n',
          });
          await markPaid(
            test.db,
            debtors.slice(2, 3).map((debtor) => debtor.invoiceId),
          );
        },
        async (mortal) => applyOverdueRun(mortal, { runId: await onlyRun(), batchSize }),
        { afterAnswer },
      );
      expect(deaths).to.be.greaterThan(afterAnswer ? 3 : 30);
      expect(await test.db('suspension').select('id')).to.have.length(5);
    });

    it(`rollbackRun, killed ${when}, takes each suspension back once`, async () => {
      const deaths = await survives(
        async () => {
          const { run } = await createOverdueRun(ctx, { asOf });
          await applyOverdueRun(ctx, { runId: run.id });
        },
        async (mortal) => rollbackRun(mortal, { runId: await onlyRun(), note: 'n', batchSize }),
        { afterAnswer },
      );
      expect(deaths).to.be.greaterThan(afterAnswer ? 3 : 30);
      expect(await test.db('suspension').where({ open_cause: 'overdue' }).select('id')).to.have.length(0);
      expect(await test.db('deferral').select('id')).to.have.length(7);
    });
  }

  it('scheduledOverdueRun, killed anywhere from planning to its end, is one run and one suspension each', async () => {
    await survives(() => Promise.resolve(), scheduledOverdueRun);
    expect(await test.db('overdue_run').select('state', 'planned_count')).to.deep.equal([
      { state: 'applied', planned_count: 7 },
    ]);
  });

  it('promiseToPay, when the answer to its COMMIT is lost, gives service back once', async () => {
    await begin();
    await scheduledOverdueRun(ctx);
    const { db, hasBroken, close } = await mortalDb(test.address, { losesFirstCommit: true });
    const subscriberId = debtors[0]?.subscriberId ?? ('0' as SubscriberId);
    try {
      const result = await promiseToPay(contextOn(ctx, db), { subscriberId, payBy: '2026-03-25', note: 'n' });
      expect(result).to.deep.include({ ok: true, deferredUntil: '2026-03-26' });
    } finally {
      await close();
    }
    expect(hasBroken()).to.equal(true);
    expect(await test.db('deferral').select('id')).to.have.length(1);
    expect(await test.db('activity').where({ verb: 'suspension.close' }).select('id')).to.have.length(1);
    expect(await test.db('activity').where({ verb: 'subscriber.promise' }).select('id')).to.have.length(1);
  });

  it('createOverdueRun and excludeFromRun, when the answer to a COMMIT is lost, have done it once', async () => {
    await begin();
    const first = await mortalDb(test.address, { losesFirstCommit: true });
    const { run } = await createOverdueRun(contextOn(ctx, first.db), { asOf });
    await first.close();
    expect(first.hasBroken()).to.equal(true);
    expect(await test.db('overdue_run').select('state', 'planned_count')).to.deep.equal([
      { state: 'planned', planned_count: 7 },
    ]);
    const second = await mortalDb(test.address, { losesFirstCommit: true });
    const subscriptionIds = debtors.slice(0, 2).map((debtor) => debtor.subscriptionId);
    const excluded = await excludeFromRun(contextOn(ctx, second.db), {
      runId: run.id,
      subscriptionIds,
      note: 'n',
    });
    await second.close();
    expect(second.hasBroken()).to.equal(true);
    expect(excluded).to.deep.include({ ok: true, excluded: subscriptionIds, notPlanned: 0 });
    expect(await test.db('activity').where({ verb: 'overdue_run.exclude' }).select('id')).to.have.length(2);
  });

  it('applyOverdueRun, when the answer to a COMMIT is lost, goes on by itself', async () => {
    await begin();
    const { run } = await createOverdueRun(ctx, { asOf });
    const { db, hasBroken, close } = await mortalDb(test.address, { losesFirstCommit: true });
    try {
      const result = await applyOverdueRun(contextOn(ctx, db), { runId: run.id, batchSize });
      expect(result.ok && result.counts).to.include({ applied: 7, planned: 0, parked: 0 });
    } finally {
      await close();
    }
    expect(hasBroken()).to.equal(true);
  });

  it('planOverdueRun, killed anywhere, has written nothing', async () => {
    await begin();
    const before = await endState(test.db);
    for (let diesAt = 1; diesAt <= 4; diesAt++) {
      const mortal = await mortalDb(test.address, { diesAt });
      await planOverdueRun(mortal.db, parseDay(asOf), () => undefined).catch(() => undefined);
      await mortal.close();
    }
    expect(await endState(test.db)).to.deep.equal(before);
  });
});
