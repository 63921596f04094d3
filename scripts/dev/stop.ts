import { existsSync } from 'node:fs';
import { dataRoot } from '../servers/place.ts';
import { stopAll } from './ours.ts';
import { marks, program, roles } from './parts.ts';

/** Stops everything of this clone, the servers last, so that what the others still want to write finds a database. */
export async function stopEverything(home: string, say: (line: string) => void): Promise<void> {
  const steps: [string, string, number][] = [
    ['start', program('scripts/dev/start.js'), 1000],
    ['lab', marks.lab(home), 5000],
    ...[...roles].reverse().map((role): [string, string, number] => [role, marks.role(home, role), 10_000]),
    ['FreeRADIUS', marks.freeradius(home), 5000],
    ['MariaDB', marks.mariadb(home), 60_000],
  ];
  for (const [name, mark, graceMs] of steps) {
    const count = await stopAll(mark, graceMs);
    if (count > 0) say(`Stopped ${name}`);
  }
}

if (import.meta.filename === process.argv[1]) {
  const home = dataRoot();
  if (existsSync(home)) await stopEverything(home, (line) => process.stderr.write(`${line}\n`));
  process.stderr.write(`Nothing of this clone is running. Its data stays in ${home}\n`);
}
