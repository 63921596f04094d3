import { randomBytes } from 'node:crypto';
import type { LoginId } from '../domain/ids.ts';
import { chunksOf, type Db } from './knex.ts';
import { databaseNow } from './leases.ts';
import { priorities, type Priority } from './reconcile-requests.ts';

export interface Why {
  priority: Priority;
  /** Correlation id. */
  requestedBy: string;
}

/**
 * Requests the open sessions of these logins that do not have what their decision says, in the caller's transaction:
 * those whose fingerprints differ, whose login is denied, whose last CoA nobody answered, or whose Class is not ours.
 * A session that its router claimed gone is left out until an interim says otherwise. Gives how many were requested.
 */
export async function requestDifferingSessions(
  db: Db,
  loginIds: readonly LoginId[],
  why: Why,
): Promise<number> {
  const sorted = [...loginIds].sort((a, b) => Number(BigInt(a) - BigInt(b)));
  let requested = 0;
  for (const chunk of chunksOf(sorted, 500)) {
    requested += await requestSessions(db, why, {
      where: `l.id IN (${chunk.map(() => '?').join(', ')}) AND a.acctstoptime IS NULL AND ${differs}`,
      bindings: chunk,
    });
  }
  return requested;
}

const sessionWithDecision = `
  FROM login l
  JOIN access_decision d ON d.login_id = l.id
  JOIN radacct a ON a.username = l.username
  LEFT JOIN session_access s ON s.radacctid = a.radacctid
  LEFT JOIN router n ON a.router_id IS NULL AND n.live_address = a.nasipaddress`;

/** What a session has is its last acknowledged CoA, else its Class; a Class that is not ours says nothing. */
const differs = `(s.claimed_gone_at IS NULL OR a.acctupdatetime > s.claimed_gone_at)
  AND (d.access = 'denied'
    OR s.unanswered_at IS NOT NULL
    OR s.access_fingerprint <> d.access_fingerprint
    OR s.redial_fingerprint <> d.redial_fingerprint
    OR (s.radacctid IS NULL AND (a.class IS NULL OR a.class NOT LIKE
        CONCAT('S1.', l.id, '.', d.access_fingerprint, '.', d.redial_fingerprint, '.%'))))`;

async function requestSessions(
  db: Db,
  why: Why,
  which: { where: string; bindings: readonly string[] },
): Promise<number> {
  const now = databaseNow(db);
  // A random version for each row from one random number: a digest of it with the row's key.
  const [result] = (await db.raw(
    `INSERT INTO reconcile_queue
       (kind, \`key\`, version, priority, not_before, router_id, requested_by, requested_at)
     SELECT 'session', a.radacctid, CAST(CONV(LEFT(MD5(CONCAT(?, a.radacctid)), 15), 16, 10) AS UNSIGNED),
            ?, ?, COALESCE(a.router_id, n.id), ?, ?
     ${sessionWithDecision}
     WHERE ${which.where} AND COALESCE(a.router_id, n.id) IS NOT NULL
     ORDER BY a.radacctid
     ON DUPLICATE KEY UPDATE version = VALUES(version), priority = GREATEST(reconcile_queue.priority, VALUES(priority)),
       not_before = VALUES(not_before), router_id = VALUES(router_id), requested_by = VALUES(requested_by),
       requested_at = VALUES(requested_at), attempts = 0, is_parked = FALSE`,
    [randomBytes(16).toString('hex'), priorities[why.priority], now, why.requestedBy, now, ...which.bindings],
  )) as unknown as [{ info: string; affectedRows: number }];
  return Number(/Records: (\d+)/.exec(result.info)?.[1] ?? result.affectedRows);
}
