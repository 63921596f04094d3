import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { missingForGalera } from '../../scripts/servers/galera.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { leaseLanes } from '../../src/db/lanes.ts';
import { openDb } from '../../src/db/knex.ts';
import { requestAllLogins } from '../../src/db/login-requests.ts';
import { alignRows } from '../../src/db/radius-rows.ts';
import { holdDecisionsOf } from '../../src/db/sessions.ts';
import { stillWanted, takeWanted } from '../../src/db/wanted.ts';
import { asId, type RouterId, type SessionId } from '../../src/domain/ids.ts';
import { reconcileLogins } from '../../src/reconcile/login.ts';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import { clearTables } from '../billing/support.ts';
import { claimLogins, requestLogins, rowsOf } from '../reconcile/login-support.ts';
import { decide } from '../reconcile/session-support.ts';
import { aLogin, aRouter, testContext, type TestContext } from '../support/builders.ts';
import { type GaleraFixture, galeraFixture } from '../support/galera.ts';
import { manyDebtors } from '../support/overdue.ts';
import { radiusOnACluster } from './cluster-radius.ts';
import { runsOnACluster } from './cluster-runs.ts';

/** What keeps two nodes of a cluster apart is not what keeps two connections to one server apart: no lock is shared. */
describe('on a Galera cluster', function () {
  this.timeout(120_000);
  let galera: GaleraFixture;
  let ctx: TestContext;
  const on = (n: number): TestContext => ({ ...ctx, db: galera.on(n) });
  before(async function () {
    if (missingForGalera().length > 0) this.skip();
    galera = await galeraFixture();
  });
  after(() => (galera as GaleraFixture | undefined)?.stop());
  beforeEach(async () => {
    const tables = await clearedTables(galera.on(1));
    expect(tables).to.be.greaterThan(40);
    ctx = testContext(galera.on(1), { now: '2026-03-20T10:00:00Z' });
  });

  describe('the schema', () => {
    it('migrate, by two hosts at once, leaves the same tables on every node, each InnoDB with a primary key', async () => {
      const tablesOn = async (n: number) => {
        const [rows] = (await galera.on(n).raw(
          `SELECT t.table_name AS name, t.engine, COUNT(c.column_name) AS in_key FROM information_schema.tables t
           LEFT JOIN information_schema.key_column_usage c ON c.table_schema = t.table_schema
             AND c.table_name = t.table_name AND c.constraint_name = 'PRIMARY'
           WHERE t.table_schema = DATABASE() GROUP BY t.table_name, t.engine ORDER BY t.table_name`,
        )) as unknown as [{ name: string; engine: string; in_key: string }[]];
        return rows;
      };
      const tables = await tablesOn(1);
      expect(tables.filter((table) => table.engine !== 'InnoDB' || Number(table.in_key) === 0)).to.deep.equal(
        [],
      );
      expect(await tablesOn(2)).to.deep.equal(tables);
      expect(await tablesOn(3)).to.deep.equal(tables);
    });
  });

  describe('the queue', () => {
    it('claim, by workers on three nodes at once, gives each key to one of them', async () => {
      const ids = Array.from({ length: 400 }, (_, n) => String(n + 1));
      await requestLogins(galera.on(1), ids);
      const taken = await Promise.all(
        [1, 2, 3].map(async (n) => {
          const own: string[] = [];
          for (let round = 0; round < 6; round++)
            own.push(...(await claimLogins(galera.on(n), 30)).map((one) => one.key));
          return own;
        }),
      );
      const all = taken.flat();
      expect(new Set(all).size, 'nobody has a key that another has').to.equal(all.length);
      expect(taken.filter((own) => own.length > 0)).to.have.length(3);
    });

    it('claim, after a commit on another node that is not applied here yet, sees what was committed', async () => {
      const login = await aLogin(galera.on(1));
      await wait(500);
      await galera.delayOthers(1);
      await requestLogins(galera.on(1), [login.id]);
      const blind = openDb(galera.address(2), { poolMax: 1 });
      await blind.raw('SET wsrep_sync_wait = 0');
      const seen = await blind('reconcile_queue').pluck<string[]>('id');
      const claims = await claimLogins(galera.on(2));
      await blind.destroy();
      expect(seen, 'the node really is behind').to.deep.equal([]);
      expect(claims.map((one) => one.key)).to.deep.equal([login.id]);
    });

    it('takeWanted, when a newer wish was committed on a node that is ahead, is undone at its COMMIT', async () => {
      const login = await aLogin(galera.on(1));
      await requestLogins(galera.on(1), [login.id]);
      const claims = await claimLogins(galera.on(1));
      const rows = [{ attribute: 'Auth-Type', op: ':=', value: 'Reject', ordinal: 0 }] as const;
      const stale = galera.on(1).transaction(async (trx) => {
        expect(await takeWanted(trx, claims)).to.have.length(1);
        await alignRows(trx, [{ username: login.username, check: rows, reply: [] }]);
        await galera.delayOthers(2);
        await requestLogins(galera.on(2), [login.id], { priority: 'payment', requestedBy: 'the newer' });
      });
      expect(await errnoOf(stale)).to.be.oneOf([1213, 1020]);
      expect((await rowsOf(galera.on(3), login.username)).check).to.deep.equal({});
      expect(await galera.on(3)('reconcile_queue').pluck('requested_by')).to.deep.equal(['the newer']);
    });

    it('holdDecisionsOf, when a decision was made anew on a node that is ahead, is undone at its COMMIT', async () => {
      const { sessionId, loginId } = await aSessionOf(galera.on(1), ctx);
      const lane = galera.on(1).transaction(async (trx) => {
        await holdDecisionsOf(trx, [sessionId]);
        await galera.delayOthers(2);
        await decide(galera.on(2), loginId, {
          access: 'full',
          fingerprints: ['cccccccccccc', 'bbbbbbbbbbbb'],
        });
      });
      expect(await errnoOf(lane)).to.be.oneOf([1213, 1020]);
    });

    it('stillWanted, of a session whose wish was renewed on a node that is ahead, is undone at its COMMIT', async () => {
      await requestLogins(galera.on(1), ['77']);
      const claims = await claimLogins(galera.on(1));
      const stale = galera.on(1).transaction(async (trx) => {
        expect(await stillWanted(trx, claims)).to.have.length(1);
        await galera.delayOthers(2);
        await requestLogins(galera.on(2), ['77']);
      });
      expect(await errnoOf(stale)).to.be.oneOf([1213, 1020]);
    });

    it('reconcileLogins, on three nodes while holds come in on all of them, ends with what was decided last', async () => {
      const logins = await Promise.all(Array.from({ length: 40 }, () => aLogin(galera.on(1))));
      const until = performance.now() + 4000;
      const worker = async (n: number) => {
        while (performance.now() < until) await reconcileLogins(on(n), await claimLogins(galera.on(n), 10));
      };
      const staff = async (n: number) => {
        for (const login of logins.filter((_, index) => index % 3 === n - 1)) {
          await holdSubscription(on(n), {
            subscriptionId: login.subscriptionId,
            cause: 'staff',
            effect: 'block',
            note: 'held',
          });
        }
      };
      await requestLogins(
        galera.on(1),
        logins.map((login) => login.id),
      );
      await Promise.all([1, 2, 3].flatMap((n) => [worker(n), staff(n)]));
      await galera
        .on(1)('reconcile_queue')
        .update({ locked_until: null, claim_token: null, not_before: '2026-01-01' });
      await reconcileLogins(on(1), await claimLogins(galera.on(1)));
      const wrong = [];
      for (const login of logins) {
        const { check } = await rowsOf(galera.on(2), login.username);
        if (check['Sluice-Deny-Reason'] !== 'staff_hold') wrong.push(login.username);
      }
      expect(wrong).to.deep.equal([]);
      expect(await galera.on(3)('reconcile_queue').pluck('id')).to.deep.equal([]);
    });

    it('leaseLanes, by processes on three nodes at once, gives each router to one of them', async () => {
      const routers: RouterId[] = [];
      for (let n = 0; n < 12; n++) routers.push((await aRouter(galera.on(1))).id);
      const leases = await Promise.all(
        [1, 2, 3].map((n) =>
          leaseLanes(galera.on(n), routers, { owner: `owner-${n}`.padEnd(36, 'x'), ms: 60_000 }),
        ),
      );
      expect(leases.flat().sort()).to.deep.equal([...routers].sort());
    });

    it('requestAllLogins, while payments ask for the same logins on another node, asks for every one', async () => {
      const debtors = await manyDebtors(galera.on(1), 3000);
      const asking = { isDone: false };
      const paying = (async () => {
        for (let n = 0; !asking.isDone && n < debtors.length; n += 7) {
          const debtor = debtors[n];
          if (debtor === undefined) break;
          await requestLogins(galera.on(2), [debtor.loginId], {
            priority: 'payment',
            requestedBy: 'a payment',
          });
        }
      })();
      expect(await requestAllLogins(galera.on(1), { priority: 'sweep', requestedBy: 'night' })).to.equal(
        3000,
      );
      asking.isDone = true;
      await paying;
      expect(await galera.on(3)('reconcile_queue').pluck('id')).to.have.length(3000);
    });
  });

  describe('money', () => {
    it('recordPayment, of one reference on three nodes at once, is one payment', async () => {
      const [debtor] = await manyDebtors(galera.on(1), 1);
      const results = await Promise.all(
        [1, 2, 3].map((n) =>
          recordPayment(on(n), {
            subscriberId: debtor?.subscriberId ?? asId('0'),
            channel: 'bank',
            reference: 'the same',
            amountMinor: 500n,
          }),
        ),
      );
      expect(results.map((result) => result.ok)).to.deep.equal([true, true, true]);
      expect(results.filter((result) => result.ok && !result.isRepeat)).to.have.length(1);
      expect(await galera.on(2)('payment').pluck('reference')).to.deep.equal(['the same']);
    });
  });

  describe('runs and rules', () => runsOnACluster(() => ({ galera, ctx })));

  describe('FreeRADIUS through HAProxy', () => radiusOnACluster(() => ({ galera, ctx })));

  describe('a node that fails', () => {
    it('a node that is cut off, refuses what it is asked, and whoever has the others on the list goes on there', async () => {
      const [debtor] = await manyDebtors(galera.on(1), 1);
      const pay = (db: Knex, reference: string) =>
        recordPayment(
          { ...ctx, db },
          { subscriberId: debtor?.subscriberId ?? asId('0'), channel: 'cash', reference, amountMinor: 100n },
        );
      const listed = openDb(galera.address(3));
      await pay(listed, 'before');
      await galera.cluster.isolate(3);
      try {
        await wait(4000);
        expect(await errnoOf(pay(galera.on(3), 'alone'))).to.equal(1047);
        expect((await patiently(() => pay(listed, 'elsewhere'))).ok).to.equal(true);
      } finally {
        await galera.cluster.rejoin(3);
      }
      await galera.cluster.untilReady(3);
      await listed.destroy();
      const references = await galera.on(3)('payment').orderBy('id').pluck('reference');
      expect(references.sort()).to.deep.equal(['before', 'elsewhere']);
    });
  });
});

async function clearedTables(db: Knex): Promise<number> {
  await clearTables(db);
  const [rows] = (await db.raw('SHOW TABLES')) as [unknown[]];
  return rows.length;
}

/** A login with a decision and an open session. */
async function aSessionOf(db: Knex, ctx: TestContext): Promise<{ sessionId: SessionId; loginId: string }> {
  const login = await aLogin(db);
  await requestLogins(db, [login.id]);
  await reconcileLogins(ctx, await claimLogins(db));
  const [id] = await db('radacct').insert({
    acctsessionid: 's1',
    acctuniqueid: 'u1',
    username: login.username,
    nasipaddress: '127.0.0.2',
    acctstarttime: '2026-03-01 00:00:00',
  });
  return { sessionId: asId<SessionId>(String(id)), loginId: login.id };
}

async function errnoOf(work: PromiseLike<unknown>): Promise<number | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return (error as { errno?: number }).errno;
  }
}

/** As whoever repeats what failed with the database: commands are idempotent by key. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 40) throw error;
      await wait(500);
    }
  }
}
