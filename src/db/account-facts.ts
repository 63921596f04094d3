import type { OpenSuspension } from '../domain/access.ts';
import type { ExpiryEffect, SuspensionCause, SuspensionEffect } from '../domain/access-types.ts';
import type { LoginId, PackageId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import type { RadiusFacts } from '../domain/radius-attributes.ts';
import { parseRateLimit, type RateLimit } from '../domain/rate-limit.ts';
import { chunksOf, type Db, fromSqlInstant } from './knex.ts';

/** Everything about one login that its access and its rows follow from. */
export interface LoginFacts extends RadiusFacts {
  readonly subscriberId: SubscriberId;
  readonly subscriptionId: SubscriptionId;
  /** Sealed under the place login.secret:ID. */
  readonly secret: Buffer;
}

/** A login whose stored data cannot be read; `error` names the column and the rule, never a value. */
export interface UnreadableFacts {
  readonly loginId: LoginId;
  readonly username: string;
  readonly error: string;
}

export type FactsOf = { readonly ok: true; facts: LoginFacts } | ({ readonly ok: false } & UnreadableFacts);

/**
 * The facts about logins, three statements for each 500 of them: packages are few and are read apart from logins. A login that does not exist is missing from the answer;
 * one whose data cannot be read is in it with the error, so that the others go on.
 */
export async function loginFacts(db: Db, loginIds: readonly LoginId[]): Promise<Map<LoginId, FactsOf>> {
  const facts = new Map<LoginId, FactsOf>();
  const readRate = rateReader();
  for (const chunk of chunksOf(loginIds, 500)) {
    const rows = await factRows(db, chunk);
    const [suspensions, packages] = await Promise.all([
      openSuspensionRows(db, [...new Set(rows.map((row) => row.subscription_id))]),
      packageRows(db, [...new Set(rows.map((row) => row.package_id))]),
    ]);
    for (const row of rows) {
      const offer = packages.get(row.package_id);
      if (offer === undefined) continue;
      facts.set(row.id, readFacts(row, offer, suspensions.get(row.subscription_id) ?? [], readRate));
    }
  }
  return facts;
}

function readFacts(
  row: FactRow,
  offer: PackageRow,
  suspensions: readonly SuspensionRow[],
  readRate: (column: string, text: string | null) => RateLimit | null,
): FactsOf {
  try {
    const openSuspensions = suspensions.map((suspension): OpenSuspension => {
      const { cause, effect, throttle_rate: rate } = suspension;
      return { cause, effect, throttleRate: readRate(`throttle rate of the ${cause} suspension`, rate) };
    });
    return { ok: true, facts: asFacts(row, offer, openSuspensions, readRate) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { ok: false, loginId: row.id, username: row.username, error: error.message };
  }
}

function asFacts(
  row: FactRow,
  offer: PackageRow,
  openSuspensions: readonly OpenSuspension[],
  readRate: (column: string, text: string | null) => RateLimit | null,
): LoginFacts {
  return {
    loginId: row.id,
    subscriberId: row.subscriber_id,
    subscriptionId: row.subscription_id,
    username: row.username,
    secret: row.secret,
    retiredAt: instant(row.retired_at),
    subscriptionState: row.state,
    validUntil: instant(row.valid_until),
    expiryEffect: row.expiry_effect,
    expiryRate: readRate('throttle rate of the billing profile', row.profile_throttle_rate),
    openSuspensions,
    packageRate: readRate('rate limit of the master package', offer.rate_limit),
    macLock: row.mac_lock,
    staticIpv4: row.static_ipv4,
    delegatedIpv6Prefix: row.delegated_ipv6_prefix,
    simultaneousUse: row.simultaneous_use,
    pppProfile: offer.profile_name,
    pool:
      offer.pool_name === null || offer.pool_suspended_name === null
        ? null
        : { name: offer.pool_name, suspendedName: offer.pool_suspended_name },
    ipv6Pool: offer.ipv6_pool,
    delegatedIpv6Pool: offer.delegated_ipv6_pool,
    sessionTimeoutSeconds: offer.session_timeout_seconds,
    idleTimeoutSeconds: offer.idle_timeout_seconds,
    interimSeconds: offer.interim_seconds,
    addressList: offer.address_list,
  };
}

function instant(text: string | null): Date | null {
  return text === null ? null : fromSqlInstant(text);
}

/** Packages are few and logins are many: each text is parsed once. */
function rateReader(): (column: string, text: string | null) => RateLimit | null {
  const known = new Map<string, RateLimit>();
  return (column, text) => {
    if (text === null || text === '') return null;
    const found = known.get(text);
    if (found !== undefined) return found;
    try {
      const rate = parseRateLimit(text);
      known.set(text, rate);
      return rate;
    } catch (error) {
      const rule = error instanceof RangeError ? error.message : 'cannot be read';
      throw new RangeError(`${column}: ${rule}`, { cause: error });
    }
  };
}

interface FactRow {
  id: LoginId;
  subscription_id: SubscriptionId;
  subscriber_id: SubscriberId;
  package_id: PackageId;
  username: string;
  secret: Buffer;
  mac_lock: string | null;
  static_ipv4: string | null;
  delegated_ipv6_prefix: string | null;
  simultaneous_use: number;
  retired_at: string | null;
  state: 'active' | 'paused' | 'terminated';
  valid_until: string | null;
  expiry_effect: ExpiryEffect;
  profile_throttle_rate: string | null;
}

/** The order of the joins is fixed: with old statistics the optimizer began with all subscribers (20 ms against 2.5). */
async function factRows(db: Db, loginIds: readonly LoginId[]): Promise<FactRow[]> {
  const rows: FactRow[][] = await db.raw(
    `SELECT l.id, l.subscription_id, n.subscriber_id, n.package_id, l.username, l.secret, l.mac_lock, l.static_ipv4,
            l.delegated_ipv6_prefix, l.simultaneous_use, l.retired_at, n.state, n.valid_until, n.expiry_effect,
            b.throttle_rate AS profile_throttle_rate
     FROM login l
     STRAIGHT_JOIN subscription n ON n.id = l.subscription_id
     STRAIGHT_JOIN subscriber c ON c.id = n.subscriber_id
     STRAIGHT_JOIN billing_profile b ON b.id = c.billing_profile_id
     WHERE l.id IN (${loginIds.map(() => '?').join(', ')})`,
    [...loginIds],
  );
  return rows[0] ?? [];
}

interface PackageRow {
  id: PackageId;
  rate_limit: string | null;
  ipv6_pool: string | null;
  delegated_ipv6_pool: string | null;
  interim_seconds: number;
  address_list: string | null;
  profile_name: string | null;
  pool_name: string | null;
  pool_suspended_name: string | null;
  session_timeout_seconds: number | null;
  idle_timeout_seconds: number | null;
}

/** What the master package says goes before what its PPP profile says. */
async function packageRows(db: Db, packageIds: readonly PackageId[]): Promise<Map<PackageId, PackageRow>> {
  if (packageIds.length === 0) return new Map();
  const rows: PackageRow[][] = await db.raw(
    `SELECT p.id, m.rate_limit, m.ipv6_pool, m.delegated_ipv6_pool, m.interim_seconds, m.address_list,
            f.name AS profile_name, v.name AS pool_name, v.suspended_name AS pool_suspended_name,
            COALESCE(m.session_timeout_seconds, f.session_timeout_seconds) AS session_timeout_seconds,
            COALESCE(m.idle_timeout_seconds, f.idle_timeout_seconds) AS idle_timeout_seconds
     FROM package p
     JOIN master_package m ON m.id = p.master_package_id
     LEFT JOIN ppp_profile f ON f.id = m.ppp_profile_id
     LEFT JOIN ipv4_pool v ON v.id = COALESCE(m.pool_id, f.pool_id)
     WHERE p.id IN (${packageIds.map(() => '?').join(', ')})`,
    [...packageIds],
  );
  return new Map((rows[0] ?? []).map((row) => [row.id, row]));
}

interface SuspensionRow {
  subscription_id: SubscriptionId;
  cause: SuspensionCause;
  effect: SuspensionEffect;
  throttle_rate: string | null;
}

async function openSuspensionRows(
  db: Db,
  subscriptionIds: readonly SubscriptionId[],
): Promise<Map<SubscriptionId, SuspensionRow[]>> {
  const found = new Map<SubscriptionId, SuspensionRow[]>();
  if (subscriptionIds.length === 0) return found;
  // Through the key (subscription, open cause): closed ones, of which a subscription may have many, are not read, nor
  // are everybody else's open ones.
  const rows: SuspensionRow[][] = await db.raw(
    `SELECT subscription_id, cause, effect, throttle_rate FROM suspension FORCE INDEX (suspension_one_open)
     WHERE subscription_id IN (${subscriptionIds.map(() => '?').join(', ')}) AND open_cause IS NOT NULL`,
    [...subscriptionIds],
  );
  for (const row of rows[0] ?? []) {
    const list = found.get(row.subscription_id);
    if (list === undefined) found.set(row.subscription_id, [row]);
    else list.push(row);
  }
  return found;
}
