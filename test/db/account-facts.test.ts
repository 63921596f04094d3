import { expect } from 'chai';
import type { Knex } from 'knex';
import { loginFacts } from '../../src/db/account-facts.ts';
import { asId, type LoginId } from '../../src/domain/ids.ts';
import { parseRateLimit } from '../../src/domain/rate-limit.ts';
import { countStatements, manyLogins, openSuspension } from '../reconcile/login-support.ts';
import { aBillingProfile, aLogin, aPackage, aPool, aSubscriber, aSubscription } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';

describe('db/account-facts', () => {
  let test: TestDb;
  let db: Knex;
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());

  const factsOf = async (id: LoginId) => {
    const found = (await loginFacts(db, [id])).get(id);
    if (found?.ok !== true) throw new Error(found?.error ?? 'missing');
    return found.facts;
  };
  const aProfile = async (poolId: string | null) => {
    const [id] = await db('ppp_profile').insert({
      name: `profile-${Math.random()}`,
      pool_id: poolId,
      session_timeout_seconds: 100,
      idle_timeout_seconds: 200,
    });
    return String(id);
  };

  it('loginFacts, of a login, gathers login, subscription, package, pool and profile', async () => {
    const packageId = await aPackage(db, {
      rateLimit: '5M/20M',
      poolId: await aPool(db, { name: 'facts-pool', suspendedName: 'facts-pool-off' }),
      addressList: 'vip',
      interimSeconds: 120,
      ipv6Pool: 'v6',
      delegatedIpv6Pool: 'pd',
    });
    const validUntil = new Date('2026-05-01T10:00:00.250Z');
    const billingProfileId = await aBillingProfile(db, { throttleRate: '64k' });
    const subscriptionId = await aSubscription(db, {
      packageId,
      subscriberId: await aSubscriber(db, { billingProfileId }),
      validUntil,
      expiryEffect: 'throttle',
    });
    const login = await aLogin(db, {
      subscriptionId,
      username: 'facts',
      macLock: 'AA:BB:CC:DD:EE:01',
      staticIpv4: '203.0.113.9',
      delegatedIpv6Prefix: '2001:db8:9::/56',
      simultaneousUse: 2,
    });
    expect(await factsOf(login.id)).to.deep.include({
      loginId: login.id,
      subscriptionId,
      username: 'facts',
      retiredAt: null,
      subscriptionState: 'active',
      validUntil,
      expiryEffect: 'throttle',
      expiryRate: parseRateLimit('64k'),
      openSuspensions: [],
      packageRate: parseRateLimit('5M/20M'),
      macLock: 'AA:BB:CC:DD:EE:01',
      staticIpv4: '203.0.113.9',
      delegatedIpv6Prefix: '2001:db8:9::/56',
      simultaneousUse: 2,
      pppProfile: null,
      pool: { name: 'facts-pool', suspendedName: 'facts-pool-off' },
      ipv6Pool: 'v6',
      delegatedIpv6Pool: 'pd',
      sessionTimeoutSeconds: null,
      idleTimeoutSeconds: null,
      interimSeconds: 120,
      addressList: 'vip',
    });
  });

  it("loginFacts, when master package and PPP profile both say something, takes the master package's word", async () => {
    const [own, profiles] = [await aPool(db), await aPool(db)];
    const pppProfileId = await aProfile(profiles);
    const both = await aPackage(db, { pppProfileId, poolId: own, sessionTimeoutSeconds: 7 });
    const neither = await aPackage(db, { pppProfileId, rateLimit: null });
    const facts = await Promise.all(
      [both, neither].map(async (packageId) =>
        factsOf((await aLogin(db, { subscriptionId: await aSubscription(db, { packageId }) })).id),
      ),
    );
    expect(facts.map((one) => [one.sessionTimeoutSeconds, one.idleTimeoutSeconds])).to.deep.equal([
      [7, 200],
      [100, 200],
    ]);
    const names = await db('ipv4_pool').whereIn('id', [own, profiles]).orderBy('id').pluck<string[]>('name');
    expect(facts.map((one) => one.pool?.name)).to.deep.equal(names);
    expect(facts[1]?.packageRate, 'unlimited').to.equal(null);
  });

  it('loginFacts, with open and closed suspensions, sees the open ones of that subscription only', async () => {
    const [login, other] = [await aLogin(db), await aLogin(db)];
    await openSuspension(db, login.subscriptionId, 'staff', 'block');
    await db('suspension').update({ closed_at: '2026-03-02 00:00:00.000', closed_because: 'lifted' });
    await openSuspension(db, login.subscriptionId, 'overdue', 'throttle', '1M/2M');
    await openSuspension(db, login.subscriptionId, 'fraud', 'walled_garden');
    await openSuspension(db, other.subscriptionId, 'vacation', 'block');
    const { openSuspensions } = await factsOf(login.id);
    expect([...openSuspensions].sort((a, b) => (a.cause < b.cause ? -1 : 1))).to.deep.equal([
      { cause: 'fraud', effect: 'walled_garden', throttleRate: null },
      { cause: 'overdue', effect: 'throttle', throttleRate: parseRateLimit('1M/2M') },
    ]);
  });

  it('loginFacts, of one whose data cannot be read, says which column and why, and gives the others', async () => {
    const [good, bad] = [await aLogin(db), await aLogin(db)];
    await openSuspension(db, bad.subscriptionId, 'staff', 'throttle', 'slow');
    const found = await loginFacts(db, [good.id, bad.id, asId<LoginId>('987654321')]);
    expect(found.get(good.id)?.ok).to.equal(true);
    expect(found.get(bad.id)).to.deep.include({
      ok: false,
      error: 'throttle rate of the staff suspension: rate: is a number with k, M or G, like 512k or 10M',
    });
    expect(found.size).to.equal(2);
  });

  it('loginFacts, of 1,200 logins, takes three statements for each 500', async function () {
    this.timeout(60_000);
    const ids = (await manyLogins(db, 1200, 'facts')).map((id) => asId<LoginId>(id));
    const stop = countStatements(db);
    const found = await loginFacts(db, ids);
    expect(stop()).to.have.length(9);
    expect(found.size).to.equal(1200);
  });
});
