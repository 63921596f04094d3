import { expect } from 'chai';
import { recordActivity } from '../../src/db/activity.ts';
import { findBrokenSeal, sealActivity } from '../../src/db/activity-seal.ts';
import { parseDay } from '../../src/domain/day.ts';
import { testDb, type TestDb } from '../support/db.ts';

const today = parseDay('2026-05-04');
const now = new Date('2026-05-04T02:00:00Z');

describe('activity seal', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
    const days = ['2026-05-01', '2026-05-01', '2026-05-03', '2026-05-04'];
    for (const [index, day] of days.entries()) {
      await recordActivity(t.db, {
        at: new Date(`${day}T10:00:00Z`),
        actor: 'test',
        verb: 'subscriber.added',
        subject: { kind: 'subscriber', id: String(index + 1) },
        correlationId: 'c',
        diff: { name: `s${index}` },
      });
    }
  });
  after(() => t.drop());

  it('sealActivity, seals each finished day once, quiet days too, and not today', async () => {
    expect(await sealActivity(t.db, today, now)).to.deep.equal(['2026-05-01', '2026-05-02', '2026-05-03']);
    expect(await sealActivity(t.db, today, now)).to.deep.equal([]);
    expect(await findBrokenSeal(t.db, today, 30)).to.equal(null);
  });

  it('findBrokenSeal, after a row was changed or removed, names the day', async () => {
    await t.db('activity').where({ id: 2 }).update({ actor: 'somebody else' });
    expect(await findBrokenSeal(t.db, today, 30)).to.equal('2026-05-01');
    await t.db('activity').where({ id: 2 }).update({ actor: 'test' });
    expect(await findBrokenSeal(t.db, today, 30)).to.equal(null);
    await t.db('activity').where({ id: 3 }).del();
    expect(await findBrokenSeal(t.db, today, 30)).to.equal('2026-05-03');
  });
});
