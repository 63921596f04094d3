import { stopTestMariaDb } from './db.ts';

/** Root hooks: what test files share is stopped once, at the end, by its own pid. */
export const mochaHooks = {
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(30_000);
    await stopTestMariaDb();
  },
};
