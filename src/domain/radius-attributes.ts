import { createHash } from 'node:crypto';
import type { AccessDecision, AccessFacts } from './access.ts';
import type { Access } from './access-types.ts';
import type { LoginId } from './ids.ts';
import { formatRateLimit, parseRateLimit, type RateLimit } from './rate-limit.ts';

/** One row of radcheck or radreply. */
export interface RadiusRow {
  readonly attribute: AttributeName;
  readonly op: ':=';
  readonly value: string;
  readonly ordinal: number;
}

/**
 * Every attribute that Sluice writes, as FreeRADIUS's dictionaries spell it: one that they don't know makes the whole
 * lookup of that login fail.
 */
export type AttributeName = (typeof checkAttributes)[number] | (typeof replyAttributes)[number];

export const checkAttributes = [
  'Cleartext-Password',
  'Auth-Type',
  'Sluice-Deny-Reason',
  'Calling-Station-Id',
  'Simultaneous-Use',
  'Expiration',
  'Sluice-Valid-Until',
] as const;

export const replyAttributes = [
  'Class',
  'Mikrotik-Rate-Limit',
  'Mikrotik-Address-List',
  'Mikrotik-Group',
  'Framed-IP-Address',
  'Framed-Pool',
  'Framed-IPv6-Pool',
  'Delegated-IPv6-Prefix',
  'Mikrotik-Delegated-IPv6-Pool',
  'Session-Timeout',
  'Idle-Timeout',
  'Acct-Interim-Interval',
] as const;

/** What a CoA-Request can change on a live session (MikroTik manual, RADIUS, "Change of Authorization"). */
const coaChangeable: readonly AttributeName[] = ['Mikrotik-Rate-Limit', 'Idle-Timeout'];

/** What only a redial changes. Class, Session-Timeout and the interim interval are in neither fingerprint. */
const redialOnly: readonly AttributeName[] = [
  'Framed-IP-Address',
  'Framed-Pool',
  'Framed-IPv6-Pool',
  'Delegated-IPv6-Prefix',
  'Mikrotik-Delegated-IPv6-Pool',
  'Mikrotik-Address-List',
  'Mikrotik-Group',
];

/** The technical side of a login: its own settings and its master package's. */
export interface RadiusFacts extends AccessFacts {
  readonly loginId: LoginId;
  readonly username: string;
  /** AA:BB:CC:DD:EE:FF, or null where any device may dial. */
  readonly macLock: string | null;
  readonly staticIpv4: string | null;
  readonly delegatedIpv6Prefix: string | null;
  /** 0 is not limited. */
  readonly simultaneousUse: number;
  readonly pppProfile: string | null;
  readonly pool: { readonly name: string; readonly suspendedName: string } | null;
  readonly ipv6Pool: string | null;
  readonly delegatedIpv6Pool: string | null;
  readonly sessionTimeoutSeconds: number | null;
  readonly idleTimeoutSeconds: number | null;
  readonly interimSeconds: number;
  readonly addressList: string | null;
}

/** The operator's settings that the projection reads, parsed once for a batch. */
export interface RadiusSettings {
  /** What unlimited means: an explicit rate, because a CoA can set a limit and cannot take one away. */
  readonly portRate: RateLimit;
  readonly walledGardenRate: RateLimit;
  readonly walledGardenList: string;
  readonly deniedRate: RateLimit;
  readonly deniedList: string;
  /** The list of a login with full access whose package names none, so that no kind of access is without one. */
  readonly fullList: string;
  /** A pool on the routers whose IPv6 prefixes lead nowhere. */
  readonly walledGardenIpv6Pool: string;
}

/** Throws RangeError that names the setting. */
export function radiusSettingsOf(settings: {
  portRate: string;
  walledGardenRate: string;
  walledGardenList: string;
  deniedRate: string;
  deniedList: string;
  fullList: string;
  walledGardenIpv6Pool: string;
}): RadiusSettings {
  const rate = (name: 'portRate' | 'walledGardenRate' | 'deniedRate') => {
    try {
      return parseRateLimit(settings[name]);
    } catch (error) {
      const rule = error instanceof RangeError ? error.message : 'cannot be read';
      throw new RangeError(`setting ${name}: ${rule}`, { cause: error });
    }
  };
  return {
    portRate: rate('portRate'),
    walledGardenRate: rate('walledGardenRate'),
    walledGardenList: settings.walledGardenList,
    deniedRate: rate('deniedRate'),
    deniedList: settings.deniedList,
    fullList: settings.fullList,
    walledGardenIpv6Pool: settings.walledGardenIpv6Pool,
  };
}

export interface Projection {
  readonly check: readonly RadiusRow[];
  readonly reply: readonly RadiusRow[];
  /** What a CoA-Request brings a live session to, in its clear form. */
  readonly coaAttributes: readonly (readonly [AttributeName, string])[];
  readonly accessFingerprint: string;
  readonly redialFingerprint: string;
}

/**
 * What FreeRADIUS has to find for a login, given its decision: the RADIUS projection of its access.
 *
 * Whatever the access, the reply set of a login names the same attributes. What one kind of access sets, every other
 * kind sets to its own value: so no router's default fills a gap that an earlier access has left, and a denied login's
 * set is complete and restrictive although deny itself lives in radcheck alone.
 *
 * Throws RangeError that names the attribute and its rule, never the value.
 */
export function project(
  facts: RadiusFacts,
  decision: AccessDecision,
  password: string,
  settings: RadiusSettings,
): Projection {
  return projector(settings)(facts, decision, password);
}

export type Projector = (facts: RadiusFacts, decision: AccessDecision, password: string) => Projection;

/**
 * `project` for many logins: what those with the same package and access are given alike is made and checked once, and
 * is the same objects in each of their projections. Keeps one set of rows for each that it has met.
 */
export function projector(settings: RadiusSettings): Projector {
  const known = new Map<string, SharedReply>();
  return (facts, decision, password) => {
    const values = replyValues(facts, decision.access, settings);
    const key = keyOf(values);
    const shared = known.get(key) ?? sharedReply(values);
    known.set(key, shared);
    const { rows, ...rest } = shared;
    const { accessFingerprint, redialFingerprint } = rest;
    const own: Values = new Map([['Class', `S1.${facts.loginId}.${accessFingerprint}.${redialFingerprint}`]]);
    return {
      check: rowsOf(checkValues(facts, decision, password), checkAttributes),
      reply: [...rowsOf(own, replyAttributes), ...rows],
      ...rest,
    };
  };
}

/** The reply without what only one login has, its Class. */
interface SharedReply extends Omit<Projection, 'check' | 'reply'> {
  readonly rows: readonly RadiusRow[];
}

function sharedReply(values: Values): SharedReply {
  return {
    rows: rowsOf(values, replyAttributes),
    coaAttributes: coaChangeable.flatMap((name) => {
      const value = values.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
    accessFingerprint: fingerprint(values, coaChangeable),
    redialFingerprint: fingerprint(values, redialOnly),
  };
}

/** With the lengths, so that no value can read like two. */
function keyOf(values: Values): string {
  let key = '';
  for (const [name, value] of values) key += `${name}${value.length}:${value}`;
  return key;
}

type Values = Map<AttributeName, string>;

function checkValues(facts: RadiusFacts, decision: AccessDecision, password: string): Values {
  const values: Values = new Map();
  if (decision.access.kind === 'denied') {
    values.set('Auth-Type', 'Reject');
    values.set('Sluice-Deny-Reason', decision.reason);
  }
  // Nobody will dial with a retired login's password again: it need not stand in clear text, and why it is refused
  // does not depend on it.
  if (decision.reason === 'login_retired') return values;
  values.set('Cleartext-Password', checkedPassword(password));
  if (facts.macLock !== null) values.set('Calling-Station-Id', facts.macLock);
  if (facts.simultaneousUse > 0) values.set('Simultaneous-Use', String(facts.simultaneousUse));
  addValidity(values, facts, decision);
  return values;
}

/**
 * Prepaid time ends on time although Sluice may be down. Where its end means deny, FreeRADIUS's own Expiration refuses
 * from then on; where it throttles or walls, our attribute only ends the session, and the redial finds what is due.
 */
function addValidity(values: Values, facts: RadiusFacts, decision: AccessDecision): void {
  if (facts.validUntil === null) return;
  // Up to a second late rather than early: whole seconds are all that RADIUS has.
  const epoch = String(Math.ceil(facts.validUntil.getTime() / 1000));
  if (facts.expiryEffect === 'block') {
    values.set('Expiration', epoch);
    return;
  }
  // Over, or without a consequence because something else restricts more: then no session need end at that instant.
  if (decision.reviewAt?.getTime() === facts.validUntil.getTime()) values.set('Sluice-Valid-Until', epoch);
}

function replyValues(facts: RadiusFacts, access: Access, settings: RadiusSettings): Values {
  const isOpen = access.kind === 'full' || access.kind === 'throttled';
  const values: Values = new Map([
    ['Mikrotik-Rate-Limit', formatRateLimit(rateOf(facts, access, settings))],
    ['Mikrotik-Address-List', addressListOf(facts, access, settings)],
    ['Acct-Interim-Interval', String(facts.interimSeconds)],
  ]);
  if (facts.pppProfile !== null) values.set('Mikrotik-Group', facts.pppProfile);
  if (facts.sessionTimeoutSeconds !== null) {
    values.set('Session-Timeout', String(facts.sessionTimeoutSeconds));
  }
  if (facts.idleTimeoutSeconds !== null) values.set('Idle-Timeout', String(facts.idleTimeoutSeconds));
  addIpv4(values, facts, isOpen);
  addIpv6(values, facts, isOpen, settings);
  return values;
}

function rateOf(facts: RadiusFacts, access: Access, settings: RadiusSettings): RateLimit {
  switch (access.kind) {
    case 'full':
      return facts.packageRate ?? settings.portRate;
    case 'throttled':
      return access.rate;
    case 'walled_garden':
      return settings.walledGardenRate;
    case 'denied':
      return settings.deniedRate;
  }
}

function addressListOf(facts: RadiusFacts, access: Access, settings: RadiusSettings): string {
  switch (access.kind) {
    case 'full':
    case 'throttled':
      return facts.addressList ?? settings.fullList;
    case 'walled_garden':
      return settings.walledGardenList;
    case 'denied':
      return settings.deniedList;
  }
}

/** RFC 2865 §5.8: the NAS chooses the address. RouterOS then takes it from Framed-Pool. */
const addressFromPool = '255.255.255.254';

/**
 * A static address beats the pool, so whoever has one is moved into the suspended pool by naming no address. A login
 * without any pool stays where it is: there the address list alone does the walling.
 */
function addIpv4(values: Values, facts: RadiusFacts, isOpen: boolean): void {
  if (facts.pool !== null) values.set('Framed-Pool', isOpen ? facts.pool.name : facts.pool.suspendedName);
  if (facts.staticIpv4 === null) return;
  const isMoved = !isOpen && facts.pool !== null;
  values.set('Framed-IP-Address', isMoved ? addressFromPool : facts.staticIpv4);
}

/**
 * A walled garden that leaves IPv6 alone is open internet. Each IPv6 attribute that the login has when open is sent in
 * the walled garden too, with prefixes that lead nowhere: a pool of such, and for a delegated prefix one of the login's
 * own out of a unique local range (RFC 4193). Leaving them out would not do: the router's profile would fill in.
 */
function addIpv6(values: Values, facts: RadiusFacts, isOpen: boolean, settings: RadiusSettings): void {
  if (facts.ipv6Pool !== null) {
    values.set('Framed-IPv6-Pool', isOpen ? facts.ipv6Pool : settings.walledGardenIpv6Pool);
  }
  if (facts.delegatedIpv6Pool !== null) {
    values.set(
      'Mikrotik-Delegated-IPv6-Pool',
      isOpen ? facts.delegatedIpv6Pool : settings.walledGardenIpv6Pool,
    );
  }
  if (facts.delegatedIpv6Prefix !== null) {
    values.set('Delegated-IPv6-Prefix', isOpen ? facts.delegatedIpv6Prefix : walledPrefixOf(facts.loginId));
  }
}

/** fd53:4c55 and the login's number: two walled logins never claim one prefix on a router. */
function walledPrefixOf(loginId: LoginId): string {
  const number = BigInt(loginId) & 0xffffffffn;
  return `fd53:4c55:${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}::/64`;
}

/** Ten hex digits over names and values, so that a missing attribute differs from an empty one. */
function fingerprint(values: Values, names: readonly AttributeName[]): string {
  const pairs = names.map((name) => [name, values.get(name) ?? null]);
  return createHash('sha256').update(JSON.stringify(pairs)).digest('hex').slice(0, 10);
}

function rowsOf(values: Values, order: readonly AttributeName[]): RadiusRow[] {
  return order.flatMap((attribute): RadiusRow[] => {
    const value = values.get(attribute);
    return value === undefined
      ? []
      : [{ attribute, op: ':=', value: checkedValue(attribute, value), ordinal: 0 }];
  });
}

/** RADIUS PAP carries at most 128 bytes (RFC 2865 §5.2). */
function checkedPassword(password: string): string {
  if (password === '' || Buffer.byteLength(password) > 128) {
    throw new RangeError('Cleartext-Password: is 1 to 128 bytes of UTF-8');
  }
  return password;
}

/**
 * A value as it stands in the table: as it is, since FreeRADIUS's query quotes it (freeradius/queries/login.conf). RADIUS
 * carries at most 253 bytes in one attribute (RFC 2865 §5).
 */
function checkedValue(attribute: AttributeName, value: string): string {
  if (/\p{Cc}/u.test(value)) throw new RangeError(`${attribute}: has no control characters`);
  if (value === '' || Buffer.byteLength(value) > 253) throw new RangeError(`${attribute}: is 1 to 253 bytes`);
  return value;
}
