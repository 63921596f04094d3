import { canonicalIpv6, ipv4ToNumber, prefixesHolding } from './ip.ts';
import { Temporal } from 'temporal-polyfill';

/** What accounting knows of a session's time. */
export interface SeenSpan {
  readonly startedAt: Date;
  readonly heardAt: Date;
  readonly stoppedAt: Date | null;
  /** The router itself said that it ended; else nobody knows when it did. */
  readonly isStopSeen: boolean;
}

export type Holding =
  /** It was heard of before and after. */
  | 'certain'
  /** It was last heard of shortly before: it may have ended in between. */
  | 'perhaps'
  | 'no';

/** After its last word a session may have lived on for so long: three intervals of five minutes, then it counts as gone. */
export const afterLastWordMs = 15 * 60_000;

/**
 * Whether a session had its address at that instant. A session that was closed as stale, or that is open, is certain
 * only up to its last Start or Interim-Update: what comes after was never told. Accounting counts in seconds.
 */
export function heldAt(span: SeenSpan, at: Date): Holding {
  if (at < span.startedAt) return 'no';
  if (at <= span.heardAt) return 'certain';
  if (span.isStopSeen && span.stoppedAt !== null) return at <= span.stoppedAt ? 'certain' : 'no';
  return at.getTime() - span.heardAt.getTime() <= afterLastWordMs ? 'perhaps' : 'no';
}

/**
 * The instants that a wall-clock time (YYYY-MM-DDTHH:MM, seconds if wanted) means in a zone: one as a rule, two where
 * clocks were set back, none where they were set forward. Throws RangeError for what is not such a time.
 */
export function instantsOf(local: string, zone: string): Date[] {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/.test(local))
    throw new RangeError('a time is written like 2026-05-01T15:50');
  const wanted = Temporal.PlainDateTime.from(local, { overflow: 'reject' });
  const both = (['earlier', 'later'] as const).map((disambiguation) =>
    wanted.toZonedDateTime(zone, { disambiguation }),
  );
  const real = both.filter((one) => one.toPlainDateTime().equals(wanted));
  return [...new Set(real.map((one) => one.epochMilliseconds))].map((ms) => new Date(ms));
}

export type HeldAddress =
  | { readonly ipv4: string }
  /** The address, or a prefix, in the spellings under which accounting may hold it. */
  | { readonly prefixes: readonly string[] };

/** Reads an IPv4 address, an IPv6 address or an IPv6 prefix. Throws RangeError for anything else. */
export function parseHeldAddress(text: string): HeldAddress {
  if (!text.includes(':')) return { ipv4: (ipv4ToNumber(text), text) };
  const [address = '', length] = text.split('/');
  const canonical = canonicalIpv6(address);
  if (length === undefined) return { prefixes: [`${canonical}/128`, ...prefixesHolding(canonical, 64)] };
  if (!/^\d{1,3}$/.test(length) || Number(length) < 32 || Number(length) > 128)
    throw new RangeError('a prefix is written like 2001:db8:7::/56');
  // Nobody is given less than a /64: a longer prefix lies in what somebody had.
  return { prefixes: prefixesHolding(canonical, Math.min(Number(length), 64)) };
}

/** What a beginning typed into the search of sessions can be: part of a MAC, of an address, else of a username. */
export function sessionSearch(text: string): { by: 'username' | 'mac' | 'address' | 'ipv6'; prefix: string } {
  const typed = text.trim();
  if (/^([0-9a-f]{2}[:-]){2,5}([0-9a-f]{1,2})?$/i.test(typed))
    return { by: 'mac', prefix: typed.replaceAll('-', ':').toUpperCase() };
  if (/^[0-9a-f]{12}$/i.test(typed))
    return { by: 'mac', prefix: (typed.toUpperCase().match(/../g) ?? []).join(':') };
  if (/^\d{1,3}\.(\d{1,3}(\.(\d{1,3}(\.\d{0,3})?)?)?)?$/.test(typed)) return { by: 'address', prefix: typed };
  if (/^[0-9a-f]{1,4}:[0-9a-f:]*(\/\d{0,3})?$/i.test(typed))
    return { by: 'ipv6', prefix: typed.toLowerCase() };
  return { by: 'username', prefix: typed.toLowerCase() };
}
