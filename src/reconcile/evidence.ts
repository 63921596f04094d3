import type { Knex } from 'knex';
import type { Clock } from '../clock.ts';
import type { Wake } from '../command.ts';
import { leaseTail, releaseTail } from '../db/accounting-tail.ts';
import { dueEvidence, type EvidenceWalk, recordVerdicts } from '../db/evidence.ts';
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
/** Of those that wait, so many a look. */
const walkMost = 2000;

/**
 * Looks whether what was acknowledged came true: sent → acknowledged → confirmed. Waiting for a Stop holds no lease on a
 * session; the row says when to look. One process at a time does it.
 */
export function startEvidence(deps: EvidenceDeps): { stop(): Promise<void> } {
  const { db, clock, log, wake, processId } = deps;
  let after: string | null = null;
  const looking = regularly(
    async () => {
      const { isOwner } = await leaseTail(db, 'evidence', { owner: processId, ms: leaseMs, at: clock.now() });
      if (!isOwner) return false;
      const checked = await checkEvidence(deps, { after, most: walkMost });
      after = checked.next;
      if (checked.toSendAgain > 0) wake('lane');
      // Where there was news there may be more of it further on.
      return checked.count === batch || (checked.count > 0 && checked.next !== null);
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

/**
 * One look at what is due and at the next of what waits; gives how many rows were judged, how many sessions have to be
 * asked again, and where the walk over those that wait goes on.
 */
export async function checkEvidence(
  deps: { db: Knex; clock: Clock },
  walk: EvidenceWalk = { after: null, most: walkMost },
): Promise<{ count: number; toSendAgain: number; next: string | null }> {
  const now = deps.clock.now();
  const options = { slackSeconds: slackMs / 1000, limit: batch, walk };
  const { due, next } = await dueEvidence(deps.db, now, options);
  if (due.length === 0) return { count: 0, toSendAgain: 0, next };
  const judged = due.map((evidence) => ({ evidence, verdict: judgeEvidence(evidence) }));
  await recordVerdicts(deps.db, judged, now);
  const toSendAgain = judged.filter(({ verdict }) => verdict.kind === 'send_again').length;
  return { count: due.length, toSendAgain, next };
}
