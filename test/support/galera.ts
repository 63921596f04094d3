import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { GaleraCluster } from '../../scripts/servers/galera.ts';
import { dataRoot, projectRoot } from '../../scripts/servers/place.ts';
import { type DbAddress, openDb } from '../../src/db/knex.ts';
import { migrate } from '../../src/db/migrate.ts';

/** A real cluster of three nodes, with a migrated database and a pool on each node. */
export interface GaleraFixture {
  cluster: GaleraCluster;
  /** A pool that knows one node only: 1, 2 or 3. */
  on(node: number): Knex;
  /** The nodes as a list, that one first. */
  address(first: number): DbAddress;
  /**
   * Commits something on a node that keeps the appliers of the others busy for a moment: what is committed after it is
   * ordered in the cluster, and not there to be read on other nodes yet.
   */
  delayOthers(from: number): Promise<void>;
  stop(): Promise<void>;
}

const database = 'sluice_nodes';
const password = 'test-only';
const ballast = 150_000;

export async function galeraFixture(): Promise<GaleraFixture> {
  const folder = join(dataRoot(), `test-galera-${process.pid}`);
  const cluster = new GaleraCluster(folder, { password, suspectSeconds: 2 });
  const abandon = () => {
    for (const n of cluster.numbers) {
      const pid = cluster.pid(n);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    }
  };
  process.once('exit', abandon);
  await cluster.start();
  for (const name of [database, 'sluice_ballast']) await cluster.handle(1).createDatabase(name);
  const addressOf = (hosts: string): DbAddress => ({
    host: hosts,
    port: 1,
    user: 'sluice',
    password,
    database,
  });
  const hostOf = (n: number) => `127.0.0.1:${cluster.ports(n).sql}`;
  const pools = cluster.numbers.map((n) => openDb(addressOf(hostOf(n))));
  const on = (n: number) => {
    const pool = pools[n - 1];
    if (pool === undefined) throw new RangeError(`there is no node ${n}`);
    return pool;
  };
  // Two of them at once, as two hosts that are upgraded together.
  const now = new Date('2026-01-01T00:00:00Z');
  await Promise.all([1, 2].map((n) => migrate(on(n), join(projectRoot, 'sql'), now)));
  await on(1).raw('CREATE TABLE sluice_ballast.ballast (id INT NOT NULL PRIMARY KEY, n INT NOT NULL)');
  await on(1).raw(`INSERT INTO sluice_ballast.ballast SELECT seq, 0 FROM seq_1_to_${ballast}`);
  return {
    cluster,
    on,
    address: (first) =>
      addressOf(
        [...cluster.numbers.slice(first - 1), ...cluster.numbers.slice(0, first - 1)].map(hostOf).join(','),
      ),
    async delayOthers(from) {
      await on(from).raw('UPDATE sluice_ballast.ballast SET n = n + 1');
    },
    async stop() {
      await Promise.all(pools.map((pool) => pool.destroy()));
      await cluster.stop();
      process.removeListener('exit', abandon);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
