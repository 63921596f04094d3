import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { createVault, type Vault } from './adapters/vault.ts';
import { createWakeSender, type WakeAddress } from './adapters/wake.ts';
import { type Clock, systemClock } from './clock.ts';
import type { CommandContext, Wake } from './command.ts';
import type { Config } from './config.ts';
import { damageIn, noteDamage } from './db/damage.ts';
import { livingProcesses } from './db/heartbeats.ts';
import { openDb } from './db/knex.ts';
import { createLog, describeError, type Log } from './log.ts';

/** What one process runs on. Adapters are built here and nowhere else. */
export interface App {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly db: Knex;
  readonly vault: Vault;
  readonly wake: Wake;
  /** Names this process in heartbeat, claim and lane rows. */
  readonly processId: string;
  /** The context of one request, run or tick. */
  context(actor: string, correlationId?: string): CommandContext;
  close(): Promise<void>;
}

/** Opens the parts that every role shares. Nothing is connected until it is used. */
export function openApp(
  config: Config,
  options: { role: string; clock?: Clock; isSilent?: boolean; poolMax?: number },
): App {
  const clock = options.clock ?? systemClock;
  const log = createLog({ level: config.logLevel, role: options.role, silent: options.isSilent ?? false });
  const db = openDb(config.db, { poolMax: options.poolMax ?? 10 });
  watchDamage({ db, clock, log });
  const vault = createVault(config.keys);
  const waker = createWaker({ db, key: vault.derive('wake'), clock, log });
  const app: App = {
    config,
    clock,
    log,
    db,
    vault,
    wake: waker.wake,
    processId: randomUUID(),
    context: (actor, correlationId) => ({
      db,
      clock,
      log,
      vault,
      wake: waker.wake,
      actor,
      correlationId: correlationId ?? randomUUID(),
    }),
    async close() {
      await waker.close();
      await db.destroy();
    },
  };
  return app;
}

/** Whoever meets a damaged table says so to everybody, a minute at the soonest after the last time. */
const sayDamageEveryMs = 60_000;

/** What the database calls damaged goes to the log and to Needs attention, whichever process met it. */
function watchDamage({ db, clock, log }: { db: Knex; clock: Clock; log: Log }): void {
  const saidAt = new Map<string, number>();
  db.on('query-error', (error: unknown) => {
    const damage = damageIn(error);
    const now = performance.now();
    if (damage === undefined || now - (saidAt.get(damage.name) ?? -Infinity) < sayDamageEveryMs) return;
    saidAt.set(damage.name, now);
    log.error('the database says that a table is damaged', damage);
    noteDamage(db, damage, clock.now()).catch((failure: unknown) => {
      log.error('damage not noted', { error: describeError(failure) });
    });
  });
}

const addressesKeptMs = 2000;

/** Wakes processes of a role at the addresses in the heartbeat table; polling makes it correct without. */
function createWaker(parts: { db: Knex; key: Buffer; clock: Clock; log: Log }): {
  wake: Wake;
  close(): Promise<void>;
} {
  const sender = createWakeSender(parts.key);
  const known = new Map<string, { readAt: number; addresses: readonly WakeAddress[] }>();
  const busy = new Set<Promise<void>>();
  const wakeRole = async (role: string) => {
    const now = performance.now();
    let entry = known.get(role);
    if (entry === undefined || now - entry.readAt > addressesKeptMs) {
      const living = await livingProcesses(parts.db, role);
      entry = {
        readAt: now,
        addresses: living.map((process) => ({ address: process.wakeAddress, port: process.wakePort })),
      };
      known.set(role, entry);
    }
    sender.send(entry.addresses, parts.clock.now());
  };
  return {
    wake(role) {
      const waking = wakeRole(role).catch((error: unknown) => {
        parts.log.warn('wake-up not sent', { wakes: role, error: describeError(error) });
      });
      busy.add(waking);
      void waking.finally(() => busy.delete(waking));
    },
    async close() {
      await Promise.all(busy);
      sender.close();
    },
  };
}
