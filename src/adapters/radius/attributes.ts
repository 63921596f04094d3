import { isIPv4, isIPv6 } from 'node:net';

/** `[name, value]` as text: `['Mikrotik-Rate-Limit', '10M/50M']`. */
export type Attribute = readonly [name: string, value: string];

/** Attribute numbers with their value's type; vendor attributes carry the vendor's number. */
interface Definition {
  readonly id: number;
  readonly type: 'string' | 'integer' | 'ipaddr' | 'ipv6addr';
  readonly vendor?: number;
}

/** IANA private enterprise number of MikroTik. */
export const mikrotik = 14988;

/**
 * The attributes that a CoA-Request or Disconnect-Request of ours may hold: what names a session, and what RouterOS
 * lists as changeable (MikroTik manual, "RADIUS", change of authorization). RFC 2865, 2866, 2869, 3162 and MikroTik's
 * dictionary. It is a table, not a dictionary file, so that the build needs no file beside its code.
 */
const definitions: Readonly<Record<string, Definition>> = {
  'User-Name': { id: 1, type: 'string' },
  'Framed-IP-Address': { id: 8, type: 'ipaddr' },
  'Filter-Id': { id: 11, type: 'string' },
  Class: { id: 25, type: 'string' },
  'Session-Timeout': { id: 27, type: 'integer' },
  'Idle-Timeout': { id: 28, type: 'integer' },
  'Calling-Station-Id': { id: 31, type: 'string' },
  'Acct-Session-Id': { id: 44, type: 'string' },
  'Port-Limit': { id: 62, type: 'integer' },
  'Acct-Interim-Interval': { id: 85, type: 'integer' },
  'NAS-Port-Id': { id: 87, type: 'string' },
  'Framed-IPv6-Address': { id: 168, type: 'ipv6addr' },
  'Mikrotik-Recv-Limit': { id: 1, type: 'integer', vendor: mikrotik },
  'Mikrotik-Xmit-Limit': { id: 2, type: 'integer', vendor: mikrotik },
  'Mikrotik-Group': { id: 3, type: 'string', vendor: mikrotik },
  'Mikrotik-Rate-Limit': { id: 8, type: 'string', vendor: mikrotik },
  'Mikrotik-Mark-Id': { id: 11, type: 'string', vendor: mikrotik },
  'Mikrotik-Advertise-URL': { id: 12, type: 'string', vendor: mikrotik },
  'Mikrotik-Advertise-Interval': { id: 13, type: 'integer', vendor: mikrotik },
  'Mikrotik-Recv-Limit-Gigawords': { id: 14, type: 'integer', vendor: mikrotik },
  'Mikrotik-Xmit-Limit-Gigawords': { id: 15, type: 'integer', vendor: mikrotik },
  'Mikrotik-Address-List': { id: 19, type: 'string', vendor: mikrotik },
};

/** What `radius` encodes: `[id, value]`, or `['Vendor-Specific', vendor, [[id, value]]]`. */
export type EncodedAttribute =
  | readonly [id: number, value: Buffer]
  | readonly ['Vendor-Specific', number, readonly (readonly [number, Buffer])[]];

/** Attribute longer than its one length byte allows, of an unknown name, or with a value that is not of its type. */
export class AttributeError extends Error {
  override readonly name = 'AttributeError';
}

/**
 * The attribute as bytes. Values are checked here, since `radius` accepts 300.1.1.999 as an address and 256 bytes as a
 * length. Throws AttributeError, which names the attribute and the rule but never the value.
 */
export function encodeAttribute([name, text]: Attribute): EncodedAttribute {
  const definition = Object.hasOwn(definitions, name) ? definitions[name] : undefined;
  if (definition === undefined) throw new AttributeError(`${name}: is not an attribute that we send`);
  const value = encodeValue(name, text, definition.type);
  // One byte for id and length each; a vendor's attribute also has Vendor-Specific's own head of six bytes.
  const most = definition.vendor === undefined ? 253 : 247;
  if (value.length === 0 || value.length > most)
    throw new AttributeError(`${name}: must be 1 to ${most} bytes`);
  if (definition.vendor === undefined) return [definition.id, value];
  return ['Vendor-Specific', definition.vendor, [[definition.id, value]]];
}

function encodeValue(name: string, text: string, type: Definition['type']): Buffer {
  switch (type) {
    case 'string':
      return Buffer.from(text, 'utf8');
    case 'integer':
      return encodeInteger(name, text);
    case 'ipaddr':
      if (!isIPv4(text)) throw new AttributeError(`${name}: must be an IPv4 address`);
      return Buffer.from(text.split('.').map(Number));
    case 'ipv6addr':
      return encodeIpv6(name, text);
  }
}

function encodeInteger(name: string, text: string): Buffer {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Infinity;
  if (value > 0xffffffff) throw new AttributeError(`${name}: must be a whole number below 2^32`);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function encodeIpv6(name: string, text: string): Buffer {
  if (!isIPv6(text) || text.includes('%')) throw new AttributeError(`${name}: must be an IPv6 address`);
  const [left = '', right] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const before = groups(left);
  const after = right === undefined ? [] : groups(right);
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}
