import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import {
  attributeCoded,
  type AttributeDefinition,
  attributeNamed,
  type AttributeType,
} from './dictionary.ts';

export type AttributeValue = string | number | Buffer;

/** Name and value pairs in the order of the wire. */
export type Attributes = readonly (readonly [string, AttributeValue])[];

export interface Packet {
  readonly code: number;
  readonly identifier: number;
  readonly authenticator: Buffer;
  readonly attributes: Attributes;
  /** The packet's own bytes, without padding behind its Length. */
  readonly bytes: Buffer;
}

const headerLength = 20;
const packetLengthMax = 4096;
const messageAuthenticatorCode = 80;
const vendorSpecificCode = 26;
const zeroAuthenticator = Buffer.alloc(16);

/**
 * Reads a packet as RFC 2865 section 3 says: bytes behind Length are padding; undefined for one that is too short, too
 * long, or whose attributes do not fill it exactly (to be discarded silently).
 */
export function decodePacket(datagram: Buffer): Packet | undefined {
  if (datagram.length < headerLength) return undefined;
  const length = datagram.readUInt16BE(2);
  if (length < headerLength || length > packetLengthMax || length > datagram.length) return undefined;
  const bytes = datagram.subarray(0, length);
  const attributes: [string, AttributeValue][] = [];
  for (let at = headerLength; at < length;) {
    const size = at + 2 > length ? 0 : bytes.readUInt8(at + 1);
    if (size < 2 || at + size > length) return undefined;
    const inside = decodeAttribute(bytes.readUInt8(at), bytes.subarray(at + 2, at + size));
    if (inside === undefined) return undefined;
    attributes.push(...inside);
    at += size;
  }
  return {
    code: bytes.readUInt8(0),
    identifier: bytes.readUInt8(1),
    authenticator: bytes.subarray(4, headerLength),
    attributes,
    bytes,
  };
}

function decodeAttribute(code: number, value: Buffer): [string, AttributeValue][] | undefined {
  if (code !== vendorSpecificCode || value.length < 4) {
    const definition = attributeCoded(code, undefined);
    return [[definition.name, decodeValue(definition.type, value)]];
  }
  const vendor = value.readUInt32BE(0);
  const found: [string, AttributeValue][] = [];
  for (let at = 4; at < value.length;) {
    const size = at + 2 > value.length ? 0 : value.readUInt8(at + 1);
    if (size < 2 || at + size > value.length) return undefined;
    const definition = attributeCoded(value.readUInt8(at), vendor);
    found.push([definition.name, decodeValue(definition.type, value.subarray(at + 2, at + size))]);
    at += size;
  }
  return found;
}

/** A value whose length does not fit its type comes back as its bytes, so that the reader can refuse it. */
function decodeValue(type: AttributeType, value: Buffer): AttributeValue {
  switch (type) {
    case 'text':
      return value.toString('utf8');
    case 'integer':
    case 'date':
      return value.length === 4 ? value.readUInt32BE(0) : value;
    case 'ipv4':
      return value.length === 4 ? value.join('.') : value;
    case 'ipv6':
      return value.length === 16 ? ipv6Text(value) : value;
    case 'ipv6prefix':
      if (value.length < 2 || value.length > 18) return value;
      return `${ipv6Text(Buffer.concat([value.subarray(2), zeroAuthenticator], 16))}/${value.readUInt8(1)}`;
    case 'octets':
      return value;
  }
}

/** The packet's bytes with 16 zero bytes as authenticator; throws RangeError naming the attribute that does not fit. */
export function encodePacket(code: number, identifier: number, attributes: Attributes): Buffer {
  const parts = attributes.map(([name, value]) => encodeAttribute(attributeNamed(name), value));
  const length = headerLength + parts.reduce((sum, part) => sum + part.length, 0);
  if (length > packetLengthMax) throw new RangeError(`packet: ${length} bytes, at most ${packetLengthMax}`);
  const header = Buffer.alloc(headerLength);
  header.writeUInt8(code, 0);
  header.writeUInt8(identifier, 1);
  header.writeUInt16BE(length, 2);
  return Buffer.concat([header, ...parts], length);
}

function encodeAttribute(definition: AttributeDefinition, value: AttributeValue): Buffer {
  const bytes = encodeValue(definition, value);
  const lengthMax = definition.vendor === undefined ? 253 : 247;
  if (bytes.length > lengthMax) {
    throw new RangeError(`${definition.name}: ${bytes.length} bytes, at most ${lengthMax}`);
  }
  const inner = Buffer.concat([Buffer.from([definition.code, bytes.length + 2]), bytes]);
  if (definition.vendor === undefined) return inner;
  const outer = Buffer.alloc(6);
  outer.writeUInt8(vendorSpecificCode, 0);
  outer.writeUInt8(inner.length + 6, 1);
  outer.writeUInt32BE(definition.vendor, 2);
  return Buffer.concat([outer, inner]);
}

function encodeValue(definition: AttributeDefinition, value: AttributeValue): Buffer {
  if (Buffer.isBuffer(value)) return value;
  const { name, type } = definition;
  if (type === 'integer' || type === 'date') return encodeInteger(name, Number(value));
  if (typeof value !== 'string') throw new RangeError(`${name}: a number, but its type is ${type}`);
  switch (type) {
    case 'ipv4':
      if (!isIPv4(value)) throw new RangeError(`${name}: not an IPv4 address`);
      return Buffer.from(value.split('.').map(Number));
    case 'ipv6':
      return ipv6Bytes(name, value);
    case 'ipv6prefix': {
      const [address = '', length = ''] = value.split('/');
      if (!/^\d{1,3}$/.test(length) || Number(length) > 128) throw new RangeError(`${name}: not a prefix`);
      return Buffer.concat([Buffer.from([0, Number(length)]), ipv6Bytes(name, address)]);
    }
    case 'text':
    case 'octets':
      return Buffer.from(value, 'utf8');
  }
}

function encodeInteger(name: string, value: number): Buffer {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new RangeError(`${name}: not an integer of 32 bits`);
  }
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

// The URL parser writes IPv6 in one canonical form, so it does the work of "::" in both directions.
function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

function ipv6Bytes(name: string, text: string): Buffer {
  if (!isIPv6(text) || text.includes('%')) throw new RangeError(`${name}: not an IPv6 address`);
  const [head = '', tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const groupsOf = (part: string | undefined) => (part === undefined || part === '' ? [] : part.split(':'));
  const front = groupsOf(head);
  const back = groupsOf(tail);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  const bytes = Buffer.alloc(16);
  [...front, ...zeros, ...back].forEach((group, i) => bytes.writeUInt16BE(parseInt(group, 16), i * 2));
  return bytes;
}

/** The first value of a name, if it has the expected kind. */
export function textOf(attributes: Attributes, name: string): string | undefined {
  const value = valueOf(attributes, name);
  return typeof value === 'string' ? value : undefined;
}

export function numberOf(attributes: Attributes, name: string): number | undefined {
  const value = valueOf(attributes, name);
  return typeof value === 'number' ? value : undefined;
}

export function bytesOf(attributes: Attributes, name: string): Buffer | undefined {
  const value = valueOf(attributes, name);
  return Buffer.isBuffer(value) ? value : undefined;
}

export function valueOf(attributes: Attributes, name: string): AttributeValue | undefined {
  return attributes.find(([each]) => each === name)?.[1];
}

/** An Access-Request: its authenticator is random, and Message-Authenticator (RFC 2869 section 5.14) covers it. */
export function sealAccessRequest(bytes: Buffer, authenticator: Buffer, secret: string): Buffer {
  authenticator.copy(bytes, 4);
  const at = messageAuthenticatorAt(bytes);
  if (at !== undefined) writeMessageAuthenticator(bytes, at, secret);
  return bytes;
}

/**
 * An Accounting-, CoA- or Disconnect-Request (RFC 2866 section 3, RFC 5176 sections 2.3 and 3.4): Message-Authenticator is
 * computed over a zero authenticator and written first, then the MD5 over the whole with the secret becomes the authenticator.
 */
export function sealRequest(bytes: Buffer, secret: string): Buffer {
  return sealOver(bytes, zeroAuthenticator, secret);
}

/** Any reply: Message-Authenticator over the request's authenticator first, then the response authenticator. */
export function sealReply(bytes: Buffer, requestAuthenticator: Buffer, secret: string): Buffer {
  return sealOver(bytes, requestAuthenticator, secret);
}

function sealOver(bytes: Buffer, over: Buffer, secret: string): Buffer {
  over.copy(bytes, 4);
  const at = messageAuthenticatorAt(bytes);
  if (at !== undefined) writeMessageAuthenticator(bytes, at, secret);
  md5(bytes, Buffer.from(secret)).copy(bytes, 4);
  return bytes;
}

export interface Verdict {
  readonly authenticator: 'valid' | 'invalid';
  readonly messageAuthenticator: 'valid' | 'invalid' | 'absent';
}

/** Whether a reply was made for this request by somebody who knows the secret. */
export function verifyReply(bytes: Buffer, requestAuthenticator: Buffer, secret: string): Verdict {
  return verifyOver(bytes, requestAuthenticator, secret);
}

/** Whether an Accounting-, CoA- or Disconnect-Request was made by somebody who knows the secret. */
export function verifyRequest(bytes: Buffer, secret: string): Verdict {
  return verifyOver(bytes, zeroAuthenticator, secret);
}

function verifyOver(bytes: Buffer, over: Buffer, secret: string): Verdict {
  const copy = Buffer.from(bytes);
  over.copy(copy, 4);
  const isValid = timingSafeEqual(md5(copy, Buffer.from(secret)), bytes.subarray(4, headerLength));
  const at = messageAuthenticatorAt(copy);
  if (at === undefined)
    return { authenticator: isValid ? 'valid' : 'invalid', messageAuthenticator: 'absent' };
  const claimed = Buffer.from(copy.subarray(at, at + 16));
  writeMessageAuthenticator(copy, at, secret);
  const isSame = timingSafeEqual(claimed, copy.subarray(at, at + 16));
  return { authenticator: isValid ? 'valid' : 'invalid', messageAuthenticator: isSame ? 'valid' : 'invalid' };
}

/** Where the 16 bytes of Message-Authenticator begin, if the packet has it. */
export function messageAuthenticatorAt(bytes: Buffer): number | undefined {
  for (let at = headerLength; at + 2 <= bytes.length;) {
    const size = bytes.readUInt8(at + 1);
    if (bytes.readUInt8(at) === messageAuthenticatorCode && size === 18) return at + 2;
    if (size < 2) return undefined;
    at += size;
  }
  return undefined;
}

function writeMessageAuthenticator(bytes: Buffer, at: number, secret: string): void {
  bytes.fill(0, at, at + 16);
  createHmac('md5', secret).update(bytes).digest().copy(bytes, at);
}

function md5(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Message-Authenticator to be filled in by a seal function; it goes first, as RouterOS and the BlastRADIUS advice have it. */
export const emptyMessageAuthenticator: readonly [string, Buffer] = [
  'Message-Authenticator',
  zeroAuthenticator,
];
