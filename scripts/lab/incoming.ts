import { createSocket, type Socket } from 'node:dgram';
import { type Changes, changesFrom, isChangeable } from './access.ts';
import {
  type Attributes,
  decodePacket,
  emptyMessageAuthenticator,
  encodePacket,
  numberOf,
  type Packet,
  sealReply,
  textOf,
  verifyRequest,
} from './codec.ts';
import { errorCause, packetCode } from './dictionary.ts';
import type { Faults } from './faults.ts';
import type { PacketLog } from './packet-log.ts';
import type { Session } from './session.ts';
import type { Endpoint, RouterSettings } from './settings.ts';

export type Decision =
  | { readonly kind: 'nak'; readonly cause: number }
  | { readonly kind: 'disconnect'; readonly session: Session }
  | { readonly kind: 'coa'; readonly session: Session; readonly changes: Changes };

const nasNames = new Set(['NAS-IP-Address', 'NAS-Identifier', 'NAS-IPv6-Address']);
const sessionNames = new Set([
  'Acct-Session-Id',
  'Framed-IP-Address',
  'User-Name',
  'Calling-Station-Id',
  'NAS-Port',
]);
const transportNames = new Set(['Message-Authenticator', 'Event-Timestamp', 'Proxy-State']);

/** What a request asks of which session, or the Error-Cause it is refused with (RFC 5176 sections 3 and 3.5). */
export function decide(
  request: { code: number; attributes: Attributes },
  sessions: readonly Session[],
  settings: RouterSettings,
): Decision {
  const { attributes } = request;
  if (!isForThisNas(attributes, settings))
    return { kind: 'nak', cause: errorCause.nasIdentificationMismatch };
  const rest = attributes.filter(
    ([name]) => !nasNames.has(name) && !sessionNames.has(name) && !transportNames.has(name),
  );
  const isDisconnect = request.code === packetCode.disconnectRequest;
  // All attributes are mandatory: one that can't be obeyed refuses the whole request.
  if (rest.some(([name]) => name === 'Service-Type'))
    return { kind: 'nak', cause: errorCause.unsupportedService };
  if (rest.some(([name]) => isDisconnect || !isChangeable(name))) {
    return { kind: 'nak', cause: errorCause.unsupportedAttribute };
  }
  const keys = attributes.filter(([name]) => sessionNames.has(name));
  if (keys.length === 0) return { kind: 'nak', cause: errorCause.missingAttribute };
  const read = isDisconnect ? { changes: {} } : changesFrom(attributes);
  if ('invalid' in read) return { kind: 'nak', cause: errorCause.invalidAttributeValue };
  const [session, ...more] = sessions.filter((each) => keys.every((key) => matches(each, key)));
  if (session === undefined) return { kind: 'nak', cause: errorCause.sessionContextNotFound };
  if (more.length > 0) return { kind: 'nak', cause: errorCause.multipleSessionSelection };
  if (isDisconnect) return { kind: 'disconnect', session };
  if (rest.length === 0) return { kind: 'nak', cause: errorCause.invalidRequest };
  return { kind: 'coa', session, changes: read.changes };
}

function isForThisNas(attributes: Attributes, settings: RouterSettings): boolean {
  return attributes.every(([name, value]) => {
    switch (name) {
      case 'NAS-IP-Address':
        return value === settings.claimedAddress || value === settings.address;
      case 'NAS-Identifier':
        return value === settings.identity;
      case 'NAS-IPv6-Address':
        return false;
      default:
        return true;
    }
  });
}

function matches(session: Session, [name, value]: Attributes[number]): boolean {
  switch (name) {
    case 'Acct-Session-Id':
      return value === session.id;
    case 'Framed-IP-Address':
      return value === session.grant.address;
    case 'User-Name':
      return value === session.username;
    case 'Calling-Station-Id':
      return value === session.mac;
    default:
      return value === session.nasPort;
  }
}

export interface IncomingCounters {
  requests: number;
  acks: number;
  naks: number;
  badRequests: number;
  /** Requests answered again from the kept reply. */
  repeats: number;
}

export interface IncomingHost {
  settings(): RouterSettings;
  readonly faults: Faults;
  readonly log: PacketLog;
  sessions(): readonly Session[];
  change(session: Session, changes: Changes): void;
  disconnect(session: Session): void;
}

interface KeptReply {
  readonly authenticator: Buffer;
  /** Undefined while a late reply is still to come. */
  bytes: Buffer | undefined;
  readonly atMs: number;
}

const replyKeptMs = 30_000;

/** /radius incoming: takes CoA- and Disconnect-Requests on the router's own address, as RFC 5176 says. */
export class Incoming {
  readonly counters: IncomingCounters = { requests: 0, acks: 0, naks: 0, badRequests: 0, repeats: 0 };
  private readonly host: IncomingHost;
  private readonly kept = new Map<string, KeptReply>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private socket: Socket | undefined;

  constructor(host: IncomingHost) {
    this.host = host;
  }

  /** Binds the router's address; gives the port. */
  open(port: number): Promise<number> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    this.socket = socket;
    socket.on('message', (bytes, from) => this.receive(bytes, from));
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, this.host.settings().address, () => {
        socket.off('error', reject);
        socket.on('error', () => undefined);
        resolve(socket.address().port);
      });
    });
  }

  /** Forgets kept and late replies, as a reboot does. */
  drop(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    this.kept.clear();
  }

  async close(): Promise<void> {
    this.drop();
    const { socket } = this;
    this.socket = undefined;
    if (socket !== undefined) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  private receive(datagram: Buffer, from: Endpoint): void {
    const { faults } = this.host;
    if (faults.has('deaf')) return;
    const settings = this.host.settings();
    const request = decodePacket(datagram);
    const isKnownCode =
      request?.code === packetCode.coaRequest || request?.code === packetCode.disconnectRequest;
    if (request === undefined || !isKnownCode) {
      this.counters.badRequests++;
      return;
    }
    const refusal = this.whyDropped(request, from, settings);
    if (refusal !== undefined) {
      this.counters.badRequests++;
      this.note(request, from, refusal);
      return;
    }
    if (this.answeredBefore(request, from)) return;
    this.counters.requests++;
    this.obey(request, from, settings);
  }

  /** A request that can't be trusted is dropped in silence: an answer would tell a stranger that he is close. */
  private whyDropped(request: Packet, from: Endpoint, settings: RouterSettings): string | undefined {
    if (!settings.dynamicClients.includes(from.address)) return 'dropped_unknown_client';
    const verdict = verifyRequest(request.bytes, settings.secret);
    if (verdict.authenticator === 'invalid') return 'dropped_bad_authenticator';
    if (verdict.messageAuthenticator === 'invalid') return 'dropped_bad_message_authenticator';
    const sentAt = numberOf(request.attributes, 'Event-Timestamp');
    const now = Date.now() / 1000 + settings.clockSkewSeconds;
    if (sentAt !== undefined && Math.abs(now - sentAt) > settings.replayWindowSeconds) {
      return 'dropped_outside_replay_window';
    }
    return undefined;
  }

  private answeredBefore(request: Packet, from: Endpoint): boolean {
    const kept = this.kept.get(keyOf(request, from));
    if (kept?.authenticator.equals(request.authenticator) !== true) return false;
    this.counters.repeats++;
    this.note(request, from, 'repeat');
    if (kept.bytes !== undefined) this.transmit(kept.bytes, from, sessionIdOf(request));
    return true;
  }

  private obey(request: Packet, from: Endpoint, settings: RouterSettings): void {
    const { faults } = this.host;
    const decision = decide(request, this.host.sessions(), settings);
    const sessionId = decision.kind === 'nak' ? sessionIdOf(request) : decision.session.id;
    if (faults.take('silent', sessionId) !== undefined) {
      this.note(request, from, 'dropped_silent');
      return;
    }
    const refusal = faults.take('refuse', sessionId);
    const outcome: Decision = refusal === undefined ? decision : { kind: 'nak', cause: refusal.errorCause };
    this.note(request, from, outcome.kind === 'nak' ? `nak_${outcome.cause}` : 'ack');
    const late = faults.take('ack_late', sessionId);
    const carryOut = () => this.carryOut(outcome);
    if (late?.obeysLate !== true) carryOut();
    const kept: KeptReply = { authenticator: request.authenticator, bytes: undefined, atMs: Date.now() };
    this.keep(keyOf(request, from), kept);
    if (late === undefined) {
      kept.bytes = this.reply(request, from, outcome, settings, sessionId);
      return;
    }
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (late.obeysLate === true) carryOut();
      kept.bytes = this.reply(request, from, outcome, settings, sessionId);
    }, late.ms);
    this.timers.add(timer);
  }

  private carryOut(outcome: Decision): void {
    const { faults } = this.host;
    if (outcome.kind === 'nak') return;
    if (faults.take('ack_without_obeying', outcome.session.id) !== undefined) {
      outcome.session.isLiedAbout = outcome.kind === 'coa';
      return;
    }
    const another = this.anotherThan(outcome.session);
    if (another !== undefined && faults.take('obey_for_another', outcome.session.id) !== undefined) {
      if (outcome.kind === 'disconnect') {
        this.host.disconnect(another);
        return;
      }
      outcome.session.isLiedAbout = true;
      another.isLiedAbout = true;
      this.host.change(another, outcome.changes);
      return;
    }
    // A late reply may find the session gone by itself.
    if (outcome.session.state === 'ended') return;
    if (outcome.kind === 'disconnect') {
      this.host.disconnect(outcome.session);
      return;
    }
    const { queue, ...others } = outcome.changes;
    const keepsQueue = queue === undefined || faults.take('ignore_rate', outcome.session.id) !== undefined;
    outcome.session.isLiedAbout = keepsQueue && queue !== undefined;
    this.host.change(outcome.session, keepsQueue ? others : { ...others, queue });
  }

  /** The session that came up next after this one, else the oldest. */
  private anotherThan(session: Session): Session | undefined {
    const live = this.host.sessions();
    const next = live[live.indexOf(session) + 1] ?? live[0];
    return next === session ? undefined : next;
  }

  private reply(
    request: Packet,
    from: Endpoint,
    outcome: Decision,
    settings: RouterSettings,
    sessionId: string | undefined,
  ): Buffer {
    const isDisconnect = request.code === packetCode.disconnectRequest;
    const isAck = outcome.kind !== 'nak';
    const code = isDisconnect
      ? isAck
        ? packetCode.disconnectAck
        : packetCode.disconnectNak
      : isAck
        ? packetCode.coaAck
        : packetCode.coaNak;
    if (isAck) this.counters.acks++;
    else this.counters.naks++;
    const attributes: Attributes = [
      emptyMessageAuthenticator,
      ...(isAck ? [] : ([['Error-Cause', outcome.cause]] as const)),
      ...request.attributes.filter(([name]) => name === 'Proxy-State'),
    ];
    const bytes = encodePacket(code, request.identifier, attributes);
    sealReply(bytes, request.authenticator, settings.secret);
    this.transmit(bytes, from, sessionId);
    return bytes;
  }

  private transmit(bytes: Buffer, to: Endpoint, sessionId: string | undefined): void {
    const isLost =
      this.host.faults.has('deaf') || this.host.faults.take('lose_replies', sessionId) !== undefined;
    const reply = decodePacket(bytes);
    this.host.log.add({
      direction: 'out',
      peer: `${to.address}:${to.port}`,
      code: bytes.readUInt8(0),
      identifier: bytes.readUInt8(1),
      result: isLost ? 'lost' : 'sent',
      attributes: reply?.attributes ?? [],
    });
    if (!isLost) this.socket?.send(bytes, to.port, to.address);
  }

  private keep(key: string, kept: KeptReply): void {
    for (const [each, { atMs }] of this.kept) {
      if (Date.now() - atMs < replyKeptMs) break;
      this.kept.delete(each);
    }
    // Deleted first, so that the map stays in the order of time.
    this.kept.delete(key);
    this.kept.set(key, kept);
  }

  private note(request: Packet, from: Endpoint, result: string): void {
    this.host.log.add({
      direction: 'in',
      peer: `${from.address}:${from.port}`,
      code: request.code,
      identifier: request.identifier,
      result,
      attributes: request.attributes,
    });
  }
}

function keyOf(request: Packet, from: Endpoint): string {
  return `${from.address}:${from.port}/${request.code}/${request.identifier}`;
}

function sessionIdOf(request: Packet): string | undefined {
  return textOf(request.attributes, 'Acct-Session-Id');
}
