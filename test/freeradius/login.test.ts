import { createHash, randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { type Method, type TestRouter } from '../support/radius-client.ts';
import { type RadiusFixture, radiusFixture } from '../support/radius-server.ts';

const methods: Method[] = ['pap', 'chap', 'mschap', 'mschap2'];

describe('FreeRADIUS: logins', () => {
  let radius: RadiusFixture;
  let router: TestRouter;

  before(async () => {
    radius = await radiusFixture();
    router = await radius.router('127.0.0.21', 21);
  });
  after(() => radius.stop());

  for (const method of methods) {
    it(`login by ${method}, with the right password, is accepted with every attribute`, async () => {
      await radius.login('full', { 'Cleartext-Password': 'secret' }, everything);

      const reply = await router.login({ username: 'full', password: 'secret', method });

      expect(reply?.kind).to.equal('accept');
      expect(reply?.isSealed, 'Message-Authenticator').to.equal(true);
      expect(reply?.get('Class')).to.match(/^S1\.42\.0123456789\.abcdef0123\.[0-9a-f]{16}$/);
      const rest = reply?.attributes.filter(([name]) => !own.has(name) && !name.includes('MPPE'));
      expect(Object.fromEntries(rest ?? [])).to.deep.equal(everythingOnTheWire);
    });

    it(`login by ${method}, with a wrong password, is rejected`, async () => {
      await radius.login('full', { 'Cleartext-Password': 'secret' }, everything);

      const reply = await router.login({ username: 'full', password: 'Secret', method });

      expect(reply?.kind).to.equal('reject');
      expect(reply?.isSealed, 'Message-Authenticator').to.equal(true);
    });

    it(`login by ${method}, with a password of every script and of quotes, is accepted`, async () => {
      for (const password of oddPasswords) {
        await radius.login('odd', { 'Cleartext-Password': password });
        const reply = await router.login({ username: 'odd', password, method });
        expect(reply?.kind, password).to.equal('accept');
      }
    });
  }

  it('login by MS-CHAPv2, when it is accepted, proves that the server knows the password', async () => {
    await radius.login('proof', { 'Cleartext-Password': 'p' });
    const reply = await router.login({ username: 'proof', password: 'p', method: 'mschap2' });
    expect(reply?.isServerProved).to.equal(true);
  });

  it('login by MS-CHAPv2, in capitals, is accepted as the name in lower case', async () => {
    await radius.login('user1', { 'Cleartext-Password': 'p' });
    const reply = await router.login({ username: 'USER1', password: 'p', method: 'mschap2' });
    expect(reply?.kind).to.equal('accept');
    expect(reply?.isServerProved).to.equal(true);
  });

  it('login by CHAP, with the challenge in the authenticator, is accepted', async () => {
    await radius.login('short', { 'Cleartext-Password': 'p' });
    const challenge = randomBytes(16);
    const digest = createHash('md5').update('\x05p').update(challenge).digest();
    const packet = router.request(
      [
        ['User-Name', 'short'],
        ['CHAP-Password', Buffer.concat([Buffer.from([5]), digest])],
      ],
      challenge,
    );
    const reply = await router.send(packet, radius.server.authPort);
    expect(reply?.kind).to.equal('accept');
  });

  for (const limit of rateLimits()) {
    it(`rate limit, written as ${limit}, arrives as it is`, async () => {
      await radius.login('rate', { 'Cleartext-Password': 'p' }, { 'Mikrotik-Rate-Limit': limit });
      const reply = await router.login({ username: 'rate', password: 'p' });
      expect(reply?.get('Mikrotik-Rate-Limit')).to.equal(limit);
    });
  }

  it('Class, at two logins, ends in another nonce each time', async () => {
    await radius.login('nonce', { 'Cleartext-Password': 'p' }, { Class: 'S1.1.0000000000.0000000000' });
    const first = await router.login({ username: 'nonce', password: 'p' });
    const second = await router.login({ username: 'nonce', password: 'p' });
    expect(first?.get('Class')).to.not.equal(second?.get('Class'));
  });

  it('Access-Request, sent again with the same bytes, is answered again', async () => {
    await radius.login('again', { 'Cleartext-Password': 'p' }, { 'Mikrotik-Rate-Limit': '1M/2M' });
    const { packet } = router.loginPacket({ username: 'again', password: 'p' });
    const first = await router.send(packet, radius.server.authPort);
    // No router asks again within a millisecond: the server may be busy with the first one still, and pass it over.
    await wait(100);
    const second = await router.send(packet, radius.server.authPort);
    expect(first?.kind).to.equal('accept');
    expect(second?.attributes).to.deep.equal(first?.attributes);
  });

  it('reply value, written like an expansion or a command, is sent as text', async () => {
    for (const value of ['"%{User-Name}"', '`id`', '%{sql:SELECT 1}', "'x'"]) {
      await radius.login('text', { 'Cleartext-Password': 'p' }, { 'Mikrotik-Address-List': value });
      const reply = await router.login({ username: 'text', password: 'p' });
      expect(reply?.get('Mikrotik-Address-List')).to.equal(value);
    }
  });

  it('login, when it is accepted, adds no row anywhere', async () => {
    await radius.login('quiet', { 'Cleartext-Password': 'p' });
    await router.login({ username: 'quiet', password: 'p' });
    expect(await radius.db('radpostauth').where({ username: 'quiet' })).to.deep.equal([]);
    expect(await radius.db('radacct')).to.deep.equal([]);
  });

  it('login, when it is accepted, costs one SELECT, with a session elsewhere two, and no writing', async () => {
    await radius.login('cheap', { 'Cleartext-Password': 'p' }, everything);
    await radius.login('counted', { 'Cleartext-Password': 'p', 'Simultaneous-Use': '2' }, everything);
    const twenty = async (username: string) => {
      const before = await statements(radius.db);
      for (let i = 0; i < 20; i++) {
        expect((await router.login({ username, password: 'p' }))?.kind).to.equal('accept');
      }
      const after = await statements(radius.db);
      return { reads: after.reads - before.reads, writes: after.writes - before.writes };
    };
    expect(await twenty('cheap')).to.deep.equal({ reads: 20, writes: 0 });
    expect(await twenty('counted')).to.deep.equal({ reads: 20, writes: 0 });
    await radius.db('radacct').insert({
      acctuniqueid: 'elsewhere',
      username: 'counted',
      callingstationid: '0A:00:00:00:00:01',
      acctstarttime: radius.db.raw("'2026-01-01 00:00:00'"),
    });
    expect(await twenty('counted')).to.deep.equal({ reads: 40, writes: 0 });
    await radius.db('radacct').where({ username: 'counted' }).delete();
  });

  it('radreply, with a row named like one of radcheck, opens nothing', async () => {
    await radius.login(
      'sly',
      { 'Cleartext-Password': 'p', 'Auth-Type': 'Reject' },
      { 'Cleartext-Password': 'q', 'Auth-Type': 'Accept', 'Simultaneous-Use': '0' },
    );
    for (const password of ['p', 'q', '']) {
      expect((await router.login({ username: 'sly', password }))?.kind).to.equal('reject');
    }
  });

  it('radcheck, with a row that nobody looks at, answers nothing rather than let in', async () => {
    await radius.login('strange', { 'Cleartext-Password': 'p', 'Huntgroup-Name': 'elsewhere' });
    expect(await router.login({ username: 'strange', password: 'p' }, 500)).to.equal(undefined);
  });

  it('SIGHUP, as log rotation sends it, has the log written anew and changes nothing else', async () => {
    await radius.login('hup', { 'Cleartext-Password': 'p' });
    rmSync(radius.server.logFile);
    process.kill(radius.server.child.pid, 'SIGHUP');
    for (let i = 0; i < 50; i++) {
      expect((await router.login({ username: 'hup', password: 'p' }))?.kind).to.equal('accept');
    }
    expect((await router.login({ username: 'hup', password: 'q' }))?.get('Reply-Message')).to.equal(
      'login_incorrect',
    );
    expect(existsSync(radius.server.logFile)).to.equal(true);
  });

  it('Expiration, when it is to come, limits the session to the seconds left', async () => {
    await radius.login('ends', { 'Cleartext-Password': 'p', Expiration: epoch(3600) });
    const reply = await router.login({ username: 'ends', password: 'p' });
    expect(reply?.get('Session-Timeout')).to.be.within(3590, 3600);
  });

  it('Expiration, when the package allows a shorter session, leaves that', async () => {
    const check = { 'Cleartext-Password': 'p', Expiration: epoch(86_400 * 365 * 30) };
    await radius.login('ends', check, { 'Session-Timeout': '1800' });
    const reply = await router.login({ username: 'ends', password: 'p' });
    expect(reply?.get('Session-Timeout')).to.equal(1800);
  });

  for (const list of ['check', 'reply'] as const) {
    it(`Sluice-Valid-Until, in rad${list}, limits the session and is not sent`, async () => {
      const rows = { 'Sluice-Valid-Until': epoch(600) };
      await radius.login(
        'valid',
        { 'Cleartext-Password': 'p', ...(list === 'check' ? rows : {}) },
        { 'Session-Timeout': '86400', ...(list === 'reply' ? rows : {}) },
      );
      const reply = await router.login({ username: 'valid', password: 'p' });
      expect(reply?.get('Session-Timeout')).to.be.within(590, 600);
      expect(reply?.names.sort()).to.deep.equal(['Message-Authenticator', 'Session-Timeout']);
    });
  }

  it('Sluice-Valid-Until, when it has passed, gives a short session and not an endless one', async () => {
    await radius.login('valid', { 'Cleartext-Password': 'p', 'Sluice-Valid-Until': epoch(-5) });
    const reply = await router.login({ username: 'valid', password: 'p' });
    expect(reply?.get('Session-Timeout')).to.equal(60);
  });

  it('health check, with the right secret, is answered', async () => {
    expect(await radius.server.isAlive(2000)).to.equal(true);
  });
});

/** What the database has done so far for anybody. */
async function statements(db: Knex): Promise<{ reads: number; writes: number }> {
  const [rows] = (await db.raw(
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_select', 'Com_insert', 'Com_update', 'Com_delete')",
  )) as [{ Variable_name: string; Value: string }[]];
  const of = (name: string) => Number(rows.find((row) => row.Variable_name === name)?.Value);
  return { reads: of('Com_select'), writes: of('Com_insert') + of('Com_update') + of('Com_delete') };
}

function epoch(seconds: number): string {
  return String(Math.floor((performance.timeOrigin + performance.now()) / 1000) + seconds);
}

const everything = {
  'Mikrotik-Rate-Limit': '10M/20M 15M/30M 8M/16M 10/10 8 5M/10M',
  'Framed-IP-Address': '100.64.3.9',
  'Framed-Pool': 'pool-main',
  'Mikrotik-Group': 'ppp-home',
  'Session-Timeout': '86400',
  'Idle-Timeout': '600',
  'Acct-Interim-Interval': '300',
  'Mikrotik-Address-List': 'paid',
  'Delegated-IPv6-Prefix': '2001:db8:42::/56',
  'Framed-IPv6-Pool': 'pool6',
  'Mikrotik-Delegated-IPv6-Pool': 'pool6-pd',
  Class: 'S1.42.0123456789.abcdef0123',
};

const everythingOnTheWire = {
  'Mikrotik-Rate-Limit': '10M/20M 15M/30M 8M/16M 10/10 8 5M/10M',
  'Framed-IP-Address': '100.64.3.9',
  'Framed-Pool': 'pool-main',
  'Mikrotik-Group': 'ppp-home',
  'Session-Timeout': 86_400,
  'Idle-Timeout': 600,
  'Acct-Interim-Interval': 300,
  'Mikrotik-Address-List': 'paid',
  'Delegated-IPv6-Prefix': '2001:0db8:0042:0000:0000:0000:0000:0000/56',
  'Framed-IPv6-Pool': 'pool6',
  'Mikrotik-Delegated-IPv6-Pool': 'pool6-pd',
};

/** What the server adds to an accept by itself, the keys for MPPE apart. */
const own = new Set(['Class', 'Message-Authenticator', 'MS-CHAP2-Success']);

function rateLimits(): string[] {
  return [
    '512k',
    '512k/1M',
    '5M/10M 8M/16M',
    '5M/10M 8M/16M 4M/8M',
    '5M/10M 8M/16M 4M/8M 10/20',
    '5M/10M 8M/16M 4M/8M 10/20 5',
    '5M/10M 8M/16M 4M/8M 10/20 5 2M/4M',
    '0/0',
    '1000000000/1000000000',
  ];
}

const oddPasswords = [
  'пароль-密码-ñ',
  "o'hara",
  '"quoted"',
  "'quoted'",
  '`id`',
  '"%{User-Name}"',
  '%{sql:SELECT 1}',
  'a\\nb\\\\c\\',
  ' spaces at both ends ',
  '0x6162',
  '{MD5}abc',
  '$6$salt$hash',
  'a=b, c := d # e',
  'x'.repeat(128),
];
