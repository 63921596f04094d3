import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { until } from '../../scripts/servers/child.ts';
import { systemClock } from '../../src/clock.ts';
import { heardThoughGone } from '../../src/db/accounting-tail.ts';
import { openDb, sqlInstant } from '../../src/db/knex.ts';
import { startTail, type TailDeps } from '../../src/reconcile/tail.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aLogin, aRouter, aSession, emptySessions, queueSize, silentLog } from './session-support.ts';

const full = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;
const stale = 'S1.LOGIN.cccccccccc.bbbbbbbbbb.n';

describe('tail of accounting', function () {
  this.timeout(20_000);
  let test: TestDb;
  let db: Knex;
  let tails: { stop(): Promise<void> }[] = [];
  let woken: string[] = [];
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());
  beforeEach(async () => {
    await emptySessions(db);
    await aRouter(db, { id: '1' });
    woken = [];
  });
  afterEach(async () => {
    await Promise.all(tails.map((tail) => tail.stop()));
    tails = [];
  });

  let processes = 0;
  function tail(options: Partial<TailDeps> = {}): { stop(): Promise<void> } {
    const started = startTail({
      db,
      clock: systemClock,
      log: silentLog,
      wake: (role) => void woken.push(role),
      processId: `00000000-0000-4000-9000-${String(++processes).padStart(12, '0')}`,
      pollMs: 30,
      sweepEveryMs: 600_000,
      ...options,
    });
    tails.push(started);
    return started;
  }
  const keys = () => db('reconcile_queue').orderBy('key').pluck<string[]>('key');
  const isRead = () =>
    until('the tail was read', async () => (await db('accounting_tail').whereNotNull('owner')).length === 1, {
      timeoutMs: 5000,
    });

  it('rule 9, a session that was accepted from old rows requests its key', async () => {
    const login = await aLogin(db, { fingerprints: full });
    tail();
    await isRead();
    await wait(100);
    const session = await aSession(db, login, { class: stale.replace('LOGIN', login.id) });
    await aSession(db, login, { class: `S1.${login.id}.${full.join('.')}.n` });
    await until('the key', async () => (await queueSize(db)) === 1, { timeoutMs: 5000 });
    expect(await db('reconcile_queue').first()).to.include({
      kind: 'session',
      key: session,
      priority: 60,
      router_id: '1',
    });
    await until('the lane is woken', () => woken.includes('lane'), { timeoutMs: 5000 });
  });

  it('rule 9, a session of a denied login, and one whose login is unknown, request their keys', async () => {
    const denied = await aLogin(db, { access: 'denied' });
    const first = await aSession(db, denied, { class: `S1.${denied.id}.${full.join('.')}.n` });
    const second = await aSession(db, { username: 'ghost' }, { class: 'S1.999.aaaaaaaaaa.bbbbbbbbbb.n' });
    await aSession(db, { username: 'of-somebody-else' }, { class: null });
    tail();
    await until('the keys', async () => (await queueSize(db)) === 2, { timeoutMs: 5000 });
    expect(await keys()).to.deep.equal([first, second]);
  });

  it('of a router that was removed, requests nothing again and again: there is nobody to send to', async () => {
    await aRouter(db, { id: '2' });
    await db('router').where({ id: '2' }).update({ removed_at: '2026-01-02 00:00:00' });
    const login = await aLogin(db, { fingerprints: full });
    const drifted = { class: stale.replace('LOGIN', login.id) };
    await aSession(db, login, { ...drifted, routerId: '2' });
    const session = await aSession(db, login, { ...drifted, routerId: '1' });
    tail({ sweepEveryMs: 20 });
    await until('the other one', async () => (await queueSize(db)) > 0, { timeoutMs: 5000 });
    await wait(200);
    expect(await keys()).to.deep.equal([session]);
  });

  it('rule 9, a row that commits after a row with a higher id is read all the same', async () => {
    const login = await aLogin(db, { fingerprints: full });
    const other = openDb(test.address);
    const trx = await other.transaction();
    const late = await aSession(trx, login, { class: stale.replace('LOGIN', login.id) });
    const early = await aSession(db, login, { class: stale.replace('LOGIN', login.id) });
    expect(BigInt(early) > BigInt(late)).to.equal(true);
    tail();
    await until('the first key', async () => (await queueSize(db)) === 1, { timeoutMs: 5000 });
    await wait(200);
    await trx.commit();
    await until('the second key', async () => (await queueSize(db)) === 2, { timeoutMs: 10_000 });
    expect(await keys()).to.deep.equal([late, early]);
    await other.destroy();
  });

  it('rule 9, a session that was re-opened or left behind is found by the walk over open sessions', async () => {
    const login = await aLogin(db, { access: 'denied' });
    const session = await aSession(db, login, { stoppedAt: '2026-01-01 10:00:00' });
    await db('accounting_tail').insert({
      name: 'sessions',
      radacctid: session,
      read_at: '2026-01-01 00:00:00',
    });
    tail({ sweepEveryMs: 100 });
    await wait(200);
    expect(await queueSize(db)).to.equal(0);
    await db('radacct').where('radacctid', session).update({ acctstoptime: null });
    await until('the key', async () => (await queueSize(db)) === 1, { timeoutMs: 5000 });
  });

  describe('a session that its router claimed gone', () => {
    const ago = (ms: number) => sqlInstant(new Date(Date.now() - ms));
    const claim = (radacctid: string, loginId: string, at: string) =>
      db('session_access').insert({
        radacctid,
        login_id: loginId,
        access_fingerprint: '',
        redial_fingerprint: '',
        generation: 0,
        claimed_gone_at: at,
      });
    const denied = async (claimedAt: string) => {
      const login = await aLogin(db, { access: 'denied' });
      const session = await aSession(db, login, { updatedAt: ago(5 * 3_600_000) });
      await claim(session, login.id, claimedAt);
      return session;
    };
    const heard = (session: string, at: string) =>
      db('radacct').where('radacctid', session).update({ acctupdatetime: at });

    it('when an interim contradicts it, is asked for at once, and not only when the walk comes by', async () => {
      const session = await denied(ago(60_000));
      const silent = await denied(ago(60_000));
      tail();
      await isRead();
      await wait(200);
      expect(await queueSize(db)).to.equal(0);
      await heard(session, ago(5000));
      await until('the key', async () => (await queueSize(db)) === 1, { timeoutMs: 5000 });
      await until('the lane is woken', () => woken.includes('lane'), { timeoutMs: 5000 });
      expect(await keys())
        .to.deep.equal([session])
        .and.not.to.include(silent);
    });

    it('when more were claimed than one look holds, is found in the look that comes to it', async () => {
      const at = ago(60_000);
      const sessions: string[] = [];
      // Two of the same instant at the end of the first look.
      for (const claimedAt of [ago(90_000), at, at, ago(30_000), ago(20_000)])
        sessions.push(await denied(claimedAt));
      for (const session of sessions.slice(2)) await heard(session, ago(1000));
      const begin = { at: ago(3_600_000), radacctid: '0' };
      const first = await heardThoughGone(db, begin, 2);
      expect(first.ids).to.deep.equal([]);
      const second = await heardThoughGone(db, first.next ?? begin, 2);
      expect(second.ids).to.deep.equal(sessions.slice(2, 4));
      const third = await heardThoughGone(db, second.next ?? begin, 2);
      expect(third).to.deep.equal({ ids: sessions.slice(4), next: null });
    });

    it('when it has ended, or accounting has forgotten it, is not asked for', async () => {
      const ended = await denied(ago(60_000));
      const forgotten = await denied(ago(60_000));
      await heard(ended, ago(1000));
      await db('radacct')
        .where('radacctid', ended)
        .update({ acctstoptime: ago(500) });
      await db('radacct').where('radacctid', forgotten).del();
      expect(await heardThoughGone(db, { at: ago(3_600_000), radacctid: '0' }, 10)).to.deep.equal({
        ids: [],
        next: null,
      });
    });
  });

  it('when a key waits already, leaves its backoff alone; a session that is ending is not asked again', async () => {
    const login = await aLogin(db, { access: 'denied' });
    const waiting = await aSession(db, login);
    await db('reconcile_queue').insert({
      kind: 'session',
      key: waiting,
      version: 77,
      not_before: '2099-01-01 00:00:00',
      attempts: 5,
      requested_by: 'run',
      requested_at: '2026-01-01 00:00:00',
      router_id: 1,
    });
    const ending = await aSession(db, login);
    await db('enforcement').insert({
      radacctid: ending,
      login_id: login.id,
      router_id: 1,
      action: 'disconnect',
      why: 'x',
      generation: 1,
      access_fingerprint: '',
      redial_fingerprint: '',
      attributes: '[]',
      requested_by: 'x',
      requested_at: '2026-01-01 00:00:00',
      sent_at: '2026-01-01 00:00:00',
      outcome: 'ack',
      next_check_at: '2099-01-01 00:00:00',
    });
    tail({ sweepEveryMs: 50 });
    await wait(400);
    expect(await db('reconcile_queue').select('key', 'version', 'attempts')).to.deep.equal([
      { key: waiting, version: '77', attempts: 5 },
    ]);
  });

  it('when several processes run it, one reads; when that one is gone, the next does', async () => {
    const first = tail();
    await isRead();
    const owner = await db('accounting_tail').where('name', 'sessions').first<{ owner: string }>('owner');
    tail();
    await wait(150);
    expect(await db('accounting_tail').where('name', 'sessions').first('owner')).to.deep.equal(owner);
    await first.stop();
    const login = await aLogin(db, { access: 'denied' });
    await aSession(db, login);
    await until('the key', async () => (await queueSize(db)) === 1, { timeoutMs: 5000 });
  });

  it('when it starts with 12,000 open sessions unread, reads them in stretches and remembers how far', async function () {
    this.timeout(60_000);
    const login = await aLogin(db, { access: 'denied' });
    await db.raw(
      `INSERT INTO radacct (acctsessionid, acctuniqueid, username, acctstarttime, acctupdatetime, router_id)
       SELECT seq, MD5(seq), ?, '2026-01-01', '2026-01-01', 1 FROM seq_1_to_12000`,
      [login.username],
    );
    tail();
    await until('every key', async () => (await queueSize(db)) === 12_000, { timeoutMs: 30_000 });
    const row = await db('accounting_tail')
      .where('name', 'sessions')
      .first<{ radacctid: string }>('radacctid');
    expect(BigInt(row.radacctid) > 0n).to.equal(true);
  });

  describe("rule 10, a router's return", () => {
    const openLane = (openedAt: string) =>
      db('router_lane').insert({
        router_id: 1,
        breaker: 'open',
        failures: 9,
        breaker_opened_at: openedAt,
        probe_at: '2099-01-01 00:00:00',
      });
    const lane = () => db('router_lane').first<{ probe_at: string; last_accounting_at: string | null }>();

    it('when its accounting moves again, a packet may go at once and its keys are woken', async () => {
      await openLane('2026-01-01 10:00:00.500');
      const login = await aLogin(db, { fingerprints: full });
      const session = await aSession(db, login, {
        updatedAt: '2026-01-01 09:59:00',
        class: `S1.${login.id}.${full.join('.')}.n`,
      });
      await db('reconcile_queue').insert({
        kind: 'session',
        key: session,
        version: 1,
        not_before: '2099-01-01 00:00:00',
        attempts: 11,
        is_parked: true,
        requested_by: 'run',
        requested_at: '2026-01-01 00:00:00',
        router_id: 1,
      });
      tail();
      await isRead();
      await wait(150);
      expect((await lane()).probe_at).to.include('2099');
      await tails.pop()?.stop();
      await db('radacct').update({ acctupdatetime: '2026-01-01 10:05:00' });
      tail();
      await until('the probe', async () => !(await lane()).probe_at.includes('2099'), { timeoutMs: 5000 });
      expect((await lane()).last_accounting_at).to.include('10:05:00');
      const isWoken = async () =>
        (await db('reconcile_queue').where({ is_parked: false, attempts: 0 })).length === 1;
      await until('the key is woken', isWoken, { timeoutMs: 5000 });
      await until('the lane is woken', () => woken.includes('lane'), { timeoutMs: 5000 });
    });

    it('when it accounts all the time and answers no CoA, is tried once for each opening', async () => {
      await openLane('2026-01-01 10:00:00');
      const login = await aLogin(db, { fingerprints: full });
      await aSession(db, login, {
        updatedAt: '2026-01-01 10:00:05',
        class: `S1.${login.id}.${full.join('.')}.n`,
      });
      tail();
      await until('the probe', async () => !(await lane()).probe_at.includes('2099'), { timeoutMs: 5000 });
      await tails.pop()?.stop();
      await db('router_lane').update({ probe_at: '2099-01-01 00:00:00' });
      await db('radacct').update({ acctupdatetime: '2026-01-01 10:05:00' });
      tail();
      await isRead();
      await wait(200);
      expect((await lane()).probe_at).to.include('2099');
    });
  });
});
