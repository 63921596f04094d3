import { parseDay, type Day } from '../domain/day.ts';
import type { LoginId, PackageId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { asId, operatorReseller } from '../domain/ids.ts';
import { type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';
import { pickSubscriberIds } from './subscriber-pick.ts';
import { insertSubscriberTerms, insertUsernameTerm } from './subscriber-terms.ts';

/** The operator itself is reseller 1, who owns every row until there are others. */
export async function ensureOperator(db: Db, at: Date): Promise<void> {
  const existing = await db('reseller')
    .where({ id: operatorReseller })
    .first<{ id: string } | undefined>('id');
  if (existing !== undefined) return;
  const row = { id: operatorReseller, parent_id: null, name: 'Operator', created_at: sqlInstant(at) };
  await db('reseller').insert(row).onConflict('id').ignore();
  const self = { ancestor_id: operatorReseller, descendant_id: operatorReseller, depth: 0 };
  await db('reseller_closure').insert(self).onConflict(['ancestor_id', 'descendant_id']).ignore();
}

export async function insertSubscriber(
  trx: Trx,
  given: {
    name: string;
    phone: string | null;
    email: string | null;
    street: string | null;
    billingProfileId: string;
    createdAt: Date;
  },
): Promise<SubscriberId> {
  const [id] = await trx('subscriber').insert({
    name: given.name,
    phone: given.phone,
    email: given.email,
    street: given.street,
    billing_profile_id: given.billingProfileId,
    created_at: sqlInstant(given.createdAt),
  });
  const subscriberId = asId<SubscriberId>(id ?? 0);
  await insertSubscriberTerms(trx, subscriberId, given);
  return subscriberId;
}

export async function insertSubscription(
  trx: Trx,
  given: {
    subscriberId: SubscriberId;
    packageId: PackageId;
    anchorOn: Day;
    startedOn: Day;
    priceOverrideMinor: bigint | null;
  },
): Promise<SubscriptionId> {
  const [id] = await trx('subscription').insert({
    subscriber_id: given.subscriberId,
    package_id: given.packageId,
    anchor_on: given.anchorOn,
    next_invoice_on: given.anchorOn,
    started_on: given.startedOn,
    price_override_minor: given.priceOverrideMinor?.toString() ?? null,
  });
  return asId<SubscriptionId>(id ?? 0);
}

/** The secret is sealed for the row's own id, so it is filled in once the id is known. */
export async function insertLogin(
  trx: Trx,
  given: {
    subscriptionId: SubscriptionId;
    username: string;
    macLock: string | null;
    staticIpv4: string | null;
    delegatedIpv6Prefix: string | null;
    simultaneousUse: number;
    createdAt: Date;
  },
  sealFor: (loginId: LoginId) => Buffer,
): Promise<LoginId> {
  const [inserted] = await trx('login').insert({
    subscription_id: given.subscriptionId,
    username: given.username,
    secret: Buffer.alloc(0),
    mac_lock: given.macLock,
    static_ipv4: given.staticIpv4,
    delegated_ipv6_prefix: given.delegatedIpv6Prefix,
    simultaneous_use: given.simultaneousUse,
    created_at: sqlInstant(given.createdAt),
  });
  const id = asId<LoginId>(inserted ?? 0);
  await trx('login')
    .where({ id })
    .update({ secret: sealFor(id) });
  await insertUsernameTerm(trx, given.subscriptionId, given.username);
  return id;
}

export interface LoginRow {
  id: LoginId;
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  username: string;
  macLock: string | null;
  staticIpv4: string | null;
  delegatedIpv6Prefix: string | null;
  simultaneousUse: number;
  retiredAt: Date | null;
}

function loginsWith(db: Db) {
  return db('login as l').join('subscription as s', 's.id', 'l.subscription_id').select<RawLogin[]>({
    id: 'l.id',
    subscription_id: 'l.subscription_id',
    subscriber_id: 's.subscriber_id',
    username: 'l.username',
    mac_lock: 'l.mac_lock',
    static_ipv4: 'l.static_ipv4',
    delegated_ipv6_prefix: 'l.delegated_ipv6_prefix',
    simultaneous_use: 'l.simultaneous_use',
    retired_at: 'l.retired_at',
  });
}

interface RawLogin {
  id: string;
  subscription_id: string;
  subscriber_id: string;
  username: string;
  mac_lock: string | null;
  static_ipv4: string | null;
  delegated_ipv6_prefix: string | null;
  simultaneous_use: number;
  retired_at: string | null;
}

function toLogin(row: RawLogin): LoginRow {
  return {
    id: asId(row.id),
    subscriptionId: asId(row.subscription_id),
    subscriberId: asId(row.subscriber_id),
    username: row.username,
    macLock: row.mac_lock,
    staticIpv4: row.static_ipv4,
    delegatedIpv6Prefix: row.delegated_ipv6_prefix,
    simultaneousUse: Number(row.simultaneous_use),
    retiredAt: row.retired_at === null ? null : fromSqlInstant(row.retired_at),
  };
}

/** The login with that username, retired or not. What arrives is folded to lower case, as FreeRADIUS does. */
export async function loginByUsername(db: Db, username: string): Promise<LoginRow | undefined> {
  const row = (await loginsWith(db).where('l.username', username.toLowerCase()).limit(1))[0];
  return row === undefined ? undefined : toLogin(row);
}

export async function loginById(db: Db, id: LoginId): Promise<LoginRow | undefined> {
  const row = (await loginsWith(db).where('l.id', id).limit(1))[0];
  return row === undefined ? undefined : toLogin(row);
}

export async function loginsOfSubscription(db: Db, id: SubscriptionId): Promise<LoginRow[]> {
  return (await loginsWith(db).where('l.subscription_id', id).orderBy('l.id').limit(1000)).map(toLogin);
}

export async function updateLogin(
  trx: Trx,
  id: LoginId,
  changes: Partial<{
    secret: Buffer;
    macLock: string | null;
    staticIpv4: string | null;
    delegatedIpv6Prefix: string | null;
    simultaneousUse: number;
  }>,
): Promise<void> {
  const columns = {
    secret: changes.secret,
    mac_lock: changes.macLock,
    static_ipv4: changes.staticIpv4,
    delegated_ipv6_prefix: changes.delegatedIpv6Prefix,
    simultaneous_use: changes.simultaneousUse,
  };
  await trx('login')
    .where({ id })
    .update(Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined)));
}

/** A live login that has the prefix already, or undefined. */
export async function loginWithPrefix(db: Db, prefix: string): Promise<string | undefined> {
  const rows = await db('login')
    .where({ delegated_ipv6_prefix: prefix })
    .whereNull('retired_at')
    .limit(1)
    .select<{ username: string }[]>('username');
  return rows[0]?.username;
}

export interface SubscriptionRow {
  id: SubscriptionId;
  subscriberId: SubscriberId;
  packageId: PackageId;
  packageName: string;
  customerType: 'pppoe' | 'hotspot' | 'static_ip' | 'other';
  priceMinor: bigint;
  isPriceOverridden: boolean;
  state: 'active' | 'paused' | 'terminated';
  anchorOn: Day;
  nextInvoiceOn: Day | null;
  startedOn: Day;
  endedOn: Day | null;
}

export async function subscriptionsOf(
  db: Db,
  where: { subscriberId: SubscriberId } | { subscriptionId: SubscriptionId },
): Promise<SubscriptionRow[]> {
  const query = db('subscription as s')
    .join('package as p', 'p.id', 's.package_id')
    .join('master_package as m', 'm.id', 'p.master_package_id')
    .orderBy('s.id')
    .limit(1000)
    .select<Record<string, string | null>[]>('s.*', {
      package_name: 'p.name',
      customer_type: 'm.customer_type',
      price: 'p.customers_price_minor',
    });
  if ('subscriberId' in where) void query.where('s.subscriber_id', where.subscriberId);
  else void query.where('s.id', where.subscriptionId);
  const dayOrNull = (text: string | null | undefined) => (text == null ? null : parseDay(text));
  return (await query).map((row) => ({
    id: asId(row['id'] ?? ''),
    subscriberId: asId(row['subscriber_id'] ?? ''),
    packageId: asId(row['package_id'] ?? ''),
    packageName: row['package_name'] ?? '',
    customerType: row['customer_type'] as SubscriptionRow['customerType'],
    priceMinor: BigInt(row['price_override_minor'] ?? row['price'] ?? '0'),
    isPriceOverridden: row['price_override_minor'] !== null,
    state: row['state'] as SubscriptionRow['state'],
    anchorOn: parseDay(row['anchor_on'] ?? ''),
    nextInvoiceOn: dayOrNull(row['next_invoice_on']),
    startedOn: parseDay(row['started_on'] ?? ''),
    endedOn: dayOrNull(row['ended_on']),
  }));
}

export async function setSubscriptionPackage(
  trx: Trx,
  id: SubscriptionId,
  changes: { packageId: PackageId; priceOverrideMinor: bigint | null },
): Promise<void> {
  await trx('subscription')
    .where({ id })
    .update({
      package_id: changes.packageId,
      price_override_minor: changes.priceOverrideMinor?.toString() ?? null,
    });
}

/** Ends the subscription and retires its logins for good. Gives the logins. */
export async function endSubscription(
  trx: Trx,
  id: SubscriptionId,
  end: { on: Day; at: Date },
): Promise<LoginId[]> {
  await trx('subscription')
    .where({ id })
    .update({ state: 'terminated', ended_on: end.on, next_invoice_on: null });
  await trx('login')
    .where({ subscription_id: id })
    .whereNull('retired_at')
    .update({ retired_at: sqlInstant(end.at) });
  return trx('login').where({ subscription_id: id }).orderBy('id').pluck<LoginId[]>('id');
}

export interface SubscriberRow {
  id: SubscriberId;
  name: string;
  phone: string | null;
  email: string | null;
  street: string | null;
  billingProfile: string;
  createdAt: Date;
}

export async function subscriberById(db: Db, id: SubscriberId): Promise<SubscriberRow | undefined> {
  const row = await db('subscriber as s')
    .join('billing_profile as b', 'b.id', 's.billing_profile_id')
    .where('s.id', id)
    .first<Record<string, string | null> | undefined>('s.*', { profile: 'b.name' });
  if (row === undefined) return undefined;
  return {
    id: asId(row['id'] ?? ''),
    name: row['name'] ?? '',
    phone: row['phone'] ?? null,
    email: row['email'] ?? null,
    street: row['street'] ?? null,
    billingProfile: row['profile'] ?? '',
    createdAt: fromSqlInstant(row['created_at'] ?? ''),
  };
}

export interface FoundLogin {
  subscriberId: SubscriberId;
  name: string;
  phone: string | null;
  username: string;
  package: string;
  subscription: 'active' | 'paused' | 'terminated';
  access: string | null;
  reason: string | null;
}

/**
 * Logins of the subscribers that the text finds, as the pages find them: by the beginning of words of the name, of the
 * phone or of a username; `#7` is a subscriber's id. At most `limit`, by username.
 */
export async function findLogins(db: Db, text: string, limit: number): Promise<FoundLogin[]> {
  const ids = await pickSubscriberIds(db, text, limit);
  const query = db('login as l')
    .join('subscription as s', 's.id', 'l.subscription_id')
    .join('subscriber as b', 'b.id', 's.subscriber_id')
    .join('package as p', 'p.id', 's.package_id')
    .leftJoin('access_decision as d', 'd.login_id', 'l.id')
    .whereIn('b.id', ids)
    .orderBy('l.username')
    .limit(limit)
    .select<Record<string, string | null>[]>({
      subscriber_id: 'b.id',
      name: 'b.name',
      phone: 'b.phone',
      username: 'l.username',
      package: 'p.name',
      state: 's.state',
      access: 'd.access',
      reason: 'd.reason',
    });
  const rows = (await query) as Record<string, string | null>[];
  return rows.map((row) => ({
    subscriberId: asId(row['subscriber_id'] ?? ''),
    name: row['name'] ?? '',
    phone: row['phone'] ?? null,
    username: row['username'] ?? '',
    package: row['package'] ?? '',
    subscription: row['state'] as FoundLogin['subscription'],
    access: row['access'] ?? null,
    reason: row['reason'] ?? null,
  }));
}
