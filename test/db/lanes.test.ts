import { expect } from 'chai';
import { leaseLanes, releaseLane, saveLaneState } from '../../src/db/lanes.ts';
import { asId, type RouterId } from '../../src/domain/ids.ts';
import { aRouter } from '../reconcile/session-support.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('lanes of routers', function () {
  this.timeout(60_000);
  let t: TestDb;
  before(async () => {
    t = await testDb();
    await aRouter(t.db, { id: '1' });
  });
  after(() => t.drop());

  it('saveLaneState, while other processes ask for the lane all the time, is never the victim of a deadlock', async () => {
    const router = asId<RouterId>('1');
    let isOver = false;
    const asking = ['a', 'b', 'c'].map(async (owner) => {
      while (!isOver) {
        const ours = await leaseLanes(t.db, [router], { owner: owner.repeat(36), ms: 1000 });
        if (ours.length > 0) await releaseLane(t.db, router, owner.repeat(36));
      }
    });
    try {
      for (let i = 0; i < 300; i++) {
        await saveLaneState(t.db, router, { isOpen: false, failures: i, hasAnswered: true });
      }
    } finally {
      isOver = true;
      await Promise.all(asking);
    }
    expect(await t.db('router_lane').first('failures')).to.deep.equal({ failures: 299 });
  });
});
