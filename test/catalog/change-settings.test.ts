import { expect } from 'chai';
import { changeSettings } from '../../src/catalog/change-settings.ts';
import { addToSchedule, readSchedule } from '../../src/db/schedule.ts';
import { testContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('changeSettings', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());
  beforeEach(async () => {
    await t.db('setting').del();
    await t.db('schedule').del();
    await t.db('activity').del();
    await t.db('reconcile_queue').del();
  });

  const at = '2026-05-01T08:00:00Z';
  const due = async (name: string) =>
    (await readSchedule(t.db)).find((row) => row.name === name)?.nextDueAt.toISOString();
  const schedule = (name: string, nextDueAt: string) =>
    addToSchedule(t.db, [{ name, nextDueAt: new Date(nextDueAt) }]);

  it('of the hour of a run, moves that run to its next hour', async () => {
    await schedule('overdue-run', '2026-05-01T10:00:00Z');
    const ctx = testContext(t.db, { now: at });
    await changeSettings(ctx, { name: 'zone', value: 'UTC' });
    await changeSettings(ctx, { name: 'overdueRunAt', value: '09:30' });
    expect(await due('overdue-run')).to.equal('2026-05-01T09:30:00.000Z');
    await changeSettings(ctx, { name: 'overdueRunAt', value: '07:00' });
    expect(await due('overdue-run')).to.equal('2026-05-02T07:00:00.000Z');
  });

  for (const value of ['2026-01-01T00:00:00Z', 'Mars/Olympus', '']) {
    it(`of the zone to “${value}”, which is none, is refused and changes nothing`, async () => {
      const ctx = testContext(t.db, { now: at });
      const error: unknown = await changeSettings(ctx, { name: 'zone', value }).catch(
        (fault: unknown) => fault,
      );
      expect(error).to.include({ kind: 'invalid', field: 'VALUE' });
      expect(await t.db('setting')).to.have.length(0);
    });
  }

  it('of the zone, moves the daily runs with it', async () => {
    await schedule('overdue-run', '2026-05-01T10:00:00Z');
    const ctx = testContext(t.db, { now: at });
    await changeSettings(ctx, { name: 'zone', value: 'UTC' });
    await changeSettings(ctx, { name: 'overdueRunAt', value: '15:00' });
    await changeSettings(ctx, { name: 'zone', value: 'Asia/Dhaka' });
    expect(await due('overdue-run')).to.equal('2026-05-01T09:00:00.000Z');
  });

  it('while a run is due that nobody has begun, leaves it due: a missed day is caught up with', async () => {
    await schedule('overdue-run', '2026-04-30T10:00:00Z');
    await changeSettings(testContext(t.db, { now: at }), { name: 'overdueRunAt', value: '12:00' });
    expect(await due('overdue-run')).to.equal('2026-04-30T10:00:00.000Z');
  });

  it('of what rates and lists say, asks for every login; of the rest, for none', async () => {
    const ctx = testContext(t.db, { now: at });
    expect(await changeSettings(ctx, { name: 'deniedRate', value: '96k/96k' })).to.include({
      isChanged: true,
    });
    expect(await changeSettings(ctx, { name: 'deniedRate', value: '96k/96k' })).to.include({
      isChanged: false,
    });
    expect(await t.db('reconcile_queue').select('kind', 'key')).to.deep.equal([
      { kind: 'many_logins', key: '0' },
    ]);
    await changeSettings(ctx, { name: 'deferralDays', value: '9' });
    expect(await t.db('reconcile_queue')).to.have.length(1);
    expect(await t.db('activity').where({ verb: 'setting.change' })).to.have.length(2);
  });
});
