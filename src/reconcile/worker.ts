import { type Claim, claim, release, renew } from '../db/reconcile-queue.ts';
import type { ReconcileKind } from '../db/reconcile-requests.ts';
import { describeError } from '../log.ts';
import { type LoginReconcileDeps, reconcileLogins } from './login.ts';
import { askForManyLogins } from './many-logins.ts';

export interface WorkerDeps extends LoginReconcileDeps {
  /** Looks at router keys; it finishes or fails each of them itself. */
  readonly reconcileRouters?: (claims: readonly Claim[]) => Promise<unknown>;
}

export interface WorkerOptions {
  /** Keys of one look, and logins of one transaction. At most 500. */
  batch?: number;
  /**
   * Logins that a bulk look claims at once: each claim passes over what others have claimed, and over what was lately taken
   * out of the queue, so that claiming by 500 cost a sixth of the database's time in a run.
   */
  bulkClaim?: number;
  /** Logins of one transaction of a bulk look while people wait for logins, which they do for `rushMs` after one of them did. */
  smallBatch?: number;
  rushMs?: number;
  /** Looks at logins that go on at the same time: while one waits for the database, another is computed. */
  loginLooks?: number;
  /** Renewed three times in it while a look goes on; what a worker that died had claimed waits no longer than this. */
  leaseMs?: number;
  /** Correct without any wake-up: this often the queue is looked at anyway. */
  pollMs?: number;
  /** After an error, such as a database that is away. */
  pauseMs?: number;
}

export interface Worker {
  /** There may be work. Safe to call at any time and any number of times. */
  wake(): void;
  /** Finishes the look that goes on, takes nothing new, and resolves. */
  stop(): Promise<void>;
}

const defaults: Required<WorkerOptions> = {
  batch: 500,
  bulkClaim: 2000,
  smallBatch: 100,
  rushMs: 1000,
  loginLooks: 2,
  leaseMs: 6000,
  pollMs: 1000,
  pauseMs: 1000,
};

/**
 * Looks at login, many-logins and router keys until it is stopped. Each kind has loops of its own, so that a slow router never delays a
 * login, and so have logins that a person waits for, so that no payment stands behind a batch of a run. While payments
 * come, batches are small: what a payment needs is computed between them, and by the database too. Several workers
 * may run, on several hosts: the queue hands out disjoint batches.
 */
export function startWorker(deps: WorkerDeps, options: WorkerOptions = {}): Worker {
  const settled = { ...defaults, ...options };
  const { reconcileRouters } = deps;
  let rushAt = -Infinity;
  const lookUrgent: Look = (claims) => {
    rushAt = performance.now();
    return reconcileLogins(deps, claims);
  };
  const size = () => (performance.now() - rushAt < settled.rushMs ? settled.smallBatch : settled.batch);
  const lookBulk: Look = (claims, isStopping) => reconcileLogins(deps, claims, { size, isStopping });
  const bulkMost = () => settled.bulkClaim;
  const most = () => settled.batch;
  // What people wait for is many when a run is taken back, and then it is to go as fast as the run did.
  const urgent = { ...settled, which: 'urgent' as const, most, isBesideFull: true };
  const loops = [startLoop(deps, 'login', lookUrgent, urgent)];
  for (let n = 0; n < settled.loginLooks; n++) {
    loops.push(startLoop(deps, 'login', lookBulk, { ...settled, which: 'bulk', most: bulkMost }));
  }
  const wake = () => {
    for (const loop of loops) loop.wake();
  };
  const askForMany: Look = (claims, isStopping) =>
    askForManyLogins(deps, claims, { leaseMs: settled.leaseMs, isStopping, onChunk: wake });
  // One wish at a time: other workers may take the others.
  loops.push(startLoop(deps, 'many_logins', askForMany, { ...settled, most: () => 1 }));
  if (reconcileRouters !== undefined) {
    loops.push(startLoop(deps, 'router', reconcileRouters, { ...settled, most }));
  }
  return {
    wake,
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}

type Look = (claims: readonly Claim[], isStopping: () => boolean) => Promise<unknown>;

type LoopOptions = Required<WorkerOptions> & {
  which?: 'urgent' | 'bulk';
  most: () => number;
  /** A look behind a full batch begins before that one has ended. */
  isBesideFull?: boolean;
};

function startLoop(deps: WorkerDeps, kind: ReconcileKind, look: Look, options: LoopOptions): Worker {
  const nap = createNap();
  let isStopping = false;
  const run = async () => {
    const nothing: Promise<Came> = Promise.resolve('worked');
    let beside = nothing;
    while (!isStopping) {
      const { isFull, ended } = await beginLook(
        deps,
        kind,
        (claims) => look(claims, () => isStopping),
        options,
      );
      const before = await beside;
      // Behind a full batch there is more: while the database writes this one, the next one is computed.
      beside = isFull && options.isBesideFull === true ? ended : nothing;
      const came = beside === ended ? before : worse(before, await ended);
      // A wake-up must not cut a pause short: a database that is away would be asked in a busy loop.
      if (came === 'failed') await nap.sleep(options.pauseMs, { isWakeable: false });
      else if (came === 'idle') await nap.sleep(options.pollMs, { isWakeable: true });
    }
    await beside;
  };
  const running = run();
  return {
    wake: () => nap.wake(),
    async stop() {
      isStopping = true;
      nap.end();
      await running;
    },
  };
}

type Came = 'worked' | 'idle' | 'failed';

function worse(one: Came, other: Came): Came {
  return one === 'failed' ? one : other;
}

/** Claims, and begins to look at what was claimed; `ended` tells what came of it. Neither ever rejects. */
async function beginLook(
  deps: WorkerDeps,
  kind: ReconcileKind,
  look: (claims: readonly Claim[]) => Promise<unknown>,
  options: LoopOptions,
): Promise<{ isFull: boolean; ended: Promise<Came> }> {
  const { which } = options;
  const limit = options.most();
  try {
    const claims = await claim(deps.db, kind, {
      limit,
      leaseMs: options.leaseMs,
      ...(which === undefined ? {} : { which }),
    });
    if (claims.length === 0) return { isFull: false, ended: Promise.resolve('idle') };
    return { isFull: claims.length === limit, ended: lookAt(deps, kind, claims, { look, ...options }) };
  } catch (error) {
    deps.log.error('look at the queue failed', { kind, keys: 0, error: describeError(error) });
    return { isFull: false, ended: Promise.resolve('failed') };
  }
}

/** Never throws: whatever went wrong is logged, and the keys are given back. */
async function lookAt(
  deps: WorkerDeps,
  kind: ReconcileKind,
  claims: readonly Claim[],
  options: { look: (claims: readonly Claim[]) => Promise<unknown>; leaseMs: number; pauseMs: number },
): Promise<Came> {
  const renewal = setInterval(() => {
    renew(deps.db, claims, options.leaseMs).catch((error: unknown) => {
      deps.log.warn('lease not renewed', { kind, error: describeError(error) });
    });
  }, options.leaseMs / 3);
  try {
    await options.look(claims);
    return 'worked';
  } catch (error) {
    deps.log.error('look at the queue failed', { kind, keys: claims.length, error: describeError(error) });
    // If this fails too, the lease ends by itself.
    await release(deps.db, claims, options.pauseMs).catch(() => undefined);
    return 'failed';
  } finally {
    clearInterval(renewal);
  }
}

interface Nap {
  sleep(ms: number, options: { isWakeable: boolean }): Promise<void>;
  wake(): void;
  end(): void;
}

/** A sleep that ends early when woken. A wake-up that comes while nobody sleeps is kept for the next sleep. */
function createNap(): Nap {
  let isWoken = false;
  let isEnded = false;
  let sleeper: { isWakeable: boolean; rise: () => void } | undefined;
  return {
    async sleep(ms, { isWakeable }) {
      if (!isEnded && !(isWakeable && isWoken)) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          const rise = () => {
            clearTimeout(timer);
            resolve();
          };
          sleeper = { isWakeable, rise };
        });
        sleeper = undefined;
      }
      isWoken = false;
    },
    wake() {
      isWoken = true;
      if (sleeper?.isWakeable === true) sleeper.rise();
    },
    end() {
      isEnded = true;
      sleeper?.rise();
    },
  };
}
