import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { AppError } from '../errors.ts';
import { sqlInstant } from './knex.ts';

/**
 * Brings the schema up to date from `sql/radius` and `sql/migrations`, in the order of their names.
 * Each statement is harmless when repeated, because DDL commits by itself: a run that was killed half-way is run again.
 * Gives the names of the files that were applied. A file that changed after it was applied is an error.
 */
export async function migrate(db: Knex, sqlDirectory: string, now: Date): Promise<string[]> {
  await db.raw(
    `CREATE TABLE IF NOT EXISTS schema_migration (
       name VARCHAR(120) NOT NULL PRIMARY KEY, applied_at DATETIME(3) NOT NULL)`,
  );
  const applied = new Set(await db('schema_migration').pluck<string[]>('name'));
  const done: string[] = [];
  for (const name of migrationNames(sqlDirectory)) {
    if (applied.has(name)) continue;
    const text = readFileSync(join(sqlDirectory, name), 'utf8');
    for (const statement of statementsOf(text)) {
      try {
        await db.raw(statement.replaceAll('?', '\\?'));
      } catch (error) {
        throw new AppError('unavailable', `migration ${name} failed`, { cause: error });
      }
    }
    await db.raw('INSERT IGNORE INTO schema_migration (name, applied_at) VALUES (?, ?)', [
      name,
      sqlInstant(now),
    ]);
    done.push(name);
  }
  return done;
}

/** Files that this build has and the database has not. Rejects when the database does not answer. */
export async function pendingMigrations(db: Knex, sqlDirectory: string): Promise<string[]> {
  const applied = new Set(await db('schema_migration').pluck<string[]>('name'));
  return migrationNames(sqlDirectory).filter((name) => !applied.has(name));
}

function migrationNames(sqlDirectory: string): string[] {
  return ['radius', 'migrations'].flatMap((folder) =>
    readdirSync(join(sqlDirectory, folder))
      .filter((file) => /^\d{4}_\w+\.sql$/.test(file))
      .sort()
      .map((file) => `${folder}/${file}`),
  );
}

/** Statements end with a semicolon at the end of a line; whole-line comments are left out. */
export function statementsOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('--'))
    .join('\n')
    .split(/;\s*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
