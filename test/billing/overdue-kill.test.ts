import { expect } from 'chai';
import { createOverdueRun, excludeFromRun, scheduledOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { rollbackRun } from '../../src/billing/overdue-run-rollback.ts';
import { planOverdueRun } from '../../src/billing/overdue-run-plan.ts';
import type { CommandContext } from '../../src/command.ts';
import type { Db } from '../../src/db/knex.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { OverdueRunId } from '../../src/domain/ids.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import {
  contextOn,
  type Debtor,
  endState,
  forgetEverybody,
  Killed,
  manyDebtors,
  markPaid,
  mortalDb,
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
    const whole = mortalDb(test.address, Infinity);
    await act(contextOn(ctx, whole.db));
    const statements = whole.seen();
    await whole.bury();
    const expected = await endState(test.db);
    for (let diesAt = 1; diesAt <= statements; diesAt++) {
      await begin();
      await prepare();
      const mortal = mortalDb(test.address, diesAt, options);
      let death: unknown;
      try {
        await act(contextOn(ctx, mortal.db));
      } catch (error) {
        death = error;
      }
      await mortal.bury();
      expect(death, `no death at statement ${diesAt} of ${statements}`).to.be.instanceOf(Error);
      if (diesAt === statements) expect(death).to.be.instanceOf(Killed);
      await act(ctx);
      expect(await endState(test.db), `killed at statement ${diesAt} of ${statements}`).to.deep.equal(
        expected,
      );
    }
    return statements;
  }

  const onlyRun = async (): Promise<OverdueRunId> =>
    (await test.db('overdue_run').orderBy('id').first<{ id: OverdueRunId }>('id')).id;

  it('createOverdueRun, killed anywhere, ends in one complete plan', async () => {
    const statements = await survives(
      () => Promise.resolve(),
      (mortal) => createOverdueRun(mortal, { asOf, onceKey: 'k' }),
    );
    expect(statements).to.be.greaterThan(10);
  });

  for (const afterAnswer of [false, true]) {
    const when = afterAnswer ? 'with the answer of its last statement lost' : 'before a statement';
    it(`applyOverdueRun, killed ${when}, suspends each debtor once and nobody else`, async () => {
      const statements = await survives(
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
      expect(statements).to.be.greaterThan(30);
      expect(await test.db('suspension').select('id')).to.have.length(5);
    });

    it(`rollbackRun, killed ${when}, takes each suspension back once`, async () => {
      const statements = await survives(
        async () => {
          const { run } = await createOverdueRun(ctx, { asOf });
          await applyOverdueRun(ctx, { runId: run.id });
        },
        async (mortal) => rollbackRun(mortal, { runId: await onlyRun(), note: 'n', batchSize }),
        { afterAnswer },
      );
      expect(statements).to.be.greaterThan(30);
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

  it('planOverdueRun, killed anywhere, has written nothing', async () => {
    await begin();
    const before = await endState(test.db);
    for (let diesAt = 1; diesAt <= 4; diesAt++) {
      const mortal = mortalDb(test.address, diesAt);
      await planOverdueRun(mortal.db, parseDay(asOf), () => undefined).catch(() => undefined);
      await mortal.bury();
    }
    expect(await endState(test.db)).to.deep.equal(before);
  });
});
