import { request } from 'node:http';
import { expect } from 'chai';
import { emptyMessageAuthenticator, numberOf } from '../../scripts/lab/codec.ts';
import { type LabConfigInput, parseInput, readLabConfig, routerSchema } from '../../scripts/lab/config.ts';
import { type Control, openControl } from '../../scripts/lab/control.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, until } from '../../scripts/servers/child.ts';
import { labAddress } from '../support/lab.ts';
import { radclient, type Responder, responder } from './support.ts';

const secret = 'control-secret';

describe('lab control', () => {
  let server: Responder;
  let lab: Lab;
  let control: Control;
  let folder: string;
  let config: LabConfigInput;
  let isRefusing = false;

  beforeEach(async () => {
    isRefusing = false;
    server = await responder(secret, ({ code }) => {
      if (code === 4) return { code: 5, attributes: [] };
      if (isRefusing)
        return { code: 3, attributes: [emptyMessageAuthenticator, ['Reply-Message', 'staff_hold']] };
      return {
        code: 2,
        attributes: [emptyMessageAuthenticator, ['Framed-Pool', 'home'], ['Session-Timeout', 900]],
      };
    });
    folder = mkdtempSync(join(tmpdir(), 'sluice-lab-'));
    const endpoint = { address: '127.0.0.1', port: server.port };
    config = {
      control: { port: await freePort() },
      authServer: endpoint,
      acctServer: endpoint,
      routers: ['north', 'south'].map((name) => ({
        name,
        address: labAddress(),
        secret,
        pools: { home: ['10.64.0.10', '10.64.0.20'] },
      })),
      subscribers: [
        { username: 'alice', password: 'a', router: 'north', mac: '02:00:00:00:00:0a' },
        { username: 'bob', password: 'b', router: 'south', method: 'pap', dialAtStart: false },
      ],
      redialSeconds: [0.05, 0.1],
      dialSpreadSeconds: 0,
    };
    write();
    lab = new Lab(readLabConfig(file()), () => undefined);
    control = await openControl({
      lab,
      port: readLabConfig(file()).control.port,
      say: () => undefined,
      reload: () => lab.reload(readLabConfig(file())),
    });
    await lab.start();
  });
  afterEach(async () => {
    await control.close();
    await lab.stop(1000);
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const file = () => join(folder, 'lab.json');
  const write = () => writeFileSync(file(), JSON.stringify(config));

  async function call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`http://127.0.0.1:${control.port}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return { status: response.status, body: await response.json() };
  }
  const online = async (username: string) => {
    await until(`${username} online`, () => lab.sessions(username).length === 1, { timeoutMs: 5000 });
    const [session] = lab.sessions(username);
    if (session === undefined) throw new Error('unreachable');
    return session;
  };

  it('GET /routers, gives each router with its faults and counters, without secrets', async () => {
    await online('alice');
    const { status, body } = await call('GET', '/routers');
    expect(status).to.equal(200);
    expect(body).to.have.length(2);
    expect(body).to.have.nested.property('[0].name', 'north');
    expect(body).to.have.nested.property('[0].counters.sessions', 1);
    expect(JSON.stringify(body)).to.not.include(secret);
  });

  it('GET /sessions and /subscribers, show who is online where', async () => {
    const session = await online('alice');
    expect((await call('GET', '/sessions?username=alice')).body).to.have.nested.property(
      '[0].key',
      session.key,
    );
    expect((await call('GET', '/sessions?username=bob')).body).to.deep.equal([]);
    expect((await call('GET', '/routers/north/sessions')).body).to.have.nested.property(
      '[0].mac',
      '02:00:00:00:00:0A',
    );
    const { body } = await call('GET', '/subscribers');
    expect(body).to.have.nested.property('[0].state', 'online');
    expect(body).to.have.nested.property('[1].state', 'off');
  });

  it('POST dial and hang-up, of a subscriber, switch its CPE on and off', async () => {
    expect((await call('POST', '/subscribers/bob/dial', {})).status).to.equal(202);
    await online('bob');
    expect((await call('POST', '/subscribers/bob/hang-up')).body).to.include({ state: 'off' });
    expect(lab.sessions('bob')).to.have.length(0);
  });

  it('POST dial, at a router, gives the named outcome', async () => {
    const accepted = await call('POST', '/routers/south/dial', {
      username: 'carol',
      password: 'c',
      method: 'pap',
    });
    expect(accepted.body).to.deep.include({ ok: true });
    isRefusing = true;
    const refused = await call('POST', '/routers/south/dial', { username: 'carol', password: 'c' });
    expect(refused.body).to.deep.equal({ ok: false, why: 'reject', replyMessage: 'staff_hold' });
  });

  it('POST hang-up, of a session, ends it with a Stop, once', async () => {
    const dialed = await lab.router('south')?.dial({ username: 'carol', password: 'c' });
    const key = dialed?.ok === true ? dialed.session.key : '';
    const path = `/routers/south/sessions/${key}`;
    expect((await call('POST', `${path}/hang-up`)).body).to.include({
      state: 'ended',
      endCause: 'User-Request',
    });
    expect((await call('POST', `${path}/hang-up`)).status).to.equal(404);
    expect((await call('GET', path)).body).to.include({ state: 'ended' });
  });

  it('POST traffic and account, add octets and send a packet more', async () => {
    const { key } = await online('alice');
    const path = `/routers/north/sessions/${key}`;
    const { body } = await call('POST', `${path}/traffic`, { outputOctets: 5 * 2 ** 30, isIdle: true });
    expect(body)
      .to.have.property('outputOctets')
      .that.is.at.least(5 * 2 ** 30);
    expect((await call('POST', `${path}/account`, { status: 'Interim-Update' })).body).to.deep.equal({
      outcome: 'answered',
    });
    const interim = server.requests.find(({ attributes }) => numberOf(attributes, 'Acct-Status-Type') === 3);
    expect(numberOf(interim?.attributes ?? [], 'Acct-Output-Gigawords')).to.equal(1);
    expect((await call('POST', '/routers/north/sessions/none/traffic', {})).status).to.equal(404);
  });

  it('faults, set and cleared, take effect', async () => {
    const session = await online('alice');
    const set = await call('POST', '/routers/north/faults', { kind: 'refuse', errorCause: 501, times: 2 });
    expect(set.status).to.equal(201);
    const router = lab.router('north');
    if (router === undefined) throw new Error('no router');
    const kick = () => radclient(router, 'disconnect', secret, [`Acct-Session-Id = "${session.id}"`]);
    expect((await kick()).errorCause).to.equal('Administratively-Prohibited');
    expect((await call('GET', '/routers/north/faults')).body).to.deep.equal([
      { kind: 'refuse', errorCause: 501, times: 1 },
    ]);
    expect((await call('DELETE', '/routers/north/faults/refuse')).body).to.deep.equal([]);
    expect((await kick()).kind).to.equal('ack');
  });

  it('POST reboot, drops the sessions, and their CPEs dial again', async () => {
    const session = await online('alice');
    expect((await call('POST', '/routers/north/reboot', {})).body).to.deep.equal({
      accountingOn: 'answered',
    });
    await until('the redial', () => lab.sessions('alice').some(({ key }) => key !== session.key), {
      timeoutMs: 5000,
    });
    expect((await online('alice')).id).to.match(/^811/);
  });

  it('GET packets, gives the last ones in and out', async () => {
    await online('alice');
    const { body } = await call('GET', '/routers/north/packets?limit=500');
    expect(JSON.stringify(body)).to.include('Access-Accept');
    expect((await call('GET', '/routers/north/packets?limit=0')).body).to.deep.equal({
      errors: [{ field: 'limit', rule: 'must be 1 to 1000' }],
    });
  });

  it('a router, added and removed, dials in between; its secret can be changed', async () => {
    const added = await call('POST', '/routers', {
      name: 'west',
      address: labAddress(),
      secret: 'wrong',
      coaPort: 3799,
    });
    expect(added.status).to.equal(201);
    const again = await call('POST', '/routers', { name: 'west', address: labAddress(), secret: 'x' });
    expect(again.body).to.deep.equal({ errors: [{ field: 'name', rule: 'is taken' }] });
    expect((await call('PATCH', '/routers/west', { secret })).status).to.equal(200);
    const dialed = await call('POST', '/routers/west/dial', { username: 'carol', password: 'c' });
    expect(dialed.body, 'accepted, but without a pool').to.deep.equal({
      ok: false,
      why: 'no_such_pool',
      pool: 'home',
    });
    expect((await call('DELETE', '/routers/west')).status).to.equal(200);
    expect((await call('GET', '/routers/west')).status).to.equal(404);
  });

  it('POST reload, after the file changed, brings routers, secrets and subscribers to it', async () => {
    const session = await online('alice');
    const [north, south] = config.routers;
    if (north === undefined || south === undefined) throw new Error('no routers');
    config = {
      ...config,
      routers: [
        { ...north, secret: 'changed' },
        { name: 'east', address: labAddress(), secret },
      ],
      subscribers: (config.subscribers ?? []).slice(0, 1),
    };
    write();
    expect((await call('POST', '/reload', {})).status).to.equal(200);
    expect(lab.routers().map(({ name }) => name)).to.deep.equal(['north', 'east']);
    expect(lab.subscribers()).to.have.length(1);
    expect(lab.sessions('alice')[0]?.key, 'a new secret keeps the sessions').to.equal(session.key);
    const router = lab.router('north');
    if (router === undefined) throw new Error('no router');
    const kick = ['User-Name = "alice"'];
    expect((await radclient(router, 'disconnect', 'changed', kick)).kind).to.equal('ack');
  });

  it('POST reload, with a bad file, says which field is wrong and changes nothing', async () => {
    writeFileSync(
      file(),
      JSON.stringify({ ...config, routers: [{ name: 'x', address: '10.0.0.1', secret: '' }] }),
    );
    const { status, body } = await call('POST', '/reload', {});
    expect(status).to.equal(400);
    expect(body).to.have.nested.property('errors[0].field', 'routers[0].address');
    expect(lab.routers()).to.have.length(2);
  });

  const bad: [string, string, string, unknown, string][] = [
    ['an unknown fault', 'POST', '/routers/north/faults', { kind: 'explode' }, 'kind'],
    ['a refusal without its cause', 'POST', '/routers/north/faults', { kind: 'refuse' }, 'errorCause'],
    ['no times', 'POST', '/routers/north/faults', { kind: 'silent', times: 0 }, 'times'],
    ['a field that is not known', 'POST', '/routers/north/reboot', { softly: true }, 'softly'],
    [
      'an address outside loopback',
      'POST',
      '/routers',
      { name: 'w', address: '10.1.1.1', secret: 's' },
      'address',
    ],
    ['a taken address', 'POST', '/routers', 'north', 'address'],
    ['an odd name', 'POST', '/routers', { name: 'a b', address: '127.7.7.7', secret: 's' }, 'name'],
    ['no secret', 'PATCH', '/routers/north', {}, 'secret'],
    [
      'an unknown method',
      'POST',
      '/routers/north/dial',
      { username: 'a', password: 'b', method: 'eap' },
      'method',
    ],
    [
      'a password that is too long',
      'POST',
      '/routers/north/dial',
      { username: 'a', password: 'ä'.repeat(65) },
      'password',
    ],
    ['an odd MAC', 'POST', '/routers/north/dial', { username: 'a', password: 'b', mac: 'aa-bb' }, 'mac'],
    ['a list instead of an object', 'POST', '/routers/north/dial', [], 'body'],
  ];
  for (const [what, method, path, body, field] of bad) {
    it(`${method} ${path}, with ${what}, is refused and names ${field}`, async () => {
      const taken = { name: 'w', address: lab.router('north')?.address, secret: 's' };
      const answer = await call(method, path, body === 'north' ? taken : body);
      expect(answer.status).to.equal(400);
      expect(answer.body).to.have.nested.property('errors[0].field', field);
    });
  }

  it('a request, without JSON, to nothing, by a wrong method or under another Host, is refused', async () => {
    const url = `http://127.0.0.1:${control.port}/routers/north/reboot`;
    const form = await fetch(url, { method: 'POST', body: 'isSilent=true' });
    expect([form.status, await form.json()]).to.deep.equal([
      400,
      { errors: [{ field: 'Content-Type', rule: 'must be application/json' }] },
    ]);
    const broken = await fetch(url, {
      method: 'POST',
      body: '{',
      headers: { 'content-type': 'application/json' },
    });
    expect(await broken.json()).to.deep.equal({ errors: [{ field: 'body', rule: 'is not JSON' }] });
    expect((await call('GET', '/nothing')).status).to.equal(404);
    expect((await call('GET', '/routers/nowhere')).status).to.equal(404);
    expect((await call('DELETE', '/routers')).body).to.deep.equal({
      error: 'method',
      allowed: ['GET', 'POST'],
    });
    const status = await new Promise((resolve, reject) => {
      request({ port: control.port, path: '/routers', headers: { host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).to.equal(400);
  });

  it('a CPE, when refused, waits and dials again until it is let in', async () => {
    isRefusing = true;
    lab.cpe('bob')?.start(0);
    const dials = () =>
      server.requests.filter(
        ({ code, attributes }) => code === 1 && numberOf(attributes, 'NAS-Port-Type') === 15,
      );
    const before = dials().length;
    await until('three dials', () => dials().length >= before + 3, { timeoutMs: 5000 });
    expect(lab.cpe('bob')?.view()).to.include({ last: 'reject', replyMessage: 'staff_hold' });
    isRefusing = false;
    await online('bob');
  });

  it('routerSchema, with a pool whose first address is above its last, names the pool', () => {
    const router = {
      name: 'a',
      address: '127.0.0.9',
      secret: 's',
      pools: { home: ['10.0.0.9', '10.0.0.1'] },
    };
    expect(() => parseInput(routerSchema, router)).to.throw(
      'pools.home: the first address must not be above the last',
    );
  });
});
