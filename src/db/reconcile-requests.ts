import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { chunksOf, type Db, repeatStatement } from './knex.ts';
import { databaseNow } from './leases.ts';

/** `many_logins` stands for every login of a master package, or for all: a worker asks for them, a chunk at a time. */
export const reconcileKinds = ['login', 'session', 'router', 'many_logins'] as const;
export type ReconcileKind = (typeof reconcileKinds)[number];

/** Higher is first: what a person waits for goes before what a run or a sweep asks. */
export const priorities = { payment: 90, staff: 80, router: 70, tail: 60, run: 50, sweep: 20 } as const;
export type Priority = keyof typeof priorities;

/** From here on somebody waits for it. */
export const urgentFrom = priorities.staff;

export interface ReconcileRequest {
  kind: ReconcileKind;
  key: string;
  routerId?: string | null;
}

/**
 * Asks that keys be looked at: inserts, or gives a waiting row a new random version, a fresh start and the higher
 * priority. A worker that is busy with the old version cannot delete the new wish. Called inside the transaction that
 * made it necessary.
 */
export async function requestReconcile(
  db: Db,
  requests: readonly ReconcileRequest[],
  why: { priority: Priority; requestedBy: string },
): Promise<void> {
  const sorted = [...requests].sort(
    (a, b) => a.kind.localeCompare(b.kind) || Number(BigInt(a.key) - BigInt(b.key)),
  );
  for (const chunk of chunksOf(sorted, 500)) {
    await repeatStatement(db, () => insertOrBump(db, chunk, why));
  }
}

async function insertOrBump(
  db: Db,
  requests: readonly ReconcileRequest[],
  why: { priority: Priority; requestedBy: string },
): Promise<void> {
  // Written out: of five hundred rows the query builder takes three times as long, and payments wait meanwhile.
  const now = databaseNow(db).toQuery();
  await db.raw(
    `INSERT INTO reconcile_queue (kind, \`key\`, version, priority, not_before, router_id, requested_by, requested_at)
     VALUES ${requests.map(() => `(?, ?, ?, ?, ${now}, ?, ?, ${now})`).join(', ')}
     ON DUPLICATE KEY UPDATE version = VALUES(version), priority = GREATEST(priority, VALUES(priority)),
       not_before = VALUES(not_before), router_id = VALUES(router_id), requested_by = VALUES(requested_by),
       requested_at = VALUES(requested_at), attempts = 0, is_parked = FALSE, ${freeLogin}`,
    requests.flatMap((request) => [
      request.kind,
      request.key,
      randomVersion(),
      priorities[why.priority],
      // knex's types leave null out, but the driver writes NULL.
      (request.routerId ?? null) as string,
      why.requestedBy,
    ]),
  );
}

/**
 * Whoever claimed the older wish of a login drops it when it comes to write (rule 4), and may be dead: nobody waits for
 * its lease. A session keeps its claim, since a packet may be on its way.
 */
const freeLogin = `claim_token = IF(kind = 'login', NULL, claim_token),
  locked_until = IF(kind = 'login', NULL, locked_until)`;

/**
 * Bound as a number: MariaDB compares and adds a number and a text as floating point, and ids and versions have 63 bits.
 * knex's types leave bigint out, but the driver writes it as the number that it is.
 */
export function asNumber(text: string): Knex.RawBinding {
  return BigInt(text) as unknown as Knex.RawBinding;
}

/** 63 random bits, as decimal text. */
export function randomVersion(): string {
  return (randomBytes(8).readBigUInt64BE() >> 1n).toString();
}
