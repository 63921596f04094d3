import { expect } from 'chai';
import { planOverdueRun, type PlanPage } from '../../src/billing/overdue-run-plan.ts';
import { stretchesOfDebtors } from '../../src/db/overdue-plan-page.ts';
import { parseDay } from '../../src/domain/day.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { manyDebtors, wholePlan } from '../support/overdue.ts';

const asOf = '2026-03-20';

describe('an overdue plan is read in stretches of ids', () => {
  let test: TestDb;
  let subscribers: string[];
  before(async () => {
    test = await testDb();
    const sizes = [5, 40, 7, 1];
    // Islands of ids: at the beginning, across a border of stretches, and far behind gaps.
    for (const [index, from] of [1, 4980, 30_000, 40_000_000].entries()) {
      if (index > 0) await aGap(from);
      await manyDebtors(test.db, sizes[index] ?? 0);
    }
    await test.db('subscriber').where({ name: 'gap' }).del();
    subscribers = await test.db('subscriber').orderBy('id').pluck<string[]>('id');
  });
  after(() => test.drop());

  async function aGap(upTo: number): Promise<void> {
    const profile = await test.db('billing_profile').first<{ id: string }>('id');
    await test.db('subscriber').insert({
      id: upTo - 1,
      name: 'gap',
      billing_profile_id: profile.id,
      created_at: '2026-01-01',
    });
  }

  it('planOverdueRun, of ids with gaps and in pages of any size, plans everybody once and in order', async () => {
    for (const pageSize of [1, 3, 1000]) {
      const { actions } = await wholePlan(test.db, asOf, { pageSize });
      expect(actions.map((action) => action.subscriberId)).to.deep.equal(subscribers);
    }
  });

  it('planOverdueRun, page after page, leaves no id between two of them and none beside them', async () => {
    const pages: PlanPage[] = [];
    await planOverdueRun(test.db, parseDay(asOf), (page) => void pages.push(page), { pageSize: 3 });
    expect(pages.map((page) => page.after)).to.deep.equal([
      null,
      ...pages.slice(0, -1).map((page) => page.upTo),
    ]);
    expect(pages.at(-1)?.upTo).to.equal(null);
    expect(pages.slice(0, -1).every((page) => page.upTo !== null)).to.equal(true);
  });

  it('stretchesOfDebtors, of ids that are far apart, are a bounded number', async () => {
    expect((await stretchesOfDebtors(test.db)).length).to.be.within(300, 401);
  });

  it('stretchesOfDebtors, where nobody owes, are one without bounds', async () => {
    await test.db('invoice').update({ state: 'paid', open_minor: 0 });
    expect(await stretchesOfDebtors(test.db)).to.deep.equal([{ after: null, upTo: null }]);
    expect((await wholePlan(test.db, asOf)).actions).to.deep.equal([]);
  });

  it('planOverdueRun, when a page fails, ends with that error and nothing is left that rejects', async () => {
    await test.db('invoice').update({ state: 'open', open_minor: test.db.ref('total_minor') });
    const plan = planOverdueRun(test.db, parseDay(asOf), () => Promise.reject(new Error('no more')), {
      pageSize: 2,
    });
    let thrown: unknown;
    await plan.catch((error: unknown) => (thrown = error));
    expect(thrown).to.be.instanceOf(Error).with.property('message', 'no more');
  });
});
