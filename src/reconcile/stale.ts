import type { Knex } from 'knex';
import type { Clock } from '../clock.ts';
import { leaseTail, releaseTail } from '../db/accounting-tail.ts';
import { closeStaleSessions } from '../db/stale-sessions.ts';
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
const batch = 500;

/** Ends sessions that routers forgot to end. One process at a time does it. */
export function startStaleSweep(deps: StaleDeps): { stop(): Promise<void> } {
  const { db, clock, log, processId } = deps;
  const sweeping = regularly(
    async () => {
      const { isOwner } = await leaseTail(db, 'stale', { owner: processId, ms: leaseMs, at: clock.now() });
      if (!isOwner) return false;
      const closed = await sweepStaleSessions(deps);
      if (closed > 0) log.info('stale sessions closed', { count: closed });
      return closed === batch;
    },
    {
      everyMs: deps.pollMs ?? 60_000,
      onError: (error) => log.error('stale sessions not closed', { error: describeError(error) }),
    },
  );
  return {
    async stop() {
      await sweeping.stop();
      await releaseTail(db, 'stale', processId).catch(() => undefined);
    },
  };
}

/** One batch; gives how many sessions were closed. */
export function sweepStaleSessions(deps: { db: Knex; clock: Clock }): Promise<number> {
  return closeStaleSessions(deps.db, {
    now: deps.clock.now(),
    slackSeconds: 60,
    silenceSeconds: 600,
    silentAfterSeconds: 3600,
    limit: batch,
  });
}
