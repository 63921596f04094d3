import type { Knex } from 'knex';
import { sqlInstant } from '../../src/db/knex.ts';

export interface BigIspSize {
  readonly subscribers: number;
  /** Rows of accounting; seven of ten subscribers have an open one. */
  readonly sessions: number;
}

export interface BigIspOptions extends BigIspSize {
  readonly db: Knex;
  /** The end of its history. */
  readonly now: Date;
  readonly say?: (text: string) => void;
  /** Builds the indexes of the biggest tables after the rows: quicker for millions, slower for thousands. */
  readonly isIndexedLast?: boolean;
  /** These tables only: the caller fills the others itself. */
  readonly only?: readonly string[];
}

/**
 * An ISP of any size, straight into an empty migrated database by INSERT..SELECT from sequences: what pages read, in
 * believable shares. Nothing of it was decided by Sluice and its secrets open to nobody: for measuring and for query
 * plans only.
 */
export async function fillBigIsp(options: BigIspOptions): Promise<void> {
  const tables = [
    ...catalogueRows(options),
    ...peopleRows(options),
    ...ledgerRows(options),
    ...documentRows(options),
    ...runRows(options),
    ...networkRows(options),
  ].filter(({ table }) => options.only?.includes(table) ?? true);
  await fillTables(tables, options);
}

export interface Rows {
  readonly table: string;
  readonly sql: string;
}

/** Runs the statements, each without the checks of keys that are right anyway, and says how long each took. */
export async function fillTables(
  tables: readonly Rows[],
  options: Pick<BigIspOptions, 'db' | 'say' | 'isIndexedLast'>,
): Promise<void> {
  const { db } = options;
  const names = [...new Set(tables.map(({ table }) => table))];
  const indexes = options.isIndexedLast === true ? await dropIndexes(db, names) : [];
  for (const { table, sql } of tables) {
    const startedAt = performance.now();
    await db.transaction(async (trx) => {
      await trx.raw(
        "SET foreign_key_checks = 0, unique_checks = 0, sql_mode = CONCAT(@@sql_mode, ',NO_UNSIGNED_SUBTRACTION')",
      );
      await trx.raw(sql);
      // The connection goes back to the pool as it was.
      await trx.raw('SET foreign_key_checks = 1, unique_checks = 1, sql_mode = DEFAULT');
    });
    say(options, table, startedAt);
  }
  for (const { table, clauses } of indexes) {
    const startedAt = performance.now();
    await db.raw(`ALTER TABLE ${table} ${clauses.map((clause) => `ADD ${clause}`).join(', ')}`);
    say(options, `indexes of ${table}`, startedAt);
  }
  const startedAt = performance.now();
  for (const name of names) await db.raw(`ANALYZE TABLE ${name}`);
  say(options, 'statistics', startedAt);
}

function say(options: Pick<BigIspOptions, 'say'>, what: string, startedAt: number): void {
  options.say?.(`${what}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

function rows(table: string, columns: string, select: string, count: number): Rows {
  return {
    table,
    sql: `INSERT INTO ${table} (${columns}) SELECT ${select} FROM seq_1_to_${Math.max(1, Math.round(count))}`,
  };
}

function catalogueRows({ now }: BigIspOptions): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  return [
    {
      table: 'reseller',
      sql: `INSERT IGNORE INTO reseller (id, name, created_at) VALUES (1, 'Operator', ${at})`,
    },
    { table: 'reseller_closure', sql: 'INSERT IGNORE INTO reseller_closure VALUES (1, 1, 0)' },
    {
      table: 'setting',
      sql: `INSERT INTO setting (name, value, changed_at) VALUES ('currency', '"USD"', ${at}), ('exponent', '2', ${at}), ('zone', '"UTC"', ${at})`,
    },
    rows(
      'billing_profile',
      'id, name, due_days, grace_days, overdue_effect, throttle_rate',
      `seq, CONCAT('Profile ', seq), 7, 2, ELT(seq, 'block', 'throttle', 'walled_garden'), IF(seq = 2, '1M/1M', NULL)`,
      3,
    ),
    rows(
      'ipv4_pool',
      'id, name, suspended_name',
      `seq, CONCAT('home-', seq), CONCAT('home-', seq, '-suspended')`,
      4,
    ),
    rows('ppp_profile', 'id, name', `seq, CONCAT('profile-', seq)`, 3),
    rows('tax_rate', 'id, name, rate_bp, effective_on', `seq, CONCAT('VAT ', seq), 500, '2020-01-01'`, 2),
    rows(
      'master_package',
      'id, name, customer_type, billing_type, rate_limit, pool_id',
      `seq, CONCAT('line-', seq), 'pppoe', 'monthly', CONCAT(seq, 'M/', seq * 5, 'M'), 1 + seq % 4`,
      8,
    ),
    rows(
      'package',
      'id, master_package_id, name, customers_price_minor, operators_price_minor, tax_rate_id',
      `seq, 1 + seq % 8, CONCAT('Home ', seq), 2000 + 100 * seq, 1500 + 100 * seq, 1`,
      20,
    ),
  ];
}

const firstNames = `ELT(1 + seq % 12, 'Amina', 'Rahim', 'Karim', 'Nadia', 'Tania', 'Jamal', 'Farid', 'Lina', 'Omar', 'Salma', 'Rafi', 'Mina')`;
const lastNames = `ELT(1 + seq DIV 12 % 10, 'Hossain', 'Begum', 'Khan', 'Akter', 'Rahman', 'Sarker', 'Ahmed', 'Chowdhury', 'Islam', 'Das')`;
const phone = `CONCAT('+8801', LPAD(seq, 9, '0'))`;

function peopleRows({ subscribers: n, now }: BigIspOptions): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  const terms = (term: string) => rows('subscriber_term', 'term, subscriber_id', `${term}, seq`, n);
  return [
    rows(
      'subscriber',
      'id, name, phone, street, billing_profile_id, created_at',
      `seq, CONCAT(${firstNames}, ' ', ${lastNames}, ' ', seq), ${phone}, CONCAT(seq % 300, ' Lake Road'), 1 + seq % 3, ${at} - INTERVAL seq % 800 DAY`,
      n,
    ),
    rows(
      'subscription',
      'id, subscriber_id, package_id, state, anchor_on, next_period, next_invoice_on, started_on',
      `seq, seq, 1 + seq % 20, IF(seq % 50 = 0, 'terminated', IF(seq % 77 = 0, 'paused', 'active')), DATE(${at}) - INTERVAL 60 + seq % 28 DAY, 2, DATE(${at}) + INTERVAL seq % 28 DAY, DATE(${at}) - INTERVAL 60 + seq % 28 DAY`,
      n,
    ),
    rows(
      'login',
      'id, subscription_id, username, secret, mac_lock, created_at',
      `seq, seq, CONCAT('u', seq), 'x', IF(seq % 3 = 0, ${mac}, NULL), ${at} - INTERVAL seq % 800 DAY`,
      n,
    ),
    terms(`CONCAT('u', seq)`),
    terms(`LOWER(${firstNames})`),
    terms(`LOWER(${lastNames})`),
    terms(`CONCAT('8801', LPAD(seq, 9, '0'))`),
    rows(
      'access_decision',
      'login_id, access, reason, rate_limit, generation, access_fingerprint, redial_fingerprint, coa_attributes, decided_at, requested_by',
      `seq, CASE seq % 25 WHEN 0 THEN 'denied' WHEN 1 THEN 'throttled' WHEN 2 THEN 'walled_garden' ELSE 'full' END, IF(seq % 25 < 3, 'invoice_overdue', 'paid_up'), '10M/50M', 3, 'aaaaaaaaaa', 'bbbbbbbbbb', '[]', ${at} - INTERVAL seq % 100000 SECOND, 'bench'`,
      n,
    ),
    rows(
      'access_change',
      'login_id, at, from_access, to_access, reason, generation, requested_by',
      `seq, ${at} - INTERVAL seq * 20 SECOND, IF(seq % 2 = 0, 'full', 'denied'), IF(seq % 2 = 0, 'denied', 'full'), 'invoice_overdue', 2, CONCAT('c', seq)`,
      n,
    ),
    rows(
      'suspension',
      'subscription_id, cause, effect, opened_at, opened_by, opened_by_run_id, closed_at, closed_by, closed_because',
      `seq, 'overdue', ELT(1 + seq % 3, 'block', 'throttle', 'walled_garden'), ${at} - INTERVAL seq % 40 DAY, 'schedule', 1 + seq % 30, IF(seq % 25 < 3, NULL, ${at} - INTERVAL seq % 30 DAY), IF(seq % 25 < 3, NULL, 'rana'), IF(seq % 25 < 3, NULL, 'paid')`,
      n,
    ),
    rows(
      'deferral',
      'subscription_id, source, until_on, opened_at, opened_by',
      `seq * 9, 'promise', DATE(${at}) + INTERVAL 5 - seq % 40 DAY, ${at}, 'rana'`,
      n / 10,
    ),
    rows(
      'activity',
      'at, actor, verb, subject_kind, subject_id, subscriber_id, login_id, correlation_id, diff, outcome',
      `${at} - INTERVAL seq * 3 SECOND, ELT(1 + seq % 3, 'rana', 'omar', 'schedule'), ELT(1 + seq % 4, 'payment.record', 'invoice.issue', 'subscriber.change', 'subscription.hold'), 'subscriber', 1 + seq % ${n}, 1 + seq % ${n}, 1 + seq % ${n}, CONCAT('c', seq), '{}', 'done'`,
      n * 3,
    ),
  ];
}

const mac = `CONCAT('02:00:', LPAD(HEX(seq DIV 16777216 % 256), 2, '0'), ':', LPAD(HEX(seq DIV 65536 % 256), 2, '0'), ':', LPAD(HEX(seq DIV 256 % 256), 2, '0'), ':', LPAD(HEX(seq % 256), 2, '0'))`;

function ledgerRows({ subscribers: n, now }: BigIspOptions): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  const day = `DATE(${at})`;
  // Spread over ninety days, the newest last.
  const posted = `DATE_SUB(CAST(${at} AS DATETIME(3)), INTERVAL FLOOR((${n * 3} - seq) * 7776000 / ${n * 3}) SECOND)`;
  return [
    rows(
      'ledger_account',
      'id, code, owner_key, currency, exponent',
      `seq, ELT(seq, 'cash', 'bank', 'tax_payable', 'revenue_internet', 'bad_debt'), 'house', 'USD', 2`,
      5,
    ),
    ...['ar', 'wallet'].map((code, index) =>
      rows(
        'ledger_account',
        'id, code, owner_key, subscriber_id, currency, exponent, balance_minor',
        `10 + seq + ${index * n}, '${code}', CONCAT('subscriber:', seq), seq, 'USD', 2, seq % 5000`,
        n,
      ),
    ),
    rows(
      'ledger_entry',
      'id, once_key, request_id, kind, subscriber_id, effective_on, posted_at, actor',
      `seq, CONCAT('e', seq), LPAD(seq, 32, '0'), IF(seq % 2 = 0, 'invoice', 'payment'), 1 + seq % ${n}, DATE(${posted}), ${posted}, 'rana'`,
      n * 3,
    ),
    rows(
      'ledger_posting',
      'entry_id, account_id, amount_minor',
      `1 + (seq - 1) DIV 2, IF(seq % 2 = 0, 1 + seq DIV 2 % 4, 11 + (seq DIV 2) % ${n}), IF(seq % 2 = 0, -3000, 3000)`,
      n * 6,
    ),
    rows(
      'ledger_rollup',
      'account_id, day, from_at, until_at, debit_minor, credit_minor, sealed_at',
      `1 + seq % 5, ${day} - INTERVAL 1 + seq DIV 5 DAY, ${day} - INTERVAL 1 + seq DIV 5 DAY, ${day} - INTERVAL seq DIV 5 DAY, 1000, 900, ${at}`,
      450,
    ),
    rows(
      'ledger_check',
      'checked_at, verdict, entry_count, posting_count, findings',
      `${at} - INTERVAL seq DAY, 'ok', ${n * 3}, ${n * 6}, '[]'`,
      30,
    ),
  ];
}

function documentRows({ subscribers: n, now }: BigIspOptions): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  const day = `DATE(${at})`;
  return [
    rows(
      'invoice',
      'id, series, number, subscriber_id, subscription_id, period_start, period_end, zone, issued_on, due_on, currency, exponent, net_minor, tax_minor, total_minor, open_minor, state, run_id',
      `seq, 'INV', seq, 1 + seq % ${n}, 1 + seq % ${n}, ${day} - INTERVAL 30 * (1 + (seq - 1) DIV ${n}) + seq % 28 DAY, ${day} - INTERVAL 30 * (seq - 1) DIV ${n} + seq % 28 DAY, 'UTC', ${day} - INTERVAL 30 * (1 + (seq - 1) DIV ${n}) + seq % 28 DAY, ${day} - INTERVAL 30 * (1 + (seq - 1) DIV ${n}) + seq % 28 - 7 DAY, 'USD', 2, 2857, 143, 3000, IF(seq % 7 = 0, 3000, 0), CASE WHEN seq % 7 = 0 THEN 'open' WHEN seq % 101 = 0 THEN 'void' ELSE 'paid' END, 1 + seq % 12`,
      n * 3,
    ),
    rows(
      'invoice_line',
      'invoice_id, line_no, description, package_id, net_minor, tax_name, tax_rate_bp, tax_minor',
      `seq, 1, 'Home line', 1 + seq % 20, 2857, 'VAT', 500, 143`,
      n * 3,
    ),
    rows(
      'payment',
      'id, subscriber_id, channel, reference, amount_minor, currency, exponent, received_on, recorded_at, recorded_by, reversed_at',
      `seq, 1 + seq % ${n}, IF(seq % 3 = 0, 'bank', 'cash'), CONCAT('r', seq), 3000, 'USD', 2, ${day} - INTERVAL 90 - seq * 90 DIV ${n * 2} DAY, ${at}, 'rana', IF(seq % 400 = 0, ${at}, NULL)`,
      n * 2,
    ),
    rows(
      'allocation',
      'invoice_id, payment_id, source, once_key, amount_minor, allocated_at',
      `seq, seq, 'payment', CONCAT('p', seq), 3000, ${at}`,
      n * 2,
    ),
    rows(
      'credit_note',
      'id, series, number, invoice_id, subscriber_id, issued_on, currency, exponent, net_minor, tax_minor, total_minor, note, once_key',
      `seq, 'CN', seq, seq * 50, 1 + (seq * 50) % ${n}, ${day}, 'USD', 2, 95, 5, 100, 'outage', CONCAT('cn', seq)`,
      n / 50,
    ),
  ];
}

function runRows({ subscribers: n, now }: BigIspOptions): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  const day = `DATE(${at})`;
  const runs = 30;
  return [
    rows(
      'invoice_run',
      'id, as_of, requested_by, started_at, finished_at, due_count, done_count, issued_count, parked_count, total_minor',
      `seq, ${day} - INTERVAL 60 - seq DAY, 'schedule', ${at} - INTERVAL 60 - seq DAY, ${at} - INTERVAL 60 - seq DAY, 1000, 1000, 990, 10, 2970000`,
      60,
    ),
    rows(
      'overdue_run',
      'id, as_of, state, requested_by, requested_at, subject_count, planned_count, planned_open_minor, started_at, finished_at',
      `seq, ${day} - INTERVAL ${runs} - seq DAY, IF(seq = ${runs}, 'planned', 'applied'), 'schedule', ${at} - INTERVAL ${runs} - seq DAY, ${n}, ${Math.ceil(n / runs)}, ${3000 * Math.ceil(n / runs)}, ${at} - INTERVAL ${runs} - seq DAY, ${at} - INTERVAL ${runs} - seq DAY`,
      runs,
    ),
    rows(
      'overdue_run_action',
      'run_id, subscription_id, subscriber_id, effect, open_minor, invoice_count, oldest_due_on, router_reachable, state',
      `1 + seq % ${runs}, seq, seq, ELT(1 + seq % 3, 'block', 'throttle', 'walled_garden'), 3000, 1, ${day}, 'yes', IF(seq % ${runs} = ${runs - 1}, 'planned', ELT(1 + seq % 5, 'applied', 'changed', 'excluded', 'applied', 'applied'))`,
      n,
    ),
    rows(
      'parked',
      'run_kind, run_id, subscription_id, reason, parked_at, settled_at',
      `IF(seq % 2 = 0, 'invoice', 'overdue'), 1 + seq % 12, seq * 3, 'the price is negative', ${at}, IF(seq % 10 = 0, NULL, ${at})`,
      Math.min(Math.max(n / 20, 1000), 5000),
    ),
  ];
}

const routers = 200;

function networkRows({ subscribers: n, sessions, now }: BigIspOptions): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  // The newest of a subscriber's rows is open for seven of ten; the older ones are spread over ninety days.
  const isOpen = `(seq > ${sessions - n} AND seq % 10 < 7)`;
  const startedAt = `DATE_SUB(CAST(${at} AS DATETIME), INTERVAL FLOOR((${sessions} - seq) * 7700000 / ${sessions}) + 60 SECOND)`;
  return [
    rows(
      'router',
      'id, name, address, secret, changed_at, created_at',
      `seq, CONCAT('pop-', LPAD(seq, 3, '0')), CONCAT('10.0.', seq, '.1'), 'x', ${at}, ${at}`,
      routers,
    ),
    rows(
      'router_lane',
      'router_id, breaker, last_answer_at, last_accounting_at',
      `seq, IF(seq % 40 = 0, 'open', 'closed'), ${at}, ${at}`,
      routers,
    ),
    rows(
      'radius_client',
      'host, router_id, wanted_hash, wanted_at, in_place_hash, in_place_at, loaded_hash, loaded_at, heard_at',
      `'radius-1', seq, SHA2(seq, 256), ${at}, SHA2(seq, 256), ${at}, SHA2(seq, 256), ${at}, ${at}`,
      routers,
    ),
    rows(
      'unknown_client',
      'host, address, first_seen_at, last_seen_at, packets',
      `'radius-1', CONCAT('192.0.2.', seq), ${at}, ${at}, seq`,
      200,
    ),
    rows(
      'radacct',
      'radacctid, acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime, acctstoptime, acctsessiontime, acctinputoctets, acctoutputoctets, callingstationid, acctterminatecause, framedipaddress, class, router_id, stop_seen',
      `seq, LPAD(HEX(seq), 8, '0'), MD5(seq), CONCAT('u', 1 + seq % ${n}), CONCAT('10.0.', 1 + seq % ${routers}, '.1'), ${startedAt}, ${at}, IF(${isOpen}, NULL, ${startedAt} + INTERVAL 30 MINUTE), 1800, 1000000, 9000000, ${mac}, IF(${isOpen}, '', 'User-Request'), CONCAT('10.', seq DIV 65536 % 256, '.', seq DIV 256 % 256, '.', seq % 256), CONCAT('S1.', 1 + seq % ${n}, '.aaaaaaaaaa.bbbbbbbbbb.', seq), 1 + seq % ${routers}, NOT ${isOpen}`,
      sessions,
    ),
    rows(
      'radpostauth',
      'username, reply, authdate, reason, callingstationid, router_id, nasipaddress, minute, slot',
      `CONCAT('u', 1 + seq % ${n}), 'Access-Reject', ${at} - INTERVAL seq * 3 SECOND, ELT(1 + seq % 4, 'invoice_overdue', 'wrong_password', 'unknown_user', 'wrong_mac'), ${mac}, 1 + seq % ${routers}, '10.0.1.1', seq, CONCAT('u', seq)`,
      n,
    ),
    rows(
      'enforcement',
      'radacctid, login_id, router_id, action, why, generation, access_fingerprint, redial_fingerprint, attributes, requested_by, requested_at, sent_at, outcome, answered_at, round_trip_us, attempts',
      `seq, 1 + seq % ${n}, 1 + seq % ${routers}, IF(seq % 2 = 0, 'coa', 'disconnect'), 'invoice_overdue', 3, 'aaaaaaaaaa', 'bbbbbbbbbb', '[]', 'bench', ${at} - INTERVAL seq * 2 SECOND, ${at} - INTERVAL seq * 2 SECOND, ELT(1 + seq % 10, 'nak', 'timeout', 'ack', 'ack', 'ack', 'ack', 'ack', 'ack', 'ack', 'ack'), ${at} - INTERVAL seq * 2 SECOND, 1500, 1`,
      n,
    ),
    rows(
      'reconcile_queue',
      'kind, `key`, version, not_before, is_parked, attempts, requested_by, requested_at, last_error',
      `ELT(1 + seq % 2, 'login', 'session'), seq, seq, ${at}, seq % 20 = 0, 8, 'bench', ${at}, 'timeout'`,
      Math.max(n / 50, 2000),
    ),
    rows(
      'figure_minute',
      'kind, subject, minute, value',
      `ELT(1 + seq % 3, 'online', 'logins', 'rejects'), 0, ${at} - INTERVAL seq DIV 3 MINUTE, seq % 1000`,
      3 * 60 * 24 * 30,
    ),
  ];
}

interface Indexes {
  readonly table: string;
  readonly clauses: readonly string[];
}

/** Tables that no other table points at. */
const indexedLast = ['radacct', 'activity', 'radpostauth', 'enforcement', 'subscriber_term', 'access_change'];

/** Takes the plain indexes off those of the tables that no other table points at, and says how to make them again. */
async function dropIndexes(db: Knex, tables: readonly string[]): Promise<Indexes[]> {
  const result: Indexes[] = [];
  for (const table of indexedLast.filter((name) => tables.includes(name))) {
    const [created] = (await db.raw(`SHOW CREATE TABLE ${table}`)) as unknown as [
      { 'Create Table': string }[],
    ];
    const clauses = [
      ...(created[0]?.['Create Table'] ?? '').matchAll(/^ {2}(KEY `(\w+)` \(.+?\))(?: COMMENT .*)?,?$/gm),
    ];
    if (clauses.length === 0) continue;
    await db.raw(`ALTER TABLE ${table} ${clauses.map((match) => `DROP KEY ${match[2] ?? ''}`).join(', ')}`);
    result.push({ table, clauses: clauses.map((match) => match[1] ?? '') });
  }
  return result;
}
