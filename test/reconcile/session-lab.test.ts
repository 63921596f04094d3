import { expect } from 'chai';
import { until } from '../../scripts/servers/child.ts';
import { forbiddenRows } from '../../scripts/faults/checks.ts';
import type { LabRouter } from '../../scripts/lab/router.ts';
import type { SessionView } from '../../scripts/lab/session.ts';
import { systemClock } from '../../src/clock.ts';
import { inTransaction } from '../../src/db/knex.ts';
import { requestDifferingSessions } from '../../src/db/sessions.ts';
import type { LoginId } from '../../src/domain/ids.ts';
import { startEvidence } from '../../src/reconcile/evidence.ts';
import { type Lane, startLane } from '../../src/reconcile/lane.ts';
import { startTail } from '../../src/reconcile/tail.ts';
import { openLab, type TestLab } from '../support/lab.ts';
import {
  type RadiusFixture,
  radiusFixture,
  secretOf,
  writeClientFile,
  writeLogin,
} from '../support/radius-server.ts';
import {
  aLogin,
  aRouter,
  decide,
  type EvidenceRow,
  emptySessions,
  evidenceOf,
  queueSize,
  silentLog,
  vault,
} from './session-support.ts';

const full = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const slow = ['cccccccccc', 'bbbbbbbbbb'] as const;
const why = { priority: 'payment', requestedBy: 'test' } as const;
const rates = { full: '10M/50M', slow: '1M/1M' };

/** Nothing is doubled here: FreeRADIUS accepts and accounts, the lab's router keeps sessions and answers CoA. */
describe('sessions on a router of the lab, behind FreeRADIUS', function () {
  this.timeout(60_000);
  let radius: RadiusFixture;
  let lab: TestLab;
  let router: LabRouter;
  let lane: Lane;
  let watches: { stop(): Promise<void> }[] = [];
  let count = 0;

  before(async function () {
    this.timeout(90_000);
    radius = await radiusFixture();
    lab = openLab();
  });
  after(async () => {
    await lab.close();
    await radius.stop();
  });

  beforeEach(async () => {
    const id = ++count;
    const { server, db } = radius;
    router = await lab.router({
      secret: secretOf(id),
      authPort: server.authPort,
      acctPort: server.acctPort,
      interimSeconds: 1,
    });
    writeClientFile(server, router.address, id);
    await aRouter(db, {
      id: String(id),
      address: router.address,
      coaPort: router.coaPort,
      secret: secretOf(id),
    });
    const processId = `00000000-0000-4000-a000-${String(id).padStart(12, '0')}`;
    const deps = { db, clock: systemClock, log: silentLog, vault, processId };
    lane = startLane({
      ...deps,
      sourceAddress: '127.0.0.1',
      pollMs: 50,
      waitsMs: [250, 500, 1000],
      assertAgainAfterMs: 1000,
    });
    const wake = () => lane.wake();
    watches = [startTail({ ...deps, wake, sweepEveryMs: 3000 }), startEvidence({ ...deps, wake })];
  });
  afterEach(async () => {
    await lane.stop();
    await Promise.all(watches.map((watch) => watch.stop()));
    await router.close();
    await emptySessions(radius.db);
  });

  /** A login with full access that has dialled, and whose session accounting knows. */
  async function online(options: { redialAfterMs?: number } = {}) {
    const { db } = radius;
    const login = await aLogin(db, {
      fingerprints: full,
      coaAttributes: [['Mikrotik-Rate-Limit', rates.full]],
    });
    await writeLogin(db, login.username, { 'Cleartext-Password': 'pw' }, replyOf(login.id, full, rates.full));
    const outcome = await router.dial({ username: login.username, password: 'pw', ...options });
    if (!outcome.ok) throw new Error(`the dial failed: ${outcome.why}`);
    await until('the Start', async () => (await openRows(login.username)).length === 1, { timeoutMs: 5000 });
    return { login, session: outcome.session };
  }

  /** What reconcile/login.ts does in one transaction: the rows, the decision, the request. */
  async function become(login: { id: LoginId; username: string }, access: 'full' | 'throttled' | 'denied') {
    const fingerprints = access === 'full' ? full : slow;
    const rate = access === 'full' ? rates.full : rates.slow;
    await inTransaction(radius.db, async (trx) => {
      await writeLogin(
        trx,
        login.username,
        { 'Cleartext-Password': 'pw', ...(access === 'denied' ? { 'Auth-Type': 'Reject' } : {}) },
        replyOf(login.id, fingerprints, rate),
      );
      await decide(trx, login.id, { access, fingerprints, rate, reason: `test_${access}` });
      await requestDifferingSessions(trx, [login.id], why);
    });
    lane.wake();
  }

  const replyOf = (id: string, fingerprints: readonly string[], rate: string) => ({
    Class: `S1.${id}.${fingerprints.join('.')}`,
    'Mikrotik-Rate-Limit': rate,
    'Framed-Pool': 'home',
    'Acct-Interim-Interval': '60',
  });
  const openRows = (username: string) =>
    radius
      .db('radacct')
      .where({ username })
      .whereNull('acctstoptime')
      .select<{ radacctid: string }[]>('radacctid');
  const live = (username: string): SessionView | undefined =>
    router.sessions().find((session) => session.username === username);
  const evidence = async (check: (rows: EvidenceRow[]) => boolean, what: string, timeoutMs = 15_000) => {
    await until(what, async () => check(await evidenceOf(radius.db)), { timeoutMs, stepMs: 50 });
    return evidenceOf(radius.db);
  };

  it('throttled to full is a CoA on the live session; the session is not cut', async () => {
    const { login, session } = await online();
    await become(login, 'throttled');
    await until('the slow rate', () => live(login.username)?.rate === rates.slow, { timeoutMs: 5000 });
    await become(login, 'full');
    await until('the full rate', () => live(login.username)?.rate === rates.full, { timeoutMs: 5000 });
    expect(live(login.username)?.key).to.equal(session.key);
    const rows = await evidence(
      (all) => all.length === 2 && all.every((row) => row.outcome === 'ack'),
      'two ACKs',
    );
    expect(
      rows.map((row) => row.confirmed_at),
      'a rate is acknowledged, not confirmed',
    ).to.deep.equal([null, null]);
  });

  it('denied is a Disconnect, confirmed by the Stop', async () => {
    const { login } = await online();
    await become(login, 'denied');
    await until('the end', () => live(login.username) === undefined, { timeoutMs: 5000 });
    const [row] = await evidence((all) => all[0]?.confirmed_by === 'stop', 'the confirmation');
    expect(row).to.include({
      action: 'disconnect',
      outcome: 'ack',
      because: 'denied',
      why: 'test_denied',
      attempts: 1,
    });
    expect(await queueSize(radius.db)).to.equal(0);
  });

  it('when the reply is lost, the retransmit is known to the router and answered without doing it twice', async () => {
    const { login } = await online();
    router.faults.set({ kind: 'lose_replies', times: 1 });
    await become(login, 'throttled');
    const [row] = await evidence((all) => all[0]?.outcome === 'ack', 'the ACK');
    expect(row).to.include({ attempts: 2 });
    expect(router.counters()).to.include({ incomingRequests: 1, incomingRepeats: 1, incomingBadRequests: 0 });
    expect(live(login.username)?.rate).to.equal(rates.slow);
  });

  it('when the router acknowledges late, the first answer is taken, and the session is right', async () => {
    const { login } = await online();
    router.faults.set({ kind: 'ack_late', ms: 400, times: 1 });
    await become(login, 'throttled');
    const [row] = await evidence((all) => all[0]?.outcome === 'ack', 'the ACK');
    expect(row?.attempts).to.equal(2);
    expect(row?.round_trip_us).to.be.greaterThan(390_000);
  });

  it('when an older CoA is obeyed after the newer was sent, the newer one has the last word', async () => {
    const { login } = await online();
    // The slow rate comes into effect 900 ms after it was sent: later than the payment's full rate.
    router.faults.set({ kind: 'ack_late', ms: 900, obeysLate: true, times: 1 });
    await become(login, 'throttled');
    await until('the packet', () => router.counters()['incomingRequests'] === 1, { timeoutMs: 5000 });
    await become(login, 'full');
    await evidence(
      (all) => all.some((row) => row.because === 'asserted_again' && row.outcome === 'ack'),
      'the second assertion',
    );
    await until('the queue is empty', async () => (await queueSize(radius.db)) === 0, { timeoutMs: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(live(login.username)?.rate).to.equal(rates.full);
  });

  it('when the subscriber redials at once with the same session id, nothing hits the new session', async () => {
    router.faults.set({ kind: 'repeat_session_ids' });
    const { login, session } = await online({ redialAfterMs: 0 });
    router.faults.set({ kind: 'lose_replies', times: 1 });
    await radius.db('kick').insert({
      radacctid: (await openRows(login.username))[0]?.radacctid,
      requested_by: 'noc',
      requested_at: '2026-01-01 00:00:00',
    });
    await radius.db('reconcile_queue').insert({
      kind: 'session',
      key: (await openRows(login.username))[0]?.radacctid,
      version: 1,
      not_before: '2026-01-01 00:00:00',
      requested_by: 'kick',
      requested_at: '2026-01-01 00:00:00',
      router_id: count,
    });
    lane.wake();
    await evidence((all) => all[0]?.confirmed_by === 'stop', 'the confirmation');
    await until('the redial', () => live(login.username) !== undefined, { timeoutMs: 5000 });
    await until('the queue is empty', async () => (await queueSize(radius.db)) === 0, { timeoutMs: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(live(login.username)?.key).to.not.equal(session.key);
    expect(router.endedSessions().filter((ended) => ended.username === login.username)).to.have.length(1);
  });

  it('when the session was lost without a Stop, the router says 503 and nothing is sent again', async () => {
    const { login } = await online();
    router.faults.set({ kind: 'lose_accounting' });
    router.hangUp(live(login.username)?.key ?? '');
    await become(login, 'denied');
    const [row] = await evidence((all) => all[0]?.outcome === 'nak', 'the NAK');
    expect(row).to.include({ error_cause: 503, next_check_at: null });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await evidenceOf(radius.db)).to.have.length(1);
  });

  it('when the router refuses a CoA, its session is ended and the redial has what is wanted', async () => {
    const { login } = await online({ redialAfterMs: 50 });
    router.faults.set({ kind: 'refuse', errorCause: 501, times: 1 });
    await become(login, 'throttled');
    await until('the redial with the slow rate', () => live(login.username)?.rate === rates.slow, {
      timeoutMs: 10_000,
    });
    const rows = await evidence((all) => all[1]?.confirmed_by === 'stop', 'the confirmation');
    expect(rows.map((row) => [row.action, row.outcome, row.error_cause])).to.deep.equal([
      ['coa', 'nak', 501],
      ['disconnect', 'ack', null],
    ]);
  });

  it('when the router acknowledges without obeying, it is asked three times, then a person is', async () => {
    const { login } = await online();
    router.faults.set({ kind: 'ack_without_obeying' });
    await become(login, 'denied');
    const rows = await evidence(
      (all) => all.filter((row) => row.detail === 'acknowledged without obeying').length === 3,
      'three times',
      40_000,
    );
    expect(rows).to.have.length(3);
    const parked = await radius.db('reconcile_queue').first<{ is_parked: number; last_error: string }>();
    expect(parked).to.include({
      is_parked: 1,
      last_error: 'Disconnect acknowledged without obeying, 3 times',
    });
    expect(live(login.username)?.state).to.equal('up');
  });

  it('when the router ends another line instead, that one redials, and the one meant is found out and ended', async () => {
    const { login, session } = await online();
    const { login: neighbour, session: cut } = await online({ redialAfterMs: 50 });
    router.faults.set({ kind: 'obey_for_another', times: 1 });
    await become(login, 'denied');
    await until('the redial', () => ![undefined, cut.key].includes(live(neighbour.username)?.key), {
      timeoutMs: 10_000,
    });
    await until('the end of the one meant', () => live(login.username) === undefined, { timeoutMs: 30_000 });
    const rows = await evidence((all) => all.some((row) => row.confirmed_by === 'stop'), 'the confirmation');
    expect(rows.map((row) => [row.action, row.detail, row.confirmed_by])).to.deep.equal([
      ['disconnect', 'acknowledged without obeying', null],
      ['disconnect', null, 'stop'],
    ]);
    expect(router.session(session.key)?.state).to.equal('ended');
    expect(live(neighbour.username)?.rate).to.equal(rates.full);
    await until('the queue is empty', async () => (await queueSize(radius.db)) === 0, { timeoutMs: 10_000 });
  });

  it('when a router is silent for a while, its sessions are asked for until they answer, and none is left to the walk', async () => {
    const { login } = await online();
    router.faults.set({ kind: 'silent' });
    await become(login, 'throttled');
    await evidence((all) => all.some((row) => row.outcome === 'timeout'), 'the timeout', 10_000);
    router.faults.clear();
    await until('the slow rate', () => live(login.username)?.rate === rates.slow, { timeoutMs: 20_000 });
    await until('the queue is empty', async () => (await queueSize(radius.db)) === 0, { timeoutMs: 10_000 });
    const found = await forbiddenRows(radius.db, '2026-03-20');
    expect(found.filter((one) => one.check.includes('forgotten'))).to.deep.equal([]);
  });

  it('a session that was accepted from rows of before is put right by the tail', async () => {
    const { db } = radius;
    const login = await aLogin(db, {
      fingerprints: slow,
      coaAttributes: [['Mikrotik-Rate-Limit', rates.slow]],
    });
    await writeLogin(db, login.username, { 'Cleartext-Password': 'pw' }, replyOf(login.id, full, rates.full));
    const outcome = await router.dial({ username: login.username, password: 'pw' });
    expect(outcome.ok && outcome.session.rate).to.equal(rates.full);
    await until('the slow rate', () => live(login.username)?.rate === rates.slow, { timeoutMs: 10_000 });
  });

  it('when the router is silent and comes back, what waited is done by itself', async () => {
    const { login } = await online();
    const others = [];
    for (let i = 0; i < 5; i++) others.push((await online()).login);
    router.faults.set({ kind: 'deaf' });
    for (const one of [login, ...others]) await become(one, 'throttled');
    await until(
      'the breaker opens',
      async () => (await radius.db('router_lane').where('breaker', 'open')).length === 1,
      { timeoutMs: 15_000 },
    );
    router.faults.clear();
    for (const one of [login, ...others]) {
      await until(`the slow rate of ${one.username}`, () => live(one.username)?.rate === rates.slow, {
        timeoutMs: 15_000,
      });
    }
    expect(await radius.db('router_lane').first()).to.include({ breaker: 'closed' });
  });
});
