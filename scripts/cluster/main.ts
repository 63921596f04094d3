import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GaleraCluster } from '../servers/galera.ts';
import { dataRoot, makeFolder } from '../servers/place.ts';

const usage = `usage: scripts/galera VERB
  start        three MariaDB nodes of one Galera cluster on this machine; again, it starts what is down
  stop         ends them; their data stays
  status       what each node says of itself
  kill N       SIGKILL to node N
  restart N    starts node N (stops it first where it runs) and waits until it is in step
  freeze N     stops the process of node N in its tracks;  thaw N lets it go on
  isolate N    cuts node N off from the other two;         rejoin N mends that
  reset        stop, and forget the data
`;

/** Drills on a cluster by hand. */
async function main(verb: string | undefined, given: string | undefined): Promise<void> {
  const folder = join(dataRoot(), 'galera');
  const cluster = new GaleraCluster(folder, { password: passwordOf(folder), isDetached: true });
  const n = Number(given);
  const withNode: Record<string, () => Promise<void> | void> = {
    kill: () => cluster.kill(n),
    restart: () => cluster.restart(n),
    freeze: () => cluster.freeze(n),
    thaw: () => cluster.thaw(n),
    isolate: () => cluster.isolate(n),
    rejoin: () => cluster.rejoin(n),
  };
  const act = withNode[verb ?? ''];
  if (act !== undefined && cluster.numbers.includes(n)) {
    await act();
    await show(cluster);
  } else if (verb === 'start') {
    await cluster.start(say);
    await cluster.handle(1).createDatabase('sluice');
    await show(cluster);
    say('');
    for (const line of environment(cluster, folder)) say(line);
  } else if (verb === 'status') {
    await show(cluster);
  } else if (verb === 'stop' || verb === 'reset') {
    await cluster.stop();
    if (verb === 'reset') rmSync(folder, { recursive: true, force: true });
    say(verb === 'reset' ? 'Stopped, and its data is gone' : `Stopped; its data stays in ${folder}`);
  } else {
    process.stderr.write(usage);
    process.exitCode = 2;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function show(cluster: GaleraCluster): Promise<void> {
  say('node  SQL               group  sst    ist    pid      state');
  for (const n of cluster.numbers) {
    const { ports, pid, state, clusterSize } = await cluster.status(n);
    const columns = [
      String(n).padEnd(4),
      `127.0.0.1:${ports.sql}`.padEnd(16),
      String(ports.group).padEnd(5),
      String(ports.sst).padEnd(5),
      String(ports.ist).padEnd(5),
      String(pid ?? '-').padEnd(7),
      clusterSize === 0 ? state : `${state}, sees ${clusterSize}`,
    ];
    say(columns.join('  '));
  }
}

function environment(cluster: GaleraCluster, folder: string): string[] {
  const hosts = cluster.numbers.map((n) => `127.0.0.1:${cluster.ports(n).sql}`).join(',');
  return [
    `SLUICE_DB_HOST=${hosts}`,
    'SLUICE_DB_USER=sluice',
    'SLUICE_DB_NAME=sluice',
    `# SLUICE_DB_PASSWORD is in ${passwordFile(folder)}`,
  ];
}

function passwordFile(folder: string): string {
  return join(folder, 'password');
}

/** Made at the first start; only this account may read it. */
function passwordOf(folder: string): string {
  const path = passwordFile(folder);
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  const password = randomBytes(16).toString('hex');
  makeFolder(folder, undefined);
  writeFileSync(path, `${password}\n`, { mode: 0o600 });
  return password;
}

try {
  await main(process.argv[2], process.argv[3]);
} catch (error) {
  process.stderr.write(`galera: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
