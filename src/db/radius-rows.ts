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

/** With all but the name as one text, by which rows are compared. */
interface TextedRow extends ActualRow {
  readonly text: string;
}

/**
 * Brings the rows of these logins to what is desired: one SELECT for what is there, then only the differences, in
 * statements of many rows. Nothing is written where nothing differs. The only writer of radcheck and radreply.
 */
export async function alignRows(trx: Trx, desired: readonly DesiredRows[]): Promise<RowChanges> {
  const changes: RowChanges = { added: 0, changed: 0, removed: 0 };
  const sorted = [...desired].sort((a, b) => (a.username < b.username ? -1 : 1));
  for (const chunk of chunksOf(sorted, 500)) {
    const actual = await packedRows(
      trx,
      chunk.map((login) => login.username),
    );
    for (const table of ['radcheck', 'radreply'] as const) {
      const found = await alignTable(trx, table, chunk, actual[table]);
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
  actual: ReadonlyMap<string, readonly string[]>,
): Promise<RowChanges> {
  const wanted: TextedRow[] = [];
  const there: TextedRow[] = [];
  // What is equal to the letter needs no further look, and that is most of it.
  for (const { username, check, reply } of desired) {
    const packed = actual.get(username) ?? [];
    const texts = new Set<string>();
    for (const row of table === 'radcheck' ? check : reply) {
      const text = pack(row);
      texts.add(text);
      if (!packed.includes(text)) wanted.push({ username, ...row, text });
    }
    for (const text of packed) if (!texts.has(text)) there.push(unpack(username, text));
  }
  const diff = diffByKey<TextedRow>(
    wanted,
    there,
    (row) => `${row.username}\n${row.attribute}\n${row.ordinal}`,
    (a, b) => a.text === b.text,
  );
  const singly = await changeTogether(
    trx,
    table,
    diff.change.map((change) => change.to),
  );
  await putRows(trx, table, [...diff.add, ...singly]);
  await removeRows(trx, table, diff.remove);
  return { added: diff.add.length, changed: diff.change.length, removed: diff.remove.length };
}

/** From so many logins on, one statement for what they have in common is cheaper than a row of values for each. */
const togetherFrom = 30;

/**
 * Many logins that are cut off or put back together get the same values: those are told once, with the logins' names, and
 * not for each of them. Gives the rows that nobody shares.
 */
async function changeTogether(trx: Trx, table: Table, rows: readonly TextedRow[]): Promise<TextedRow[]> {
  const shares = new Map<string, number>();
  for (const { text } of rows) shares.set(text, (shares.get(text) ?? 0) + 1);
  const isShared = ({ ordinal, text }: TextedRow) => ordinal === 0 && (shares.get(text) ?? 0) >= togetherFrom;
  const singly = rows.filter((row) => !isShared(row));
  for (const group of alike(rows.filter(isShared), (row) => row.text)) {
    const isChanged = group.length >= togetherFrom && (await changeAlike(trx, table, group));
    if (!isChanged) for (const login of group) singly.push(...login.rows);
  }
  return singly;
}

interface RowsOf {
  readonly username: string;
  readonly rows: TextedRow[];
}

/** Logins of whose rows the texts agree, in groups; in the order of their names. */
function alike(rows: readonly TextedRow[], textOf: (row: TextedRow) => string): RowsOf[][] {
  const logins = new Map<string, RowsOf>();
  for (const row of [...rows].sort(inKeyOrder)) {
    const login = logins.get(row.username);
    if (login === undefined) logins.set(row.username, { username: row.username, rows: [row] });
    else login.rows.push(row);
  }
  const groups = new Map<string, RowsOf[]>();
  for (const login of logins.values()) {
    const text = login.rows.map(textOf).join(betweenRows);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, [login]);
    else group.push(login);
  }
  return [...groups.values()];
}

/** False where a row that was read a moment ago is gone: somebody removed it by hand, and it has to be put back. */
async function changeAlike(trx: Trx, table: Table, group: readonly RowsOf[]): Promise<boolean> {
  const rows = group[0]?.rows ?? [];
  const cases = (column: 'op' | 'value') =>
    `CASE attribute ${rows.map(() => 'WHEN ? THEN ?').join(' ')} ELSE ${column} END`;
  const [result] = (await trx.raw(
    `UPDATE ${table} FORCE INDEX (PRIMARY) SET op = ${cases('op')}, value = ${cases('value')}
     WHERE attribute IN (${marks(rows.length)}) AND ordinal = 0 AND username IN (${marks(group.length)})`,
    [
      ...rows.flatMap((row) => [row.attribute, row.op]),
      ...rows.flatMap((row) => [row.attribute, row.value]),
      ...rows.map((row) => row.attribute),
      ...group.map((login) => login.username),
    ],
  )) as unknown as [{ affectedRows: number }];
  // The driver counts rows that were found, also where they had the value already.
  return result.affectedRows === rows.length * group.length;
}

async function putRows(trx: Trx, table: Table, rows: readonly ActualRow[]): Promise<void> {
  for (const chunk of chunksOf([...rows].sort(inKeyOrder), 1000)) {
    await trx.raw(
      `INSERT INTO ${table} (username, attribute, op, value, ordinal)
       VALUES ${chunk.map(() => '(?, ?, ?, ?, ?)').join(', ')}
       ON DUPLICATE KEY UPDATE op = VALUES(op), value = VALUES(value)`,
      chunk.flatMap((row) => [row.username, row.attribute, row.op, row.value, row.ordinal]),
    );
  }
}

/** Those of the same attributes together: each is then one look into the primary key. */
async function removeRows(trx: Trx, table: Table, rows: readonly TextedRow[]): Promise<void> {
  const ordinals = [...new Set(rows.map((row) => row.ordinal))];
  for (const ordinal of ordinals) {
    const groups = alike(
      rows.filter((row) => row.ordinal === ordinal),
      (row) => row.attribute,
    );
    for (const group of groups) {
      const attributes = (group[0]?.rows ?? []).map((row) => row.attribute);
      await trx.raw(
        `DELETE FROM ${table} WHERE attribute IN (${marks(attributes.length)}) AND ordinal = ?
           AND username IN (${marks(group.length)})`,
        [...attributes, ordinal, ...group.map((login) => login.username)],
      );
    }
  }
}

/** The primary key's order, so that two transactions that meet wait for one another instead of deadlocking. */
function inKeyOrder(a: ActualRow, b: ActualRow): number {
  if (a.username !== b.username) return a.username < b.username ? -1 : 1;
  if (a.attribute !== b.attribute) return a.attribute < b.attribute ? -1 : 1;
  return a.ordinal - b.ordinal;
}

// No name, operator or value of ours has these; a row that somebody wrote by hand may.
const betweenRows = '\u001e';
const betweenFields = '\u001f';

function pack(row: Omit<ActualRow, 'username'>): string {
  return `${row.attribute}${betweenFields}${row.op}${betweenFields}${row.ordinal}${betweenFields}${row.value}`;
}

function unpack(username: string, text: string): TextedRow {
  const [attribute = '', op = '', ordinal = '', ...value] = text.split(betweenFields);
  return { username, attribute, op, ordinal: Number(ordinal), value: value.join(betweenFields), text };
}

type Packed = Record<Table, Map<string, readonly string[]>>;

/**
 * All rows of each login in one text, because a driver's price is by the row and field: five times faster than reading
 * them singly. A login whose rows cannot be told apart in its text is read singly after all.
 */
async function packedRows(db: Db, usernames: readonly string[]): Promise<Packed> {
  const packed: Packed = { radcheck: new Map(), radreply: new Map() };
  if (usernames.length === 0) return packed;
  const select = (table: Table) =>
    `SELECT '${table}' AS \`table\`, username, COUNT(*) AS n,
       GROUP_CONCAT(CONCAT_WS('${betweenFields}', attribute, op, ordinal, value) SEPARATOR '${betweenRows}') AS packed
     FROM ${table} FORCE INDEX (PRIMARY) WHERE username IN (${marks(usernames.length)}) GROUP BY username`;
  const [rows = []]: PackedRow[][] = await db.raw(`${select('radcheck')} UNION ALL ${select('radreply')}`, [
    ...usernames,
    ...usernames,
  ]);
  const unclear = new Set<string>();
  for (const row of rows) {
    const texts = row.packed.split(betweenRows);
    if (texts.length !== Number(row.n)) unclear.add(row.username);
    else packed[row.table].set(row.username, texts);
  }
  for (const username of unclear) {
    packed.radcheck.delete(username);
    packed.radreply.delete(username);
  }
  for (const row of await storedRows(db, [...unclear])) {
    const login = packed[row.table];
    login.set(row.username, [...(login.get(row.username) ?? []), pack(row)]);
  }
  return packed;
}

interface PackedRow {
  table: Table;
  username: string;
  n: string;
  packed: string;
}

interface StoredRow extends ActualRow {
  readonly table: Table;
}

async function storedRows(db: Db, usernames: readonly string[]): Promise<StoredRow[]> {
  if (usernames.length === 0) return [];
  const names = marks(usernames.length);
  const rows: StoredRow[][] = await db.raw(
    `SELECT 'radcheck' AS \`table\`, username, attribute, op, value, ordinal FROM radcheck WHERE username IN (${names})
     UNION ALL
     SELECT 'radreply', username, attribute, op, value, ordinal FROM radreply WHERE username IN (${names})`,
    [...usernames, ...usernames],
  );
  return rows[0] ?? [];
}

function marks(count: number): string {
  return Array<string>(count).fill('?').join(', ');
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
