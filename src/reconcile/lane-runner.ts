import type { Knex } from 'knex';
import type { CoaClient, CoaOutcome, GoOn } from '../adapters/radius/coa-client.ts';
import { sessionAttributes } from '../adapters/radius/packet.ts';
import type { Vault } from '../adapters/vault.ts';
import type { Clock } from '../clock.ts';
import { laneState, saveLaneState } from '../db/lanes.ts';
import { wakeKeysOfRouters } from '../db/reconcile-queue.ts';
import { type RouterRow, routersByIds, routerSecretPlace } from '../db/routers.ts';
import { afterAnswer, afterTimeout, type Breaker, closedBreaker } from '../domain/breaker.ts';
import type { RouterId } from '../domain/ids.ts';
import { available, type Bucket, fullBucket, refill, take, urgentRoom, waitMsFor } from '../domain/pace.ts';
import { describeError, type Log } from '../log.ts';
import type { GenerationWatch } from './generation-watch.ts';
import type { Gathering } from './gather.ts';
import type { LaneWish, Prepared, Sending } from './session.ts';
import type { Result } from './session-outcomes.ts';

export interface RunnerDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Vault;
  readonly client: CoaClient;
  readonly watch: GenerationWatch;
  /** Of all routers of this process together: what is due, what became of it, and who answered. */
  readonly looks: Gathering<LaneWish, Prepared>;
  readonly records: Gathering<Result, null>;
  readonly answers: Gathering<RouterId, null>;
  /** Packets that wait for an answer of one router at a time. */
  readonly window: number;
}

/** How often the router's row is read again while its lane is busy: a new secret, pace or removal. */
const routerKeptMs = 1000;
/** Until an answer or new work wakes the runner, at most. */
const idleMs = 250;
/** Until somebody who is writing the decision of a due session has committed. */
const passedOverMs = 10;
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
  #breaker: Breaker = closedBreaker;
  #bucket: Bucket = fullBucket(1, 0);
  #router: { row: RouterRow | undefined; secret: string; readAt: number } | undefined;
  #isStopping = false;
  #isRoused = false;
  #mayBeUrgent = true;
  #waitsForRoom = false;
  #answerNotedAt = -Infinity;
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
    }
  }

  /** No more is claimed and nothing sent again; what is on its way may still be answered. */
  stop(): void {
    this.#isStopping = true;
    this.#goOn();
  }

  /** There may be more to send, and it may be urgent. */
  wake(): void {
    this.#mayBeUrgent = true;
    this.#goOn();
  }

  #goOn(): void {
    this.#isRoused = true;
    this.#rouse();
  }

  async #loop(): Promise<void> {
    while (!this.#isStopping && this.#isHeld()) {
      this.#isRoused = false;
      const router = await this.#currentRouter();
      this.#bucket = refill(this.#bucket, performance.now());
      const room = this.#room();
      const urgentMost = this.#mayBeUrgent ? this.#urgentRoom() : 0;
      this.#mayBeUrgent = false;
      this.#waitsForRoom = room <= 0;
      if (room > 0 || urgentMost > 0) {
        const { taken, passedOver } = await this.#sendSome({ room, urgentMost }, router);
        if (taken > 0) continue;
        // Asked for without room, so what was passed over is urgent.
        if (passedOver > 0 && room <= 0) this.#mayBeUrgent = true;
        if (passedOver === 0 && room > 0 && this.#inFlight.size === 0) return;
        if (passedOver > 0) await this.#pause(passedOverMs);
        else if (room > 0) await this.#pause(idleMs);
        if (room > 0 || passedOver > 0) continue;
      }
      const isPaced = !this.#breaker.isOpen && this.#inFlight.size < this.#bulkWindow();
      await this.#pause(isPaced ? waitMsFor(this.#bucket) : idleMs);
    }
  }

  /** How many packets may go now; behind an open breaker one at a time, and the queue gives it when a probe is due. */
  #room(): number {
    if (this.#breaker.isOpen) return this.#inFlight.size === 0 ? 1 : 0;
    return Math.min(this.#bulkWindow() - this.#inFlight.size, available(this.#bucket));
  }

  /** A quarter of the window is kept for what a person waits for. */
  #bulkWindow(): number {
    return this.#deps.window - Math.floor(this.#deps.window / 4);
  }

  /** What a person waits for goes ahead of the pace. */
  #urgentRoom(): number {
    if (this.#breaker.isOpen) return 0;
    const free = this.#deps.window - this.#inFlight.size - Math.max(0, this.#room());
    return Math.max(0, Math.min(urgentRoom(this.#bucket), free));
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

  /** Lets the packets go that are due, decided and written down. */
  async #sendSome(
    may: { room: number; urgentMost: number },
    router: { row: RouterRow | undefined; secret: string },
  ): Promise<Prepared> {
    const isProbe = this.#breaker.isOpen;
    const prepared = await this.#deps.looks.add({
      routerId: this.routerId,
      row: router.row,
      most: Math.max(0, may.room),
      urgentMost: may.urgentMost,
      isProbe,
    });
    this.#bucket = take(this.#bucket, prepared.sendings.length);
    for (const sending of prepared.sendings) {
      if (router.row !== undefined) this.#start(sending, router.row, router.secret, isProbe);
    }
    return prepared;
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
        if (this.#waitsForRoom || this.#inFlight.size === 0) this.#goOn();
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
    const recorded = this.#deps.records.add({ sending, outcome, at: clock.now(), isProbe });
    // What the router said counts, whether or not the router's own row could be written.
    const learnt = this.#learn(outcome, isProbe).catch((error: unknown) => {
      this.#deps.log.warn('router state not written', {
        error: describeError(error),
        routerId: this.routerId,
      });
    });
    await Promise.all([recorded, learnt]);
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
      const hadFailed = this.#breaker.failures > 0 || this.#breaker.isOpen;
      const isNoteDue = now - this.#answerNotedAt > answerNotedMs;
      const { breaker, event } = afterAnswer(this.#breaker);
      this.#breaker = breaker;
      if (hadFailed || isNoteDue) this.#answerNotedAt = now;
      if (hadFailed) await saveLaneState(db, this.routerId, { ...breaker, hasAnswered: true });
      else if (isNoteDue) await this.#deps.answers.add(this.routerId);
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
