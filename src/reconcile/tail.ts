import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Clock } from '../clock.ts';
import type { Wake } from '../command.ts';
import {
  type GonePlace,
  endOfOpenStretch,
  heardThoughGone,
  leaseTail,
  newestAccountingId,
  releaseTail,
  requestDriftedSessions,
  saveTail,
} from '../db/accounting-tail.ts';
import { probeReturningRouters } from '../db/lanes.ts';
import { sqlInstant } from '../db/knex.ts';
import { wakeKeysOfRouters } from '../db/reconcile-queue.ts';
import { describeError, type Log } from '../log.ts';
import { regularly } from './regularly.ts';

export interface TailDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly wake: Wake;
  /** Names this process in leases: 36 characters. */
  readonly processId: string;
  readonly pollMs?: number;
  /** Pause between two walks over all open sessions. */
  readonly sweepEveryMs?: number;
}

const leaseMs = 15_000;
/** Ids are given before the row is committed: rows of this last stretch of time are read again. */
const trailingMs = 30_000;
const rereadEveryMs = 5000;
const stretch = 2000;
/** A session that is heard of later than this is found by the walk over open sessions. */
const goneKeptMs = 2 * 3_600_000;

/**
 * Reads new accounting rows: a session that was accepted from old rows, or whose Start came after somebody listed the
 * open ones, requests its key. Between that it walks over all open sessions, so that one which was re-opened, or which a
 * crash left behind, is found within minutes too. And it notices when a silent router's accounting moves again, and when
 * a router accounts for a session that it claimed gone.
 */
export function startTail(deps: TailDeps): { stop(): Promise<void> } {
  const tail = new Tail(deps);
  const reading = regularly(() => tail.look(), {
    everyMs: deps.pollMs ?? 1000,
    onError: (error) => deps.log.error('accounting not read', { error: describeError(error) }),
  });
  return {
    async stop() {
      await reading.stop();
      await releaseTail(deps.db, name, deps.processId).catch(() => undefined);
    },
  };
}

const name = 'sessions';

class Tail {
  readonly #deps: TailDeps;
  readonly #requestedBy = `tail:${randomUUID()}`;
  /** Up to where this process has read, and when it had; undefined until it owns the tail. */
  #seen: { id: string; at: number }[] = [];
  #rereadAt = -Infinity;
  #sweep: { after: string; restAt: number } = { after: '0', restAt: -Infinity };
  /** Where the walk over those that were claimed gone goes on; null at its beginning. */
  #gone: GonePlace | null = null;

  constructor(deps: TailDeps) {
    this.#deps = deps;
  }

  /** True where there is more to read at once. */
  async look(): Promise<boolean> {
    const { db, clock, processId } = this.#deps;
    const now = performance.now();
    const lease = await leaseTail(db, name, { owner: processId, ms: leaseMs, at: clock.now() });
    if (!lease.isOwner) {
      this.#seen = [];
      return false;
    }
    const isReread = now - this.#rereadAt > rereadEveryMs || this.#seen.length === 0;
    const after = isReread ? lease.readTo : (this.#seen.at(-1)?.id ?? lease.readTo);
    const newest = await newestAccountingId(db);
    let read = await this.#request(after, newest);
    let requested = read.requested;
    while (this.#seen.length > 0 && read.to !== newest) {
      read = await this.#request(read.to, newest);
      requested += read.requested;
    }
    if (isReread && read.to === newest) {
      this.#rereadAt = now;
      await this.#advance(newest, now);
      await this.#noteRouters();
    } else if (read.to === newest) {
      this.#seen.push({ id: newest, at: now });
    } else {
      // A long way behind, as at the first start: the rows before have been committed long ago.
      await saveTail(db, name, processId, { to: read.to, at: clock.now() });
    }
    requested += await this.#askForHeardThoughGone();
    requested += await this.#sweepOn(now);
    if (requested > 0) this.#deps.wake('lane');
    return read.to !== newest;
  }

  /** One stretch of open sessions in (after, newest]. */
  async #request(after: string, newest: string): Promise<{ to: string; requested: number }> {
    if (BigInt(after) >= BigInt(newest)) return { to: newest, requested: 0 };
    const end = await endOfOpenStretch(this.#deps.db, after, stretch);
    const to = end === null || BigInt(end) > BigInt(newest) ? newest : end;
    const requested = await requestDriftedSessions(this.#deps.db, { after, to }, this.#requestedBy);
    return { to, requested };
  }

  /** What was the newest row half a minute ago has been followed by every row with a lower id. */
  async #advance(newest: string, now: number): Promise<void> {
    const { db, clock, processId } = this.#deps;
    this.#seen.push({ id: newest, at: now });
    const settled = this.#seen.findLast((seen) => now - seen.at >= trailingMs);
    this.#seen = this.#seen.filter((seen) => now - seen.at < trailingMs);
    if (settled !== undefined) await saveTail(db, name, processId, { to: settled.id, at: clock.now() });
  }

  async #noteRouters(): Promise<void> {
    const { db, log, wake } = this.#deps;
    const returned = await probeReturningRouters(db);
    if (returned.length === 0) return;
    log.info('routers account again', { routerIds: returned });
    await wakeKeysOfRouters(db, returned);
    wake('lane');
  }

  /** A router that claims living sessions gone would otherwise leave them as they are until the walk comes by. */
  async #askForHeardThoughGone(): Promise<number> {
    const { db, clock } = this.#deps;
    const since = sqlInstant(new Date(clock.now().getTime() - goneKeptMs));
    const { ids, next } = await heardThoughGone(db, this.#gone ?? { at: since, radacctid: '0' }, stretch);
    this.#gone = next;
    return requestDriftedSessions(db, { ids }, this.#requestedBy);
  }

  async #sweepOn(now: number): Promise<number> {
    if (now < this.#sweep.restAt) return 0;
    const { db } = this.#deps;
    const end = await endOfOpenStretch(db, this.#sweep.after, stretch);
    const to = end ?? (await newestAccountingId(db));
    const requested = await requestDriftedSessions(db, { after: this.#sweep.after, to }, this.#requestedBy);
    this.#sweep =
      end === null
        ? { after: '0', restAt: now + (this.#deps.sweepEveryMs ?? 60_000) }
        : { after: end, restAt: now };
    return requested;
  }
}
