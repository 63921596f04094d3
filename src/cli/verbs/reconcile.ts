import { setTimeout as wait } from 'node:timers/promises';
import {
  reconcileEverything,
  reconcileLogin,
  reconcileRouter,
  type Requested,
} from '../../network/reconcile-now.ts';
import { waitingOf } from '../../db/login-requests.ts';
import { listRouters } from '../../db/routers.ts';
import { livingProcesses } from '../../db/heartbeats.ts';
import { decisionOf } from '../../db/access-view.ts';
import { access, count } from '../format.ts';
import { requireLogin } from '../subject.ts';
import { type Call, UsageError, type Verb } from '../verb.ts';
import { requireRouter } from '../routers.ts';

export const reconcile: Verb = {
  name: 'reconcile',
  group: 'Access',
  summary: 'makes rows, sessions and RADIUS clients what they should be, now',
  positionals: [{ name: 'USERNAME', isOptional: true }],
  options: {
    router: { value: 'ROUTER', about: 'a router and every session on it, by name or address' },
    all: { about: 'every router and every login, behind whatever somebody waits for' },
    wait: {
      value: 'SECONDS',
      about: 'how long to watch what comes of it; 10 where it is left out, 0 does not wait',
    },
  },
  details: [
    'It asks; the workers do it, as they do after a payment. Exit code 1 when something failed or is still waiting at the end.',
  ],
  examples: ['reconcile amina', 'reconcile --router pop-north', 'reconcile --all --wait 60'],
  async run(call) {
    const username = call.maybePositional('USERNAME');
    const router = call.maybeText('router');
    const given = [username, router, call.has('all') ? 'all' : undefined].filter((one) => one !== undefined);
    if (given.length !== 1) throw new UsageError('USERNAME: give a username, or --router ROUTER, or --all');
    const ctx = call.context();
    const { db } = call.app();
    let requested: Requested;
    if (username !== undefined) requested = await reconcileLogin(ctx, await requireLogin(db, username));
    else if (router !== undefined)
      requested = await reconcileRouter(ctx, (await requireRouter(call, router, '--router')).id);
    else {
      const routers = await listRouters(db, { limit: 5000 });
      requested = await reconcileEverything(
        ctx,
        routers.map((one) => one.id),
        (number) => call.out.progress(`${number} logins asked for`),
      );
    }
    const outcome = await watch(call, ctx.correlationId);
    const hasWorker = (await livingProcesses(db, 'worker')).length > 0;
    const decision =
      username === undefined ? undefined : await decisionOf(db, (await requireLogin(db, username)).id);
    const isDone = outcome.waiting === 0 && outcome.parked === 0;
    call.out.show(
      { ok: isDone, requested, ...outcome, hasWorker, ...(decision === undefined ? {} : { decision }) },
      () => [
        `Asked for ${count(requested.logins, 'login')}, ${count(requested.sessions, 'session')}, ${count(requested.routers, 'router')}.`,
        ...outcomeLines(outcome, hasWorker),
        ...(decision === undefined
          ? []
          : [
              `Access: ${access({ access: decision.access, reason: decision.reason, rate: decision.rateLimit })}`,
            ]),
      ],
    );
    return isDone ? 0 : 1;
  },
};

interface Outcome {
  waiting: number;
  parked: number;
  lastError: string | null;
}

/** Watches the keys of this request until none waits, or the time is over. A newer wish of somebody else takes a key over. */
async function watch(call: Call, correlationId: string): Promise<Outcome> {
  const end = performance.now() + (call.whole('wait') ?? 10) * 1000;
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 1.5, 1000)) {
    const outcome = await waitingOf(call.app().db, correlationId);
    if (outcome.waiting === 0 || performance.now() >= end || call.signal.aborted) return outcome;
    call.out.progress(`${outcome.waiting} waiting`);
    await wait(pauseMs);
  }
}

function outcomeLines(outcome: Outcome, hasWorker: boolean): string[] {
  if (outcome.waiting === 0 && outcome.parked === 0) return ['All of it is done.'];
  return [
    ...(outcome.waiting === 0 ? [] : [`${outcome.waiting} still waiting.`]),
    ...(outcome.waiting > 0 && !hasWorker ? ['No worker is running: "sluice doctor" says more.'] : []),
    ...(outcome.parked === 0 ? [] : [`${outcome.parked} given up on: "sluice needs-attention" lists them.`]),
    ...(outcome.lastError === null ? [] : [`Last error: ${outcome.lastError}`]),
  ];
}
