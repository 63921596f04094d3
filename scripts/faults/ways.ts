import { hasHaproxy, type PrivateProxy, startHaproxy } from '../servers/haproxy.ts';
import type { Database, DatabaseNode } from './database.ts';
import { Wire } from './wire.ts';

/** How often our own proxy's connections to nodes that serve no longer are broken. */
const proxyMs = 500;

/**
 * The ways of a story's processes to the database. Sluice is told the nodes of a cluster as a list, each process in
 * another order, so that what several of them do at once happens on several nodes; FreeRADIUS goes through HAProxy as
 * freeradius/haproxy.cfg sets it up, or, where that is not installed, through a proxy of our own that does what its check
 * does. Over a single database both lead to it.
 */
export class Ways {
  readonly #database: Database;
  readonly #wires: Wire[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #proxies: PrivateProxy[] = [];

  constructor(database: Database) {
    this.#database = database;
  }

  async own(): Promise<[Wire, NodeJS.ProcessEnv]> {
    const nodes = rotated(this.#database.nodes, this.#wires.length);
    const wire = this.#newWire(() => portsOf(nodes));
    if (nodes.length === 1) return [wire, { SLUICE_DB_PORT: String(await wire.listen()) }];
    const ports = await Promise.all(nodes.map((node) => wire.listen(() => node.port)));
    return [wire, { SLUICE_DB_HOST: ports.map((port) => `127.0.0.1:${port}`).join(',') }];
  }

  /** The port of the way on which nodes that do not serve are left. */
  async proxied(folder: string): Promise<number> {
    const { nodes } = this.#database;
    const [one, two, three] = nodes;
    if (hasHaproxy() && one !== undefined && two !== undefined && three !== undefined) {
      const proxy = await startHaproxy(folder, [one.port, two.port, three.port]);
      this.#proxies.push(proxy);
      return proxy.port;
    }
    const serving = () => portsOf(nodes.filter((node) => node.isServing?.() !== false));
    const wire = this.#newWire(serving);
    if (nodes.length > 1) this.#timers.push(setInterval(() => wire.keepTo(serving()), proxyMs));
    return wire.listen();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([
      ...this.#wires.map((wire) => wire.close()),
      ...this.#proxies.map((one) => one.stop()),
    ]);
  }

  #newWire(ports: () => readonly number[]): Wire {
    const wire = new Wire(ports);
    this.#wires.push(wire);
    return wire;
  }
}

function portsOf(nodes: readonly DatabaseNode[]): number[] {
  return nodes.map((node) => node.port);
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
