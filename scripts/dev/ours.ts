import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * Our processes are found by a mark in their command line that only this clone's data folder has, not by pid files:
 * there is no moment in which a killed start has left something running that nobody knows of, and no pid that the
 * system has given to somebody else since.
 */
export function pidsWith(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && commandLineOf(pid).includes(mark) && !isZombie(pid));
}

function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** A dead child that nobody has waited for is not running. */
function isZombie(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, ''));
  } catch {
    return true;
  }
}

/** SIGTERM to each, SIGKILL to what is still there after `graceMs`; resolves when all are gone. */
export async function stopAll(mark: string, graceMs: number): Promise<number> {
  const pids = pidsWith(mark);
  for (const pid of pids) signal(pid, 'SIGTERM');
  // A stopped process cannot act on SIGTERM.
  for (const pid of pids) signal(pid, 'SIGCONT');
  const end = performance.now() + graceMs;
  while (pidsWith(mark).length > 0) {
    if (performance.now() > end) for (const pid of pidsWith(mark)) signal(pid, 'SIGKILL');
    await wait(25);
  }
  return pids.length;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone in between.
  }
}
