import type { Knex } from 'knex';
import { createVault, type Vault } from '../../src/adapters/vault.ts';
import { fixedClock } from '../../src/clock.ts';
import type { CommandContext } from '../../src/command.ts';
import { type Db, sqlInstant } from '../../src/db/knex.ts';
import { insertUsernameTerm, rewriteTerms } from '../../src/db/subscriber-terms.ts';
import type { ExpiryEffect, SuspensionEffect } from '../../src/domain/access-types.ts';
import {
  asId,
  type Id,
  type LoginId,
  operatorReseller,
  type PackageId,
  type RouterId,
  type SubscriberId,
  type SubscriptionId,
} from '../../src/domain/ids.ts';
import { createLog } from '../../src/log.ts';

/** Rows for tests, straight into the tables, with believable defaults. What a test is about, it says itself. */

const born = new Date('2026-01-01T00:00:00Z');
let sequence = 0;

function next(): number {
  return ++sequence;
}

export interface TestContext extends CommandContext {
  readonly clock: ReturnType<typeof fixedClock>;
  /** Roles that were woken, in order. */
  readonly woken: string[];
}

/** A key of the tests' own; the same in every process, so that one may open what another sealed. */
export function testVault(): Vault {
  return createVault([{ id: 'test', key: Buffer.alloc(32, 7) }]);
}

/** A command context whose clock stands still, whose log is silent and whose wake-ups are written down. */
export function testContext(
  db: Knex,
  options: { now?: string; actor?: string; correlationId?: string; vault?: Vault } = {},
): TestContext {
  const woken: string[] = [];
  return {
    db,
    clock: fixedClock(options.now ?? '2026-03-01T10:00:00Z'),
    log: createLog({ level: 'error', role: 'test', silent: true }),
    vault: options.vault ?? testVault(),
    wake: (role) => {
      woken.push(role);
    },
    woken,
    actor: options.actor ?? 'test',
    correlationId: options.correlationId ?? `test-${next()}`,
  };
}

/** Reseller 1 is the operator; most tables point at it. */
export async function theOperator(db: Db): Promise<void> {
  await db.raw('INSERT IGNORE INTO reseller (id, parent_id, name, created_at) VALUES (?, NULL, ?, ?)', [
    operatorReseller,
    'Operator',
    sqlInstant(born),
  ]);
  await db.raw('INSERT IGNORE INTO reseller_closure (ancestor_id, descendant_id, depth) VALUES (?, ?, 0)', [
    operatorReseller,
    operatorReseller,
  ]);
}

export async function aBillingProfile(
  db: Db,
  given: {
    name?: string;
    dueDays?: number;
    graceDays?: number;
    overdueEffect?: SuspensionEffect;
    throttleRate?: string | null;
    isOverdueRunOn?: boolean;
  } = {},
): Promise<Id<'billing_profile'>> {
  const effect = given.overdueEffect ?? 'block';
  const [id] = await db('billing_profile').insert({
    name: given.name ?? `Profile ${next()}`,
    due_days: given.dueDays ?? 10,
    grace_days: given.graceDays ?? 3,
    overdue_effect: effect,
    throttle_rate: given.throttleRate ?? (effect === 'throttle' ? '1M/1M' : null),
    is_overdue_run_on: given.isOverdueRunOn ?? true,
  });
  return asId(id ?? '');
}

export async function aTaxRate(
  db: Db,
  given: { name?: string; rateBp?: number; isInclusive?: boolean; effectiveOn?: string } = {},
): Promise<Id<'tax_rate'>> {
  const [id] = await db('tax_rate').insert({
    name: given.name ?? `VAT ${next()}`,
    rate_bp: given.rateBp ?? 500,
    is_inclusive: given.isInclusive ?? false,
    effective_on: given.effectiveOn ?? '2020-01-01',
  });
  return asId(id ?? '');
}

/** A package on a master package of its own, unless one is given. */
export async function aPackage(
  db: Db,
  given: {
    name?: string;
    priceMinor?: bigint;
    operatorsPriceMinor?: bigint;
    taxRateId?: string | null;
    billingType?: 'daily' | 'monthly';
    rateLimit?: string | null;
    masterPackageId?: string;
    poolId?: string | null;
    pppProfileId?: string | null;
    addressList?: string | null;
    sessionTimeoutSeconds?: number | null;
    idleTimeoutSeconds?: number | null;
    interimSeconds?: number;
    ipv6Pool?: string | null;
    delegatedIpv6Pool?: string | null;
  } = {},
): Promise<PackageId> {
  await theOperator(db);
  const n = next();
  let masterId = given.masterPackageId;
  if (masterId === undefined) {
    const [id] = await db('master_package').insert({
      name: `Master ${n}`,
      customer_type: 'pppoe',
      billing_type: given.billingType ?? 'monthly',
      rate_limit: given.rateLimit === undefined ? '10M/50M' : given.rateLimit,
      pool_id: given.poolId ?? null,
      ppp_profile_id: given.pppProfileId ?? null,
      address_list: given.addressList ?? null,
      session_timeout_seconds: given.sessionTimeoutSeconds ?? null,
      idle_timeout_seconds: given.idleTimeoutSeconds ?? null,
      interim_seconds: given.interimSeconds ?? 300,
      ipv6_pool: given.ipv6Pool ?? null,
      delegated_ipv6_pool: given.delegatedIpv6Pool ?? null,
    });
    masterId = String(id);
  }
  const price = given.priceMinor ?? 30_000n;
  const [id] = await db('package').insert({
    master_package_id: masterId,
    name: given.name ?? `Package ${n}`,
    customers_price_minor: price.toString(),
    operators_price_minor: (given.operatorsPriceMinor ?? price).toString(),
    tax_rate_id: given.taxRateId ?? null,
  });
  return asId(id ?? '');
}

export async function aPool(
  db: Db,
  given: { name?: string; suspendedName?: string } = {},
): Promise<Id<'ipv4_pool'>> {
  const n = next();
  const [id] = await db('ipv4_pool').insert({
    name: given.name ?? `pool-${n}`,
    suspended_name: given.suspendedName ?? `pool-${n}-suspended`,
  });
  return asId(id ?? '');
}

/** A subscriber on a billing profile of its own, unless one is given. */
export async function aSubscriber(
  db: Db,
  given: { name?: string; phone?: string | null; billingProfileId?: string } = {},
): Promise<SubscriberId> {
  await theOperator(db);
  const [id] = await db('subscriber').insert({
    name: given.name ?? `Subscriber ${next()}`,
    phone: given.phone ?? null,
    billing_profile_id: given.billingProfileId ?? (await aBillingProfile(db)),
    created_at: sqlInstant(born),
  });
  const subscriberId = asId<SubscriberId>(id ?? '');
  await db.transaction((trx) => rewriteTerms(trx, [subscriberId]));
  return subscriberId;
}

/** An active subscription whose first invoice is due on its anchor day; subscriber and package as needed. */
export async function aSubscription(
  db: Db,
  given: {
    subscriberId?: string;
    packageId?: string;
    state?: 'active' | 'paused' | 'terminated';
    anchorOn?: string;
    nextPeriod?: number;
    nextInvoiceOn?: string | null;
    priceOverrideMinor?: bigint | null;
    validUntil?: Date | null;
    expiryEffect?: ExpiryEffect;
    startedOn?: string;
    endedOn?: string | null;
  } = {},
): Promise<SubscriptionId> {
  const anchorOn = given.anchorOn ?? '2026-03-01';
  const [id] = await db('subscription').insert({
    subscriber_id: given.subscriberId ?? (await aSubscriber(db)),
    package_id: given.packageId ?? (await aPackage(db)),
    state: given.state ?? 'active',
    anchor_on: anchorOn,
    next_period: given.nextPeriod ?? 0,
    next_invoice_on: given.nextInvoiceOn === undefined ? anchorOn : given.nextInvoiceOn,
    price_override_minor: given.priceOverrideMinor?.toString() ?? null,
    valid_until:
      given.validUntil === undefined || given.validUntil === null ? null : sqlInstant(given.validUntil),
    expiry_effect: given.expiryEffect ?? 'block',
    started_on: given.startedOn ?? anchorOn,
    ended_on: given.endedOn ?? null,
  });
  return asId(id ?? '');
}

/** A login whose password is sealed at `login.secret:ID`. */
export async function aLogin(
  db: Db,
  given: {
    vault?: Vault;
    subscriptionId?: string;
    username?: string;
    password?: string;
    macLock?: string | null;
    staticIpv4?: string | null;
    delegatedIpv6Prefix?: string | null;
    simultaneousUse?: number;
    retiredAt?: Date | null;
  } = {},
): Promise<{ id: LoginId; username: string; password: string; subscriptionId: SubscriptionId }> {
  const username = given.username ?? `user${next()}`;
  const password = given.password ?? `pw-${username}`;
  const subscriptionId = asId<SubscriptionId>(given.subscriptionId ?? (await aSubscription(db)));
  const [inserted] = await db('login').insert({
    subscription_id: subscriptionId,
    username,
    secret: Buffer.alloc(0),
    mac_lock: given.macLock ?? null,
    static_ipv4: given.staticIpv4 ?? null,
    delegated_ipv6_prefix: given.delegatedIpv6Prefix ?? null,
    simultaneous_use: given.simultaneousUse ?? 1,
    retired_at:
      given.retiredAt === undefined || given.retiredAt === null ? null : sqlInstant(given.retiredAt),
    created_at: sqlInstant(born),
  });
  const id = asId<LoginId>(inserted ?? '');
  const sealed = (given.vault ?? testVault()).seal(`login.secret:${id}`, password);
  await db('login').where({ id }).update({ secret: sealed });
  await insertUsernameTerm(db, subscriptionId, username);
  return { id, username, password, subscriptionId };
}

/** A router whose RADIUS secret is sealed at `router.secret:ID`. */
export async function aRouter(
  db: Db,
  given: {
    vault?: Vault;
    name?: string;
    address?: string;
    secret?: string;
    coaPort?: number;
    rateChange?: 'coa' | 'disconnect';
    needsMessageAuthenticator?: boolean;
    pacePerSecond?: number;
    removedAt?: Date | null;
  } = {},
): Promise<{ id: RouterId; name: string; address: string; secret: string }> {
  const n = next();
  const name = given.name ?? `router-${n}`;
  const address = given.address ?? `127.0.${(n >> 8) & 255}.${(n & 255) + 1}`;
  const secret = given.secret ?? `router-secret-${n}`;
  const [inserted] = await db('router').insert({
    name,
    address,
    secret: Buffer.alloc(0),
    coa_port: given.coaPort ?? 3799,
    rate_change: given.rateChange ?? 'coa',
    needs_message_authenticator: given.needsMessageAuthenticator ?? false,
    pace_per_second: given.pacePerSecond ?? 50,
    changed_at: sqlInstant(born),
    created_at: sqlInstant(born),
    removed_at:
      given.removedAt === undefined || given.removedAt === null ? null : sqlInstant(given.removedAt),
  });
  const id = asId<RouterId>(inserted ?? '');
  const sealed = (given.vault ?? testVault()).seal(`router.secret:${id}`, secret);
  await db('router').where({ id }).update({ secret: sealed });
  return { id, name, address, secret };
}

/**
 * An invoice that is simply there, without ledger entries: for tests of what reads invoices. Tests of money issue them
 * through the invoice run instead, so that the ledger knows.
 */
export async function anInvoice(
  db: Db,
  given: {
    subscriberId: string;
    subscriptionId: string;
    issuedOn?: string;
    dueOn?: string;
    periodStart?: string;
    totalMinor?: bigint;
    openMinor?: bigint;
    state?: 'open' | 'paid' | 'void';
  },
): Promise<Id<'invoice'>> {
  const total = given.totalMinor ?? 30_000n;
  const issuedOn = given.issuedOn ?? '2026-03-01';
  const [id] = await db('invoice').insert({
    series: 'TEST',
    number: next(),
    subscriber_id: given.subscriberId,
    subscription_id: given.subscriptionId,
    period_start: given.periodStart ?? issuedOn,
    period_end: given.dueOn ?? '2026-04-01',
    zone: 'UTC',
    issued_on: issuedOn,
    due_on: given.dueOn ?? '2026-03-11',
    currency: 'USD',
    exponent: 2,
    net_minor: total.toString(),
    tax_minor: '0',
    total_minor: total.toString(),
    open_minor: (
      given.openMinor ?? (given.state === 'paid' || given.state === 'void' ? 0n : total)
    ).toString(),
    state: given.state ?? 'open',
  });
  return asId(id ?? '');
}
