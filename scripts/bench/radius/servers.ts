import { chmodSync, chownSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { systemClock } from '../../../src/clock.ts';
import { type DbAddress, openDb } from '../../../src/db/knex.ts';
import { migrate } from '../../../src/db/migrate.ts';
import { createRadiusUser, type PrivateFreeRadius, startFreeRadius } from '../../servers/freeradius.ts';
import { type PrivateMariaDb, startMariaDb } from '../../servers/mariadb.ts';
import { dataRoot, makeFolder, projectRoot } from '../../servers/place.ts';

/** One MariaDB for both sides, each with a database of its own; all thrown away by close(). */
export interface Bench {
  readonly folder: string;
  readonly mariadb: PrivateMariaDb;
  readonly ours: { db: Knex; address: DbAddress };
  readonly stock: { db: Knex; address: DbAddress };
  close(): Promise<void>;
}

/** The router that everything comes from. */
export const benchRouter = { address: '127.0.0.2', secret: 'secret of the measurement' };
/** As freeradius/radiusd.conf has them. */
export const threads = 24;

/** Durable on both sides: a commit is on the disk before it is answered. */
export async function openBench(): Promise<Bench> {
  makeFolder(dataRoot(), undefined);
  const folder = mkdtempSync(join(dataRoot(), 'bench-'));
  // Two accounts work below it.
  chmodSync(folder, 0o755);
  const mariadb = await startMariaDb(join(folder, 'mariadb'), {
    password: 'bench-only',
    isDurable: true,
    extra: ['innodb_buffer_pool_size=4G', 'innodb_log_file_size=1G', 'performance_schema=OFF'],
  });
  const open = async (name: string) => {
    await mariadb.createDatabase(name);
    return openDb({
      host: '127.0.0.1',
      port: mariadb.port,
      user: mariadb.user,
      password: mariadb.password,
      database: name,
    });
  };
  const ours = await open('sluice_bench_ours');
  await migrate(ours, join(projectRoot, 'sql'), systemClock.now());
  const stock = await open('sluice_bench_stock');
  // Debian's default: the stock schema names no collation.
  await mariadb.asRoot('ALTER DATABASE sluice_bench_stock COLLATE utf8mb4_general_ci');
  await mariadb.asRoot("CREATE USER stock@'127.0.0.1' IDENTIFIED BY 'bench-only'");
  await mariadb.asRoot("GRANT ALL ON sluice_bench_stock.* TO stock@'127.0.0.1'");
  const stockAddress = {
    host: '127.0.0.1',
    port: mariadb.port,
    user: 'stock',
    password: 'bench-only',
    database: 'sluice_bench_stock',
  };
  return {
    folder,
    mariadb,
    ours: { db: ours, address: await createRadiusUser(mariadb, 'sluice_bench_ours', 'bench-only') },
    stock: { db: stock, address: stockAddress },
    async close() {
      await ours.destroy();
      await stock.destroy();
      await mariadb.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Ours, as scripts/start starts it, with the one router known. */
export async function startOurs(bench: Bench, name = 'ours'): Promise<PrivateFreeRadius> {
  const server = await startFreeRadius(join(bench.folder, name), { db: bench.ours.address });
  const aside = join(server.folder, 'client');
  const { address, secret } = benchRouter;
  writeFileSync(
    aside,
    `client r1 {\n\tipaddr = ${address}\n\tsecret = '${secret}'\n\tshortname = 'r1'\n}\n`,
    { mode: 0o600 },
  );
  if (server.account !== undefined) chownSync(aside, server.account.uid, server.account.gid);
  renameSync(aside, join(server.clientDirectory, address));
  return server;
}
