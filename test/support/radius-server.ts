import { chownSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import {
  createRadiusUser,
  type PrivateFreeRadius,
  startFreeRadius,
} from '../../scripts/servers/freeradius.ts';
import { dataRoot } from '../../scripts/servers/place.ts';
import { testDb, testMariaDb } from './db.ts';
import { TestRouter } from './radius-client.ts';

/** A real FreeRADIUS with our configuration on a migrated database of its own, for one test file. */
export interface RadiusFixture {
  server: PrivateFreeRadius;
  db: Knex;
  /** A router on this source address, known to the server under the short name r<id>. */
  router(source: string, id: number): Promise<TestRouter>;
  /** Rows of a login as Sluice writes them; values of `check` and `reply` may be lists. */
  login(username: string, check: Rows, reply?: Rows): Promise<void>;
  stop(): Promise<void>;
}

export type Rows = Record<string, string>;

let count = 0;

export async function radiusFixture(): Promise<RadiusFixture> {
  const test = await testDb();
  const mariadb = await testMariaDb();
  const db = await createRadiusUser(mariadb, test.address.database, 'radius "pass\'');
  const folder = join(dataRoot(), `test-${process.pid}`, `freeradius-${++count}`);
  const server = await startFreeRadius(folder, { db });
  const routers: TestRouter[] = [];
  return {
    server,
    db: test.db,
    async router(source, id) {
      writeClientFile(server, source, id);
      const router = await TestRouter.open({
        source,
        secret: secretOf(id),
        authPort: server.authPort,
        acctPort: server.acctPort,
      });
      routers.push(router);
      return router;
    },
    login: (username, check, reply = {}) => writeLogin(test.db, username, check, reply),
    async stop() {
      await Promise.all(routers.map((router) => router.close()));
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
      await test.drop();
    },
  };
}

export function secretOf(id: number): string {
  return `secret of router ${id}`;
}

/** By hand, because what these tests are about is the server and not the agent. */
export function writeClientFile(server: PrivateFreeRadius, source: string, id: number): void {
  const aside = join(server.folder, `client-${id}`);
  const text = `client r${id} {\n\tipaddr = ${source}\n\tsecret = '${secretOf(id)}'\n\tshortname = 'r${id}'\n}\n`;
  writeFileSync(aside, text, { mode: 0o600 });
  if (server.account !== undefined) chownSync(aside, server.account.uid, server.account.gid);
  renameSync(aside, join(server.clientDirectory, source));
}

export async function writeLogin(db: Knex, username: string, check: Rows, reply: Rows): Promise<void> {
  await db('radcheck').where({ username }).delete();
  await db('radreply').where({ username }).delete();
  const rows = (of: Rows) =>
    Object.entries(of).map(([attribute, value]) => ({ username, attribute, op: ':=', value }));
  await db('radcheck').insert(rows(check));
  if (Object.keys(reply).length > 0) await db('radreply').insert(rows(reply));
}
