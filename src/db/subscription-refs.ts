import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import type { Db } from './knex.ts';

/** Which subscription, whose, and whether it lives: what holds, lifts and promises look at. */
export interface SubscriptionRef {
  id: SubscriptionId;
  subscriberId: SubscriberId;
  state: 'active' | 'paused' | 'terminated';
}

/** One subscription by its id, or all of a subscriber. */
export async function subscriptionRefs(
  db: Db,
  which: { subscriptionId?: SubscriptionId | undefined; subscriberId?: SubscriberId | undefined },
): Promise<SubscriptionRef[]> {
  if (which.subscriptionId === undefined && which.subscriberId === undefined) return [];
  const query = db('subscription').orderBy('id');
  if (which.subscriptionId !== undefined) void query.where('id', which.subscriptionId);
  if (which.subscriberId !== undefined) void query.where('subscriber_id', which.subscriberId);
  const rows = await query.select<
    { id: SubscriptionId; subscriber_id: SubscriberId; state: SubscriptionRef['state'] }[]
  >('id', 'subscriber_id', 'state');
  return rows.map((row) => ({ id: row.id, subscriberId: row.subscriber_id, state: row.state }));
}
