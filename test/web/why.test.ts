import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import { setLogin } from '../../src/subscribers/set-login.ts';
import { asId, type LoginId, type SubscriptionId } from '../../src/domain/ids.ts';
import { addStaff } from '../../src/staff/manage-staff.ts';
import { openStack, type Signed, type Stack } from '../support/stack.ts';
import { staffPassword, visitorOf, type Visitor } from '../support/web.ts';

/** The chain over the real parts: worker, FreeRADIUS, a lab router. */
describe('why pages', function () {
  this.timeout(90_000);
  let stack: Stack;
  let router: Awaited<ReturnType<Stack['router']>>;
  let owner: Visitor;
  let noc: Visitor;
  let reader: Visitor;

  before(async () => {
    stack = await openStack({ roles: ['web', 'worker', 'lane', 'radius-agent'] });
    router = await stack.router('pop-1', { interimSeconds: 1 });
    [owner, noc, reader] = (await Promise.all(
      (['owner', 'noc', 'read_only'] as const).map(async (role) => {
        const username = `the-${role.replace('_', '-')}`;
        await addStaff(stack.ctx, { username, name: role, role, password: staffPassword });
        const visitor = visitorOf(stack.url);
        await visitor.get('/sign-in');
        await visitor.post('/sign-in', { username, password: staffPassword });
        return visitor;
      }),
    )) as [Visitor, Visitor, Visitor];
  });
  after(() => stack.close());

  const pathOf = (who: { username: string }) => `/why/${encodeURIComponent(who.username)}`;

  async function online(username: string): Promise<Signed> {
    const who = await stack.subscriber(username, { billingProfile: 'block' });
    const outcome = await router.dial({ ...who, method: 'mschap2' });
    if (!outcome.ok) throw new Error(outcome.why);
    await stack.until('in accounting', async () => {
      const row = (await stack.t.db('radacct').where({ username }).first('username')) as unknown;
      return row !== undefined;
    });
    return who;
  }

  it('why, asked for a name, goes to its page, whatever characters it has', async () => {
    expect((await owner.get('/why')).text).to.include('name="username"');
    expect((await owner.get("/why?username=o'hara%2Bb%2Fc")).location).to.equal("/why/o'hara%2Bb%2Fc");
    expect((await owner.get('/why?username=..')).text).to.include('There is no login of that name');
    expect((await owner.get('/why/two%20words')).text).to.include('holds a space');
  });

  it('why, of somebody who is online as decided, proves every link, secrets hidden', async () => {
    const who = await online("o'hara+b/c");
    const page = await owner.get(pathOf(who));
    expect(page.text).to.include('No broken link was found').and.include('It is online on pop-1');
    expect(page.text).to.include('was heard a short while ago');
    expect(page.text).to.include('(hidden)').and.not.include(who.password);
  });

  it('why, of a wrong password, stops at the last attempt with the fix', async () => {
    const who = await stack.subscriber('karim', { billingProfile: 'block' });
    await router.dial({ ...who, password: 'not this' });
    await stack.until('the refusal noted', async () => {
      return (await owner.get(pathOf(who))).text.includes('Refused because the password is wrong');
    });
    const page = await owner.get(pathOf(who));
    expect(page.text).to.include(`${who.mac} at pop-1`).and.include('Set a password');
    expect(page.text).to.include('Not looked at, because the chain ends before: Session, Address, Speed');
  });

  it('why, of another device than the locked one, resets the lock by its button', async () => {
    const who = await stack.subscriber('lina', { billingProfile: 'block' });
    const loginId = asId<LoginId>(who.loginId);
    await setLogin(stack.ctx, { loginId, macLock: '02:00:00:00:00:77' });
    await stack.until('the lock in the rows', async () => {
      const row = (await stack.t
        .db('radcheck')
        .where({ username: 'lina', attribute: 'Calling-Station-Id' })
        .first('value')) as unknown;
      return row !== undefined;
    });
    await router.dial(who);
    await stack.until('the refusal noted', async () => {
      return (await noc.get(pathOf(who))).text.includes('Reset the MAC lock');
    });
    // FreeRADIUS notes whole seconds: a change counts as later only when the second is over.
    await wait(1100);
    const reset = `/subscribers/${who.subscriberId}/logins/${who.loginId}/mac-reset`;
    expect((await reader.get(pathOf(who))).text).to.not.include(reset);
    expect((await noc.post(reset, { back: 'why' })).location).to.equal(pathOf(who));
    await stack.until('the lock gone from the rows, and the page saying so', async () =>
      (await noc.get(pathOf(who))).text.includes('was changed: it should be accepted at its next dial'),
    );
  });

  it('why, of a hold, stops at the access, and the test login is refused with its reason', async () => {
    const who = await online('rafi');
    const subscriptionId = asId<SubscriptionId>(who.subscriptionId);
    await holdSubscription(stack.ctx, {
      subscriptionId,
      cause: 'staff',
      effect: 'block',
      note: 'lost modem',
    });
    await stack.until('denied in RADIUS', async () => {
      const row = (await stack.t
        .db('radcheck')
        .where({ username: 'rafi', attribute: 'Sluice-Deny-Reason' })
        .first('value')) as unknown;
      return row !== undefined;
    });
    const page = await noc.get(pathOf(who));
    expect(page.text).to.include('held by staff (test), “lost modem”').and.include('>Lift</a>');
    const tried = await noc.post(`${pathOf(who)}/test`);
    expect(tried.text).to.include('Refused: staff hold it').and.include('staff_hold');
    expect(tried.text).to.match(/Round-trip time \d+\.\d ms/);
  });

  it('test login, of a login that may connect, is accepted with its attributes, and nobody comes online', async () => {
    const who = await stack.subscriber('sadia', { billingProfile: 'block' });
    await noc.get(pathOf(who));
    const tried = await noc.post(`${pathOf(who)}/test`);
    expect(tried.status).to.equal(200);
    expect(tried.text).to.include('Accepted.').and.include('Mikrotik-Rate-Limit').and.include('20M/100M');
    expect(tried.text).to.include(`S1.${who.loginId}.`).and.not.include(who.password);
    expect(await stack.t.db('radacct').where({ username: 'sadia' }).first('radacctid')).to.equal(undefined);
    const noted = (await stack.t
      .db('activity')
      .where({ verb: 'login.test', login_id: who.loginId })
      .first('outcome')) as unknown;
    expect(noted).to.deep.equal({ outcome: 'accept' });
    expect((await reader.post(`${pathOf(who)}/test`)).status).to.equal(403);
    expect((await noc.post('/why/nobody-here/test')).status).to.equal(404);
  });

  it('reconcile now, of rows that somebody spoilt, writes them again', async () => {
    const who = await stack.subscriber('tania', { billingProfile: 'block' });
    await stack.t
      .db('radreply')
      .where({ username: 'tania', attribute: 'Framed-Pool' })
      .update({ value: 'elsewhere' });
    const page = await noc.get(pathOf(who));
    expect(page.text).to.include('not as they should be: Framed-Pool').and.include('elsewhere');
    expect((await noc.post(`${pathOf(who)}/reconcile`)).location).to.equal(pathOf(who));
    await stack.until('the rows as they should be', async () => {
      return (await noc.get(pathOf(who))).text.includes('RADIUS rows are as they should be');
    });
  });
});
