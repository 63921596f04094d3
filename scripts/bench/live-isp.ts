import type { App } from '../../src/app.ts';
import { addBillingProfile } from '../../src/catalog/add-billing-profile.ts';
import { addIpv4Pool } from '../../src/catalog/add-ipv4-pool.ts';
import { addMasterPackage } from '../../src/catalog/add-master-package.ts';
import { addPackage } from '../../src/catalog/add-package.ts';
import { sqlInstant } from '../../src/db/knex.ts';
import { requestAllLogins } from '../../src/db/login-requests.ts';
import { queueDepth } from '../../src/db/queue-depth.ts';
import { routerSecretPlace } from '../../src/db/routers.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { asId, type RouterId } from '../../src/domain/ids.ts';
import { startWorker } from '../../src/reconcile/worker.ts';
import { until } from '../servers/child.ts';
import { say, secondsSince } from './figures.ts';
import type { ResponderRouter } from './responders.ts';

export const benchMasterPackage = 'fast line';
/** What an overdue subscriber of this ISP is throttled to. */
export const overdueRate = '1M/1M';

/**
 * An ISP whose logins Sluice can decide (their secrets open), in an empty migrated database: subscribers, subscriptions
 * and logins 1 to `subscribers`, all on one package and one billing profile that throttles, and routers 1 to n. Decided
 * by the worker's own code. No sessions yet: see openSessions.
 */
export async function fillLiveIsp(
  app: App,
  given: { subscribers: number; routers: readonly ResponderRouter[]; pacePerSecond: number },
): Promise<void> {
  const startedAt = performance.now();
  const { db, clock } = app;
  const at = sqlInstant(clock.now());
  await db.raw('INSERT IGNORE INTO reseller (id, name, created_at) VALUES (1, ?, ?)', ['Operator', at]);
  await db.raw('INSERT IGNORE INTO reseller_closure VALUES (1, 1, 0)');
  await saveSettings(db, { zone: 'UTC', currency: 'USD', exponent: 2 }, clock.now());
  const packageId = await addCatalogue(app);
  await db('router').insert(
    given.routers.map((router, index) => ({
      id: index + 1,
      name: `pop-${index + 1}`,
      address: router.address,
      secret: app.vault.seal(routerSecretPlace(asId<RouterId>(String(index + 1))), router.secret),
      coa_port: router.port,
      pace_per_second: given.pacePerSecond,
      changed_at: at,
      created_at: at,
    })),
  );
  const last = given.subscribers;
  await db.raw(
    `INSERT INTO subscriber (id, name, billing_profile_id, created_at)
     SELECT seq, CONCAT('Subscriber ', seq), (SELECT id FROM billing_profile LIMIT 1), ? FROM seq_1_to_${last}`,
    [at],
  );
  await db.raw(
    `INSERT INTO subscription (id, subscriber_id, package_id, anchor_on, started_on)
     SELECT seq, seq, ?, '2026-01-01', '2026-01-01' FROM seq_1_to_${last}`,
    [packageId],
  );
  for (let first = 1; first <= last; first += 2000) {
    const ids = Array.from({ length: Math.min(2000, last - first + 1) }, (_, n) => first + n);
    await db('login').insert(
      ids.map((id) => ({
        id,
        subscription_id: id,
        username: `u${id}`,
        secret: app.vault.seal(`login.secret:${id}`, `password of u${id}`),
        created_at: at,
      })),
    );
  }
  say(`${last} subscribers filled in ${secondsSince(startedAt)}`);
}

async function addCatalogue(app: App): Promise<string> {
  const ctx = app.context('bench');
  await addIpv4Pool(ctx, { name: 'home', suspendedName: 'home-suspended' });
  await addMasterPackage(ctx, {
    name: benchMasterPackage,
    customerType: 'pppoe',
    billingType: 'monthly',
    rateLimit: '20M/100M',
    pool: 'home',
    interimSeconds: 300,
  });
  const { packageId } = await addPackage(ctx, {
    name: 'fast',
    masterPackage: benchMasterPackage,
    customersPriceMinor: 3000n,
    operatorsPriceMinor: 2500n,
  });
  await addBillingProfile(ctx, {
    name: 'throttle',
    dueDays: 7,
    graceDays: 0,
    isOverdueRunOn: true,
    overdueEffect: 'throttle',
    throttleRate: overdueRate,
  });
  return packageId;
}

/** An unpaid invoice of 30.00 for each of these subscribers. */
export async function addDebts(app: App, who: { first: number; last: number; dueOn: string }): Promise<void> {
  await app.db.raw(
    `INSERT INTO invoice (series, number, subscriber_id, subscription_id, period_start, period_end, zone, issued_on, due_on,
       currency, exponent, net_minor, tax_minor, total_minor, open_minor, state)
     SELECT 'BENCH', seq, seq, seq, '2026-01-01', '2026-02-01', 'UTC', '2026-01-01', ?, 'USD', 2, 3000, 0, 3000, 3000, 'open'
     FROM seq_${who.first}_to_${who.last}`,
    [who.dueOn],
  );
}

/** Lets the worker's code decide every login and write its rows, in this process. */
export async function decideAll(app: App): Promise<void> {
  const startedAt = performance.now();
  await requestAllLogins(app.db, { priority: 'sweep', requestedBy: 'bench' });
  const worker = startWorker(app, { pollMs: 20 });
  await until(
    'all logins decided',
    async () => (await queueDepth(app.db)).every(({ waiting }) => waiting === 0),
    {
      timeoutMs: 3_600_000,
      stepMs: 500,
    },
  );
  await worker.stop();
  await app.db.raw('ANALYZE TABLE login, access_decision, subscription, subscriber, invoice');
  say(`all logins decided in ${secondsSince(startedAt)}`);
}

/** As RouterOS writes them: eight hexadecimal digits. */
export function benchSessionId(loginId: string): string {
  return `81${Number(loginId).toString(16).toUpperCase().padStart(6, '0')}`;
}

/** An open session for every login, as FreeRADIUS would have written it when it was accepted from the rows of now. */
export async function openSessions(app: App, routers: readonly ResponderRouter[]): Promise<void> {
  const startedAt = performance.now();
  const at = sqlInstant(app.clock.now()).slice(0, 19);
  const count = routers.length;
  await app.db.raw(
    `INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, router_id, acctstarttime, acctupdatetime,
       framedipaddress, callingstationid, class)
     SELECT CONCAT('81', LPAD(HEX(l.id), 6, '0')), MD5(l.id), l.username, r.address, r.id, ?, ?,
       CONCAT('10.', l.id DIV 65536, '.', l.id DIV 256 % 256, '.', l.id % 256), '02:00:00:00:00:01',
       CONCAT('S1.', l.id, '.', d.access_fingerprint, '.', d.redial_fingerprint, '.', LPAD(HEX(l.id), 8, '0'))
     FROM login l JOIN access_decision d ON d.login_id = l.id JOIN router r ON r.id = 1 + l.id % ${count}
     ORDER BY l.id`,
    [at, at],
  );
  await app.db.raw('ANALYZE TABLE radacct, router');
  say(`sessions opened in ${secondsSince(startedAt)}`);
}
