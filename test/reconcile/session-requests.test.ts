import { expect } from 'chai';
import type { Knex } from 'knex';
import { requestDifferingSessions } from '../../src/db/sessions.ts';
import type { LoginId } from '../../src/domain/ids.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aLogin, aRouter, aSession } from './session-support.ts';

const why = { priority: 'payment', requestedBy: 'test' } as const;

describe('requestDifferingSessions', () => {
  let test: TestDb;
  let db: Knex;
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
    await aRouter(db, { id: '1' });
  });
  after(() => test.drop());
  beforeEach(async () => {
    for (const table of ['reconcile_queue', 'session_access', 'radacct', 'access_decision'])
      await db(table).del();
  });

  it('when the Class says what is wanted, requests nothing', async () => {
    const login = await aLogin(db, { access: 'full', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
    await aSession(db, login, { class: `S1.${login.id}.aaaaaaaaaa.bbbbbbbbbb.n1` });
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(0);
  });

  const differing: [string, string | null][] = [
    ['another access fingerprint', 'S1.LOGIN.ffffffffff.bbbbbbbbbb.n1'],
    ['another redial fingerprint', 'S1.LOGIN.aaaaaaaaaa.ffffffffff.n1'],
    ["another login's Class", 'S1.999.aaaaaaaaaa.bbbbbbbbbb.n1'],
    ['no Class', null],
    ["somebody else's Class", 'ai:whatever'],
  ];
  for (const [name, text] of differing) {
    it(`when the session has ${name}, requests it once, with its router`, async () => {
      const login = await aLogin(db, { access: 'throttled', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
      const session = await aSession(db, login, { class: text?.replace('LOGIN', login.id) ?? null });
      expect(await requestDifferingSessions(db, [login.id], why)).to.equal(1);
      const rows = await queue(db);
      expect(rows).to.have.length(1);
      expect(rows[0]).to.include({
        kind: 'session',
        key: session,
        router_id: '1',
        priority: 90,
        attempts: 0,
      });
    });
  }

  it('when the login is denied, requests a session whatever its Class', async () => {
    const login = await aLogin(db, { access: 'denied', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
    await aSession(db, login, { class: `S1.${login.id}.aaaaaaaaaa.bbbbbbbbbb.n1` });
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(1);
  });

  it('when the last acknowledged CoA says what is wanted, leaves an older Class alone', async () => {
    const login = await aLogin(db, { access: 'full', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
    const session = await aSession(db, login, { class: `S1.${login.id}.ffffffffff.bbbbbbbbbb.n1` });
    await db('session_access').insert(access(session, login.id));
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(0);
  });

  it('when a CoA was never answered, requests the session though its fingerprints agree', async () => {
    const login = await aLogin(db, { access: 'full', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
    const session = await aSession(db, login, { class: null });
    await db('session_access').insert({ ...access(session, login.id), unanswered_at: '2026-01-01 00:00:00' });
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(1);
  });

  it('when the router claimed the session gone, waits for an interim', async () => {
    const login = await aLogin(db, { access: 'denied', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
    const session = await aSession(db, login, { class: null, updatedAt: '2026-01-01 10:00:00' });
    await db('session_access').insert({
      ...access(session, login.id),
      claimed_gone_at: '2026-01-01 10:00:01.500',
    });
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(0);
    await db('radacct').where('radacctid', session).update({ acctupdatetime: '2026-01-01 10:05:00' });
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(1);
  });

  it('when a session has ended, leaves it alone', async () => {
    const login = await aLogin(db, { access: 'denied', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
    await aSession(db, login, { class: null, stoppedAt: '2026-01-01 10:00:00' });
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(0);
  });

  it('when the key waits already, gives it a new version and the higher priority, and unparks it', async () => {
    const login = await aLogin(db, { access: 'denied', fingerprints: ['aaaaaaaaaa', 'bbbbbbbbbb'] });
    await aSession(db, login, { class: null });
    await requestDifferingSessions(db, [login.id], { priority: 'run', requestedBy: 'run' });
    const [first] = await queue(db);
    await db('reconcile_queue').update({ attempts: 7, is_parked: true });
    expect(await requestDifferingSessions(db, [login.id], why)).to.equal(1);
    const [second] = await queue(db);
    expect(second).to.include({ priority: 90, attempts: 0, is_parked: 0, requested_by: 'test' });
    expect(second?.version).not.to.equal(first?.version);
  });

  it('when there are 1,200 logins, requests each of their sessions', async function () {
    this.timeout(30_000);
    const logins: LoginId[] = [];
    for (let i = 0; i < 1200; i++) logins.push((await aLogin(db, { access: 'denied' })).id);
    await db.raw(
      `INSERT INTO radacct (acctsessionid, acctuniqueid, username, acctstarttime, acctupdatetime, router_id)
       SELECT id, MD5(id), username, '2026-01-01', '2026-01-01', 1 FROM login WHERE id IN (SELECT login_id FROM access_decision)`,
    );
    expect(await requestDifferingSessions(db, logins, why)).to.equal(1200);
    const [row] = await db('reconcile_queue').countDistinct({ versions: 'version' }).count({ rows: '*' });
    expect(row).to.deep.equal({ versions: '1200', rows: '1200' });
  });
});

function access(radacctid: string, loginId: string): Record<string, unknown> {
  return {
    radacctid,
    login_id: loginId,
    access_fingerprint: 'aaaaaaaaaa',
    redial_fingerprint: 'bbbbbbbbbb',
    generation: 1,
    acknowledged_at: '2026-01-01 00:00:00',
  };
}

interface QueueRow {
  key: string;
  version: string;
  priority: number;
  attempts: number;
  is_parked: number;
  router_id: string;
  requested_by: string;
}

function queue(db: Knex): Promise<QueueRow[]> {
  return db('reconcile_queue').select<QueueRow[]>('*');
}
