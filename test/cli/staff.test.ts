import { expect } from 'chai';
import { testCli } from '../support/cli.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('staff verbs', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());

  it('staff add, with the password on standard input, makes somebody who is listed without it', async () => {
    const cli = testCli(t);
    const words = ['staff', 'add', 'rina', '--name', 'Rina Das', '--role', 'owner', '--password-stdin'];
    const added = await cli.runWith('correct horse battery\n', ...words);
    expect(added.code, added.stderr).to.equal(0);
    const listed = await cli.run('staff', 'list', '--json');
    expect(JSON.parse(listed.stdout)).to.deep.include({
      staff: [{ username: 'rina', name: 'Rina Das', role: 'owner', isTotpOn: false, isDisabled: false }],
    });
    expect(listed.stdout + added.stdout + added.stderr).to.not.match(/correct horse|scrypt/);
  });

  it('staff add, without the password on standard input or with a bad role, names the field', async () => {
    const cli = testCli(t);
    const bare = await cli.run('staff', 'add', 'nora', '--name', 'N', '--role', 'noc');
    expect(bare.code).to.not.equal(0);
    expect(bare.stderr).to.include('password-stdin');
    const words = ['staff', 'add', 'nora', '--name', 'N', '--role', 'boss', '--password-stdin'];
    const badRole = await cli.runWith('correct horse battery\n', ...words);
    expect(badRole.stderr).to.include('role').and.include('owner, noc, finance, read_only');
  });

  it('setup-code, prints the code that the first-run page takes', async () => {
    const { stdout } = await testCli(t).run('setup-code');
    expect(stdout.trim()).to.match(/^[0-9a-f]{5}-[0-9a-f]{5}-[0-9a-f]{5}$/);
  });

  it('migrate, on a schema that is up to date, says so', async () => {
    const { code, stdout } = await testCli(t).run('migrate', '--json');
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.include({ applied: [] });
  });
});
