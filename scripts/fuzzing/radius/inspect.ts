import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { CampaignOptions } from '../campaign.ts';
import { secretsIn, secretsInDatabase } from '../canaries.ts';
import type { RadiusWorld } from './world.ts';

/** What no packet may have made of the tables. */
const impossible: readonly (readonly [rule: string, table: string, where: string])[] = [
  ['a session that ends before it begins', 'radacct', 'acctstoptime < acctstarttime'],
  ['a session heard of before it begins', 'radacct', 'acctupdatetime < acctstarttime'],
  ['a session in the future', 'radacct', 'acctupdatetime > UTC_TIMESTAMP() + INTERVAL 1 DAY'],
  ['negative octets', 'radacct', 'acctinputoctets < 0 OR acctoutputoctets < 0'],
  ["a session of nobody's router", 'radacct', "router_id IS NULL OR nasipaddress NOT LIKE '127.0.0.6_'"],
  [
    'a name that no login can have',
    'radacct',
    "username NOT LIKE '? %' AND CAST(username AS CHAR CHARACTER SET latin1) NOT REGEXP '^[!-@[-~]{1,64}$'",
  ],
  ['a stop that was never seen', 'radacct', 'stop_seen AND acctstoptime IS NULL'],
  ['a reject of an unknown reason', 'radpostauth', "reason NOT REGEXP '^[a-z_]{4,40}$'"],
  ['a kept password', 'radpostauth', "pass <> ''"],
];

/** After all packets: the tables, the logs, and whether the workers got through. */
export async function inspect(
  world: RadiusWorld,
  acknowledged: ReadonlySet<string>,
  { tally, from, isShort }: CampaignOptions,
): Promise<void> {
  const found = (rule: string, about = '') => tally.found({ rule, case: from, about: `  ${about}` });
  const { db } = world.app;
  const lost = await lostOf(world, acknowledged);
  tally.kinds.set('accounting that was acknowledged, and looked for in the table', acknowledged.size);
  if (lost.length > 0)
    found('acknowledged accounting is not in the table', `${lost.length}: ${lost.slice(0, 5).join(' ')}`);
  for (const [rule, table, where] of impossible) {
    const rows: unknown[] = await db(table).whereRaw(where).limit(3).select();
    if (rows.length > 0) found(rule, JSON.stringify(rows).slice(0, 1500));
  }
  for (const held of await secretsInDatabase(db, world.secrets)) found(`the database: ${held}`);
  inspectLogs(world, found);
  if (isShort !== true) await theTailGetsThrough(world, found);
  if (!(await world.radius.isAlive(5000))) found('FreeRADIUS is gone');
  const strangers = await db('unknown_client')
    .where({ address: '127.0.0.99' })
    .select<{ packets: string }[]>('packets');
  if (strangers.length === 0 && tally.cases > 20_000) found('the stranger was not noted');
}

async function lostOf({ app }: RadiusWorld, acknowledged: ReadonlySet<string>): Promise<string[]> {
  const kept = new Set<string>();
  for (let after = '0'; ;) {
    const rows = await app
      .db('radacct')
      .where('radacctid', '>', after)
      .orderBy('radacctid')
      .limit(10_000)
      .select<{ radacctid: string; acctsessionid: string }[]>('radacctid', 'acctsessionid');
    for (const row of rows) kept.add(/^[fg]\d+-/.exec(row.acctsessionid)?.[0] ?? '');
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last.radacctid;
  }
  return [...acknowledged].filter((id) => !kept.has(id));
}

function inspectLogs(world: RadiusWorld, found: (rule: string, about?: string) => void): void {
  const files = [world.radius.logFile, `${world.radius.folder}/output.log`].map((path) =>
    readFileSync(path, 'latin1'),
  );
  for (const text of files) {
    for (const name of secretsIn(text, world.secrets)) found(`FreeRADIUS's log holds ${name}`);
    const errors = text
      .split('\n')
      .filter((line) => /: (Error|ERROR)\b/.test(line) && !line.includes('Unable to open file'));
    for (const line of errors) {
      // The campaign uses an identifier again before a server that is busy with the first has answered it: no fault of SQL's.
      const isAboutOrder = /Ignoring duplicate packet|Received conflicting packet/.test(line);
      if (/sql|mysql/i.test(line) && !isAboutOrder)
        found(`FreeRADIUS's log: ${sortOf(line)}`, line.slice(0, 800));
    }
  }
  for (const line of world.log) {
    for (const name of secretsIn(line, world.secrets)) found(`a log line holds ${name}`, line);
    if (line.includes('"level":"error"'))
      found(`an error of a worker: ${(JSON.parse(line) as { message: string }).message}`, line);
  }
}

function sortOf(line: string): string {
  return line
    .replace(/^.*?: Error: ?/, '')
    .replaceAll(/\d+/g, 'n')
    .slice(0, 80);
}

/** Rows are read again for half a minute before the tail says that it has read them. */
async function theTailGetsThrough(
  { app }: RadiusWorld,
  found: (rule: string, about?: string) => void,
): Promise<void> {
  const newest = await app.db('radacct').max<{ id: string | null }[]>({ id: 'radacctid' });
  const wanted = BigInt(newest[0]?.id ?? 0);
  for (let second = 0; second < 120; second++) {
    const row = await app
      .db('accounting_tail')
      .where({ name: 'sessions' })
      .first<{ radacctid: string } | undefined>();
    if (row !== undefined && BigInt(row.radacctid) >= wanted) return;
    await wait(1000);
  }
  found('the tail of accounting did not get through');
}
