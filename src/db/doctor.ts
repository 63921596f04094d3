import type { Knex } from 'knex';
import type { LoginId } from '../domain/ids.ts';
import { type Db, fromSqlInstant } from './knex.ts';
import { databaseNow } from './leases.ts';

/** Facts about the installation itself; what they mean is the doctor's business. */
export interface DatabaseFacts {
  version: string;
  now: Date;
  sessionZone: string;
  isolation: string;
  sqlMode: string;
}

export async function databaseFacts(db: Knex): Promise<DatabaseFacts> {
  const [rows] = (await db.raw(
    'SELECT VERSION() AS version, ? AS now, @@session.time_zone AS zone, @@session.tx_isolation AS isolation, @@session.sql_mode AS mode',
    [databaseNow(db)],
  )) as [Record<'version' | 'now' | 'zone' | 'isolation' | 'mode', string>[]];
  const row = rows[0];
  if (row === undefined) throw new Error('the database gave no row');
  return {
    version: row.version,
    now: fromSqlInstant(row.now),
    sessionZone: row.zone,
    isolation: row.isolation,
    sqlMode: row.mode,
  };
}

export async function appliedMigrations(db: Db): Promise<string[]> {
  return db('schema_migration').orderBy('name').pluck<string[]>('name');
}

/** Names that FreeRADIUS compares must match exactly: columns that would not. */
export async function looseNameColumns(db: Db): Promise<string[]> {
  const [rows] = (await db.raw(
    `SELECT CONCAT(table_name, '.', column_name) AS name FROM information_schema.columns
      WHERE table_schema = DATABASE() AND collation_name <> 'utf8mb4_nopad_bin'
        AND ((table_name IN ('radcheck', 'radreply', 'radacct', 'radpostauth', 'login') AND column_name = 'username')
          OR (table_name = 'nas' AND column_name IN ('nasname', 'shortname')))`,
  )) as [{ name: string }[]];
  return rows.map((row) => row.name);
}

/** Key ids that secrets are sealed with, and how many secrets each. */
export async function secretKeyIds(db: Db): Promise<{ table: string; keyId: string; count: number }[]> {
  const [rows] = (await db.raw(
    `SELECT 'login' AS \`table\`, CONVERT(SUBSTRING(secret, 2, ORD(secret)) USING ascii) AS key_id, COUNT(*) AS n FROM login GROUP BY key_id
     UNION ALL
     SELECT 'router', CONVERT(SUBSTRING(secret, 2, ORD(secret)) USING ascii) AS key_id, COUNT(*) FROM router WHERE removed_at IS NULL GROUP BY key_id`,
  )) as [{ table: string; key_id: string; n: string }[]];
  return rows.map((row) => ({ table: row.table, keyId: row.key_id, count: Number(row.n) }));
}

/** Live logins that no decision was ever written down for. */
export async function undecidedLogins(db: Db): Promise<number> {
  const row = await db('login as l')
    .leftJoin('access_decision as d', 'd.login_id', 'l.id')
    .whereNull('l.retired_at')
    .whereNull('d.login_id')
    .first<{ n: string }>(db.raw('COUNT(*) AS n'));
  return Number(row.n);
}

/** Open sessions of which nothing was heard since, and how many are open in all. */
export async function quietSessions(db: Db, since: string): Promise<{ quiet: number; open: number }> {
  const row = await db('radacct')
    .whereNull('acctstoptime')
    .first<{ quiet: string | null; open: string }>(
      db.raw('SUM(COALESCE(acctupdatetime, acctstarttime) < ?) AS quiet', [since]),
      db.raw('COUNT(*) AS open'),
    );
  return { quiet: Number(row.quiet ?? 0), open: Number(row.open) };
}

/** Master packages in use that leave something to the router's default profile. */
export async function silentMasterPackages(db: Db): Promise<{ name: string; lacks: string[] }[]> {
  const rows = await db('master_package as m')
    .whereExists(
      db('package as p').whereRaw('p.master_package_id = m.id').whereNull('p.retired_at').select(db.raw('1')),
    )
    .orderBy('m.name')
    .limit(1000)
    .select<Record<string, string | null>[]>('m.name', 'm.rate_limit', 'm.pool_id', 'm.ppp_profile_id');
  return rows
    .map((row) => ({
      name: row['name'] ?? '',
      lacks: [
        ...(row['pool_id'] === null ? ['pool'] : []),
        ...(row['ppp_profile_id'] === null ? ['PPP profile'] : []),
      ],
    }))
    .filter((row) => row.lacks.length > 0);
}

export async function nasAddresses(db: Db): Promise<string[]> {
  return db('nas').orderBy('nasname').pluck<string[]>('nasname');
}

/** A login that should be accepted from anywhere: full access, any device, nobody online. */
export async function loginToTry(
  db: Db,
): Promise<{ id: LoginId; username: string; secret: Buffer } | undefined> {
  return db('login as l')
    .join('access_decision as d', 'd.login_id', 'l.id')
    .where('d.access', 'full')
    .whereNull('l.mac_lock')
    .whereNull('l.retired_at')
    .whereNotExists(
      db('radacct as a').whereRaw('a.username = l.username').whereNull('a.acctstoptime').select(db.raw('1')),
    )
    .whereNotExists(
      db('reconcile_queue as q').whereRaw("q.kind = 'login' AND q.`key` = l.id").select(db.raw('1')),
    )
    .orderBy('l.id')
    .first<{ id: LoginId; username: string; secret: Buffer } | undefined>('l.id', 'l.username', 'l.secret');
}

/** The instant of the newest accounting row that FreeRADIUS wrote, by its own clock. */
export async function newestAccounting(db: Db): Promise<Date | undefined> {
  const row = await db('radacct')
    .whereNull('acctstoptime')
    .first<{ at: string | null }>(db.raw('MAX(COALESCE(acctupdatetime, acctstarttime)) AS at'));
  return row.at === null ? undefined : fromSqlInstant(row.at);
}
