import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { migrate as applyMigrations } from '../../db/migrate.ts';
import type { Verb } from '../verb.ts';

export const migrate: Verb = {
  name: 'migrate',
  group: 'Operation',
  summary: 'brings the database schema up to date',
  details: ['Harmless when repeated, and when it was killed half-way.'],
  examples: ['migrate'],
  async run(call) {
    const { db, clock } = call.app();
    const applied = await applyMigrations(db, join(findRoot(import.meta.dirname), 'sql'), clock.now());
    call.out.show({ ok: true, applied }, () =>
      applied.length === 0 ? ['The schema is up to date.'] : applied.map((name) => `applied ${name}`),
    );
    return undefined;
  },
};

function findRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : findRoot(dirname(from));
}
