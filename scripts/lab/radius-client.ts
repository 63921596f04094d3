import { createSocket, type Socket } from 'node:dgram';
import { type Attributes, decodePacket, type Packet, verifyReply } from './codec.ts';
import { packetCode } from './dictionary.ts';
import type { PacketLog } from './packet-log.ts';
import type { Endpoint } from './settings.ts';

export interface Exchange {
  readonly server: Endpoint;
  readonly secret: string;
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly requiresMessageAuthenticator: boolean;
  readonly code: number;
  readonly attributes: Attributes;
  /** The sealed packet with this identifier. */
  make(identifier: number): Buffer;
}

export type ExchangeOutcome =
  | { readonly ok: true; readonly reply: Packet; readonly attempts: number }
  /** `bad_reply`: something answered, but nothing that the secret proves. `closed`: the router went down meanwhile. */
  | { readonly ok: false; readonly why: 'timeout' | 'bad_reply' | 'closed' };

interface Pending {
  readonly exchange: Exchange;
  readonly identifier: number;
  readonly bytes: Buffer;
  readonly port: Port;
  readonly finish: (outcome: ExchangeOutcome) => void;
  attempts: number;
  badReplies: number;
  timer: NodeJS.Timeout | undefined;
}

interface Port {
  readonly socket: Socket;
  readonly pending: (Pending | undefined)[];
  next: number;
  busy: number;
}

export interface ClientCounters {
  requests: number;
  retransmits: number;
  timeouts: number;
  badReplies: number;
}

const idsPerPort = 256;
// Half of the identifiers of a port rest, so that a late reply does not meet a new request.
const busyMax = 128;
const portsMax = 8;

/** The router's side of authentication and accounting: requests from its own address, repeated with the same bytes. */
export class RadiusClient {
  readonly counters: ClientCounters = { requests: 0, retransmits: 0, timeouts: 0, badReplies: 0 };
  private readonly address: string;
  private readonly log: PacketLog;
  private readonly isDeaf: () => boolean;
  private readonly ports: Port[] = [];
  private readonly waiting: ((port: Port | undefined) => void)[] = [];
  private opening = 0;
  private isClosed = false;

  constructor(address: string, log: PacketLog, isDeaf: () => boolean) {
    this.address = address;
    this.log = log;
    this.isDeaf = isDeaf;
  }

  /** Sends until an answer that the secret proves, or until the attempts are used up. */
  async exchange(exchange: Exchange): Promise<ExchangeOutcome> {
    const port = await this.freePort();
    if (port === undefined) return { ok: false, why: 'closed' };
    const identifier = takeIdentifier(port);
    const bytes = exchange.make(identifier);
    this.counters.requests++;
    const outcome = await new Promise<ExchangeOutcome>((finish) => {
      const pending: Pending = {
        exchange,
        identifier,
        bytes,
        port,
        finish,
        attempts: 0,
        badReplies: 0,
        timer: undefined,
      };
      port.pending[identifier] = pending;
      this.transmit(pending);
    });
    port.pending[identifier] = undefined;
    this.release(port);
    return outcome;
  }

  /** Forgets everything in flight, as a router does that loses power. */
  drop(): void {
    for (const port of this.ports) {
      for (const pending of port.pending) {
        if (pending === undefined) continue;
        clearTimeout(pending.timer);
        pending.finish({ ok: false, why: 'closed' });
      }
    }
    for (const resolve of this.waiting.splice(0)) resolve(undefined);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.drop();
    // Those who wait for an identifier have heard; the sockets follow when their exchanges have let go.
    await Promise.all(
      this.ports.splice(0).map((port) => new Promise<void>((resolve) => port.socket.close(() => resolve()))),
    );
  }

  private isOpen(): boolean {
    return !this.isClosed;
  }

  private async freePort(): Promise<Port | undefined> {
    if (!this.isOpen()) return undefined;
    const free = this.ports.find((port) => port.busy < busyMax);
    if (free !== undefined) {
      free.busy++;
      return free;
    }
    if (this.ports.length + this.opening < portsMax) {
      this.opening++;
      // Without a socket (too many files, the address gone) the router has no network, which is a closed exchange.
      const port = await this.openPort().catch(() => undefined);
      this.opening--;
      if (port === undefined) return undefined;
      // The router may have been closed while the socket was opening.
      if (!this.isOpen()) {
        port.socket.close();
        return undefined;
      }
      this.ports.push(port);
      port.busy++;
      return port;
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private release(port: Port): void {
    const next = this.waiting.shift();
    // The place is handed on without being given back first, so nobody can slip in between.
    if (next !== undefined) next(port);
    else port.busy--;
  }

  private openPort(): Promise<Port> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    const port: Port = { socket, pending: Array.from({ length: idsPerPort }), next: 0, busy: 0 };
    socket.on('message', (bytes, from) => this.receive(port, bytes, from));
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, this.address, () => {
        socket.off('error', reject);
        // A send that the system refuses is a lost packet, which the timeout already covers.
        socket.on('error', () => undefined);
        resolve(port);
      });
    });
  }

  private transmit(pending: Pending): void {
    const { exchange } = pending;
    pending.attempts++;
    if (pending.attempts > 1) this.counters.retransmits++;
    const { address, port } = exchange.server;
    const isDeaf = this.isDeaf();
    if (!isDeaf) pending.port.socket.send(pending.bytes, port, address);
    this.log.add({
      direction: 'out',
      peer: `${address}:${port}`,
      code: exchange.code,
      identifier: pending.identifier,
      result: isDeaf ? 'lost' : pending.attempts > 1 ? 'sent_again' : 'sent',
      attributes: exchange.attributes,
    });
    pending.timer = setTimeout(() => this.timeOut(pending), exchange.timeoutMs);
  }

  private timeOut(pending: Pending): void {
    if (pending.attempts < pending.exchange.attempts) {
      this.transmit(pending);
      return;
    }
    this.counters.timeouts++;
    pending.finish({ ok: false, why: pending.badReplies > 0 ? 'bad_reply' : 'timeout' });
  }

  private receive(port: Port, datagram: Buffer, from: Endpoint): void {
    if (this.isDeaf()) return;
    const reply = decodePacket(datagram);
    if (reply === undefined) {
      this.counters.badReplies++;
      return;
    }
    const pending = port.pending[reply.identifier];
    const result = pending === undefined ? 'nobody_waits' : judge(pending, reply, from);
    this.log.add({
      direction: 'in',
      peer: `${from.address}:${from.port}`,
      code: reply.code,
      identifier: reply.identifier,
      result,
      attributes: reply.attributes,
    });
    if (pending === undefined || result === 'nobody_waits') return;
    if (result !== 'answer') {
      this.counters.badReplies++;
      pending.badReplies++;
      return;
    }
    clearTimeout(pending.timer);
    pending.finish({ ok: true, reply, attempts: pending.attempts });
  }
}

function judge(pending: Pending, reply: Packet, from: Endpoint): string {
  const { server, secret, code, requiresMessageAuthenticator } = pending.exchange;
  if (from.address !== server.address || from.port !== server.port) return 'nobody_waits';
  const verdict = verifyReply(reply.bytes, pending.bytes.subarray(4, 20), secret);
  if (verdict.authenticator === 'invalid') return 'bad_authenticator';
  if (verdict.messageAuthenticator === 'invalid') return 'bad_message_authenticator';
  if (verdict.messageAuthenticator === 'absent' && requiresMessageAuthenticator)
    return 'no_message_authenticator';
  const isAccounting = code === packetCode.accountingRequest;
  const isExpected = isAccounting
    ? reply.code === packetCode.accountingResponse
    : reply.code === packetCode.accessAccept || reply.code === packetCode.accessReject;
  return isExpected ? 'answer' : 'unexpected_code';
}

function takeIdentifier(port: Port): number {
  for (;;) {
    const identifier = port.next++ % idsPerPort;
    if (port.pending[identifier] === undefined) return identifier;
  }
}
