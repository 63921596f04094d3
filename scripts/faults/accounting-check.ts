import { chunksOf } from '../../src/db/knex.ts';
import type { Acknowledged } from './accounting-record.ts';
import { finding, type Finding } from './findings.ts';
import type { World } from './world.ts';

interface Row {
  acctsessionid: string;
  class: string;
  username: string;
  acctstarttime: string | null;
  acctstoptime: string | null;
  acctinputoctets: string | null;
  acctoutputoctets: string | null;
}

/** Everything a router was told was received is in radacct: each session, its end, and its octets. */
export async function accountingFindings(world: World): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const chunk of chunksOf(world.lab.record.all(), 500)) {
    const rows = await world.observer.ask(
      (db) =>
        db('radacct')
          .whereIn(
            'class',
            chunk.map((one) => one.class),
          )
          .select(
            'acctsessionid',
            'class',
            'username',
            'acctstarttime',
            'acctstoptime',
            'acctinputoctets',
            'acctoutputoctets',
          ) as unknown as Promise<Row[]>,
    );
    const known = new Map<string, Row[]>();
    for (const row of rows) {
      const key = `${row.class}/${row.acctsessionid}`;
      known.set(key, [...(known.get(key) ?? []), row]);
    }
    for (const told of chunk) {
      const why = whatIsMissing(told, known.get(`${told.class}/${told.sessionId}`) ?? []);
      if (why !== undefined) {
        findings.push(
          finding(
            'accounting that was acknowledged is lost',
            `${told.router} ${told.sessionId}`,
            why,
            told.username,
          ),
        );
      }
    }
  }
  return findings;
}

function whatIsMissing(told: Acknowledged, rows: readonly Row[]): string | undefined {
  const [row, ...more] = rows;
  if (row === undefined) return 'there is no such session';
  if (more.length > 0) return `it is there ${rows.length} times`;
  if (row.username !== told.username) return `it is that of ${row.username}`;
  if (told.hasStop && row.acctstoptime === null) return 'its Stop is missing';
  if (BigInt(row.acctinputoctets ?? 0) < told.inputOctets) {
    return `${row.acctinputoctets ?? 0} octets in instead of ${told.inputOctets}`;
  }
  if (BigInt(row.acctoutputoctets ?? 0) < told.outputOctets) {
    return `${row.acctoutputoctets ?? 0} octets out instead of ${told.outputOctets}`;
  }
  return undefined;
}
