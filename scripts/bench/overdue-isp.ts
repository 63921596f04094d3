import type { Knex } from 'knex';
import type { Vault } from '../../src/adapters/vault.ts';
import { type LoginFacts, loginFacts } from '../../src/db/account-facts.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { routerSecretPlace } from '../../src/db/routers.ts';
import { readSettings } from '../../src/db/settings.ts';
import { decideAccess } from '../../src/domain/access.ts';
import { asId, type LoginId } from '../../src/domain/ids.ts';
import { type Projection, project, radiusSettingsOf } from '../../src/domain/radius-attributes.ts';
import { fillBigIsp, fillTables, type Rows } from './big-isp.ts';

export interface OverdueIsp {
  readonly db: Knex;
  readonly vault: Vault;
  readonly now: Date;
  readonly subscribers: number;
  readonly routers: number;
  readonly routerSecret: string;
  readonly coaPort: number;
  readonly say: (text: string) => void;
}

/** Where a lean router listens. */
export function routerAddress(id: number): string {
  return `127.77.${Math.floor(id / 250)}.${1 + (id % 250)}`;
}

/** As accounting and the routers name a subscriber's session. */
export function sessionName(subscriber: number): string {
  return subscriber.toString(16).toUpperCase().padStart(8, '0');
}

const packages = 20;
/** From a big-isp.ts that fills more than this measurement reads. */
const common = [
  'reseller',
  'reseller_closure',
  'setting',
  'billing_profile',
  'ipv4_pool',
  'ppp_profile',
  'tax_rate',
  'master_package',
  'package',
  'subscriber',
  'subscription',
  'activity',
];

/**
 * An ISP whose every subscriber is online with full access, has one login and three invoices, spread evenly by a hash:
 * a tenth is overdue from the day before yesterday on, another from yesterday, another from today. Of the others, 3 %
 * are suspended already, 4 % are in their days of grace and 1 % have a promise. RADIUS rows, decisions and sessions are
 * what Sluice itself would have written.
 */
export async function fillOverdueIsp(isp: OverdueIsp): Promise<void> {
  const { db, say, subscribers, now } = isp;
  const big = { db, now, say, isIndexedLast: subscribers >= 50_000 };
  await fillBigIsp({ ...big, subscribers, sessions: 0, only: common });
  // Who owes is active: a subscription that is paused or ended would be left alone.
  await db.raw(`UPDATE subscription SET state = 'active' WHERE state <> 'active' AND ${share('id')} < 400`);
  await fillLogins(isp);
  await fillRouters(isp);
  const full = await fullAccessOf(isp);
  await fillTables([...moneyRows(isp), ...networkRows(isp, full)], big);
  await fillRadiusRows(isp, full);
  // Accounting was read up to here, as in an ISP that has been running.
  await db('accounting_tail').insert({ name: 'sessions', radacctid: subscribers, read_at: sqlInstant(now) });
  await db.raw('ANALYZE TABLE login, router, radcheck, radreply');
}

/** 0 to 999, the same for one id always and spread evenly: who belongs to which share. */
function share(id: string): string {
  return `CRC32(${id}) % 1000`;
}

/** Sealed as they are in production: opening them is part of a decision's price. */
async function fillLogins({ db, vault, subscribers, now, say }: OverdueIsp): Promise<void> {
  const startedAt = performance.now();
  const at = sqlInstant(now);
  for (let from = 1; from <= subscribers; from += 5000) {
    const upTo = Math.min(subscribers, from + 4999);
    const values: string[] = [];
    for (let id = from; id <= upTo; id++) {
      const secret = vault.seal(`login.secret:${id}`, `p${id}`).toString('hex');
      values.push(`(${id},${id},'u${id}',x'${secret}','${at}')`);
    }
    await db.raw(
      `INSERT INTO login (id, subscription_id, username, secret, created_at) VALUES ${values.join(',')}`,
    );
  }
  say(`login: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

async function fillRouters({ db, vault, routers, routerSecret, coaPort, now }: OverdueIsp): Promise<void> {
  const at = sqlInstant(now);
  const ids = Array.from({ length: routers }, (_, index) => index + 1);
  await db('router').insert(
    ids.map((id) => ({
      id,
      name: `pop-${id}`,
      address: routerAddress(id),
      secret: vault.seal(routerSecretPlace(String(id)), routerSecret),
      coa_port: coaPort,
      changed_at: at,
      created_at: at,
    })),
  );
  await db('router_lane').insert(ids.map((id) => ({ router_id: id, last_answer_at: at })));
}

interface FullAccess {
  readonly packageId: number;
  readonly projection: Projection;
}

/** What Sluice gives a paid-up login of each package, decided and projected by the domain. */
async function fullAccessOf({ db, now }: OverdueIsp): Promise<FullAccess[]> {
  const settings = radiusSettingsOf(await readSettings(db));
  const ids = Array.from({ length: packages }, (_, index) => asId<LoginId>(index + 1));
  const found = await loginFacts(db, ids);
  return ids.flatMap((id) => {
    const facts = found.get(id);
    if (facts?.ok !== true) return [];
    const paidUp: LoginFacts = { ...facts.facts, subscriptionState: 'active', openSuspensions: [] };
    const projection = project(paidUp, decideAccess(paidUp, now), `p${id}`, settings);
    return [{ packageId: 1 + (Number(id) % packages), projection }];
  });
}

function moneyRows({ subscribers: n, now }: OverdueIsp): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  const day = `DATE(${at})`;
  const who = `1 + (seq - 1) % ${n}`;
  // The newest invoice of each is the first n; the two before it are paid. Two days of grace.
  const dueOn = `CASE WHEN seq > ${n} THEN ${day} - INTERVAL 30 * ((seq - 1) DIV ${n}) DAY
    WHEN ${share(who)} < 100 THEN ${day} - INTERVAL 5 DAY
    WHEN ${share(who)} < 200 THEN ${day} - INTERVAL 4 DAY
    WHEN ${share(who)} < 300 THEN ${day} - INTERVAL 3 DAY
    WHEN ${share(who)} < 330 THEN ${day} - INTERVAL 20 DAY
    WHEN ${share(who)} < 370 THEN ${day} - INTERVAL 2 DAY
    WHEN ${share(who)} < 380 THEN ${day} - INTERVAL 12 DAY
    ELSE ${day} - INTERVAL 5 DAY END`;
  const isOpen = `seq <= ${n} AND ${share(who)} < 380`;
  const start = `${day} - INTERVAL 30 * (1 + (seq - 1) DIV ${n}) DAY`;
  return [
    {
      table: 'invoice',
      sql: `INSERT INTO invoice (id, series, number, subscriber_id, subscription_id, period_start, period_end, zone, issued_on, due_on, currency, exponent, net_minor, tax_minor, total_minor, open_minor, state)
        SELECT seq, 'INV', seq, ${who}, ${who}, ${start}, ${start} + INTERVAL 30 DAY, 'UTC', ${start}, ${dueOn}, 'USD', 2, 2857, 143, 3000, IF(${isOpen}, 3000, 0), IF(${isOpen}, 'open', 'paid') FROM seq_1_to_${n * 3}`,
    },
    {
      table: 'suspension',
      sql: `INSERT INTO suspension (subscription_id, cause, effect, throttle_rate, opened_at, opened_by, closed_at, closed_by, closed_because)
        SELECT seq, 'overdue', ELT(1 + seq % 3, 'block', 'throttle', 'walled_garden'), IF(seq % 3 = 1, '1M/1M', NULL), ${at} - INTERVAL 17 DAY, 'schedule',
          IF(${share('seq')} BETWEEN 300 AND 329, NULL, ${at} - INTERVAL 12 DAY), IF(${share('seq')} BETWEEN 300 AND 329, NULL, 'rana'), IF(${share('seq')} BETWEEN 300 AND 329, NULL, 'paid')
        FROM seq_1_to_${n} WHERE ${share('seq')} BETWEEN 250 AND 459`,
    },
    {
      table: 'deferral',
      sql: `INSERT INTO deferral (subscription_id, source, until_on, opened_at, opened_by)
        SELECT seq, 'promise', ${day} + INTERVAL 5 DAY, ${at}, 'rana' FROM seq_1_to_${n} WHERE ${share('seq')} BETWEEN 370 AND 379`,
    },
  ];
}

function networkRows({ subscribers: n, routers, now }: OverdueIsp, full: readonly FullAccess[]): Rows[] {
  const at = `'${sqlInstant(now)}'`;
  const byPackage = (value: (projection: Projection) => string) =>
    `CASE 1 + seq % ${packages} ${full
      .map(({ packageId, projection }) => `WHEN ${packageId} THEN '${value(projection)}'`)
      .join(' ')} END`;
  const access = byPackage((projection) => projection.accessFingerprint);
  const redial = byPackage((projection) => projection.redialFingerprint);
  const router = `1 + CRC32(seq * 7) % ${routers}`;
  return [
    {
      table: 'access_decision',
      sql: `INSERT INTO access_decision (login_id, access, reason, generation, access_fingerprint, redial_fingerprint, coa_attributes, decided_at, requested_by)
        SELECT seq, 'full', 'paid_up', 1, ${access}, ${redial}, ${byPackage((projection) => JSON.stringify(projection.coaAttributes))}, ${at} - INTERVAL 40 DAY, 'bench' FROM seq_1_to_${n}`,
    },
    {
      table: 'access_change',
      sql: `INSERT INTO access_change (login_id, at, to_access, reason, generation, requested_by)
        SELECT seq, ${at} - INTERVAL 40 DAY, 'full', 'paid_up', 1, 'bench' FROM seq_1_to_${n}`,
    },
    {
      table: 'radacct',
      sql: `INSERT INTO radacct (radacctid, acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime, acctsessiontime, acctinputoctets, acctoutputoctets, framedipaddress, class, router_id)
        SELECT seq, LPAD(HEX(seq), 8, '0'), MD5(seq), CONCAT('u', seq), '127.77.0.1', ${at} - INTERVAL 7200 + seq % 3600 SECOND, ${at} - INTERVAL 60 + seq % 240 SECOND, 7200, 1000000, 9000000,
          CONCAT('10.', seq DIV 65536 % 256, '.', seq DIV 256 % 256, '.', seq % 256), CONCAT('S1.', seq, '.', ${access}, '.', ${redial}, '.', LPAD(HEX(seq), 8, '0')), ${router} FROM seq_1_to_${n}`,
    },
    {
      table: 'enforcement',
      sql: `INSERT INTO enforcement (radacctid, login_id, router_id, action, why, generation, access_fingerprint, redial_fingerprint, attributes, requested_by, requested_at, sent_at, outcome, answered_at, round_trip_us, attempts)
        SELECT ${n} + seq, seq, ${router}, 'coa', 'invoice_overdue', 1, '', '', '[]', 'bench', ${at} - INTERVAL 50 DAY, ${at} - INTERVAL 50 DAY, 'ack', ${at} - INTERVAL 50 DAY, 1500, 1 FROM seq_1_to_${n}`,
    },
  ];
}

/** In the order of the primary key, which is what reading logins by their names gives. */
async function fillRadiusRows({ db, say }: OverdueIsp, full: readonly FullAccess[]): Promise<void> {
  for (const [table, part] of [
    ['radcheck', 'check'],
    ['radreply', 'reply'],
  ] as const) {
    const startedAt = performance.now();
    await db.raw('DROP TABLE IF EXISTS bench_row');
    await db.raw(
      `CREATE TABLE bench_row (package_id INT, attribute VARCHAR(64), value VARCHAR(253), PRIMARY KEY (package_id, attribute))`,
    );
    await db('bench_row').insert(
      full.flatMap(({ packageId, projection }) =>
        projection[part].map(({ attribute, value }) => ({ package_id: packageId, attribute, value })),
      ),
    );
    await db.raw(
      `INSERT INTO ${table} (username, attribute, op, value)
       SELECT l.username, t.attribute, ':=', CASE t.attribute WHEN 'Cleartext-Password' THEN CONCAT('p', l.id)
           WHEN 'Class' THEN CONCAT('S1.', l.id, '.', SUBSTRING_INDEX(t.value, '.', -2)) ELSE t.value END
       FROM login l FORCE INDEX (login_username) STRAIGHT_JOIN bench_row t ON t.package_id = 1 + l.id % ${packages}`,
    );
    await db.raw('DROP TABLE bench_row');
    say(`${table}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
}
