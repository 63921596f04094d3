import { connect, isIP, type Socket } from 'node:net';
import type { RadiusClient } from '../../domain/radius-client-file.ts';

export type RadminAnswer =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: 'unreachable' | 'timeout' | 'refused' };

/** FreeRADIUS's control socket. One connection is kept: each new one writes two lines into the server's log. */
export interface Radmin {
  /** Sends one command line and gives what the server prints. Commands are answered in turn. */
  ask(command: string): Promise<RadminAnswer>;
  /** Rises with every connection: another number means that the server may have started anew. */
  connections(): number;
  close(): void;
}

// The protocol of radmin 3.x, read off its wire: a header of channel and length, both 32 bits big-endian, then the body.
const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, init: 4 } as const;
const hello = Buffer.from('f7eead1600000000', 'hex');
const succeeded = 1;

interface Pending {
  resolve: (answer: RadminAnswer) => void;
  timer: NodeJS.Timeout;
  out: Buffer[];
}

/** Nothing is connected until the first command; after a failure the next command connects again. */
export function createRadmin(socketPath: string, options: { timeoutMs?: number } = {}): Radmin {
  return new RadminConnection(socketPath, options.timeoutMs ?? 3000);
}

class RadminConnection implements Radmin {
  private readonly path: string;
  private readonly timeoutMs: number;
  private socket: Socket | undefined;
  private buffer = Buffer.alloc(0);
  private pending: Pending | undefined;
  private queue: Promise<unknown> = Promise.resolve();
  private count = 0;

  constructor(path: string, timeoutMs: number) {
    this.path = path;
    this.timeoutMs = timeoutMs;
  }

  ask(command: string): Promise<RadminAnswer> {
    const answer = this.queue.then(() => this.send(command));
    this.queue = answer;
    return answer;
  }

  connections(): number {
    return this.count;
  }

  close(): void {
    this.drop('unreachable');
  }

  private send(command: string): Promise<RadminAnswer> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.drop('timeout'), this.timeoutMs);
      this.pending = { resolve, timer, out: [] };
      this.socket ??= this.open();
      this.socket.write(frame(channel.stdin, Buffer.from(command, 'latin1')));
    });
  }

  private open(): Socket {
    const socket = connect(this.path);
    this.buffer = Buffer.alloc(0);
    // The server answers commands only after the greeting, and keeps what comes right behind it.
    socket.write(frame(channel.init, hello));
    socket.on('data', (bytes) => {
      if (this.socket === socket) this.receive(bytes);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.socket === socket) this.drop('unreachable');
    });
    socket.unref();
    return socket;
  }

  private receive(bytes: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, bytes]);
    while (this.buffer.length >= 8) {
      const kind = this.buffer.readUInt32BE(0);
      const end = 8 + this.buffer.readUInt32BE(4);
      if (this.buffer.length < end) return;
      const body = this.buffer.subarray(8, end);
      this.buffer = this.buffer.subarray(end);
      if (kind === channel.init) this.count++;
      else if (kind === channel.stdout) this.pending?.out.push(body);
      else if (kind === channel.status) this.answer(body);
    }
  }

  private answer(status: Buffer): void {
    const pending = this.pending;
    if (pending === undefined) return;
    this.pending = undefined;
    clearTimeout(pending.timer);
    // The status is a C int of the server's own byte order; one of its two ends is 1 for success.
    const isDone = status.length === 4 && (status[0] === succeeded || status[3] === succeeded);
    const text = Buffer.concat(pending.out).toString('latin1');
    pending.resolve(isDone ? { ok: true, text } : { ok: false, reason: 'refused' });
  }

  private drop(reason: 'unreachable' | 'timeout'): void {
    const { socket, pending } = this;
    this.socket = undefined;
    this.pending = undefined;
    socket?.destroy();
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    pending.resolve({ ok: false, reason });
  }
}

function frame(kind: number, body: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(kind, 0);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

export type LoadedClient =
  | { readonly ok: true; readonly client: RadiusClient | undefined }
  | { readonly ok: false; readonly reason: 'unreachable' | 'timeout' | 'refused' };

/**
 * What FreeRADIUS holds in memory for an address, secret included; undefined when only the network around it answers.
 * It is what the server uses now, not what the file says: a changed file shows here from the router's next packet on.
 */
export async function askLoadedClient(radmin: Radmin, address: string): Promise<LoadedClient> {
  // A name would be looked up in DNS, in the server's only network thread.
  if (isIP(address) === 0) return { ok: false, reason: 'refused' };
  const answer = await radmin.ask(`show client config ${address}`);
  if (!answer.ok) return answer;
  return { ok: true, client: parseClientConfig(answer.text, address) };
}

/** The printed section: one `name = value` a line, values as they are, without quotes. */
export function parseClientConfig(text: string, address: string): RadiusClient | undefined {
  const value = (name: string) => new RegExp(`^\\t${name} = (.*)$`, 'm').exec(text)?.[1];
  if ((value('ipaddr') ?? value('ipv6addr')) !== address) return undefined;
  return {
    address,
    secret: value('secret') ?? '',
    shortname: value('shortname') ?? '',
    requireMessageAuthenticator: value('require_message_authenticator') === 'yes',
  };
}

export interface ClientCounters {
  /**
   * Requests that were answered, and so had a right authenticator where one is checked. Counted when the server lets go
   * of the request: some seconds after a login. `requests` would be at once, but wrong ones leave it as late (measured).
   */
  readonly answered: number;
  /** Seconds since 1970, of the server; 0 when there was none. */
  readonly lastPacketAt: number;
}

/** The server counts from the moment it read the client's file: with a new secret it begins at nought. */
export async function askClientCounters(
  radmin: Radmin,
  kind: 'auth' | 'acct',
  address: string,
): Promise<ClientCounters | undefined> {
  if (isIP(address) === 0) return undefined;
  const answer = await radmin.ask(`stats client ${kind} ${address}`);
  return answer.ok ? parseClientCounters(answer.text) : undefined;
}

export function parseClientCounters(text: string): ClientCounters {
  const count = (name: string) => Number(new RegExp(`^${name}\\t+(\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return { answered: count('responses'), lastPacketAt: count('last_packet') };
}
