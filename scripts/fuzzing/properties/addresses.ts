import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import {
  canonicalIpv6,
  ipv4ToNumber,
  numberToIpv4,
  parseDelegatedPrefix,
  parseSubscriberIpv4,
} from '../../../src/domain/ip.ts';
import { parseMac } from '../../../src/domain/mac.ts';
import { parseRouterAddress } from '../../../src/domain/router-address.ts';
import { parseHeldAddress, sessionSearch } from '../../../src/domain/who-had.ts';
import { parseUsername, isUsername } from '../../../src/domain/username.ts';
import { anyText, ensure, near, orRefused, property, type Property } from './property.ts';

const ipv4Like = near(/^(\d{1,3}\.){3}\d{1,3}$/);
const ipv6Like = fc.oneof(fc.ipV6(), near(/^([0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}$/));
const prefixLike = fc.oneof(
  fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 130 })).map(([address, length]) => `${address}/${length}`),
  near(/^([0-9a-f]{1,4}:){1,4}:\/\d{1,3}$/),
);

export const addressProperties: readonly Property[] = [
  property('ipv4ToNumber takes IPv4 addresses only', [ipv4Like], (text) => {
    const value = orRefused(() => ipv4ToNumber(text));
    if (value === undefined) return;
    ensure(isIPv4(text) && numberToIpv4(value) === text, 'is not that address');
  }),
  property('parseSubscriberIpv4 keeps what it takes', [ipv4Like], (text) => {
    const address = orRefused(() => parseSubscriberIpv4(text));
    ensure(address === undefined || (isIPv4(text) && address === text), 'is not that address');
  }),
  property('canonicalIpv6 takes IPv6 addresses only', [ipv6Like], (text) => {
    const address = orRefused(() => canonicalIpv6(text));
    if (address === undefined) return;
    ensure(isIPv6(text), 'rubbish was taken for an address');
    ensure(isIPv6(address) && canonicalIpv6(address) === address, 'is not canonical');
  }),
  property('parseDelegatedPrefix gives canonical prefixes', [prefixLike], (text) => {
    const prefix = orRefused(() => parseDelegatedPrefix(text));
    if (prefix === undefined) return;
    const [address = '', length = ''] = prefix.split('/');
    ensure(isIPv6(address) && /^(3[2-9]|[45]\d|6[0-4])$/.test(length), 'is not a prefix');
    ensure(parseDelegatedPrefix(prefix) === prefix, 'is not canonical');
  }),
  property('parseRouterAddress gives file names', [fc.oneof(ipv4Like, ipv6Like)], (text) => {
    const router = orRefused(() => parseRouterAddress(text));
    if (router === undefined) return;
    ensure(/^[0-9a-f.:]{2,45}$/.test(router.text), 'is not a plain file name');
    ensure(router.version === 4 ? isIPv4(router.text) : isIPv6(router.text), 'is not an address');
    ensure(parseRouterAddress(router.text).text === router.text, 'is not canonical');
  }),
  property('parseMac gives one spelling', [near(/^([0-9A-F]{2}[:-]){5}[0-9A-F]{2}$/)], (text) => {
    const mac = orRefused(() => parseMac(text));
    if (mac === undefined) return;
    ensure(/^([0-9A-F]{2}:){5}[0-9A-F]{2}$/.test(mac) && parseMac(mac) === mac, 'is not canonical');
  }),
  property('parseUsername gives what FreeRADIUS looks up', [near(/^[!-~]{1,66}$/)], (text) => {
    const username = orRefused(() => parseUsername(text));
    if (username === undefined) return;
    ensure(isUsername(username) && parseUsername(username) === username, 'is not canonical');
    // What policy.d/begin demands of a name before it is looked up.
    ensure(/^[!-~]{1,64}$/.test(username) && !/[A-Z]/.test(username), 'FreeRADIUS would refuse it');
  }),
  property(
    'parseHeldAddress and sessionSearch throw nothing unnamed',
    [fc.oneof(ipv4Like, prefixLike, anyText)],
    (text) => {
      const held = orRefused(() => parseHeldAddress(text));
      if (held !== undefined && 'prefixes' in held) {
        ensure(held.prefixes.length > 0 && held.prefixes.length <= 34, 'too many prefixes');
        ensure(
          held.prefixes.every((prefix) => /^[0-9a-f:]+\/\d+$/.test(prefix)),
          'is not a prefix',
        );
      }
      ensure(typeof sessionSearch(text).prefix === 'string', 'is no search');
    },
  ),
];
