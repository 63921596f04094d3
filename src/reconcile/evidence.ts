import type { Knex } from 'knex';
import type { Clock } from '../clock.ts';
import type { Wake } from '../command.ts';
import { leaseTail, releaseTail } from '../db/accounting-tail.ts';
import { dueEvidence, recordVerdicts } from '../db/evidence.ts';
import { judgeEvidence, slackMs } from '../domain/evidence.ts';
import { describeError, type Log } from '../log.ts';
import { regularly } from './regularly.ts';

export interface EvidenceDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly wake: Wake;
  /** Names this process in leases: 36 characters. */
  readonly processId: string;
  readonly pollMs?: number;
}

const leaseMs = 15_000;
const batch = 500;

/**
 * Looks whether what was acknowledged came true: sent → acknowledged → confirmed. Waiting for a Stop holds no lease on a
 * session; the row says when to look. One process at a time does it.
 */
export function startEvidence(deps: EvidenceDeps): { stop(): Promise<void> } {
  const { db, clock, log, wake, processId } = deps;
  const looking = regularly(
    async () => {
      const { isOwner } = await leaseTail(db, 'evidence', { owner: processId, ms: leaseMs, at: clock.now() });
      if (!isOwner) return false;
      const checked = await checkEvidence(deps);
      if (checked.toSendAgain > 0) wake('lane');
      return checked.count === batch;
    },
    {
      everyMs: deps.pollMs ?? 1000,
      onError: (error) => log.error('evidence not checked', { error: describeError(error) }),
    },
  );
  return {
    async stop() {
      await looking.stop();
      await releaseTail(db, 'evidence', processId).catch(() => undefined);
    },
  };
}

/** One look at what is due; gives how many rows were judged, and how many sessions have to be asked again. */
export async function checkEvidence(deps: {
  db: Knex;
  clock: Clock;
}): Promise<{ count: number; toSendAgain: number }> {
  const now = deps.clock.now();
  const due = await dueEvidence(deps.db, now, { slackSeconds: slackMs / 1000, limit: batch });
  if (due.length === 0) return { count: 0, toSendAgain: 0 };
  const judged = due.map((evidence) => ({ evidence, verdict: judgeEvidence(evidence) }));
  await recordVerdicts(deps.db, judged, now);
  const toSendAgain = judged.filter(({ verdict }) => verdict.kind === 'send_again').length;
  return { count: due.length, toSendAgain };
}
