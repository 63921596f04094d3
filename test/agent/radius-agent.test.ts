import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { openDb } from '../../src/db/knex.ts';
import { clientEvidence, clientFaults } from '../../src/db/radius-clients.ts';
import { addRouter, removeRouter, setRouter } from '../../src/network/routers.ts';
import {
  alignClientFiles,
  quarantineBadClientFiles,
  startRadiusAgent,
} from '../../src/reconcile/radius-agent.ts';
import { type AgentFixture, agentFixture, isAccepted, soon } from './support.ts';

describe('radius-agent', () => {
  let f: AgentFixture;
  let next = 0;
  before(async function () {
    this.timeout(60_000);
    f = await agentFixture({ hasIpv6: true });
  });
  after(() => f.stop());

  const address = () => `127.91.0.${++next}`;
  const add = async (
    secret: string,
    more: { address?: string; needsMessageAuthenticator?: boolean } = {},
  ) => {
    const wanted = { name: `router-${++next}`, address: address(), secret, ...more };
    const { routerId } = await addRouter(f.ctx, wanted, f.radius);
    await f.reconcile();
    return { routerId, address: wanted.address, file: join(f.server.clientDirectory, wanted.address) };
  };
  const evidenceOf = async (routerId: string) => (await clientEvidence(f.db, [routerId])).get(routerId)?.[0];

  it('a secret of any allowed characters reaches FreeRADIUS as it is', async () => {
    const secrets = [
      `o'hara " $ % # \\ { } [ ] ( )`,
      '${confdir} $ENV{HOME} %{User-Name}',
      `, ; = < > | & ~ ^ \` @ ! * ?`,
      "''''''",
      '\\\\ \\n \\" \\x',
      '# no comment',
      'x'.repeat(60),
      '0x61626364',
      'yes no',
    ];
    const routers = await Promise.all(secrets.map((secret) => add(secret)));
    await alignClientFiles(f.deps);
    for (const [n, router] of routers.entries()) {
      const dialled = await f.dial(router.address, secrets[n] ?? '');
      expect(await isAccepted(dialled, 2000), `secret ${n}`).to.equal(true);
      await dialled.close();
    }
  });

  it('a router with an IPv6 address gets its file in the directory for IPv6', async () => {
    const { routerId } = await add('secret on six', { address: '0:0::0:1' });
    await alignClientFiles(f.deps);
    expect(readdirSync(f.server.clientDirectory6)).to.deep.equal(['::1']);
    const router = await f.dial('::1', 'secret on six');
    expect(await isAccepted(router, 2000)).to.equal(true);
    await router.close();
    await removeRouter(f.ctx, { routerId });
    await f.reconcile();
    await alignClientFiles(f.deps);
    expect(readdirSync(f.server.clientDirectory6)).to.deep.equal([]);
  });

  it('a client file can be read by its owner and its group, and by nobody else', async () => {
    const { file } = await add('not for everybody');
    await alignClientFiles(f.deps);
    expect((statSync(file).mode & 0o777).toString(8)).to.equal('640');
    const owner = statSync(f.server.clientDirectory);
    expect([statSync(file).gid, statSync(file).uid]).to.deep.equal([owner.gid, owner.uid]);
  });

  it('an unchanged file is not touched, since each reading costs FreeRADIUS memory', async () => {
    const { file } = await add('stays as it is');
    await alignClientFiles(f.deps);
    const before = statSync(file, { bigint: true });
    const report = await alignClientFiles(f.deps);
    const after = statSync(file, { bigint: true });
    expect([after.mtimeNs, after.ino]).to.deep.equal([before.mtimeNs, before.ino]);
    expect(report).to.deep.equal({
      written: 0,
      renewed: 0,
      removed: 0,
      quarantined: 0,
      refused: 0,
      failed: 0,
    });
  });

  it('a file that somebody changed by hand is put right', async () => {
    const { file } = await add('the right secret');
    await alignClientFiles(f.deps);
    const right = readFileSync(file, 'utf8');
    writeFileSync(file, right.replace('right', 'wrong'));
    await alignClientFiles(f.deps);
    expect(readFileSync(file, 'utf8')).to.equal(right);
  });

  it('a time in the future is set to now, or FreeRADIUS would read the file every second', async () => {
    const { file } = await add('from the future');
    await alignClientFiles(f.deps);
    const later = f.deps.clock.now().getTime() / 1000 + 86_400;
    utimesSync(file, later, later);
    expect((await alignClientFiles(f.deps)).renewed).to.equal(1);
    expect(statSync(file).mtimeMs).to.be.at.most(f.deps.clock.now().getTime());
  });

  it('a bad file goes to quarantine before FreeRADIUS starts, which it would prevent', async () => {
    const folder = f.server.clientDirectory;
    writeFileSync(
      join(folder, '127.91.9.1'),
      'client r99 {\n\tipaddr = 127.91.9.1\n\tsecret = "${nothing}"\n',
    );
    writeFileSync(join(folder, '127.0.0.1'), "client me {\n\tipaddr = 127.0.0.1\n\tsecret = 'abcdef'\n}\n");
    mkdirSync(join(folder, 'README'));
    expect(startsWith(f)).to.equal(false);
    expect(await quarantineBadClientFiles(f.deps)).to.equal(3);
    expect(startsWith(f)).to.equal(true);
    const kept = readdirSync(`${folder}.bad`).map((name) => name.replace(/\.\d{4}-.*/, ''));
    expect(kept).to.include.members(['127.91.9.1', '127.0.0.1', 'README']);
  });

  it('a bad file of a wanted router is replaced, and kept in quarantine', async () => {
    const { address: at, file } = await add('will be damaged');
    await alignClientFiles(f.deps);
    const right = readFileSync(file, 'utf8');
    writeFileSync(file, right.slice(0, 40));
    expect(await alignClientFiles(f.deps)).to.include({ quarantined: 0, written: 1 });
    expect(readFileSync(file, 'utf8')).to.equal(right);
    expect(readdirSync(`${f.server.clientDirectory}.bad`).some((name) => name.startsWith(at))).to.equal(true);
  });

  it('one unusable row does not stop the others; it is an error that names the rule', async () => {
    const bad = await add('was fine before');
    const good = await add('is fine');
    await f.db('nas').where({ router_id: bad.routerId }).update({ secret: 'umläut secret' });
    const report = await alignClientFiles(f.deps);
    expect(report.failed).to.equal(1);
    expect(existsSync(good.file)).to.equal(true);
    expect(await evidenceOf(bad.routerId)).to.include({
      level: 'error',
      error: 'secret: must be printable ASCII',
    });
    const faults = await clientFaults(f.db);
    expect(faults.map((fault) => fault.routerId)).to.deep.equal([bad.routerId]);
    await f.db('nas').where({ router_id: bad.routerId }).update({ secret: 'is fine again' });
    await alignClientFiles(f.deps);
    expect(await clientFaults(f.db)).to.deep.equal([]);
  });

  it('a failed read of nas changes nothing', async () => {
    const { file } = await add('database goes away');
    await alignClientFiles(f.deps);
    const gone = openDb({ host: '127.0.0.1', port: 9, user: 'x', password: 'x', database: 'x' });
    const error = await alignClientFiles({ ...f.deps, db: gone }).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    await gone.destroy();
    expect(error).to.be.instanceOf(Error);
    expect(existsSync(file)).to.equal(true);
  });

  it('an emptied nas removes nothing, and says so of each router; confirmed, it does', async () => {
    const { routerId, file } = await add('emptied by mistake');
    await alignClientFiles(f.deps);
    const count = readdirSync(f.server.clientDirectory).length;
    const rows = (await f.db('nas').select('*')) as Record<string, unknown>[];
    await f.db('nas').del();
    expect(await alignClientFiles(f.deps)).to.include({ removed: 0, refused: count });
    expect(existsSync(file)).to.equal(true);
    expect((await evidenceOf(routerId))?.error).to.include('no row in nas');
    expect((await alignClientFiles(f.deps, { isRemovalConfirmed: true })).removed).to.equal(count);
    expect(readdirSync(f.server.clientDirectory)).to.deep.equal([]);
    await f.db('nas').insert(rows);
    expect((await alignClientFiles(f.deps)).written).to.equal(count);
    expect((await evidenceOf(routerId))?.error).to.equal(null);
  });

  it('what a killed agent left half-written is removed, and never reached FreeRADIUS', async () => {
    const staging = `${f.server.clientDirectory}.new`;
    writeFileSync(join(staging, '4999999-1-127.91.0.1'), 'client r1 {');
    await alignClientFiles(f.deps);
    expect(readdirSync(staging)).to.deep.equal([]);
  });

  it('a router that moves to another address leaves its old file behind nowhere', async () => {
    const router = await add('moves away');
    await alignClientFiles(f.deps);
    const elsewhere = address();
    await setRouter(f.ctx, { routerId: router.routerId, address: elsewhere }, f.radius);
    await f.reconcile();
    expect(await alignClientFiles(f.deps)).to.include({ written: 1, removed: 1 });
    expect(existsSync(router.file)).to.equal(false);
    expect(existsSync(join(f.server.clientDirectory, elsewhere))).to.equal(true);
    expect((await evidenceOf(router.routerId))?.level).to.equal('in_place');
  });

  it('evidence goes from in place to loaded to heard, and begins again with a new secret', async function () {
    this.timeout(20_000);
    const running = f.start();
    const router = await add('first secret of it');
    const level = async () => (await evidenceOf(router.routerId))?.level;
    await soon('in place', async () => (await level()) === 'in_place');
    const first = await f.dial(router.address, 'first secret of it');
    expect(await isAccepted(first, 3000)).to.equal(true);
    await soon('loaded', async () => (await level()) === 'loaded');
    // A CHAP login is accepted without the secret having been checked, so it proves nothing; accounting does.
    await wait(600);
    expect(await level()).to.equal('loaded');
    await first.account('start', [
      ['Acct-Session-Id', 's1'],
      ['User-Name', 'anna'],
    ]);
    await soon('heard', async () => (await level()) === 'heard');

    await setRouter(f.ctx, { routerId: router.routerId, secret: 'second secret' }, f.radius);
    await soon('in place', async () => (await level()) === 'in_place');
    expect(await evidenceOf(router.routerId)).to.include({ loadedAt: null, heardAt: null });
    await soon('read again', async () => {
      await first.login({ username: 'anna', password: 'secret of anna', method: 'chap' }, 100);
      return (await level()) === 'loaded';
    });
    // The router has its old secret still: what it sends is not valid, and is not heard.
    await first.account(
      'stop',
      [
        ['Acct-Session-Id', 's1'],
        ['User-Name', 'anna'],
      ],
      200,
    );
    await wait(600);
    expect(await level()).to.equal('loaded');
    const second = await f.dial(router.address, 'second secret');
    await second.account('stop', [
      ['Acct-Session-Id', 's1'],
      ['User-Name', 'anna'],
    ]);
    await soon('heard', async () => (await level()) === 'heard');
    await Promise.all([first.close(), second.close()]);
    await running.stop();
  });

  it('a login is evidence enough where the router must send Message-Authenticator', async function () {
    this.timeout(20_000);
    const running = f.start();
    const router = await add('sealed logins', { needsMessageAuthenticator: true });
    await soon('in place', async () => (await evidenceOf(router.routerId))?.level === 'in_place');
    const dialled = await f.dial(router.address, 'sealed logins');
    expect(await isAccepted(dialled, 3000)).to.equal(true);
    // The server counts a login as answered when it forgets it, cleanup_delay later.
    await soon('heard', async () => (await evidenceOf(router.routerId))?.level === 'heard', 12_000);
    await dialled.close();
    await running.stop();
  });

  it('without a control socket, accounting after the change is evidence', async function () {
    this.timeout(20_000);
    const router = await add('no control socket');
    const freeradius = { ...f.deps.freeradius, controlSocket: undefined };
    const agent = startRadiusAgent({ ...f.deps, freeradius });
    await soon('in place', async () => (await evidenceOf(router.routerId))?.level === 'in_place');
    const dialled = await f.dial(router.address, 'no control socket');
    await wait(2100);
    await soon('heard', async () => {
      await dialled.account('start', [
        ['Acct-Session-Id', `n${++next}`],
        ['User-Name', 'anna'],
      ]);
      return (await evidenceOf(router.routerId))?.level === 'heard';
    });
    await dialled.close();
    await agent.stop();
  });

  it('a control socket that is away costs evidence, and nothing else', async () => {
    const agent = startRadiusAgent({
      ...f.deps,
      freeradius: { ...f.deps.freeradius, controlSocket: join(f.server.folder, 'nothing.sock') },
    });
    const router = await add('no one answers');
    agent.wake();
    await soon('in place', () => existsSync(router.file));
    await agent.stop();
  });

  it('a file that FreeRADIUS missed is renewed when the agent starts', async function () {
    this.timeout(20_000);
    const router = await add('secret one of it');
    await alignClientFiles(f.deps);
    const one = await f.dial(router.address, 'secret one of it');
    expect(await isAccepted(one, 3000)).to.equal(true);
    await wait(1200);
    // What a plain mv does: the new content comes with a time before FreeRADIUS's last look.
    const old = statSync(router.file).mtimeMs / 1000 - 60;
    await setRouter(f.ctx, { routerId: router.routerId, secret: 'secret two of it' }, f.radius);
    await f.reconcile();
    await alignClientFiles(f.deps);
    utimesSync(router.file, old, old);
    const two = await f.dial(router.address, 'secret two of it');
    await wait(1200);
    expect(await isAccepted(two)).to.equal(false);
    const running = f.start();
    await soon('the new secret', () => isAccepted(two));
    await running.stop();
    await Promise.all([one.close(), two.close()]);
  });

  it('sees a change within its poll when nobody wakes it', async () => {
    const running = f.start({ isWoken: false });
    const router = await add('nobody said so');
    await soon('the file', () => existsSync(router.file), 1000);
    await running.stop();
  });

  it('a folder that is missing is told by name', async () => {
    const nowhere = join(f.server.folder, 'nowhere');
    const error = await alignClientFiles({ ...f.deps, freeradius: { clientDirectory: nowhere } }).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(String(error)).to.include(`client directory ${nowhere} does not exist`);
    rmSync(`${nowhere}.new`, { recursive: true, force: true });
  });
});

/** Whether FreeRADIUS would start on what is in its directories now. */
function startsWith(f: AgentFixture): boolean {
  const config = f.server.environment['SLUICE_RADIUS_CONFIG'] ?? '';
  try {
    execFileSync('freeradius', ['-C', '-d', config, '-n', 'radiusd', '-lstdout'], {
      env: f.server.environment,
      stdio: 'pipe',
      ...(f.server.account ?? {}),
    });
    return true;
  } catch {
    return false;
  }
}
