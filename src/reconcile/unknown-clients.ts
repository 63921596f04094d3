import type { Knex } from 'knex';
import { followRadiusLog } from '../adapters/freeradius/radius-log.ts';
import type { Clock } from '../clock.ts';
import { noteUnknownClients } from '../db/unknown-clients.ts';
import { describeError, type Log } from '../log.ts';
import { regularly } from './regularly.ts';

export interface UnknownClientDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly host: string;
  readonly logFile: string;
  readonly pollMs?: number;
}

/** Who has not asked for a week is forgotten. */
const forgottenAfterMs = 7 * 86_400_000;

/** Notes who asks this host's FreeRADIUS without being a router of ours, as its log tells. */
export function startUnknownClients(deps: UnknownClientDeps): { stop(): Promise<void> } {
  const radiusLog = followRadiusLog(deps.logFile);
  let isInTrouble = false;
  return regularly(
    async () => {
      const counts = await radiusLog.unknownSources();
      const at = deps.clock.now();
      await noteUnknownClients(deps.db, deps.host, counts, {
        at,
        forgetBefore: new Date(at.getTime() - forgottenAfterMs),
      });
      isInTrouble = false;
      return false;
    },
    {
      everyMs: deps.pollMs ?? 15_000,
      // Said once, when it begins: a log that cannot be read is no reason to fill ours.
      onError: (error) => {
        if (!isInTrouble) deps.log.warn('unknown clients are not noted', { error: describeError(error) });
        isInTrouble = true;
      },
    },
  );
}
