import type { Knex } from 'knex';
import { createVault } from '../../src/adapters/vault.ts';
import { createLog } from '../../src/log.ts';
import { asId, type LoginId, type RouterId, type SessionId } from '../../src/domain/ids.ts';

export const vault = createVault([{ id: 'test', key: Buffer.alloc(32, 7) }]);
export const routerSecret = 'lab-secret';

let count = 0;

/** A login with its subscriber and subscription, and a decision about it. */
export async function aLogin(
  db: Knex,
  options: {
    access?: string;
    reason?: string;
    fingerprints?: readonly [string, string];
    coaAttributes?: readonly (readonly [string, string])[];
    generation?: number;
    username?: string;
  } = {},
): Promise<{ id: LoginId; username: string }> {
  const number = ++count;
  const username = options.username ?? `sub${number}`;
  const subscription = await aSubscription(db, number);
  const [id] = await db('login').insert({
    subscription_id: subscription,
    username,
    secret: Buffer.from('sealed'),
    created_at: '2026-01-01 00:00:00',
  });
  const login = { id: asId<LoginId>(id ?? 0), username };
  const [accessFingerprint, redialFingerprint] = options.fingerprints ?? ['aaaaaaaaaa', 'bbbbbbbbbb'];
  await db('access_decision').insert({
    login_id: login.id,
    access: options.access ?? 'full',
    reason: options.reason ?? 'paid_up',
    generation: options.generation ?? 1,
    access_fingerprint: accessFingerprint,
    redial_fingerprint: redialFingerprint,
    coa_attributes: JSON.stringify(options.coaAttributes ?? [['Mikrotik-Rate-Limit', '10M/50M']]),
    decided_at: '2026-01-01 00:00:00',
    requested_by: 'test',
  });
  return login;
}

/** Decides something else about a login, as reconcile/login.ts would: the next generation. */
export async function decide(
  db: Knex,
  loginId: string,
  next: { access: string; fingerprints: readonly [string, string]; rate?: string; reason?: string },
): Promise<void> {
  await db('access_decision')
    .where('login_id', loginId)
    .update({
      access: next.access,
      access_fingerprint: next.fingerprints[0],
      redial_fingerprint: next.fingerprints[1],
      generation: db.raw('generation + 1'),
      ...(next.reason === undefined ? {} : { reason: next.reason }),
      ...(next.rate === undefined
        ? {}
        : { coa_attributes: JSON.stringify([['Mikrotik-Rate-Limit', next.rate]]) }),
    });
}

async function aSubscription(db: Knex, number: number): Promise<number> {
  const now = '2026-01-01 00:00:00';
  await db.raw(
    `INSERT IGNORE INTO billing_profile (id, name, due_days, grace_days, overdue_effect) VALUES (1, 'test', 7, 3, 'block')`,
  );
  await db.raw(`INSERT IGNORE INTO reseller (id, name, created_at) VALUES (1, 'test', ?)`, [now]);
  await db.raw(
    `INSERT IGNORE INTO master_package (id, name, customer_type, billing_type) VALUES (1, 'test', 'pppoe', 'monthly')`,
  );
  await db.raw(
    `INSERT IGNORE INTO package (id, master_package_id, name, customers_price_minor, operators_price_minor)
     VALUES (1, 1, 'test', 1000, 500)`,
  );
  const [subscriber] = await db('subscriber').insert({
    name: `Subscriber ${number}`,
    billing_profile_id: 1,
    created_at: now,
  });
  const [subscription] = await db('subscription').insert({
    subscriber_id: subscriber,
    package_id: 1,
    anchor_on: '2026-01-01',
    started_on: '2026-01-01',
  });
  return subscription ?? 0;
}

export async function aRouter(
  db: Knex,
  options: {
    id: string;
    address?: string;
    coaPort?: number;
    rateChange?: string;
    pace?: number;
    secret?: string;
  },
): Promise<RouterId> {
  await db('router').insert({
    id: options.id,
    name: `router-${options.id}`,
    address: options.address ?? `127.0.9.${options.id}`,
    secret: vault.seal(`router.secret:${options.id}`, options.secret ?? routerSecret),
    coa_port: options.coaPort ?? 3799,
    rate_change: options.rateChange ?? 'coa',
    pace_per_second: options.pace ?? 1000,
    changed_at: '2026-01-01 00:00:00',
    created_at: '2026-01-01 00:00:00',
  });
  return asId<RouterId>(options.id);
}

export async function aSession(
  db: Knex,
  login: { username: string },
  options: {
    class?: string | null;
    routerId?: string;
    updatedAt?: string;
    startedAt?: string;
    stoppedAt?: string;
    sessionId?: string;
    address?: string;
  } = {},
): Promise<SessionId> {
  const number = ++count;
  const [id] = await db('radacct').insert({
    acctsessionid: options.sessionId ?? `8100${number.toString(16).padStart(4, '0')}`,
    acctuniqueid: number.toString(16).padStart(32, '0'),
    username: login.username,
    nasipaddress: '127.0.9.1',
    acctstarttime: options.startedAt ?? '2026-01-01 00:00:00',
    acctupdatetime: options.updatedAt ?? '2026-01-01 00:00:00',
    acctstoptime: options.stoppedAt ?? null,
    framedipaddress: options.address ?? `10.64.${(number >> 8) & 255}.${number & 255}`,
    callingstationid: 'AA:BB:CC:00:00:01',
    class: options.class === undefined ? null : options.class,
    router_id: options.routerId ?? '1',
  });
  return asId<SessionId>(id ?? 0);
}

/** Forgets everything about sessions, logins and lanes. */
export async function emptySessions(db: Knex): Promise<void> {
  const tables = [
    'reconcile_queue',
    'session_access',
    'enforcement',
    'kick',
    'radacct',
    'access_decision',
    'access_change',
    'router_lane',
    'accounting_tail',
    'router',
  ];
  for (const table of tables) await db(table).del();
}

export interface EvidenceRow {
  id: string;
  radacctid: string;
  action: string;
  why: string;
  because: string;
  generation: string;
  outcome: string;
  detail: string | null;
  error_cause: number | null;
  round_trip_us: number | null;
  attempts: number;
  answered_at: string | null;
  confirmed_at: string | null;
  confirmed_by: string | null;
  next_check_at: string | null;
  requested_by: string;
  attributes: string;
}

export function evidenceOf(db: Knex, sessionId?: string): Promise<EvidenceRow[]> {
  const query = db('enforcement').select<EvidenceRow[]>('*').orderBy('id');
  if (sessionId !== undefined) void query.where('radacctid', sessionId);
  return query;
}

export async function queueSize(db: Knex): Promise<number> {
  const rows = await db('reconcile_queue').count<{ n: string }[]>({ n: '*' });
  return Number(rows[0]?.n);
}

export const silentLog = createLog({ level: 'error', role: 'test', silent: true });

/** The rate that a CoA-Request carried. */
export function rateOf(request: { attributes: ReadonlyMap<string, string> }): string | undefined {
  return request.attributes.get('26.14988.8');
}
