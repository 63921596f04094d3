import { asId, type SubscriberId } from '../domain/ids.ts';
import type { Db } from './knex.ts';

export interface PickedSubscriber {
  id: SubscriberId;
  name: string;
  phone: string | null;
  /** Some of the usernames; the ones that begin with the text first. */
  usernames: readonly string[];
}

/**
 * Subscribers whose name, phone or username begins with the text, or who have that number (`17` or `#17`): each of the
 * three is one range of an index. At most `limit`.
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
  const starts = `${text.replaceAll(/[\\%_]/g, '\\$&')}%`;
  const number = /^#?([1-9]\d{0,17})$/.exec(text)?.[1];
  const found = await Promise.all([
    number === undefined ? [] : db('subscriber').where({ id: number }).pluck<string[]>('id'),
    db('login as l')
      .join('subscription as s', 's.id', 'l.subscription_id')
      .where('l.username', 'like', starts.toLowerCase())
      .orderBy('l.username')
      .limit(limit)
      .pluck<string[]>('s.subscriber_id'),
    db('subscriber').where('name', 'like', starts).orderBy('name').limit(limit).pluck<string[]>('id'),
    db('subscriber').where('phone', 'like', starts).orderBy('phone').limit(limit).pluck<string[]>('id'),
  ]);
  return [...new Set(found.flat())].slice(0, limit).map((id) => asId<SubscriberId>(id));
}

/** Names by id, for the rows of a list. */
export async function subscriberNames(db: Db, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db('subscriber')
    .whereIn('id', [...new Set(ids)])
    .select<{ id: string; name: string }[]>('id', 'name');
  return new Map(rows.map((row) => [row.id, row.name]));
}
