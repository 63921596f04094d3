import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { type App, openApp } from '../../src/app.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import type { DbAddress } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import { type PrivateMariaDb, startMariaDb } from '../servers/mariadb.ts';
import { dataRoot, makeFolder, projectRoot, serverAccount } from '../servers/place.ts';

/** What a measurement of the reconcilers runs on. */
export interface BenchServer {
  readonly app: App;
  readonly mariadb: PrivateMariaDb;
  readonly address: DbAddress;
  /** For role processes. */
  readonly env: NodeJS.ProcessEnv;
  /** For logs; removed with the server. */
  readonly folder: string;
  close(): Promise<void>;
}

/** A MariaDB of its own, as durable as in production (each COMMIT is flushed), with an empty migrated database. */
export async function openBenchServer(options: { bufferPool?: string } = {}): Promise<BenchServer> {
  makeFolder(dataRoot(), undefined);
  const folder = mkdtempSync(join(dataRoot(), 'bench-'));
  makeFolder(folder, serverAccount('mysql'));
  const mariadb = await startMariaDb(folder, {
    password: 'bench-only',
    extra: [`innodb_buffer_pool_size=${options.bufferPool ?? '2G'}`, 'innodb_log_file_size=1G'],
  });
  await mariadb.createDatabase('sluice_bench');
  const address = {
    host: '127.0.0.1',
    port: mariadb.port,
    user: mariadb.user,
    password: mariadb.password,
    database: 'sluice_bench',
  };
  const env = {
    SLUICE_DB_HOST: address.host,
    SLUICE_DB_PORT: String(address.port),
    SLUICE_DB_USER: address.user,
    SLUICE_DB_PASSWORD: address.password,
    SLUICE_DB_NAME: address.database,
    SLUICE_KEYS: `k1:${'ab'.repeat(32)}`,
    SLUICE_HOST: 'bench',
    SLUICE_LOG_LEVEL: 'warn',
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
  };
  const app = openApp(readConfig(env), { role: 'bench', isSilent: true });
  await migrate(app.db, join(projectRoot, 'sql'), systemClock.now());
  return {
    app,
    mariadb,
    address,
    env,
    folder,
    async close() {
      await app.close();
      await mariadb.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** One line about where this was measured. */
export function machineLine(): string {
  const load = loadavg()
    .map((value) => value.toFixed(1))
    .join(' ');
  return `${cpus().length} cores, ${cpus()[0]?.model ?? ''}, ${Math.round(totalmem() / 2 ** 30)} GB, node ${process.version}; load ${load}`;
}
