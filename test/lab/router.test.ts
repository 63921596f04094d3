import { expect } from 'chai';
import { emptyMessageAuthenticator, numberOf, textOf } from '../../scripts/lab/codec.ts';
import type { DialMethod } from '../../scripts/lab/passwords.ts';
import { until } from '../../scripts/servers/child.ts';
import { useLab } from '../support/lab.ts';
import { type SmallFreeRadius, startSmallFreeRadius } from './small-freeradius.ts';
import { dialed, responder, users } from './support.ts';

describe('LabRouter and a real FreeRADIUS', () => {
  let server: SmallFreeRadius;
  before(async () => {
    server = await startSmallFreeRadius(users);
  });
  after(() => server.stop());
  const lab = useLab();
  const at = () => ({ secret: server.secret, authPort: server.authPort, acctPort: server.acctPort });
  const alice = { username: 'alice', password: 'secret-a' };
  // Acct-Session-Ids begin again at each router.
  const linesOf = ({ id, router }: { id: string; router: string }) =>
    server.accounting().filter((line) => line.includes(` ${id} nas=${router} `));

  for (const method of ['pap', 'chap', 'mschap2'] as const satisfies DialMethod[]) {
    it(`dial, with ${method} and the right password, is accepted`, async () => {
      const router = await lab.router(at());
      const session = await dialed(router, { username: 'bob', password: 'pässwörd', method });
      expect(session).to.include({ address: '10.99.0.7', rate: '2M/8M', method, state: 'up' });
    });

    it(`dial, with ${method} and a wrong password, is rejected`, async () => {
      const router = await lab.router(at());
      const outcome = await router.dial({ username: 'bob', password: 'passwort', method });
      expect(outcome).to.deep.include({ ok: false, why: 'reject' });
      expect(router.sessions()).to.have.length(0);
    });
  }

  it('dial, accepted, applies every attribute to the session', async () => {
    const router = await lab.router(at());
    const session = await dialed(router, { ...alice, mac: 'aa:bb:cc:00:11:22' });
    expect(session).to.include({
      address: '10.64.0.10',
      pool: 'home',
      rate: '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M',
      profile: 'gold',
      list: 'active',
      class: 'S1.7.0123456789.abcdef0123.n1',
      interimSeconds: 1,
      idleTimeoutSeconds: 600,
      delegatedIpv6Prefix: '2001:db8:77::/56',
      delegatedIpv6Pool: 'pd',
      mac: 'AA:BB:CC:00:11:22',
    });
    expect(session.queue).to.include({
      uploadBps: 5_000_000,
      downloadBps: 20_000_000,
      minDownloadBps: 4_000_000,
    });
  });

  it('dial, refused, says what the server said', async () => {
    const router = await lab.router(at());
    const outcome = await router.dial({ username: 'late', password: 'x' });
    expect(outcome).to.deep.equal({ ok: false, why: 'reject', replyMessage: 'invoice_overdue' });
  });

  it('dial, when the pool is not on the router in exactly this case, fails although RADIUS accepted', async () => {
    const router = await lab.router(at());
    const outcome = await router.dial({ username: 'nopool', password: 'secret-n' });
    expect(outcome).to.deep.equal({ ok: false, why: 'no_such_pool', pool: 'Home' });
    expect(await router.dial({ username: 'plain', password: 'secret-p' })).to.include({ why: 'no_pool' });
  });

  it('dial, when the pool is used up, fails until a session ends', async () => {
    const router = await lab.router({ ...at(), pools: { home: ['10.1.0.1', '10.1.0.1'] } });
    const first = await dialed(router, { username: 'carol', password: 'secret-c' });
    expect(await router.dial(alice)).to.include({ ok: false, why: 'pool_is_full' });
    router.hangUp(first.key);
    expect((await dialed(router, alice)).address).to.equal('10.1.0.1');
  });

  it('dial, where RADIUS is silent, takes what the default profile says', async () => {
    const router = await lab.router({
      ...at(),
      profiles: { default: { pool: 'home-suspended', rateLimit: '1M/1M' }, gold: { addressList: 'vip' } },
    });
    const plain = await dialed(router, { username: 'plain', password: 'secret-p' });
    expect(plain).to.include({ address: '10.65.0.10', rate: '1M/1M', profile: 'default' });
    const gold = await dialed(router, alice);
    expect(gold).to.include({ pool: 'home', list: 'active', profile: 'gold' });
  });

  it('dial, with another secret than the server, is a bad reply or silence, never a session', async () => {
    const router = await lab.router({ ...at(), secret: 'other', timeoutMs: 100, attempts: 2 });
    const outcome = await router.dial(alice);
    expect(outcome).to.deep.equal({ ok: false, why: 'timeout' });
    const careless = await lab.router({
      ...at(),
      secret: 'other',
      timeoutMs: 100,
      attempts: 2,
      sendsMessageAuthenticator: false,
    });
    expect(await careless.dial(alice)).to.deep.equal({ ok: false, why: 'bad_reply' });
    expect(careless.counters()).to.include({ sessions: 0 });
    router.setSecret(server.secret);
    expect(await router.dial(alice)).to.include({ ok: true });
  });

  it('accounting, over a session, sends Start, interims and Stop with the Class and octets that grow by the rate', async () => {
    const router = await lab.router(at());
    const session = await dialed(router, { ...alice, usage: 1 });
    await until('an interim', () => linesOf(session).some((line) => line.startsWith('Interim')), {
      timeoutMs: 10_000,
    });
    router.hangUp(session.id);
    await router.accountingIdle();
    const lines = linesOf(session);
    const octets = lines.map((line) => Number(/ in=(\d*)/.exec(line)?.[1]));
    expect(lines[0]).to.match(/^Start .* user=alice class=0x53312e37\S+ .*delay=0/);
    expect(lines[1]).to.match(/^Interim-Update /);
    expect(lines.at(-1)).to.match(/^Stop .* cause=User-Request$/);
    expect(octets.at(-1))
      .to.be.at.least(octets[1] ?? Infinity)
      .and.to.be.greaterThan(0);
    // A second of 5 Mbit/s upload, of which households use a fifth, is 125,000 bytes.
    expect(octets[1]).to.be.lessThan(1_250_000);
    expect(router.session(session.key)).to.include({ state: 'ended', endCause: 'User-Request' });
  });

  it('accounting, beyond 4 GiB, sends gigawords', async () => {
    const router = await lab.router(at());
    const session = await dialed(router, { username: 'bob', password: 'pässwörd', usage: 0 });
    router.addOctets(session.key, 5 * 2 ** 30, 10);
    router.hangUp(session.key);
    await router.accountingIdle();
    expect(linesOf(session).at(-1)).to.include('in=1073741824 giga=1');
  });

  it('session, when its Session-Timeout, Idle-Timeout or byte limit is reached, is ended by the router', async () => {
    const router = await lab.router(at());
    const dial = (username: string, password: string) => dialed(router, { username, password, usage: 0 });
    const [short, idle, quota] = [
      await dial('short', 'secret-s'),
      await dial('idle', 'secret-i'),
      await dial('quota', 'secret-q'),
    ];
    router.addOctets(quota.key, 0, 2 ** 32 + 999);
    await until('the session timeout', () => router.session(short.key)?.state === 'ended', {
      timeoutMs: 8000,
    });
    expect(router.session(idle.key)?.state).to.equal('up');
    expect(router.session(quota.key)?.state).to.equal('up');
    router.setIdle(idle.key, true);
    router.addOctets(quota.key, 0, 1);
    await until('the others', () => router.sessions().length === 0, { timeoutMs: 8000 });
    const causes = [short, idle, quota].map(({ key }) => router.session(key)?.endCause);
    expect(causes).to.deep.equal(['Session-Timeout', 'Idle-Timeout', 'NAS-Request']);
    await router.accountingIdle();
    expect(linesOf(short).at(-1)).to.match(/^Stop .*cause=Session-Timeout$/);
  });

  it('dial, for many subscribers at once, gives each an address and an Acct-Session-Id of its own', async () => {
    const router = await lab.router(at());
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => router.dial(alice)));
    expect(outcomes.every((outcome) => outcome.ok)).to.equal(true);
    expect(new Set(router.sessions().map(({ address }) => address)).size).to.equal(200);
    expect(new Set(router.sessions().map(({ id }) => id)).size).to.equal(200);
    await router.hangUpAll();
  });
});

describe('LabRouter and a server that misbehaves', () => {
  const lab = useLab();
  const login = { username: 'alice', password: 'secret-a' };
  const accept = {
    code: 2,
    attributes: [emptyMessageAuthenticator, ['Framed-IP-Address', '10.0.0.9']] as const,
  };

  it('dial, when nobody answers, sends the same bytes again and then times out', async () => {
    const server = await responder('s', () => undefined);
    const router = await lab.router({
      secret: 's',
      authPort: server.port,
      acctPort: server.port,
      timeoutMs: 60,
      attempts: 3,
    });
    expect(await router.dial(login)).to.deep.equal({ ok: false, why: 'timeout' });
    await server.close();
    expect(server.requests).to.have.length(3);
    expect(new Set(server.requests.map(({ bytes }) => bytes.toString('hex'))).size).to.equal(1);
  });

  it('dial, when the accept has no Message-Authenticator, is a bad reply; without require-message-auth it is taken', async () => {
    const server = await responder('s', (request) =>
      request.code === 1
        ? { code: 2, attributes: [['Framed-IP-Address', '10.0.0.9']] }
        : { code: 5, attributes: [] },
    );
    const options = { secret: 's', authPort: server.port, acctPort: server.port, timeoutMs: 60, attempts: 2 };
    const strict = await lab.router(options);
    expect(await strict.dial(login)).to.deep.equal({ ok: false, why: 'bad_reply' });
    const old = await lab.router({ ...options, requiresMessageAuthenticator: false });
    expect(await old.dial(login)).to.include({ ok: true });
    await server.close();
  });

  it('dial, with MS-CHAPv2 and a server that cannot prove that it knows the password, is a bad reply', async () => {
    const server = await responder('s', () => accept);
    const router = await lab.router({ secret: 's', authPort: server.port, acctPort: server.port });
    expect(await router.dial({ ...login, method: 'mschap2' })).to.deep.equal({ ok: false, why: 'bad_reply' });
    await server.close();
  });

  it('dial, as RouterOS, claims a LAN address and sends the Acct-Session-Id already in the Access-Request', async () => {
    const server = await responder('s', (request) =>
      request.code === 1 ? accept : { code: 5, attributes: [] },
    );
    const router = await lab.router({ secret: 's', authPort: server.port, acctPort: server.port });
    const session = await dialed(router, login);
    await router.accountingIdle();
    await server.close();
    const [request, start] = server.requests.map(({ attributes }) => attributes);
    expect(session.id).to.match(/^810[0-9a-f]{5}$/);
    expect(textOf(request ?? [], 'Acct-Session-Id')).to.equal(session.id);
    expect(textOf(request ?? [], 'NAS-IP-Address')).to.equal('192.168.88.1');
    expect(textOf(request ?? [], 'NAS-Identifier')).to.equal(router.name);
    expect(numberOf(request ?? [], 'NAS-Port-Type')).to.equal(15);
    expect(textOf(start ?? [], 'Acct-Session-Id')).to.equal(session.id);
    expect(textOf(start ?? [], 'NAS-Port-Id')).to.equal('ether2');
  });

  it('accounting, when the server is away, goes on with a new packet whose Acct-Delay-Time has grown', async () => {
    let isAway = true;
    const server = await responder('s', (request) =>
      request.code === 1 ? accept : isAway ? undefined : { code: 5, attributes: [] },
    );
    const router = await lab.router({
      secret: 's',
      authPort: server.port,
      acctPort: server.port,
      timeoutMs: 150,
      attempts: 2,
    });
    const session = await dialed(router, login);
    router.hangUp(session.key);
    const delays = () =>
      server.requests.map(({ attributes }) => numberOf(attributes, 'Acct-Delay-Time') ?? 0);
    await until('a second round with a delay', () => delays().some((delay) => delay > 0), {
      timeoutMs: 8000,
    });
    isAway = false;
    await router.accountingIdle();
    await server.close();
    const packets = server.requests.filter(({ code }) => code === 4);
    const statuses = packets.map(({ attributes }) => numberOf(attributes, 'Acct-Status-Type'));
    expect(statuses.lastIndexOf(1), 'the Start is through before the Stop').to.be.lessThan(
      statuses.indexOf(2),
    );
    expect(packets[1]?.bytes.equals(packets[0]?.bytes ?? Buffer.alloc(0)), 'same bytes in a round').to.equal(
      true,
    );
    expect(router.counters()).to.include({ accountingAnswered: 2, accountingGaveUp: 0 });
  });

  it('packets, whatever happened, show no password', async () => {
    const server = await responder('s', () => accept);
    const router = await lab.router({ secret: 's', authPort: server.port, acctPort: server.port });
    await dialed(router, { ...login, method: 'pap' });
    const [request, reply] = router.packets();
    await server.close();
    expect(request).to.include({ direction: 'out', code: 'Access-Request', result: 'sent' });
    expect(request?.attributes['User-Password']).to.equal('hidden');
    expect(reply).to.include({ direction: 'in', code: 'Access-Accept', result: 'answer' });
  });
});
