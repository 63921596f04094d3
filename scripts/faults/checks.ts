import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { openApp } from '../../src/app.ts';
import { checkLedger } from '../../src/billing/ledger-check.ts';
import { readConfig } from '../../src/config.ts';
import { accountingFindings } from './accounting-check.ts';
import { finding, type Finding } from './findings.ts';
import { staffPassword } from './isp.ts';
import { portOf } from './place.ts';
import type { World } from './world.ts';

type Text = string | number | null;

/** Each finds rows that must not be: `who` and what is wrong with it. A question mark is today. */
const forbidden: readonly { check: string; sql: string }[] = [
  {
    check: 'somebody paid-up is suspended as overdue',
    sql: `SELECT l.username AS who, CONCAT('suspension ', u.id, ' of run ', u.opened_by_run_id) AS what
      FROM suspension u JOIN subscription s ON s.id = u.subscription_id JOIN login l ON l.subscription_id = s.id
      WHERE u.closed_at IS NULL AND u.cause = 'overdue' AND NOT EXISTS (
        SELECT 1 FROM invoice i WHERE i.subscriber_id = s.subscriber_id AND i.state = 'open' AND i.open_minor > 0 AND i.due_on < ?)`,
  },
  {
    check: 'somebody overdue is not suspended after the run of today',
    sql: `SELECT l.username AS who, CONCAT('due on ', i.due_on, ', ', i.open_minor, ' open') AS what
      FROM invoice i JOIN subscriber b ON b.id = i.subscriber_id JOIN billing_profile f ON f.id = b.billing_profile_id
        JOIN subscription s ON s.id = i.subscription_id JOIN login l ON l.subscription_id = s.id
      WHERE i.state = 'open' AND i.open_minor > 0 AND i.due_on + INTERVAL f.grace_days DAY < ?
        AND f.is_overdue_run_on AND s.state = 'active'
        AND EXISTS (SELECT 1 FROM overdue_run r WHERE r.state = 'applied' AND r.as_of = ?)
        AND NOT EXISTS (SELECT 1 FROM suspension u
          WHERE u.subscription_id = s.id AND u.cause = 'overdue' AND u.closed_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM deferral d
          WHERE d.subscription_id = s.id AND d.closed_at IS NULL AND d.until_on > ?)`,
  },
  {
    check: 'somebody without a suspension has less than full access',
    sql: `SELECT l.username AS who, CONCAT_WS(' ', d.access, d.reason) AS what
      FROM access_decision d JOIN login l ON l.id = d.login_id JOIN subscription s ON s.id = l.subscription_id
      WHERE d.access <> 'full' AND s.state = 'active'
        AND NOT EXISTS (SELECT 1 FROM suspension u WHERE u.subscription_id = s.id AND u.closed_at IS NULL)`,
  },
  {
    check: 'somebody suspended has full access',
    sql: `SELECT l.username AS who, CONCAT_WS(' ', u.cause, u.effect) AS what
      FROM suspension u JOIN login l ON l.subscription_id = u.subscription_id JOIN access_decision d ON d.login_id = l.id
      WHERE u.closed_at IS NULL AND d.access = 'full'`,
  },
  {
    check: 'rows let in whom the decision denies',
    sql: `SELECT l.username AS who, d.reason AS what FROM access_decision d JOIN login l ON l.id = d.login_id
      WHERE d.access = 'denied' AND NOT EXISTS (SELECT 1 FROM radcheck c
        WHERE c.username = l.username AND c.attribute = 'Auth-Type' AND c.value = 'Reject')`,
  },
  {
    check: 'rows keep out whom the decision lets in',
    sql: `SELECT l.username AS who, d.access AS what FROM access_decision d JOIN login l ON l.id = d.login_id
      JOIN radcheck c ON c.username = l.username AND c.attribute = 'Auth-Type' AND c.value = 'Reject'
      WHERE d.access <> 'denied'`,
  },
  {
    check: 'a subscription was charged twice for a period',
    sql: `SELECT l.username AS who, CONCAT(COUNT(*), ' invoices from ', i.period_start) AS what
      FROM invoice i JOIN login l ON l.subscription_id = i.subscription_id WHERE i.state <> 'void'
      GROUP BY l.username, i.period_start HAVING COUNT(*) > 1`,
  },
  {
    check: 'an invoice has not exactly one entry in the ledger',
    sql: `SELECT i.id AS who, CONCAT(COUNT(e.id), ' entries') AS what
      FROM invoice i LEFT JOIN ledger_entry e ON e.once_key = CONCAT('invoice:', i.id)
      GROUP BY i.id HAVING COUNT(e.id) <> 1`,
  },
  {
    check: 'a payment has not exactly one entry in the ledger',
    sql: `SELECT p.reference AS who, CONCAT(COUNT(e.id), ' entries') AS what
      FROM payment p LEFT JOIN ledger_entry e ON e.once_key = CONCAT('payment:', p.id)
      GROUP BY p.id HAVING COUNT(e.id) <> 1`,
  },
  {
    check: 'invoice numbers have a gap or a double',
    sql: `SELECT i.series AS who, CONCAT(COUNT(*), ' invoices, numbers ', MIN(i.number), ' to ', MAX(i.number), ', counter ', MAX(c.last_number)) AS what
      FROM invoice i JOIN document_counter c ON c.kind = 'invoice' AND c.series = i.series
      GROUP BY i.series
      HAVING COUNT(*) <> MAX(i.number) OR COUNT(DISTINCT i.number) <> COUNT(*) OR MAX(i.number) <> MAX(c.last_number)`,
  },
  {
    check: 'a payment was written into the activity log not exactly once',
    sql: `SELECT p.reference AS who, CONCAT(COUNT(a.id), ' times') AS what
      FROM payment p LEFT JOIN activity a ON a.subject_kind = 'payment' AND a.subject_id = p.id AND a.verb = 'payment.record'
      GROUP BY p.id HAVING COUNT(a.id) <> 1`,
  },
  {
    check: 'a run suspended somebody twice',
    sql: `SELECT l.username AS who, CONCAT(COUNT(*), ' times by run ', u.opened_by_run_id) AS what
      FROM suspension u JOIN login l ON l.subscription_id = u.subscription_id
      WHERE u.opened_by_run_id IS NOT NULL GROUP BY l.username, u.opened_by_run_id HAVING COUNT(*) > 1`,
  },
  {
    // Whoever decides anew asks for the open sessions in the same transaction, and a key lives until its session is right.
    // So the walk over all sessions has nothing to ask for where a packet for the same decision went out before, nor where
    // the session was open long before the decision (a Start on its way to it is the tail's business), unless its router
    // claimed that it was gone.
    check: 'a session was forgotten until the walk over all of them',
    sql: `SELECT a.username AS who, CONCAT(e.action, ' ', e.because, ', sent ', TIMESTAMPDIFF(SECOND, d.decided_at, e.sent_at),
        ' s after the decision of ', d.decided_at, ', started ', a.acctstarttime) AS what
      FROM enforcement e JOIN radacct a ON a.radacctid = e.radacctid
        JOIN access_decision d ON d.login_id = e.login_id AND d.generation = e.generation
      WHERE e.requested_by LIKE 'tail:%'
        AND (a.acctstarttime < d.decided_at - INTERVAL 20 SECOND OR EXISTS (SELECT 1 FROM enforcement b
          WHERE b.radacctid = e.radacctid AND b.generation = e.generation AND b.id < e.id AND b.requested_by NOT LIKE 'tail:%'))
        AND NOT EXISTS (SELECT 1 FROM enforcement n WHERE n.radacctid = e.radacctid AND n.error_cause = 503)`,
  },
  {
    check: 'a run is over and somebody still waits in it',
    sql: `SELECT a.subscription_id AS who, CONCAT('run ', r.id, ' ', r.state) AS what
      FROM overdue_run_action a JOIN overdue_run r ON r.id = a.run_id
      WHERE r.state = 'applied' AND a.state = 'planned'`,
  },
];

/** Everything that must hold whatever happened, besides the comparison with the undisturbed story. */
export async function checkAll(world: World): Promise<Finding[]> {
  const { observer, place } = world;
  const findings = await observer.ask((db) => forbiddenRows(db, place.isp.today));
  findings.push(...(await observer.ask(damageFindings)));
  findings.push(...(await ledgerFindings(world)), ...(await accountingFindings(world)));
  const complaint = await world.radius.complaint();
  if (complaint !== undefined) findings.push(finding('FreeRADIUS', 'the server', complaint));
  for (const one of world.processes.values()) {
    findings.push(
      ...one.endedByItself.map(({ name, code, signal }) =>
        finding('a process ended by itself', name, `code ${code ?? '-'}, signal ${signal ?? '-'}`),
      ),
    );
  }
  return [...findings, ...secretsInLogs(world)];
}

/** What the database alone shows to be wrong. */
export async function forbiddenRows(db: Knex, today: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { check, sql } of forbidden) {
    const rows = await rowsOf(
      db,
      sql,
      [...sql].filter((letter) => letter === '?').map(() => today),
    );
    findings.push(...rows.map(({ who, what }) => finding(check, String(who), String(what), String(who))));
  }
  return findings;
}

/** A disk that was full, or a server killed in a write, may leave MariaDB itself with a broken index. */
async function damageFindings(db: Knex): Promise<Finding[]> {
  const [tables] = (await db.raw("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")) as unknown as [
    Record<string, string>[],
  ];
  const names = tables.map((row) => Object.values(row)[0] ?? '');
  const [said] = (await db.raw(`CHECK TABLE ${names.map(() => '??').join(', ')}`, names)) as unknown as [
    { Table: string; Msg_type: string; Msg_text: string }[],
  ];
  return said
    .filter((row) => row.Msg_type === 'error' || (row.Msg_type === 'status' && row.Msg_text !== 'OK'))
    .map((row) => finding('MariaDB calls a table damaged', row.Table, row.Msg_text));
}

async function rowsOf(db: Knex, sql: string, values: string[]): Promise<{ who: Text; what: Text }[]> {
  const [rows] = (await db.raw(sql, values)) as unknown as [{ who: Text; what: Text }[]];
  return rows;
}

async function ledgerFindings(world: World): Promise<Finding[]> {
  const { place } = world;
  const app = openApp(readConfig({ ...place.env, SLUICE_DB_PORT: String(portOf(place.database)) }), {
    role: 'chaos',
    isSilent: true,
    poolMax: 2,
  });
  try {
    const { verdict, findings } = await checkLedger(app.context('chaos'));
    return verdict === 'ok'
      ? []
      : findings.map((one) => finding('the ledger', 'checker', JSON.stringify(one)));
  } finally {
    await app.close();
  }
}

/** Errors of the driver carry SQL with values: none of them may reach a log. */
function secretsInLogs(world: World): Finding[] {
  const { place, logs } = world;
  const secrets = [
    staffPassword,
    place.database.password === '' ? undefined : `"${place.database.password}"`,
    ...place.isp.routers.map((router) => router.secret),
    ...place.isp.routers.map((router) => `a newer secret of ${router.name}`),
    'line of ',
  ].filter((secret) => secret !== undefined);
  return readdirSync(logs).flatMap((name) => {
    const text = readFileSync(join(logs, name), 'utf8');
    return secrets
      .filter((secret) => text.includes(secret))
      .map((secret) => finding('a secret is in a log', name, `${secret.slice(0, 8)}…`));
  });
}
