import type { WakeListener } from './adapters/wake.ts';
import type { App } from './app.ts';
import { ConfigError } from './config.ts';
import { timetable } from './jobs/schedule.ts';
import { startScheduler } from './jobs/scheduler.ts';
import { describeError } from './log.ts';
import { startEvidence } from './reconcile/evidence.ts';
import { startLane } from './reconcile/lane.ts';
import { startRadiusAgent } from './reconcile/radius-agent.ts';
import { reconcileRouters } from './reconcile/router.ts';
import { startStaleSweep } from './reconcile/stale.ts';
import { startTail } from './reconcile/tail.ts';
import { startUnknownClients } from './reconcile/unknown-clients.ts';
import { startWorker } from './reconcile/worker.ts';
import { startWeb } from './web/start.ts';

export const roleNames = ['web', 'worker', 'lane', 'radius-agent', 'scheduler'] as const;
export type RoleName = (typeof roleNames)[number];

export interface RunningRole {
  stop(): Promise<void>;
}

export function isRole(name: string): name is RoleName {
  return (roleNames as readonly string[]).includes(name);
}

/** Starts one role in this process. What it looks for in the queue it is woken for, and polls anyway. */
export function startRole(role: RoleName, app: App, listener: WakeListener): RunningRole {
  const start: Record<RoleName, () => RunningRole & { wake?(): void }> = {
    web: () => startWeb(app),
    worker: () => startWorkerRole(app),
    lane: () => startLane({ ...app, sourceAddress: app.config.radiusSourceAddress }),
    'radius-agent': () => startAgent(app),
    scheduler: () => startScheduler(app, timetable),
  };
  const running = start[role]();
  listener.onWake(() => running.wake?.());
  return running;
}

/** Keys of the queue, and what watches over live sessions: one process at a time does each of those, by a lease. */
function startWorkerRole(app: App) {
  const worker = startWorker({ ...app, reconcileRouters: (claims) => reconcileRouters(app, claims) });
  const watchers = [startTail(app), startEvidence(app), startStaleSweep(app)];
  return {
    wake: () => worker.wake(),
    async stop() {
      await Promise.all([worker, ...watchers].map((part) => part.stop()));
    },
  };
}

function startAgent(app: App) {
  const { clientDirectory, clientDirectory6, controlSocket, logFile } = app.config.freeradius;
  if (clientDirectory === undefined) {
    throw new ConfigError(
      'The role radius-agent needs SLUICE_CLIENT_DIRECTORY: where FreeRADIUS reads its client files.',
    );
  }
  const agent = startRadiusAgent({
    ...app,
    host: app.config.host,
    freeradius: { clientDirectory, clientDirectory6, controlSocket },
  });
  const strangers =
    logFile === undefined ? undefined : startUnknownClients({ ...app, host: app.config.host, logFile });
  return {
    wake: () => agent.wake(),
    async stop() {
      await Promise.all([agent.stop(), strangers?.stop()]);
    },
  };
}

/** Stops roles one after the other, whatever one of them throws. */
export async function stopRoles(app: App, running: readonly RunningRole[]): Promise<void> {
  for (const role of [...running].reverse()) {
    await role
      .stop()
      .catch((error: unknown) => app.log.error('role did not stop', { error: describeError(error) }));
  }
}
