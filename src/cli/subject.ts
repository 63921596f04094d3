import type { Db } from '../db/knex.ts';
import { loginByUsername, type LoginRow, subscriberById } from '../db/subscribers.ts';
import { asId, type SubscriberId, type SubscriptionId } from '../domain/ids.ts';
import { AppError } from '../errors.ts';

/** The login that the person named; the error says how to look for it. */
export async function requireLogin(db: Db, username: string, field = 'USERNAME'): Promise<LoginRow> {
  const login = await loginByUsername(db, username);
  if (login !== undefined) return login;
  throw new AppError('not_found', `${field}: no login has it; "sluice subscriber find TEXT" looks for it`, {
    field,
  });
}

/** A subscriber named by one of their usernames, or by number as `#7`. */
export async function requireSubscriber(db: Db, who: string, field = 'WHO'): Promise<SubscriberId> {
  const number = /^#([1-9]\d{0,18})$/.exec(who)?.[1];
  if (number === undefined) return (await requireLogin(db, who, field)).subscriberId;
  const id = asId<SubscriberId>(number);
  if ((await subscriberById(db, id)) !== undefined) return id;
  throw new AppError('not_found', `${field}: there is no subscriber #${number}`, { field });
}

export const targetOption =
  'WHO is a username, for the one subscription that it belongs to, or #number of a subscriber, for all of theirs.';

/** What targetOption says, as the input of a command. */
export async function subscriptionsNamed(
  db: Db,
  who: string,
  field = 'WHO',
): Promise<{ subscriptionId: SubscriptionId } | { subscriberId: SubscriberId }> {
  if (who.startsWith('#')) return { subscriberId: await requireSubscriber(db, who, field) };
  return { subscriptionId: (await requireLogin(db, who, field)).subscriptionId };
}
