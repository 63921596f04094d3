/** `10.0.0.1` as a number; throws RangeError for anything that is not a dotted IPv4 address without leading zeros. */
export function ipv4ToNumber(text: string): number {
  const parts = text.split('.');
  const isRight =
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part <= 255);
  if (!isRight) throw new RangeError('an IPv4 address is written like 10.0.0.1');
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function numberToIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

/** An address that a subscriber may be given: not 0.x, loopback, multicast or reserved. */
export function parseSubscriberIpv4(text: string): string {
  const first = Math.floor(ipv4ToNumber(text) / 2 ** 24);
  if (first === 0 || first === 127 || first >= 224) throw new RangeError('not an address of a subscriber');
  return text;
}

/**
 * An IPv6 prefix in its canonical spelling (RFC 5952), such as 2001:db8:7::/56, of /32 to /64. Throws RangeError for
 * anything else, and for bits set behind the length: FreeRADIUS would refuse the reply (RFC 3162 §2.3).
 */
export function parseDelegatedPrefix(text: string): string {
  const match = /^([0-9A-Fa-f:]+)\/(\d{1,3})$/.exec(text);
  const length = Number(match?.[2]);
  if (match?.[1] === undefined || length < 32 || length > 64) {
    throw new RangeError('a prefix is written like 2001:db8:7::/56');
  }
  const address = canonicalIpv6(match[1]);
  const bits = ipv6Bits(address);
  if (bits & ((1n << BigInt(128 - length)) - 1n)) throw new RangeError('bits are set behind the length');
  return `${address}/${length}`;
}

/** The prefixes of /32 to /64 that hold the address (in its canonical spelling), the longest first, at most `longest`. */
export function prefixesHolding(canonical: string, longest = 64): string[] {
  const bits = ipv6Bits(canonical);
  return Array.from({ length: Math.max(longest - 31, 0) }, (_, index) => {
    const length = longest - index;
    const rest = BigInt(128 - length);
    return `${ipv6Text((bits >> rest) << rest)}/${length}`;
  });
}

function ipv6Text(bits: bigint): string {
  const digits = bits.toString(16).padStart(32, '0');
  return canonicalIpv6((digits.match(/..../g) ?? []).join(':'));
}

/** RFC 5952 spelling. Throws RangeError for anything that is not an IPv6 address. */
export function canonicalIpv6(text: string): string {
  // What closes the bracket would be read as the rest of an address of the web.
  if (!/^[0-9A-Fa-f:.]+$/.test(text)) throw new RangeError('not an IPv6 address');
  try {
    return new URL(`http://[${text}]/`).hostname.slice(1, -1);
  } catch {
    throw new RangeError('not an IPv6 address');
  }
}

/** The 128 bits of an address in its canonical spelling, which has no dotted part. */
function ipv6Bits(canonical: string): bigint {
  const [before = '', after] = canonical.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const left = groups(before);
  const right = after === undefined ? [] : groups(after);
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
