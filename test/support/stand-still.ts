import { readdirSync, readFileSync } from 'node:fs';
import { until } from '../../scripts/servers/child.ts';

/**
 * SIGSTOP, and waits until every thread has stopped: on a busy machine the one that takes the signal has to be scheduled
 * first, and the others go on answering for some tens of milliseconds.
 */
export async function standStill(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const tasks = `/proc/${pid}/task`;
  const isStopped = (task: string) => /\) T /.test(readFileSync(`${tasks}/${task}/stat`, 'latin1'));
  await until('every thread has stopped', () => readdirSync(tasks).every(isStopped), { timeoutMs: 10_000 });
}
