import type { Knex } from 'knex';
import type { Clock } from '../clock.ts';
import { leaseTail, releaseTail } from '../db/accounting-tail.ts';
import { closeStaleSessions, isAccountingSilent, type StaleRules } from '../db/stale-sessions.ts';
import { describeError, type Log } from '../log.ts';
import { regularly } from './regularly.ts';

export interface StaleDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly processId: string;
  readonly pollMs?: number;
}

const leaseMs = 90_000;
/** Open sessions of one look; each is a short statement, so that a million of them hold up nobody. */
const look = 5000;

/** Ends sessions that routers forgot to end. One process at a time does it. */
export function startStaleSweep(deps: StaleDeps): { stop(): Promise<void> } {
  const { db, clock, log, processId } = deps;
  const state = { isStopping: false };
  const sweeping = regularly(
    async () => {
      const lease = { owner: processId, ms: leaseMs };
      const isOurs = async () => {
        const { isOwner } = await leaseTail(db, 'stale', { ...lease, at: clock.now() });
        return isOwner && !state.isStopping;
      };
      const closed = await sweepStaleSessions(deps, { goesOn: isOurs });
      if (closed > 0) log.info('stale sessions closed', { count: closed });
      return false;
    },
    {
      everyMs: deps.pollMs ?? 60_000,
      onError: (error) => log.error('stale sessions not closed', { error: describeError(error) }),
    },
  );
  return {
    async stop() {
      state.isStopping = true;
      await sweeping.stop();
      await releaseTail(db, 'stale', processId).catch(() => undefined);
    },
  };
}

/** One walk over all open sessions, asked before each look whether it goes on; gives how many it ended. */
export async function sweepStaleSessions(
  deps: { db: Knex; clock: Clock },
  options: { goesOn?: () => Promise<boolean>; look?: number } = {},
): Promise<number> {
  const { db, clock } = deps;
  const goesOn = options.goesOn ?? (() => Promise.resolve(true));
  let rules: StaleRules | undefined;
  let closed = 0;
  for (let after: string | null = '0'; after !== null && (await goesOn());) {
    rules ??= await rulesAt(db, clock.now());
    const done = await closeStaleSessions(db, rules, { after, limit: options.look ?? look });
    closed += done.closed;
    after = done.next;
  }
  return closed;
}

/** Where nobody at all was heard for ten minutes, accounting itself is down, and only those of an hour ago are ended. */
async function rulesAt(db: Knex, now: Date): Promise<StaleRules> {
  const isSilent = await isAccountingSilent(db, { now, silenceSeconds: 600 });
  return { now, slackSeconds: 60, leastSeconds: isSilent ? 3600 : 0 };
}
