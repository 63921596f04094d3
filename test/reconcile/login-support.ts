import type { Knex } from 'knex';
import { chunksOf } from '../../src/db/knex.ts';
import { actualRows } from '../../src/db/radius-rows.ts';
import { type Claim, claim } from '../../src/db/reconcile-queue.ts';
import { type Priority, requestReconcile } from '../../src/db/reconcile-requests.ts';
import type { SuspensionCause, SuspensionEffect } from '../../src/domain/access-types.ts';
import { aPackage, aPool, aSubscriber, testVault } from '../support/builders.ts';

export async function requestLogins(
  db: Knex,
  ids: readonly string[],
  why: { priority: Priority; requestedBy: string } = { priority: 'staff', requestedBy: 'test' },
): Promise<void> {
  await requestReconcile(
    db,
    ids.map((id) => ({ kind: 'login', key: id })),
    why,
  );
}

export function claimLogins(db: Knex, limit = 500): Promise<Claim[]> {
  return claim(db, 'login', { limit, leaseMs: 60_000 });
}

/** Values by attribute, as FreeRADIUS finds them. */
export async function rowsOf(
  db: Knex,
  username: string,
): Promise<{ check: Record<string, string>; reply: Record<string, string> }> {
  const rows = (await actualRows(db, [username])).get(username);
  const values = (list: readonly { attribute: string; value: string }[] = []) =>
    Object.fromEntries(list.map((row) => [row.attribute, row.value]));
  return { check: values(rows?.check), reply: values(rows?.reply) };
}

export async function openSuspension(
  db: Knex | Knex.Transaction,
  subscriptionId: string,
  cause: SuspensionCause,
  effect: SuspensionEffect,
  throttleRate: string | null = null,
): Promise<void> {
  await db('suspension').insert({
    subscription_id: subscriptionId,
    cause,
    effect,
    throttle_rate: throttleRate,
    opened_at: '2026-03-01 00:00:00.000',
    opened_by: 'test',
  });
}

export async function closeSuspensions(db: Knex | Knex.Transaction, subscriptionId: string): Promise<void> {
  await db('suspension')
    .where({ subscription_id: subscriptionId })
    .whereNull('closed_at')
    .update({ closed_at: '2026-03-02 00:00:00.000', closed_by: 'test', closed_because: 'paid' });
}

/** So many logins, each with a subscription of its own, all of one subscriber and one package. */
export async function manyLogins(db: Knex, count: number, prefix: string): Promise<string[]> {
  const subscriberId = await aSubscriber(db);
  const packageId = await aPackage(db, { poolId: await aPool(db) });
  const vault = testVault();
  const ids: string[] = [];
  for (const chunk of chunksOf(
    Array.from({ length: count }, (_, i) => i),
    1000,
  )) {
    const [firstSubscription] = await db('subscription').insert(
      chunk.map(() => ({
        subscriber_id: subscriberId,
        package_id: packageId,
        anchor_on: '2026-03-01',
        started_on: '2026-03-01',
      })),
    );
    const [{ next } = { next: 1 }] = await db('login').select<{ next: number }[]>(
      db.raw('CAST(COALESCE(MAX(id), 0) + 1 AS SIGNED) AS next'),
    );
    const logins = chunk.map((n, i) => {
      const id = String(Number(next) + i);
      return {
        id,
        subscription_id: String(Number(firstSubscription) + i),
        username: `${prefix}${n}`,
        secret: vault.seal(`login.secret:${id}`, `pw-${prefix}${n}`),
        created_at: '2026-01-01 00:00:00.000',
      };
    });
    await db('login').insert(logins);
    ids.push(...logins.map((login) => login.id));
  }
  return ids;
}

/** Counts statements until it is told to stop; transactions' BEGIN and COMMIT included. */
export function countStatements(db: Knex): () => string[] {
  const seen: string[] = [];
  const listen = (query: { sql: string }) => void seen.push(query.sql);
  db.on('query', listen);
  return () => {
    db.removeListener('query', listen);
    return seen;
  };
}
