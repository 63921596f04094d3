import type { WakeListener } from './adapters/wake.ts';
import type { App } from './app.ts';
import { ConfigError } from './config.ts';
import { describeError } from './log.ts';

export const roleNames = ['web', 'worker', 'lane', 'radius-agent', 'scheduler'] as const;
export type RoleName = (typeof roleNames)[number];

export interface RunningRole {
  stop(): Promise<void>;
}

export function isRole(name: string): name is RoleName {
  return (roleNames as readonly string[]).includes(name);
}

type Started = RunningRole & { wake?(): void };

/**
 * Starts one role in this process. What it looks for in the queue it is woken for, and polls anyway. What a role is made
 * of is loaded here and not before: a lane needs no web server, and is ready sooner and smaller without.
 */
export async function startRole(role: RoleName, app: App, listener: WakeListener): Promise<RunningRole> {
  const start: Record<RoleName, () => Promise<Started>> = {
    web: async () => (await import('./web/start.ts')).startWeb(app),
    worker: () => startWorkerRole(app),
    lane: async () =>
      (await import('./reconcile/lane.ts')).startLane({
        ...app,
        sourceAddress: app.config.radiusSourceAddress,
      }),
    'radius-agent': () => startAgent(app),
    scheduler: () => startSchedulerRole(app),
  };
  const running = await start[role]();
  listener.onWake(() => running.wake?.());
  return running;
}

/** Keys of the queue, and what watches over live sessions: one process at a time does each of those, by a lease. */
async function startWorkerRole(app: App): Promise<Started> {
  const [{ startWorker }, { reconcileRouters }, { startTail }, { startEvidence }, { startStaleSweep }] =
    await Promise.all([
      import('./reconcile/worker.ts'),
      import('./reconcile/router.ts'),
      import('./reconcile/tail.ts'),
      import('./reconcile/evidence.ts'),
      import('./reconcile/stale.ts'),
    ]);
  const worker = startWorker({ ...app, reconcileRouters: (claims) => reconcileRouters(app, claims) });
  const watchers = [startTail(app), startEvidence(app), startStaleSweep(app)];
  return {
    wake: () => worker.wake(),
    async stop() {
      await Promise.all([worker, ...watchers].map((part) => part.stop()));
    },
  };
}

async function startSchedulerRole(app: App): Promise<Started> {
  const { startScheduler } = await import('./jobs/scheduler.ts');
  const { timetable } = await import('./jobs/schedule.ts');
  return startScheduler(app, timetable);
}

async function startAgent(app: App): Promise<Started> {
  const { clientDirectory, clientDirectory6, controlSocket, logFile } = app.config.freeradius;
  if (clientDirectory === undefined) {
    throw new ConfigError(
      'The role radius-agent needs SLUICE_CLIENT_DIRECTORY: where FreeRADIUS reads its client files.',
    );
  }
  const { startRadiusAgent } = await import('./reconcile/radius-agent.ts');
  const { startUnknownClients } = await import('./reconcile/unknown-clients.ts');
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
