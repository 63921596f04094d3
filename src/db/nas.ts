import type { NasRow } from '../domain/nas-rows.ts';
import { chunksOf, type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';

export interface StoredNasRow extends NasRow {
  readonly changedAt: Date;
}

interface Row {
  router_id: string;
  nasname: string;
  shortname: string;
  secret: string;
  require_message_authenticator: number;
  changed_at: string;
}

const columns = [
  'router_id',
  'nasname',
  'shortname',
  'secret',
  'require_message_authenticator',
  'changed_at',
];
/** A database that hangs must not hold the agent for ever; files stay as they are meanwhile. */
const readTimeoutMs = 5000;

/** The rows of these routers, and whatever rows have these addresses; locked until the transaction ends. */
export async function lockNasRows(
  trx: Trx,
  routerIds: readonly string[],
  addresses: readonly string[],
): Promise<StoredNasRow[]> {
  const rows = await trx('nas')
    .select<Row[]>(columns)
    .whereIn('router_id', [...routerIds])
    .orWhereIn('nasname', [...addresses])
    .orderBy('router_id')
    .forUpdate();
  return rows.map(nasRowOf);
}

export async function deleteNasRows(trx: Trx, routerIds: readonly string[]): Promise<void> {
  for (const chunk of chunksOf([...routerIds].sort(), 500)) {
    await trx('nas').whereIn('router_id', chunk).del();
  }
}

/** Rows that stand in the way of an address have to be gone before. */
export async function writeNasRows(trx: Trx, rows: readonly NasRow[], at: Date): Promise<void> {
  for (const chunk of chunksOf(rows, 500)) {
    await trx('nas')
      .insert(
        chunk.map((row) => ({
          router_id: row.routerId,
          nasname: row.address,
          shortname: row.shortname,
          secret: row.secret,
          require_message_authenticator: row.requireMessageAuthenticator,
          changed_at: sqlInstant(at),
        })),
      )
      .onConflict('router_id')
      .merge(['nasname', 'shortname', 'secret', 'require_message_authenticator', 'changed_at']);
  }
}

/** The whole table: a few thousand rows at most. Rejects rather than giving a part. */
export async function readNas(db: Db): Promise<StoredNasRow[]> {
  const rows = await db('nas').select<Row[]>(columns).orderBy('router_id').timeout(readTimeoutMs);
  return rows.map(nasRowOf);
}

/**
 * Changes whenever a row does. A sum over the rows, because the newest `changed_at` misses deletions and transactions
 * that commit in another order than they began.
 */
export async function nasFingerprint(db: Db): Promise<string> {
  const fingerprint = db.raw(
    `CONCAT_WS('.', COUNT(*), COALESCE(MAX(changed_at), ''), COALESCE(BIT_XOR(CRC32(
       CONCAT_WS('|', router_id, nasname, shortname, require_message_authenticator, secret))), 0)) AS fingerprint`,
  );
  const rows = await db('nas').select<{ fingerprint: string }[]>(fingerprint).timeout(readTimeoutMs);
  return rows[0]?.fingerprint ?? '';
}

function nasRowOf(row: Row): StoredNasRow {
  return {
    routerId: row.router_id,
    address: row.nasname,
    secret: row.secret,
    shortname: row.shortname,
    requireMessageAuthenticator: row.require_message_authenticator === 1,
    changedAt: fromSqlInstant(row.changed_at),
  };
}
