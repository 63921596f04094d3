import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { openApp } from '../../src/app.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { migrate } from '../../src/db/migrate.ts';
import { addDays, dayIn } from '../../src/domain/day.ts';
import { freePort } from '../servers/child.ts';
import { startMariaDb } from '../servers/mariadb.ts';
import { dataRoot, makeFolder, projectRoot, serverAccount } from '../servers/place.ts';
import type { LeanRoutersOrder } from './lean-routers.ts';
import { fillOverdueIsp } from './overdue-isp.ts';
import { measureStages } from './overdue-stages.ts';
import { forkReady, Processes } from './processes.ts';

const [subscribers = 100_000, workers = 2, lanes = 1] = process.argv.slice(2).map(Number);
const routers = 200;
const routerSecret = 'only-for-the-measurement';

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main() {
  makeFolder(dataRoot(), undefined);
  const kept = process.env['SLUICE_BENCH_FOLDER'];
  const folder = kept ?? mkdtempSync(join(dataRoot(), 'bench-'));
  makeFolder(folder, serverAccount('mysql'));
  const mariadb = await startMariaDb(folder, {
    password: 'bench-only',
    extra: [
      'innodb_buffer_pool_size=4G',
      'innodb_log_file_size=1G',
      ...(process.env['MY_EXTRA']?.split(' ') ?? []),
    ],
  });
  await mariadb.createDatabase('sluice_bench');
  const env = {
    SLUICE_DB_HOST: '127.0.0.1',
    SLUICE_DB_PORT: String(mariadb.port),
    SLUICE_DB_USER: mariadb.user,
    SLUICE_DB_PASSWORD: mariadb.password,
    SLUICE_DB_NAME: 'sluice_bench',
    SLUICE_KEYS: `k1:${'ab'.repeat(32)}`,
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
  };
  const app = openApp(readConfig(env), { role: 'bench' });
  const now = systemClock.now();
  const today = dayIn('UTC', now);
  const coaPort = await freePort();
  try {
    await migrate(app.db, join(projectRoot, 'sql'), now);
    const filled = (await app.db('subscriber').first('id')) !== undefined;
    const t = performance.now();
    if (!filled)
      await fillOverdueIsp({
        db: app.db,
        vault: app.vault,
        now,
        subscribers,
        routers,
        routerSecret,
        coaPort,
        say,
      });
    say(`filled in ${Math.round((performance.now() - t) / 1000)} s`);
    if (filled) await app.db('router').update({ coa_port: coaPort });
    if (process.env['FILL_ONLY']) return;
    const order: LeanRoutersOrder = {
      routers,
      subscribers,
      secret: routerSecret,
      port: coaPort,
      db: app.config.db,
    };
    const lab = await forkReady('scripts/bench/lean-routers.ts', order);
    const processes = new Processes({
      env,
      db: app.db,
      logFile: join(folder, 'roles.log'),
      profileFolder: process.env['PROF'],
    });
    say(`${subscribers} subscribers; ${cpus().length} cores; load ${loadavg()[0]}`);
    for (const back of [2, 1]) {
      await app.db('router').update({ pace_per_second: back === 2 ? 50 : 60000 });
      say(back === 2 ? 'PACED' : 'UNPACED');
      await measureStages({ app, processes, routers: lab, workers, lanes, say }, addDays(today, -back));
    }
    lab.kill();
  } finally {
    await app.close();
    await mariadb.stop();
    if (kept === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

await main();
