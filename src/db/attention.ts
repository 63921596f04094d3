import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';
import { everyLogin } from './login-requests.ts';

/** A subscription that a run set aside, until a person or a later run has dealt with it. */
export interface ParkedSubscription {
  id: string;
  runKind: 'invoice' | 'overdue';
  runId: string;
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  subscriberName: string;
  reason: string;
  parkedAt: Date;
}

/** Those that nobody has dealt with, the oldest first, after one of them. */
export async function parkedSubscriptions(
  db: Db,
  limit: number,
  afterId: string | null = null,
): Promise<ParkedSubscription[]> {
  const query = db('parked as k')
    .join('subscription as s', 's.id', 'k.subscription_id')
    .join('subscriber as b', 'b.id', 's.subscriber_id')
    .whereNull('k.settled_at')
    .orderBy('k.id')
    .limit(limit)
    .select<Record<string, string>[]>('k.*', { subscriber_id: 'b.id', name: 'b.name' });
  if (afterId !== null) void query.where('k.id', '>', afterId);
  const rows = await query;
  return rows.map((row) => ({
    id: row['id'] ?? '',
    runKind: row['run_kind'] as ParkedSubscription['runKind'],
    runId: row['run_id'] ?? '',
    subscriptionId: row['subscription_id'] as SubscriptionId,
    subscriberId: row['subscriber_id'] as SubscriberId,
    subscriberName: row['name'] ?? '',
    reason: row['reason'] ?? '',
    parkedAt: fromSqlInstant(row['parked_at'] ?? ''),
  }));
}

/** Takes one off the list; undefined when it is not on it. */
export async function settleParkedById(
  trx: Trx,
  id: string,
  at: Date,
): Promise<{ subscriptionId: SubscriptionId; reason: string } | undefined> {
  const changed = await trx('parked')
    .where({ id })
    .whereNull('settled_at')
    .update({ settled_at: sqlInstant(at) });
  if (changed !== 1) return undefined;
  const row = await trx('parked').where({ id }).first<{ subscription_id: SubscriptionId; reason: string }>();
  return { subscriptionId: row.subscription_id, reason: row.reason };
}

/** Drops a key that was given up on; undefined when it is not parked (any more). */
export async function dropParkedKey(
  trx: Trx,
  id: string,
): Promise<{ kind: string; key: string; lastError: string | null } | undefined> {
  const row = await trx('reconcile_queue')
    .where({ id, is_parked: true })
    .forUpdate()
    .first<{ kind: string; key: string; last_error: string | null } | undefined>();
  if (row === undefined) return undefined;
  await trx('reconcile_queue').where({ id }).del();
  return { kind: row.kind, key: row.key, lastError: row.last_error };
}

/** Who or what a key stands for: a username, a session's username, a router's name. */
export async function namesOfKeys(
  db: Db,
  keys: readonly { kind: string; key: string }[],
): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  const of = (kind: string) => keys.filter((key) => key.kind === kind).map((key) => key.key);
  const add = (kind: string, rows: { id: string; name: string }[]) => {
    for (const row of rows) names.set(`${kind}:${row.id}`, row.name);
  };
  add('login', await db('login').whereIn('id', of('login')).select('id', { name: 'username' }));
  add(
    'session',
    await db('radacct').whereIn('radacctid', of('session')).select({ id: 'radacctid', name: 'username' }),
  );
  add('router', await db('router').whereIn('id', of('router')).select('id', 'name'));
  add('many_logins', [{ id: everyLogin, name: 'all' }]);
  add('many_logins', await db('master_package').whereIn('id', of('many_logins')).select('id', 'name'));
  return names;
}
