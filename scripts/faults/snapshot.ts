import type { Knex } from 'knex';
import { finding, type Finding } from './findings.ts';
import type { Story } from './plan.ts';
import type { World } from './world.ts';

/**
 * Where everything is when nothing moves any more, without what may differ from time to time: ids, instants, numbers of
 * documents (their order is the order of arrival), addresses out of pools, and how often something was tried.
 */
export type Snapshot = ReadonlyMap<string, ReadonlyMap<string, string>>;

type Rows = Record<string, string | number | null>[];

/** One query a table: the columns `k` names the thing, `v` what is compared. */
const questions: Readonly<Record<string, string>> = {
  documents: `SELECT CONCAT_WS(' ', l.username, i.period_start) AS k,
      CONCAT_WS(' ', i.state, i.issued_on, i.due_on, i.net_minor, i.tax_minor, i.total_minor, i.open_minor) AS v
    FROM invoice i JOIN login l ON l.subscription_id = i.subscription_id`,
  payments: `SELECT CONCAT_WS(' ', p.channel, p.reference) AS k,
      CONCAT_WS(' ', MIN(l.username), p.amount_minor, p.received_on, p.recorded_by, p.reversed_at IS NULL) AS v
    FROM payment p JOIN subscription s ON s.subscriber_id = p.subscriber_id JOIN login l ON l.subscription_id = s.id
    GROUP BY p.id`,
  allocations: `SELECT CONCAT_WS(' ', l.username, i.period_start, a.source, IFNULL(p.reference, '')) AS k,
      CONCAT_WS(' ', COUNT(*), SUM(a.amount_minor)) AS v
    FROM allocation a JOIN invoice i ON i.id = a.invoice_id JOIN login l ON l.subscription_id = i.subscription_id
      LEFT JOIN payment p ON p.id = a.payment_id
    GROUP BY 1`,
  balances: `SELECT CONCAT_WS(' ', IFNULL(l.username, c.owner_key), c.code) AS k, SUM(p.amount_minor) AS v
    FROM ledger_account c JOIN ledger_posting p ON p.account_id = c.id
      LEFT JOIN subscription s ON s.subscriber_id = c.subscriber_id LEFT JOIN login l ON l.subscription_id = s.id
    GROUP BY c.id`,
  entries: `SELECT CONCAT_WS(' ', IFNULL(l.username, 'house'), e.kind) AS k, COUNT(*) AS v
    FROM ledger_entry e LEFT JOIN subscription s ON s.subscriber_id = e.subscriber_id
      LEFT JOIN login l ON l.subscription_id = s.id
    GROUP BY 1`,
  // Of a run's suspension its run counts: who applied it is the timetable where the process that did was killed.
  suspensions: `SELECT CONCAT_WS(' ', l.username, u.cause) AS k,
      CONCAT_WS(' ', u.effect, u.throttle_rate, IFNULL(CONCAT('run of ', r.as_of), u.opened_by)) AS v
    FROM suspension u JOIN login l ON l.subscription_id = u.subscription_id
      LEFT JOIN overdue_run r ON r.id = u.opened_by_run_id
    WHERE u.closed_at IS NULL`,
  'suspensions of before': `SELECT l.username AS k,
      GROUP_CONCAT(CONCAT_WS(' ', u.cause, u.effect, u.closed_because) ORDER BY u.id SEPARATOR ', ') AS v
    FROM suspension u JOIN login l ON l.subscription_id = u.subscription_id WHERE u.closed_at IS NOT NULL
    GROUP BY l.username`,
  deferrals: `SELECT l.username AS k, GROUP_CONCAT(CONCAT_WS(' ', f.source, f.until_on) ORDER BY f.source) AS v
    FROM deferral f JOIN login l ON l.subscription_id = f.subscription_id GROUP BY l.username`,
  subscriptions: `SELECT l.username AS k,
      CONCAT_WS(' ', s.state, p.name, s.anchor_on, s.next_period, s.next_invoice_on, l.mac_lock) AS v
    FROM login l JOIN subscription s ON s.id = l.subscription_id JOIN package p ON p.id = s.package_id`,
  'master packages': `SELECT name AS k, CONCAT_WS(' ', rate_limit, interim_seconds) AS v FROM master_package`,
  routers: `SELECT name AS k, CONCAT_WS(' ', address, coa_port, rate_change, pace_per_second, removed_at) AS v FROM router`,
  runs: `SELECT once_key AS k, CONCAT_WS(' ', state, as_of) AS v FROM overdue_run`,
  decisions: `SELECT l.username AS k, CONCAT_WS(' ', d.access, d.reason, d.rate_limit) AS v
    FROM access_decision d JOIN login l ON l.id = d.login_id`,
  radcheck: `SELECT CONCAT_WS(' ', username, attribute) AS k, CONCAT_WS(' ', op, value) AS v FROM radcheck`,
  // A login that came in the story has an id that depends on who came first, and its fingerprints do too.
  radreply: `SELECT CONCAT_WS(' ', username, attribute, ordinal) AS k,
      CONCAT_WS(' ', op, IF(attribute LIKE '%Class%', REGEXP_REPLACE(value, '^S1\\\\.[0-9]+', 'S1.ID'), value)) AS v FROM radreply`,
  'RADIUS clients': `SELECT shortname AS k, CONCAT_WS(' ', nasname, MD5(secret)) AS v FROM nas`,
};

/** What of a contended subscriber depends on who came first; where it ends does not. */
const histories = new Set(['suspensions of before', 'deferrals']);

export async function takeSnapshot(world: World, story: Story): Promise<Snapshot> {
  const snapshot = new Map<string, Map<string, string>>();
  for (const [section, sql] of Object.entries(questions)) {
    const rows = await world.observer.ask((db) => rowsOf(db, sql));
    const compared = histories.has(section)
      ? rows.filter((row) => !story.contended.has(String(row['k'])))
      : rows;
    snapshot.set(
      section,
      new Map(compared.map((row) => [String(row['k']), row['v'] === null ? '' : String(row['v'])])),
    );
  }
  snapshot.set('live lines', liveLines(world));
  return snapshot;
}

async function rowsOf(db: Knex, sql: string): Promise<Rows> {
  const [rows] = (await db.raw(sql)) as unknown as [Rows];
  return rows;
}

function liveLines(world: World): Map<string, string> {
  const live = world.lab.live();
  return new Map(
    [...world.lab.cpes.keys()].map((username) => {
      const sessions = live.get(username) ?? [];
      const text = sessions.map(
        (one) => `${one.isLiedAbout ? 'lied about' : (one.rate ?? '')} ${one.list ?? ''} ${one.pool ?? ''}`,
      );
      return [username, text.length === 0 ? 'offline' : text.join(' and ')];
    }),
  );
}

/** What of the one is not in the other; `usual` is how it ends when nothing goes wrong. */
export function compare(usual: Snapshot, found: Snapshot): Finding[] {
  const findings: Finding[] = [];
  for (const [section, wanted] of usual) {
    const actual = found.get(section) ?? new Map<string, string>();
    for (const [key, value] of wanted) {
      const has = actual.get(key);
      if (has === value || (has?.startsWith('lied about') ?? false)) continue;
      findings.push(difference(section, key, value, has));
    }
    for (const [key, value] of actual) {
      if (!wanted.has(key)) findings.push(difference(section, key, undefined, value));
    }
  }
  return findings;
}

function difference(
  section: string,
  key: string,
  usual: string | undefined,
  has: string | undefined,
): Finding {
  const detail = `undisturbed: ${usual ?? 'not there'}; now: ${has ?? 'not there'}`;
  const [username] = key.split(' ');
  return finding(`${section} differ from the undisturbed story`, key, detail, username);
}
