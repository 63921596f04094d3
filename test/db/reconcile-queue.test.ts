import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { queueDepth } from '../../src/db/queue-depth.ts';
import {
  type Claim,
  claim,
  fail,
  finish,
  needsAttention,
  release,
  renew,
  retryParked,
  wakeKeysOfRouters,
} from '../../src/db/reconcile-queue.ts';
import { type Priority, type ReconcileKind, requestReconcile } from '../../src/db/reconcile-requests.ts';
import { stillWanted } from '../../src/db/wanted.ts';
import { attemptsMax } from '../../src/domain/backoff.ts';
import { type TestDb, testDb } from '../support/db.ts';

interface Row {
  id: string;
  kind: ReconcileKind;
  key: string;
  version: string;
  priority: number;
  attempts: number;
  is_parked: number;
  claim_token: string | null;
  locked_until: string | null;
  last_error: string | null;
  wait_ms: string;
}

describe('db/reconcile-queue', () => {
  let test: TestDb;
  let db: Knex;
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());
  beforeEach(async () => {
    await db('reconcile_queue').del();
    await db('router_lane').del();
  });

  const request = (
    keys: readonly number[],
    options: { kind?: ReconcileKind; priority?: Priority; routerId?: string; by?: string } = {},
  ) =>
    requestReconcile(
      db,
      keys.map((key) => ({
        kind: options.kind ?? 'login',
        key: String(key),
        routerId: options.routerId ?? null,
      })),
      { priority: options.priority ?? 'run', requestedBy: options.by ?? 'test' },
    );
  const rows = () =>
    db('reconcile_queue')
      .select<Row[]>(
        '*',
        db.raw('TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), not_before) / 1000 AS wait_ms'),
      )
      .orderBy('id');
  const keysOf = (claims: readonly Claim[]) => claims.map((one) => Number(one.key));
  /** As if the worker that holds the claims had died and its lease had run out. */
  const endLeases = () => db('reconcile_queue').update({ locked_until: '2020-01-01 00:00:00.000' });
  const makeDue = () => db('reconcile_queue').update({ not_before: '2020-01-01 00:00:00.000' });

  describe('design 5.1: request, bump, done', () => {
    it('requestReconcile, when a key waits already, gives it a new version, a fresh start and the higher priority', async () => {
      await request([7], { priority: 'payment' });
      const [first] = await claim(db, 'login', { limit: 1, leaseMs: 60_000 });
      await fail(db, [{ claim: first as Claim, error: 'broken' }]);
      await request([7], { priority: 'sweep', by: 'again' });
      const [row] = await rows();
      expect(row?.version).to.not.equal(first?.version);
      expect(row).to.include({ priority: 90, attempts: 0, requested_by: 'again' });
      expect(Number(row?.wait_ms)).to.be.at.most(0);
    });

    it('finish, when nothing newer was asked, deletes the wish', async () => {
      await request([1, 2, 3]);
      const claims = await claim(db, 'login', { limit: 10, leaseMs: 60_000 });
      await finish(db, claims);
      expect(await rows()).to.deep.equal([]);
    });

    it('requestReconcile, of a login that is being looked at, or whose worker died, waits for neither', async () => {
      await request([1, 2, 3]);
      const claims = await claim(db, 'login', { limit: 10, leaseMs: 60_000 });
      await request([2], { priority: 'payment' });
      const again = await claim(db, 'login', { limit: 10, leaseMs: 60_000 });
      expect(keysOf(again)).to.deep.equal([2]);
      await db.transaction(async (trx) => {
        expect(keysOf(await stillWanted(trx, claims)), 'the older wish is dropped').to.deep.equal([1, 3]);
      });
      await finish(db, claims);
      expect((await rows()).map((row) => row.claim_token)).to.deep.equal([again[0]?.token]);
    });

    it('finish, when a newer wish of a session came meanwhile, leaves it and lets it be claimed at once', async () => {
      await request([1, 2, 3], { kind: 'session' });
      const claims = await claim(db, 'session', { limit: 10, leaseMs: 60_000 });
      await request([2], { kind: 'session' });
      expect(
        await claim(db, 'session', { limit: 10, leaseMs: 60_000 }),
        'while its packet may be on its way',
      ).to.deep.equal([]);
      await finish(db, claims);
      const again = await claim(db, 'session', { limit: 10, leaseMs: 60_000 });
      expect(keysOf(again)).to.deep.equal([2]);
    });

    it('finish, when versions differ only in the last bit of 63, still tells them apart', async () => {
      await request([1]);
      await db('reconcile_queue').update({ version: '9223372036854775806' });
      const [old] = await claim(db, 'login', { limit: 1, leaseMs: 60_000 });
      expect(old?.version).to.equal('9223372036854775806');
      await db('reconcile_queue').update({ version: '9223372036854775807' });
      await finish(db, [old as Claim]);
      expect((await rows()).map((row) => row.version)).to.deep.equal(['9223372036854775807']);
      await db.transaction(async (trx) => {
        expect(await stillWanted(trx, [old as Claim])).to.deep.equal([]);
      });
    });

    it('finish, when another worker took the key over after the lease, touches nothing of it', async () => {
      await request([1]);
      const slow = await claim(db, 'login', { limit: 1, leaseMs: 60_000 });
      await endLeases();
      const other = await claim(db, 'login', { limit: 1, leaseMs: 60_000 });
      expect(keysOf(other)).to.deep.equal([1]);
      await finish(db, slow);
      const [row] = await rows();
      expect(row?.claim_token).to.equal(other[0]?.token);
    });
  });

  describe('design 5.2: claims', () => {
    it('claim, when several are due, takes payments before runs before sweeps, and the oldest first within', async () => {
      await request([1, 2], { priority: 'sweep' });
      await request([3], { priority: 'run' });
      await db('reconcile_queue').where({ key: 2 }).update({ not_before: '2020-01-01 00:00:00.000' });
      await request([4], { priority: 'payment' });
      const order: number[] = [];
      for (let i = 0; i < 4; i++) {
        order.push(...keysOf(await claim(db, 'login', { limit: 1, leaseMs: 60_000 })));
      }
      expect(order).to.deep.equal([4, 3, 2, 1]);
    });

    it('claim, when a key is of another kind, not yet due, parked or leased, passes it over', async () => {
      await request([1], { kind: 'session' });
      await request([2, 3, 4, 5]);
      await db('reconcile_queue').where({ key: 2 }).update({ not_before: '2999-01-01 00:00:00.000' });
      await db('reconcile_queue').where({ key: 3 }).update({ is_parked: true });
      await db('reconcile_queue').where({ key: 4 }).update({ locked_until: '2999-01-01 00:00:00.000' });
      expect(keysOf(await claim(db, 'login', { limit: 10, leaseMs: 60_000 }))).to.deep.equal([5]);
    });

    it('claim, when a worker died, gives its keys to another after the lease', async () => {
      await request([1, 2]);
      await claim(db, 'login', { limit: 10, leaseMs: 60_000 });
      expect(await claim(db, 'login', { limit: 10, leaseMs: 60_000 })).to.deep.equal([]);
      await endLeases();
      expect(keysOf(await claim(db, 'login', { limit: 10, leaseMs: 60_000 })).sort()).to.deep.equal([1, 2]);
    });

    it('claim, by eight workers at once, hands out each key exactly once', async function () {
      this.timeout(60_000);
      const count = 4000;
      await request(Array.from({ length: count }, (_, i) => i + 1));
      const taken: number[] = [];
      const worker = async () => {
        for (;;) {
          const claims = await claim(db, 'login', { limit: 100, leaseMs: 60_000 });
          if (claims.length === 0) return;
          taken.push(...keysOf(claims));
          await finish(db, claims);
        }
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      // A claimer that met only rows which others were just claiming stopped early; what is left is still there.
      await worker();
      expect(taken.length).to.equal(count);
      expect(new Set(taken).size).to.equal(count);
      expect(await rows()).to.deep.equal([]);
    });

    it('claim, while commands keep asking for the same keys, loses no wish', async function () {
      this.timeout(60_000);
      const lastSeen = new Map<string, string>();
      let isOver = false;
      const asking = (async () => {
        try {
          for (let round = 0; round < 60; round++) {
            await request(Array.from({ length: 40 }, (_, i) => i + 1));
          }
        } finally {
          isOver = true;
        }
      })();
      const worker = async () => {
        while (!isOver || (await rows()).length > 0) {
          const claims = await claim(db, 'login', { limit: 15, leaseMs: 60_000 });
          for (const one of claims) lastSeen.set(one.key, one.version);
          await finish(db, claims);
        }
      };
      await Promise.all([asking, worker(), worker(), worker()]);
      expect(lastSeen.size).to.equal(40);
    });

    it('claim, of sessions, passes over routers whose breaker is open, and login work never waits for one', async () => {
      await db('router_lane').insert([
        { router_id: 1, breaker: 'open', probe_at: '2999-01-01 00:00:00.000' },
        { router_id: 2, breaker: 'closed' },
      ]);
      await request([11], { kind: 'session', routerId: '1' });
      await request([12], { kind: 'session', routerId: '2' });
      await request([13], { kind: 'session' });
      await request([14], { kind: 'login' });
      const sessions = await claim(db, 'session', { limit: 10, leaseMs: 60_000 });
      expect(keysOf(sessions).sort()).to.deep.equal([12, 13]);
      expect(await claim(db, 'session', { limit: 10, leaseMs: 60_000, routerId: '1' })).to.deep.equal([]);
      expect(keysOf(await claim(db, 'login', { limit: 10, leaseMs: 60_000 }))).to.deep.equal([14]);
    });

    it('claim, by the lane of an open breaker whose probe is due, gets one row and no more', async () => {
      await db('router_lane').insert({ router_id: 1, breaker: 'open', probe_at: '2020-01-01 00:00:00.000' });
      await request([11, 12, 13], { kind: 'session', routerId: '1' });
      expect(await claim(db, 'session', { limit: 10, leaseMs: 60_000 }), 'not for everybody').to.deep.equal(
        [],
      );
      expect(await claim(db, 'session', { limit: 10, leaseMs: 60_000, routerId: '1' })).to.have.length(1);
    });

    it("claim, for one router, takes that router's keys only", async () => {
      await request([11, 12], { kind: 'session', routerId: '1' });
      await request([13], { kind: 'session', routerId: '2' });
      const claims = await claim(db, 'session', { limit: 10, leaseMs: 60_000, routerId: '2' });
      expect(keysOf(claims)).to.deep.equal([13]);
      expect(claims[0]?.routerId).to.equal('2');
    });

    const planOfClaim = async (kind: ReconcileKind, routerId?: string) => {
      await db.raw('ANALYZE TABLE reconcile_queue');
      const seen: { sql: string; bindings: string[] }[] = [];
      const listen = (query: { sql: string; bindings: string[] }) => seen.push(query);
      db.on('query', listen);
      await claim(db, kind, { limit: 10, leaseMs: 60_000, ...(routerId === undefined ? {} : { routerId }) });
      db.removeListener('query', listen);
      const select = seen.find((query) => query.sql.includes('skip locked'));
      const [plan] = (await db.raw(`EXPLAIN ${select?.sql ?? ''}`, select?.bindings ?? [])) as [
        { key: string | null; Extra: string }[],
      ];
      return { key: plan[0]?.key, isSorted: plan[0]?.Extra.includes('filesort') };
    };

    it('claim, with many rows waiting, walks an index in the order of priority', async function () {
      this.timeout(60_000);
      await request(Array.from({ length: 3000 }, (_, i) => i + 1));
      expect(await planOfClaim('login')).to.deep.equal({ key: 'queue_due', isSorted: false });
    });

    it('claim, for a router beside one with thousands of waiting sessions, does not read those', async function () {
      this.timeout(60_000);
      await request(
        Array.from({ length: 3000 }, (_, i) => i + 1),
        { kind: 'session', routerId: '1', priority: 'payment' },
      );
      await request([9001, 9002], { kind: 'session', routerId: '2' });
      expect(await planOfClaim('session', '2')).to.deep.equal({ key: 'queue_router', isSorted: false });
      await request(
        Array.from({ length: 1500 }, (_, i) => 10_000 + i),
        { kind: 'session', routerId: '2' },
      );
      expect(await planOfClaim('session', '2')).to.deep.equal({ key: 'queue_router', isSorted: false });
    });
  });

  describe('design 5.4: the transaction re-checks', () => {
    it('stillWanted, when a wish changed or went to another worker, drops that key', async () => {
      await request([1, 2, 3]);
      const claims = await claim(db, 'login', { limit: 10, leaseMs: 60_000 });
      await request([2]);
      await db('reconcile_queue')
        .where({ key: 3 })
        .update({ claim_token: 'f'.repeat(32) });
      await db.transaction(async (trx) => {
        expect(keysOf(await stillWanted(trx, claims))).to.deep.equal([1]);
      });
    });

    it('stillWanted, while its transaction is open, makes a newer wish wait for the COMMIT and survive it', async () => {
      await request([1]);
      const claims = await claim(db, 'login', { limit: 10, leaseMs: 60_000 });
      const order: string[] = [];
      let asked: Promise<void> | undefined;
      await db.transaction(async (trx) => {
        await stillWanted(trx, claims);
        asked = request([1]).then(() => void order.push('asked'));
        await new Promise((resolve) => setTimeout(resolve, 150));
        order.push('written');
      });
      await asked;
      expect(order).to.deep.equal(['written', 'asked']);
      await finish(db, claims);
      expect(await rows()).to.have.length(1);
    });
  });

  describe('design 5.10: failures', () => {
    it('fail, again and again, waits longer each time within the ceiling, then parks the row and keeps it', async function () {
      this.timeout(60_000);
      await request([1]);
      const waits: number[] = [];
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        await makeDue();
        const [one] = await claim(db, 'login', { limit: 1, leaseMs: 60_000 });
        expect(one?.attempts).to.equal(attempt - 1);
        await fail(db, [{ claim: one as Claim, error: `broken ${attempt}` }], () => 0.5);
        waits.push(Number((await rows())[0]?.wait_ms));
      }
      waits.slice(1).forEach((wait, i) => expect(wait).to.be.at.least((waits[i] ?? 0) - 1000));
      expect(Math.max(...waits)).to.be.within(250_000, 300_000);
      await makeDue();
      expect(await claim(db, 'login', { limit: 1, leaseMs: 60_000 })).to.deep.equal([]);
      const [parked] = await needsAttention(db);
      expect(parked).to.include({ kind: 'login', key: '1', attempts: attemptsMax, lastError: 'broken 12' });
    });

    it('fail, of many together, spreads their return', async () => {
      await request(Array.from({ length: 50 }, (_, i) => i + 1));
      const claims = await claim(db, 'login', { limit: 50, leaseMs: 60_000 });
      await fail(
        db,
        claims.map((one) => ({ claim: one, error: 'broken' })),
      );
      const waits = (await rows()).map((row) => Number(row.wait_ms));
      expect(new Set(waits).size).to.be.above(20);
      for (const wait of waits) expect(wait).to.be.within(0, 1250);
    });

    it('fail, when a newer wish came meanwhile, leaves that wish fresh and due', async () => {
      await request([1]);
      const [one] = await claim(db, 'login', { limit: 1, leaseMs: 60_000 });
      await request([1]);
      await fail(db, [{ claim: one as Claim, error: 'broken' }]);
      const [row] = await rows();
      expect(row).to.include({ attempts: 0, last_error: null, claim_token: null, locked_until: null });
      expect(await claim(db, 'login', { limit: 1, leaseMs: 60_000 })).to.have.length(1);
    });

    it('a parked row, when it is requested or retried, starts afresh', async () => {
      await request([1, 2]);
      await db('reconcile_queue').update({ is_parked: true, attempts: 12 });
      await request([1]);
      const [left] = await needsAttention(db);
      expect(left?.key).to.equal('2');
      expect(await retryParked(db, String(left?.id))).to.equal(true);
      expect(await retryParked(db, String(left?.id))).to.equal(false);
      const claims = await claim(db, 'login', { limit: 5, leaseMs: 60_000 });
      expect(claims.map((one) => one.attempts)).to.deep.equal([0, 0]);
    });

    it('wakeKeysOfRouters, when a router is back, makes its waiting and parked keys due', async () => {
      await request([1, 2], { kind: 'session', routerId: '5' });
      await request([3], { kind: 'session', routerId: '6' });
      await db('reconcile_queue').update({ not_before: '2999-01-01 00:00:00.000', attempts: 4 });
      await db('reconcile_queue').where({ key: 2 }).update({ is_parked: true });
      expect(await wakeKeysOfRouters(db, ['5'])).to.equal(2);
      const claims = await claim(db, 'session', { limit: 5, leaseMs: 60_000 });
      expect(keysOf(claims).sort()).to.deep.equal([1, 2]);
    });
  });

  it('release, of a key that could not be looked at now, delays it without counting a failure', async () => {
    await request([1, 2]);
    const claims = await claim(db, 'login', { limit: 5, leaseMs: 60_000 });
    await request([2]);
    await release(db, claims, 60_000);
    expect(keysOf(await claim(db, 'login', { limit: 5, leaseMs: 60_000 }))).to.deep.equal([2]);
    const [row] = await rows();
    expect(row).to.include({ attempts: 0, claim_token: null });
    expect(Number(row?.wait_ms)).to.be.within(50_000, 60_000);
  });

  it("renew, while a look takes long, keeps the keys that are still this worker's", async () => {
    await request([1, 2]);
    const claims = await claim(db, 'login', { limit: 5, leaseMs: 1 });
    await db('reconcile_queue')
      .where({ key: 2 })
      .update({ claim_token: 'f'.repeat(32) });
    expect(keysOf(await renew(db, claims, 60_000))).to.deep.equal([1]);
    // The other key's lease of a millisecond has to be over, in whole milliseconds.
    await wait(10);
    expect(await claim(db, 'login', { limit: 5, leaseMs: 60_000 })).to.have.length(1);
  });

  it('queueDepth, with waiting, failing and parked rows, counts each kind', async () => {
    await request([1, 2, 3]);
    await request([1], { kind: 'router' });
    await db('reconcile_queue').where({ kind: 'login', key: 1 }).update({ is_parked: true });
    await db('reconcile_queue').where({ kind: 'login', key: 2 }).update({ attempts: 2 });
    const depth = await queueDepth(db);
    expect(
      depth.map(({ kind, waiting, parked, failing }) => ({ kind, waiting, parked, failing })),
    ).to.deep.equal([
      { kind: 'login', waiting: 2, parked: 1, failing: 1 },
      { kind: 'router', waiting: 1, parked: 0, failing: 0 },
    ]);
    expect(depth[0]?.oldestMs).to.be.within(0, 60_000);
  });
});
