import type { SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { subscriberTerms } from '../domain/search-terms.ts';
import { chunksOf, type Db, type Trx } from './knex.ts';

/** Makes a new subscriber findable by name and phone. */
export async function insertSubscriberTerms(
  trx: Db,
  id: SubscriberId,
  subscriber: { name: string; phone: string | null },
): Promise<void> {
  await insertTerms(trx, id, subscriberTerms({ ...subscriber, usernames: [] }));
}

/** Makes a new login's subscriber findable by its username. */
export async function insertUsernameTerm(
  trx: Db,
  subscriptionId: SubscriptionId,
  username: string,
): Promise<void> {
  await trx.raw(
    'INSERT IGNORE INTO subscriber_term (term, subscriber_id) SELECT ?, subscriber_id FROM subscription WHERE id = ?',
    [username, subscriptionId],
  );
}

/** The terms of subscribers made anew from what they are now, at most 500 at a time. */
export async function rewriteTerms(trx: Trx, ids: readonly SubscriberId[]): Promise<void> {
  for (const chunk of chunksOf([...ids], 500)) {
    const subscribers = await trx('subscriber')
      .whereIn('id', chunk)
      .select<{ id: SubscriberId; name: string; phone: string | null }[]>('id', 'name', 'phone');
    const usernames = await usernamesOf(trx, chunk);
    await trx('subscriber_term').whereIn('subscriber_id', chunk).delete();
    const rows = subscribers.flatMap(({ id, name, phone }) =>
      subscriberTerms({ name, phone, usernames: usernames.get(id) ?? [] }).map((term) => ({
        term,
        subscriber_id: id,
      })),
    );
    for (const part of chunksOf(rows, 1000)) await trx('subscriber_term').insert(part).onConflict().ignore();
  }
}

/**
 * Subscribers that came into the table by another way than the commands (an import by SQL) and so are found by nothing:
 * the first of them after an id, in the order of ids, looking at `look` subscribers. `next` is where to go on.
 */
export async function subscribersWithoutTerms(
  db: Db,
  after: string,
  look: number,
): Promise<{ ids: SubscriberId[]; next: string | null }> {
  const [rows] = (await db.raw(
    `SELECT b.id, (SELECT 1 FROM subscriber_term t WHERE t.subscriber_id = b.id LIMIT 1) AS has
       FROM subscriber b WHERE b.id > ? ORDER BY b.id LIMIT ?`,
    [after, look],
  )) as unknown as [{ id: SubscriberId; has: number | null }[]];
  const last = rows.length < look ? null : (rows.at(-1)?.id ?? null);
  return { ids: rows.filter((row) => row.has === null).map((row) => row.id), next: last };
}

async function insertTerms(db: Db, id: SubscriberId, terms: readonly string[]): Promise<void> {
  if (terms.length === 0) return;
  await db('subscriber_term')
    .insert(terms.map((term) => ({ term, subscriber_id: id })))
    .onConflict()
    .ignore();
}

async function usernamesOf(db: Db, ids: readonly SubscriberId[]): Promise<Map<SubscriberId, string[]>> {
  const rows = await db('login as l')
    .join('subscription as n', 'n.id', 'l.subscription_id')
    .whereIn('n.subscriber_id', [...ids])
    .select<{ subscriber_id: SubscriberId; username: string }[]>('n.subscriber_id', 'l.username');
  const found = new Map<SubscriberId, string[]>();
  for (const row of rows)
    found.set(row.subscriber_id, [...(found.get(row.subscriber_id) ?? []), row.username]);
  return found;
}
