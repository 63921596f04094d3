import { randomInt } from 'node:crypto';
import { z } from 'zod';
import type { Trx } from '../db/knex.ts';
import { listBillingProfiles, listPackages, type PackageRow, poolHolding } from '../db/packages.ts';
import { holdRule } from '../db/rules.ts';
import { loginWithPrefix } from '../db/subscribers.ts';
import { ipv4ToNumber, parseDelegatedPrefix, parseSubscriberIpv4 } from '../domain/ip.ts';
import { parseMac } from '../domain/mac.ts';
import { parseUsername } from '../domain/username.ts';
import { invalid } from '../errors.ts';
import { checked, wholeNumber } from '../input.ts';

export const username = () =>
  checked('must be 1 to 64 printable ASCII characters without spaces', parseUsername);

export const phone = () =>
  checked('must be 3 to 32 digits, spaces and + ( ) - / .', (text) => {
    if (!/^\+?[0-9 ()/.-]{3,32}$/.test(text)) throw new RangeError('not a phone number');
    return text;
  });

export const email = () =>
  z.email('must be an address such as name@example.net').max(190, 'must be at most 190 characters');

export const language = () =>
  checked('must be a language such as en, ar or pt-BR', (text) => {
    if (!/^[a-z]{2,3}(-[A-Z]{2})?$/.test(text)) throw new RangeError('not a language');
    return text;
  });

export const macLock = () => checked('must be a MAC address such as AA:BB:CC:DD:EE:FF', parseMac);

export const staticIpv4 = () => checked('must be an IPv4 address such as 203.0.113.7', parseSubscriberIpv4);

export const delegatedIpv6Prefix = () =>
  checked(
    'must be an IPv6 prefix of /32 to /64 such as 2001:db8:7::/56, with no bits behind its length',
    parseDelegatedPrefix,
  );

/** 0 is not limited. */
export const simultaneousUse = () => wholeNumber(0, 255);

/** PAP carries at most 128 bytes (RFC 2865 §5.2). Space and UTF-8 are fine; control characters cannot be typed. */
export const password = () =>
  z
    .string()
    .refine(
      (value) => value !== '' && Buffer.byteLength(value) <= 128 && !/\p{Cc}/u.test(value),
      'must be 1 to 128 bytes of UTF-8 without control characters',
    );

const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';

/** Twelve characters that can be read out over a telephone: about 59 bits. */
export function generatePassword(): string {
  return Array.from({ length: 12 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** The package that may be sold under that name; the error says why not, or which there are. */
export async function sellablePackage(trx: Trx, name: string): Promise<PackageRow> {
  const found = (await listPackages(trx, { name }))[0];
  if (found === undefined) {
    const names = (await listPackages(trx)).filter((row) => !row.isRetired).map((row) => row.name);
    throw invalid('package', names.length === 0 ? 'there is none yet' : `must be one of ${names.join(', ')}`);
  }
  if (found.isRetired) throw invalid('package', 'is not sold any more');
  if (found.billingType !== 'monthly') throw invalid('package', 'must be a monthly package');
  return found;
}

export async function billingProfileId(trx: Trx, name: string): Promise<string> {
  const profiles = await listBillingProfiles(trx);
  const found = profiles.find((profile) => profile.name === name);
  if (found !== undefined) return found.id;
  const names = profiles.map((profile) => profile.name);
  throw invalid(
    'billingProfile',
    names.length === 0 ? 'there is none yet' : `must be one of ${names.join(', ')}`,
  );
}

/**
 * A router does not guard against giving one address twice, so a static address may not lie in a pool. Whoever gives one
 * holds the rule until the COMMIT: a range that is added meanwhile would not be seen.
 */
export async function checkAddresses(
  trx: Trx,
  wanted: { staticIpv4?: string | null | undefined; delegatedIpv6Prefix?: string | null | undefined },
): Promise<void> {
  if (wanted.staticIpv4 != null || wanted.delegatedIpv6Prefix != null) await holdRule(trx, 'addresses');
  if (wanted.staticIpv4 != null) {
    const value = ipv4ToNumber(wanted.staticIpv4);
    const pool = await poolHolding(trx, value, value);
    if (pool !== undefined) throw invalid('staticIpv4', `lies in a range of pool ${pool}`);
  }
  if (wanted.delegatedIpv6Prefix != null) {
    const username = await loginWithPrefix(trx, wanted.delegatedIpv6Prefix);
    if (username !== undefined) throw invalid('delegatedIpv6Prefix', `belongs to login ${username}`);
  }
}
