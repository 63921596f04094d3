import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from '../../scripts/servers/place.ts';
import { migrate, statementsOf } from '../../src/db/migrate.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('migrate', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());

  it('run again, applies nothing', async () => {
    expect(await migrate(t.db, join(projectRoot, 'sql'), new Date('2026-01-02T00:00:00Z'))).to.deep.equal([]);
  });

  it('run again after being killed half-way, ends in the same schema', async () => {
    const tables = async () => {
      const [rows] = (await t.db.raw(
        'SELECT table_name, column_name, column_type FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1, ordinal_position',
      )) as [unknown[]];
      return rows;
    };
    const whole = await tables();
    // What a kill leaves: tables that exist and a file that is not noted.
    await t.db('schema_migration').where('name', 'like', '%0006%').del();
    await t.db.schema.dropTable('overdue_run_action');
    await migrate(t.db, join(projectRoot, 'sql'), new Date('2026-01-02T00:00:00Z'));
    expect(await tables()).to.deep.equal(whole);
  });

  it('splits at semicolons that end a line and leaves comments out', () => {
    expect(statementsOf("-- c; d\nSELECT 'a;b';\nSELECT 2;\n")).to.deep.equal(["SELECT 'a;b'", 'SELECT 2']);
  });
});
