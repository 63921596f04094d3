import { expect } from 'chai';
import { addSubscriber, addSubscription } from '../../src/subscribers/register.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { rejection, smallCatalogue } from '../support/catalog.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('addSubscriber', () => {
  let t: TestDb;
  let ctx: TestContext;
  before(async () => {
    t = await testDb();
    ctx = testContext(t.db);
    await smallCatalogue(ctx);
  });
  after(() => t.drop());

  const amina = { name: 'Amina Haddad', billingProfile: 'block', package: 'Home 50' };
  const again = () => testContext(t.db);

  it('with what it needs, makes subscriber, subscription and login, and asks for the login', async () => {
    const made = await addSubscriber(again(), { ...amina, username: 'Amina', password: 'pässwörd' });
    const login = await t
      .db('login')
      .where({ id: made.loginId })
      .first<{ secret: Buffer; username: string }>();
    expect(login.username).to.equal('amina');
    expect(ctx.vault.open(`login.secret:${made.loginId}`, login.secret)).to.equal('pässwörd');
    expect(made).not.to.have.property('generatedPassword');
    const queued = await t
      .db('reconcile_queue')
      .where({ kind: 'login', key: made.loginId })
      .first<{ priority: number }>();
    expect(queued.priority).to.equal(80);
    const subscription = await t
      .db('subscription')
      .where({ id: made.subscriptionId })
      .first<Record<string, unknown>>();
    expect(subscription).to.include({
      anchor_on: '2026-03-01',
      next_invoice_on: '2026-03-01',
      state: 'active',
    });
  });

  it('without a password, makes one that is given back and never written in clear', async () => {
    const made = await addSubscriber(again(), { ...amina, username: 'generated' });
    expect(made.generatedPassword).to.match(/^[a-z2-9]{12}$/);
    const activity = await t.db('activity').where({ login_id: made.loginId });
    expect(JSON.stringify(activity)).not.to.include(made.generatedPassword);
  });

  it('when the same request comes again, gives what it made the first time', async () => {
    const request = testContext(t.db, { correlationId: 'same-request' });
    const first = await addSubscriber(request, { ...amina, username: 'twice', password: 'x' });
    const second = await addSubscriber(request, { ...amina, username: 'twice', password: 'x' });
    expect(second.loginId).to.equal(first.loginId);
    expect(await t.db('login').where({ username: 'twice' })).to.have.length(1);
  });

  it('with a username that was given before, in any case, refuses and names the field', async () => {
    await addSubscriber(again(), { ...amina, username: 'taken' });
    const error = await rejection(addSubscriber(again(), { ...amina, username: 'TAKEN' }));
    expect(error).to.include({ kind: 'conflict', field: 'username' });
    expect(error.message).to.include('never given twice');
  });

  it('with a username that two requests want at once, gives it to one', async () => {
    const both = await Promise.allSettled([
      addSubscriber(again(), { ...amina, username: 'wanted' }),
      addSubscriber(again(), { ...amina, username: 'wanted' }),
    ]);
    expect(both.map((result) => result.status).sort()).to.deep.equal(['fulfilled', 'rejected']);
    const count = await t
      .db('subscriber as s')
      .join('subscription as n', 'n.subscriber_id', 's.id')
      .join('login as l', 'l.subscription_id', 'n.id')
      .where('l.username', 'wanted');
    expect(count).to.have.length(1);
  });

  for (const [username, why] of [
    ['two words', 'a space'],
    ['x'.repeat(65), '65 characters'],
    ['', 'nothing'],
    ['naïve', 'a letter outside of ASCII'],
  ] as const) {
    it(`with ${why} as username, refuses and names the field`, async () => {
      const error = await rejection(addSubscriber(again(), { ...amina, username }));
      expect(error).to.include({ kind: 'invalid', field: 'username' });
    });
  }

  for (const username of ["o'hara", 'a+b', 'y'.repeat(64)]) {
    it(`with the username ${username.slice(0, 10)}, takes it`, async () => {
      const made = await addSubscriber(again(), { ...amina, username });
      expect(made.username).to.equal(username);
    });
  }

  it('with several faults, names each of them at once and repeats no value', async () => {
    const error = await rejection(
      addSubscriber(again(), {
        ...amina,
        name: ' ',
        username: 'a b',
        password: 'tab\tsecret',
        macLock: 'zz',
      }),
    );
    expect(error.message.split('\n').map((line) => line.split(':')[0])).to.have.members([
      'name',
      'username',
      'password',
      'macLock',
    ]);
    expect(error.message).not.to.include('secret');
  });

  it('with a package that is not there, says which there are', async () => {
    const error = await rejection(
      addSubscriber(again(), { ...amina, package: 'Home 5', username: 'nopackage' }),
    );
    expect(error).to.include({ kind: 'invalid', field: 'package' });
    expect(error.message).to.include('Home 50');
    expect(await t.db('login').where({ username: 'nopackage' })).to.have.length(0);
  });

  it('with a daily package, refuses: only monthly ones are sold', async () => {
    const error = await rejection(addSubscriber(again(), { ...amina, package: 'Daily', username: 'daily' }));
    expect(error.message).to.equal('package: must be a monthly package');
  });

  it('with a static package and no address, names the field that is missing', async () => {
    const error = await rejection(
      addSubscriber(again(), { ...amina, package: 'Static', username: 'static0' }),
    );
    expect(error).to.include({ field: 'staticIpv4' });
  });

  it('with a static address that another login has, refuses and leaves no subscriber behind', async () => {
    const fixed = { ...amina, package: 'Static', staticIpv4: '203.0.113.7' };
    await addSubscriber(again(), { ...fixed, username: 'static1' });
    const before = await t.db('subscriber').count<{ n: string }[]>('* as n');
    const error = await rejection(addSubscriber(again(), { ...fixed, username: 'static2' }));
    expect(error).to.include({ kind: 'conflict', field: 'staticIpv4' });
    expect(await t.db('subscriber').count<{ n: string }[]>('* as n')).to.deep.equal(before);
  });

  it('addSubscription, for a subscriber we have, gives a second subscription', async () => {
    const first = await addSubscriber(again(), { ...amina, username: 'home' });
    const second = await addSubscription(again(), {
      subscriberId: first.subscriberId,
      package: 'Family 50',
      username: 'shop',
    });
    expect(second.subscriberId).to.equal(first.subscriberId);
    expect(second.subscriptionId).not.to.equal(first.subscriptionId);
  });
});
