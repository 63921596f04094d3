import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { dataRoot, projectRoot } from '../../scripts/servers/place.ts';
import { type PrivateMariaDb, startMariaDb } from '../../scripts/servers/mariadb.ts';
import { type DbAddress, openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';

let server: Promise<PrivateMariaDb> | undefined;
let runningPid: number | undefined;
let count = 0;
const folder = join(dataRoot(), `test-${process.pid}`, 'mariadb');

/** The test process's own MariaDB: started by the first who asks, stopped by test/support/hooks.ts. */
export function testMariaDb(): Promise<PrivateMariaDb> {
  server ??= startMariaDb(folder, { password: 'test-only', isDurable: false }).then((started) => {
    runningPid = started.child.pid;
    return started;
  });
  return server;
}

export async function stopTestMariaDb(): Promise<void> {
  if (server === undefined) return;
  const running = await server;
  server = undefined;
  runningPid = undefined;
  await running.stop();
  rmSync(join(dataRoot(), `test-${process.pid}`), { recursive: true, force: true });
}

/** At the exit of a process there is no time to wait: nothing in this folder is wanted any more. */
export function killTestMariaDb(): void {
  if (runningPid !== undefined) process.kill(runningPid, 'SIGKILL');
  rmSync(join(dataRoot(), `test-${process.pid}`), { recursive: true, force: true });
}

export interface TestDb {
  db: Knex;
  address: DbAddress;
  drop(): Promise<void>;
}

/** A migrated database of this test file's own. */
export async function testDb(): Promise<TestDb> {
  const mariadb = await testMariaDb();
  const database = `sluice_t${process.pid}_${++count}`;
  await mariadb.createDatabase(database);
  const address = {
    host: '127.0.0.1',
    port: mariadb.port,
    user: mariadb.user,
    password: mariadb.password,
    database,
  };
  const db = openDb(address);
  await migrate(db, join(projectRoot, 'sql'), new Date('2026-01-01T00:00:00Z'));
  return {
    db,
    address,
    async drop() {
      await db.destroy();
      await mariadb.asRoot(`DROP DATABASE \`${database}\``);
    },
  };
}
