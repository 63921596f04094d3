import type { Knex } from 'knex';
import type { Wake } from '../command.ts';
import { isPassing } from '../db/knex.ts';
import { loginsOf, requestLogins } from '../db/login-requests.ts';
import { type Claim, fail, finish, release, renew } from '../db/reconcile-queue.ts';
import { describeError, type Log } from '../log.ts';

export interface ManyLoginsDeps {
  readonly db: Knex;
  readonly log: Log;
  readonly wake: Wake;
}

export interface ManyLoginsOptions {
  leaseMs: number;
  /** Then the wish is given back after the chunk that goes on, and whoever takes it begins again. */
  isStopping?: () => boolean;
  /** So many logins more have been asked for, and can be looked at. */
  onChunk?: () => void | Promise<void>;
}

/**
 * Asks for the logins that wishes for many stand for: those of a master package, or all. Each chunk commits by itself, so
 * that a payment waits for one statement at most, and the first logins are enforced while later ones are asked for.
 *
 * The wish ends when all are asked for. A process that dies in the middle leaves it to its lease, and the next begins
 * again, which does no harm: asking twice is one wish. A change meanwhile gives the wish a new version, which survives
 * the end of this walk and begins another, so the logins of the first chunks are asked for again too.
 */
export async function askForManyLogins(
  deps: ManyLoginsDeps,
  claims: readonly Claim[],
  options: ManyLoginsOptions,
): Promise<void> {
  for (const one of claims) {
    try {
      await askForAllOf(deps, one, options);
    } catch (error) {
      if (isPassing(error)) throw error;
      await fail(deps.db, [{ claim: one, error: describeError(error).message }]);
      deps.log.error('many logins not asked for', { key: one.key, error: describeError(error) });
    }
  }
}

async function askForAllOf(deps: ManyLoginsDeps, one: Claim, options: ManyLoginsOptions): Promise<void> {
  const why = { priority: 'run', requestedBy: one.requestedBy } as const;
  let renewedAt = performance.now();
  let count = 0;
  for await (const ids of loginsOf(deps.db, one.key)) {
    if (options.isStopping?.() === true) return release(deps.db, [one]);
    await requestLogins(deps.db, ids, why);
    count += ids.length;
    await options.onChunk?.();
    deps.wake('worker');
    if (performance.now() - renewedAt < options.leaseMs / 3) continue;
    renewedAt = performance.now();
    // Its lease was over and another worker has it: that one asks for all.
    if ((await renew(deps.db, [one], options.leaseMs)).length === 0) return;
  }
  await finish(deps.db, [one]);
  deps.log.info('many logins asked for', { key: one.key, logins: count });
}
