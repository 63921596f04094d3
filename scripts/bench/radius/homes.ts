import { createSocket, type Socket } from 'node:dgram';
import { encodePacket } from '../../lab/codec.ts';
import { packetCode } from '../../lab/dictionary.ts';
import { attributesOf, sealed } from './accounting-requests.ts';
import { loginRequest } from './login-requests.ts';

export interface HomesOptions {
  readonly count: number;
  readonly router: { address: string; secret: string };
  readonly authPort: number;
  readonly acctPort: number;
  /** How long a router waits for an answer to one try; three tries make a dial. */
  readonly timeoutMs: number;
  /** A home dials again after at most so long. */
  readonly redialMs: number;
  /** All dial for the first time within so long. */
  readonly spreadMs: number;
  readonly interimMs: number;
}

interface Home {
  readonly n: number;
  readonly auth: Socket;
  readonly acct: Socket;
  /** The first of its identifiers at both sockets. */
  readonly firstId: number;
  dials: number;
  reports: number;
  state: 'waiting' | 'dialling' | 'online' | 'reporting';
  packet: Buffer;
  tries: number;
  dueAt: number;
  acceptedAt: number | undefined;
  isStartStored: boolean;
}

const tries = 3;
const homesPerSocket = 32;
const idsPerHome = 256 / homesPerSocket;
const none = Buffer.alloc(0);

/**
 * Homes behind a router, which dial until they are accepted and then tell of their session. As at a router, a try repeats
 * the same bytes, a dial anew is a new request, and an answer after the last try is for nobody.
 */
export class Homes {
  readonly #options: HomesOptions;
  readonly #homes: Home[] = [];
  readonly #sockets: Socket[] = [];
  #timer: NodeJS.Timeout | undefined;
  late = 0;
  rejected = 0;
  dials = 0;

  constructor(options: HomesOptions) {
    this.#options = options;
  }

  /** Opens the sockets and lets everybody dial. */
  async start(): Promise<void> {
    const { count, spreadMs } = this.#options;
    for (let first = 0; first < count; first += homesPerSocket) {
      const auth = await this.#open(this.#options.authPort, (bytes) => this.#onAuth(first, bytes));
      const acct = await this.#open(this.#options.acctPort, (bytes) => this.#onAcct(first, bytes));
      for (let at = first; at < Math.min(first + homesPerSocket, count); at++) {
        this.#homes.push({
          n: acceptedLogin(at),
          auth,
          acct,
          firstId: (at - first) * idsPerHome,
          dials: 0,
          reports: 0,
          state: 'waiting',
          packet: none,
          tries: 0,
          dueAt: 0,
          acceptedAt: undefined,
          isStartStored: false,
        });
      }
    }
    const now = performance.now();
    for (const home of this.#homes) home.dueAt = now + Math.random() * spreadMs;
    this.#timer = setInterval(() => this.#tick(), 20);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.close();
  }

  /** When each home that was accepted was; the others are left out. */
  acceptedAt(): number[] {
    return this.#homes.flatMap((home) => (home.acceptedAt === undefined ? [] : [home.acceptedAt]));
  }

  /** Sessions whose Start was acknowledged. */
  stored(): number {
    return this.#homes.filter((home) => home.isStartStored).length;
  }

  async #open(port: number, receive: (bytes: Buffer) => void): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, this.#options.router.address, () => socket.connect(port, '127.0.0.1', resolve));
    });
    socket.on('message', receive);
    // A server that is away is told to a connected socket; the next try is all that follows.
    socket.on('error', () => undefined);
    this.#sockets.push(socket);
    return socket;
  }

  #tick(): void {
    const now = performance.now();
    for (const home of this.#homes) {
      if (home.dueAt <= now) this.#act(home, now);
    }
  }

  #act(home: Home, now: number): void {
    const { redialMs, timeoutMs } = this.#options;
    if (home.state === 'waiting') {
      home.packet = loginRequest(home.n, this.#options.router.address);
      home.packet[1] = home.firstId + (home.dials++ % idsPerHome);
      home.state = 'dialling';
      home.tries = 0;
      this.dials++;
    } else if (home.state === 'online') {
      home.packet = this.#report(home);
      home.state = 'reporting';
    } else if (home.state === 'dialling' && home.tries === tries) {
      home.state = 'waiting';
      home.dueAt = now + Math.random() * redialMs;
      return;
    }
    home.tries++;
    home.dueAt = now + timeoutMs;
    (home.state === 'dialling' ? home.auth : home.acct).send(home.packet);
  }

  #report(home: Home): Buffer {
    const { router } = this.#options;
    const status = home.isStartStored ? 'Interim-Update' : 'Start';
    const attributes = attributesOf(home.n, status, home.reports * 1000, { router, hasClass: true });
    const bytes = encodePacket(packetCode.accountingRequest, 0, attributes);
    return sealed(bytes, home.firstId + (home.reports++ % idsPerHome), router.secret);
  }

  #onAuth(first: number, bytes: Buffer): void {
    const home = this.#homeOf(first, bytes);
    if (home?.state !== 'dialling' || bytes[1] !== home.packet[1]) {
      this.late++;
    } else if (bytes[0] !== packetCode.accessAccept) {
      this.rejected++;
    } else {
      home.acceptedAt = performance.now();
      home.state = 'online';
      home.dueAt = 0;
    }
  }

  #onAcct(first: number, bytes: Buffer): void {
    const home = this.#homeOf(first, bytes);
    if (home?.state !== 'reporting' || bytes[1] !== home.packet[1]) return;
    home.isStartStored = true;
    home.state = 'online';
    home.dueAt = performance.now() + this.#options.interimMs;
  }

  #homeOf(first: number, bytes: Buffer): Home | undefined {
    return this.#homes[first + Math.floor((bytes[1] ?? 0) / idsPerHome)];
  }
}

/** The i-th login that is accepted: see fateOf() of people.ts. */
function acceptedLogin(i: number): number {
  return Math.floor(i / 91) * 100 + 9 + (i % 91);
}

/** So many logins have `homes` that are accepted among them. */
export function loginsFor(homes: number): number {
  return Math.ceil(homes / 91) * 100;
}
