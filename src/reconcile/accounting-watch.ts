import { type EvidenceDeps, startEvidence } from './evidence.ts';
import { startStaleSweep } from './stale.ts';
import { startTail, type TailDeps } from './tail.ts';

/**
 * All that a worker does about accounting besides its keys: reads the tail, checks evidence, ends stale sessions. Several
 * workers may run it; the database says which one of them works on what.
 */
export function startAccountingWatch(deps: Omit<TailDeps & EvidenceDeps, 'pollMs'>): {
  stop(): Promise<void>;
} {
  const parts = [startTail(deps), startEvidence(deps), startStaleSweep(deps)];
  return {
    async stop() {
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
