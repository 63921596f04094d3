import { parseDay } from '../domain/day.ts';
import { asId, type SubscriberId } from '../domain/ids.ts';
import { termPrefixes } from '../domain/search-terms.ts';
import type { Db } from './knex.ts';
import type { SubscriberFilter } from './subscriber-drivers.ts';
import { subscriberPlaces } from './subscriber-list.ts';

export interface PickedSubscriber {
  id: SubscriberId;
  name: string;
  phone: string | null;
  /** Some of the usernames; the ones that begin with the text first. */
  usernames: readonly string[];
}

/**
 * Subscribers of whose name, phone or usernames each word of the text begins one, or who have that number (`17` or
 * `#17`): the index of terms that the list of subscribers searches too. At most `limit`.
 */
export async function pickSubscribers(db: Db, text: string, limit: number): Promise<PickedSubscriber[]> {
  const ids = await pickSubscriberIds(db, text, limit);
  if (ids.length === 0) return [];
  const rows = await db('subscriber')
    .whereIn('id', ids)
    .orderBy('name')
    .orderBy('id')
    .select<{ id: string; name: string; phone: string | null }[]>('id', 'name', 'phone');
  const logins = await db('subscription as s')
    .join('login as l', 'l.subscription_id', 's.id')
    .whereIn('s.subscriber_id', ids)
    .whereNull('l.retired_at')
    .orderBy('l.id')
    .limit(limit * 20)
    .select<{ subscriber_id: string; username: string }[]>('s.subscriber_id', 'l.username');
  return rows.map((row) => {
    const usernames = logins.filter((one) => one.subscriber_id === row.id).map((one) => one.username);
    const isMeant = (name: string) => name.startsWith(text.toLowerCase());
    const sorted = [...usernames].sort((a, b) => Number(isMeant(b)) - Number(isMeant(a)));
    return { id: asId(row.id), name: row.name, phone: row.phone, usernames: sorted.slice(0, 3) };
  });
}

export async function pickSubscriberIds(db: Db, text: string, limit: number): Promise<SubscriberId[]> {
  const number = /^#?([1-9]\d{0,17})$/.exec(text)?.[1];
  const prefixes = termPrefixes(text);
  const [byNumber, byTerm] = await Promise.all([
    number === undefined ? [] : db('subscriber').where({ id: number }).pluck<string[]>('id'),
    prefixes.length === 0 ? [] : subscriberPlaces(db, { ...anybody, prefixes }, { limit }),
  ]);
  const ids = [...byNumber.map((id) => asId<SubscriberId>(id)), ...byTerm.map((place) => place.id)];
  return [...new Set(ids)].slice(0, limit);
}

/** No filter but the text; the day is for what is overdue only. */
const anybody: Omit<SubscriberFilter, 'prefixes'> = {
  state: null,
  packageId: null,
  profileId: null,
  routerId: null,
  today: parseDay('1970-01-01'),
};

/** Names by id, for the rows of a list. */
export async function subscriberNames(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db('subscriber')
    .whereIn('id', [...new Set(ids)])
    .select<{ id: string; name: string }[]>('id', 'name');
  return new Map(rows.map((row) => [row.id, row.name]));
}
