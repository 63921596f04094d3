import { type Attributes, bytesOf, numberOf, textOf } from './codec.ts';
import type { Pools } from './pools.ts';
import { parseRateLimit, type Queue } from './rate-limit.ts';
import type { Grant } from './session.ts';
import type { RouterSettings } from './settings.ts';

/** Why a dial fails at the router although RADIUS accepted it: "could not determine remote address". */
export type NoAddress = 'no_such_pool' | 'pool_is_full' | 'no_pool';

/**
 * What a session gets from an Access-Accept: what is in it, else what the profile says (MikroTik manual, RADIUS: what RADIUS
 * does not give comes from the default profile). Framed-IP-Address beats Framed-Pool. Takes the address from the pool.
 */
export function grantFrom(
  accept: Attributes,
  settings: RouterSettings,
  pools: Pools,
): { grant: Grant } | { why: NoAddress; pool: string | undefined } {
  const named = textOf(accept, 'Mikrotik-Group');
  const base = settings.profiles['default'] ?? {};
  const profile = named === undefined ? base : { ...base, ...settings.profiles[named] };
  const pool = textOf(accept, 'Framed-Pool') ?? profile.pool;
  const chosen = addressFrom(textOf(accept, 'Framed-IP-Address'), pool, pools);
  if ('why' in chosen) return { why: chosen.why, pool };
  const warnings: string[] = [];
  const rateText = textOf(accept, 'Mikrotik-Rate-Limit') ?? profile.rateLimit;
  const queue = rateText === undefined ? undefined : parseRateLimit(rateText);
  if (rateText !== undefined && queue === undefined) warnings.push('rate limit not understood: no queue');
  if (named !== undefined && named !== 'default' && settings.profiles[named] === undefined) {
    warnings.push('profile not on this router');
  }
  return {
    grant: {
      address: chosen.address,
      pool: chosen.pool,
      queue,
      addressList: textOf(accept, 'Mikrotik-Address-List') ?? profile.addressList,
      profile: named ?? 'default',
      classes: accept.flatMap(([name, value]) => (name === 'Class' && Buffer.isBuffer(value) ? [value] : [])),
      sessionTimeoutSeconds: positive(numberOf(accept, 'Session-Timeout')),
      idleTimeoutSeconds: positive(numberOf(accept, 'Idle-Timeout')),
      // A value configured on the router overrides the server's (RFC 2869 section 2.1).
      interimSeconds: settings.interimSeconds || (numberOf(accept, 'Acct-Interim-Interval') ?? 0),
      receiveLimit: byteLimit(accept, 'Mikrotik-Recv-Limit'),
      transmitLimit: byteLimit(accept, 'Mikrotik-Xmit-Limit'),
      totalLimit: byteLimit(accept, 'Mikrotik-Total-Limit'),
      framedIpv6Prefix: textOf(accept, 'Framed-IPv6-Prefix'),
      framedIpv6Pool: textOf(accept, 'Framed-IPv6-Pool'),
      delegatedIpv6Prefix: textOf(accept, 'Delegated-IPv6-Prefix'),
      delegatedIpv6Pool: textOf(accept, 'Mikrotik-Delegated-IPv6-Pool'),
      warnings,
    },
  };
}

// 255.255.255.254 and the networks that no host has mean "from the pool" (MikroTik manual, RADIUS).
const fromPool = /^(255\.255\.255\.25[45]|127\.|0\.|22[4-9]\.|2[3-5]\d\.)/;

function addressFrom(
  fixed: string | undefined,
  pool: string | undefined,
  pools: Pools,
): { address: string; pool: string | undefined } | { why: NoAddress } {
  if (fixed !== undefined && !fromPool.test(fixed)) {
    pools.hold(fixed);
    return { address: fixed, pool: undefined };
  }
  if (pool === undefined) return { why: 'no_pool' };
  const taken = pools.take(pool);
  return 'why' in taken ? taken : { address: taken.address, pool };
}

/** A limit of zero is no limit. */
function positive(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

export function byteLimit(attributes: Attributes, name: string): number | undefined {
  const low = numberOf(attributes, name);
  const high = numberOf(attributes, `${name}-Gigawords`);
  if (low === undefined && high === undefined) return undefined;
  return positive((high ?? 0) * 2 ** 32 + (low ?? 0));
}

export interface Changes {
  readonly queue?: Queue;
  readonly profile?: string;
  readonly sessionTimeoutSeconds?: number | undefined;
  readonly idleTimeoutSeconds?: number | undefined;
  readonly receiveLimit?: number | undefined;
  readonly transmitLimit?: number | undefined;
}

// MikroTik manual, RADIUS, "CoA": what a CoA-Request may change. The last rows change nothing that a lab session has.
const changeable = new Set([
  'Mikrotik-Rate-Limit',
  'Mikrotik-Group',
  'Mikrotik-Recv-Limit',
  'Mikrotik-Recv-Limit-Gigawords',
  'Mikrotik-Xmit-Limit',
  'Mikrotik-Xmit-Limit-Gigawords',
  'Session-Timeout',
  'Idle-Timeout',
  'Port-Limit',
  'Filter-Id',
  'Ascend-Data-Rate',
  'Ascend-Xmit-Rate',
  'Mikrotik-Mark-Id',
  'Mikrotik-Advertise-URL',
  'Mikrotik-Advertise-Interval',
]);

export function isChangeable(name: string): boolean {
  return changeable.has(name);
}

/** The changes that a CoA-Request asks for, or the attribute whose value does not make sense. */
export function changesFrom(attributes: Attributes): { changes: Changes } | { invalid: string } {
  const broken = attributes.find(([name, value]) => changeable.has(name) && Buffer.isBuffer(value));
  if (broken !== undefined) return { invalid: broken[0] };
  const rateText = textOf(attributes, 'Mikrotik-Rate-Limit');
  const queue = rateText === undefined ? undefined : parseRateLimit(rateText);
  if (rateText !== undefined && queue === undefined) return { invalid: 'Mikrotik-Rate-Limit' };
  const profile = textOf(attributes, 'Mikrotik-Group');
  const has = (name: string) => numberOf(attributes, name) !== undefined;
  const hasLimit = (name: string) => has(name) || has(`${name}-Gigawords`);
  return {
    changes: {
      ...(queue === undefined ? {} : { queue }),
      ...(profile === undefined ? {} : { profile }),
      ...(has('Session-Timeout')
        ? { sessionTimeoutSeconds: positive(numberOf(attributes, 'Session-Timeout')) }
        : {}),
      ...(has('Idle-Timeout') ? { idleTimeoutSeconds: positive(numberOf(attributes, 'Idle-Timeout')) } : {}),
      ...(hasLimit('Mikrotik-Recv-Limit')
        ? { receiveLimit: byteLimit(attributes, 'Mikrotik-Recv-Limit') }
        : {}),
      ...(hasLimit('Mikrotik-Xmit-Limit')
        ? { transmitLimit: byteLimit(attributes, 'Mikrotik-Xmit-Limit') }
        : {}),
    },
  };
}

/** The Reply-Message of a reject, all of them joined. */
export function replyMessage(attributes: Attributes): string | undefined {
  const messages = attributes.flatMap(([name, value]) =>
    name === 'Reply-Message' && typeof value === 'string' ? [value] : [],
  );
  return messages.length === 0 ? undefined : messages.join(' ');
}

export function successOf(attributes: Attributes): Buffer | undefined {
  return bytesOf(attributes, 'MS-CHAP2-Success');
}
