import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { App } from '../app.ts';
import { hasStaff } from '../db/staff.ts';
import { describeError } from '../log.ts';
import { stopBackground } from './background.ts';
import { routes } from './routes.ts';
import { createWeb, listen } from './server.ts';

const graceMs = 5000;

/** Serves the pages until it is stopped; requests and work in the background get some seconds to end. */
export function startWeb(app: App): { stop(): Promise<void> } {
  const { address, port } = app.config.web;
  const listening = listen(createWeb(app, findRoot(import.meta.dirname), routes), address, port);
  listening.then(
    () => app.log.info('pages are served', { address, port }),
    (error: unknown) => {
      app.log.error('pages cannot be served', { error: describeError(error) });
      process.exitCode = 1;
      process.kill(process.pid, 'SIGTERM');
    },
  );
  void announceFirstRun(app);
  return {
    async stop() {
      const server = await listening.catch(() => undefined);
      if (server === undefined) return;
      const background = stopBackground(app, graceMs);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(force);
      await background;
    },
  };
}

/** The code itself is no matter for a log: a command prints it. */
async function announceFirstRun(app: App): Promise<void> {
  const isEmpty = await hasStaff(app.db).then(
    (has) => !has,
    () => false,
  );
  if (isEmpty)
    app.log.warn('nobody has an account yet: open /first-run; the code comes from scripts/sluice setup-code');
}

/** Where templates and packages are: the folder with package.json above the compiled file. */
function findRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : findRoot(dirname(from));
}
