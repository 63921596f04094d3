import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Knex } from 'knex';
import { systemClock } from '../../src/clock.ts';
import { chunksOf, openDb } from '../../src/db/knex.ts';
import {
  type Attributes,
  decodePacket,
  emptyMessageAuthenticator,
  encodePacket,
  type Packet,
  sealReply,
  textOf,
  verifyRequest,
} from '../lab/codec.ts';
import { errorCause, packetCode } from '../lab/dictionary.ts';
import type { Obeyed, ResponderMode, ResponderOrder, ResponderRouter, ResponderStats } from './responders.ts';

/** What responders.ts starts: see there. */

interface Session {
  readonly username: string;
  readonly address: string;
}

interface Known {
  readonly sessions: Map<string, Session>;
  readonly obeyed: Map<string, Obeyed>;
}

/** The same bytes later than this are a new request: identifiers come round again. */
const replyKeptMs = 10_000;

class Responder {
  readonly router: ResponderRouter;
  readonly known: Known = { sessions: new Map(), obeyed: new Map() };
  readonly #stats: ResponderStats;
  readonly #onStop: (router: ResponderRouter, acctSessionId: string) => void;
  readonly #kept = new Map<string, { reply: Buffer; at: number }>();
  #socket: Socket | undefined;
  #isSilent = false;

  constructor(
    router: ResponderRouter,
    stats: ResponderStats,
    onStop: (router: ResponderRouter, acctSessionId: string) => void,
  ) {
    this.router = router;
    this.#stats = stats;
    this.#onStop = onStop;
  }

  async setMode(mode: ResponderMode): Promise<void> {
    this.#isSilent = mode === 'silent';
    if (mode === 'refused') await this.close();
    else if (this.#socket === undefined) await this.#open();
  }

  #open(): Promise<void> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    socket.on('message', (bytes, from) => this.#receive(bytes, from));
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(this.router.port, this.router.address, () => {
        socket.off('error', reject);
        socket.on('error', () => undefined);
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    if (this.#isSilent) {
      this.#stats.unheard++;
      return;
    }
    const receivedAt = preciseNow();
    const request = decodePacket(datagram);
    if (request === undefined || !isRequest(request.code) || !this.#isProved(request)) {
      this.#stats.dropped++;
      return;
    }
    const key = `${from.address}|${from.port}|${request.bytes.toString('latin1', 0, 20)}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && receivedAt - kept.at < replyKeptMs) {
      this.#stats.repeats++;
      this.#socket?.send(kept.reply, from.port, from.address);
      return;
    }
    this.#stats.requests++;
    const reply = this.#reply(request, this.#obey(request, receivedAt));
    this.#socket?.send(reply, from.port, from.address);
    this.#keep(key, reply, receivedAt);
  }

  #isProved(request: Packet): boolean {
    const verdict = verifyRequest(request.bytes, this.router.secret);
    return verdict.authenticator === 'valid' && verdict.messageAuthenticator !== 'invalid';
  }

  /** An Error-Cause, or undefined where it was done. */
  #obey({ code, attributes }: Packet, receivedAt: number): number | undefined {
    const id = textOf(attributes, 'Acct-Session-Id');
    if (id === undefined) return errorCause.missingAttribute;
    const session = this.known.sessions.get(id);
    if (session === undefined || !isNamed(session, attributes)) return errorCause.sessionContextNotFound;
    const isCoa = code === packetCode.coaRequest;
    if (!isCoa) {
      this.known.sessions.delete(id);
      this.#onStop(this.router, id);
    }
    const answeredAt = preciseNow();
    this.known.obeyed.set(id, {
      address: this.router.address,
      acctSessionId: id,
      kind: isCoa ? 'coa' : 'disconnect',
      rate: textOf(attributes, 'Mikrotik-Rate-Limit') ?? null,
      receivedAt,
      answeredAt,
    });
    if (this.#stats.firstAt === 0) this.#stats.firstAt = answeredAt;
    this.#stats.lastAt = answeredAt;
    return undefined;
  }

  #reply(request: Packet, cause: number | undefined): Buffer {
    const isCoa = request.code === packetCode.coaRequest;
    const [ack, nak] = isCoa
      ? [packetCode.coaAck, packetCode.coaNak]
      : [packetCode.disconnectAck, packetCode.disconnectNak];
    if (cause === undefined) this.#stats.acks++;
    else this.#stats.naks++;
    const attributes: Attributes = [
      emptyMessageAuthenticator,
      ...(cause === undefined ? [] : ([['Error-Cause', cause]] as const)),
    ];
    const bytes = encodePacket(cause === undefined ? ack : nak, request.identifier, attributes);
    return sealReply(bytes, request.authenticator, this.router.secret);
  }

  #keep(key: string, reply: Buffer, at: number): void {
    for (const [each, kept] of this.#kept) {
      if (at - kept.at < replyKeptMs) break;
      this.#kept.delete(each);
    }
    this.#kept.set(key, { reply, at });
  }
}

function isRequest(code: number): boolean {
  return code === packetCode.coaRequest || code === packetCode.disconnectRequest;
}

/** Every name that is given must fit (RFC 5176 §3). */
function isNamed(session: Session, attributes: Attributes): boolean {
  const username = textOf(attributes, 'User-Name');
  const address = textOf(attributes, 'Framed-IP-Address');
  return (
    (username === undefined || username === session.username) &&
    (address === undefined || address === session.address)
  );
}

class Process {
  readonly #stats: ResponderStats = emptyStats();
  readonly #byAddress = new Map<string, Responder>();
  #stops: { address: string; acctSessionId: string }[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #db: Knex | undefined;

  async obey(order: ResponderOrder): Promise<unknown> {
    switch (order.name) {
      case 'open':
        this.#db = openDb(order.db, { poolMax: 2 });
        this.#timer = setInterval(() => {
          this.#writing = this.#writing.then(() => this.#writeStops());
        }, 200);
        return this.#open(order.routers);
      case 'load':
        return this.#load();
      case 'mode':
        for (const address of order.addresses) await this.#byAddress.get(address)?.setMode(order.mode);
        return null;
      case 'stats':
        this.#stats.obeyed = sum([...this.#byAddress.values()].map((one) => one.known.obeyed.size));
        return this.#stats;
      case 'obeyed':
        return [...this.#byAddress.values()].flatMap((one) => [...one.known.obeyed.values()]);
      case 'reset':
        Object.assign(this.#stats, emptyStats());
        for (const one of this.#byAddress.values()) one.known.obeyed.clear();
        return null;
      case 'stop':
        return this.#close();
    }
  }

  async #open(routers: readonly ResponderRouter[]): Promise<null> {
    for (const router of routers) {
      const responder = new Responder(router, this.#stats, ({ address }, acctSessionId) => {
        this.#stops.push({ address, acctSessionId });
      });
      await responder.setMode('answer');
      this.#byAddress.set(router.address, responder);
    }
    return null;
  }

  async #load(): Promise<number> {
    for (const { known } of this.#byAddress.values()) known.sessions.clear();
    let count = 0;
    for (let after = '0'; ;) {
      const rows = await this.#database()('radacct')
        .whereNull('acctstoptime')
        .andWhere('radacctid', '>', after)
        .orderBy('radacctid')
        .limit(10_000)
        .select<
          {
            radacctid: string;
            acctsessionid: string;
            username: string;
            nasipaddress: string;
            framedipaddress: string;
          }[]
        >('radacctid', 'acctsessionid', 'username', 'nasipaddress', 'framedipaddress');
      for (const row of rows) {
        const sessions = this.#byAddress.get(row.nasipaddress)?.known.sessions;
        if (sessions === undefined) continue;
        sessions.set(row.acctsessionid, { username: row.username, address: row.framedipaddress });
        count++;
      }
      const last = rows.at(-1);
      if (last === undefined) return count;
      after = last.radacctid;
    }
  }

  /** As FreeRADIUS would close them: by the row, with the server's time. */
  async #writeStops(): Promise<void> {
    const stops = this.#stops;
    this.#stops = [];
    const at = systemClock.now().toISOString().slice(0, 19).replace('T', ' ');
    for (const chunk of chunksOf(stops, 500)) {
      await this.#database().raw(
        `UPDATE radacct SET acctstoptime = ?, acctupdatetime = ?, acctterminatecause = 'Admin-Reset', stop_seen = 1
         WHERE acctsessionid IN (${chunk.map(() => '?').join(', ')}) AND acctstoptime IS NULL
           AND (nasipaddress, acctsessionid) IN (${chunk.map(() => '(?, ?)').join(', ')})`,
        [
          at,
          at,
          ...chunk.map((stop) => stop.acctSessionId),
          ...chunk.flatMap((stop) => [stop.address, stop.acctSessionId]),
        ],
      );
    }
  }

  #database(): Knex {
    if (this.#db === undefined) throw new Error('not opened');
    return this.#db;
  }

  async #close(): Promise<null> {
    clearInterval(this.#timer);
    for (const one of this.#byAddress.values()) await one.close();
    await this.#writing;
    await this.#writeStops();
    await this.#db?.destroy();
    return null;
  }
}

function emptyStats(): ResponderStats {
  return {
    requests: 0,
    acks: 0,
    naks: 0,
    repeats: 0,
    dropped: 0,
    unheard: 0,
    obeyed: 0,
    firstAt: 0,
    lastAt: 0,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}

const running = new Process();
process.on('message', (order: ResponderOrder) => {
  running
    .obey(order)
    .then(
      (answer) => process.send?.({ id: order.id, answer }),
      (error: unknown) =>
        process.send?.({ id: order.id, error: error instanceof Error ? error.message : String(error) }),
    )
    .finally(() => {
      if (order.name === 'stop') process.disconnect();
    });
});
// Whoever started it is gone: nobody needs the answers.
process.once('disconnect', () => process.exit());
// The terminal's interrupt goes to the whole group; the parent says when.
process.on('SIGINT', () => undefined);
