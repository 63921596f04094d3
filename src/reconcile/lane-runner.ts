import type { Knex } from 'knex';
import type { CoaClient, CoaOutcome, GoOn } from '../adapters/radius/coa-client.ts';
import { sessionAttributes } from '../adapters/radius/packet.ts';
import type { Vault } from '../adapters/vault.ts';
import type { Clock } from '../clock.ts';
import { laneState, saveLaneState } from '../db/lanes.ts';
import { claim, finish, release, wakeKeysOfRouters } from '../db/reconcile-queue.ts';
import { type RouterRow, routersByIds, routerSecretPlace } from '../db/routers.ts';
import { afterAnswer, afterTimeout, type Breaker, closedBreaker } from '../domain/breaker.ts';
import type { RouterId } from '../domain/ids.ts';
import { available, type Bucket, fullBucket, refill, take, waitMsFor } from '../domain/pace.ts';
import { describeError, type Log } from '../log.ts';
import type { GenerationWatch } from './generation-watch.ts';
import { prepareSessions, type Sending } from './session.ts';
import { recordResults, type Result } from './session-outcomes.ts';

export interface RunnerDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Vault;
  readonly client: CoaClient;
  readonly watch: GenerationWatch;
  readonly settings: RunnerSettings;
}

export interface RunnerSettings {
  /** Packets that wait for an answer of one router at a time. */
  readonly window: number;
  /** How long a claimed key is ours; longer than all retransmits together. */
  readonly claimMs: number;
  /** How long after an answer a CoA is asserted again, where an older one may still be on its way. */
  readonly assertAgainAfterMs: number;
}

/** How often the router's row is read again while its lane is busy: a new secret, pace or removal. */
const routerKeptMs = 1000;
/** Until an answer or new work wakes the runner, at most. */
const idleMs = 250;
/** How often the row of a router that answers says so. */
const answerNotedMs = 10_000;
/** Waited for the answer to a probe; one packet, no retransmit. */
const probeWaitsMs = [2000];

/** Sends to one router while this process has its lane: paced, behind a breaker, in the order of the queue. */
export class LaneRunner {
  readonly routerId: RouterId;
  readonly #deps: RunnerDeps;
  readonly #isHeld: () => boolean;
  readonly #inFlight = new Set<Promise<void>>();
  #results: Result[] = [];
  #flushing: Promise<void> | undefined;
  #breaker: Breaker = closedBreaker;
  #bucket: Bucket = fullBucket(1, 0);
  #router: { row: RouterRow | undefined; secret: string; readAt: number } | undefined;
  #isStopping = false;
  #isRoused = false;
  #waitsForRoom = false;
  #answerSavedAt = -Infinity;
  #rouse: () => void = () => undefined;

  /** `isHeld`: whether the lane's lease certainly is ours at this moment. */
  constructor(deps: RunnerDeps, routerId: RouterId, isHeld: () => boolean) {
    this.#deps = deps;
    this.routerId = routerId;
    this.#isHeld = isHeld;
  }

  /** Returns when there is nothing more to send, the lease is lost, or after stop(). */
  async run(): Promise<void> {
    try {
      this.#breaker = await laneState(this.#deps.db, this.routerId);
      await this.#loop();
    } finally {
      await Promise.all(this.#inFlight);
      await this.#flushing;
    }
  }

  /** No more is claimed and nothing sent again; what is on its way may still be answered. */
  stop(): void {
    this.#isStopping = true;
    this.wake();
  }

  /** There may be more to send, or room for it. */
  wake(): void {
    this.#isRoused = true;
    this.#rouse();
  }

  async #loop(): Promise<void> {
    while (!this.#isStopping && this.#isHeld()) {
      this.#isRoused = false;
      const router = await this.#currentRouter();
      this.#bucket = refill(this.#bucket, performance.now());
      const room = this.#room();
      this.#waitsForRoom = room <= 0;
      if (room > 0) {
        const claimed = await this.#sendSome(room, router);
        if (claimed > 0) continue;
        if (this.#inFlight.size === 0) return;
        await this.#pause(idleMs);
      } else {
        const isPaced = !this.#breaker.isOpen && this.#inFlight.size < this.#deps.settings.window;
        await this.#pause(isPaced ? waitMsFor(this.#bucket) : idleMs);
      }
    }
  }

  /** How many packets may go now; behind an open breaker one at a time, and the queue gives it when a probe is due. */
  #room(): number {
    if (this.#breaker.isOpen) return this.#inFlight.size === 0 ? 1 : 0;
    return Math.min(this.#deps.settings.window - this.#inFlight.size, available(this.#bucket));
  }

  async #currentRouter(): Promise<{ row: RouterRow | undefined; secret: string }> {
    const now = performance.now();
    if (this.#router !== undefined && now - this.#router.readAt < routerKeptMs) return this.#router;
    const [row] = await routersByIds(this.#deps.db, [this.routerId]);
    const isSame = row !== undefined && this.#router?.row?.changedAt.getTime() === row.changedAt.getTime();
    const secret = isSame
      ? (this.#router?.secret ?? '')
      : row === undefined || row.removedAt !== null
        ? ''
        : this.#deps.vault.open(routerSecretPlace(row.id), row.sealedSecret);
    const perSecond = row?.pacePerSecond ?? 50;
    if (this.#bucket.perSecond !== perSecond || this.#router === undefined) {
      this.#bucket = fullBucket(perSecond, now);
    }
    this.#router = { row, secret, readAt: now };
    return this.#router;
  }

  /** Claims, decides, writes down, and lets the packets go; gives how many keys were claimed. */
  async #sendSome(room: number, router: { row: RouterRow | undefined; secret: string }): Promise<number> {
    const { db, clock, settings } = this.#deps;
    const isProbe = this.#breaker.isOpen;
    const claims = await claim(db, 'session', {
      limit: room,
      leaseMs: settings.claimMs,
      routerId: this.routerId,
    });
    if (claims.length === 0) return 0;
    const prepared = await prepareSessions(db, claims, { id: this.routerId, row: router.row }, clock.now());
    await finish(db, prepared.done);
    if (router.row === undefined) return claims.length;
    this.#bucket = take(this.#bucket, prepared.sendings.length);
    for (const sending of prepared.sendings) this.#start(sending, router.row, router.secret, isProbe);
    return claims.length;
  }

  #start(sending: Sending, router: RouterRow, secret: string, isProbe: boolean): void {
    const task = this.#send(sending, router, secret, isProbe)
      .catch((error: unknown) => {
        // The key stays claimed until its lease ends, and the evidence row says that an outcome is missing.
        this.#deps.log.error('session not enforced', {
          error: describeError(error),
          session: sending.claim.key,
        });
      })
      .finally(() => {
        this.#inFlight.delete(task);
        if (this.#waitsForRoom || this.#inFlight.size === 0) this.wake();
      });
    this.#inFlight.add(task);
  }

  async #send(sending: Sending, router: RouterRow, secret: string, isProbe: boolean): Promise<void> {
    const { client, clock } = this.#deps;
    const { facts, evidence } = sending;
    const outcome: CoaOutcome = this.#isHeld()
      ? await client.send({
          kind: evidence.action,
          target: { address: router.address, port: router.coaPort, secret },
          attributes: [...sessionAttributes(facts), ...evidence.attributes],
          shouldGoOn: () => this.#mayRetransmit(sending, isProbe),
          ...(isProbe ? { waitsMs: probeWaitsMs } : {}),
        })
      : { kind: 'abandoned', attempts: 0 };
    // What the router said counts, whether or not the router's own row could be written.
    await this.#learn(outcome, isProbe).catch((error: unknown) => {
      this.#deps.log.warn('router state not written', {
        error: describeError(error),
        routerId: this.routerId,
      });
    });
    this.#results.push({ sending, outcome, at: clock.now(), isProbe });
    await this.#flush();
  }

  /** Asked before each retransmit: an older generation never follows a newer, nor a packet the end of its session. */
  async #mayRetransmit(sending: Sending, isProbe: boolean): Promise<GoOn> {
    const mayNot = () => this.#isStopping || !this.#isHeld() || (this.#breaker.isOpen && !isProbe);
    if (mayNot()) return 'abandon';
    const now = await this.#deps.watch.current(sending.facts.id).catch(() => null);
    if (now === null || mayNot()) return 'abandon';
    if (now?.isOpen !== true) return 'superseded';
    const isCurrent = sending.evidence.because === 'kick' || now.generation === sending.evidence.generation;
    return isCurrent || (now.generation === null && sending.facts.wanted === undefined) ? 'go' : 'superseded';
  }

  /** What the outcome says about the router. */
  async #learn(outcome: CoaOutcome, isProbe: boolean): Promise<void> {
    if (outcome.kind === 'superseded' || outcome.kind === 'abandoned') return;
    const { db, log } = this.#deps;
    if (outcome.kind === 'ack' || outcome.kind === 'nak') {
      const now = performance.now();
      const isNews = this.#breaker.failures > 0 || now - this.#answerSavedAt > answerNotedMs;
      const { breaker, event } = afterAnswer(this.#breaker);
      this.#breaker = breaker;
      if (isNews) this.#answerSavedAt = now;
      if (isNews) await saveLaneState(db, this.routerId, { ...breaker, hasAnswered: true });
      if (event === 'closed') {
        log.info('router answers again', { routerId: this.routerId });
        await wakeKeysOfRouters(db, [this.routerId]);
      }
      return;
    }
    if (outcome.kind === 'unsent' && !/^E[A-Z]+$/.test(outcome.why)) return;
    // What was on its way when the breaker opened says nothing new: counted, it would put off the first probe.
    if (this.#breaker.isOpen && !isProbe) return;
    const change = afterTimeout(this.#breaker, Math.random());
    this.#breaker = change.breaker;
    const lastError = outcome.kind === 'unsent' ? outcome.why : 'no answer';
    if (change.event === 'opened' || change.event === 'still_open') {
      if (change.event === 'opened')
        log.warn('router does not answer', { routerId: this.routerId, lastError });
      const { probeInMs } = change;
      const isNewlyOpen = change.event === 'opened';
      await saveLaneState(db, this.routerId, { ...change.breaker, probeInMs, isNewlyOpen, lastError });
    } else {
      await saveLaneState(db, this.routerId, { ...change.breaker, lastError });
    }
  }

  /** Results that come while one batch is written go with the next. */
  async #flush(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.#results.length === 0) return;
    const results = this.#results;
    this.#results = [];
    this.#flushing = this.#record(results).finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  async #record(results: readonly Result[]): Promise<void> {
    const { db, settings, log } = this.#deps;
    try {
      await recordResults(db, results, settings);
    } catch (error) {
      log.error('outcomes not recorded', { error: describeError(error), count: results.length });
      // Their evidence stays pending and their access in doubt, so the next look sends again rather than believe.
      await release(
        db,
        results.map(({ sending }) => sending.claim),
        1000,
      ).catch(() => undefined);
    }
  }

  #pause(ms: number): Promise<void> {
    if (this.#isRoused) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
