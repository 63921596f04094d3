import { expect } from 'chai';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { sumBigRuns } from '../../src/billing/run-sums.ts';
import { bigRun, findRunSums, sumRun } from '../../src/db/run-sums.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { manyDebtors } from '../support/overdue.ts';
import { openTestWeb, type TestWeb } from '../support/web.ts';

describe('sumBigRuns', function () {
  this.timeout(120_000);
  let web: TestWeb;

  before(async () => {
    web = await openTestWeb('2026-04-01T10:00:00Z');
    await saveSettings(web.t.db, { overdueLimitCount: 100_000 }, web.clock.now());
  });
  after(() => web.close());

  it('of a run over thousands, keeps what its page would sum, again only while something can have changed', async () => {
    const ctx = web.app.context('finance');
    await manyDebtors(web.t.db, bigRun + 1);
    const { run } = await createOverdueRun(ctx, { asOf: '2026-04-01' });
    expect(await sumBigRuns(ctx)).to.deep.equal([run.id]);
    expect(await sumBigRuns(ctx)).to.deep.equal([]);
    const kept = await findRunSums(web.t.db, run.id);
    expect(kept?.sums).to.deep.equal(await sumRun(web.t.db, run.id));
    expect(kept?.sums.totals.effects.every((one) => typeof one.openMinor === 'bigint')).to.equal(true);

    // The page shows them as long as the actions stand as they stood.
    const finance = await web.as('finance');
    await web.t.db('overdue_run_sums').update({
      sums: web.t.db.raw(`REPLACE(sums, '"subscriptions":${bigRun + 1}', '"subscriptions":4711')`),
    });
    expect((await finance.get(`/runs/${run.id}`)).text).to.include('4,711');
    await web.t.db('overdue_run_action').where({ run_id: run.id }).limit(1).update({ state: 'excluded' });
    const live = (await finance.get(`/runs/${run.id}`)).text;
    expect(live).to.not.include('4,711');
    expect(await sumBigRuns(ctx)).to.deep.equal([run.id]);
    expect((await findRunSums(web.t.db, run.id))?.sums.counts).to.include({ excluded: 1, planned: bigRun });

    await web.t.db('overdue_run').where({ id: run.id }).update({ state: 'planned' });
    await applyOverdueRun(ctx, { runId: run.id });
    expect(await sumBigRuns(ctx)).to.deep.equal([run.id]);
    expect(await sumBigRuns(ctx), 'routers may still answer').to.deep.equal([run.id]);
    web.clock.advance(3_600_001);
    await sumBigRuns(ctx);
    web.clock.advance(60_000);
    expect(await sumBigRuns(ctx)).to.deep.equal([]);
  });
});
