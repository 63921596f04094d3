import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort, isPortFree, until } from './child.ts';
import { type Position, recoveredPosition, setSafeToBootstrap } from './galera-position.ts';
import { askAsRoot, handleOf, mariaDbMark, type MariaDbHandle, startMariaDb } from './mariadb.ts';
import { findProgram, makeFolder, serverAccount } from './place.ts';

export interface GaleraOptions {
  readonly password: string;
  /** Nodes live on after this process. */
  readonly isDetached?: boolean;
  /** More lines of every node's configuration. */
  readonly extra?: readonly string[];
  /** Seconds until a node that fell silent is suspected and shut out; Galera's own default is 5. */
  readonly suspectSeconds?: number;
}

export interface NodePorts {
  readonly sql: number;
  /** Group communication; the port for whole state transfers; the port for incremental ones. */
  readonly group: number;
  readonly sst: number;
  readonly ist: number;
}

export interface NodeStatus {
  readonly n: number;
  readonly ports: NodePorts;
  readonly pid: number | undefined;
  /** Galera's word for it (Synced, Donor/Desynced, Joined …), or down, or silent for one that runs and does not answer. */
  readonly state: string;
  readonly isReady: boolean;
  readonly clusterSize: number;
}

/** What a machine needs for it, as packages of Debian. mariadb-server depends on the other two there. */
export const galeraPackages = ['mariadb-server', 'galera-4', 'rsync'] as const;

const providers = ['/usr/lib/galera/libgalera_smm.so', '/usr/lib/libgalera_smm.so'];

/** The packages that are missing on this machine. */
export function missingForGalera(): string[] {
  const has: Record<(typeof galeraPackages)[number], boolean> = {
    'mariadb-server': findProgram('mariadbd') !== undefined && findProgram('wsrep_sst_rsync') !== undefined,
    'galera-4': providers.some((path) => existsSync(path)),
    rsync: findProgram('rsync') !== undefined,
  };
  return galeraPackages.filter((name) => !has[name]);
}

/**
 * Three MariaDB nodes of one Galera cluster below `folder`, on loopback, each with data and ports of its own. Everything
 * about it is found again from the folder, so that another process can look at it, kill a node and bring it back.
 */
export class GaleraCluster {
  readonly folder: string;
  readonly #options: GaleraOptions;
  #ports: readonly NodePorts[] = [];

  constructor(folder: string, options: GaleraOptions) {
    this.folder = resolve(folder);
    this.#options = options;
    this.#ports = readPorts(folder);
  }

  get numbers(): readonly number[] {
    return [1, 2, 3];
  }

  ports(n: number): NodePorts {
    const ports = this.#ports[n - 1];
    if (ports === undefined) throw new Error(`node ${n} has never been started`);
    return ports;
  }

  handle(n: number): MariaDbHandle {
    return handleOf(this.nodeFolder(n), this.ports(n).sql, this.#options.password);
  }

  nodeFolder(n: number): string {
    return join(this.folder, `node${n}`);
  }

  /** Starts what does not run; all of them down, the one that knows most founds the cluster and the others follow it. */
  async start(say: (line: string) => void = () => undefined): Promise<void> {
    const missing = missingForGalera();
    if (missing.length > 0) {
      throw new Error(
        `these packages are missing: apt-get install --no-install-recommends ${missing.join(' ')}`,
      );
    }
    makeFolder(this.folder, serverAccount('mysql'));
    const down = this.numbers.filter((n) => this.pid(n) === undefined);
    if (down.length === this.numbers.length) {
      await this.#choosePorts();
      const founder = await this.#founder();
      say(`Node ${founder} founds the cluster`);
      await this.#run(founder, { isFounder: true });
      down.splice(down.indexOf(founder), 1);
    }
    for (const n of down) {
      say(`Node ${n} joins`);
      await this.#run(n, { isFounder: false });
    }
  }

  /** Ends all of them; the last to go is the one that can found the cluster again. Frozen ones are thawed first. */
  async stop(): Promise<void> {
    for (const n of [...this.numbers].reverse()) await this.#end(n);
  }

  /** As power that fails: SIGKILL, also to a state transfer that it was at. */
  async kill(n: number): Promise<void> {
    for (const pid of this.#pids(n)) signal(pid, 'SIGKILL');
    await this.#gone(n);
  }

  /** Starts a node that is down; it gets what it missed from the others. Resolves when it is in step with them. */
  async restart(n: number): Promise<void> {
    if (this.pid(n) !== undefined) await this.#end(n);
    await this.start();
    await this.untilReady(n);
  }

  /** The process stops in the middle of whatever it does; to the others it looks dead, to its clients very slow. */
  freeze(n: number): void {
    signal(this.#pidOf(n), 'SIGSTOP');
  }

  thaw(n: number): void {
    const pid = this.pid(n);
    if (pid !== undefined) signal(pid, 'SIGCONT');
  }

  /** Cuts a node off from the others: both sides see a network that split, and one node is no majority. */
  async isolate(n: number): Promise<void> {
    await askAsRoot(this.nodeFolder(n), "SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'");
  }

  async rejoin(n: number): Promise<void> {
    await askAsRoot(this.nodeFolder(n), "SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'");
  }

  async untilReady(n: number, timeoutMs = 60_000): Promise<void> {
    const isReady = async () => (await this.status(n)).isReady;
    await until(`node ${n} in step with its cluster`, isReady, { timeoutMs, stepMs: 100 });
  }

  pid(n: number): number | undefined {
    return this.#pids(n).find((pid) => commandLine(pid)?.includes(mariaDbMark(this.nodeFolder(n))) === true);
  }

  async status(n: number): Promise<NodeStatus> {
    const pid = this.pid(n);
    const base = { n, ports: this.ports(n), pid, isReady: false, clusterSize: 0 };
    if (pid === undefined) return { ...base, state: 'down' };
    try {
      const rows = await withinMs(
        1000,
        askAsRoot<{ Variable_name: string; Value: string }>(
          this.nodeFolder(n),
          "SHOW STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_local_state_comment', 'wsrep_cluster_size', 'wsrep_cluster_status')",
        ),
      );
      const value = new Map(rows.map((row) => [row.Variable_name, row.Value]));
      const isPrimary = value.get('wsrep_cluster_status') === 'Primary';
      const state = value.get('wsrep_local_state_comment') ?? 'unknown';
      return {
        ...base,
        state: isPrimary ? state : `${state}, no majority`,
        isReady: value.get('wsrep_ready') === 'ON' && isPrimary && state === 'Synced',
        clusterSize: Number(value.get('wsrep_cluster_size') ?? 0),
      };
    } catch {
      return { ...base, state: 'silent' };
    }
  }

  async #run(n: number, as: { isFounder: boolean }): Promise<void> {
    // With a position it gets the write sets that it missed; without one, a copy of everything.
    const position = as.isFounder ? undefined : await this.#position(n);
    const start =
      position === undefined || position.seqno < 0 ? [] : [`wsrep_start_position=${position.text}`];
    const { password, isDetached, extra = [] } = this.#options;
    await startMariaDb(this.nodeFolder(n), {
      port: this.ports(n).sql,
      password,
      extra: [...this.#configOf(n, as.isFounder), ...start, ...extra],
      isJoining: !as.isFounder,
      ...(isDetached === undefined ? {} : { isDetached }),
    });
    await this.untilReady(n);
  }

  #configOf(n: number, isFounder: boolean): string[] {
    const { group, ist, sst } = this.ports(n);
    const members = this.#ports.map((ports) => `127.0.0.1:${ports.group}`).join(',');
    const suspect = this.#options.suspectSeconds ?? 5;
    return [
      'innodb_buffer_pool_size=128M',
      'innodb_log_file_size=64M',
      'innodb_flush_log_at_trx_commit=2',
      'binlog_format=ROW',
      'innodb_autoinc_lock_mode=2',
      'wsrep_on=ON',
      `wsrep_provider=${providers.find((path) => existsSync(path)) ?? ''}`,
      'wsrep_cluster_name=sluice',
      `wsrep_cluster_address=gcomm://${isFounder ? '' : members}`,
      'wsrep_node_address=127.0.0.1',
      `wsrep_node_name=node${n}`,
      'wsrep_sst_method=rsync',
      `wsrep_sst_receive_address=127.0.0.1:${sst}`,
      'wsrep_slave_threads=2',
      `wsrep_provider_options="${[
        `gmcast.listen_addr=tcp://127.0.0.1:${group}`,
        `ist.recv_addr=127.0.0.1:${ist}`,
        'gcache.size=128M',
        // Galera wants three signs of life at least in the time after which a node is suspected.
        `evs.keepalive_period=PT${Math.min(1, suspect / 5)}S`,
        `evs.suspect_timeout=PT${suspect}S`,
        `evs.inactive_timeout=PT${suspect * 3}S`,
      ].join(';')}"`,
    ];
  }

  /** The ports of last time, unless somebody else has one of them by now. */
  async #choosePorts(): Promise<void> {
    const known = this.#ports.flatMap((ports) => Object.values(ports) as number[]);
    const areFree = await Promise.all(known.map((port) => isPortFree(port)));
    if (known.length > 0 && areFree.every(Boolean)) return;
    const taken = new Set<number>();
    while (taken.size < this.numbers.length * 4) taken.add(await freePort());
    const free = [...taken];
    this.#ports = this.numbers.map((n) => {
      const [sql = 0, group = 0, sst = 0, ist = 0] = free.slice((n - 1) * 4, n * 4);
      return { sql, group, sst, ist };
    });
    writeFileSync(portsFile(this.folder), `${JSON.stringify(this.#ports, null, 2)}\n`);
  }

  /** The node with the newest data: founded by another one, the cluster would forget what only this one has. */
  async #founder(): Promise<number> {
    const found: { n: number; seqno: number }[] = [];
    for (const n of this.numbers) {
      const position = await this.#position(n);
      if (position !== undefined) found.push({ n, seqno: position.seqno });
    }
    const newest = found.sort((a, b) => b.seqno - a.seqno || a.n - b.n)[0];
    if (newest === undefined) return 1;
    setSafeToBootstrap(this.nodeFolder(newest.n));
    return newest.n;
  }

  #position(n: number): Promise<Position | undefined> {
    return recoveredPosition(this.nodeFolder(n), mariaDbMark(this.nodeFolder(n)));
  }

  async #end(n: number): Promise<void> {
    const pid = this.pid(n);
    if (pid === undefined) return;
    signal(pid, 'SIGTERM');
    signal(pid, 'SIGCONT');
    await Promise.race([this.#gone(n), wait(20_000)]);
    await this.kill(n);
  }

  async #gone(n: number): Promise<void> {
    await until(`the end of node ${n}`, () => this.#pids(n).length === 0, { timeoutMs: 30_000 });
  }

  #pidOf(n: number): number {
    const pid = this.pid(n);
    if (pid === undefined) throw new Error(`node ${n} does not run`);
    return pid;
  }

  /** The server of this node and what it has started for a state transfer. */
  #pids(n: number): number[] {
    const folder = this.nodeFolder(n);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== process.pid && commandLine(pid)?.some((arg) => arg.includes(folder)) === true);
  }
}

/** Stops the cluster of `folder` and forgets it. */
export async function removeGalera(folder: string): Promise<void> {
  await new GaleraCluster(folder, { password: '' }).stop();
  rmSync(folder, { recursive: true, force: true });
}

function portsFile(folder: string): string {
  return join(folder, 'ports.json');
}

function readPorts(folder: string): readonly NodePorts[] {
  try {
    return JSON.parse(readFileSync(portsFile(folder), 'utf8')) as NodePorts[];
  } catch {
    return [];
  }
}

/** Undefined for a process that is gone, also one that nobody has waited for. */
function commandLine(pid: number): string[] | undefined {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return args[0] === '' ? undefined : args;
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone in between.
  }
}

async function withinMs<T>(ms: number, answer: Promise<T>): Promise<T> {
  answer.catch(() => undefined);
  const timeout = wait(ms, undefined, { ref: false }).then(() => {
    throw new Error(`no answer in ${ms} ms`);
  });
  return Promise.race([answer, timeout]);
}
