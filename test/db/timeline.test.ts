import { expect } from 'chai';
import type { Knex } from 'knex';
import { timelineOf } from '../../src/db/timeline.ts';
import { usageOf } from '../../src/db/subscriber-page.ts';
import { asId, type LoginId, type SubscriberId } from '../../src/domain/ids.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('timelineOf', function () {
  this.timeout(60_000);
  let t: TestDb;
  before(async () => {
    t = await testDb();
    // Other people's rows, so that a scan would be seen as one.
    await t.db.raw(
      `INSERT INTO radacct (acctuniqueid, username, acctstarttime, acctstoptime)
       SELECT LPAD(seq, 32, 'x'), CONCAT('user', seq MOD 500), '2026-01-01' + INTERVAL seq MINUTE, '2026-01-02' + INTERVAL seq MINUTE
       FROM seq_1_to_20000`,
    );
    await t.db.raw(
      `INSERT INTO radpostauth (username, authdate, reason, minute, slot)
       SELECT CONCAT('user', seq MOD 500), '2026-01-01' + INTERVAL seq MINUTE, 'wrong_password', seq, seq FROM seq_1_to_20000`,
    );
    await t.db.raw(
      `INSERT INTO activity (at, actor, verb, subject_kind, subscriber_id, correlation_id, diff, outcome)
       SELECT '2026-01-01' + INTERVAL seq MINUTE, 'test', 'x.y', 'subscriber', 1 + seq MOD 500, 'c', '{}', 'done' FROM seq_1_to_20000`,
    );
    await t.db.raw('ANALYZE TABLE radacct, radpostauth, activity');
  });
  after(() => t.drop());

  async function readRows(work: () => Promise<unknown>): Promise<number> {
    const before = await handlerReads(t.db);
    await work();
    return (await handlerReads(t.db)) - before;
  }

  const whose = {
    subscriberId: asId<SubscriberId>('7'),
    logins: [{ id: asId<LoginId>('7'), username: 'user7' }],
  };

  it('timelineOf, of a page in the middle, reads some hundred rows whatever the tables hold', async () => {
    const first = await timelineOf(t.db, whose, { limit: 21 });
    expect(first).to.have.length(21);
    const before = first[19]?.key;
    if (before === undefined) throw new Error('no cursor');
    expect(await readRows(() => timelineOf(t.db, whose, { limit: 21, before }))).to.be.below(1000);
  });

  it('usageOf, of thirty days, reads the sessions of its logins alone', async () => {
    const since = new Date('2026-01-01T00:00:00Z');
    expect(await readRows(() => usageOf(t.db, ['user7'], since, 'UTC'))).to.be.below(500);
  });
});

/** Rows that the server has handed out since it began. One test database a server at a time reads here. */
async function handlerReads(db: Knex): Promise<number> {
  const [rows] = (await db.raw("SHOW GLOBAL STATUS LIKE 'Handler_read%'")) as [{ Value: string }[]];
  return rows.reduce((sum, row) => sum + Number(row.Value), 0);
}
