import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { type Db, fromSqlInstant } from './knex.ts';

export interface PaymentView {
  id: string;
  channel: 'cash' | 'bank';
  reference: string;
  amountMinor: bigint;
  receivedOn: string;
  isReversed: boolean;
}

export async function lastPaymentsOf(
  db: Db,
  subscriberId: SubscriberId,
  limit: number,
): Promise<PaymentView[]> {
  const rows = await db('payment')
    .where({ subscriber_id: subscriberId })
    .orderBy('id', 'desc')
    .limit(limit)
    .select<Record<string, string | null>[]>(
      'id',
      'channel',
      'reference',
      'amount_minor',
      'received_on',
      'reversed_at',
    );
  return rows.map((row) => ({
    id: row['id'] ?? '',
    channel: row['channel'] as PaymentView['channel'],
    reference: row['reference'] ?? '',
    amountMinor: BigInt(row['amount_minor'] ?? '0'),
    receivedOn: row['received_on'] ?? '',
    isReversed: row['reversed_at'] !== null,
  }));
}

export interface ActivityView {
  id: string;
  at: Date;
  actor: string;
  verb: string;
  outcome: string;
}

export async function lastActivitiesOf(
  db: Db,
  subscriberId: SubscriberId,
  limit: number,
): Promise<ActivityView[]> {
  const rows = await db('activity')
    .where({ subscriber_id: subscriberId })
    .orderBy('id', 'desc')
    .limit(limit)
    .select<Record<string, string>[]>('id', 'at', 'actor', 'verb', 'outcome');
  return rows.map((row) => ({
    id: row['id'] ?? '',
    at: fromSqlInstant(row['at'] ?? ''),
    actor: row['actor'] ?? '',
    verb: row['verb'] ?? '',
    outcome: row['outcome'] ?? '',
  }));
}

export interface LoginView {
  id: string;
  subscriptionId: SubscriptionId;
  username: string;
  macLock: string | null;
  staticIpv4: string | null;
  isRetired: boolean;
  access: string | null;
  reason: string | null;
  rateLimit: string | null;
  openSessions: number;
}

/** The logins of a subscriber with what is decided about them and how many sessions they have. */
export async function loginViewsOf(db: Db, subscriberId: SubscriberId): Promise<LoginView[]> {
  const rows: Record<string, string | null>[] = await db('login as l')
    .join('subscription as s', 's.id', 'l.subscription_id')
    .leftJoin('access_decision as d', 'd.login_id', 'l.id')
    .where('s.subscriber_id', subscriberId)
    .orderBy('l.id')
    .limit(1000)
    .select({
      id: 'l.id',
      subscription_id: 'l.subscription_id',
      username: 'l.username',
      mac_lock: 'l.mac_lock',
      static_ipv4: 'l.static_ipv4',
      retired_at: 'l.retired_at',
      access: 'd.access',
      reason: 'd.reason',
      rate_limit: 'd.rate_limit',
    });
  const names = rows.map((row) => row['username'] ?? '');
  const counts = await db('radacct')
    .whereIn('username', names)
    .whereNull('acctstoptime')
    .groupBy('username')
    .select<{ username: string; n: string }[]>('username', db.raw('COUNT(*) AS n'));
  const open = new Map(counts.map((row) => [row.username, Number(row.n)]));
  return rows.map((row) => ({
    id: row['id'] ?? '',
    subscriptionId: (row['subscription_id'] ?? '') as SubscriptionId,
    username: row['username'] ?? '',
    macLock: row['mac_lock'] ?? null,
    staticIpv4: row['static_ipv4'] ?? null,
    isRetired: row['retired_at'] !== null,
    access: row['access'] ?? null,
    reason: row['reason'] ?? null,
    rateLimit: row['rate_limit'] ?? null,
    openSessions: open.get(row['username'] ?? '') ?? 0,
  }));
}
