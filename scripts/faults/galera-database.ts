import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GaleraCluster } from '../servers/galera.ts';
import { makeFolder, serverAccount } from '../servers/place.ts';
import type { Database, DatabaseNode } from './database.ts';

/** How often each node is asked whether it serves, as a proxy in front of it would. */
const checkMs = 500;

/** Three nodes of one Galera cluster under a story. */
export function galeraDatabase(folder: string): Database {
  const account = serverAccount('mysql');
  const home = makeFolder(join(folder, 'galera'), account);
  const kept = join(folder, 'galera-kept');
  const password = 'chaos';
  const cluster = new GaleraCluster(home, { password, extra: ['max_connections=400'] });
  const serving = new Set<number>();
  const cutOff = new Set<number>();
  let checking: NodeJS.Timeout | undefined;
  const check = () => {
    for (const n of cluster.numbers) {
      void cluster.status(n).then(({ isReady }) => (isReady ? serving.add(n) : serving.delete(n)));
    }
  };
  const mend = async () => {
    for (const n of cluster.numbers) {
      cluster.thaw(n);
      if (cutOff.delete(n)) await cluster.rejoin(n);
    }
    await cluster.start();
    for (const n of cluster.numbers) await cluster.untilReady(n, 120_000);
    for (const n of cluster.numbers) serving.add(n);
  };
  const root = () => cluster.handle(cluster.numbers.find((n) => serving.has(n)) ?? 1);
  return {
    nodes: cluster.numbers.map((n) => nodeOf(cluster, n, { serving, cutOff })),
    user: 'sluice',
    password,
    async start() {
      await mend();
      checking ??= setInterval(check, checkMs);
    },
    async stop() {
      clearInterval(checking);
      checking = undefined;
      if (cluster.numbers.every((n) => cluster.pid(n) === undefined)) return;
      await mend();
      await cluster.stop();
    },
    asRoot: (statement) => root().asRoot(statement),
    createDatabase: (name) => root().createDatabase(name),
    save: () => copyData(cluster.nodeFolder(1), kept),
    restore() {
      for (const n of cluster.numbers) copyData(kept, cluster.nodeFolder(n));
    },
    disk: undefined,
    remove() {
      rmSync(home, { recursive: true, force: true });
      rmSync(kept, { recursive: true, force: true });
    },
  };
}

function nodeOf(
  cluster: GaleraCluster,
  n: number,
  known: { serving: Set<number>; cutOff: Set<number> },
): DatabaseNode {
  return {
    name: `node ${n}`,
    get port() {
      return cluster.ports(n).sql;
    },
    isServing: () => known.serving.has(n),
    start: () => cluster.restart(n),
    kill: () => cluster.kill(n),
    freeze: () => cluster.freeze(n),
    thaw: () => cluster.thaw(n),
    async isolate() {
      known.cutOff.add(n);
      await cluster.isolate(n);
    },
    async rejoin() {
      known.cutOff.delete(n);
      await cluster.rejoin(n);
    },
  };
}

/** Every node begins a story with the same data at the same position; its cache of write sets is not wanted. */
function copyData(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of ['data', 'installed']) {
    rmSync(join(to, name), { recursive: true, force: true });
    // cp keeps the owner, which the server needs and cpSync does not do.
    execFileSync('cp', ['-a', join(from, name), join(to, name)]);
  }
  for (const name of ['galera.cache', 'gvwstate.dat']) rmSync(join(to, 'data', name), { force: true });
}
