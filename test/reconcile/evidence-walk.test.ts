import { expect } from 'chai';
import { setTimeout as wait } from 'node:timers/promises';
import { fixedClock } from '../../src/clock.ts';
import { checkEvidence, startEvidence } from '../../src/reconcile/evidence.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { silentLog } from './session-support.ts';

const waiting = 9000;

describe('evidence, while thousands wait for a Stop', () => {
  let test: TestDb;
  const clock = fixedClock('2026-01-01T12:00:10Z');
  before(async () => {
    test = await testDb();
    await test.db.raw(
      `INSERT INTO radacct (radacctid, acctsessionid, acctuniqueid, username, acctstarttime, acctupdatetime)
       SELECT seq, seq, MD5(seq), CONCAT('u', seq), '2026-01-01 10:00:00', '2026-01-01 11:59:00' FROM seq_1_to_${waiting}`,
    );
    await test.db.raw(
      `INSERT INTO enforcement (radacctid, login_id, router_id, action, why, generation, access_fingerprint,
         redial_fingerprint, attributes, requested_by, requested_at, sent_at, outcome, answered_at, next_check_at)
       SELECT seq, seq, 1, 'disconnect', 'invoice_overdue', 1, '', '', '[]', 'run-1', '2026-01-01 12:00:00',
         '2026-01-01 12:00:00', 'ack', '2026-01-01 12:00:00', '2026-01-01 12:05:00' + INTERVAL seq SECOND
       FROM seq_1_to_${waiting}`,
    );
    await test.db.raw('ANALYZE TABLE radacct, enforcement');
  });
  after(() => test.drop());

  async function readRows(work: () => Promise<unknown>): Promise<number> {
    const reads = async () => {
      const [rows] = (await test.db.raw("SHOW GLOBAL STATUS LIKE 'Handler_read%'")) as [{ Value: string }[]];
      return rows.reduce((sum, row) => sum + Number(row.Value), 0);
    };
    const before = await reads();
    await work();
    return (await reads()) - before;
  }

  const stopped = (id: number) =>
    test
      .db('radacct')
      .where('radacctid', id)
      .update({ acctstoptime: '2026-01-01 12:00:05', stop_seen: true });
  const confirmed = () =>
    test.db('enforcement').whereNotNull('confirmed_at').orderBy('id').pluck('radacctid');

  it('checkEvidence, with nothing to be done, reads a part of them and not all', async () => {
    const reads = await readRows(() => checkEvidence({ db: test.db, clock }));
    expect(reads).to.be.below(8000);
  });

  it('checkEvidence, look after look, comes to the end of them and finds what accounting knows', async () => {
    await stopped(waiting - 1);
    let after: string | null = null;
    const counts: number[] = [];
    do {
      const looked: Awaited<ReturnType<typeof checkEvidence>> = await checkEvidence(
        { db: test.db, clock },
        { after, most: 2000 },
      );
      counts.push(looked.count);
      after = looked.next;
    } while (after !== null);
    expect(counts).to.deep.equal([0, 0, 0, 0, 1]);
    expect(await confirmed()).to.deep.equal([String(waiting - 1)]);
  });

  it('checkEvidence, far on in its walk, judges what is due all the same', async () => {
    await stopped(1);
    clock.set('2026-01-01T12:05:01Z');
    const looked = await checkEvidence(
      { db: test.db, clock },
      { after: '2026-01-01 13:00:00.000', most: 10 },
    );
    expect(looked.count).to.equal(1);
    expect(await confirmed()).to.deep.equal(['1', String(waiting - 1)]);
  });

  it('startEvidence, tick after tick, finds the Stop of one that is far back', async function () {
    this.timeout(20_000);
    await stopped(waiting);
    const looking = startEvidence({
      db: test.db,
      clock,
      log: silentLog,
      wake: () => undefined,
      processId: 'evidence-walk'.padEnd(36, '0'),
      pollMs: 10,
    });
    try {
      while (!(await confirmed()).includes(String(waiting))) await wait(20);
    } finally {
      await looking.stop();
    }
  });
});
