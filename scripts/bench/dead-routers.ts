import { setTimeout as wait } from 'node:timers/promises';
import { setMasterPackage } from '../../src/catalog/set-master-package.ts';
import { until } from '../servers/child.ts';
import { numbersGiven } from './arguments.ts';
import { type BenchServer, machineLine, openBenchServer } from './bench-server.ts';
import { print, say, tableHead, tableLine } from './figures.ts';
import { benchMasterPackage, decideAll, fillLiveIsp, openSessions } from './live-isp.ts';
import { type ResponderMode, responderRouters, type Responders, startResponders } from './responders.ts';
import { build, startRoleProcess } from './role-processes.ts';

const usage = `scripts/bench/dead-routers.ts [--routers=200] [--sessions=50] [--dead=20] [--pace=50] [--rounds=2]
  A speed change for everybody: until the last session on a living router has it, with no router dead, with --dead of
  them silent, and with --dead of them refusing by ICMP; --sessions on each router.
`;

const defaults = { routers: 200, sessions: 50, dead: 20, pace: 50, rounds: 2 };

async function main(): Promise<void> {
  const size = numbersGiven(defaults, usage);
  if (size === undefined) return;
  build();
  const server = await openBenchServer();
  const routers = responderRouters(size.routers, 'bench secret');
  await fillLiveIsp(server.app, {
    subscribers: size.routers * size.sessions,
    routers,
    pacePerSecond: size.pace,
  });
  await decideAll(server.app);
  await openSessions(server.app, routers);
  const responders = await startResponders({ routers, db: server.address });
  await responders.load();
  const worker = await startRoleProcess(server, 'worker');
  try {
    print(`${machineLine()}\n${JSON.stringify(size)}\n`);
    print(tableHead(['routers', 'sessions alive', 'the last one, ms', 'against none dead']));
    const dead = routers.slice(0, size.dead).map((router) => router.address);
    const isAlive = { all: size.routers * size.sessions, some: (size.routers - size.dead) * size.sessions };
    const bench = new Bench(server, responders);
    await bench.arm(dead, 'answer', isAlive.all);
    for (let round = 0; round < size.rounds; round++) {
      const none = await bench.arm(dead, 'answer', isAlive.all);
      show('none dead', isAlive.all, none, none);
      show(`${size.dead} silent`, isAlive.some, await bench.arm(dead, 'silent', isAlive.some), none);
      show(
        `${size.dead} refused by ICMP`,
        isAlive.some,
        await bench.arm(dead, 'refused', isAlive.some),
        none,
      );
    }
    print(machineLine());
  } finally {
    await worker.child.stop();
    await responders.stop();
    await server.close();
  }
}

function show(what: string, alive: number, ms: number, none: number): void {
  print(tableLine([what, String(alive), ms.toFixed(0), (ms / none).toFixed(2)]));
}

class Bench {
  readonly #server: BenchServer;
  readonly #responders: Responders;
  #speed = 100;

  constructor(server: BenchServer, responders: Responders) {
    this.#server = server;
    this.#responders = responders;
  }

  /** From the command's COMMIT to the ACK of the last session on a living router, with a lane that knows of no death. */
  async arm(dead: readonly string[], mode: ResponderMode, alive: number): Promise<number> {
    const { app } = this.#server;
    await this.#responders.setMode(dead, mode);
    await this.#responders.reset();
    const lane = await startRoleProcess(this.#server, 'lane');
    // The first heartbeat is older than what others know of it.
    await wait(2500);
    const rateLimit = `20M/${++this.#speed}M`;
    await setMasterPackage(app.context('bench'), { masterPackage: benchMasterPackage, rateLimit });
    const committedAt = performance.timeOrigin + performance.now();
    const isDone = async () => {
      const { obeyed } = await this.#responders.stats();
      say(`${obeyed} of ${alive}`);
      return obeyed >= alive;
    };
    await until('every living session', isDone, { timeoutMs: 300_000, stepMs: 250 });
    const { lastAt } = await this.#responders.stats();
    await lane.child.stop();
    await this.#forget(dead);
    return lastAt - committedAt;
  }

  /** As if the dead routers had never been: nothing waits for them, no breaker is open, no packet in doubt. */
  async #forget(dead: readonly string[]): Promise<void> {
    const { db } = this.#server.app;
    await this.#responders.setMode(dead, 'answer');
    await db('reconcile_queue').del();
    await db('router_lane').del();
    await db('session_access').update({ unanswered_at: null, unanswered_generation: null });
  }
}

await main();
