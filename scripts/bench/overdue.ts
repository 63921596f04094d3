import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { startMariaDb } from '../servers/mariadb.ts';
import { dataRoot, makeFolder, serverAccount } from '../servers/place.ts';
import { measureOverdue } from './overdue-measure.ts';

/**
 * Measures overdue runs: `scripts/bench/overdue.ts [subscribers] [of them in the loop] [workers] [lanes]`, by default
 * 100,000 subscribers, 2,000, two workers and one lane. Makes a MariaDB and a database of its own and throws both away,
 * unless SLUICE_BENCH_FOLDER names where they are kept. SLUICE_BENCH_PROFILE names a folder for profiles of the roles.
 */
async function main(): Promise<void> {
  const [subscribers = 100_000, loop = 2000, workers = 2, lanes = 1] = process.argv.slice(2).map(Number);
  makeFolder(dataRoot(), undefined);
  const kept = process.env['SLUICE_BENCH_FOLDER'];
  const folder = kept ?? mkdtempSync(join(dataRoot(), 'bench-'));
  makeFolder(folder, serverAccount('mysql'));
  const mariadb = await startMariaDb(folder, {
    password: 'bench-only',
    extra: ['innodb_buffer_pool_size=4G', 'innodb_log_file_size=1G'],
  });
  try {
    print(
      `${subscribers.toLocaleString('en')} subscribers on 200 routers; ${workers} workers, ${lanes} lanes; ${cpus().length} cores, ${cpus()[0]?.model ?? ''}; load ${loadavg()[0]?.toFixed(1) ?? ''}`,
    );
    const profileFolder = process.env['SLUICE_BENCH_PROFILE'];
    await measureOverdue({
      mariadb,
      database: 'sluice_bench',
      folder,
      subscribers,
      routers: 200,
      loop,
      workers,
      lanes,
      profileFolder,
      say: print,
    });
    print(`load at the end ${loadavg()[0]?.toFixed(1) ?? ''}`);
  } finally {
    await mariadb.stop();
    if (kept === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
