import type { SubscriberId } from '../domain/ids.ts';
import type { Db, Trx } from './knex.ts';

/** What staff can change about a subscriber. */
export interface SubscriberDetails {
  readonly id: SubscriberId;
  readonly name: string;
  readonly phone: string | null;
  readonly email: string | null;
  readonly street: string | null;
  readonly language: string;
  readonly billingProfile: string;
  readonly billingProfileId: string;
}

export async function subscriberDetails(db: Db, id: SubscriberId): Promise<SubscriberDetails | undefined> {
  const row = await db('subscriber as s')
    .join('billing_profile as b', 'b.id', 's.billing_profile_id')
    .where('s.id', id)
    .first<Record<string, string | null> | undefined>('s.*', { profile: 'b.name' });
  if (row === undefined) return undefined;
  return {
    id,
    name: row['name'] ?? '',
    phone: row['phone'] ?? null,
    email: row['email'] ?? null,
    street: row['street'] ?? null,
    language: row['language'] ?? '',
    billingProfile: row['profile'] ?? '',
    billingProfileId: row['billing_profile_id'] ?? '',
  };
}

export async function updateSubscriber(
  trx: Trx,
  id: SubscriberId,
  changes: Partial<Omit<SubscriberDetails, 'id' | 'billingProfile'>>,
): Promise<void> {
  const { billingProfileId, ...plain } = changes;
  const columns = {
    ...plain,
    ...(billingProfileId === undefined ? {} : { billing_profile_id: billingProfileId }),
  };
  if (Object.keys(columns).length > 0) await trx('subscriber').where({ id }).update(columns);
}
