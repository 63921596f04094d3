import { openApp, type App } from './app.ts';
import { listenForWake } from './adapters/wake.ts';
import { ConfigError, readConfig } from './config.ts';
import { beat, forgetHeartbeat, forgetOldHeartbeats } from './db/heartbeats.ts';
import { describeError } from './log.ts';
import { isRole, roleNames, type RunningRole, startRole, stopRoles } from './roles.ts';

const beatMs = 5000;

/**
 * `main.js ROLE [ROLE …]`, or `all` for one machine. Arguments that begin with -- only mark the process for whoever
 * started it.
 */
async function main(args: readonly string[]): Promise<void> {
  const named = args.filter((arg) => !arg.startsWith('--'));
  const roles = named.includes('all') ? roleNames : named.filter(isRole);
  const unknown = named.filter((name) => name !== 'all' && !isRole(name));
  if (unknown.length > 0 || roles.length === 0) {
    process.stderr.write(`usage: main.js ROLE…   ROLE is all, ${roleNames.join(', ')}\n`);
    process.exitCode = 2;
    return;
  }
  const config = readConfig(process.env);
  const app = openApp(config, { role: roles.join('+') });
  const wakeKey = app.vault.derive('wake');
  const listener = await listenForWake({ ...config.wake, key: wakeKey, now: () => app.clock.now() });
  const stopped = stopSignal();
  const running: RunningRole[] = [];
  for (const role of roles) running.push(await startRole(role, app, listener));
  const beats = beatRegularly(app, roles, listener.port);
  app.log.info('started', { roles });
  await stopped;
  app.log.info('stopping');
  await beats.stop();
  await stopRoles(app, running);
  await listener.close();
  await app.close();
}

/** Says that each role lives, so that commits elsewhere find it; a database that is away is tried again. */
function beatRegularly(app: App, roles: readonly string[], wakePort: number): { stop(): Promise<void> } {
  const idOf = (index: number) => `${app.processId.slice(0, -2)}${String(index).padStart(2, '0')}`;
  const beatAll = async () => {
    for (const [index, role] of roles.entries()) {
      await beat(app.db, {
        id: idOf(index),
        host: app.config.host,
        role,
        pid: process.pid,
        wakeAddress: app.config.wake.address,
        wakePort,
      });
    }
    await forgetOldHeartbeats(app.db);
  };
  const warn = (error: unknown) => {
    app.log.warn('heartbeat not written', { error: describeError(error) });
  };
  let last: Promise<unknown> = beatAll().catch(warn);
  const timer = setInterval(() => {
    last = beatAll().catch(warn);
  }, beatMs);
  return {
    async stop() {
      clearInterval(timer);
      await last;
      for (const index of roles.keys()) await forgetHeartbeat(app.db, idOf(index)).catch(warn);
    },
  };
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const text =
    error instanceof ConfigError ? error.message : `Sluice could not start: ${describeError(error).message}`;
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}
