import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { until } from '../../scripts/servers/child.ts';
import { systemClock } from '../../src/clock.ts';
import { inTransaction, openDb } from '../../src/db/knex.ts';
import { requestReconcile } from '../../src/db/reconcile-requests.ts';
import { requestDifferingSessions } from '../../src/db/sessions.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import { type Lane, type LaneDeps, startLane } from '../../src/reconcile/lane.ts';
import { type Answer, type CoaDouble, startCoaDouble } from '../support/coa-double.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { countStatements } from './login-support.ts';
import {
  aLogin,
  aRouter,
  aSession,
  decide,
  emptySessions,
  evidenceOf,
  queueSize,
  rateOf,
  routerSecret,
  silentLog,
  vault,
} from './session-support.ts';

const why = { priority: 'payment', requestedBy: 'payment-1' } as const;
const full = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const slow = ['cccccccccc', 'bbbbbbbbbb'] as const;
const walled = ['dddddddddd', 'eeeeeeeeee'] as const;

describe('lane', function () {
  this.timeout(30_000);
  let test: TestDb;
  let db: Knex;
  let routers: CoaDouble[] = [];
  let lanes: Lane[] = [];

  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());
  afterEach(async () => {
    await Promise.all(lanes.map((lane) => lane.stop()));
    await Promise.all(routers.map((router) => router.close()));
    lanes = [];
    routers = [];
    await emptySessions(db);
  });

  async function router(
    id: string,
    options: { rateChange?: string; pace?: number } = {},
  ): Promise<CoaDouble> {
    const double = await startCoaDouble({ address: `127.0.9.${id}`, secret: routerSecret });
    routers.push(double);
    await aRouter(db, { id, coaPort: double.port, ...options });
    return double;
  }

  let processes = 0;
  function lane(options: Partial<LaneDeps> = {}): Lane {
    const started = startLane({
      db,
      clock: systemClock,
      log: silentLog,
      vault,
      processId: `00000000-0000-4000-8000-${String(++processes).padStart(12, '0')}`,
      sourceAddress: '127.0.0.1',
      pollMs: 50,
      waitsMs: [80, 160],
      assertAgainAfterMs: 150,
      ...options,
    });
    lanes.push(started);
    return started;
  }

  /** A session that was accepted with full access, of a login that shall be slower now. */
  async function toSlow(routerId: string, rate = '1M/1M') {
    const login = await aLogin(db, {
      access: 'throttled',
      reason: 'invoice_overdue',
      fingerprints: slow,
      coaAttributes: [['Mikrotik-Rate-Limit', rate]],
    });
    const session = await aSession(db, login, { routerId, class: `S1.${login.id}.${full.join('.')}.n1` });
    await requestDifferingSessions(db, [login.id], why);
    return { login, session };
  }

  const settled = (what = 'the queue is empty') =>
    until(what, async () => (await queueSize(db)) === 0, { timeoutMs: 10_000 });
  const age = () => db('reconcile_queue').update({ not_before: '2020-01-01 00:00:00' });

  it('when the access differs, changes it by CoA and keeps the evidence', async () => {
    const nas = await router('1');
    const { login, session } = await toSlow('1');
    lane();
    await settled();
    expect(nas.seen.map((request) => [request.kind, rateOf(request), request.isProved])).to.deep.equal([
      ['coa', '1M/1M', true],
    ]);
    const [evidence] = await evidenceOf(db);
    expect(evidence).to.include({
      radacctid: session,
      action: 'coa',
      why: 'invoice_overdue',
      because: 'access_changed',
      generation: '1',
      outcome: 'ack',
      attempts: 1,
      error_cause: null,
      requested_by: 'payment-1',
      confirmed_at: null,
      next_check_at: null,
    });
    expect(evidence?.round_trip_us).to.be.greaterThan(0);
    expect(await db('session_access').first()).to.include({
      login_id: login.id,
      access_fingerprint: 'cccccccccc',
      unanswered_at: null,
    });
    expect(await requestDifferingSessions(db, [login.id], why), 'in sync now').to.equal(0);
  });

  it("when the router's own row cannot be written, still records the answer, and the key is done", async () => {
    const nas = await router('1');
    await toSlow('1');
    await db.raw(
      `CREATE TRIGGER no_answer BEFORE UPDATE ON router_lane FOR EACH ROW
       IF NOT (NEW.last_answer_at <=> OLD.last_answer_at) THEN SIGNAL SQLSTATE '45000'; END IF`,
    );
    try {
      lane();
      await settled();
      expect(nas.seen).to.have.length(1);
      expect((await evidenceOf(db)).map((row) => row.outcome)).to.deep.equal(['ack']);
    } finally {
      await db.raw('DROP TRIGGER no_answer');
    }
  });

  it('rule 4, nothing is sent before its COMMIT has returned', async () => {
    const nas = await router('1');
    const other = openDb(test.address);
    const visible: number[] = [];
    nas.answer = async (): Promise<Answer> => {
      visible.push(
        (await evidenceOf(other)).length,
        (await other('session_access').whereNotNull('unanswered_at')).length,
      );
      return 'ack';
    };
    const { login } = await toSlow('1');
    // Whoever holds the decision is about to change it: the lane has to wait for that.
    const trx = await other.transaction();
    await trx('access_decision').where('login_id', login.id).forUpdate().select('login_id');
    lane();
    await wait(300);
    expect(nas.seen).to.have.length(0);
    await trx.commit();
    await settled();
    expect(visible).to.deep.equal([1, 1]);
    await other.destroy();
  });

  it('rule 4, a key whose wish changed while it was decided is dropped and looked at again', async () => {
    const nas = await router('1');
    const { login } = await toSlow('1');
    const trx = await db.transaction();
    await trx('access_decision').where('login_id', login.id).forUpdate().select('login_id');
    lane();
    await wait(200);
    await decide(trx, login.id, {
      access: 'throttled',
      fingerprints: ['ffffffffff', 'bbbbbbbbbb'],
      rate: '2M/2M',
    });
    await requestDifferingSessions(trx, [login.id], why);
    await trx.commit();
    await settled();
    expect(nas.seen.map(rateOf)).to.deep.equal(['2M/2M']);
  });

  it('rule 6, before a retransmit a stale generation stops, the new one is sent and asserted once more', async () => {
    const nas = await router('1');
    nas.answer = (request) => (rateOf(request) === '1M/1M' ? 'silent' : 'ack');
    const { login, session } = await toSlow('1');
    lane({ waitsMs: [250, 250, 250] });
    await until('the first packet', () => nas.seen.length === 1, { timeoutMs: 5000 });
    await inTransaction(db, async (trx) => {
      await decide(trx, login.id, { access: 'full', fingerprints: full, rate: '10M/50M' });
      // Its Class says full; only the doubt about the unanswered packet makes it differ.
      expect(await requestDifferingSessions(trx, [login.id], why)).to.equal(1);
    });
    await settled();
    expect(nas.seen.map(rateOf)).to.deep.equal(['1M/1M', '10M/50M', '10M/50M']);
    const evidence = await evidenceOf(db, session);
    expect(evidence.map((row) => [row.outcome, row.because, row.attempts])).to.deep.equal([
      ['superseded', 'access_changed', 1],
      ['ack', 'unanswered', 1],
      ['ack', 'asserted_again', 1],
    ]);
    expect(nas.seen[1]?.bytes.equals(nas.seen[2]?.bytes ?? Buffer.alloc(0)), 'a packet of its own').to.equal(
      false,
    );
    expect(await db('session_access').first()).to.include({
      access_fingerprint: full[0],
      unanswered_at: null,
    });
  });

  it('rule 6, an older generation never follows a newer, however the router answers', async function () {
    this.timeout(60_000);
    const nas = await router('1');
    let dice = 1;
    const random = () => (dice = (dice * 48271) % 2147483647) / 2147483647;
    nas.answer = async () => {
      const roll = random();
      if (roll < 0.3) return 'silent';
      await wait(random() * 120);
      return 'ack';
    };
    const { login } = await toSlow('1', '1k/1k');
    lane({ waitsMs: [40, 40], pollMs: 10, assertAgainAfterMs: 20 });
    lane({ waitsMs: [40, 40], pollMs: 10, assertAgainAfterMs: 20 });
    let generation = 1;
    for (let i = 0; i < 40; i++) {
      await wait(random() * 90);
      generation++;
      await inTransaction(db, async (trx) => {
        await decide(trx, login.id, {
          access: 'throttled',
          fingerprints: [generation.toString(16).padStart(10, '0'), 'bbbbbbbbbb'],
          rate: `${generation}k/${generation}k`,
        });
        await requestDifferingSessions(trx, [login.id], why);
      });
    }
    nas.answer = () => 'ack';
    await until(
      'the queue is empty',
      async () => {
        await age();
        await db('router_lane').where('breaker', 'open').update({ probe_at: '2020-01-01 00:00:00' });
        return (await queueSize(db)) === 0;
      },
      { timeoutMs: 20_000, stepMs: 100 },
    );
    const sent = nas.seen.map((request) => parseInt(rateOf(request) ?? '', 10));
    expect(sent).to.deep.equal([...sent].sort((a, b) => a - b));
    expect(sent.at(-1)).to.equal(generation);
    expect(await db('session_access').first()).to.include({
      unanswered_at: null,
      generation: String(generation),
    });
  });

  it('rule 7, a packet names its session by Acct-Session-Id, User-Name and Framed-IP-Address', async () => {
    const nas = await router('1');
    const login = await aLogin(db, { access: 'denied', reason: 'invoice_overdue' });
    const options = { routerId: '1', sessionId: '81a0007F', address: '10.64.9.9' };
    await aSession(db, login, options);
    await requestDifferingSessions(db, [login.id], why);
    lane();
    await settled();
    expect(nas.seen[0]?.kind).to.equal('disconnect');
    expect(nas.seen[0]?.ids).to.deep.equal([80, 1, 44, 8]);
    expect(nas.seen[0]?.attributes.get('1')).to.equal(login.username);
    expect(nas.seen[0]?.attributes.get('44')).to.equal('81a0007F');
    expect(nas.seen[0]?.attributes.get('8')).to.equal('10.64.9.9');
  });

  it('rule 7, when several sessions share a username, each gets a packet of its own', async () => {
    const nas = await router('1');
    const login = await aLogin(db, { access: 'denied' });
    for (let i = 0; i < 3; i++) await aSession(db, login, { routerId: '1' });
    await requestDifferingSessions(db, [login.id], why);
    lane();
    await settled();
    expect(new Set(nas.seen.map((request) => request.attributes.get('44'))).size).to.equal(3);
  });

  it('rule 7, 503 is claimed gone: nothing more is sent until an interim re-opens it', async () => {
    const nas = await router('1');
    nas.answer = () => ({ nak: 503 });
    const login = await aLogin(db, { access: 'denied', reason: 'invoice_overdue' });
    const session = await aSession(db, login, { routerId: '1' });
    await requestDifferingSessions(db, [login.id], why);
    lane();
    await settled();
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(0);
    await requestReconcile(db, [{ kind: 'session', key: session, routerId: '1' }], why);
    await settled();
    expect(nas.seen).to.have.length(1);
    expect((await evidenceOf(db))[0]).to.include({ outcome: 'nak', error_cause: 503, next_check_at: null });
    const later = new Date(systemClock.now().getTime() + 5000).toISOString().slice(0, 19).replace('T', ' ');
    await db('radacct').where('radacctid', session).update({ acctupdatetime: later });
    nas.answer = () => 'ack';
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(1);
    await settled();
    expect(nas.seen).to.have.length(2);
  });

  it('when a CoA is refused, disconnects, and says so', async () => {
    const nas = await router('1');
    nas.answer = (request) => (request.kind === 'coa' ? { nak: 401 } : 'ack');
    await toSlow('1');
    lane();
    await settled();
    expect(nas.seen.map((request) => request.kind)).to.deep.equal(['coa', 'disconnect']);
    expect((await evidenceOf(db)).map((row) => [row.outcome, row.error_cause, row.because])).to.deep.equal([
      ['nak', 401, 'access_changed'],
      ['ack', null, 'coa_refused'],
    ]);
    expect(await db('session_access').first()).to.include({ unanswered_at: null });
  });

  it('when the router ignores rate changes by its setting, disconnects instead', async () => {
    const nas = await router('1', { rateChange: 'disconnect' });
    await toSlow('1');
    lane();
    await settled();
    expect(nas.seen.map((request) => request.kind)).to.deep.equal(['disconnect']);
  });

  it('when what differs needs a redial, disconnects once and waits for the Stop', async () => {
    const nas = await router('1');
    const login = await aLogin(db, { access: 'walled_garden', fingerprints: walled });
    await aSession(db, login, { routerId: '1', class: `S1.${login.id}.${full.join('.')}.n1` });
    lane();
    for (let i = 0; i < 3; i++) {
      await requestDifferingSessions(db, [login.id], why);
      await settled();
    }
    expect(nas.seen.map((request) => request.kind)).to.deep.equal(['disconnect']);
    expect((await evidenceOf(db))[0]).to.include({ because: 'redial_needed', outcome: 'ack' });
  });

  it('when a Disconnect is refused, tries again later and counts the attempt', async () => {
    const nas = await router('1');
    nas.answer = () => ({ nak: 501 });
    const login = await aLogin(db, { access: 'denied' });
    await aSession(db, login, { routerId: '1' });
    await requestDifferingSessions(db, [login.id], why);
    lane();
    await until('the failure', async () => (await db('reconcile_queue').where('attempts', 1)).length === 1, {
      timeoutMs: 5000,
    });
    const row = await db('reconcile_queue').first<{
      last_error: string;
      is_parked: number;
      claim_token: null;
    }>();
    expect(row).to.include({
      last_error: 'Disconnect refused, Error-Cause 501',
      is_parked: 0,
      claim_token: null,
    });
  });

  it('rule 10, when the router is silent, backs off; behind the open breaker no attempt is spent', async () => {
    const nas = await router('1');
    nas.answer = () => 'silent';
    for (let i = 0; i < 12; i++) await toSlow('1');
    lane({ window: 5 });
    await until(
      'the breaker opens',
      async () => (await db('router_lane').where('breaker', 'open')).length === 1,
      { timeoutMs: 10_000 },
    );
    await wait(400);
    const seen = nas.seen.length;
    const rows = await db('reconcile_queue').select<{ attempts: number }[]>('attempts');
    expect(rows).to.have.length(12);
    expect(rows.filter((row) => row.attempts === 0).length, 'passed over').to.be.within(7, 11);
    expect(Math.max(...rows.map((row) => row.attempts))).to.be.at.most(2);
    await wait(400);
    expect(nas.seen.length, 'nothing more is sent').to.equal(seen);
  });

  it('rule 10, when many packets were on their way as the breaker opened, the first probe comes as soon as after one', async () => {
    const nas = await router('1');
    nas.answer = () => 'silent';
    for (let i = 0; i < 20; i++) await toSlow('1');
    lane();
    await until(
      'the breaker is open, and nothing is on its way',
      async () => {
        const pending = await db('enforcement').where('outcome', 'pending').limit(1);
        return pending.length === 0 && (await db('router_lane').where('breaker', 'open')).length === 1;
      },
      { timeoutMs: 10_000 },
    );
    // A busy machine sends some of the twenty after the first have failed; more than the five that open it is what counts.
    expect((await evidenceOf(db)).length).to.be.greaterThan(5);
    expect(await db('router_lane').first('breaker', 'failures')).to.deep.equal({
      breaker: 'open',
      failures: 5,
    });
    const sooner = await db('router_lane').whereRaw(
      'probe_at BETWEEN breaker_opened_at + INTERVAL 3 SECOND AND breaker_opened_at + INTERVAL 7 SECOND',
    );
    expect(sooner, 'the first probe').to.have.length(1);
  });

  it("rule 10, a router's return by a probe wakes its keys", async () => {
    const nas = await router('1');
    nas.answer = () => 'silent';
    for (let i = 0; i < 12; i++) await toSlow('1');
    lane({ window: 5 });
    await until(
      'the breaker opens',
      async () => (await db('router_lane').where('breaker', 'open')).length === 1,
      { timeoutMs: 10_000 },
    );
    await wait(500);
    nas.answer = () => 'ack';
    const before = nas.seen.length;
    await db('router_lane').update({ probe_at: '2020-01-01 00:00:00' });
    await settled();
    expect(nas.seen.length - before).to.be.at.least(12);
    expect(await db('router_lane').first()).to.include({ breaker: 'closed', failures: 0, probe_at: null });
  });

  it('rule 10, when the probe gets no answer, one packet was sent and the next probe waits longer', async () => {
    const nas = await router('1');
    nas.answer = () => 'silent';
    await toSlow('1');
    await toSlow('1');
    await db('router_lane').insert({
      router_id: 1,
      breaker: 'open',
      failures: 6,
      breaker_opened_at: '2020-01-01 00:00:00',
      probe_at: '2020-01-01 00:00:00',
    });
    lane();
    await until('the probe fails', async () => (await db('router_lane').where('failures', 7)).length === 1, {
      timeoutMs: 10_000,
    });
    await wait(200);
    expect(nas.seen).to.have.length(1);
    const rows = await db('reconcile_queue').select<{ attempts: number }[]>('attempts');
    expect(rows.map((row) => row.attempts)).to.deep.equal([0, 0]);
    const due = await db('router_lane').whereRaw('probe_at > breaker_opened_at').pluck<string[]>('breaker');
    expect(due).to.deep.equal(['open']);
  });

  it('rule 10, any answer closes the breaker, a NAK too', async () => {
    const nas = await router('1');
    nas.answer = () => ({ nak: 503 });
    await toSlow('1');
    await db('router_lane').insert({
      router_id: 1,
      breaker: 'open',
      failures: 6,
      breaker_opened_at: '2020-01-01 00:00:00',
      probe_at: '2020-01-01 00:00:00',
    });
    lane();
    await settled();
    expect(await db('router_lane').first()).to.include({ breaker: 'closed', failures: 0 });
  });

  it('one dead router never delays the others', async () => {
    const dead = await router('1');
    dead.answer = () => 'silent';
    const living = [await router('2'), await router('3'), await router('4')];
    for (let i = 0; i < 30; i++) await toSlow('1');
    for (let i = 0; i < 60; i++) await toSlow(String(2 + (i % 3)));
    const started = performance.now();
    lane({ waitsMs: [1000, 2000, 4000] });
    await until(
      'the living are done',
      async () => (await db('reconcile_queue').whereNot('router_id', 1)).length === 0,
      { timeoutMs: 6000 },
    );
    expect(performance.now() - started).to.be.below(5000);
    expect(living.map((nas) => nas.seen.length)).to.deep.equal([20, 20, 20]);
    expect((await db('reconcile_queue').where('router_id', 1)).length).to.equal(30);
  });

  it('when work is bulk and a payment comes, the payment goes first', async () => {
    const nas = await router('1', { pace: 20 });
    for (let i = 0; i < 30; i++) {
      const { login } = await toSlow('1', '1k/1k');
      await db('reconcile_queue').update({ priority: 50 });
      login;
    }
    lane();
    await until('bulk has begun', () => nas.seen.length > 3, { timeoutMs: 5000 });
    await toSlow('1', '9M/9M');
    await settled();
    const place = nas.seen.findIndex((request) => rateOf(request) === '9M/9M');
    expect(place).to.be.within(1, 20);
  });

  it('when bulk packets that nobody answers fill their part of the window, a payment still goes', async () => {
    const nas = await router('1');
    nas.answer = () => 'silent';
    for (let i = 0; i < 12; i++) await toSlow('1', '1k/1k');
    await db('reconcile_queue').update({ priority: 50 });
    const sender = lane({ window: 8, waitsMs: [1500], pollMs: 60_000 });
    await until('the window is full', () => nas.seen.length === 6, { timeoutMs: 5000 });
    await toSlow('1', '9M/9M');
    sender.wake();
    await until('the payment', () => nas.seen.length === 7, { timeoutMs: 5000 });
    expect(nas.seen.map(rateOf).at(-1)).to.equal('9M/9M');
  });

  it('when the pace is used up and a payment comes, it goes at once, and bulk waits for what it took', async () => {
    const nas = await router('1', { pace: 2 });
    for (let i = 0; i < 6; i++) await toSlow('1', '1k/1k');
    await db('reconcile_queue').update({ priority: 50 });
    const sender = lane({ pollMs: 60_000 });
    await until('bulk has begun', () => nas.seen.length > 0, { timeoutMs: 5000, stepMs: 2 });
    const before = nas.seen.length;
    await toSlow('1', '9M/9M');
    sender.wake();
    await until('the payment', () => nas.seen.some((one) => rateOf(one) === '9M/9M'), { timeoutMs: 5000 });
    expect(
      nas.seen.findIndex((one) => rateOf(one) === '9M/9M'),
      'before the next of bulk',
    ).to.equal(before);
    await until('bulk goes on', () => nas.seen.length > before + 1, { timeoutMs: 5000 });
    const [payment, next] = nas.seen.slice(before);
    // Two a second: half a second of debt, and half a second for the next one itself.
    expect((next?.at ?? 0) - (payment?.at ?? 0)).to.be.greaterThan(450);
  });

  it('when many routers have room for many packets and one due each, they are looked at together', async () => {
    const ids = Array.from({ length: 14 }, (_, n) => String(n + 1));
    for (const id of ids) await router(id, { pace: 65_535 });
    for (const id of ids) await toSlow(id);
    // The first looks take so long that all the others have asked by then.
    await db.raw('CREATE TRIGGER slowly BEFORE INSERT ON enforcement FOR EACH ROW SET @slept = SLEEP(0.2)');
    const seen = countStatements(db);
    try {
      lane({ waitsMs: [2000] });
      await settled();
    } finally {
      await db.raw('DROP TRIGGER slowly');
    }
    await until(
      'the lanes are free',
      async () => (await db('router_lane').whereNotNull('owner')).length === 0,
      {
        timeoutMs: 5000,
      },
    );
    const statements = seen();
    const ofKind = (begin: RegExp) => statements.filter((sql) => begin.test(sql)).length;
    expect(routers.map((one) => one.seen.length)).to.deep.equal(ids.map(() => 1));
    expect(ofKind(/^INSERT INTO enforcement/)).to.be.lessThan(6);
    expect(ofKind(/^update `router_lane` set `last_answer_at`/), 'that they answered').to.be.within(1, 9);
    expect(ofKind(/^update `router_lane` set `owner` = \?, `locked_until` = \?/), 'released').to.be.within(
      1,
      9,
    );
    const answered = await db('router_lane').whereNotNull('last_answer_at').pluck<string[]>('router_id');
    expect(answered).to.have.lengthOf(14);
  });

  it('when a decision is just being written, others of the same router and of other routers do not wait', async () => {
    const [near, far] = [await router('1'), await router('2')];
    const { login } = await toSlow('1', '1k/1k');
    await toSlow('1', '2k/2k');
    await toSlow('2', '3k/3k');
    const trx = await db.transaction();
    await trx('access_decision').where('login_id', login.id).forUpdate().select('login_id');
    lane();
    await until('the others', () => near.seen.length === 1 && far.seen.length === 1, { timeoutMs: 5000 });
    expect([...near.seen, ...far.seen].map(rateOf)).to.deep.equal(['2k/2k', '3k/3k']);
    await trx.commit();
    await settled();
    expect(near.seen.map(rateOf)).to.deep.equal(['2k/2k', '1k/1k']);
  });

  it('when something of one session cannot be read, that key fails and the others go on', async () => {
    const [near, far] = [await router('1'), await router('2')];
    const { login, session } = await toSlow('1', '1k/1k');
    await toSlow('1', '2k/2k');
    await toSlow('2', '3k/3k');
    await db('access_decision').where('login_id', login.id).update({ coa_attributes: 'not JSON' });
    lane();
    await until('the others', () => near.seen.length === 1 && far.seen.length === 1, { timeoutMs: 5000 });
    await until('only it is left', async () => (await queueSize(db)) === 1, { timeoutMs: 5000 });
    const [row] = await db('reconcile_queue').select<{ key: string; attempts: number }[]>('key', 'attempts');
    expect(row?.key).to.equal(session);
    expect(row?.attempts).to.be.greaterThan(0);
    expect([...near.seen, ...far.seen].map(rateOf)).to.deep.equal(['2k/2k', '3k/3k']);
  });

  it('when the outcome of one session cannot be written, those of the others are', async () => {
    const nas = await router('1');
    const { session } = await toSlow('1', '1k/1k');
    const { session: other } = await toSlow('1', '2k/2k');
    await db.raw(
      `CREATE TRIGGER no_outcome BEFORE UPDATE ON enforcement FOR EACH ROW
       IF NEW.radacctid = ${session} AND NEW.outcome = 'ack' THEN SIGNAL SQLSTATE '45000'; END IF`,
    );
    try {
      lane();
      await until('both packets', () => nas.seen.length >= 2, { timeoutMs: 5000 });
      const outcomeOf = async (id: string) => (await evidenceOf(db, id))[0]?.outcome;
      await until('the outcome of the other', async () => (await outcomeOf(other)) === 'ack', {
        timeoutMs: 5000,
      });
      expect(await outcomeOf(session)).to.equal('pending');
    } finally {
      await db.raw('DROP TRIGGER no_outcome');
    }
    await settled();
  });

  it('paces by the router: no more a second than it is set to', async () => {
    const nas = await router('1', { pace: 20 });
    for (let i = 0; i < 30; i++) await toSlow('1');
    lane();
    await settled();
    const first = nas.seen[0]?.at ?? 0;
    const last = nas.seen.at(-1)?.at ?? 0;
    // A burst of 4, then 20 a second.
    expect(last - first).to.be.greaterThan(1000);
    const inFirstHalf = nas.seen.filter((request) => request.at - first < 500).length;
    expect(inFirstHalf).to.be.within(4, 16);
  });

  it('when two processes run lanes, each session gets one packet', async () => {
    const nas = [await router('1'), await router('2'), await router('3')];
    const sessions: SessionId[] = [];
    for (let i = 0; i < 90; i++) sessions.push((await toSlow(String(1 + (i % 3)))).session);
    lane();
    lane();
    await settled();
    expect(nas.reduce((sum, double) => sum + double.seen.length, 0)).to.equal(90);
    expect((await evidenceOf(db)).length).to.equal(90);
  });

  it('when the lease is lost, sends nothing more, and the next owner begins with the doubt', async () => {
    const nas = await router('1');
    nas.answer = () => 'silent';
    await toSlow('1');
    const first = lane({ leaseMs: 300, waitsMs: [600, 600, 600] });
    await until('the first packet', () => nas.seen.length === 1, { timeoutMs: 5000 });
    await db('router_lane').update({ owner: 'another', locked_until: '2099-01-01 00:00:00' });
    await until('it is given up', async () => (await evidenceOf(db))[0]?.outcome === 'abandoned', {
      timeoutMs: 5000,
    });
    await wait(300);
    expect(nas.seen).to.have.length(1);
    await first.stop();
    nas.answer = () => 'ack';
    await db('router_lane').update({ locked_until: '2020-01-01 00:00:00' });
    lane();
    await settled();
    expect((await evidenceOf(db)).map((row) => row.because)).to.deep.equal(['access_changed', 'unanswered']);
  });

  it('when a sender dies with keys claimed, the next owner of the lane has them at once', async () => {
    const nas = await router('1');
    await toSlow('1');
    await db('router_lane').insert({ router_id: 1, owner: 'dead', locked_until: '2020-01-01 00:00:00' });
    await db('reconcile_queue').update({ claim_token: 'dead', locked_until: '2099-01-01 00:00:00' });
    lane();
    await settled();
    expect(nas.seen).to.have.length(1);
  });

  it('when stopped, waits for what is on its way and gives the rest back', async () => {
    const nas = await router('1');
    nas.answer = async (): Promise<Answer> => {
      await wait(150);
      return 'ack';
    };
    await toSlow('1');
    const running = lane({ waitsMs: [1000] });
    await until('the packet is out', () => nas.seen.length === 1, { timeoutMs: 5000 });
    await running.stop();
    expect((await evidenceOf(db))[0]).to.include({ outcome: 'ack' });
    expect(await queueSize(db)).to.equal(0);
    expect(await db('router_lane').first()).to.include({ owner: null });
  });

  it('when the router was removed, finishes its keys with an outcome and sends nothing', async () => {
    const nas = await router('1');
    await toSlow('1');
    await db('router').update({ removed_at: '2026-01-01 00:00:00' });
    lane();
    await settled();
    expect(nas.seen).to.have.length(0);
    expect((await evidenceOf(db))[0]).to.include({ outcome: 'unsent', detail: 'the router was removed' });
  });

  it("when the router's secret changes, the next packet has the new one", async () => {
    const nas = await router('1');
    await toSlow('1');
    lane();
    await settled();
    await db('router').update({
      secret: vault.seal('router.secret:1', 'another secret'),
      changed_at: '2026-02-01 00:00:00',
    });
    await wait(1100);
    await toSlow('1');
    await until('the second packet', () => nas.seen.length >= 2, { timeoutMs: 5000 });
    expect(nas.seen.map((request) => request.isProved)).to.deep.equal(
      [true, false].slice(0, 2).concat(nas.seen.slice(2).map(() => false)),
    );
  });

  it('when the source address is not of this host, says so in Needs attention and parks nothing at once', async () => {
    await router('1');
    await toSlow('1');
    lane({ sourceAddress: '192.0.2.77' });
    await until(
      'the failure',
      async () => (await db('reconcile_queue').where('attempts', '>', 0)).length === 1,
      { timeoutMs: 5000 },
    );
    const row = await db('reconcile_queue').first<{ last_error: string }>();
    expect(row.last_error).to.equal('CoA not sent: EADDRNOTAVAIL');
    expect((await evidenceOf(db))[0]).to.include({ outcome: 'unsent', detail: 'EADDRNOTAVAIL', attempts: 0 });
    expect(await db('router_lane').first()).to.include({ last_error: 'EADDRNOTAVAIL', failures: 1 });
  });

  it('when a kick is wanted, disconnects whatever the access, also when the decision changes meanwhile', async () => {
    const nas = await router('1');
    const login = await aLogin(db, { access: 'full', fingerprints: full });
    const session = await aSession(db, login, {
      routerId: '1',
      class: `S1.${login.id}.${full.join('.')}.n1`,
    });
    nas.answer = async () => {
      if (nas.seen.length > 1) return 'ack';
      await decide(db, login.id, { access: 'full', fingerprints: slow });
      return 'silent';
    };
    await db('kick').insert({ radacctid: session, requested_by: 'noc', requested_at: '2026-01-01 00:00:00' });
    await requestReconcile(db, [{ kind: 'session', key: session, routerId: '1' }], {
      priority: 'staff',
      requestedBy: 'kick-1',
    });
    lane();
    await settled();
    expect(nas.seen.map((request) => request.kind)).to.deep.equal(['disconnect', 'disconnect']);
    expect(nas.seen[0]?.bytes.equals(nas.seen[1]?.bytes ?? Buffer.alloc(0))).to.equal(true);
    expect((await evidenceOf(db))[0]).to.include({ why: 'kick', outcome: 'ack', attempts: 2 });
  });

  it('when a kick comes too late, is forgotten: it must not end a session that comes back', async () => {
    const nas = await router('1');
    const session = await aSession(db, await aLogin(db), { routerId: '1', stoppedAt: '2026-01-01 10:00:00' });
    await db('kick').insert({ radacctid: session, requested_by: 'noc', requested_at: '2026-01-01 00:00:00' });
    await requestReconcile(db, [{ kind: 'session', key: session, routerId: '1' }], why);
    lane();
    await settled();
    expect(nas.seen).to.have.length(0);
    expect(await db('kick')).to.deep.equal([]);
  });

  it('when the Stop comes before the answer, does not send again to a session that may be another by now', async () => {
    const nas = await router('1');
    const login = await aLogin(db, { access: 'denied' });
    const session = await aSession(db, login, { routerId: '1' });
    nas.answer = async (): Promise<Answer> => {
      await db('radacct').where('radacctid', session).update({ acctstoptime: '2026-01-01 11:00:00' });
      return 'silent';
    };
    await requestDifferingSessions(db, [login.id], why);
    lane();
    await settled();
    expect(nas.seen).to.have.length(1);
    expect((await evidenceOf(db))[0]).to.include({ outcome: 'superseded' });
  });

  it('when the database is away for a while, goes on by itself', async () => {
    const nas = await router('1');
    const own = openDb(test.address, { poolMax: 3 });
    const running = lane({ db: own });
    await toSlow('1');
    await settled();
    // Its connections are cut under it, as by a failover.
    const [mine] = (await db.raw(
      'SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
    )) as unknown as [{ id: number }[]];
    for (const { id } of mine) await db.raw(`KILL ${id}`).catch(() => undefined);
    await toSlow('1');
    await settled();
    expect(nas.seen).to.have.length(2);
    await running.stop();
    await own.destroy();
  });
});
