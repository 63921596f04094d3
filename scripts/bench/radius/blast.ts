import { createSocket, type Socket } from 'node:dgram';
import { verifyReply } from '../../lab/codec.ts';

/** Requests made beforehand, so that sending one costs no more than the system call. */
export interface Requests {
  readonly count: number;
  /** The i-th request, ready to send with this identifier. */
  at(i: number, identifier: number): Buffer;
  /** The code that the answer to the i-th request has to have. */
  expected(i: number): number;
}

export interface BlastOptions {
  readonly requests: Requests;
  readonly from: { address: string; secret: string };
  readonly port: number;
  /** Requests in flight, always: more than the server has threads. */
  readonly window: number;
  /** Ends after this time, or when each request was sent once. */
  readonly forMs: number;
  /** The first request; the next round goes on where this one ended. */
  readonly startAt?: number;
}

export interface BlastResult {
  readonly answered: number;
  /** Answers of another code than expected, and what a hundred of them were. */
  readonly wrong: number;
  readonly wrongOnes: readonly { index: number; code: number }[];
  /** Answers that were not made with the secret, among those checked (one of 64). */
  readonly forged: number;
  /** Not answered in five seconds. */
  readonly lost: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the first request that was not sent. */
  readonly nextAt: number;
}

const idsPerSocket = 256;
const lostAfterMs = 5000;
/** How many are checked for the secret: one of so many. */
const checkedEvery = 64;

/**
 * Keeps `window` requests in flight and verifies what comes back: how many a second the server answers with as many
 * waiting as it wants. No request is sent twice.
 */
export async function blast(options: BlastOptions): Promise<BlastResult> {
  const run = new Blast(options);
  await run.open();
  return await run.run();
}

interface Slot {
  readonly socket: Socket;
  readonly identifier: number;
  index: number;
  sentAt: number;
  bytes: Buffer | undefined;
}

class Blast {
  private readonly options: BlastOptions;
  private readonly sockets: Socket[] = [];
  private readonly slots: Slot[] = [];
  private nextSlot = 0;
  private nextIndex: number;
  private sent = 0;
  private inFlight = 0;
  private answered = 0;
  private wrong = 0;
  private readonly wrongOnes: { index: number; code: number }[] = [];
  private forged = 0;
  private lost = 0;
  private startedAt = 0;
  private lastAt = 0;
  private readonly latencies: number[] = [];
  private finish: () => void = () => undefined;

  constructor(options: BlastOptions) {
    this.options = options;
    this.nextIndex = options.startAt ?? 0;
  }

  async open(): Promise<void> {
    // Eight times what is in flight, so that an identifier rests before it is used again.
    const count = Math.ceil((this.options.window * 8) / idsPerSocket);
    for (let i = 0; i < count; i++) this.sockets.push(await this.openSocket(i));
    // Neighbours in time go through different sockets.
    for (let identifier = 0; identifier < idsPerSocket; identifier++) {
      for (const socket of this.sockets) {
        this.slots.push({ socket, identifier, index: 0, sentAt: 0, bytes: undefined });
      }
    }
  }

  private async openSocket(number: number): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 1 << 20 });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, this.options.from.address, () =>
        socket.connect(this.options.port, '127.0.0.1', resolve),
      );
    });
    socket.on('message', (bytes) => this.receive(number, bytes));
    return socket;
  }

  async run(): Promise<BlastResult> {
    const finished = new Promise<void>((resolve) => {
      this.finish = resolve;
    });
    this.startedAt = performance.now();
    this.lastAt = this.startedAt;
    const timer = setInterval(() => this.dropLost(), 250);
    for (let i = 0; i < this.options.window; i++) this.sendNext();
    await finished;
    clearInterval(timer);
    for (const socket of this.sockets) socket.close();
    const sorted = Float64Array.from(this.latencies).sort();
    const percentile = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
    return {
      answered: this.answered,
      wrong: this.wrong,
      wrongOnes: this.wrongOnes,
      forged: this.forged,
      lost: this.lost,
      perSecond: (this.answered * 1000) / (this.lastAt - this.startedAt),
      p50Ms: percentile(0.5),
      p99Ms: percentile(0.99),
      nextAt: this.nextIndex % this.options.requests.count,
    };
  }

  private sendNext(): void {
    const now = performance.now();
    const { requests, forMs } = this.options;
    const slot = this.slots[this.nextSlot];
    const isOver = this.sent >= requests.count || now - this.startedAt >= forMs;
    if (isOver || slot === undefined || slot.bytes !== undefined) {
      if (isOver && this.inFlight === 0) this.finish();
      return;
    }
    this.nextSlot = (this.nextSlot + 1) % this.slots.length;
    slot.index = this.nextIndex % requests.count;
    slot.sentAt = now;
    slot.bytes = requests.at(slot.index, slot.identifier);
    this.nextIndex++;
    this.sent++;
    this.inFlight++;
    slot.socket.send(slot.bytes);
  }

  private receive(socketNumber: number, bytes: Buffer): void {
    const slot = this.slots[(bytes[1] ?? 0) * this.sockets.length + socketNumber];
    if (slot?.bytes === undefined) return;
    this.lastAt = performance.now();
    this.latencies.push(this.lastAt - slot.sentAt);
    this.answered++;
    this.inFlight--;
    const code = bytes[0] ?? 0;
    if (code !== this.options.requests.expected(slot.index)) {
      this.wrong++;
      if (this.wrongOnes.length < 100) this.wrongOnes.push({ index: slot.index, code });
    }
    if (this.answered % checkedEvery === 0) {
      const { authenticator } = verifyReply(bytes, slot.bytes.subarray(4, 20), this.options.from.secret);
      if (authenticator === 'invalid') this.forged++;
    }
    slot.bytes = undefined;
    this.sendNext();
  }

  private dropLost(): void {
    const now = performance.now();
    for (const slot of this.slots) {
      if (slot.bytes === undefined || now - slot.sentAt < lostAfterMs) continue;
      slot.bytes = undefined;
      this.lost++;
      this.inFlight--;
    }
    while (this.inFlight < this.options.window) {
      const before = this.inFlight;
      this.sendNext();
      if (this.inFlight === before) break;
    }
  }
}
