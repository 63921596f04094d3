import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { freePort } from '../../scripts/servers/child.ts';
import {
  createRadiusUser,
  type PrivateFreeRadius,
  startFreeRadius,
} from '../../scripts/servers/freeradius.ts';
import { type PrivateMariaDb, startMariaDb } from '../../scripts/servers/mariadb.ts';
import { dataRoot, projectRoot } from '../../scripts/servers/place.ts';
import { type DbAddress, openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import { type Attributes, type Reply, TestRouter } from '../support/radius-client.ts';
import { secretOf, writeClientFile, writeLogin } from '../support/radius-server.ts';
import { standStill } from '../support/stand-still.ts';

/** These stop and freeze the database, so it is this file's own. */
describe('FreeRADIUS: when the database is away', function () {
  this.timeout(60_000);
  const folder = join(dataRoot(), `test-${process.pid}-outage`);
  let port: number;
  let mariadb: PrivateMariaDb;
  let server: PrivateFreeRadius;
  let db: Knex;
  let router: TestRouter;
  let radiusUser: DbAddress;

  const startDatabase = () =>
    startMariaDb(join(folder, 'mariadb'), { port, password: 'test-only', isDurable: false });

  before(async () => {
    port = await freePort();
    mariadb = await startDatabase();
    await mariadb.createDatabase('sluice');
    const address = { host: '127.0.0.1', port, user: mariadb.user, password: mariadb.password };
    db = openDb({ ...address, database: 'sluice' });
    await migrate(db, join(projectRoot, 'sql'), new Date('2026-01-01T00:00:00Z'));
    radiusUser = await createRadiusUser(mariadb, 'sluice', 'radius-only');
    await writeLogin(db, 'ann', { 'Cleartext-Password': 'p' }, { 'Mikrotik-Rate-Limit': '1M/2M' });
    await writeLogin(db, 'once', { 'Cleartext-Password': 'p', 'Simultaneous-Use': '1' }, {});
    server = await startFreeRadius(join(folder, 'freeradius'), { db: radiusUser });
    router = await routerAt('127.0.0.61', 61);
  });
  after(async () => {
    await router.close();
    await db.destroy();
    await server.stop();
    await mariadb.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function routerAt(source: string, id: number): Promise<TestRouter> {
    writeClientFile(server, source, id);
    return TestRouter.open({
      source,
      secret: secretOf(id),
      authPort: server.authPort,
      acctPort: server.acctPort,
    });
  }

  const dialSeveral = (): Promise<(Reply | undefined)[]> =>
    Promise.all(
      ['ann', 'ann', 'nobody', 'once'].map((username) => router.login({ username, password: 'p' }, 1500)),
    );
  const rowsOf = (one: Attributes) =>
    db('radacct').where({ acctsessionid: String(one.find(([name]) => name === 'Acct-Session-Id')?.[1]) });
  const silence = [undefined, undefined, undefined, undefined];

  /** As a router does: the same bytes until there is an answer. Gives how often it was sent. */
  async function sendUntilAnswered(packet: Buffer, to: number): Promise<number> {
    for (let times = 1; times <= 100; times++) {
      if ((await router.send(packet, to, 300)) !== undefined) return times;
    }
    throw new Error('never answered');
  }

  async function untilAccepted(): Promise<void> {
    for (let times = 1; times <= 50; times++) {
      const reply = await router.login({ username: 'ann', password: 'p' }, 400);
      if (reply === undefined) continue;
      expect(reply.kind).to.equal('accept');
      return;
    }
    throw new Error('no login after the database is back');
  }

  it('gone, answers no login and no accounting, rejects nobody, and goes on by itself', async () => {
    await mariadb.stop();
    expect(await dialSeveral()).to.deep.equal(silence);
    const gone = session('gone');
    const packet = router.accounting('start', gone);
    expect(await router.send(packet, server.acctPort, 500)).to.equal(undefined);
    expect(await router.isHeard()).to.equal(true);

    const answered = sendUntilAnswered(packet, server.acctPort);
    mariadb = await startDatabase();

    await answered;
    await untilAccepted();
    expect(await rowsOf(gone)).to.have.length(1);
    expect(await db('radpostauth')).to.deep.equal([]);
  });

  it('hung, answers nothing, still takes in a new router, and goes on by itself', async () => {
    await untilAccepted();
    await standStill(mariadb.child.pid);
    const hung = session('hung');
    let answered: Promise<number>;
    try {
      const packet = router.accounting('start', hung);
      answered = sendUntilAnswered(packet, server.acctPort);
      expect(await dialSeveral()).to.deep.equal(silence);
      expect(await router.isHeard(), 'a router it knows').to.equal(true);
      const newcomer = await routerAt('127.0.0.62', 62);
      expect(await newcomer.isHeard(), 'a router it does not know yet').to.equal(true);
      await newcomer.close();
      await wait(1000);
    } finally {
      process.kill(mariadb.child.pid, 'SIGCONT');
    }
    await answered;
    await untilAccepted();
    expect(await rowsOf(hung)).to.have.length(1);
    // Whoever was asked for meanwhile and exists was not rejected afterwards either.
    expect(await db('radpostauth').whereNot({ username: 'nobody' })).to.deep.equal([]);
  });

  it('gone while FreeRADIUS starts, is waited for without an answer', async () => {
    await mariadb.stop();
    await server.stop();
    try {
      server = await startFreeRadius(join(folder, 'freeradius'), {
        db: radiusUser,
        authPort: server.authPort,
        acctPort: server.acctPort,
      });
      expect(await dialSeveral()).to.deep.equal(silence);
    } finally {
      mariadb = await startDatabase();
    }
    await untilAccepted();
  });

  it('locked where a session is to be written, leaves the packet unanswered until it is stored', async () => {
    const attributes = session('locked');
    expect(await router.account('start', attributes)).to.equal(true);
    const lock = await db.transaction();
    await lock('radacct').where({ username: 'locked' }).forUpdate();

    const packet = router.accounting('stop', [...attributes, ['Acct-Session-Time', 50]]);
    const whileLocked = await router.send(packet, server.acctPort, 2800);
    await lock.rollback();

    expect(whileLocked).to.equal(undefined);
    await wait(200);
    expect(await router.account('stop', [...attributes, ['Acct-Session-Time', 50]])).to.equal(true);
    const row: unknown = await db('radacct').where({ username: 'locked' }).first();
    expect(row).to.include({ stop_seen: 1, acctsessiontime: 50 });
  });

  it('without the table of sessions, answers nothing, and goes on when it is back', async () => {
    await db.schema.renameTable('radacct', 'radacct_away');
    try {
      expect(await router.login({ username: 'once', password: 'p' }, 500)).to.equal(undefined);
      expect(await router.account('on', [], 500)).to.equal(false);
      expect(await router.account('start', session('lost'), 500)).to.equal(false);
    } finally {
      await db.schema.renameTable('radacct_away', 'radacct');
    }
    await untilAccepted();
  });

  it('with a reply row that is no attribute, answers that login nothing and the others as ever', async () => {
    await writeLogin(db, 'broken', { 'Cleartext-Password': 'p' }, { 'Framed-IP-Address': 'no address' });
    expect(await router.login({ username: 'broken', password: 'p' }, 500)).to.equal(undefined);
    await untilAccepted();
  });

  it('when it allows no more than it has to, serves logins, accounting and rejects', async () => {
    const asRadius = openDb(radiusUser);
    const grants = (await asRadius.raw('SHOW GRANTS')) as [Record<string, string>[]];
    await asRadius.destroy();
    const text = grants[0].map((row) => Object.values(row)[0]?.replace(/ IDENTIFIED.*/, '')).sort();
    expect(text).to.deep.equal([
      'GRANT INSERT ON `sluice`.`radpostauth` TO `sluice_radius`@`127.0.0.1`',
      'GRANT SELECT ON `sluice`.`radcheck` TO `sluice_radius`@`127.0.0.1`',
      'GRANT SELECT ON `sluice`.`radreply` TO `sluice_radius`@`127.0.0.1`',
      'GRANT SELECT, INSERT, UPDATE ON `sluice`.`radacct` TO `sluice_radius`@`127.0.0.1`',
      'GRANT USAGE ON *.* TO `sluice_radius`@`127.0.0.1`',
    ]);
    await db('radpostauth').delete();
    await router.login({ username: 'nobody', password: 'p' });
    expect(await db('radpostauth').pluck('reason')).to.deep.equal(['unknown_user']);
  });
});

function session(username: string): Attributes {
  return [
    ['User-Name', username],
    ['Acct-Session-Id', randomBytes(4).toString('hex')],
    ['NAS-Port', 1],
    ['Class', `S1.7.0123456789.abcdef0123.${randomBytes(8).toString('hex')}`],
  ];
}
