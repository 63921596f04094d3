import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

export interface DamagedTable {
  readonly name: string;
  /** The database's name for what is wrong, such as ER_NOT_KEYFILE. */
  readonly code: string;
  readonly saidAt: Date;
}

/** MariaDB's errors, its own and those of its engines (my_base.h): no repetition helps, and what touches the table fails. */
const damageCodes = new Map([
  [126, 'HA_ERR_CRASHED'],
  [127, 'HA_ERR_WRONG_IN_RECORD'],
  [144, 'HA_ERR_CRASHED_ON_REPAIR'],
  [145, 'HA_ERR_CRASHED_ON_USAGE'],
  [180, 'HA_ERR_INDEX_CORRUPT'],
  [1034, 'ER_NOT_KEYFILE'],
  [1194, 'ER_CRASHED_ON_USAGE'],
  [1195, 'ER_CRASHED_ON_REPAIR'],
  [1712, 'ER_INDEX_CORRUPT'],
  [1877, 'ER_TABLE_CORRUPT'],
  [1932, 'ER_NO_SUCH_TABLE_IN_ENGINE'],
]);

/** The table that the database calls damaged in this error, or undefined where it is another error. */
export function damageIn(error: unknown): { name: string; code: string } | undefined {
  const { errno, sqlMessage = '' } = error as { errno?: number; sqlMessage?: string };
  const code = damageCodes.get(errno ?? 0);
  if (code === undefined) return undefined;
  // 'x', 'sluice.x', './sluice/x.ibd'; or an index without quotation marks, whose table it does not say.
  const quoted = /'([^']*)'/.exec(sqlMessage)?.[1];
  const name = quoted?.replace(/\.[A-Za-z]{3}$/, '').replace(/^.*[./]/, '') ?? sqlMessage.split(' is ')[0];
  return { name: (name ?? '').slice(0, 64), code };
}

export async function noteDamage(db: Db, damage: { name: string; code: string }, at: Date): Promise<void> {
  await db('damaged_table')
    .insert({ ...damage, said_at: sqlInstant(at) })
    .onConflict('name')
    .merge(['code', 'said_at']);
}

/** Tables that were called damaged since then, by name. */
export async function damagedTables(db: Db, since: Date): Promise<DamagedTable[]> {
  const rows = await db('damaged_table')
    .where('said_at', '>=', sqlInstant(since))
    .orderBy('name')
    .select<{ name: string; code: string; said_at: string }[]>('*');
  return rows.map((row) => ({
    name: row.name,
    code: row.code,
    saidAt: fromSqlInstant(row.said_at),
  }));
}
