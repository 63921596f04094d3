import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { App } from '../../app.ts';
import { damagedTables } from '../../db/damage.ts';
import { appliedMigrations, databaseFacts, looseNameColumns, secretKeyIds } from '../../db/doctor.ts';
import { damageShownMs } from '../../domain/attention.ts';
import { count } from '../format.ts';
import { broken, type Finding, look, ok, unknown } from './finding.ts';

/** The database: there, the right kind, migrated, on time, and its secrets open with our keys. */
export async function checkDatabase(app: App): Promise<Finding[]> {
  const startedAt = performance.now();
  const facts = await databaseFacts(app.db);
  const tookMs = performance.now() - startedAt;
  const skewMs = Math.abs(facts.now.getTime() - app.clock.now().getTime());
  return [
    versionFinding(facts.version, tookMs),
    facts.sessionZone === '+00:00' && facts.isolation === 'READ-COMMITTED'
      ? ok('database session', 'UTC, READ COMMITTED')
      : broken(
          'database session',
          `${facts.sessionZone}, ${facts.isolation}`,
          'a proxy resets sessions between statements: let it keep them',
        ),
    skewMs < 2000
      ? ok('clocks', `database and this host agree within ${Math.round(tookMs + skewMs)} ms`)
      : broken(
          'clocks',
          `database and this host are ${Math.round(skewMs / 1000)} s apart`,
          'run NTP (chrony) on both: leases, due days and FreeRADIUS go by them',
        ),
    ...(await schemaFindings(app)),
    await damageFinding(app),
    await keyFinding(app),
  ];
}

function versionFinding(version: string, tookMs: number): Finding {
  const match = /^(\d+)\.(\d+)/.exec(version);
  const isRight = version.includes('MariaDB') && Number(match?.[1]) * 100 + Number(match?.[2]) >= 1011;
  const found = `${version}, answers in ${tookMs.toFixed(1)} ms`;
  return isRight
    ? ok('database', found)
    : look('database', found, 'Sluice is tested with MariaDB 10.11 and newer');
}

async function schemaFindings(app: App): Promise<Finding[]> {
  const applied = new Set(await appliedMigrations(app.db));
  const shipped = shippedMigrations();
  const missing = shipped.filter((name) => !applied.has(name));
  const loose = await looseNameColumns(app.db);
  return [
    shipped.length === 0
      ? unknown(
          'schema',
          `${applied.size} migrations applied`,
          'the sql/ folder is not beside this program, so nothing can be compared',
        )
      : missing.length === 0
        ? ok('schema', `${count(applied.size, 'migration')} applied, none missing`)
        : broken(
            'schema',
            `not applied: ${missing.join(', ')}`,
            'run scripts/start, or migrate as docs/ says',
          ),
    loose.length === 0
      ? ok('collation', 'names match exactly (utf8mb4_nopad_bin)')
      : broken(
          'collation',
          `${loose.join(', ')} would match names that differ`,
          'create the database with COLLATE utf8mb4_nopad_bin and migrate again',
        ),
  ];
}

async function damageFinding(app: App): Promise<Finding> {
  const damaged = await damagedTables(app.db, new Date(app.clock.now().getTime() - damageShownMs));
  if (damaged.length === 0) return ok('tables', 'the database called none damaged in the last day');
  return broken(
    'tables',
    `called damaged by the database: ${damaged.map(({ name, code }) => `${name} (${code})`).join(', ')}`,
    'look at the disk, then CHECK TABLE and ALTER TABLE … FORCE, as docs/production.md says',
  );
}

function shippedMigrations(): string[] {
  const folder = sqlFolder(import.meta.dirname);
  if (folder === undefined) return [];
  return ['radius', 'migrations'].flatMap((part) =>
    readdirSync(join(folder, part))
      .filter((file) => file.endsWith('.sql'))
      .sort()
      .map((file) => `${part}/${file}`),
  );
}

function sqlFolder(from: string): string | undefined {
  const folder = join(from, 'sql');
  if (existsSync(join(folder, 'radius'))) return folder;
  return dirname(from) === from ? undefined : sqlFolder(dirname(from));
}

/** A secret that no configured key opens is lost to us, and its login or router cannot be reconciled. */
async function keyFinding(app: App): Promise<Finding> {
  const known = app.config.keys.map((key) => key.id);
  const sealed = await secretKeyIds(app.db);
  const lost = sealed.filter((row) => !known.includes(row.keyId));
  if (lost.length > 0) {
    const what = lost.map((row) => `${row.count} of table ${row.table} with key ${row.keyId}`).join('; ');
    return broken(
      'secrets',
      `cannot be opened: ${what}`,
      'add that key to SLUICE_KEYS, or set those secrets again',
    );
  }
  const old = sealed.filter((row) => row.keyId !== known[0]);
  const total = sealed.reduce((sum, row) => sum + row.count, 0);
  if (old.length === 0) return ok('secrets', `${total} sealed, all with key ${known[0] ?? ''}`);
  return ok(
    'secrets',
    `${total} sealed; ${old.reduce((sum, row) => sum + row.count, 0)} still with an older key`,
  );
}
