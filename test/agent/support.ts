import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { until } from '../../scripts/servers/child.ts';
import {
  createRadiusUser,
  type FreeRadiusOptions,
  type PrivateFreeRadius,
  startFreeRadius,
} from '../../scripts/servers/freeradius.ts';
import { dataRoot } from '../../scripts/servers/place.ts';
import { systemClock } from '../../src/clock.ts';
import type { CommandContext } from '../../src/command.ts';
import type { DbAddress } from '../../src/db/knex.ts';
import { claim } from '../../src/db/reconcile-queue.ts';
import type { RadiusServer } from '../../src/network/router-commands.ts';
import { type RadiusAgentDeps, startRadiusAgent } from '../../src/reconcile/radius-agent.ts';
import { reconcileRouters } from '../../src/reconcile/router.ts';
import { testContext } from '../support/builders.ts';
import { testDb, testMariaDb } from '../support/db.ts';
import { TestRouter } from '../support/radius-client.ts';
import { writeLogin } from '../support/radius-server.ts';

/** FreeRADIUS, a database, and what lies between a command and a client file. Nothing runs until it is started. */
export interface AgentFixture {
  readonly db: Knex;
  readonly address: DbAddress;
  readonly server: PrivateFreeRadius;
  readonly deps: RadiusAgentDeps;
  readonly ctx: CommandContext;
  readonly radius: RadiusServer;
  /** Reconciles what the commands asked for, as the worker does when it is woken. */
  reconcile(): Promise<void>;
  /** Starts an agent, and a worker that reconciles whenever a command wakes it; both end with the fixture. */
  start(options?: { isWoken?: boolean }): { stop(): Promise<void> };
  /** A router's side of the wire. */
  dial(source: string, secret: string): Promise<TestRouter>;
  stop(): Promise<void>;
}

let count = 0;

export async function agentFixture(
  options: Partial<FreeRadiusOptions> & { hasIpv6?: boolean } = {},
): Promise<AgentFixture> {
  const { hasIpv6, ...more } = options;
  const test = await testDb();
  const mariadb = await testMariaDb();
  const account = await createRadiusUser(mariadb, test.address.database, 'radius only');
  const folder = join(dataRoot(), `test-${process.pid}`, `agent-${++count}`);
  const server = await startFreeRadius(folder, {
    db: account,
    ...(hasIpv6 === true ? { listen6: '::1' } : {}),
    ...more,
  });
  await writeLogin(test.db, 'anna', { 'Cleartext-Password': 'secret of anna' }, {});
  const running: { stop(): Promise<void> }[] = [];
  const nobody = (): void => undefined;
  const roles = { worker: nobody, agent: nobody };
  const base = testContext(test.db);
  const ctx: CommandContext = {
    ...base,
    clock: systemClock,
    wake: (role) => (role === 'worker' ? roles.worker() : roles.agent()),
  };
  const deps: RadiusAgentDeps = {
    db: test.db,
    clock: systemClock,
    log: base.log,
    host: 'test-host',
    freeradius: {
      clientDirectory: server.clientDirectory,
      clientDirectory6: server.clientDirectory6,
      controlSocket: server.controlSocket,
    },
  };
  const reconcile = async () => {
    for (;;) {
      const claims = await claim(test.db, 'router', { limit: 500, leaseMs: 30_000 });
      if (claims.length === 0) return;
      await reconcileRouters(ctx, claims);
    }
  };
  return {
    db: test.db,
    address: test.address,
    server,
    deps,
    ctx,
    radius: { address: '192.0.2.1', authPort: server.authPort, acctPort: server.acctPort },
    reconcile,
    start({ isWoken = true } = {}) {
      const agent = startRadiusAgent(deps);
      let busy = Promise.resolve();
      let failure: unknown;
      roles.worker = () => {
        busy = busy.then(reconcile).catch((error: unknown) => {
          failure = error;
        });
      };
      roles.agent = isWoken ? () => agent.wake() : nobody;
      const running1 = {
        async stop() {
          // What is asked for afterwards is the test's own to reconcile: nobody takes it away from it.
          Object.assign(roles, { worker: nobody, agent: nobody });
          await busy;
          await agent.stop();
          if (failure !== undefined) throw failure as Error;
        },
      };
      running.push(running1);
      return running1;
    },
    dial: (source, secret) =>
      TestRouter.open({
        source,
        secret,
        authPort: server.authPort,
        acctPort: server.acctPort,
        ...(source.includes(':') ? { server: '::1' } : {}),
      }),
    async stop() {
      for (const one of running) await one.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
      for (const kind of ['clients', 'clients6']) {
        rmSync(join(folder, `${kind}.new`), { recursive: true, force: true });
      }
      await test.drop();
    },
  };
}

/** Whether a login through this router is accepted within a moment; tried once. */
export async function isAccepted(router: TestRouter, timeoutMs = 400): Promise<boolean> {
  const reply = await router.login(
    { username: 'anna', password: 'secret of anna', method: 'chap' },
    timeoutMs,
  );
  return reply?.kind === 'accept';
}

export async function soon(what: string, check: () => Promise<boolean> | boolean, timeoutMs = 5000) {
  await until(what, check, { timeoutMs, stepMs: 25 });
}

/** Measurements of a test, printed when they are asked for. */
export function measured(text: string): void {
  if (process.env['SLUICE_TEST_MEASURES'] !== undefined) process.stdout.write(`      ${text}\n`);
}
