import type { Knex } from 'knex';
import { isSideAllowed } from '../domain/chart-of-accounts.ts';
import { type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';

export interface Finding {
  /** What has to hold, as a literal. */
  readonly rule: string;
  /** Which row breaks it. */
  readonly subject: string;
  readonly expected: string;
  readonly actual: string;
}

export interface LedgerCheck {
  readonly id: string;
  readonly checkedAt: Date;
  readonly verdict: 'ok' | 'broken';
  readonly entryCount: number;
  readonly postingCount: number;
  readonly findings: readonly Finding[];
}

/** Findings that one rule reports; one is enough to be broken, a handful to see how. */
const findingsMax = 20;

/**
 * Each rule as one statement that gives what breaks it: subject, expected, actual. They all read the same snapshot, so
 * a payment that is recorded meanwhile is seen by all of them or by none.
 */
const rules: readonly { rule: string; sql: string }[] = [
  {
    rule: 'entry_sums_to_zero',
    sql: `SELECT CONCAT('entry:', entry_id) AS subject, '0 of 2 or more' AS expected,
            CONCAT(SUM(amount_minor), ' of ', COUNT(*)) AS actual
          FROM ledger_posting GROUP BY entry_id HAVING SUM(amount_minor) <> 0 OR COUNT(*) < 2`,
  },
  {
    rule: 'entry_has_postings',
    sql: `SELECT CONCAT('entry:', e.id) AS subject, 'postings' AS expected, 'none' AS actual
          FROM ledger_entry e LEFT JOIN ledger_posting p ON p.entry_id = e.id WHERE p.id IS NULL`,
  },
  {
    rule: 'contra_undoes_its_entry',
    sql: `SELECT CONCAT('entry:', pairs.contra_id) AS subject, '0' AS expected, SUM(p.amount_minor) AS actual
          FROM (
            SELECT id AS contra_id, id AS entry_id FROM ledger_entry WHERE reverses_id IS NOT NULL
            UNION ALL
            SELECT id, reverses_id FROM ledger_entry WHERE reverses_id IS NOT NULL
          ) pairs
          JOIN ledger_posting p ON p.entry_id = pairs.entry_id
          GROUP BY pairs.contra_id, p.account_id HAVING SUM(p.amount_minor) <> 0`,
  },
  {
    rule: 'only_subscribers_and_resellers_have_a_stored_balance',
    sql: `SELECT CONCAT(owner_key, '/', code) AS subject, IF(owner_key = 'house', 'none', 'a balance') AS expected,
            COALESCE(balance_minor, 'none') AS actual
          FROM ledger_account WHERE (owner_key = 'house') <> (balance_minor IS NULL)`,
  },
  {
    rule: 'stored_balance_equals_postings',
    sql: `SELECT CONCAT(a.owner_key, '/', a.code) AS subject, COALESCE(p.sum, 0) AS expected,
            a.balance_minor AS actual
          FROM ledger_account a
          LEFT JOIN (SELECT account_id, SUM(amount_minor) AS sum FROM ledger_posting GROUP BY account_id) p
            ON p.account_id = a.id
          WHERE a.balance_minor IS NOT NULL AND a.balance_minor <> COALESCE(p.sum, 0)`,
  },
  {
    rule: 'receivable_equals_open_invoices',
    sql: `SELECT CONCAT('subscriber:', both_sides.subscriber_id) AS subject, SUM(invoiced) AS expected,
            SUM(owed) AS actual
          FROM (
            SELECT subscriber_id, currency, open_minor AS invoiced, 0 AS owed FROM invoice WHERE state = 'open'
            UNION ALL
            SELECT subscriber_id, currency, 0, balance_minor FROM ledger_account
            WHERE code = 'ar' AND balance_minor <> 0
          ) both_sides
          GROUP BY both_sides.subscriber_id, currency HAVING SUM(invoiced) <> SUM(owed)`,
  },
  {
    rule: 'wallet_is_not_negative',
    sql: `SELECT owner_key AS subject, '0 or more' AS expected, -balance_minor AS actual
          FROM ledger_account WHERE code = 'wallet' AND balance_minor > 0`,
  },
  {
    // Subscriber by subscriber: all documents at once would be sorted on disk.
    rule: 'wallet_equals_documents',
    sql: `SELECT CONCAT('subscriber:', c.id) AS subject,
              (SELECT COALESCE(SUM(p.amount_minor), 0) FROM payment p
               WHERE p.subscriber_id = c.id AND p.currency = m.currency AND p.reversed_at IS NULL)
              + (SELECT COALESCE(SUM(n.total_minor), 0) FROM credit_note n
                 WHERE n.subscriber_id = c.id AND n.currency = m.currency)
              - (SELECT COALESCE(SUM(al.amount_minor), 0) FROM invoice i
                 STRAIGHT_JOIN allocation al ON al.invoice_id = i.id
                 WHERE i.subscriber_id = c.id AND i.currency = m.currency AND al.reversed_at IS NULL
                   AND al.source <> 'write_off') AS expected,
              (SELECT COALESCE(-SUM(a.balance_minor), 0) FROM ledger_account a
               WHERE a.subscriber_id = c.id AND a.currency = m.currency AND a.code = 'wallet') AS actual
          FROM (SELECT DISTINCT currency FROM ledger_account) m STRAIGHT_JOIN subscriber c
          HAVING expected <> actual`,
  },
  {
    rule: 'payment_is_not_allocated_beyond_itself',
    sql: `SELECT CONCAT('payment:', p.id) AS subject, IF(p.reversed_at IS NULL, p.amount_minor, 0) AS expected,
            al.sum AS actual
          FROM payment p
          JOIN (SELECT payment_id, SUM(amount_minor) AS sum FROM allocation
            WHERE reversed_at IS NULL AND payment_id IS NOT NULL GROUP BY payment_id) al ON al.payment_id = p.id
          WHERE al.sum > IF(p.reversed_at IS NULL, p.amount_minor, 0)`,
  },
  {
    rule: 'payment_pays_its_own_subscriber',
    sql: `SELECT CONCAT('allocation:', al.id) AS subject, p.subscriber_id AS expected, i.subscriber_id AS actual
          FROM allocation al JOIN payment p ON p.id = al.payment_id JOIN invoice i ON i.id = al.invoice_id
          WHERE p.subscriber_id <> i.subscriber_id`,
  },
  {
    rule: 'open_equals_total_less_allocations',
    sql: `SELECT CONCAT('invoice:', i.id) AS subject,
            IF(i.state = 'void', 0, i.total_minor) - COALESCE(al.sum, 0) AS expected, i.open_minor AS actual
          FROM invoice i
          LEFT JOIN (SELECT invoice_id, SUM(amount_minor) AS sum FROM allocation WHERE reversed_at IS NULL
            GROUP BY invoice_id) al ON al.invoice_id = i.id
          WHERE i.open_minor <> IF(i.state = 'void', 0, i.total_minor) - COALESCE(al.sum, 0)`,
  },
  {
    rule: 'state_says_what_is_open',
    sql: `SELECT CONCAT('invoice:', id) AS subject, IF(open_minor > 0, 'open', 'closed') AS expected, state AS actual
          FROM invoice WHERE (state = 'open') <> (open_minor > 0)`,
  },
  {
    rule: 'lines_add_up',
    sql: `SELECT STRAIGHT_JOIN CONCAT('invoice:', i.id) AS subject, CONCAT(i.net_minor, ' + ', i.tax_minor) AS expected,
            CONCAT(COALESCE(SUM(l.net_minor), 0), ' + ', COALESCE(SUM(l.tax_minor), 0)) AS actual
          FROM invoice i FORCE INDEX FOR GROUP BY (PRIMARY)
          LEFT JOIN invoice_line l ON l.invoice_id = i.id
          GROUP BY i.id
          HAVING MAX(i.net_minor) <> COALESCE(SUM(l.net_minor), 0)
            OR MAX(i.tax_minor) <> COALESCE(SUM(l.tax_minor), 0)
            OR MAX(i.total_minor) <> MAX(i.net_minor) + MAX(i.tax_minor)`,
  },
  ...(['invoice', 'credit_note'] as const).map((kind) => ({
    rule: `${kind}_numbers_have_no_gap`,
    sql: `SELECT CONCAT('${kind}:', s.series) AS subject, CONCAT('1 to ', COALESCE(c.last_number, 0)) AS expected,
            CONCAT(COALESCE(d.count, 0), ' from ', COALESCE(d.first, 0), ' to ', COALESCE(d.last, 0)) AS actual
          FROM (
            SELECT reseller_id, series FROM document_counter WHERE kind = '${kind}'
            UNION
            SELECT reseller_id, series FROM \`${kind}\`
          ) s
          LEFT JOIN document_counter c
            ON c.reseller_id = s.reseller_id AND c.kind = '${kind}' AND c.series = s.series
          LEFT JOIN (SELECT reseller_id, series, COUNT(*) AS count, MIN(number) AS first, MAX(number) AS last,
              SUM(number IS NULL) AS blank FROM \`${kind}\` GROUP BY reseller_id, series) d
            ON d.reseller_id = s.reseller_id AND d.series = s.series
          WHERE COALESCE(d.count, 0) <> COALESCE(c.last_number, 0)
            OR COALESCE(d.last, 0) <> COALESCE(c.last_number, 0)
            OR COALESCE(d.first, 1) <> 1 OR d.blank > 0`,
  })),
  ...[
    { document: 'invoice', amount: 'd.total_minor', where: 'd.total_minor > 0' },
    { document: 'payment', amount: 'd.amount_minor', where: 'TRUE' },
    { document: 'credit_note', amount: 'd.total_minor', where: 'TRUE' },
  ].map(({ document, amount, where }) => ({
    rule: `${document}_is_posted`,
    sql: `SELECT CONCAT('${document}:', d.id) AS subject, ${amount} AS expected, p.debit AS actual
          FROM \`${document}\` d
          LEFT JOIN ledger_entry e ON e.once_key = CONCAT('${document}:', d.id)
          LEFT JOIN (SELECT entry_id, SUM(GREATEST(amount_minor, 0)) AS debit FROM ledger_posting
            GROUP BY entry_id) p ON p.entry_id = e.id
          WHERE ${where} AND (p.debit IS NULL OR p.debit <> ${amount})`,
  })),
  {
    rule: 'rollup_equals_postings',
    sql: `SELECT CONCAT(a.code, ' on ', r.day) AS subject,
            CONCAT(COALESCE(p.debit, 0), ' and ', COALESCE(p.credit, 0)) AS expected,
            CONCAT(r.debit_minor, ' and ', r.credit_minor) AS actual
          FROM ledger_rollup r
          JOIN ledger_account a ON a.id = r.account_id
          LEFT JOIN (
            SELECT l.account_id, d.until_at,
              SUM(GREATEST(l.amount_minor, 0)) AS debit, -SUM(LEAST(l.amount_minor, 0)) AS credit
            FROM (SELECT until_at, COALESCE(LAG(until_at) OVER (ORDER BY until_at), '1970-01-01') AS from_at
              FROM ledger_rollup GROUP BY until_at) d
            STRAIGHT_JOIN ledger_entry e FORCE INDEX (ledger_entry_posted)
              ON e.posted_at >= d.from_at AND e.posted_at < d.until_at
            STRAIGHT_JOIN ledger_posting l FORCE INDEX (ledger_posting_entry) ON l.entry_id = e.id
            STRAIGHT_JOIN ledger_account house ON house.id = l.account_id AND house.owner_key = 'house'
            GROUP BY l.account_id, d.until_at
          ) p ON p.until_at = r.until_at AND p.account_id = r.account_id
          WHERE r.debit_minor <> COALESCE(p.debit, 0) OR r.credit_minor <> COALESCE(p.credit, 0)`,
  },
  {
    rule: 'sealed_days_follow_each_other',
    sql: `SELECT CONCAT('day ', day) AS subject, before_at AS expected, from_at AS actual
          FROM (SELECT day, from_at, LAG(until_at) OVER (ORDER BY day) AS before_at
            FROM (SELECT DISTINCT day, from_at, until_at FROM ledger_rollup) days) ordered
          WHERE before_at IS NOT NULL AND before_at <> from_at`,
  },
];

export const ledgerRules: readonly string[] = [...rules.map(({ rule }) => rule), 'movement_is_allowed'];

/** Reads the whole ledger in one snapshot and gives what breaks a rule, at most 20 a rule. */
export async function findLedgerFaults(
  db: Knex,
): Promise<{ entryCount: number; postingCount: number; findings: Finding[] }> {
  return db.transaction(
    async (trx) => {
      const entryCount = await countOf(trx, 'ledger_entry');
      const postingCount = await countOf(trx, 'ledger_posting');
      const findings: Finding[] = [];
      for (const { rule, sql } of rules) {
        const [rows] = (await trx.raw(`${sql} LIMIT ${findingsMax}`)) as [Omit<Finding, 'rule'>[]];
        for (const row of rows) findings.push(asFinding(rule, row));
      }
      findings.push(...(await forbiddenMovements(trx)));
      return { entryCount, postingCount, findings };
    },
    // Not readOnly as well: knex writes that in a way that MariaDB does not read.
    { isolationLevel: 'repeatable read' },
  );
}

/** The allow-list is the domain's: the database tells which kinds of postings there are, the domain judges them. */
async function forbiddenMovements(trx: Trx): Promise<Finding[]> {
  const [rows] = (await trx.raw(
    `SELECT e.kind, a.code, p.amount_minor > 0 AS is_debit, MIN(e.id) AS example
     FROM ledger_entry e
     STRAIGHT_JOIN ledger_posting p FORCE INDEX (ledger_posting_entry) ON p.entry_id = e.id
     STRAIGHT_JOIN ledger_account a ON a.id = p.account_id
     GROUP BY e.kind, a.code, p.amount_minor > 0`,
  )) as unknown as [{ kind: string; code: string; is_debit: number; example: string }[]];
  return rows
    .filter((row) => !isSideAllowed(row.kind, row.code, row.is_debit === 1 ? 'debit' : 'credit'))
    .slice(0, findingsMax)
    .map((row) => ({
      rule: 'movement_is_allowed',
      subject: `entry:${row.example}`,
      expected: `what ${row.kind} allows`,
      actual: `${row.is_debit === 1 ? 'debit' : 'credit'} of ${row.code}`,
    }));
}

async function countOf(trx: Trx, table: string): Promise<number> {
  const row = await trx(table).first<{ n: string }>(trx.raw('COUNT(*) AS n'));
  return Number(row.n);
}

function asFinding(rule: string, row: Omit<Finding, 'rule'>): Finding {
  return { rule, subject: row.subject, expected: String(row.expected), actual: String(row.actual) };
}

export async function insertLedgerCheck(db: Db, check: Omit<LedgerCheck, 'id'>): Promise<string> {
  const [id] = await db('ledger_check').insert({
    checked_at: sqlInstant(check.checkedAt),
    verdict: check.verdict,
    entry_count: check.entryCount,
    posting_count: check.postingCount,
    findings: JSON.stringify(check.findings),
  });
  return String(id);
}

/** The newest verdict, for where finance looks. */
export async function latestLedgerCheck(db: Db): Promise<LedgerCheck | undefined> {
  const row = await db('ledger_check').orderBy('id', 'desc').first<
    | {
        id: string;
        checked_at: string;
        verdict: 'ok' | 'broken';
        entry_count: string;
        posting_count: string;
        findings: string;
      }
    | undefined
  >();
  if (row === undefined) return undefined;
  return {
    id: row.id,
    checkedAt: fromSqlInstant(row.checked_at),
    verdict: row.verdict,
    entryCount: Number(row.entry_count),
    postingCount: Number(row.posting_count),
    findings: JSON.parse(row.findings) as Finding[],
  };
}
