import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
// Only the default import works: the package's named exports have no binding at run time.
import radius from 'radius';
import { type Attribute, AttributeError, encodeAttribute } from './attributes.ts';

export type RequestKind = 'coa' | 'disconnect';

/** A reply that proved itself. */
export interface Reply {
  readonly kind: 'ack' | 'nak';
  /** Error-Cause of a NAK (RFC 5176 §3.6), such as 503; null where the router gave none. */
  readonly errorCause: number | null;
}

const names = { coa: 'CoA-Request', disconnect: 'Disconnect-Request' } as const;
/** Codes of RFC 5176 §2.3: request, ACK, NAK. */
const replyCodes: Readonly<Record<number, { ack: number; nak: number }>> = {
  40: { ack: 41, nak: 42 },
  43: { ack: 44, nak: 45 },
};
const messageAuthenticator = 80;
const errorCause = 101;

/** Names one session, never all of a user: a retransmit must not hit the session that was dialled after it. */
export interface SessionName {
  readonly username: string;
  /** Verbatim as the router sent it: RouterOS compares text. */
  readonly acctSessionId: string;
  /** '' where accounting never said one. */
  readonly framedIpAddress: string;
}

/**
 * Session identification attributes (RFC 5176 §3): Acct-Session-Id, User-Name and Framed-IP-Address. NAS-IP-Address is
 * left out, as RouterOS refuses one that is not its own; Event-Timestamp too, as a router whose clock is wrong drops it.
 */
export function sessionAttributes(session: SessionName): Attribute[] {
  return [
    ['User-Name', session.username],
    ['Acct-Session-Id', session.acctSessionId],
    ...(session.framedIpAddress === '' ? [] : [['Framed-IP-Address', session.framedIpAddress] as const]),
  ];
}

/**
 * A CoA-Request or Disconnect-Request, sealed in RFC 5176's order: both authenticators zero, HMAC-MD5 into
 * Message-Authenticator, which is the first attribute, then MD5 into the Request Authenticator (§3.4, §2.3).
 * `radius` only lays out the attributes; its own seal takes the two in the wrong order. Throws AttributeError.
 */
export function sealRequest(
  kind: RequestKind,
  identifier: number,
  secret: string,
  attributes: readonly Attribute[],
): Buffer {
  const packet = layOut(kind, identifier, attributes);
  packet.fill(0, 4, 20);
  createHmac('md5', secret).update(packet).digest().copy(packet, 22);
  createHash('md5').update(packet).update(secret, 'utf8').digest().copy(packet, 4);
  return packet;
}

function layOut(kind: RequestKind, identifier: number, attributes: readonly Attribute[]): Buffer {
  const encoded = attributes.map(encodeAttribute);
  try {
    return radius.encode({
      code: names[kind],
      secret: '',
      identifier,
      attributes: [[messageAuthenticator, Buffer.alloc(16)], ...encoded],
    });
  } catch (error) {
    // The package has room for 4096 bytes, the longest packet of RFC 2865 §3.
    if (error instanceof RangeError) throw new AttributeError('the attributes do not fit into one packet');
    throw error;
  }
}

/**
 * The reply to `request`, or undefined where it does not prove that the router made it for this request: code,
 * identifier, length, Response Authenticator (RFC 5176 §2.3) and, where it has one, Message-Authenticator. Digests are
 * compared in constant time. Bytes behind the stated length are padding (RFC 2865 §3).
 */
export function verifyReply(request: Buffer, reply: Buffer, secret: string): Reply | undefined {
  const codes = replyCodes[request[0] ?? 0];
  const kind = codes === undefined ? undefined : kindOf(codes, reply[0]);
  if (kind === undefined || reply.length < 20 || reply[1] !== request[1]) return undefined;
  const length = reply.readUInt16BE(2);
  if (length < 20 || length > reply.length || length > 4096) return undefined;

  const packet = Buffer.from(reply.subarray(0, length));
  const given = Buffer.from(packet.subarray(4, 20));
  request.copy(packet, 4, 4, 20);
  const digest = createHash('md5').update(packet).update(secret, 'utf8').digest();
  if (!timingSafeEqual(given, digest)) return undefined;

  const attributes = splitAttributes(packet);
  if (attributes === undefined || !isMessageAuthentic(packet, attributes, secret)) return undefined;
  const cause = attributes.find((attribute) => attribute.id === errorCause && attribute.value.length === 4);
  return { kind, errorCause: kind === 'nak' && cause !== undefined ? cause.value.readUInt32BE() : null };
}

function kindOf(codes: { ack: number; nak: number }, code: number | undefined): Reply['kind'] | undefined {
  if (code === codes.ack) return 'ack';
  return code === codes.nak ? 'nak' : undefined;
}

/** The attributes as views into the packet; undefined where a length is impossible, which `radius` lets through. */
function splitAttributes(packet: Buffer): { id: number; value: Buffer }[] | undefined {
  const attributes: { id: number; value: Buffer }[] = [];
  for (let at = 20; at < packet.length;) {
    const length = packet[at + 1] ?? 0;
    if (length < 2 || at + length > packet.length) return undefined;
    attributes.push({ id: packet[at] ?? 0, value: packet.subarray(at + 2, at + length) });
    at += length;
  }
  return attributes;
}

/** `packet` holds the request's authenticator, as the HMAC of a reply is taken over that. */
function isMessageAuthentic(
  packet: Buffer,
  attributes: readonly { id: number; value: Buffer }[],
  secret: string,
): boolean {
  const found = attributes.filter((attribute) => attribute.id === messageAuthenticator);
  const [only] = found;
  if (only === undefined) return true;
  if (found.length > 1 || only.value.length !== 16) return false;
  const given = Buffer.from(only.value);
  only.value.fill(0);
  return timingSafeEqual(given, createHmac('md5', secret).update(packet).digest());
}
