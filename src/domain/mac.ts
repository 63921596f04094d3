/**
 * A MAC address in the form in which RouterOS sends Calling-Station-Id for PPPoE and hotspot: AA:BB:CC:DD:EE:FF.
 * Reads colons, dashes, Cisco's dots or nothing between the digits. Throws RangeError for anything else, and for
 * addresses that no single device has (all zeros, or a group address: IEEE 802, first byte odd).
 */
export function parseMac(text: string): string {
  const written = text.trim();
  const isKnownForm =
    /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(written) ||
    /^([0-9a-f]{2}-){5}[0-9a-f]{2}$/i.test(written) ||
    /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/i.test(written) ||
    /^[0-9a-f]{12}$/i.test(written);
  if (!isKnownForm) throw new RangeError('a MAC address is written like AA:BB:CC:DD:EE:FF');
  const digits = written.replace(/[^0-9a-f]/gi, '').toUpperCase();
  if (/^0+$/.test(digits) || Number.parseInt(digits.slice(0, 2), 16) % 2 === 1) {
    throw new RangeError('a MAC address names one device: not all zeros, and not a group address');
  }
  return (digits.match(/../g) ?? []).join(':');
}
