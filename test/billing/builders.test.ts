import { expect } from 'chai';
import {
  aLogin,
  anInvoice,
  aPool,
  aRouter,
  aSubscriber,
  aSubscription,
  aTaxRate,
  testContext,
  testVault,
} from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('test builders', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());

  it('aLogin, aRouter, seal their secrets where the vault opens them', async () => {
    const login = await aLogin(t.db, { password: 'Ünïcode' });
    const row = await t.db('login').where({ id: login.id }).first<{ secret: Buffer }>();
    expect(testVault().open(`login.secret:${login.id}`, row.secret)).to.equal('Ünïcode');
    const router = await aRouter(t.db);
    const stored = await t.db('router').where({ id: router.id }).first<{ secret: Buffer }>();
    expect(testVault().open(`router.secret:${router.id}`, stored.secret)).to.equal(router.secret);
  });

  it('the others, with nothing said, insert what belongs together', async () => {
    const subscriberId = await aSubscriber(t.db);
    const subscriptionId = await aSubscription(t.db, { subscriberId });
    await anInvoice(t.db, { subscriberId, subscriptionId });
    await aPool(t.db);
    await aTaxRate(t.db);
    expect(await t.db('subscription').where({ subscriber_id: subscriberId })).to.have.length(1);
  });

  it('testContext, writes wake-ups down and keeps its clock still', () => {
    const ctx = testContext(t.db, { now: '2026-03-05T00:00:00Z' });
    ctx.wake('worker');
    expect(ctx.woken).to.deep.equal(['worker']);
    expect(ctx.clock.now().toISOString()).to.equal('2026-03-05T00:00:00.000Z');
  });
});
