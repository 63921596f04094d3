import type { Knex } from 'knex';
import type { Vault } from './adapters/vault.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';

/**
 * What every command is handed. A command is one function and one transaction: the fact, the ledger, the activity log
 * and the request to reconcile. It never talks to the network; `wake` only shortens the wait after its commit.
 */
export interface CommandContext {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Vault;
  readonly wake: Wake;
  /** Who asks: a person, or a job such as `schedule`. At most 80 characters. */
  readonly actor: string;
  /** Joins everything that one request, run or tick caused. At most 64 characters. */
  readonly correlationId: string;
}

/** Tells the other processes that there is work; carries no data and may get lost. */
export type Wake = (role: 'worker' | 'lane' | 'radius-agent') => void;
