import { expect } from 'chai';
import type { Knex } from 'knex';
import { sessionFacts } from '../../src/db/sessions.ts';
import { aLogin, aRouter, aSession } from '../reconcile/session-support.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('sessionFacts', function () {
  this.timeout(60_000);
  let test: TestDb;
  let db: Knex;
  before(async () => {
    test = await testDb();
    db = test.db;
    await aRouter(db, { id: '1' });
  });
  after(() => test.drop());

  const evidence = (sessionId: string, loginId: string, more: Record<string, unknown>) => ({
    radacctid: sessionId,
    login_id: loginId,
    router_id: '1',
    action: 'coa',
    why: 'paid_up',
    generation: 1,
    access_fingerprint: 'aaaaaaaaaa',
    redial_fingerprint: 'bbbbbbbbbb',
    attributes: '[]',
    requested_by: 'test',
    requested_at: '2026-01-01 00:00:00',
    sent_at: '2026-01-01 00:00:00',
    outcome: 'ack',
    ...more,
  });

  it('sessionFacts, of a session whose speed was changed a hundred times, while hundreds of packets are under way, reads no more than after once', async () => {
    const login = await aLogin(db);
    const session = await aSession(db, login, { class: `S1.${login.id}.aaaaaaaaaa.bbbbbbbbbb.n1` });
    const reads = () =>
      db.transaction(async (trx) => {
        await sessionFacts(trx, [session]);
        await trx.raw('FLUSH STATUS');
        await sessionFacts(trx, [session]);
        const [rows] = (await trx.raw("SHOW SESSION STATUS LIKE 'Handler_read%'")) as unknown as [
          { Value: string }[],
        ];
        return rows.reduce((sum, row) => sum + Number(row.Value), 0);
      });
    const before = await reads();
    const others = Array.from({ length: 2300 }, (_, n) =>
      n < 2000
        ? evidence(String(1_000_000 + n), '0', {})
        : evidence(String(1_000_000 + n), '0', { outcome: 'pending', next_check_at: '2026-01-01 00:02:00' }),
    );
    await db('enforcement').insert(others);
    await db.raw('ANALYZE TABLE enforcement');
    const hundred = Array.from({ length: 100 }, (_, n) => n + 1);
    await db('enforcement').insert(hundred.map((n) => evidence(session, login.id, { generation: n })));
    await db('access_change').insert(
      hundred.map((n) => ({
        login_id: login.id,
        at: '2026-01-01 00:00:00',
        to_access: 'full',
        reason: 'paid_up',
        generation: n,
        requested_by: 'test',
      })),
    );
    expect((await reads()) - before).to.be.below(10);
  });

  it('sessionFacts, of a refused CoA, an unknown session and a Disconnect under way, says so', async () => {
    const login = await aLogin(db);
    const [refused, gone, ending] = [
      await aSession(db, login),
      await aSession(db, login),
      await aSession(db, login),
    ];
    await db('enforcement').insert(evidence(refused, login.id, { generation: 4 }));
    await db('enforcement').insert(
      evidence(refused, login.id, { generation: 3, outcome: 'nak', error_cause: 501 }),
    );
    await db('enforcement').insert(evidence(gone, login.id, { outcome: 'nak', error_cause: 503 }));
    await db('enforcement').insert(
      evidence(ending, login.id, { action: 'disconnect', next_check_at: '2026-01-01 00:00:05' }),
    );
    const facts = await sessionFacts(db, [refused, gone, ending]);
    expect([refused, gone, ending].map((id) => facts.get(id)?.state.refusedGeneration)).to.deep.equal([
      3n,
      null,
      null,
    ]);
    expect([refused, gone, ending].map((id) => facts.get(id)?.state.isEnding)).to.deep.equal([
      false,
      false,
      true,
    ]);
  });
});
