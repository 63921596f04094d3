import { execFileSync } from 'node:child_process';
import { accessSync, chownSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';

/** The account that the private servers run under; root starts them as somebody else. */
export interface Account {
  uid: number;
  gid: number;
}

export const projectRoot = findRoot(import.meta.dirname);

function findRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : findRoot(dirname(from));
}

/** An unprivileged account for a server when we are root; undefined when we are an ordinary user already. */
export function serverAccount(name: 'mysql' | 'freerad'): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }).trim());
  return { uid: id('-u'), gid: id('-g') };
}

/**
 * Where servers keep their data: $SLUICE_DATA if that is set, else `var/` of the clone, or, where the clone is below a folder that only root may enter,
 * a folder of this clone's own under /var/lib, since a server that gave up root could not reach the first.
 */
export function dataRoot(): string {
  const chosen = process.env['SLUICE_DATA'];
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  if (process.getuid?.() === 0 && !everyoneMayEnter(projectRoot)) {
    const mark = createHash('sha256').update(projectRoot).digest('hex').slice(0, 8);
    return `/var/lib/sluice-${mark}`;
  }
  return join(projectRoot, 'var');
}

function everyoneMayEnter(folder: string): boolean {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Makes a folder that the account may write to. */
export function makeFolder(folder: string, account: Account | undefined): string {
  mkdirSync(folder, { recursive: true });
  if (account !== undefined) chownSync(folder, account.uid, account.gid);
  return folder;
}

/** The path of a program, or undefined; /usr/sbin is looked into even if PATH leaves it out. */
export function findProgram(name: string): string | undefined {
  for (const folder of [
    ...(process.env['PATH'] ?? '').split(':'),
    '/usr/sbin',
    '/usr/bin',
    '/usr/local/bin',
  ]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here: the next folder.
    }
  }
  return undefined;
}
