import { diffByKey } from '../domain/diff.ts';
import type { RadiusRow } from '../domain/radius-attributes.ts';
import { chunksOf, type Db, type Trx } from './knex.ts';

/** The rows that a login should have; empty lists take it out of RADIUS. */
export interface DesiredRows {
  readonly username: string;
  readonly check: readonly RadiusRow[];
  readonly reply: readonly RadiusRow[];
}

/** A row as it stands in the table. */
export interface ActualRow {
  readonly username: string;
  readonly attribute: string;
  readonly op: string;
  readonly value: string;
  readonly ordinal: number;
}

export interface RowChanges {
  added: number;
  changed: number;
  removed: number;
}

type Table = 'radcheck' | 'radreply';
interface StoredRow extends ActualRow {
  readonly table: Table;
  readonly id: string;
}

/**
 * Brings the rows of these logins to what is desired: one SELECT for what is there, then only the differences, in
 * statements of many rows. Nothing is written where nothing differs. The only writer of radcheck and radreply.
 */
export async function alignRows(trx: Trx, desired: readonly DesiredRows[]): Promise<RowChanges> {
  const changes: RowChanges = { added: 0, changed: 0, removed: 0 };
  const sorted = [...desired].sort((a, b) => (a.username < b.username ? -1 : 1));
  for (const chunk of chunksOf(sorted, 500)) {
    const actual = await storedRows(
      trx,
      chunk.map((login) => login.username),
    );
    for (const table of ['radcheck', 'radreply'] as const) {
      const found = await alignTable(trx, table, chunk, actual);
      changes.added += found.added;
      changes.changed += found.changed;
      changes.removed += found.removed;
    }
  }
  return changes;
}

async function alignTable(
  trx: Trx,
  table: Table,
  desired: readonly DesiredRows[],
  actual: readonly StoredRow[],
): Promise<RowChanges> {
  const wanted = desired.flatMap((login) =>
    (table === 'radcheck' ? login.check : login.reply).map((row) => ({
      ...row,
      username: login.username,
      table,
      id: '',
    })),
  );
  const diff = diffByKey<StoredRow>(
    wanted,
    actual.filter((row) => row.table === table),
    (row) => `${row.username}\n${row.attribute}\n${row.ordinal}`,
    (a, b) => a.op === b.op && a.value === b.value,
  );
  const upserts = [...diff.add, ...diff.change.map((change) => change.to)].sort(inKeyOrder);
  for (const rows of chunksOf(upserts, 1000)) {
    await trx(table)
      .insert(
        rows.map(({ username, attribute, op, value, ordinal }) => ({
          username,
          attribute,
          op,
          value,
          ordinal,
        })),
      )
      .onConflict(['username', 'attribute', 'ordinal'])
      .merge(['op', 'value']);
  }
  for (const rows of chunksOf(diff.remove, 1000)) {
    await trx(table)
      .whereIn(
        'id',
        rows.map((row) => row.id),
      )
      .del();
  }
  return { added: diff.add.length, changed: diff.change.length, removed: diff.remove.length };
}

/** The primary key's order, so that two transactions that meet wait for one another instead of deadlocking. */
function inKeyOrder(a: StoredRow, b: StoredRow): number {
  if (a.username !== b.username) return a.username < b.username ? -1 : 1;
  if (a.attribute !== b.attribute) return a.attribute < b.attribute ? -1 : 1;
  return a.ordinal - b.ordinal;
}

async function storedRows(db: Db, usernames: readonly string[]): Promise<StoredRow[]> {
  if (usernames.length === 0) return [];
  const marks = usernames.map(() => '?').join(', ');
  const rows: StoredRow[][] = await db.raw(
    `SELECT 'radcheck' AS \`table\`, id, username, attribute, op, value, ordinal FROM radcheck WHERE username IN (${marks})
     UNION ALL
     SELECT 'radreply', id, username, attribute, op, value, ordinal FROM radreply WHERE username IN (${marks})`,
    [...usernames, ...usernames],
  );
  return rows[0] ?? [];
}

/** What FreeRADIUS finds for these logins now. It holds clear-text passwords: whoever shows it masks them. */
export async function actualRows(
  db: Db,
  usernames: readonly string[],
): Promise<Map<string, { check: ActualRow[]; reply: ActualRow[] }>> {
  const found = new Map<string, { check: ActualRow[]; reply: ActualRow[] }>();
  for (const username of usernames) found.set(username, { check: [], reply: [] });
  for (const chunk of chunksOf(usernames, 500)) {
    for (const { table, username, attribute, op, value, ordinal } of await storedRows(db, chunk)) {
      const login = found.get(username);
      (table === 'radcheck' ? login?.check : login?.reply)?.push({ username, attribute, op, value, ordinal });
    }
  }
  return found;
}
