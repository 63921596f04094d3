import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, unlink, utimes } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { systemClock } from '../../clock.ts';
import { AppError } from '../../errors.ts';

export interface ClientFile {
  name: string;
  /** Undefined for what is not a regular file. */
  text: string | undefined;
  isFromFuture: boolean;
}

/**
 * A directory of FreeRADIUS's dynamic clients, one file a router. FreeRADIUS looks at a busy router's file once a second
 * and reads it again when the file's time, in whole seconds, is not before its last look; and it reads everything when
 * it starts. Measured with 3.2.1; the rules below follow from that.
 */
export interface ClientFolder {
  /** All entries, or those of these names that exist. A file that has not changed since is not read again. */
  list(names?: Iterable<string>): ClientFile[];
  /** Puts a file in place, whole or not at all, in a way that FreeRADIUS cannot miss. */
  put(name: string, text: string): Promise<void>;
  /** Makes FreeRADIUS read the file again at the router's next packet. */
  renew(name: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Keeps the entry, with the time in its name, in the folder NAME.bad beside the directory. Gives where. */
  quarantine(name: string, options: { isReplaced: boolean }): Promise<string>;
  /** What was done survives a power cut. Called once after many. */
  flush(): Promise<void>;
}

interface Seen {
  mtimeMs: number;
  size: number;
  ino: number;
  text: string;
}

/**
 * Opens the directory, which has to exist: FreeRADIUS needs it too. Files are prepared in NAME.new beside it; what a
 * killed agent left there is removed. Throws AppError `unavailable` when the folder cannot be used.
 */
export async function openClientFolder(directory: string): Promise<ClientFolder> {
  const folder = resolve(directory);
  const staging = join(dirname(folder), `${basename(folder)}.new`);
  const bad = join(dirname(folder), `${basename(folder)}.bad`);
  try {
    const stat = await lstat(folder);
    if (!stat.isDirectory()) throw new AppError('unavailable', `${folder} is not a directory`);
    await mkdir(staging, { recursive: true, mode: 0o700 });
    await removeLeftovers(staging);
  } catch (error) {
    throw explained(error, folder);
  }
  const seen = new Map<string, Seen>();
  let counter = 0;
  const at = (name: string) => join(folder, plain(name));
  return {
    list(names) {
      const entries = names === undefined ? readdirSync(folder) : [...names];
      if (names === undefined) forgetMissing(seen, entries);
      const files: ClientFile[] = [];
      for (const name of entries.sort()) {
        const file = look(folder, plain(name), seen);
        if (file !== undefined) files.push(file);
      }
      return files;
    },
    async put(name, text) {
      const temporary = join(staging, `${process.pid}-${++counter}-${plain(name)}`);
      try {
        await writeDurably(temporary, text, folder);
        await rename(temporary, at(name));
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw explained(error, folder);
      }
      await setTimeToNow(at(name));
    },
    async renew(name) {
      await utimes(at(name), ahead(), ahead());
      await setTimeToNow(at(name));
    },
    async remove(name) {
      await unlink(at(name)).catch(ignoreMissing);
    },
    async quarantine(name, options) {
      await mkdir(bad, { recursive: true, mode: 0o700 });
      const stamp = systemClock.now().toISOString().replaceAll(/[:.]/g, '-');
      const target = join(bad, `${plain(name)}.${stamp}.${++counter}`);
      const isLinked = await link(at(name), target).then(
        () => true,
        () => false,
      );
      // A directory can't be linked, and one that is replaced has to get out of the way first.
      if (!isLinked) await rename(at(name), target);
      else if (!options.isReplaced) await unlink(at(name));
      return target;
    },
    flush: () => syncFolder(folder),
  };
}

/** Ahead of the clock for long enough to survive the next steps, and gone soon if we are killed in between. */
function ahead(): Date {
  return new Date(systemClock.now().getTime() + 2000);
}

/**
 * FreeRADIUS may have looked a moment ago and remembered a second that is later than the file's own time, and would then
 * never read it. So the file arrives with a time ahead of the clock, which no look can miss, and only then gets the
 * present one, read from the clock after it arrived; otherwise it would be read again until the clock has caught up.
 */
async function setTimeToNow(path: string): Promise<void> {
  const now = systemClock.now();
  await utimes(path, now, now).catch(ignoreMissing);
}

async function writeDurably(path: string, text: string, folder: string): Promise<void> {
  const handle = await open(path, 'wx', 0o640);
  try {
    await handle.writeFile(text);
    await giveTo(handle, folder);
    await handle.utimes(ahead(), ahead());
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** FreeRADIUS reads the file as the owner or the group of its directory; nobody else may. */
async function giveTo(handle: FileHandle, folder: string): Promise<void> {
  const [file, parent] = await Promise.all([handle.stat(), lstat(folder)]);
  const uid = process.getuid?.() === 0 ? parent.uid : file.uid;
  if (uid !== file.uid || parent.gid !== file.gid) await handle.chown(uid, parent.gid);
  await handle.chmod(0o640);
}

function forgetMissing(seen: Map<string, Seen>, entries: readonly string[]): void {
  const present = new Set(entries);
  for (const name of seen.keys()) if (!present.has(name)) seen.delete(name);
}

function look(folder: string, name: string, seen: Map<string, Seen>): ClientFile | undefined {
  const path = join(folder, name);
  try {
    // Synchronous: thousands of these take milliseconds, their promises half a second.
    const stat = lstatSync(path);
    const isFromFuture = stat.mtimeMs >= systemClock.now().getTime() + 1000;
    if (!stat.isFile()) return { name, text: undefined, isFromFuture };
    const before = seen.get(name);
    const isSame = before?.mtimeMs === stat.mtimeMs && before.size === stat.size && before.ino === stat.ino;
    if (isSame) return { name, text: before.text, isFromFuture };
    const text = stat.size > 8192 ? '' : readFileSync(path, 'utf8');
    seen.set(name, { mtimeMs: stat.mtimeMs, size: stat.size, ino: stat.ino, text });
    return { name, text, isFromFuture };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw explained(error, folder);
  }
}

/** Files of agents that no longer live; one that does may be about to rename its own. */
async function removeLeftovers(staging: string): Promise<void> {
  for (const name of await readdir(staging)) {
    const pid = Number(/^(\d+)-/.exec(name)?.[1] ?? 0);
    if (pid === 0 || pid === process.pid || !isAlive(pid)) {
      await unlink(join(staging, name)).catch(ignoreMissing);
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function plain(name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new RangeError('not the name of a file');
  }
  return name;
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

const explanations: Record<string, string> = {
  EXDEV: 'is a mount of its own: mount the folder above it, so that files can be renamed into it',
  EACCES: 'may not be written to: the agent needs write access to it and to the folder above it',
  EPERM:
    "belongs to another group: the agent has to be in the group of the directory, or be its owner's account",
  ENOENT: 'does not exist',
  ENOSPC: 'is on a full disk',
  EROFS: 'is on a disk that is read-only',
};

function explained(error: unknown, folder: string): Error {
  if (error instanceof AppError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const text = explanations[code] ?? `can't be used (${code})`;
  return new AppError('unavailable', `client directory ${folder} ${text}`, { cause: error });
}
