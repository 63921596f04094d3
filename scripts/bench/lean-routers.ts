import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { openDb, sqlInstant } from '../../src/db/knex.ts';
import { systemClock } from '../../src/clock.ts';
import {
  decodePacket,
  emptyMessageAuthenticator,
  encodePacket,
  type Packet,
  sealReply,
  textOf,
  verifyRequest,
} from '../lab/codec.ts';
import { errorCause, packetCode } from '../lab/dictionary.ts';
import { routerAddress } from './overdue-isp.ts';

/** What the parent tells this process. */
export interface LeanRoutersOrder {
  readonly routers: number;
  readonly subscribers: number;
  readonly secret: string;
  readonly port: number;
  readonly db: { host: string; port: number; user: string; password: string; database: string };
}

/** What the parent is told on request. */
export interface LeanRoutersCount {
  readonly acks: { coa: number; disconnect: number };
  readonly naks: number;
  /** Packets that did not prove that the sender knows the secret. */
  readonly bad: number;
  /** Answered again from the kept reply. */
  readonly repeats: number;
}

/**
 * Routers for tens of thousands of packets: each a socket on an address of its own that answers CoA and Disconnect as RFC
 * 5176 says, proves its replies, knows which sessions live on it, and names what it refuses. A session that it ended is
 * stopped in accounting a moment later, in batches: no FreeRADIUS takes part here.
 */
class LeanRouters {
  readonly count = { acks: { coa: 0, disconnect: 0 }, naks: 0, bad: 0, repeats: 0 };
  readonly #order: LeanRoutersOrder;
  /** By subscriber: 1 where the session lives. */
  readonly #alive: Uint8Array;
  readonly #kept = new Map<string, { authenticator: Buffer; reply: Buffer }>();
  readonly #ended: number[] = [];

  constructor(order: LeanRoutersOrder) {
    this.#order = order;
    this.#alive = new Uint8Array(order.subscribers + 1).fill(1);
  }

  async open(): Promise<void> {
    for (let id = 1; id <= this.#order.routers; id++) {
      const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
      socket.on('message', (datagram, from) => this.#receive(socket, id, datagram, from));
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.bind(this.#order.port, routerAddress(id), () => resolve());
      });
    }
    this.#stopInAccounting();
  }

  #receive(socket: Socket, router: number, datagram: Buffer, from: RemoteInfo): void {
    const request = decodePacket(datagram);
    if (request === undefined || !this.#isProved(request)) {
      this.count.bad += 1;
      return;
    }
    const key = `${router} ${from.address} ${from.port} ${request.identifier}`;
    const kept = this.#kept.get(key);
    const isRepeat = kept?.authenticator.equals(request.authenticator) === true;
    if (isRepeat) this.count.repeats += 1;
    const reply = isRepeat ? kept.reply : this.#answer(request);
    if (!isRepeat) this.#kept.set(key, { authenticator: Buffer.from(request.authenticator), reply });
    socket.send(reply, from.port, from.address);
  }

  #isProved(request: Packet): boolean {
    const { authenticator, messageAuthenticator } = verifyRequest(request.bytes, this.#order.secret);
    return authenticator === 'valid' && messageAuthenticator === 'valid';
  }

  #answer(request: Packet): Buffer {
    const subscriber = parseInt(textOf(request.attributes, 'Acct-Session-Id') ?? '', 16);
    const isKnown =
      this.#alive[subscriber] === 1 && textOf(request.attributes, 'User-Name') === `u${subscriber}`;
    const isCoa = request.code === packetCode.coaRequest;
    if (!isKnown) {
      this.count.naks += 1;
      const code = isCoa ? packetCode.coaNak : packetCode.disconnectNak;
      return this.#seal(code, request, [['Error-Cause', errorCause.sessionContextNotFound]]);
    }
    if (isCoa) {
      this.count.acks.coa += 1;
      return this.#seal(packetCode.coaAck, request, []);
    }
    this.count.acks.disconnect += 1;
    this.#alive[subscriber] = 0;
    this.#ended.push(subscriber);
    return this.#seal(packetCode.disconnectAck, request, []);
  }

  #seal(code: number, request: Packet, attributes: readonly (readonly [string, number])[]): Buffer {
    const bytes = encodePacket(code, request.identifier, [emptyMessageAuthenticator, ...attributes]);
    return sealReply(bytes, request.authenticator, this.#order.secret);
  }

  #stopInAccounting(): void {
    const db = openDb(this.#order.db, { poolMax: 1 });
    const stopSome = async () => {
      const ended = this.#ended.splice(0, 500).sort((a, b) => a - b);
      if (ended.length > 0) {
        const at = sqlInstant(systemClock.now());
        await db('radacct')
          .whereIn('radacctid', ended)
          .update({ acctstoptime: at, acctupdatetime: at, stop_seen: 1, acctterminatecause: 'Admin-Reset' });
      }
      setTimeout(() => void stopSome(), this.#ended.length > 0 ? 0 : 100);
    };
    void stopSome();
  }
}

process.once('message', (order: LeanRoutersOrder) => {
  const routers = new LeanRouters(order);
  void routers.open().then(() => process.send?.('ready'));
  process.on('message', () => process.send?.(routers.count));
});
process.once('disconnect', () => process.exit(0));
