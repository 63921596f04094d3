/** How an attribute's bytes are written and read. Prefixes are text such as `2001:db8::/56`; a date is epoch seconds. */
export type AttributeType = 'text' | 'octets' | 'integer' | 'ipv4' | 'ipv6' | 'ipv6prefix' | 'date';

export interface AttributeDefinition {
  readonly name: string;
  readonly code: number;
  readonly type: AttributeType;
  /** The vendor's SMI number, for an attribute inside Vendor-Specific. */
  readonly vendor: number | undefined;
}

export const mikrotik = 14988;
const microsoft = 311;
const ascend = 529;

type Row = readonly [number, string, AttributeType];

// RFC 2865, 2866, 2869, 3162, 4818, 5176.
const standard: readonly Row[] = [
  [1, 'User-Name', 'text'],
  [2, 'User-Password', 'octets'],
  [3, 'CHAP-Password', 'octets'],
  [4, 'NAS-IP-Address', 'ipv4'],
  [5, 'NAS-Port', 'integer'],
  [6, 'Service-Type', 'integer'],
  [7, 'Framed-Protocol', 'integer'],
  [8, 'Framed-IP-Address', 'ipv4'],
  [9, 'Framed-IP-Netmask', 'ipv4'],
  [11, 'Filter-Id', 'text'],
  [12, 'Framed-MTU', 'integer'],
  [18, 'Reply-Message', 'text'],
  [22, 'Framed-Route', 'text'],
  [24, 'State', 'octets'],
  [25, 'Class', 'octets'],
  [27, 'Session-Timeout', 'integer'],
  [28, 'Idle-Timeout', 'integer'],
  [30, 'Called-Station-Id', 'text'],
  [31, 'Calling-Station-Id', 'text'],
  [32, 'NAS-Identifier', 'text'],
  [33, 'Proxy-State', 'octets'],
  [40, 'Acct-Status-Type', 'integer'],
  [41, 'Acct-Delay-Time', 'integer'],
  [42, 'Acct-Input-Octets', 'integer'],
  [43, 'Acct-Output-Octets', 'integer'],
  [44, 'Acct-Session-Id', 'text'],
  [45, 'Acct-Authentic', 'integer'],
  [46, 'Acct-Session-Time', 'integer'],
  [47, 'Acct-Input-Packets', 'integer'],
  [48, 'Acct-Output-Packets', 'integer'],
  [49, 'Acct-Terminate-Cause', 'integer'],
  [50, 'Acct-Multi-Session-Id', 'text'],
  [52, 'Acct-Input-Gigawords', 'integer'],
  [53, 'Acct-Output-Gigawords', 'integer'],
  [55, 'Event-Timestamp', 'date'],
  [60, 'CHAP-Challenge', 'octets'],
  [61, 'NAS-Port-Type', 'integer'],
  [62, 'Port-Limit', 'integer'],
  [77, 'Connect-Info', 'text'],
  [80, 'Message-Authenticator', 'octets'],
  [85, 'Acct-Interim-Interval', 'integer'],
  [87, 'NAS-Port-Id', 'text'],
  [88, 'Framed-Pool', 'text'],
  [95, 'NAS-IPv6-Address', 'ipv6'],
  [96, 'Framed-Interface-Id', 'octets'],
  [97, 'Framed-IPv6-Prefix', 'ipv6prefix'],
  [100, 'Framed-IPv6-Pool', 'text'],
  [101, 'Error-Cause', 'integer'],
  [123, 'Delegated-IPv6-Prefix', 'ipv6prefix'],
  [168, 'Framed-IPv6-Address', 'ipv6'],
];

// MikroTik's manual, "RADIUS": the attributes that PPP and hotspot use.
const mikrotikRows: readonly Row[] = [
  [1, 'Mikrotik-Recv-Limit', 'integer'],
  [2, 'Mikrotik-Xmit-Limit', 'integer'],
  [3, 'Mikrotik-Group', 'text'],
  [8, 'Mikrotik-Rate-Limit', 'text'],
  [9, 'Mikrotik-Realm', 'text'],
  [10, 'Mikrotik-Host-IP', 'ipv4'],
  [11, 'Mikrotik-Mark-Id', 'text'],
  [12, 'Mikrotik-Advertise-URL', 'text'],
  [13, 'Mikrotik-Advertise-Interval', 'integer'],
  [14, 'Mikrotik-Recv-Limit-Gigawords', 'integer'],
  [15, 'Mikrotik-Xmit-Limit-Gigawords', 'integer'],
  [17, 'Mikrotik-Total-Limit', 'integer'],
  [18, 'Mikrotik-Total-Limit-Gigawords', 'integer'],
  [19, 'Mikrotik-Address-List', 'text'],
  [22, 'Mikrotik-Delegated-IPv6-Pool', 'text'],
];

// RFC 2548.
const microsoftRows: readonly Row[] = [
  [2, 'MS-CHAP-Error', 'octets'],
  [11, 'MS-CHAP-Challenge', 'octets'],
  [16, 'MS-MPPE-Send-Key', 'octets'],
  [17, 'MS-MPPE-Recv-Key', 'octets'],
  [25, 'MS-CHAP2-Response', 'octets'],
  [26, 'MS-CHAP2-Success', 'octets'],
];

const ascendRows: readonly Row[] = [
  [197, 'Ascend-Data-Rate', 'integer'],
  [255, 'Ascend-Xmit-Rate', 'integer'],
];

const byName = new Map<string, AttributeDefinition>();
const byCode = new Map<string, AttributeDefinition>();
for (const [vendor, rows] of [
  [undefined, standard],
  [mikrotik, mikrotikRows],
  [microsoft, microsoftRows],
  [ascend, ascendRows],
] as const) {
  for (const [code, name, type] of rows) {
    const definition = { name, code, type, vendor };
    byName.set(name, definition);
    byCode.set(`${vendor ?? 0}/${code}`, definition);
  }
}

/** The definition of a name; throws for a name that the lab's dictionary does not have. */
export function attributeNamed(name: string): AttributeDefinition {
  const found = byName.get(name);
  if (found === undefined) throw new RangeError(`${name}: not in the lab's dictionary`);
  return found;
}

/** The definition of a code, made up as octets where the dictionary does not have it. */
export function attributeCoded(code: number, vendor: number | undefined): AttributeDefinition {
  const name = vendor === undefined ? `Attr-${code}` : `Vendor-${vendor}-Attr-${code}`;
  return byCode.get(`${vendor ?? 0}/${code}`) ?? { name, code, type: 'octets', vendor };
}

export const packetCode = {
  accessRequest: 1,
  accessAccept: 2,
  accessReject: 3,
  accountingRequest: 4,
  accountingResponse: 5,
  accessChallenge: 11,
  disconnectRequest: 40,
  disconnectAck: 41,
  disconnectNak: 42,
  coaRequest: 43,
  coaAck: 44,
  coaNak: 45,
} as const;

const codeNames: Readonly<Record<number, string>> = {
  1: 'Access-Request',
  2: 'Access-Accept',
  3: 'Access-Reject',
  4: 'Accounting-Request',
  5: 'Accounting-Response',
  11: 'Access-Challenge',
  40: 'Disconnect-Request',
  41: 'Disconnect-ACK',
  42: 'Disconnect-NAK',
  43: 'CoA-Request',
  44: 'CoA-ACK',
  45: 'CoA-NAK',
};

export function codeName(code: number): string {
  return codeNames[code] ?? `Code-${code}`;
}

export const acctStatus = {
  Start: 1,
  Stop: 2,
  'Interim-Update': 3,
  'Accounting-On': 7,
  'Accounting-Off': 8,
} as const;
export type AcctStatus = keyof typeof acctStatus;

// RFC 2866 section 5.10.
export const terminateCause = {
  'User-Request': 1,
  'Lost-Carrier': 2,
  'Idle-Timeout': 4,
  'Session-Timeout': 5,
  'Admin-Reset': 6,
  'Admin-Reboot': 7,
  'NAS-Request': 10,
  'NAS-Reboot': 11,
} as const;
export type TerminateCause = keyof typeof terminateCause;

// RFC 5176 section 3.5.
export const errorCause = {
  unsupportedAttribute: 401,
  missingAttribute: 402,
  nasIdentificationMismatch: 403,
  invalidRequest: 404,
  unsupportedService: 405,
  invalidAttributeValue: 407,
  administrativelyProhibited: 501,
  sessionContextNotFound: 503,
  multipleSessionSelection: 508,
} as const;
