import { expect } from 'chai';
import { leaseLanes, releaseLanes, routersWithDueSessions, saveLaneState } from '../../src/db/lanes.ts';
import { claim } from '../../src/db/reconcile-queue.ts';
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
        if (ours.length > 0) await releaseLanes(t.db, [router], owner.repeat(36));
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

  it('routersWithDueSessions, when the owner let go of the lane and lost track of a claim, gives the router at once', async () => {
    const [router, owner, other] = [asId<RouterId>('1'), 'a'.repeat(36), 'b'.repeat(36)];
    await t.db('reconcile_queue').insert({
      kind: 'session',
      key: 7,
      version: 1,
      not_before: '2026-01-01 00:00:00',
      router_id: router,
      requested_by: 'test',
      requested_at: '2026-01-01 00:00:00',
    });
    await leaseLanes(t.db, [router], { owner, ms: 60_000 });
    expect(await claim(t.db, 'session', { limit: 5, leaseMs: 60_000, routerId: router })).to.have.lengthOf(1);
    expect(await routersWithDueSessions(t.db, { owner: owner, except: [], limit: 5 })).to.deep.equal([]);
    expect(await routersWithDueSessions(t.db, { owner: other, except: [], limit: 5 })).to.deep.equal([]);
    await releaseLanes(t.db, [router], owner);
    expect(await routersWithDueSessions(t.db, { owner: other, except: [], limit: 5 })).to.deep.equal([
      router,
    ]);
    expect(await routersWithDueSessions(t.db, { owner: other, except: [router], limit: 5 })).to.deep.equal(
      [],
    );
    await t.db('reconcile_queue').del();
  });
});
