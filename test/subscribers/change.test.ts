import { expect } from 'chai';
import { changePackage } from '../../src/subscribers/change-package.ts';
import { addSubscriber, type Registered } from '../../src/subscribers/register.ts';
import { setLogin } from '../../src/subscribers/set-login.ts';
import { terminateSubscription } from '../../src/subscribers/terminate.ts';
import { testContext } from '../support/builders.ts';
import { rejection, smallCatalogue } from '../support/catalog.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('changes of a subscription', () => {
  let t: TestDb;
  let number = 0;
  before(async () => {
    t = await testDb();
    await smallCatalogue(testContext(t.db));
  });
  after(() => t.drop());

  const ctx = () => testContext(t.db);
  const somebody = async (more: { staticIpv4?: string; package?: string } = {}): Promise<Registered> => {
    const made = await addSubscriber(ctx(), {
      name: 'Somebody',
      billingProfile: 'block',
      package: 'Home 50',
      username: `s${++number}`,
      password: 'first',
      ...more,
    });
    await t.db('reconcile_queue').del();
    return made;
  };
  const isAskedFor = async (made: Registered) =>
    (await t.db('reconcile_queue').where({ kind: 'login', key: made.loginId })).length === 1;

  it('changePackage, to another one, changes it, asks for the login and ends an agreed price', async () => {
    const made = await somebody();
    await t.db('subscription').where({ id: made.subscriptionId }).update({ price_override_minor: '100' });
    const result = await changePackage(ctx(), { subscriptionId: made.subscriptionId, package: 'Family 50' });
    expect(result).to.deep.equal({ ok: true, from: 'Home 50', to: 'Family 50' });
    const row = await t
      .db('subscription')
      .where({ id: made.subscriptionId })
      .first<Record<string, unknown>>();
    expect(row['price_override_minor']).to.equal(null);
    expect(await isAskedFor(made)).to.equal(true);
  });

  it('changePackage, to the one they have, changes nothing and says so', async () => {
    const made = await somebody();
    const result = await changePackage(ctx(), { subscriptionId: made.subscriptionId, package: 'Home 50' });
    expect(result).to.deep.equal({ ok: false, reason: 'same_package' });
    expect(await isAskedFor(made)).to.equal(false);
  });

  it('changePackage, to a static one without an address, is refused', async () => {
    const made = await somebody();
    const error = await rejection(
      changePackage(ctx(), { subscriptionId: made.subscriptionId, package: 'Static' }),
    );
    expect(error).to.include({ field: 'package' });
  });

  it('setLogin, with a new password and MAC lock, seals the one and writes the other in one spelling', async () => {
    const made = await somebody();
    const result = await setLogin(ctx(), {
      loginId: made.loginId,
      password: 'second',
      macLock: 'aa-bb-cc-00-11-22',
    });
    expect(result).to.deep.equal({ ok: true, changed: ['macLock', 'password'] });
    const row = await t.db('login').where({ id: made.loginId }).first<{ secret: Buffer; mac_lock: string }>();
    expect(row.mac_lock).to.equal('AA:BB:CC:00:11:22');
    expect(ctx().vault.open(`login.secret:${made.loginId}`, row.secret)).to.equal('second');
    expect(JSON.stringify(await t.db('activity').where({ login_id: made.loginId }))).not.to.include('second');
    expect(await isAskedFor(made)).to.equal(true);
  });

  it('setLogin, with null, takes the lock away', async () => {
    const made = await somebody();
    await setLogin(ctx(), { loginId: made.loginId, macLock: 'AA:BB:CC:00:11:22' });
    expect(await setLogin(ctx(), { loginId: made.loginId, macLock: null })).to.deep.equal({
      ok: true,
      changed: ['macLock'],
    });
  });

  it('setLogin, with what it has already, says that nothing changed', async () => {
    const made = await somebody();
    const result = await setLogin(ctx(), { loginId: made.loginId, simultaneousUse: 1 });
    expect(result).to.deep.equal({ ok: false, reason: 'nothing_changed' });
  });

  it('setLogin, with a static address of another login, is refused and changes nothing', async () => {
    await somebody({ package: 'Static', staticIpv4: '203.0.113.9' });
    const made = await somebody();
    const error = await rejection(
      setLogin(ctx(), { loginId: made.loginId, staticIpv4: '203.0.113.9', simultaneousUse: 3 }),
    );
    expect(error).to.include({ kind: 'conflict', field: 'staticIpv4' });
    const row = await t.db('login').where({ id: made.loginId }).first<Record<string, unknown>>();
    expect(Number(row['simultaneous_use'])).to.equal(1);
  });

  it('terminateSubscription, ends it, retires the login, closes suspensions and asks for the login', async () => {
    const made = await somebody();
    await t.db('suspension').insert({
      subscription_id: made.subscriptionId,
      cause: 'staff',
      effect: 'block',
      opened_at: '2026-02-01 00:00:00',
      opened_by: 'test',
    });
    const result = await terminateSubscription(ctx(), { subscriptionId: made.subscriptionId });
    expect(result).to.deep.equal({ ok: true, loginIds: [made.loginId] });
    const subscription = await t
      .db('subscription')
      .where({ id: made.subscriptionId })
      .first<Record<string, unknown>>();
    expect(subscription).to.include({ state: 'terminated', ended_on: '2026-03-01', next_invoice_on: null });
    const suspension = await t
      .db('suspension')
      .where({ subscription_id: made.subscriptionId })
      .first<Record<string, unknown>>();
    expect(suspension['closed_because']).to.equal('terminated');
    expect(await isAskedFor(made)).to.equal(true);
    expect(await terminateSubscription(ctx(), { subscriptionId: made.subscriptionId })).to.deep.equal({
      ok: false,
      reason: 'already_terminated',
    });
  });

  it('terminateSubscription, leaves the username taken for ever', async () => {
    const made = await somebody();
    await terminateSubscription(ctx(), { subscriptionId: made.subscriptionId });
    const error = await rejection(
      addSubscriber(ctx(), {
        name: 'Next',
        billingProfile: 'block',
        package: 'Home 50',
        username: made.username,
      }),
    );
    expect(error).to.include({ kind: 'conflict', field: 'username' });
    expect(await setLogin(ctx(), { loginId: made.loginId, simultaneousUse: 2 })).to.deep.equal({
      ok: false,
      reason: 'login_retired',
    });
  });
});
