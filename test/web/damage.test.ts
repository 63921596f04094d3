import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../scripts/servers/child.ts';
import { damagedTables, damageIn } from '../../src/db/damage.ts';
import { testCli } from '../support/cli.ts';
import { testMariaDb } from '../support/db.ts';
import { openTestWeb, type TestWeb } from '../support/web.ts';

describe('a table that the database calls damaged', () => {
  let web: TestWeb;
  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:00Z');
  });
  after(() => web.close());

  /** InnoDB can't be damaged on request without ending the server; the old engine's files can. */
  async function damage(name: string): Promise<void> {
    const { db } = web.t;
    await db.raw('CREATE TABLE ?? (id INT PRIMARY KEY, note VARCHAR(20), KEY (note)) ENGINE=MyISAM', [name]);
    for (let id = 1; id <= 200; id++) await db.raw('INSERT INTO ?? VALUES (?, ?)', [name, id, `note ${id}`]);
    await db.raw('FLUSH TABLE ??', [name]);
    const folder = join((await testMariaDb()).folder, 'data', web.t.address.database);
    const file = readdirSync(folder).find((one) => one === `${name}.MYI`) ?? '';
    truncateSync(join(folder, file), 1100);
  }

  it('is named under Needs attention and by the doctor, whoever met it, until a day after it was last said', async () => {
    const { app, t } = web;
    await damage('half_a_table');
    const asked = app.db.transaction((trx) => trx('half_a_table').where({ note: 'note 7' }).select('id'));
    expect(damageIn(await asked.catch((error: unknown) => error))?.name).to.equal('half_a_table');
    await until('it is noted', async () => (await damagedTables(app.db, new Date(0))).length > 0, {
      timeoutMs: 5000,
    });

    const noc = await web.as('noc');
    expect((await noc.get('/attention')).text)
      .to.include('Damaged in the database')
      .and.include('<strong>half_a_table</strong>');
    const doctor = () => testCli(t, { now: '2026-05-01T10:00:00Z' }).run('doctor', '--json');
    const [found] = ((await doctor()).json()['findings'] as { part: string; found: string }[]).filter(
      ({ part }) => part === 'tables',
    );
    expect(found?.found).to.include('half_a_table');

    await t.db('damaged_table').update({ said_at: '2026-04-30 09:59:59' });
    expect((await noc.get('/attention')).text).to.not.include('half_a_table');
  });

  it('is told from the error’s number alone, so that what somebody typed never counts', () => {
    const named = (errno: number, sqlMessage: string) => damageIn({ errno, sqlMessage })?.name;
    expect(named(1034, "Index for table 'overdue_run_action' is corrupt; try to repair it")).to.equal(
      'overdue_run_action',
    );
    expect(named(1194, "Table './sluice/radacct.MYI' is marked as crashed")).to.equal('radacct');
    expect(named(1932, "Table 'sluice.login' doesn't exist in engine")).to.equal('login');
    expect(named(1712, 'Index queue_due is corrupted')).to.equal('Index queue_due');
    expect(named(1062, "Duplicate entry 'is corrupt' for key 'name'")).to.equal(undefined);
    expect(damageIn(new Error('anything else'))).to.equal(undefined);
  });
});
