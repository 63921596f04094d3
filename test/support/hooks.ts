import { killTestMariaDb, stopTestMariaDb } from './db.ts';

/** What a test file shares with others is stopped once, by its own pid. */
const isParallelWorker = process.env['MOCHA_WORKER_ID'] !== undefined;

// In a worker of a parallel run, root hooks run for each file; what files share lives as long as the worker.
if (isParallelWorker) process.once('exit', killTestMariaDb);

export const mochaHooks = {
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(30_000);
    if (!isParallelWorker) await stopTestMariaDb();
  },
};
