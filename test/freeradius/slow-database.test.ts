import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import {
  createRadiusUser,
  type PrivateFreeRadius,
  startFreeRadius,
} from '../../scripts/servers/freeradius.ts';
import { type PrivateMariaDb, startMariaDb } from '../../scripts/servers/mariadb.ts';
import { dataRoot, projectRoot } from '../../scripts/servers/place.ts';
import { openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import { type Attributes, TestRouter } from '../support/radius-client.ts';
import { secretOf, writeClientFile, writeLogin } from '../support/radius-server.ts';
import { standStill } from '../support/stand-still.ts';

/** These let the database stand still and cut its connections, so it is this file's own. */
describe('FreeRADIUS: when the database is slow', function () {
  this.timeout(60_000);
  const folder = join(dataRoot(), `test-${process.pid}-slow`);
  let mariadb: PrivateMariaDb;
  let wire: Wire;
  let server: PrivateFreeRadius;
  let db: Knex;
  let router: TestRouter;

  before(async () => {
    mariadb = await startMariaDb(join(folder, 'mariadb'), { password: 'test-only', isDurable: false });
    await mariadb.createDatabase('sluice');
    const address = { host: '127.0.0.1', port: mariadb.port, user: mariadb.user, password: mariadb.password };
    db = openDb({ ...address, database: 'sluice' });
    await migrate(db, join(projectRoot, 'sql'), new Date('2026-01-01T00:00:00Z'));
    const radiusUser = await createRadiusUser(mariadb, 'sluice', 'radius-only');
    await writeLogin(db, 'ann', { 'Cleartext-Password': 'p' }, { 'Mikrotik-Rate-Limit': '1M/2M' });
    wire = await Wire.open(mariadb.port);
    server = await startFreeRadius(join(folder, 'freeradius'), { db: { ...radiusUser, port: wire.port } });
    writeClientFile(server, '127.0.0.63', 63);
    const { authPort, acctPort } = server;
    router = await TestRouter.open({ source: '127.0.0.63', secret: secretOf(63), authPort, acctPort });
  });
  after(async () => {
    await router.close();
    await db.destroy();
    await server.stop();
    wire.close();
    await mariadb.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function untilAccepted(): Promise<void> {
    for (let times = 1; times <= 50; times++) {
      const reply = await router.login({ username: 'ann', password: 'p' }, 400);
      if (reply === undefined) continue;
      expect(reply.kind).to.equal('accept');
      return;
    }
    throw new Error('no login after the database is back');
  }

  it('breaking connections while they are opened, is done without for so long, and no longer', async () => {
    await untilAccepted();
    wire.breaksWhenOpened = true;
    wire.cut();
    expect(await router.login({ username: 'ann', password: 'p' }, 1000)).to.equal(undefined);
    expect(await router.isHeard()).to.equal(true);

    wire.breaksWhenOpened = false;
    await untilAccepted();
  });

  it('standing still, has no login worked off that nobody waits for any more, and all accounting', async () => {
    await untilAccepted();
    const dials = Array.from({ length: 150 }, () => router.loginPacket({ username: 'ann', password: 'p' }));
    const sessions = Array.from({ length: 30 }, (_, i) => session(`still-${i}`));
    await standStill(mariadb.child.pid);
    let answers: ReturnType<TestRouter['send']>[];
    let stored: Promise<boolean>[];
    try {
      // As many as there are threads get to the database; the others wait before it.
      answers = dials.map(({ packet }) => router.send(packet, server.authPort, 20_000));
      stored = sessions.map((attributes) => router.account('start', attributes, 20_000));
      await wait(2900);
    } finally {
      process.kill(mariadb.child.pid, 'SIGCONT');
    }

    expect(await Promise.all(stored)).to.deep.equal(sessions.map(() => true));
    expect(await db('radacct').whereRaw("username LIKE 'still-%'")).to.have.length(sessions.length);
    await untilAccepted();
    const late = await Promise.all(answers.map((answer) => Promise.race([answer, wait(0, 'none')])));
    expect(late.filter((answer) => answer !== 'none')).to.have.length.at.most(24);
    // A router that repeats such a dial is answered.
    const last = dials.at(-1)?.packet ?? Buffer.alloc(0);
    const again = (await router.send(last, server.authPort)) ?? (await router.send(last, server.authPort));
    expect(again?.kind).to.equal('accept');
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

/** FreeRADIUS's way to the database. */
class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Cuts each new connection when it has signed in, at the first thing that it asks for. */
  breaksWhenOpened = false;

  private constructor(to: number) {
    this.#server = createServer({ noDelay: true }, (client) => {
      const upstream = connect({ port: to, host: '127.0.0.1', noDelay: true });
      for (const [from, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => undefined);
        from.on('close', () => {
          this.#sockets.delete(from);
          other.destroy();
        });
      }
      let said = 0;
      client.on('data', (bytes) => {
        if (this.breaksWhenOpened && ++said > 1) client.destroy();
        else upstream.write(bytes);
      });
      upstream.on('data', (bytes) => client.write(bytes));
    });
  }

  static async open(to: number): Promise<Wire> {
    const wire = new Wire(to);
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', () => resolve()));
    return wire;
  }

  get port(): number {
    const at = this.#server.address();
    return typeof at === 'object' && at !== null ? at.port : 0;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
