import { expect } from 'chai';
import { until } from '../../scripts/servers/child.ts';
import { reconcileLogins } from '../../src/reconcile/login.ts';
import {
  aBillingProfile,
  aLogin,
  aPackage,
  aPool,
  aSubscriber,
  aSubscription,
  type TestContext,
  testContext,
} from '../support/builders.ts';
import type { Method, TestRouter } from '../support/radius-client.ts';
import { type RadiusFixture, radiusFixture } from '../support/radius-server.ts';
import { claimLogins, closeSuspensions, openSuspension, requestLogins } from './login-support.ts';

const methods: readonly Method[] = ['pap', 'chap', 'mschap', 'mschap2'];
const passwords = [
  'plain',
  ' a b ',
  '"quoted"',
  "'single'",
  '`date`',
  '"',
  'a\\nb',
  'ends in \\',
  '\\042',
  '%{User-Name}',
  'a,b=c#d',
  'пароль',
  '0x6162',
  '\\'.repeat(128),
  "'".repeat(128),
  '"'.repeat(127),
  'x'.repeat(128),
];

describe('reconcile/login and FreeRADIUS', () => {
  let radius: RadiusFixture;
  let router: TestRouter;
  let ctx: TestContext;
  before(async function () {
    this.timeout(60_000);
    radius = await radiusFixture();
    router = await radius.router('127.0.0.61', 61);
    ctx = testContext(radius.db);
  });
  after(() => radius.stop());
  beforeEach(() => radius.db('radpostauth').delete());

  const reconcile = async (...ids: string[]) => {
    await requestLogins(radius.db, ids);
    const outcome = await reconcileLogins(ctx, await claimLogins(radius.db));
    expect(outcome.failed).to.equal(0);
  };
  const lastReason = async (username: string) => {
    const reasons = () =>
      radius.db('radpostauth').where({ username }).orderBy('id').pluck<string[]>('reason');
    await until('a noted reject', async () => (await reasons()).length > 0, { timeoutMs: 5000 });
    return (await reasons()).at(-1);
  };

  it('rows that Sluice wrote, for any password, let its owner in by every method, and nobody else', async function () {
    this.timeout(60_000);
    const logins = await Promise.all(passwords.map((password) => aLogin(radius.db, { password })));
    await reconcile(...logins.map((login) => login.id));
    for (const { username, password } of logins) {
      for (const method of methods) {
        const reply = await router.login({ username, password, method });
        expect(reply?.kind, `${password} by ${method}`).to.equal('accept');
      }
      expect(
        (await router.login({ username, password: `${password.slice(0, -1)}~` }))?.kind,
        password,
      ).to.equal('reject');
    }
  });

  it('rows that Sluice wrote, from full through every kind of access and back, are what the router gets', async function () {
    this.timeout(60_000);
    const packageId = await aPackage(radius.db, {
      rateLimit: '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M',
      poolId: await aPool(radius.db, { name: 'fiber', suspendedName: 'fiber-off' }),
      ipv6Pool: 'v6-open',
      delegatedIpv6Pool: 'pd-open',
      addressList: 'fiber-customers',
      idleTimeoutSeconds: 1200,
      sessionTimeoutSeconds: 86_400,
    });
    const login = await aLogin(radius.db, {
      subscriptionId: await aSubscription(radius.db, { packageId }),
      username: "o'hara+fiber",
      staticIpv4: '203.0.113.7',
      delegatedIpv6Prefix: '2001:db8:7::/56',
      macLock: 'AA:BB:CC:DD:EE:01',
    });
    const dial = () => router.login({ ...login, method: 'mschap2', mac: 'AA:BB:CC:DD:EE:01' });
    const look = async () => {
      await reconcile(login.id);
      const reply = await dial();
      const names = [
        'Mikrotik-Rate-Limit',
        'Framed-IP-Address',
        'Framed-Pool',
        'Mikrotik-Address-List',
        'Framed-IPv6-Pool',
        'Mikrotik-Delegated-IPv6-Pool',
        'Delegated-IPv6-Prefix',
      ];
      return [reply?.kind, ...names.map((name) => reply?.get(name))];
    };
    const open = [
      '203.0.113.7',
      'fiber',
      'fiber-customers',
      'v6-open',
      'pd-open',
      '2001:0db8:0007:0000:0000:0000:0000:0000/56',
    ];
    const full = ['accept', '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M', ...open];
    expect(await look()).to.deep.equal(full);

    await openSuspension(radius.db, login.subscriptionId, 'overdue', 'throttle', '512k/1M');
    expect(await look()).to.deep.equal(['accept', '512k/1M', ...open]);

    await openSuspension(radius.db, login.subscriptionId, 'staff', 'walled_garden');
    const walled = await look();
    expect(walled.slice(0, 7)).to.deep.equal([
      'accept',
      '256k/256k',
      '255.255.255.254',
      'fiber-off',
      'sluice-walled-garden',
      'sluice-walled-garden',
      'sluice-walled-garden',
    ]);
    expect(walled[7]).to.match(/^fd53:4c55:.*\/64$/);

    await openSuspension(radius.db, login.subscriptionId, 'fraud', 'block');
    await reconcile(login.id);
    const refused = await dial();
    expect(refused?.kind).to.equal('reject');
    expect(
      refused?.names.filter(
        (name) => !['Reply-Message', 'Message-Authenticator'].includes(name) && !name.startsWith('MS-'),
      ),
    ).to.deep.equal([]);
    expect(refused?.get('Reply-Message')).to.equal('fraud_hold');
    expect(await lastReason(login.username)).to.equal('fraud_hold');

    await closeSuspensions(radius.db, login.subscriptionId);
    expect(await look(), 'paid: the next dial is accepted').to.deep.equal(full);
    const again = await dial();
    expect(again?.get('Class')).to.match(
      new RegExp(`^S1\\.${login.id}\\.[0-9a-f]{10}\\.[0-9a-f]{10}\\.\\w+$`),
    );
    expect([
      again?.get('Idle-Timeout'),
      again?.get('Session-Timeout'),
      again?.get('Acct-Interim-Interval'),
    ]).to.deep.equal([1200, 86_400, 300]);
  });

  it('rows that Sluice wrote, when prepaid runs out while Sluice is down, refuse or end in time by themselves', async () => {
    // FreeRADIUS keeps real time, in which these instants are long past; to Sluice's clock they are still to come.
    ctx.clock.set('2020-01-01T00:00:00Z');
    const validUntil = new Date('2020-01-02T00:00:00Z');
    const denied = await aLogin(radius.db, {
      subscriptionId: await aSubscription(radius.db, { validUntil }),
    });
    const billingProfileId = await aBillingProfile(radius.db, { throttleRate: '64k' });
    const throttled = await aLogin(radius.db, {
      subscriptionId: await aSubscription(radius.db, {
        subscriberId: await aSubscriber(radius.db, { billingProfileId }),
        validUntil,
        expiryEffect: 'throttle',
      }),
    });
    await reconcile(denied.id, throttled.id);
    expect((await router.login(denied))?.kind).to.equal('reject');
    expect(await lastReason(denied.username)).to.equal('prepaid_expired');
    const reply = await router.login(throttled);
    expect(reply?.kind).to.equal('accept');
    expect(Number(reply?.get('Session-Timeout')), 'to come back soon for its new rows').to.be.within(1, 120);
  });

  it('rows of a retired login, without its password, refuse it with the true reason', async () => {
    ctx.clock.set('2026-03-01T10:00:00Z');
    const login = await aLogin(radius.db, { retiredAt: new Date('2026-03-01T09:00:00Z') });
    await reconcile(login.id);
    for (const method of methods) expect((await router.login({ ...login, method }))?.kind).to.equal('reject');
    expect(await lastReason(login.username)).to.equal('login_retired');
  });
});
