import MySql2Client from 'knex/lib/dialects/mysql2/index.js';

/** One MariaDB server; several of them are the nodes of one Galera cluster. */
export interface Node {
  readonly host: string;
  readonly port: number;
}

/** Nodes in `a,b:3307,[::1]:3306`, in their order; the port counts for those that name none. */
export function nodesOf(hosts: string, port: number): Node[] {
  return hosts.split(',').map((part) => {
    const [, bracketed, plain, own] = nodePattern.exec(part.trim()) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined) throw new RangeError(`${part.trim()} is no host and no host:port`);
    return { host, port: own === undefined ? port : Number(own) };
  });
}

/** A name, an IPv4 address, or an IPv6 address that has brackets where a port follows. */
const nodePattern =
  /^(?:\[([0-9a-fA-F:.]+)\]|([^\s,[\]:]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*))(?::(\d{1,5}))?$/;

/** A statement that has no answer for so long makes us ask whether its node is alive at all. */
const silentMs = 5000;
/** How long the node has to answer that. */
const probeMs = 3000;

/** What we need of mysql2's connection, and what knex and we note on it. */
interface Raw {
  query(sql: string, done: (error: QueryError | null, rows?: Record<string, string>[]) => void): void;
  query(options: unknown, values: unknown, done: (...args: unknown[]) => void): unknown;
  destroy(): void;
  stream: { destroy(error: Error): void };
  __knex__disposed?: unknown;
  sluiceNode?: string;
  sluiceWaitsSince?: number | undefined;
}

interface Probe extends Raw {
  on(event: 'error', listener: () => void): void;
}

type QueryError = Error & { errno?: number; code?: string };

export interface NodesConfig {
  readonly nodes: readonly Node[];
  /** Until a statement without an answer makes us doubt its node. */
  readonly silentMs?: number;
}

/**
 * knex's client for a list of Galera nodes. A pool stays with one node for as long as that one serves, and goes on to the
 * next of the list, as one, when it cannot be reached, has no majority behind it (1047), or falls silent. Reads wait for
 * what the cluster has committed before them, so that a process that was woken by a commit on another node, or has just
 * changed nodes, never decides from what was. Without Galera, or with a single host, it is knex's own client.
 */
export class NodesClient extends MySql2Client {
  readonly #living = new Set<Raw>();
  #at = 0;
  #watch: NodeJS.Timeout | undefined;

  override async acquireRawConnection(): Promise<Raw> {
    const { nodes } = nodesConfig(this.config);
    let last: unknown;
    const first = this.#at;
    for (let step = 0; step < nodes.length; step++) {
      const index = (first + step) % nodes.length;
      const node = nodes[index];
      if (node === undefined) break;
      try {
        const raw = await this.#connect(node);
        this.#at = index;
        this.#guard(raw, nameOf(node));
        return raw;
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  /** A connection to a node that the pool has left is not handed out again. */
  override async validateConnection(raw: Raw): Promise<boolean> {
    const node = nodesConfig(this.config).nodes[this.#at];
    const isCurrent = node === undefined || raw.sluiceNode === nameOf(node);
    return isCurrent && (await super.validateConnection(raw));
  }

  override async destroy(): Promise<void> {
    clearInterval(this.#watch);
    await super.destroy();
  }

  async #connect(node: Node): Promise<Raw> {
    // Not a copy of it: knex keeps the password in a property that a copy would leave out.
    Object.assign(this.connectionSettings, node);
    const raw = (await super.acquireRawConnection()) as Raw;
    try {
      await joinCluster(raw);
      return raw;
    } catch (error) {
      raw.destroy();
      throw error;
    }
  }

  /** Notes since when the connection waits for an answer, and gives it up where its node says that it is cut off. */
  #guard(raw: Raw, node: string): void {
    raw.sluiceNode = node;
    const query = raw.query.bind(raw) as (...args: unknown[]) => unknown;
    raw.query = (...args: unknown[]) => {
      const done = args.at(-1);
      if (typeof done !== 'function') return query(...args);
      raw.sluiceWaitsSince = performance.now();
      return query(...args.slice(0, -1), (error: QueryError | null, ...rest: unknown[]) => {
        raw.sluiceWaitsSince = undefined;
        if (error?.errno === notPrepared) raw.__knex__disposed = error;
        (done as (...values: unknown[]) => void)(error, ...rest);
      });
    };
    if (nodesConfig(this.config).nodes.length < 2) return;
    this.#living.add(raw);
    this.#watch ??= setInterval(() => this.#lookForSilence(), Math.min(this.#silentMs(), 1000)).unref();
  }

  #silentMs(): number {
    return nodesConfig(this.config).silentMs ?? silentMs;
  }

  /** A node that was stopped in its tracks keeps its connections open and never answers: only a question tells. */
  #lookForSilence(): void {
    const { nodes } = nodesConfig(this.config);
    const silent = new Map<string, Raw[]>();
    for (const raw of this.#living) {
      if (raw.__knex__disposed !== undefined) this.#living.delete(raw);
      const since = raw.sluiceWaitsSince;
      if (since === undefined || performance.now() - since < this.#silentMs()) continue;
      raw.sluiceWaitsSince = performance.now();
      const name = raw.sluiceNode ?? '';
      silent.set(name, [...(silent.get(name) ?? []), raw]);
    }
    for (const node of nodes) {
      const waiting = silent.get(nameOf(node));
      if (waiting === undefined) continue;
      this.#isAlive(node).then(
        (isAlive) => {
          if (isAlive) return;
          if (nodes[this.#at] === node) this.#at = (this.#at + 1) % nodes.length;
          for (const raw of waiting) hangUp(raw, node);
        },
        () => undefined,
      );
    }
  }

  async #isAlive(node: Node): Promise<boolean> {
    const settings = Object.create(this.connectionSettings) as object;
    const { createConnection } = this.driver as { createConnection: (settings: object) => Probe };
    const probe = createConnection(Object.assign(settings, node, { connectTimeout: probeMs }));
    const waitMs = Math.min(probeMs, this.#silentMs());
    probe.on('error', () => undefined);
    try {
      return await Promise.race([
        joinCluster(probe).then(() => true),
        new Promise<boolean>((resolve) => {
          setTimeout(() => resolve(false), waitMs).unref();
        }),
      ]);
    } catch {
      return false;
    } finally {
      probe.destroy();
    }
  }
}

/** ER_UNKNOWN_COM_ERROR: what a node without a majority answers to everything. */
const notPrepared = 1047;

/**
 * Refuses a node that is not part of its cluster, before anything is asked of it. On Galera, reads wait for what was
 * committed before them (wsrep_sync_wait), and a statement of its own that lost to another node's is repeated there.
 */
async function joinCluster(raw: Raw): Promise<void> {
  if ((await showOf(raw, "SHOW VARIABLES LIKE 'wsrep_on'")) !== 'ON') return;
  if ((await showOf(raw, "SHOW STATUS LIKE 'wsrep_ready'")) !== 'ON') {
    throw Object.assign(new Error('the node is not part of its cluster'), { errno: notPrepared });
  }
  await ask(raw, 'SET wsrep_sync_wait = 1, wsrep_retry_autocommit = 4');
}

async function showOf(raw: Raw, statement: string): Promise<string | undefined> {
  return (await ask(raw, statement))[0]?.['Value'];
}

function ask(raw: Raw, statement: string): Promise<Record<string, string>[]> {
  return new Promise((resolve, reject) => {
    raw.query(statement, (error, rows) => {
      if (error === null) resolve(rows ?? []);
      else reject(error);
    });
  });
}

/** Whoever waits for an answer learns that the connection is lost. */
function hangUp(raw: Raw, node: Node): void {
  const error = new Error(`Connection lost: ${nameOf(node)} does not answer`);
  raw.__knex__disposed = error;
  raw.stream.destroy(Object.assign(error, { code: 'PROTOCOL_CONNECTION_LOST' }));
}

function nameOf(node: Node): string {
  return `${node.host}:${node.port}`;
}

function nodesConfig(config: object): NodesConfig {
  return config as NodesConfig;
}
