import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { until } from '../../scripts/servers/child.ts';
import { queueDepth } from '../../src/db/queue-depth.ts';
import { type Claim, finish } from '../../src/db/reconcile-queue.ts';
import { requestReconcile } from '../../src/db/reconcile-requests.ts';
import { startWorker, type Worker, type WorkerDeps, type WorkerOptions } from '../../src/reconcile/worker.ts';
import { sweepAllLogins, sweepDueReviews } from '../../src/reconcile/sweep.ts';
import { aLogin, aSubscription, type TestContext, testContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { countStatements, manyLogins, requestLogins, rowsOf } from './login-support.ts';

describe('reconcile/worker and reconcile/sweep', () => {
  let test: TestDb;
  let db: Knex;
  let ctx: TestContext;
  let workers: Worker[] = [];
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());
  beforeEach(async () => {
    await db('reconcile_queue').del();
    ctx = testContext(db);
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    workers = [];
  });

  const start = (options: WorkerOptions = {}, deps: Partial<WorkerDeps> = {}) => {
    const worker = startWorker({ ...ctx, ...deps }, { pollMs: 60_000, pauseMs: 50, ...options });
    workers.push(worker);
    return worker;
  };
  const isDone = async (kind = 'login') => !(await queueDepth(db)).some((row) => row.kind === kind);
  const untilDone = (kind = 'login') => until(`${kind} keys`, () => isDone(kind), { timeoutMs: 15_000 });

  describe('startWorker', () => {
    it('startWorker, when woken, looks at once', async () => {
      const worker = start();
      const login = await aLogin(db);
      await wait(50);
      await requestLogins(db, [login.id]);
      worker.wake();
      await untilDone();
      expect((await rowsOf(db, login.username)).check).to.have.property('Cleartext-Password');
    });

    it('startWorker, when nobody wakes it, finds work by polling', async () => {
      start({ pollMs: 50 });
      const login = await aLogin(db);
      await wait(120);
      await requestLogins(db, [login.id]);
      await untilDone();
      expect((await rowsOf(db, login.username)).check).to.have.property('Cleartext-Password');
    });

    it('startWorker, woken while it looks, looks again', async () => {
      const logins = [await aLogin(db), await aLogin(db)];
      await requestLogins(db, [logins[0]?.id ?? '']);
      const worker = start({ batch: 1 });
      await requestLogins(db, [logins[1]?.id ?? '']);
      worker.wake();
      await untilDone();
    });

    it('startWorker, while a batch of a run takes its time, looks at a payment beside it', async () => {
      const [bulk, paying] = [await aLogin(db), await aLogin(db)];
      await requestLogins(db, [bulk.id], { priority: 'run', requestedBy: 'run' });
      // A row that somebody is just writing keeps the run's transaction waiting.
      const trx = await db.transaction();
      await trx('radcheck').insert({ username: bulk.username, attribute: 'Cleartext-Password', value: 'x' });
      const worker = start();
      const isClaimed = async () =>
        (await db('reconcile_queue').whereNotNull('claim_token').first<unknown>('id')) !== undefined;
      await until('the batch is looked at', isClaimed, { timeoutMs: 5000 });
      await requestLogins(db, [paying.id], { priority: 'payment', requestedBy: 'payment' });
      worker.wake();
      const hasRows = async ({ username }: { username: string }) =>
        'Cleartext-Password' in (await rowsOf(db, username)).check;
      await until('the rows of who paid', () => hasRows(paying), { timeoutMs: 5000 });
      expect(await hasRows(bulk)).to.equal(false);
      await trx.rollback();
      await untilDone();
      expect(await hasRows(bulk)).to.equal(true);
    });

    it('startWorker, behind a full batch of what people wait for, looks at the next beside it, and at no third', async () => {
      const held = await aLogin(db);
      const others = [await aLogin(db), await aLogin(db)];
      await requestLogins(db, [held.id], { priority: 'payment', requestedBy: 'first' });
      await requestLogins(
        db,
        others.map((login) => login.id),
      );
      const trx = await db.transaction();
      await trx('radcheck').insert({ username: held.username, attribute: 'Cleartext-Password', value: 'x' });
      start({ batch: 1 });
      const withRows = async () => {
        const found = await Promise.all(others.map((login) => rowsOf(db, login.username)));
        return found.filter((rows) => 'Cleartext-Password' in rows.check).length;
      };
      await until('the rows of the next', async () => (await withRows()) > 0, { timeoutMs: 5000 });
      await wait(100);
      expect(await withRows()).to.equal(1);
      await trx.rollback();
      await untilDone();
      expect(await withRows()).to.equal(2);
    });

    it('startWorker, when a full batch of what people wait for fails, pauses once and then goes on as ever', async () => {
      const logins = [await aLogin(db), await aLogin(db)];
      const [first = '', second = ''] = logins.map((login) => login.id);
      const spoilt = {
        name: 'portRate',
        value: JSON.stringify('no rate'),
        changed_at: '2026-01-01 00:00:00',
      };
      await db('setting').insert(spoilt);
      try {
        await requestLogins(db, [first]);
        const errors: string[] = [];
        const log = ctx.log.child({});
        log.error = ((message: string) => {
          errors.push(message);
          return log;
        }) as typeof log.error;
        const worker = start({ batch: 1, pauseMs: 2500 }, { log });
        await until('a look that fails', () => errors.length > 0, { timeoutMs: 5000 });
        await db('setting').where({ name: 'portRate' }).del();
        await untilDone();
        // The nap of a worker that still believes in the failure would be as long as this.
        await requestLogins(db, [second]);
        worker.wake();
        await until('the next login', isDone, { timeoutMs: 2000 });
      } finally {
        await db('setting').where({ name: 'portRate' }).del();
      }
    });

    it('startWorker, while people wait for logins, takes small batches of a run, and large ones otherwise', async () => {
      const sizesOf = async (rushMs: number) => {
        const worker = start({ rushMs });
        await requestLogins(db, [(await aLogin(db)).id], { priority: 'payment', requestedBy: 'payment' });
        worker.wake();
        await untilDone();
        const seen = countStatements(db);
        await requestLogins(db, await manyLogins(db, 250, `rush${rushMs}`), {
          priority: 'run',
          requestedBy: 'run',
        });
        worker.wake();
        await untilDone();
        await worker.stop();
        const taken = seen().filter((sql) => sql.startsWith('DELETE FROM reconcile_queue'));
        return taken.map((sql) => /`key` IN \(([^)]*)\)/.exec(sql)?.[1]?.split(',').length ?? 0);
      };
      expect(Math.max(...(await sizesOf(60_000)))).to.equal(100);
      expect(Math.max(...(await sizesOf(0)))).to.equal(250);
    });

    it('startWorker, several at once, share the keys and end all of them', async function () {
      this.timeout(60_000);
      const ids = await manyLogins(db, 900, 'shared');
      await requestLogins(db, ids);
      for (let i = 0; i < 4; i++) start({ batch: 50, pollMs: 100 });
      await untilDone();
      const history = await db('access_change').whereIn('login_id', ids).count<{ n: string }[]>('* as n');
      expect(Number(history[0]?.n), 'each was decided once').to.equal(900);
    });

    it('startWorker, stopped while it looks, ends that look and takes nothing new', async () => {
      const ids = await manyLogins(db, 300, 'stopped');
      await requestLogins(db, ids);
      const worker = start({ batch: 50 });
      await until('a first batch', async () => ((await queueDepth(db))[0]?.waiting ?? 0) < 300, {
        timeoutMs: 15_000,
        stepMs: 1,
      });
      await worker.stop();
      const held = await db('reconcile_queue').whereNotNull('claim_token').count<{ n: string }[]>('* as n');
      expect(Number(held[0]?.n), 'nothing is left claimed').to.equal(0);
      const depth = (await queueDepth(db))[0]?.waiting ?? 0;
      expect(depth % 50).to.equal(0);
      expect(depth, 'what was claimed and not begun is given back').to.be.above(0);
    });

    it('startWorker, when the database is away for a while, goes on when it is back', async function () {
      this.timeout(60_000);
      let isAway = true;
      let asked = 0;
      const flaky = new Proxy(db, {
        get(target, name, receiver) {
          if (isAway && name === 'transaction') {
            asked++;
            return () => Promise.reject(new Error('the database is away'));
          }
          return Reflect.get(target, name, receiver) as unknown;
        },
      });
      const login = await aLogin(db);
      await requestLogins(db, [login.id]);
      const worker = start({}, { db: flaky });
      await wait(200);
      for (let i = 0; i < 20; i++) worker.wake();
      await wait(100);
      expect(asked, 'a pause after each failure, whoever wakes').to.be.within(1, 24);
      isAway = false;
      await untilDone();
    });

    it('startWorker, when a look throws, gives its keys back', async () => {
      let calls = 0;
      const done: string[] = [];
      start(
        { pollMs: 20 },
        {
          reconcileRouters: async (claims: readonly Claim[]) => {
            if (++calls === 1) throw new Error('no');
            done.push(...claims.map((claim) => claim.key));
            await finish(db, claims);
          },
        },
      );
      await requestReconcile(db, [{ kind: 'router', key: '3' }], { priority: 'router', requestedBy: 'test' });
      await untilDone('router');
      expect(done).to.deep.equal(['3']);
    });

    it('startWorker, while a router look hangs, keeps its lease and goes on with logins', async () => {
      let letGo: () => void = () => undefined;
      const hanging = new Promise<void>((resolve) => (letGo = resolve));
      await requestReconcile(db, [{ kind: 'router', key: '4' }], { priority: 'router', requestedBy: 'test' });
      const looks: string[] = [];
      const deps = {
        reconcileRouters: async (claims: readonly Claim[]) => {
          looks.push(...claims.map((claim) => claim.key));
          await hanging;
          await finish(db, claims);
        },
      };
      const options = { pollMs: 50, leaseMs: 300 };
      start(options, deps);
      start(options, deps);
      await until('the router look', () => looks.length > 0, { timeoutMs: 5000 });
      const login = await aLogin(db);
      await requestLogins(db, [login.id]);
      await untilDone();
      // Three leases long: unrenewed, the other worker would have taken the key over.
      await wait(900);
      letGo();
      await untilDone('router');
      expect(looks).to.deep.equal(['4']);
    });
  });

  describe('sweep', () => {
    const sweepDeps = () => ({ ...ctx, correlationId: 'sweep-1' });

    it('sweepDueReviews, when prepaid runs out and nothing else happens, takes access away', async () => {
      const subscriptionId = await aSubscription(db, { validUntil: new Date('2026-03-05T00:00:00Z') });
      const login = await aLogin(db, { subscriptionId });
      await requestLogins(db, [login.id]);
      const worker = start();
      await untilDone();
      expect(await sweepDueReviews(sweepDeps()), 'the day before').to.equal(0);
      ctx.clock.set('2026-03-05T00:00:00.000Z');
      expect(await sweepDueReviews(sweepDeps())).to.equal(1);
      expect(ctx.woken).to.deep.equal(['worker']);
      worker.wake();
      await untilDone();
      expect((await rowsOf(db, login.username)).check).to.include({
        'Sluice-Deny-Reason': 'prepaid_expired',
      });
      const change = (await db('access_change')
        .where({ login_id: login.id })
        .orderBy('id', 'desc')
        .first()) as Record<string, unknown>;
      expect(change).to.include({ to_access: 'denied', requested_by: 'sweep-1' });
      expect(await sweepDueReviews(sweepDeps()), 'once').to.equal(0);
    });

    it('sweepDueReviews, while a key waits, does not ask again and so never puts its look back', async () => {
      const ids = await manyLogins(db, 1200, 'due');
      await db('access_decision').insert(
        ids.map((id) => ({
          login_id: id,
          access: 'full',
          reason: 'paid_up',
          review_at: '2026-01-01 00:00:00.000',
          generation: 1,
          access_fingerprint: '',
          redial_fingerprint: '',
          coa_attributes: '[]',
          decided_at: '2026-01-01 00:00:00.000',
          requested_by: 'test',
        })),
      );
      expect(await sweepDueReviews(sweepDeps())).to.equal(1200);
      const versions = await db('reconcile_queue').orderBy('id').pluck<string[]>('version');
      expect(await sweepDueReviews(sweepDeps())).to.equal(0);
      expect(await db('reconcile_queue').orderBy('id').pluck<string[]>('version')).to.deep.equal(versions);
      await db('access_decision').del();
    });

    it('sweepAllLogins, each night, asks for every login that RADIUS should know and heals what was lost', async () => {
      const [live, retired, gone] = [
        await aLogin(db),
        await aLogin(db, { retiredAt: new Date('2026-02-20T00:00:00Z') }),
        await aLogin(db, { retiredAt: new Date('2025-01-01T00:00:00Z') }),
      ];
      await db('radcheck').insert({ username: retired.username, attribute: 'Auth-Type', value: 'Accept' });
      const waiting = await aLogin(db);
      await requestLogins(db, [waiting.id], { priority: 'payment', requestedBy: 'pay' });
      await sweepAllLogins(sweepDeps());
      const rows = await db('reconcile_queue')
        .whereIn('key', [live.id, retired.id, gone.id, waiting.id])
        .orderBy('key')
        .select<{ key: string; priority: number }[]>('key', 'priority');
      expect(rows).to.deep.equal([
        { key: live.id, priority: 20 },
        { key: retired.id, priority: 20 },
        { key: waiting.id, priority: 90 },
      ]);
      start();
      await untilDone();
      expect((await rowsOf(db, live.username)).check).to.have.property('Cleartext-Password');
      expect((await rowsOf(db, retired.username)).check).to.deep.equal({
        'Auth-Type': 'Reject',
        'Sluice-Deny-Reason': 'login_retired',
      });
      expect(await rowsOf(db, gone.username)).to.deep.equal({ check: {}, reply: {} });
    });
  });
});
