import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { statementsOf } from '../../../src/db/migrate.ts';
import { planCount, replyOf } from './people.ts';
import { stockTree } from './stock.ts';

export interface Size {
  readonly logins: number;
  /** The first so many of them have closed sessions. */
  readonly withHistory: number;
  readonly closedEach: number;
}

const username = "CONCAT('u', LPAD(seq, 7, '0'))";
/** As macOf() of people.ts makes it. */
const mac = (first: string) =>
  `CONCAT('${first}:', INSERT(INSERT(INSERT(INSERT(LPAD(HEX(seq), 10, '0'), 9, 0, ':'), 7, 0, ':'), 5, 0, ':'), 3, 0, ':'))`;
const plan = `(seq MOD ${planCount})`;

/** Our rows of these logins, as reconcile writes those of a subscriber who may be online. */
export async function fillOurs(db: Knex, size: Size): Promise<void> {
  await inBulk(db, [
    `INSERT INTO radcheck (username, attribute, value)
     SELECT ${username}, a.name,
       CASE a.name WHEN 'Calling-Station-Id' THEN ${mac('02')}
         WHEN 'Cleartext-Password' THEN CONCAT('secret-', seq) ELSE '1' END
     FROM seq_1_to_${size.logins} STRAIGHT_JOIN (SELECT 'Calling-Station-Id' AS name UNION ALL SELECT 'Cleartext-Password'
       UNION ALL SELECT 'Simultaneous-Use') a`,
    `INSERT INTO radreply (username, attribute, value)
     SELECT ${username}, a.name,
       CASE a.name WHEN 'Class' THEN CONCAT('S1.', seq, '.0123456789.abcdef0123') ${replyCases()} END
     FROM seq_1_to_${size.logins} STRAIGHT_JOIN (SELECT 'Class' AS name
       ${replyNames.map((name) => `UNION ALL SELECT '${name}'`).join(' ')}) a`,
    onlineRows(size),
    ...closedRows(size),
    'ANALYZE TABLE radcheck, radreply, radacct',
  ]);
}

/** The same logins for the stock queries: what a package gives stands with its group, as the stock schema means it. */
export async function fillStock(db: Knex, size: Size): Promise<void> {
  const schema = join(stockTree, 'mods-config/sql/main/mysql/schema.sql');
  for (const statement of statementsOf(withoutComments(readFileSync(schema, 'utf8'))))
    await db.raw(statement);
  const groups = Array.from({ length: planCount }, (_, i) => i);
  await inBulk(db, [
    `INSERT INTO radcheck (username, attribute, op, value)
     SELECT ${username}, a.name, a.op, IF(a.op = '==', ${mac('02')}, CONCAT('secret-', seq))
     FROM seq_1_to_${size.logins} STRAIGHT_JOIN (SELECT 'Cleartext-Password' AS name, ':=' AS op
       UNION ALL SELECT 'Calling-Station-Id', '==') a`,
    `INSERT INTO radusergroup (username, groupname)
     SELECT ${username}, CONCAT('plan-', ${plan}) FROM seq_1_to_${size.logins}`,
    `INSERT INTO radgroupcheck (groupname, attribute, op, value) VALUES
     ${groups.map((i) => `('plan-${i}', 'Simultaneous-Use', ':=', '1')`).join(', ')}`,
    `INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES
     ${groups.flatMap((i) => replyOf(i).map(([name, value]) => `('plan-${i}', '${name}', '=', '${value}')`)).join(', ')}`,
    onlineRows(size),
    ...closedRows(size),
    'ANALYZE TABLE radcheck, radusergroup, radgroupcheck, radgroupreply, radacct',
  ]);
}

/** Those who are online already, from another device, were heard of just now. */
export async function refreshOnline(db: Knex): Promise<void> {
  await db.raw('UPDATE radacct SET acctupdatetime = UTC_TIMESTAMP() WHERE acctstoptime IS NULL');
}

const replyNames = replyOf(0).map(([name]) => name);

function replyCases(): string {
  const ofPlans = replyNames.map((name, at) => {
    const values = Array.from({ length: planCount }, (_, i) => `'${replyOf(i)[at]?.[1] ?? ''}'`);
    return `WHEN '${name}' THEN ELT(${plan} + 1, ${values.join(', ')})`;
  });
  return ofPlans.join(' ');
}

/**
 * Sessions 1 to `open` of accounting-requests.ts, and closed ones. Each side finds a session by a key of its own: ours by
 * what it gave with the accept, the stock one by what the router says of itself.
 */
export async function fillSessions(db: Knex, size: Size, side: 'ours' | 'stock'): Promise<void> {
  if (side === 'stock') await makeStockTables(db);
  const id = 'LOWER(HEX(2181038080 + seq))';
  const nonce = "LPAD(LOWER(HEX(seq)), 8, '0')";
  const key =
    side === 'ours'
      ? `MD5(CONCAT(${nonce}, ' ', ${id}))`
      : `MD5(CONCAT_WS(',', ${username}, ${id}, '${benchAddress}', 'bench', 'ether2', 15728640 + seq))`;
  const ofOurs =
    side === 'ours' ? [', class', `, CONCAT('S1.', seq, '.0123456789.abcdef0123.', ${nonce})`] : ['', ''];
  await inBulk(db, [
    ...closedRows(size),
    `INSERT INTO radacct (${sessionColumns}${ofOurs[0]})
     SELECT ${id}, ${key}, ${username}, '${benchAddress}', 'ether2', 'Ethernet', UTC_TIMESTAMP() - INTERVAL 1 HOUR,
       UTC_TIMESTAMP() - INTERVAL 5 MINUTE, NULL, 0, 0, 0, 'pppoe', ${mac('02')}, '', 'Framed-User', 'PPP', ${address}
       ${ofOurs[1]}
     FROM seq_1_to_${size.logins}`,
    'ANALYZE TABLE radacct',
  ]);
}

const benchAddress = '127.0.0.2';
const sessionColumns = `acctsessionid, acctuniqueid, username, nasipaddress, nasportid, nasporttype, acctstarttime,
  acctupdatetime, acctstoptime, acctsessiontime, acctinputoctets, acctoutputoctets, calledstationid, callingstationid,
  acctterminatecause, servicetype, framedprotocol, framedipaddress`;
const address = "CONCAT('10.', seq DIV 65536 MOD 256, '.', seq DIV 256 MOD 256, '.', seq MOD 256)";

function onlineRows(size: Size): string {
  return `INSERT INTO radacct (${sessionColumns})
     SELECT CONCAT('81', LPAD(HEX(seq), 6, '0')), MD5(CONCAT('open ', seq)), ${username}, '${benchAddress}', 'ether2',
       'Ethernet', UTC_TIMESTAMP() - INTERVAL 1 HOUR, UTC_TIMESTAMP(), NULL, 3600, 1000000, 9000000, 'pppoe', ${mac('0A')},
       '', 'Framed-User', 'PPP', ${address}
     FROM seq_1_to_${size.logins} WHERE seq MOD 100 < 3`;
}

/** In the order of time, as accounting comes: the rows of one login are far apart. */
function closedRows(size: Size): string[] {
  const statements: string[] = [];
  if (size.withHistory === 0) return statements;
  // In pieces: one transaction of millions of rows would keep all its undo.
  const piece = Math.max(1, Math.floor(200_000 / size.withHistory));
  for (let from = 0; from < size.closedEach; from += piece) {
    const to = Math.min(from + piece, size.closedEach) - 1;
    statements.push(
      `INSERT INTO radacct (${sessionColumns})
       SELECT CONCAT('80', LPAD(HEX(seq + t.n), 6, '0')), MD5(CONCAT(t.n, ' ', seq)), ${username}, '${benchAddress}', 'ether2',
         'Ethernet', UTC_TIMESTAMP() - INTERVAL (${size.closedEach} - t.n) * 3 HOUR,
         UTC_TIMESTAMP() - INTERVAL (${size.closedEach} - t.n) * 3 - 2 HOUR,
         UTC_TIMESTAMP() - INTERVAL (${size.closedEach} - t.n) * 3 - 2 HOUR,
         7200 + seq MOD 997, 1000000 + seq, 9000000 + seq, 'pppoe', ${mac('02')}, 'User-Request', 'Framed-User', 'PPP',
         ${address}
       FROM (SELECT seq AS n FROM seq_${from}_to_${to}) t STRAIGHT_JOIN seq_1_to_${size.withHistory}`,
    );
  }
  return statements;
}

async function makeStockTables(db: Knex): Promise<void> {
  const schema = join(stockTree, 'mods-config/sql/main/mysql/schema.sql');
  for (const statement of statementsOf(withoutComments(readFileSync(schema, 'utf8'))))
    await db.raw(statement);
}

async function inBulk(db: Knex, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    await db.transaction(async (trx) => {
      await trx.raw('SET unique_checks = 0, foreign_key_checks = 0');
      await trx.raw(statement);
      await trx.raw('SET unique_checks = 1, foreign_key_checks = 1');
    });
  }
}

function withoutComments(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');
}
