import type { AccessKind, Reason } from '../domain/access-types.ts';
import type { Day } from '../domain/day.ts';
import type { SubscriberId } from '../domain/ids.ts';
import type { Db } from './knex.ts';

/** A subscriber as a list shows one. */
export interface SubscriberSummary {
  readonly id: SubscriberId;
  readonly name: string;
  readonly phone: string | null;
  /** The first three, the living before the retired. */
  readonly usernames: readonly string[];
  readonly loginCount: number;
  readonly packages: readonly string[];
  /** The worst access of the living logins; null where nothing is decided, or nothing lives. */
  readonly access: AccessKind | null;
  readonly reason: Reason | null;
  readonly rateLimit: string | null;
  readonly owesMinor: bigint;
  readonly oldestDueOn: Day | null;
  readonly openSessions: number;
  readonly isEnded: boolean;
}

/** What a list shows of these subscribers, in the order given; at most 500 at a time. */
export async function subscriberSummaries(
  db: Db,
  ids: readonly SubscriberId[],
): Promise<SubscriberSummary[]> {
  if (ids.length === 0) return [];
  const [people, logins, packages, debts, online] = await Promise.all([
    db('subscriber')
      .whereIn('id', [...ids])
      .select<{ id: SubscriberId; name: string; phone: string | null }[]>('id', 'name', 'phone'),
    loginsOf(db, ids),
    packagesOf(db, ids),
    debtsOf(db, ids),
    sessionsOf(db, ids),
  ]);
  const byId = new Map(people.map((person) => [person.id, person]));
  return ids.flatMap((id) => {
    const person = byId.get(id);
    if (person === undefined) return [];
    const own = logins.get(id) ?? [];
    const first = own[0];
    const held = packages.get(id) ?? [];
    return [
      {
        ...person,
        usernames: own.map((login) => login.username),
        loginCount: Number(first?.logins ?? 0),
        packages: held,
        access: first?.retired_at === null ? first.access : null,
        reason: first?.retired_at === null ? first.reason : null,
        rateLimit: first?.retired_at === null ? first.rate_limit : null,
        owesMinor: BigInt(debts.get(id)?.open ?? '0'),
        oldestDueOn: debts.get(id)?.due_on ?? null,
        openSessions: online.get(id) ?? 0,
        isEnded: held.length === 0,
      },
    ];
  });
}

interface LoginOf {
  subscriber_id: SubscriberId;
  username: string;
  retired_at: string | null;
  access: AccessKind | null;
  reason: Reason | null;
  rate_limit: string | null;
  logins: string;
}

const marks = (ids: readonly unknown[]) => ids.map(() => '?').join(', ');

async function loginsOf(db: Db, ids: readonly SubscriberId[]): Promise<Map<SubscriberId, LoginOf[]>> {
  const [rows] = (await db.raw(
    `SELECT * FROM (
       SELECT n.subscriber_id, l.username, l.retired_at, d.access, d.reason, d.rate_limit,
         COUNT(*) OVER (PARTITION BY n.subscriber_id) AS logins,
         ROW_NUMBER() OVER (PARTITION BY n.subscriber_id ORDER BY l.retired_at IS NOT NULL, d.access DESC, l.id) AS place
       FROM subscription n STRAIGHT_JOIN login l ON l.subscription_id = n.id
       LEFT JOIN access_decision d ON d.login_id = l.id
       WHERE n.subscriber_id IN (${marks(ids)})
     ) x WHERE place <= 3 ORDER BY subscriber_id, place`,
    [...ids],
  )) as unknown as [LoginOf[]];
  const found = new Map<SubscriberId, LoginOf[]>();
  for (const row of rows) found.set(row.subscriber_id, [...(found.get(row.subscriber_id) ?? []), row]);
  return found;
}

async function packagesOf(db: Db, ids: readonly SubscriberId[]): Promise<Map<SubscriberId, string[]>> {
  const rows = await db('subscription as n')
    .join('package as p', 'p.id', 'n.package_id')
    .whereIn('n.subscriber_id', [...ids])
    .whereNot('n.state', 'terminated')
    .groupBy('n.subscriber_id', 'p.name')
    .orderBy('p.name')
    .select<{ subscriber_id: SubscriberId; name: string }[]>('n.subscriber_id', 'p.name');
  const found = new Map<SubscriberId, string[]>();
  for (const row of rows) found.set(row.subscriber_id, [...(found.get(row.subscriber_id) ?? []), row.name]);
  return found;
}

async function debtsOf(
  db: Db,
  ids: readonly SubscriberId[],
): Promise<Map<SubscriberId, { open: string; due_on: Day }>> {
  const [rows] = (await db.raw(
    `SELECT subscriber_id, SUM(open_minor) AS open, MIN(due_on) AS due_on
       FROM invoice FORCE INDEX (invoice_overdue)
      WHERE state = 'open' AND subscriber_id IN (${marks(ids)}) GROUP BY subscriber_id`,
    [...ids],
  )) as unknown as [{ subscriber_id: SubscriberId; open: string; due_on: Day }[]];
  return new Map(rows.map((row) => [row.subscriber_id, row]));
}

async function sessionsOf(db: Db, ids: readonly SubscriberId[]): Promise<Map<SubscriberId, number>> {
  const [rows] = (await db.raw(
    `SELECT STRAIGHT_JOIN n.subscriber_id, COUNT(*) AS n
       FROM subscription n JOIN login l ON l.subscription_id = n.id
       JOIN radacct a FORCE INDEX (radacct_user) ON a.username = l.username AND a.acctstoptime IS NULL
      WHERE n.subscriber_id IN (${marks(ids)}) GROUP BY n.subscriber_id`,
    [...ids],
  )) as unknown as [{ subscriber_id: SubscriberId; n: string }[]];
  return new Map(rows.map((row) => [row.subscriber_id, Number(row.n)]));
}

/** Routers by name, for a field to choose from. */
export async function routerChoices(db: Db): Promise<{ id: string; name: string }[]> {
  return db('router')
    .whereNotNull('live_name')
    .orderBy('live_name')
    .limit(1000)
    .select<{ id: string; name: string }[]>('id', 'name');
}
