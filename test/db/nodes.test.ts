import { connect, createServer } from 'node:net';
import { expect } from 'chai';
import { freePort } from '../../scripts/servers/child.ts';
import { openDb } from '../../src/db/knex.ts';
import { nodesOf } from '../../src/db/nodes.ts';
import { type TestDb, testDb } from '../support/db.ts';

describe('db/nodes', () => {
  it('nodesOf, for names and addresses with and without a port, reads the list in its order', () => {
    expect(nodesOf('db1, db2:3307,10.0.0.3,[fe80::1]:3308,::1', 3306)).to.deep.equal([
      { host: 'db1', port: 3306 },
      { host: 'db2', port: 3307 },
      { host: '10.0.0.3', port: 3306 },
      { host: 'fe80::1', port: 3308 },
      { host: '::1', port: 3306 },
    ]);
  });

  it('nodesOf, for what is no host, says so', () => {
    for (const text of ['', 'a,,b', 'a:b', 'a:1:2x', 'a b'])
      expect(() => nodesOf(text, 3306), text).to.throw();
  });

  describe('openDb', () => {
    let test: TestDb;
    before(async function () {
      this.timeout(60_000);
      test = await testDb();
    });
    after(() => test.drop());

    it('openDb, when the first node of the list refuses, goes on with the second', async () => {
      const dead = await freePort();
      const host = `127.0.0.1:${dead},127.0.0.1:${test.address.port}`;
      const db = openDb({ ...test.address, host });
      expect(await db('schema_migration').first('name')).to.be.an('object');
      await db.destroy();
    });

    it('openDb, when every node refuses, says that of the last', async () => {
      const dead = await freePort();
      const db = openDb({ ...test.address, host: `127.0.0.1:${dead},127.0.0.1:${dead}` });
      const error: unknown = await db.raw('SELECT 1').then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).to.include({ code: 'ECONNREFUSED' });
      await db.destroy();
    });

    it('openDb, when a node stops answering in the middle of a statement, loses it and goes on with another', async () => {
      // It lets everything through until it is told to swallow it: what a frozen server looks like to a client.
      const wire = await swallowingWire(test.address.port);
      const host = `127.0.0.1:${wire.port},127.0.0.1:${test.address.port}`;
      const db = openDb({ ...test.address, host }, { silentMs: 300 });
      await db.raw('SELECT 1');
      wire.swallow();
      const error: unknown = await db.raw('SELECT 2').then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).to.include({ code: 'PROTOCOL_CONNECTION_LOST' });
      expect(await db('schema_migration').first('name')).to.be.an('object');
      await db.destroy();
      wire.close();
    });
  });
});

async function swallowingWire(to: number) {
  let isSwallowing = false;
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (bytes) => {
      if (!isSwallowing) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!isSwallowing) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  return {
    port: typeof at === 'object' && at !== null ? at.port : 0,
    swallow: () => {
      isSwallowing = true;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
