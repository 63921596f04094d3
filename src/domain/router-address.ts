export interface RouterAddress {
  /** In the spelling that FreeRADIUS has for a client file's name: inet_ntop's, which for IPv6 is RFC 5952. */
  readonly text: string;
  readonly version: 4 | 6;
}

/** FreeRADIUS's static client for health checks; a static client always wins over a router's file (measured, 3.2.1). */
export const statusClientAddress = '127.0.0.1';

/**
 * The source address of a router's RADIUS packets. Throws RangeError saying what is wrong with anything that is not one
 * single unicast address: client files have no networks. Loopback is allowed, the lab lives there, but not the status
 * client's own address. An IPv4-mapped address is refused, because FreeRADIUS would see the IPv4 one.
 */
export function parseRouterAddress(text: string): RouterAddress {
  if (text.includes('/')) throw new RangeError('one address, not a network');
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): RouterAddress {
  const octets = ipv4Octets(text);
  if (octets === undefined) throw new RangeError('not an IPv4 or IPv6 address');
  const first = octets[0] ?? 0;
  if (first === 0 || first >= 224) throw new RangeError('not an address that a router can send from');
  if (text === statusClientAddress) throw new RangeError(`${text} belongs to FreeRADIUS's own health checks`);
  return { text, version: 4 };
}

/** Leading zeros are refused: some programs read 010 as eight. */
function ipv4Octets(text: string): number[] | undefined {
  const parts = text.split('.');
  const isRight =
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part <= 255);
  return isRight ? parts.map(Number) : undefined;
}

function parseIpv6(text: string): RouterAddress {
  const groups = ipv6Groups(text);
  if (groups === undefined) throw new RangeError('not an IPv4 or IPv6 address');
  const [first = 0] = groups;
  const isLoopback = groups.slice(0, 7).every((group) => group === 0) && groups[7] === 1;
  if (isLoopback) return { text: '::1', version: 6 };
  if (groups.slice(0, 5).every((group) => group === 0)) {
    throw new RangeError('unspecified or IPv4 in IPv6: give the IPv4 address itself');
  }
  if (first >= 0xff00) throw new RangeError('a multicast address');
  if ((first & 0xffc0) === 0xfe80) throw new RangeError('a link-local address has no meaning for FreeRADIUS');
  return { text: formatIpv6(groups), version: 6 };
}

/** The eight groups of an address without a zone, or undefined. */
function ipv6Groups(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left, right] = halves.map(groupsOf);
  if (left === undefined) return undefined;
  if (halves.length === 1) return left.length === 8 ? left : undefined;
  if (right === undefined || left.length + right.length > 7) return undefined;
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function groupsOf(half: string): number[] | undefined {
  if (half === '') return [];
  const parts = half.split(':');
  const last = parts.at(-1) ?? '';
  const octets = last.includes('.') ? ipv4Octets(last) : undefined;
  if (octets !== undefined) {
    const [a = 0, b = 0, c = 0, d = 0] = octets;
    parts.splice(-1, 1, (a * 256 + b).toString(16), (c * 256 + d).toString(16));
  }
  return parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))
    ? parts.map((part) => parseInt(part, 16))
    : undefined;
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIpv6(groups: readonly number[]): string {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > best.length) best = { at, length: end - at };
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  if (best.at < 0) return hex(groups);
  return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`;
}
