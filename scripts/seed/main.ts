import { join } from 'node:path';
import { createVault } from '../../src/adapters/vault.ts';
import { systemClock } from '../../src/clock.ts';
import { ConfigError, readConfig } from '../../src/config.ts';
import { openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';
import { dataRoot, projectRoot } from '../servers/place.ts';
import { seedDemo } from './demo.ts';

/** `main.js`: seeds the database of the environment, with progress; harmless when repeated. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const db = openDb(config.db, { poolMax: 8 });
  const isTerminal = process.stderr.isTTY;
  const clear = () => (isTerminal ? process.stderr.write('\r\u001b[K') : undefined);
  try {
    await migrate(db, join(projectRoot, 'sql'), systemClock.now());
    const demo = await seedDemo({
      db,
      vault: createVault(config.keys),
      now: systemClock.now(),
      labConfigFile: join(process.env['SLUICE_HOME'] ?? dataRoot(), 'lab.json'),
      env: process.env,
      say: (text) => {
        clear();
        process.stderr.write(`${text}\n`);
      },
      progress: (done, total) => {
        if (isTerminal) process.stderr.write(`\r\u001b[Kday ${done} of ${total}`);
      },
    });
    clear();
    for (const login of demo.logins) {
      process.stdout.write(
        `${[login.username, login.password, login.router, login.state, login.expect].join('\t')}\n`,
      );
    }
  } finally {
    await db.destroy();
  }
}

try {
  await main();
} catch (error) {
  const text =
    error instanceof ConfigError ? error.message : error instanceof Error ? error.message : 'unknown';
  const isFromDatabase = error instanceof Error && ('sql' in error || 'sqlMessage' in error);
  process.stderr.write(`seed: ${isFromDatabase ? 'the database refused a statement' : text}\n`);
  process.exitCode = 1;
}
