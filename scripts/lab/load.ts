import { createSocket, type Socket } from 'node:dgram';
import { verifyReply } from './codec.ts';
import { packetCode } from './dictionary.ts';
import { fillTemplate, makeTemplate, type Template } from './load-template.ts';

export interface LoadRouter {
  /** Source address, also the name under which results are kept. */
  readonly address: string;
  readonly secret: string;
  /** NAS-Identifier; the address where it is left out. */
  readonly identity?: string;
}

export interface LoadOptions {
  readonly authServer: { address: string; port: number };
  readonly routers: readonly LoadRouter[];
  readonly logins: readonly { username: string; password: string; mac?: string }[];
  readonly method?: 'pap' | 'chap';
  /** Logins a second, over all routers. */
  readonly perSecond: number;
  /** How long to go on; until stop() where it is left out. */
  readonly durationMs?: number;
  /** Requests in flight at most, over all routers; what is due beyond it waits and counts as `late`. */
  readonly window?: number;
  /** RouterOS's /radius timeout, after which the same bytes go out again. */
  readonly timeoutMs?: number;
  /** Transmissions of one request before it counts as a timeout. */
  readonly attempts?: number;
  /** Message-Authenticator in requests, as RouterOS 7.15 and later send it. */
  readonly sendsMessageAuthenticator?: boolean;
  /** Replies without Message-Authenticator are bad replies, as with require-message-auth=yes-for-request-resp. */
  readonly requiresMessageAuthenticator?: boolean;
}

export interface LoadCounts {
  /** Logins begun. */
  started: number;
  accepted: number;
  rejected: number;
  /** Logins given up after all attempts. */
  timedOut: number;
  /** Transmissions beyond the first. */
  retransmits: number;
  /** Replies with a wrong authenticator, or without a Message-Authenticator that was required. */
  badReplies: number;
  /** Good replies to a request that had its answer already: the server answered a retransmit too. */
  repeated: number;
}

export interface LoadFailure {
  readonly router: string;
  readonly username: string;
  readonly why: 'reject' | 'timeout';
  /** Since the load began. */
  readonly atMs: number;
}

export interface LoadResult extends LoadCounts {
  readonly inFlight: number;
  /** Logins that were due while the window was full. */
  readonly late: number;
  readonly elapsedMs: number;
  /** From the first transmission to the answer, over all answered logins. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly perRouter: Readonly<Record<string, LoadCounts>>;
  /** The first hundred logins that were not accepted. */
  readonly failures: readonly LoadFailure[];
}

export interface Load {
  /** Begins no more logins, waits for those in flight (at most their attempts), closes the sockets. */
  stop(): Promise<LoadResult>;
  /** The counts up to now. */
  result(): LoadResult;
  /** The secret with which this router signs from now on; what is in flight is still verified by the old one. */
  setSecret(address: string, secret: string): void;
  /** Resolves when `durationMs` is over and everything has been answered or given up. */
  readonly finished: Promise<LoadResult>;
}

const tickMs = 5;
const failuresKept = 100;
const idsPerSocket = 256;

/**
 * Sends Access-Requests of many routers at a steady rate, like RouterOS: Acct-Session-Id in the request, the same bytes
 * again after `timeoutMs`. Requests are made from templates, so that one process makes thousands a second.
 */
export async function runLoad(options: LoadOptions): Promise<Load> {
  if (options.routers.length === 0) throw new RangeError('routers: at least one');
  if (options.logins.length === 0) throw new RangeError('logins: at least one');
  const run = new LoadRun(options);
  try {
    await run.open();
  } catch (error) {
    run.closeSockets();
    throw error;
  }
  run.begin();
  return {
    stop: () => run.stop(),
    result: () => run.result(),
    setSecret: (address, secret) => run.setSecret(address, secret),
    finished: run.finished,
  };
}

interface Request {
  readonly bytes: Buffer;
  readonly template: Template;
  readonly secret: string;
  readonly lane: Lane;
  readonly port: Port;
  readonly firstAt: number;
  sentAt: number;
  attempts: number;
  isDone: boolean;
}

interface Port {
  readonly socket: Socket;
  readonly requests: (Request | undefined)[];
  /** The last request of each identifier that was answered or given up. */
  readonly answered: (Request | undefined)[];
  next: number;
}

interface Lane {
  readonly router: LoadRouter;
  secret: string;
  readonly templates: readonly Template[];
  readonly ports: Port[];
  nextPort: number;
  nextTemplate: number;
  readonly counts: LoadCounts;
}

class LoadRun {
  private readonly options: LoadOptions;
  private readonly timeoutMs: number;
  private readonly attempts: number;
  private readonly window: number;
  private readonly lanes: Lane[] = [];
  private nextLane = 0;
  // All requests have the same timeout, so the one sent first is always the next to be sent again.
  private waiting: Request[] = [];
  private inFlight = 0;
  private due = 0;
  private late = 0;
  private sessionCounter = 0;
  private readonly latencies: number[] = [];
  private readonly failures: LoadFailure[] = [];
  private startedAt = 0;
  private endedAt: number | undefined;
  private isStopping = false;
  private timer: NodeJS.Timeout | undefined;
  private finish: (result: LoadResult) => void = () => undefined;
  readonly finished: Promise<LoadResult>;

  constructor(options: LoadOptions) {
    this.options = options;
    this.timeoutMs = options.timeoutMs ?? 1100;
    this.attempts = options.attempts ?? 3;
    this.window = options.window ?? 512;
    this.finished = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  async open(): Promise<void> {
    const perLane = Math.ceil(this.window / this.options.routers.length);
    // Twice what the window needs, so that an identifier rests before it is used again.
    const ports = Math.ceil((perLane * 2) / idsPerSocket);
    for (const router of this.options.routers) {
      const lane: Lane = {
        router,
        secret: router.secret,
        templates: this.options.logins.map((login, i) => makeTemplate(this.options, router, login, i)),
        ports: [],
        nextPort: 0,
        nextTemplate: 0,
        counts: emptyCounts(),
      };
      this.lanes.push(lane);
      for (let i = 0; i < ports; i++) lane.ports.push(await this.openPort(lane));
    }
  }

  private async openPort(lane: Lane): Promise<Port> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
    const port: Port = { socket, requests: Array.from({ length: idsPerSocket }), answered: [], next: 0 };
    socket.on('message', (bytes) => this.receive(lane, port, bytes));
    const { address, port: serverPort } = this.options.authServer;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, lane.router.address, () => socket.connect(serverPort, address, resolve));
    });
    socket.removeAllListeners('error');
    // A server that is away makes the system report a refused packet; the timeout already says so.
    socket.on('error', () => undefined);
    return port;
  }

  begin(): void {
    this.startedAt = performance.now();
    this.timer = setInterval(() => this.tick(), tickMs);
  }

  setSecret(address: string, secret: string): void {
    const lane = this.lanes.find((each) => each.router.address === address);
    if (lane === undefined) throw new RangeError(`address: no router of this load has ${address}`);
    lane.secret = secret;
  }

  stop(): Promise<LoadResult> {
    this.isStopping = true;
    return this.finished;
  }

  private tick(): void {
    const now = performance.now();
    this.retransmitDue(now);
    const elapsed = now - this.startedAt;
    if (elapsed >= (this.options.durationMs ?? Infinity)) this.isStopping = true;
    if (this.isStopping) {
      if (this.inFlight === 0) this.close();
      return;
    }
    const wanted = Math.floor((elapsed * this.options.perSecond) / 1000);
    while (this.due < wanted) {
      if (this.inFlight >= this.window) {
        this.late += wanted - this.due;
        // The rate is a rate, not a debt: what could not go out now is not made up for later.
        this.due = wanted;
        return;
      }
      this.due++;
      this.startOne();
    }
  }

  private close(): void {
    if (this.endedAt !== undefined) return;
    this.endedAt = performance.now();
    clearInterval(this.timer);
    this.closeSockets();
    this.finish(this.result());
  }

  closeSockets(): void {
    for (const lane of this.lanes) for (const port of lane.ports) port.socket.close();
  }

  private startOne(): void {
    const lane = this.lanes[this.nextLane++ % this.lanes.length];
    const template = lane?.templates[lane.nextTemplate++ % lane.templates.length];
    const free = lane === undefined ? undefined : takeIdentifier(lane);
    if (lane === undefined || template === undefined || free === undefined) {
      this.late++;
      return;
    }
    const { port, identifier } = free;
    const bytes = fillTemplate(template, identifier, lane.secret, ++this.sessionCounter);
    const now = performance.now();
    const request: Request = {
      bytes,
      template,
      secret: lane.secret,
      lane,
      port,
      firstAt: now,
      sentAt: now,
      attempts: 1,
      isDone: false,
    };
    port.requests[identifier] = request;
    lane.counts.started++;
    this.inFlight++;
    this.waiting.push(request);
    port.socket.send(bytes);
  }

  private receive(lane: Lane, port: Port, bytes: Buffer): void {
    const identifier = bytes[1] ?? 0;
    const request = port.requests[identifier];
    if (bytes.length < 20 || request === undefined || !this.isGood(bytes, request)) {
      const last = port.answered[identifier];
      if (bytes.length >= 20 && last !== undefined && this.isGood(bytes, last)) lane.counts.repeated++;
      else lane.counts.badReplies++;
      return;
    }
    port.requests[identifier] = undefined;
    port.answered[identifier] = request;
    const now = performance.now();
    this.latencies.push(now - request.firstAt);
    if (bytes[0] === packetCode.accessAccept) {
      lane.counts.accepted++;
    } else {
      lane.counts.rejected++;
      this.note(request, 'reject', now);
    }
    request.isDone = true;
    this.inFlight--;
  }

  private isGood(bytes: Buffer, request: Request): boolean {
    const verdict = verifyReply(bytes, request.bytes.subarray(4, 20), request.secret);
    if (verdict.authenticator === 'invalid' || verdict.messageAuthenticator === 'invalid') return false;
    return verdict.messageAuthenticator === 'valid' || this.options.requiresMessageAuthenticator === false;
  }

  private retransmitDue(now: number): void {
    let first = 0;
    for (const request of this.waiting) {
      if (!request.isDone && now - request.sentAt < this.timeoutMs) break;
      first++;
      if (request.isDone) continue;
      if (request.attempts >= this.attempts) {
        this.giveUp(request, now);
        continue;
      }
      request.attempts++;
      request.sentAt = now;
      request.lane.counts.retransmits++;
      request.port.socket.send(request.bytes);
      this.waiting.push(request);
    }
    if (first > 0) this.waiting = this.waiting.slice(first);
  }

  private giveUp(request: Request, now: number): void {
    request.isDone = true;
    this.inFlight--;
    request.lane.counts.timedOut++;
    const identifier = request.bytes[1] ?? 0;
    request.port.requests[identifier] = undefined;
    request.port.answered[identifier] = request;
    this.note(request, 'timeout', now);
  }

  private note(request: Request, why: LoadFailure['why'], now: number): void {
    if (this.failures.length >= failuresKept) return;
    this.failures.push({
      router: request.lane.router.address,
      username: request.template.username,
      why,
      atMs: Math.round(now - this.startedAt),
    });
  }

  result(): LoadResult {
    const total = emptyCounts();
    for (const lane of this.lanes) addCounts(total, lane.counts);
    const sorted = Float64Array.from(this.latencies).sort();
    const percentile = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
    return {
      ...total,
      inFlight: this.inFlight,
      late: this.late,
      elapsedMs: (this.endedAt ?? performance.now()) - this.startedAt,
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      maxMs: percentile(1),
      perRouter: Object.fromEntries(this.lanes.map((lane) => [lane.router.address, { ...lane.counts }])),
      failures: [...this.failures],
    };
  }
}

function takeIdentifier(lane: Lane): { port: Port; identifier: number } | undefined {
  for (let tries = 0; tries < lane.ports.length; tries++) {
    const port = lane.ports[lane.nextPort++ % lane.ports.length];
    for (let i = 0; port !== undefined && i < idsPerSocket; i++) {
      const identifier = port.next++ % idsPerSocket;
      if (port.requests[identifier] === undefined) return { port, identifier };
    }
  }
  return undefined;
}

function emptyCounts(): LoadCounts {
  return { started: 0, accepted: 0, rejected: 0, timedOut: 0, retransmits: 0, badReplies: 0, repeated: 0 };
}

function addCounts(total: LoadCounts, more: LoadCounts): void {
  total.started += more.started;
  total.accepted += more.accepted;
  total.rejected += more.rejected;
  total.timedOut += more.timedOut;
  total.retransmits += more.retransmits;
  total.badReplies += more.badReplies;
  total.repeated += more.repeated;
}
