import { join } from 'node:path';
import { mariaDbMark } from '../servers/mariadb.ts';
import { projectRoot } from '../servers/place.ts';

/** Sluice's own processes, one a role, as in production. */
export const roles = ['web', 'worker', 'lane', 'radius-agent', 'scheduler'] as const;
export type Role = (typeof roles)[number];

export const folders = (home: string) => ({
  mariadb: join(home, 'mariadb'),
  freeradius: join(home, 'freeradius'),
  logs: join(home, 'log'),
});

/** What each part has in its command line and nothing else on this machine has. */
export const marks = {
  mariadb: (home: string) => mariaDbMark(folders(home).mariadb),
  freeradius: (home: string) => join(folders(home).freeradius, 'config'),
  role: (home: string, role: Role) => `--home=${home}#${role}`,
  lab: (home: string) => labConfig(home),
  web: (home: string) => `--home=${home}#web`,
};

export const labConfig = (home: string) => join(home, 'lab.json');

export const program = (name: string) => join(projectRoot, '.build', name);
