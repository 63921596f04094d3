interface Definition {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'ipaddr' | 'prefix';
}

/** What our rows put into an Access-Accept or Access-Reject: RFC 2865, 2869, 3162 and 4818. */
const standard: Readonly<Record<number, Definition>> = {
  8: { name: 'Framed-IP-Address', type: 'ipaddr' },
  18: { name: 'Reply-Message', type: 'string' },
  25: { name: 'Class', type: 'string' },
  27: { name: 'Session-Timeout', type: 'integer' },
  28: { name: 'Idle-Timeout', type: 'integer' },
  85: { name: 'Acct-Interim-Interval', type: 'integer' },
  88: { name: 'Framed-Pool', type: 'string' },
  100: { name: 'Framed-IPv6-Pool', type: 'string' },
  123: { name: 'Delegated-IPv6-Prefix', type: 'prefix' },
};

/** MikroTik's (private enterprise number 14988). */
const mikrotik: Readonly<Record<number, Definition>> = {
  3: { name: 'Mikrotik-Group', type: 'string' },
  8: { name: 'Mikrotik-Rate-Limit', type: 'string' },
  19: { name: 'Mikrotik-Address-List', type: 'string' },
  22: { name: 'Mikrotik-Delegated-IPv6-Pool', type: 'string' },
};

const vendorSpecific = 26;
const messageAuthenticator = 80;
const mikrotikVendor = 14988;

/**
 * The attributes of a RADIUS answer (RFC 2865 §5) as names and text. One that is not in the tables above is given by
 * number, as hex; what follows a length that cannot be is left out.
 */
export function replyAttributes(packet: Buffer): [name: string, value: string][] {
  return walk(packet.subarray(20)).flatMap(([type, value]): [string, string][] => {
    if (type === messageAuthenticator) return [];
    if (type !== vendorSpecific || value.length < 4) return [text(standard[type], `Attr-${type}`, value)];
    const vendor = value.readUInt32BE(0);
    return walk(value.subarray(4)).map(([own, inner]) => {
      const definition = vendor === mikrotikVendor ? mikrotik[own] : undefined;
      return text(definition, `Vendor-${vendor}-Attr-${own}`, inner);
    });
  });
}

function walk(bytes: Buffer): [type: number, value: Buffer][] {
  const found: [number, Buffer][] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) break;
    found.push([bytes[at] ?? 0, bytes.subarray(at + 2, at + length)]);
    at += length;
  }
  return found;
}

function text(definition: Definition | undefined, name: string, value: Buffer): [string, string] {
  if (definition === undefined) return [name, `0x${value.toString('hex')}`];
  switch (definition.type) {
    case 'string':
      return [definition.name, value.toString('utf8')];
    case 'integer':
      return [
        definition.name,
        value.length === 4 ? String(value.readUInt32BE(0)) : `0x${value.toString('hex')}`,
      ];
    case 'ipaddr':
      return [definition.name, [...value].join('.')];
    case 'prefix':
      return [definition.name, prefixText(value)];
  }
}

/** Reserved byte, length in bits, then as many bytes as are needed (RFC 3162 §2.3). */
function prefixText(value: Buffer): string {
  const address = Buffer.alloc(16);
  value.subarray(2, 18).copy(address);
  const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(index * 2).toString(16));
  const host = new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
  return `${host}/${value[1] ?? 0}`;
}
