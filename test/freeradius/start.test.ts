import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { freePort } from '../../scripts/servers/child.ts';
import { createRadiusUser, sendStatusServer, startFreeRadius } from '../../scripts/servers/freeradius.ts';
import { dataRoot } from '../../scripts/servers/place.ts';
import type { DbAddress } from '../../src/db/knex.ts';
import { type TestDb, testDb, testMariaDb } from '../support/db.ts';
import { TestRouter } from '../support/radius-client.ts';
import { secretOf, writeClientFile, writeLogin } from '../support/radius-server.ts';

describe('startFreeRadius', function () {
  this.timeout(40_000);
  const folder = join(dataRoot(), `test-${process.pid}-start`);
  let test: TestDb;
  let db: DbAddress;

  before(async () => {
    test = await testDb();
    db = await createRadiusUser(await testMariaDb(), test.address.database, 'p$1 %{x} ${y} \\ " \' #');
    await writeLogin(test.db, 'ann', { 'Cleartext-Password': 'p' }, {});
  });
  beforeEach(() => rmSync(folder, { recursive: true, force: true }));
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await test.drop();
  });

  const rejection = async (work: Promise<unknown>): Promise<string> => {
    try {
      await work;
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
    throw new Error('it worked');
  };

  it('with a database password of odd characters, reaches the database', async () => {
    const server = await startFreeRadius(folder, { db });
    const router = await routerAt(server, '127.0.0.71', 71);
    try {
      expect((await router.login({ username: 'ann', password: 'p' }))?.kind).to.equal('accept');
    } finally {
      await router.close();
      await server.stop();
    }
  });

  it('started by root, runs as somebody else, and its files are not for everybody', async function () {
    if (process.getuid?.() !== 0) return this.skip();
    const server = await startFreeRadius(folder, { db });
    try {
      expect(statSync(`/proc/${server.child.pid}`).uid).to.equal(server.account?.uid);
      expect(statSync(join(folder, 'config', 'radiusd.conf')).mode & 0o007).to.equal(0);
    } finally {
      await server.stop();
    }
  });

  it('started again on its folder, still knows its routers', async () => {
    const first = await startFreeRadius(folder, { db });
    writeClientFile(first, '127.0.0.72', 72);
    await first.stop();
    const second = await startFreeRadius(folder, { db, authPort: first.authPort, acctPort: first.acctPort });
    const router = await routerAt(second, '127.0.0.72', undefined);
    try {
      expect((await router.login({ username: 'ann', password: 'p' }))?.kind).to.equal('accept');
    } finally {
      await router.close();
      await second.stop();
    }
  });

  it('on an IPv6 address too, serves a router that has one', async function () {
    if (!(await hasIpv6())) return this.skip();
    const server = await startFreeRadius(folder, { db, listen6: '::1' });
    const text = `client r73 {\n\tipv6addr = ::1\n\tsecret = '${secretOf(73)}'\n\tshortname = 'r73'\n}\n`;
    writeFileSync(join(server.clientDirectory6, '::1'), text);
    const router = await TestRouter.open({
      source: '::1',
      server: '::1',
      secret: secretOf(73),
      authPort: server.authPort,
      acctPort: server.acctPort,
    });
    try {
      expect((await router.login({ username: 'nobody', password: 'p' }))?.kind).to.equal('reject');
      const row: unknown = await test.db('radpostauth').where({ username: 'nobody' }).first();
      expect(row).to.include({ nasipaddress: '::1', router_id: '73' });
    } finally {
      await router.close();
      await server.stop();
    }
  });

  it('with a broken client file, says which', async () => {
    mkdirSync(join(folder, 'clients'), { recursive: true });
    writeFileSync(join(folder, 'clients', '10.0.0.9'), 'client r9 {\n');
    expect(await rejection(startFreeRadius(folder, { db }))).to.match(/clients\/+10\.0\.0\.9/);
  });

  it('on a port that is taken, fails and says why', async () => {
    const server = await startFreeRadius(folder, { db });
    try {
      const again = startFreeRadius(`${folder}/other`, { db, authPort: server.authPort });
      expect(await rejection(again)).to.match(/Address already in use/);
    } finally {
      await server.stop();
    }
  });

  it('listening on another address than health checks come from, is heard all the same', async () => {
    const server = await startFreeRadius(folder, { db, listen: '127.0.0.79' });
    try {
      expect(await server.isAlive(2000)).to.equal(true);
    } finally {
      await server.stop();
    }
  });

  it('when it is stopped, leaves nothing listening', async () => {
    const server = await startFreeRadius(folder, { db });
    await server.stop();
    expect(await server.isAlive(200)).to.equal(false);
  });

  it('asked by radmin, tells which clients it has loaded', async () => {
    const server = await startFreeRadius(folder, { db });
    const router = await routerAt(server, '127.0.0.74', 74);
    try {
      await router.isHeard();
      const { stdout } = await promisify(execFile)('radmin', [
        '-f',
        server.controlSocket,
        '-e',
        'show client list',
      ]);
      expect(stdout).to.match(/127\.0\.0\.74/);
    } finally {
      await router.close();
      await server.stop();
    }
  });
});

describe('sendStatusServer', () => {
  it('to a port where nobody listens, says no at once', async () => {
    const began = performance.now();
    const port = await freePort();
    expect(await sendStatusServer({ host: '127.0.0.1', port, secret: 's', timeoutMs: 5000 })).to.equal(false);
    expect(performance.now() - began).to.be.lessThan(4000);
  });
});

async function routerAt(
  server: Awaited<ReturnType<typeof startFreeRadius>>,
  source: string,
  newId: number | undefined,
): Promise<TestRouter> {
  if (newId !== undefined) writeClientFile(server, source, newId);
  return TestRouter.open({
    source,
    secret: secretOf(newId ?? Number(source.split('.')[3])),
    authPort: server.authPort,
    acctPort: server.acctPort,
  });
}

async function hasIpv6(): Promise<boolean> {
  try {
    const router = await TestRouter.open({ source: '::1', secret: '', authPort: 1, acctPort: 1 });
    await router.close();
    return true;
  } catch {
    return false;
  }
}
