import { expect } from 'chai';
import type { Knex } from 'knex';
import { fixedClock } from '../../src/clock.ts';
import type { CommandContext } from '../../src/command.ts';
import { AppError } from '../../src/errors.ts';
import { kickSession } from '../../src/network/kick-session.ts';
import { checkEvidence } from '../../src/reconcile/evidence.ts';
import { sweepStaleSessions } from '../../src/reconcile/stale.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aLogin, aRouter, aSession, emptySessions, evidenceOf, silentLog, vault } from './session-support.ts';

describe('evidence and ends of sessions', () => {
  let test: TestDb;
  let db: Knex;
  const clock = fixedClock('2026-01-01T12:00:00Z');
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());
  beforeEach(async () => {
    await emptySessions(db);
    await aRouter(db, { id: '1' });
    clock.set('2026-01-01T12:00:00Z');
  });

  /** A session whose Disconnect was acknowledged at noon. */
  async function acknowledged(options: { outcome?: string; action?: string; next?: string } = {}) {
    const login = await aLogin(db, { access: 'denied' });
    const session = await aSession(db, login, { updatedAt: '2026-01-01 11:59:00' });
    await db('enforcement').insert({
      radacctid: session,
      login_id: login.id,
      router_id: 1,
      action: options.action ?? 'disconnect',
      why: 'invoice_overdue',
      generation: 1,
      access_fingerprint: '',
      redial_fingerprint: '',
      attributes: '[]',
      requested_by: 'run-1',
      requested_at: '2026-01-01 11:59:59',
      sent_at: '2026-01-01 12:00:00',
      answered_at: options.outcome === undefined ? '2026-01-01 12:00:00' : null,
      outcome: options.outcome ?? 'ack',
      next_check_at: options.next ?? '2026-01-01 12:00:05',
    });
    return { login, session };
  }

  describe('rule 8, sent, acknowledged, confirmed', () => {
    it('when the Stop comes, the Disconnect is confirmed by it, before its time to look, and its kick forgotten', async () => {
      const { session } = await acknowledged();
      await db('kick').insert({
        radacctid: session,
        requested_by: 'noc',
        requested_at: '2026-01-01 11:59:00',
      });
      await db('radacct')
        .where('radacctid', session)
        .update({ acctstoptime: '2026-01-01 12:00:01', stop_seen: true });
      clock.advance(1500);
      expect(await checkEvidence({ db, clock })).to.deep.equal({ count: 1, toSendAgain: 0, next: null });
      expect((await evidenceOf(db))[0]).to.include({
        confirmed_by: 'stop',
        confirmed_at: '2026-01-01 12:00:01.500',
        next_check_at: null,
        outcome: 'ack',
      });
      expect(await db('kick')).to.deep.equal([]);
    });

    it('when no Stop comes, looks later and later, holds no lease, and leaves it acknowledged in the end', async () => {
      await acknowledged();
      const looks: number[] = [];
      for (let second = 0; second < 2400; second += 5) {
        clock.set(new Date(Date.parse('2026-01-01T12:00:00Z') + second * 1000).toISOString());
        if ((await checkEvidence({ db, clock })).count > 0) looks.push(second);
      }
      expect(looks).to.deep.equal([5, 10, 25, 70, 205, 610, 1825]);
      expect((await evidenceOf(db))[0]).to.include({
        confirmed_at: null,
        outcome: 'ack',
        detail: 'no Stop seen',
      });
      expect(await db('reconcile_queue')).to.deep.equal([]);
    });

    it('when interims go on after the ACK, asks again; the third time it needs attention', async () => {
      const { session, login } = await acknowledged();
      for (let time = 1; time <= 3; time++) {
        await db('radacct')
          .where('radacctid', session)
          .update({ acctupdatetime: `2026-01-01 12:0${time}:30` });
        clock.set(`2026-01-01T12:0${time}:31Z`);
        const { toSendAgain } = await checkEvidence({ db, clock });
        expect(toSendAgain).to.equal(time < 3 ? 1 : 0);
        const row = await db('reconcile_queue').first<{
          is_parked: number;
          last_error: string;
          requested_by: string;
        }>();
        expect(row).to.include({ is_parked: time < 3 ? 0 : 1, requested_by: 'run-1' });
        if (time === 3) expect(row.last_error).to.equal('Disconnect acknowledged without obeying, 3 times');
        if (time === 3) break;
        await db('reconcile_queue').del();
        const [first] = await evidenceOf(db, session);
        await db('enforcement').insert({
          ...first,
          id: null,
          detail: null,
          answered_at: `2026-01-01 12:0${time}:32`,
          next_check_at: `2026-01-01 12:0${time}:37`,
        });
      }
      expect(login.id).to.be.a('string');
    });

    it('when the sender died, says that no outcome is known', async () => {
      await acknowledged({ outcome: 'pending', action: 'coa', next: '2026-01-01 12:02:00' });
      clock.advance(60_000);
      expect((await checkEvidence({ db, clock })).count).to.equal(0);
      clock.advance(61_000);
      await checkEvidence({ db, clock });
      expect((await evidenceOf(db))[0]).to.include({
        outcome: 'abandoned',
        next_check_at: null,
        confirmed_at: null,
      });
    });

    it('when a Disconnect timed out and its Stop comes, it is confirmed all the same', async () => {
      const { session } = await acknowledged({ outcome: 'timeout' });
      await db('radacct')
        .where('radacctid', session)
        .update({ acctstoptime: '2026-01-01 12:00:03', stop_seen: true });
      await checkEvidence({ db, clock });
      expect((await evidenceOf(db))[0]).to.include({ outcome: 'timeout', confirmed_by: 'stop' });
    });

    it('when the session was closed by nobody’s Stop, does not call that a proof', async () => {
      const { session } = await acknowledged();
      await db('radacct').where('radacctid', session).update({ acctstoptime: '2026-01-01 11:59:00' });
      await checkEvidence({ db, clock });
      expect((await evidenceOf(db))[0]).to.include({ confirmed_by: null, detail: 'ended without a Stop' });
    });
  });

  describe('stale sessions', () => {
    const stopOf = async (id: string) =>
      db('radacct')
        .where('radacctid', id)
        .first<{ acctstoptime: string | null; acctterminatecause: string }>(
          'acctstoptime',
          'acctterminatecause',
        );

    it('when three interims and a minute passed, are closed at their last update, not now', async () => {
      const login = await aLogin(db);
      await db('radreply').insert({
        username: login.username,
        attribute: 'Acct-Interim-Interval',
        op: ':=',
        value: '100',
      });
      const stale = await aSession(db, login, { updatedAt: '2026-01-01 11:53:59' });
      const fresh = await aSession(db, login, { updatedAt: '2026-01-01 11:54:00' });
      const other = await aSession(db, await aLogin(db), { updatedAt: '2026-01-01 11:53:59' });
      expect(await sweepStaleSessions({ db, clock })).to.equal(1);
      expect(await stopOf(stale)).to.deep.equal({
        acctstoptime: '2026-01-01 11:53:59',
        acctterminatecause: 'Sluice-Stale',
      });
      expect((await stopOf(fresh)).acctstoptime).to.equal(null);
      expect((await stopOf(other)).acctstoptime, '5 minutes where nothing says otherwise').to.equal(null);
      expect(await sweepStaleSessions({ db, clock })).to.equal(0);
    });

    it('when there are more than one look holds, are found in all of them, and a look that may not go on ends the walk', async () => {
      const login = await aLogin(db);
      const ids: string[] = [];
      for (const at of ['11:30:00', '11:59:00', '11:30:01', '11:30:02', '11:59:30', '11:30:03'])
        ids.push(await aSession(db, login, { updatedAt: `2026-01-01 ${at}` }));
      const looks = [true, true, false];
      expect(
        await sweepStaleSessions(
          { db, clock },
          { look: 2, goesOn: () => Promise.resolve(looks.shift() ?? false) },
        ),
      ).to.equal(3);
      expect((await stopOf(ids[5] ?? '')).acctstoptime).to.equal(null);
      expect(await sweepStaleSessions({ db, clock }, { look: 2 })).to.equal(1);
      const open = await db('radacct').whereNull('acctstoptime').orderBy('radacctid').pluck('radacctid');
      expect(open).to.deep.equal([ids[1], ids[4]]);
    });

    it('when nobody was heard for ten minutes, accounting is down: only the old ones are closed', async () => {
      const login = await aLogin(db);
      const recent = await aSession(db, login, { updatedAt: '2026-01-01 11:30:00' });
      const old = await aSession(db, login, { updatedAt: '2026-01-01 10:59:59' });
      expect(await sweepStaleSessions({ db, clock })).to.equal(1);
      expect((await stopOf(recent)).acctstoptime).to.equal(null);
      expect((await stopOf(old)).acctstoptime).to.equal('2026-01-01 10:59:59');
      await aSession(db, login, { updatedAt: '2026-01-01 11:55:00' });
      expect(await sweepStaleSessions({ db, clock })).to.equal(1);
      expect((await stopOf(recent)).acctstoptime).to.equal('2026-01-01 11:30:00');
    });
  });

  describe('kickSession', () => {
    const woken: string[] = [];
    const context = (): CommandContext => ({
      db,
      clock,
      log: silentLog,
      vault,
      wake: (role) => void woken.push(role),
      actor: 'noc-anna',
      correlationId: 'kick-7',
    });

    it('when a username has open sessions, wants each ended, with a trail, ahead of bulk work', async () => {
      woken.length = 0;
      const login = await aLogin(db);
      const first = await aSession(db, login);
      const second = await aSession(db, login);
      await aSession(db, login, { stoppedAt: '2026-01-01 11:00:00' });
      const kicked = await kickSession(context(), {
        username: ` ${login.username.toUpperCase()}`,
        note: 'on the phone',
      });
      expect(kicked).to.deep.equal({
        ok: true,
        sessions: [
          { sessionId: second, routerId: '1' },
          { sessionId: first, routerId: '1' },
        ],
      });
      expect(await db('kick').orderBy('radacctid').pluck('radacctid')).to.deep.equal([first, second]);
      expect(
        await db('reconcile_queue').where({ kind: 'session', priority: 80, requested_by: 'kick-7' }),
      ).to.have.length(2);
      const trail = await db('activity').where('correlation_id', 'kick-7');
      expect(trail).to.have.length(2);
      expect(trail[0]).to.include({
        verb: 'session.kick',
        actor: 'noc-anna',
        login_id: login.id,
        router_id: '1',
      });
      expect(woken).to.deep.equal(['lane']);
    });

    it('when asked twice, is one wish', async () => {
      const session = await aSession(db, await aLogin(db));
      await kickSession(context(), { sessionId: session });
      expect((await kickSession(context(), { sessionId: session })).ok).to.equal(true);
      expect(await db('kick')).to.have.length(1);
      expect(await db('reconcile_queue')).to.have.length(1);
    });

    it('when nothing is open, or no router is known, says so', async () => {
      const login = await aLogin(db);
      expect(await kickSession(context(), { username: login.username })).to.deep.equal({
        ok: false,
        reason: 'no_open_session',
      });
      await aSession(db, login);
      await db('radacct').update({ router_id: null, nasipaddress: '192.0.2.1' });
      expect(await kickSession(context(), { username: login.username })).to.deep.equal({
        ok: false,
        reason: 'no_router',
      });
    });

    it('when the input is bad, names the field and the rule', async () => {
      const bad: [Parameters<typeof kickSession>[1], string][] = [
        [{ sessionId: '0' }, 'session'],
        [{ sessionId: "1' OR 1" }, 'session'],
        [{ username: 'a b' }, 'username'],
        [{ username: 'bob', note: 'x'.repeat(256) }, 'note'],
      ];
      for (const [input, field] of bad) {
        const error = await kickSession(context(), input).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error).to.be.instanceOf(AppError);
        expect((error as AppError).field).to.equal(field);
      }
    });
  });
});
