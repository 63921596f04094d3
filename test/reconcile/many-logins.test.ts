import { expect } from 'chai';
import type { Knex } from 'knex';
import { until } from '../../scripts/servers/child.ts';
import { changeSettings } from '../../src/catalog/change-settings.ts';
import { setMasterPackage } from '../../src/catalog/set-master-package.ts';
import { namesOfKeys } from '../../src/db/attention.ts';
import { parkedKeyViews } from '../../src/db/attention-list.ts';
import { queueGauges } from '../../src/db/metrics.ts';
import { claim, retryAllParked } from '../../src/db/reconcile-queue.ts';
import { attemptsMax } from '../../src/domain/backoff.ts';
import { reconcileLogins } from '../../src/reconcile/login.ts';
import { askForManyLogins, type ManyLoginsOptions } from '../../src/reconcile/many-logins.ts';
import { startWorker } from '../../src/reconcile/worker.ts';
import { type TestContext, testContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { mortalDb } from '../support/mortal-db.ts';
import { claimLogins, manyLogins, requestLogins } from './login-support.ts';

describe('reconcile/many-logins', () => {
  let test: TestDb;
  let db: Knex;
  let ctx: TestContext;
  let ids: string[];
  let masterPackage: { id: string; name: string };
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
    ids = await manyLogins(db, 1200, 'many');
    masterPackage = await db('master_package as m')
      .join('package as p', 'p.master_package_id', 'm.id')
      .join('subscription as s', 's.package_id', 'p.id')
      .first<{ id: string; name: string }>('m.id', 'm.name');
  });
  after(() => test.drop());
  beforeEach(async () => {
    await db('reconcile_queue').del();
    ctx = testContext(db);
  });

  let speed = 100;
  const setSpeed = async () => {
    const rateLimit = `5M/${++speed}M`;
    await setMasterPackage(ctx, { masterPackage: masterPackage.name, rateLimit });
    return rateLimit;
  };
  const setList = async () => {
    const value = `list-${++speed}`;
    await changeSettings(ctx, { name: 'fullList', value });
    return value;
  };
  const claimWish = (leaseMs = 60_000) => claim(db, 'many_logins', { limit: 1, leaseMs });
  const ask = async (options: Partial<ManyLoginsOptions> = {}) =>
    askForManyLogins(ctx, await claimWish(), { leaseMs: 60_000, ...options });
  const asked = () => db('reconcile_queue').where({ kind: 'login' }).orderBy('key').pluck<string[]>('key');
  const wishes = () => db('reconcile_queue').where({ kind: 'many_logins' }).pluck<string[]>('key');

  /** Somebody else has the wish of a login of the second chunk: asking for that chunk waits. */
  const holdSecondChunk = async () => {
    await requestLogins(db, [ids[700] ?? '']);
    const trx = await db.transaction();
    await trx('reconcile_queue').where({ kind: 'login', key: ids[700] }).forUpdate();
    return trx;
  };
  const firstChunkAsked = () =>
    until('the first chunk is asked for', async () => (await asked()).includes(ids[499] ?? ''), {
      timeoutMs: 9000,
    });

  it('askForManyLogins, in the middle of many logins, lets a payment of any of them ask and commit', async () => {
    await setSpeed();
    const held = await holdSecondChunk();
    const asking = ask();
    try {
      await firstChunkAsked();
      // One that has been asked for, and one that has not.
      const why = { priority: 'payment', requestedBy: 'payment' } as const;
      await db.transaction(async (trx) => {
        // It fails rather than waits: the chunk that is held would give way after ten seconds.
        await trx.raw('SET innodb_lock_wait_timeout = 1');
        await requestLogins(trx, [ids[10] ?? '', ids[1100] ?? ''], why);
        await trx.raw('SET innodb_lock_wait_timeout = 10');
      });
      expect(await wishes(), 'the wish still goes on').to.deep.equal([masterPackage.id]);
      expect(await asked()).not.to.include(ids[1101]);
    } finally {
      await held.rollback();
    }
    await asking;
    expect(await asked()).to.deep.equal(ids);
    expect(await wishes()).to.deep.equal([]);
    const urgent = db('reconcile_queue').where({ priority: 90 }).orderBy('key');
    expect(await urgent.pluck<string[]>('key')).to.deep.equal([ids[10], ids[1100]]);
  });

  for (const diesAt of [1, 2, 3, 4, 5, 6, 9, 11, 14, 18]) {
    it(`askForManyLogins, whose worker dies at statement ${diesAt}, is begun again and asks for all`, async () => {
      await setSpeed();
      const mortal = await mortalDb(test.address, { diesAt });
      const claims = await claimWish(1);
      await askForManyLogins({ ...ctx, db: mortal.db }, claims, { leaseMs: 1 }).then(
        () => expect.fail('it should have died'),
        () => undefined,
      );
      expect(mortal.hasBroken()).to.equal(true);
      await mortal.close();
      expect(await wishes(), 'the wish is still there').to.deep.equal([masterPackage.id]);
      await until('its lease is over', async () => (await claimAndAsk()) > 0, { timeoutMs: 9000, stepMs: 5 });
      expect(await asked()).to.deep.equal(ids);
      expect(await wishes()).to.deep.equal([]);
    });
  }
  const claimAndAsk = async () => {
    const claims = await claimWish();
    await askForManyLogins(ctx, claims, { leaseMs: 60_000 });
    return claims.length;
  };

  it('askForManyLogins, of many logins, reads each of them once and not again for every five hundred', async () => {
    const read = async () => {
      const [rows] = (await db.raw("SHOW GLOBAL STATUS LIKE 'Handler_read%'")) as unknown as [
        { Value: string }[],
      ];
      return rows.reduce((sum, row) => sum + Number(row.Value), 0);
    };
    await setSpeed();
    const before = await read();
    await ask();
    // Its subscription, the login, and a look whether it is asked for already; the rest of the server does little.
    expect((await read()) - before).to.be.lessThan(5 * ids.length);
    expect(await asked()).to.deep.equal(ids);
  });

  it('askForManyLogins, of a subscription with more logins than fit a list, asks for every one that is live', async () => {
    const subscription = await db('login').where({ id: ids[0] }).first<{ subscription_id: string }>();
    const base = 900_000;
    const many = Array.from({ length: 700 }, (_, n) => ({
      id: String(base + n),
      subscription_id: subscription.subscription_id,
      username: `site${n}`,
      secret: 'sealed',
      created_at: '2026-01-01 00:00:00.000',
      retired_at: n === 5 ? '2026-01-02 00:00:00.000' : null,
    }));
    await db('login').insert(many);
    try {
      await setSpeed();
      await ask();
      const live = many.filter((one) => one.retired_at === null).map((one) => one.id);
      expect(await asked()).to.deep.equal([...ids, ...live]);
    } finally {
      await db('login').where('id', '>=', base).del();
    }
  });

  it('askForManyLogins, when its worker stops, gives the wish back after the chunk', async () => {
    await setSpeed();
    let chunks = 0;
    const onChunk = () => {
      chunks++;
    };
    await ask({ onChunk, isStopping: () => chunks === 1 });
    expect(await asked()).to.deep.equal(ids.slice(0, 500));
    expect(await claimAndAsk()).to.equal(1);
    expect(await asked()).to.deep.equal(ids);
  });

  for (const [what, attribute, change] of [
    ['speed', 'Mikrotik-Rate-Limit', setSpeed],
    ['setting', 'Mikrotik-Address-List', setList],
  ] as const) {
    it(`askForManyLogins, with a second change of a ${what} in the middle, begins again: the last is everybody's`, async () => {
      const first = await change();
      let last = first;
      const having = async (value: string) => {
        const rows = await db('radreply').where({ attribute, value }).count<{ n: string }[]>('* as n');
        return Number(rows[0]?.n);
      };
      await ask({
        onChunk: async () => {
          if (last !== first) return;
          await reconcileLogins(ctx, await claimLogins(db));
          expect(await having(first), 'the first chunk has the first change').to.equal(500);
          last = await change();
        },
      });
      expect(await wishes(), 'the second wish outlives the first').to.have.length(1);
      // Whoever claims the last logins touches the wish behind them in the index, and it is passed over until the next poll.
      const worker = startWorker(ctx, { pollMs: 100, pauseMs: 20 });
      try {
        const isDone = async () => (await db('reconcile_queue').first<unknown>('id')) === undefined;
        await until('nothing is left to do', isDone, { timeoutMs: 30_000 });
      } finally {
        await worker.stop();
      }
      expect(await having(last)).to.equal(ids.length);
      expect(await having(first)).to.equal(0);
    }).timeout(40_000);
  }

  it('askForManyLogins, that fails again and again, is parked with its reason until somebody asks again', async () => {
    await setSpeed();
    await db.raw(`CREATE TRIGGER refuses BEFORE INSERT ON reconcile_queue FOR EACH ROW
      IF NEW.kind = 'login' THEN SIGNAL SQLSTATE '45000'; END IF`);
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      await db('reconcile_queue').update({ not_before: '2026-01-01 00:00:00.000' });
      await ask();
    }
    await db.raw('DROP TRIGGER refuses');
    const [parked, ...others] = await parkedKeyViews(db, 10);
    expect(others).to.deep.equal([]);
    expect(parked).to.include({ kind: 'many_logins', key: masterPackage.id, attempts: attemptsMax });
    expect(parked?.lastError).to.be.a('string').that.is.not.equal('');
    expect([...(await namesOfKeys(db, parked === undefined ? [] : [parked])).entries()]).to.deep.include([
      `many_logins:${masterPackage.id}`,
      masterPackage.name,
    ]);
    const gauge = (await queueGauges(db)).find((one) => one.kind === 'many_logins');
    expect(gauge).to.include({ waiting: 0, parked: 1 });
    expect(await retryAllParked(db, { routerId: null, limit: 10 })).to.equal(1);
    expect(await claimAndAsk()).to.equal(1);
    expect(await asked()).to.deep.equal(ids);
  });
});
