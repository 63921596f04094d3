import { expect } from 'chai';
import { openApp, type App } from '../../src/app.ts';
import { fixedClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { readSchedule } from '../../src/db/schedule.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { type Job, runDueJobs } from '../../src/jobs/scheduler.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('scheduler', () => {
  let t: TestDb;
  let app: App;
  const clock = fixedClock('2026-05-01T08:00:00Z');
  let runs: string[] = [];
  const daily: Job = {
    name: 'daily',
    rhythm: () => ({ kind: 'daily', at: '10:00', zone: 'UTC' }),
    run: () => {
      runs.push(clock.now().toISOString());
      return Promise.resolve('did it');
    },
  };

  before(async () => {
    t = await testDb();
    const config = readConfig({
      SLUICE_DB_HOST: t.address.host,
      SLUICE_DB_PORT: String(t.address.port),
      SLUICE_DB_USER: t.address.user,
      SLUICE_DB_PASSWORD: t.address.password,
      SLUICE_DB_NAME: t.address.database,
      SLUICE_KEYS: `k1:${'ab'.repeat(32)}`,
    });
    app = openApp(config, { role: 'scheduler', clock, isSilent: true });
  });
  after(async () => {
    await app.close();
    await t.drop();
  });
  beforeEach(() => {
    runs = [];
  });

  it('runDueJobs, before the hour, runs nothing and remembers when it is due', async () => {
    expect(await runDueJobs(app, [daily])).to.deep.equal([]);
    const [row] = await readSchedule(t.db);
    expect(row?.nextDueAt.toISOString()).to.equal('2026-05-01T10:00:00.000Z');
  });

  it('runDueJobs, ticked by two schedulers at once, runs the job once', async () => {
    clock.set('2026-05-01T10:00:03Z');
    const both = await Promise.all([runDueJobs(app, [daily]), runDueJobs(app, [daily])]);
    expect(both.flat()).to.deep.equal(['daily']);
    expect(runs).to.have.length(1);
  });

  it('runDueJobs, when somebody changes the hour while the job runs, comes due at the new hour', async () => {
    clock.set('2026-05-02T10:00:03Z');
    const hourly: Job = {
      name: 'by-setting',
      rhythm: ({ overdueRunAt }) => ({ kind: 'daily', at: overdueRunAt, zone: 'UTC' }),
      run: async () => {
        await saveSettings(t.db, { overdueRunAt: '06:00' }, clock.now());
        return 'did it';
      },
    };
    await saveSettings(t.db, { overdueRunAt: '10:01' }, clock.now());
    await runDueJobs(app, [hourly]);
    clock.set('2026-05-02T10:01:03Z');
    expect(await runDueJobs(app, [hourly])).to.deep.equal(['by-setting']);
    const row = (await readSchedule(t.db)).find((one) => one.name === 'by-setting');
    expect(row?.nextDueAt.toISOString()).to.equal('2026-05-03T06:00:00.000Z');
    await t.db('schedule').where({ name: 'by-setting' }).del();
    clock.set('2026-05-01T10:00:04Z');
  });

  it('runDueJobs, after three missed days, catches up with one run', async () => {
    clock.set('2026-05-05T09:00:00Z');
    expect(await runDueJobs(app, [daily])).to.deep.equal(['daily']);
    expect(await runDueJobs(app, [daily])).to.deep.equal([]);
    const [row] = await readSchedule(t.db);
    expect(row?.nextDueAt.toISOString()).to.equal('2026-05-05T10:00:00.000Z');
  });

  it('runDueJobs, when a job throws, says so, comes again in five minutes, and runs the others', async () => {
    clock.set('2026-05-05T10:00:00Z');
    const broken: Job = {
      name: 'broken',
      rhythm: () => ({ kind: 'every', ms: 60_000 }),
      run: () => Promise.reject(new Error('no luck')),
    };
    await runDueJobs(app, [broken]);
    clock.set('2026-05-05T10:01:00Z');
    expect(await runDueJobs(app, [broken, daily])).to.deep.equal(['broken', 'daily']);
    const row = (await readSchedule(t.db)).find((one) => one.name === 'broken');
    expect(row?.lastOutcome).to.equal('failed: no luck');
    expect(row?.nextDueAt.toISOString()).to.equal('2026-05-05T10:06:00.000Z');
  });
});
