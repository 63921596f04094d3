import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What happens at a COMMIT on a wire. `before`: the database never gets it. `after`: it is carried out, and its answer
 * is lost. Either the process dies with it, or only that connection is cut.
 */
export interface CommitFault {
  readonly moment: 'before' | 'after';
  /** How many COMMITs pass first. */
  readonly skips: number;
  /** Kills the process at the moment; undefined cuts the connection alone. */
  readonly kill?: () => void;
}

/** A process's own way to the database. Counts COMMITs, and can strike at one; follows a cluster to a living node. */
export class Wire {
  readonly #ports: () => readonly number[];
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #isUpstream = new WeakSet<Socket>();
  #fault: { fault: CommitFault; left: number } | undefined;
  #struck = 0;
  commits = 0;

  /** `ports`: the nodes in the order in which they are tried. */
  constructor(ports: () => readonly number[]) {
    this.#ports = ports;
  }

  /** Gives the port on loopback that the process is told. With `to`, it leads to that node alone. */
  listen(to?: () => number): Promise<number> {
    const ports = to === undefined ? this.#ports : () => [to()];
    const server = createServer({ noDelay: true }, (client) => {
      this.#sockets.add(client);
      client.on('error', () => undefined);
      client.on('close', () => this.#sockets.delete(client));
      client.pause();
      this.#reach([...ports()], (reached) => {
        if (reached === undefined) client.destroy();
        else if (client.destroyed) reached.destroy();
        else this.#join(client, reached);
      });
    });
    this.#servers.push(server);
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const at = server.address();
        resolve(typeof at === 'object' && at !== null ? at.port : 0);
      });
    });
  }

  /** Breaks connections to nodes other than these, as a proxy does when it marks one down. */
  keepTo(ports: readonly number[]): void {
    for (const socket of this.#sockets) {
      const port = socket.remotePort;
      if (this.#isUpstream.has(socket) && port !== undefined && !ports.includes(port)) socket.destroy();
    }
  }

  /** Strikes at the next COMMIT but `skips`. One at a time: a newer takes the place of an older that did not strike. */
  arm(fault: CommitFault): void {
    this.#fault = { fault, left: fault.skips };
  }

  disarm(): void {
    this.#fault = undefined;
  }

  /** How many faults have struck. */
  get struck(): number {
    return this.#struck;
  }

  /** All connections break, as when a cable is pulled; new ones work. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)));
    await Promise.all(closed);
  }

  #reach(ports: number[], reached: (server: Socket | undefined) => void): void {
    const port = ports.shift();
    if (port === undefined) {
      reached(undefined);
      return;
    }
    const server = connect({ port, host: '127.0.0.1', noDelay: true });
    const failed = () => this.#reach(ports, reached);
    server.once('error', failed);
    server.once('connect', () => {
      server.off('error', failed);
      reached(server);
    });
  }

  #join(client: Socket, server: Socket): void {
    this.#sockets.add(server);
    this.#isUpstream.add(server);
    server.on('error', () => undefined);
    server.on('close', () => {
      this.#sockets.delete(server);
      client.destroy();
    });
    client.on('close', () => server.destroy());
    let strikesWithAnswer: CommitFault | undefined;
    const commitsIn = commitReader();
    client.on('data', (bytes: Buffer) => {
      const count = commitsIn(bytes);
      const fault = count > 0 ? this.#strikesNow(count) : undefined;
      if (fault?.moment === 'before') {
        this.#strike(fault, client, server);
        return;
      }
      strikesWithAnswer = fault ?? strikesWithAnswer;
      if (!server.write(bytes)) {
        client.pause();
        server.once('drain', () => client.resume());
      }
    });
    server.on('data', (bytes: Buffer) => {
      if (strikesWithAnswer !== undefined) {
        this.#strike(strikesWithAnswer, client, server);
        return;
      }
      if (!client.write(bytes)) {
        server.pause();
        client.once('drain', () => server.resume());
      }
    });
    client.resume();
  }

  #strikesNow(count: number): CommitFault | undefined {
    this.commits += count;
    if (this.#fault === undefined) return undefined;
    this.#fault.left -= count;
    if (this.#fault.left >= 0) return undefined;
    const { fault } = this.#fault;
    this.#fault = undefined;
    return fault;
  }

  #strike(fault: CommitFault, client: Socket, server: Socket): void {
    this.#struck++;
    // First the process: it must not see its connection break and write that down somewhere else.
    fault.kill?.();
    client.destroy();
    server.destroy();
  }
}

const comQuery = 3;
const commit = Buffer.from('COMMIT');

/** Counts the COMMITs among the commands that go by: a packet is a three-byte length, a number, and the command. */
function commitReader(): (bytes: Buffer) => number {
  let left = 0;
  let cutHeader = Buffer.alloc(0);
  return (received) => {
    const bytes = cutHeader.length === 0 ? received : Buffer.concat([cutHeader, received]);
    cutHeader = Buffer.alloc(0);
    let at = 0;
    let count = 0;
    while (at < bytes.length) {
      if (left > 0) {
        const skipped = Math.min(left, bytes.length - at);
        left -= skipped;
        at += skipped;
        continue;
      }
      if (at + 4 > bytes.length) {
        cutHeader = Buffer.from(bytes.subarray(at));
        break;
      }
      const length = bytes.readUIntLE(at, 3);
      const isCommand = bytes[at + 3] === 0 && bytes[at + 4] === comQuery;
      if (isCommand && bytes.subarray(at + 5, at + 11).equals(commit)) count++;
      left = length;
      at += 4;
    }
    return count;
  };
}
