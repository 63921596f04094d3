import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { type DbAddress, openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import type { ServerChild } from '../servers/child.ts';
import { type PrivateMariaDb, startMariaDb } from '../servers/mariadb.ts';
import { dataRoot, makeFolder, projectRoot, serverAccount } from '../servers/place.ts';

/** The database server's password, and so a secret that must show up nowhere. */
export const databasePassword = 'canary-database-41c7';

export interface OwnDatabase {
  readonly mariadb: PrivateMariaDb;
  readonly folder: string;
  readonly address: DbAddress;
  readonly db: Knex;
  close(): Promise<void>;
}

/** A MariaDB and a migrated database for one campaign; both are thrown away with their folder. */
export async function openOwnDatabase(now: Date): Promise<OwnDatabase> {
  makeFolder(dataRoot(), undefined);
  const folder = mkdtempSync(join(dataRoot(), 'fuzz-'));
  makeFolder(folder, serverAccount('mysql'));
  // FreeRADIUS runs below it under an account of its own.
  chmodSync(folder, 0o755);
  const mariadb = await startMariaDb(join(folder, 'mariadb'), {
    password: databasePassword,
    isDurable: false,
  });
  const forget = endWithUs(mariadb.child, folder);
  const database = 'sluice_fuzz';
  await mariadb.createDatabase(database);
  const { port, user, password } = mariadb;
  const address = { host: '127.0.0.1', port, user, password, database };
  const db = openDb(address, { poolMax: 12 });
  await migrate(db, join(projectRoot, 'sql'), now);
  return {
    mariadb,
    folder,
    address,
    db,
    async close() {
      await db.destroy();
      await mariadb.stop();
      forget();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A server of ours does not outlive us, also where a fault or a signal ends us. Gives how to call that off. */
export function endWithUs(child: ServerChild, folder?: string): () => void {
  const end = () => {
    if (!child.hasExited()) process.kill(child.pid, 'SIGKILL');
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', end);
  return () => process.removeListener('exit', end);
}
