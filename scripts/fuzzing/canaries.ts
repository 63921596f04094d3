import type { Knex } from 'knex';

/** Secrets by what they are, each of a spelling that nothing else has. */
export type Secrets = ReadonlyMap<string, string>;

/** The secrets that a text holds, also in the spellings in which logs and pages could hold them. */
export function secretsIn(text: string, secrets: Secrets): string[] {
  return [...secrets].flatMap(([name, secret]) => (holds(text, secret) ? [name] : []));
}

function holds(text: string, secret: string): boolean {
  return text.includes(secret);
}

/** Where a login's or a router's secret is in clear because FreeRADIUS needs it so. */
const inClear = new Set(['radcheck.value', 'nas.secret']);

/** Columns of the database that hold a secret in clear and should not, as `table.column holds name`. */
export async function secretsInDatabase(db: Knex, secrets: Secrets): Promise<string[]> {
  const [columns] = (await db.raw(
    `SELECT table_name AS t, column_name AS c FROM information_schema.columns
     WHERE table_schema = DATABASE() AND data_type IN
       ('char', 'varchar', 'text', 'mediumtext', 'longtext', 'json', 'blob', 'varbinary', 'mediumblob', 'longblob', 'binary')`,
  )) as unknown as [{ t: string; c: string }[]];
  const found: string[] = [];
  for (const { t, c } of columns) {
    if (inClear.has(`${t}.${c}`)) continue;
    for (const [name, secret] of secrets) {
      const rows = await db(t).whereRaw('LOCATE(?, ??) > 0', [secret, c]).limit(1).select(db.raw('1'));
      if (rows.length > 0) found.push(`${t}.${c} holds ${name}`);
    }
  }
  return found;
}
