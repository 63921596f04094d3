import type { Knex } from 'knex';
import { CoaClient } from '../adapters/radius/coa-client.ts';
import type { Vault } from '../adapters/vault.ts';
import type { Clock } from '../clock.ts';
import { leaseLanes, noteAnswers, releaseLanes, renewLanes, routersWithDueSessions } from '../db/lanes.ts';
import type { RouterId } from '../domain/ids.ts';
import { describeError, type Log } from '../log.ts';
import { gather, type Gathering } from './gather.ts';
import { GenerationWatch } from './generation-watch.ts';
import { LaneRunner, type RunnerDeps } from './lane-runner.ts';
import { regularly } from './regularly.ts';
import { type LaneWish, prepareApart, type Prepared } from './session.ts';
import { recordApart, type Result } from './session-outcomes.ts';

export interface LaneDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Vault;
  /** Names this process in leases: 36 characters. */
  readonly processId: string;
  /** The address that routers have under /radius: they pick the secret by it. */
  readonly sourceAddress: string;
  readonly pollMs?: number;
  readonly leaseMs?: number;
  /** Waits after each transmission of one packet. */
  readonly waitsMs?: readonly number[];
  readonly window?: number;
  readonly assertAgainAfterMs?: number;
  /** Routers that are served at the same time by this process. */
  readonly routersMost?: number;
}

export interface Lane {
  /** There may be work: look now instead of at the next poll. */
  wake(): void;
  /** Ends when what is on its way was answered or given up; the rest is left in the queue. */
  stop(): Promise<void>;
}

const shareLeast = 8;

/**
 * Keys of different routers in one look, and outcomes in one transaction. Small enough that a payment is not held up by
 * its neighbours in the look. A router counts as three keys even where it has room for none, and as eight where it has
 * room for many: it seldom has as many, and a look for few routers would then be a transaction for few keys.
 */
const together = {
  looks: { most: 120, atOnce: 2, weightOf: ({ most }: LaneWish) => Math.min(Math.max(3, most), shareLeast) },
  records: { most: 250, atOnce: 1 },
  routers: { most: 500, atOnce: 1 },
};

/** So that a look stays as small as it should be where all of its routers have many keys. */
function shared(wishes: readonly LaneWish[]): LaneWish[] {
  const withRoom = wishes.filter(({ most }) => most > 0).length;
  const share = Math.max(shareLeast, Math.floor(together.looks.most / Math.max(1, withRoom)));
  return wishes.map((wish) => ({ ...wish, most: Math.min(wish.most, share) }));
}

/** Between two looks, however often it is woken. */
const leastPauseMs = 5;

/**
 * Sends CoA and Disconnect to routers that have session keys due: each router by one sender at a time, leased in
 * database time, and each by a runner of its own, so that a dead router delays nobody else.
 */
export function startLane(deps: LaneDeps): Lane {
  const lanes = new Lanes(deps);
  const ended = lanes.run();
  return {
    wake: () => lanes.wake(),
    async stop() {
      lanes.stop();
      await ended;
    },
  };
}

class Lanes {
  readonly #deps: LaneDeps;
  readonly #leaseMs: number;
  readonly #claimMs: number;
  readonly #client: CoaClient;
  readonly #runnerDeps: RunnerDeps;
  readonly #releases: Gathering<RouterId, null>;
  readonly #running = new Map<RouterId, { runner: LaneRunner; heldUntil: number; ended: Promise<void> }>();
  #isStopping = false;
  #isAwake = false;
  #rouse: () => void = () => undefined;

  constructor(deps: LaneDeps) {
    this.#deps = deps;
    // What a lane that was killed leaves waits no longer than this; renewed three times in it.
    this.#leaseMs = deps.leaseMs ?? 6000;
    const waitsMs = deps.waitsMs ?? [1000, 2000, 4000];
    this.#client = new CoaClient({ sourceAddress: deps.sourceAddress, waitsMs });
    this.#runnerDeps = {
      db: deps.db,
      clock: deps.clock,
      log: deps.log,
      vault: deps.vault,
      client: this.#client,
      watch: new GenerationWatch(deps.db),
      looks: gather<LaneWish, Prepared>((wishes) => this.#prepare(wishes), together.looks),
      records: gather<Result, null>((results) => this.#record(results), together.records),
      answers: gather<RouterId, null>(async (ids) => {
        await noteAnswers(deps.db, ids);
        return ids.map(() => null);
      }, together.routers),
      window: deps.window ?? 64,
    };
    this.#releases = gather<RouterId, null>(async (ids) => {
      await releaseLanes(deps.db, ids, deps.processId);
      return ids.map(() => null);
    }, together.routers);
    // Longer than all retransmits together.
    this.#claimMs = 60_000 + waitsMs.reduce((sum, ms) => sum + ms, 0);
  }

  #prepare(wishes: readonly LaneWish[]): Promise<Prepared[]> {
    const { db, clock, log } = this.#deps;
    return prepareApart({ db, log }, shared(wishes), { claimMs: this.#claimMs, now: clock.now() });
  }

  async #record(results: readonly Result[]): Promise<null[]> {
    const { db, log, assertAgainAfterMs } = this.#deps;
    await recordApart({ db, log }, results, { assertAgainAfterMs: assertAgainAfterMs ?? 5000 });
    return results.map(() => null);
  }

  wake(): void {
    for (const { runner } of this.#running.values()) runner.wake();
    this.#look();
  }

  #look(): void {
    this.#isAwake = true;
    this.#rouse();
  }

  stop(): void {
    this.#isStopping = true;
    for (const { runner } of this.#running.values()) runner.stop();
    this.#rouse();
  }

  async run(): Promise<void> {
    const renewing = regularly(() => this.#renew(), {
      everyMs: this.#leaseMs / 3,
      onError: (error) => this.#deps.log.error('lanes not renewed', { error: describeError(error) }),
    });
    while (!this.#isStopping) {
      this.#isAwake = false;
      try {
        await this.#startRunners();
      } catch (error) {
        this.#deps.log.error('lanes not leased', { error: describeError(error) });
      }
      await this.#pause(this.#wasAsked() ? leastPauseMs : (this.#deps.pollMs ?? 500));
    }
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    await renewing.stop();
    await this.#client.close();
  }

  async #startRunners(): Promise<void> {
    const { db, processId } = this.#deps;
    const running = [...this.#running.keys()];
    const limit = (this.#deps.routersMost ?? 500) - running.length;
    if (limit <= 0) return;
    const due = await routersWithDueSessions(db, { owner: processId, except: running, limit });
    const askedAt = performance.now();
    const leased = await leaseLanes(db, due, { owner: processId, ms: this.#leaseMs });
    for (const id of leased) this.#startRunner(id, askedAt + this.#leaseMs);
  }

  #startRunner(id: RouterId, heldUntil: number): void {
    const { log } = this.#deps;
    // A tenth less than the lease: this clock and the database's may run at a different pace.
    const isHeld = () => performance.now() < (this.#running.get(id)?.heldUntil ?? 0) - this.#leaseMs / 10;
    const runner = new LaneRunner(this.#runnerDeps, id, isHeld);
    if (this.#wasStopped()) runner.stop();
    const run = async () => {
      try {
        await runner.run();
        await this.#releases.add(id);
      } catch (error) {
        // Its lease runs out by itself, and the next look begins anew.
        log.error('lane ended', { routerId: id, error: describeError(error) });
      } finally {
        this.#running.delete(id);
        // What was requested while it ended has been nobody's.
        this.#look();
      }
    };
    const entry = { runner, heldUntil, ended: Promise.resolve() };
    this.#running.set(id, entry);
    entry.ended = run();
  }

  /** A lease that can't be renewed runs out: its runner sees that by the clock and sends nothing more. */
  async #renew(): Promise<boolean> {
    const ids = [...this.#running.keys()];
    if (ids.length === 0) return false;
    const askedAt = performance.now();
    const kept = new Set(
      await renewLanes(this.#deps.db, ids, { owner: this.#deps.processId, ms: this.#leaseMs }),
    );
    for (const id of ids) {
      const entry = this.#running.get(id);
      if (entry === undefined) continue;
      if (kept.has(id)) {
        entry.heldUntil = askedAt + this.#leaseMs;
      } else {
        entry.heldUntil = 0;
        entry.runner.stop();
      }
    }
    return false;
  }

  #wasAsked(): boolean {
    return this.#isAwake;
  }

  #wasStopped(): boolean {
    return this.#isStopping;
  }

  #pause(ms: number): Promise<void> {
    if (this.#isStopping) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
