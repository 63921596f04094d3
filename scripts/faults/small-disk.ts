import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A file system of a few hundred megabytes that can be filled to the last byte and emptied again. */
export interface SmallDisk {
  /** Fills it; what is written from now on finds no room. */
  fill(): void;
  free(): void;
  unmount(): void;
}

/** Mounts a tmpfs on `folder`; undefined where we are not root or the system does not let us. */
export function smallDisk(folder: string, megabytes: number): SmallDisk | undefined {
  if (process.getuid?.() !== 0) return undefined;
  try {
    if (!isMounted(folder)) {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'sluice-chaos', folder], {
        stdio: 'ignore',
      });
    }
  } catch {
    return undefined;
  }
  const ballast = join(folder, 'ballast');
  return {
    fill: () => fillWith(ballast, folder),
    free: () => rmSync(ballast, { force: true }),
    unmount() {
      // Lazily: a server that was killed may take a moment to let go of its files.
      if (isMounted(folder)) execFileSync('umount', ['-l', folder], { stdio: 'ignore' });
    },
  };
}

function isMounted(folder: string): boolean {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[1] === folder);
}

function fillWith(ballast: string, folder: string): void {
  const file = openSync(ballast, 'a');
  try {
    for (const size of [1 << 20, 1 << 12]) {
      const block = Buffer.alloc(size);
      while (statfsSync(folder).bavail > 0) {
        try {
          writeSync(file, block);
        } catch {
          break;
        }
      }
    }
  } finally {
    closeSync(file);
  }
}
