import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { type Attribute, AttributeError } from './attributes.ts';
import { type Reply, type RequestKind, sealRequest, verifyReply } from './packet.ts';

/** What became of a request. The network's failures are outcomes, never exceptions. */
export type CoaOutcome =
  /** Time since the first transmission; with more than one attempt that includes the waits between them. */
  | { readonly kind: 'ack'; readonly roundTripUs: number; readonly attempts: number }
  | {
      readonly kind: 'nak';
      readonly errorCause: number | null;
      readonly roundTripUs: number;
      readonly attempts: number;
    }
  | { readonly kind: 'timeout'; readonly attempts: number }
  /** Not sent again because something newer is wanted. Whether the router acted on it is unknown. */
  | { readonly kind: 'superseded'; readonly attempts: number }
  /** Not sent again because the sender may not, or is closing. Whether the router acted on it is unknown. */
  | { readonly kind: 'abandoned'; readonly attempts: number }
  /** Nothing left this host: `why` is a system error such as EADDRNOTAVAIL, or a rule that the request broke. */
  | { readonly kind: 'unsent'; readonly why: string };

export interface CoaTarget {
  /** IPv4 or IPv6. Names are not looked up. */
  readonly address: string;
  readonly port: number;
  readonly secret: string;
}

export interface CoaRequest {
  readonly kind: RequestKind;
  readonly target: CoaTarget;
  readonly attributes: readonly Attribute[];
  /** Asked before each retransmit. */
  readonly shouldGoOn?: () => GoOn | Promise<GoOn>;
  /** Instead of the client's own. */
  readonly waitsMs?: readonly number[];
}

export type GoOn = 'go' | 'superseded' | 'abandon';

export interface CoaStats {
  sent: number;
  retransmitted: number;
  answered: number;
  /** Replies to nothing that waits: late, from a wrong address, or with an unknown identifier. */
  unexpected: number;
  /** Replies that failed the proof: wrong secret, forged or damaged. */
  unproved: number;
}

export interface CoaClientOptions {
  /** The address that routers have under /radius: they pick the secret by it. 0.0.0.0 leaves it to the routing table. */
  readonly sourceAddress: string;
  /** How long to wait for a reply after each transmission; its length is the number of transmissions. */
  readonly waitsMs?: readonly number[];
  /** Each carries 256 requests in flight to one destination. */
  readonly sockets?: number;
}

/**
 * Sends CoA-Requests and Disconnect-Requests (RFC 5176). A retransmit is the same bytes, so that the router knows it
 * (§2.3); a reply counts only where socket, identifier, source address and port agree and its digests prove it.
 */
export class CoaClient {
  readonly stats: CoaStats = { sent: 0, retransmitted: 0, answered: 0, unexpected: 0, unproved: 0 };
  readonly #sourceAddress: string;
  readonly #waitsMs: readonly number[];
  readonly #socketsMost: number;
  readonly #sockets = new Map<string, Promise<RadiusSocket>>();
  #next = 0;
  #isClosed = false;

  constructor(options: CoaClientOptions) {
    if (isIP(options.sourceAddress) === 0)
      throw new RangeError('a source address is an IPv4 or IPv6 address');
    this.#sourceAddress = options.sourceAddress;
    this.#waitsMs = options.waitsMs ?? [1000, 2000, 4000];
    this.#socketsMost = options.sockets ?? 8;
  }

  async send(request: CoaRequest): Promise<CoaOutcome> {
    const { target } = request;
    if (isIP(target.address) === 0) return { kind: 'unsent', why: 'the address is not an IP address' };
    let exchange: Exchange | string;
    try {
      exchange = await this.#begin(request);
    } catch (error) {
      if (error instanceof AttributeError) return { kind: 'unsent', why: error.message };
      return { kind: 'unsent', why: systemCode(error) };
    }
    if (typeof exchange === 'string') return { kind: 'unsent', why: exchange };
    try {
      return await this.#converse(exchange, request);
    } finally {
      exchange.socket.forget(exchange);
    }
  }

  /** Requests in flight end as abandoned. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = await Promise.allSettled(this.#sockets.values());
    for (const socket of opened) if (socket.status === 'fulfilled') socket.value.close();
    this.#sockets.clear();
  }

  /** Takes an identifier on the next socket in turn, so that it is used again as late as possible. */
  async #begin(request: CoaRequest): Promise<Exchange | string> {
    const family = isIP(request.target.address) === 6 ? 6 : 4;
    for (let tried = 0; tried < this.#socketsMost; tried++) {
      if (this.#isClosed) return 'closed';
      const socket = await this.#socket(family, this.#next++ % this.#socketsMost);
      const exchange = socket.begin(request);
      if (exchange !== undefined) return exchange;
    }
    return 'too many requests in flight to one router';
  }

  #socket(family: 4 | 6, index: number): Promise<RadiusSocket> {
    const key = `${family}/${index}`;
    let socket = this.#sockets.get(key);
    if (socket === undefined) {
      const isOwn = isIP(this.#sourceAddress) === family;
      const address = isOwn ? this.#sourceAddress : family === 6 ? '::' : '0.0.0.0';
      socket = openSocket(family, address, this.stats);
      this.#sockets.set(key, socket);
      // An address that this host does not have today may come back tomorrow.
      socket.catch(() => this.#sockets.delete(key));
    }
    return socket;
  }

  async #converse(exchange: Exchange, request: CoaRequest): Promise<CoaOutcome> {
    const startedAt = performance.now();
    let attempts = 0;
    for (const waitMs of request.waitsMs ?? this.#waitsMs) {
      if (attempts > 0) {
        const verdict = await goOn(exchange, request);
        if (verdict !== 'go') return { kind: verdict, attempts };
      }
      if (exchange.reply === undefined && !exchange.isAbandoned) {
        const failure = await exchange.socket.transmit(exchange);
        if (failure !== undefined && attempts === 0) return { kind: 'unsent', why: failure };
        if (failure === undefined) {
          if (attempts++ === 0) this.stats.sent++;
          else this.stats.retransmitted++;
        }
        await answerOrTimeout(exchange, spread(waitMs));
      }
      if (exchange.reply !== undefined) return replied(exchange.reply, startedAt, attempts);
      if (exchange.isAbandoned) return { kind: 'abandoned', attempts };
    }
    return { kind: 'timeout', attempts };
  }
}

/** RFC 5080 §2.2.1: by up to a tenth, so that what was lost together is not sent again together. */
function spread(waitMs: number): number {
  return waitMs * (0.95 + Math.random() * 0.1);
}

function replied(reply: Reply & { at: number }, startedAt: number, attempts: number): CoaOutcome {
  const measured = { roundTripUs: Math.max(1, Math.round((reply.at - startedAt) * 1000)), attempts };
  if (reply.kind === 'ack') return { kind: 'ack', ...measured };
  return { kind: 'nak', errorCause: reply.errorCause, ...measured };
}

/** A reply that comes while the caller thinks about it counts. */
async function goOn(exchange: Exchange, request: CoaRequest): Promise<'go' | 'superseded' | 'abandoned'> {
  const verdict = (await request.shouldGoOn?.()) ?? 'go';
  if (exchange.reply !== undefined || verdict === 'go') return 'go';
  return verdict === 'superseded' ? 'superseded' : 'abandoned';
}

/** One request on its way. */
interface Exchange {
  readonly socket: RadiusSocket;
  readonly key: string;
  readonly target: CoaTarget;
  readonly packet: Buffer;
  reply: (Reply & { at: number }) | undefined;
  isAbandoned: boolean;
  wakeUp: () => void;
}

function answerOrTimeout(exchange: Exchange, ms: number): Promise<void> {
  if (exchange.reply !== undefined || exchange.isAbandoned) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    exchange.wakeUp = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function openSocket(family: 4 | 6, address: string, stats: CoaStats): Promise<RadiusSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: family === 6 ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port: 0, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(new RadiusSocket(socket, stats));
    });
  });
}

class RadiusSocket {
  readonly #socket: Socket;
  readonly #stats: CoaStats;
  readonly #waiting = new Map<string, Exchange>();
  readonly #lastIdentifier = new Map<string, number>();

  constructor(socket: Socket, stats: CoaStats) {
    this.#socket = socket;
    this.#stats = stats;
    socket.on('message', (bytes, from) => this.#receive(bytes, `${from.address}|${from.port}`));
    // Without a listener the process would end. What cannot be sent is reported where it was sent.
    socket.on('error', () => undefined);
  }

  /** Takes the next free identifier of this destination; undefined where all 256 are in flight. */
  begin(request: CoaRequest): Exchange | undefined {
    const { target } = request;
    const destination = `${canonical(target.address)}|${target.port}`;
    // At random first: the same request from a new socket shall not look like the repetition of an older one.
    const last = this.#lastIdentifier.get(destination) ?? randomInt(256);
    for (let step = 1; step <= 256; step++) {
      const identifier = (last + step) & 255;
      const key = `${destination}|${identifier}`;
      if (this.#waiting.has(key)) continue;
      const packet = sealRequest(request.kind, identifier, target.secret, request.attributes);
      const exchange: Exchange = {
        socket: this,
        key,
        target,
        packet,
        reply: undefined,
        isAbandoned: false,
        wakeUp: () => undefined,
      };
      this.#lastIdentifier.set(destination, identifier);
      this.#waiting.set(key, exchange);
      return exchange;
    }
    return undefined;
  }

  /** Resolves with a system error's code where the packet did not leave. */
  transmit({ packet, target }: Exchange): Promise<string | undefined> {
    return new Promise((resolve) => {
      try {
        this.#socket.send(packet, target.port, target.address, (error) =>
          resolve(error === null ? undefined : systemCode(error)),
        );
      } catch (error) {
        resolve(systemCode(error));
      }
    });
  }

  forget(exchange: Exchange): void {
    this.#waiting.delete(exchange.key);
  }

  close(): void {
    for (const exchange of this.#waiting.values()) {
      exchange.isAbandoned = true;
      exchange.wakeUp();
    }
    this.#socket.close();
  }

  #receive(bytes: Buffer, from: string): void {
    const exchange = this.#waiting.get(`${from}|${bytes[1] ?? -1}`);
    if (exchange === undefined || exchange.reply !== undefined) {
      this.#stats.unexpected++;
      return;
    }
    const reply = verifyReply(exchange.packet, bytes, exchange.target.secret);
    if (reply === undefined) {
      this.#stats.unproved++;
      return;
    }
    this.#stats.answered++;
    exchange.reply = { ...reply, at: performance.now() };
    exchange.wakeUp();
  }
}

/** As the socket will spell the sender's address. */
function canonical(address: string): string {
  return isIP(address) === 6 && !address.includes('%')
    ? new URL(`http://[${address}]/`).hostname.slice(1, -1)
    : address;
}

function systemCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'the socket failed';
}
