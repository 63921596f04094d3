import { expect } from 'chai';
import { helpFor, overview } from '../../src/cli/help.ts';
import { nearest } from '../../src/cli/nearest.ts';
import { parseArguments } from '../../src/cli/parse.ts';
import { verbs } from '../../src/cli/verbs.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { type Cli, testCli } from '../support/cli.ts';

describe('the command line', () => {
  let t: TestDb;
  let cli: Cli;
  before(async () => {
    t = await testDb();
    cli = testCli(t);
  });
  after(() => t.drop());

  it('without arguments, lists every verb with a line, and succeeds', async () => {
    const ran = await cli.run();
    expect(ran.code).to.equal(0);
    for (const verb of verbs) expect(ran.stdout).to.include(verb.name);
    expect(ran.stdout).to.equal(overview());
  });

  for (const verb of verbs) {
    it(`help ${verb.name}, explains it, with options that exist and examples that parse`, async () => {
      const ran = await cli.run('help', ...verb.name.split(' '));
      expect(ran.code).to.equal(0);
      expect(ran.stdout).to.equal(helpFor(verb));
      const viaOption = await cli.run(...verb.name.split(' '), '--help');
      expect(viaOption.stdout).to.equal(ran.stdout);
      expect(verb.examples).not.to.be.empty;
      for (const example of verb.examples) {
        const words = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
        expect(words.slice(0, verb.name.split(' ').length).join(' ')).to.equal(verb.name);
        expect(() => parseArguments(verb, words.slice(verb.name.split(' ').length)), example).not.to.throw();
      }
    });
  }

  it('with a verb that is not one, suggests the nearest and gives 2', async () => {
    const ran = await cli.run('overdu-run');
    expect(ran.code).to.equal(2);
    expect(ran.stderr).to.include('did you mean overdue-run?');
  });

  it('with half of a verb, lists what can follow', async () => {
    const ran = await cli.run('router');
    expect(ran.code).to.equal(2);
    expect(ran.stderr).to.include('router list').and.to.include('router add');
  });

  it('with an option that is not one, names it and the nearest', async () => {
    const ran = await cli.run('pay', 'amina', '10', '--refrence', 'x');
    expect(ran.code).to.equal(2);
    expect(ran.stderr).to.include('--refrence: is not an option').and.to.include('--reference');
  });

  it('with an option without its value, an argument missing, one too many or one twice, names it', async () => {
    expect((await cli.run('access', 'amina', '--actor')).stderr).to.include('--actor: needs a value');
    expect((await cli.run('access')).stderr).to.include('USERNAME: is missing');
    expect((await cli.run('access', 'a', 'b')).stderr).to.include('argument 2: is one argument too many');
    // It may be a password that was typed where none belongs.
    expect((await cli.run('staff', 'password', 'rina', 'hunter2')).stderr).to.not.include('hunter2');
    expect((await cli.run('staff', 'password', 'hunter2', '--password-stdin')).stderr).to.not.include(
      'hunter2',
    );
    expect((await cli.run('needs-attention', '--give-up=1', '--note= ')).stderr).to.include(
      '--note: must be 1',
    );
    expect((await cli.run('x\u009b31m')).stderr).to.include('"x\ufffd31m" is not a verb');
    expect((await cli.run('access', '--x\n\u001b[31m')).stderr).to.include(
      '--x\ufffd\ufffd[31m: is not an option',
    );
    expect((await cli.run('access', 'a', '--actor', 'x', '--actor', 'y')).stderr).to.include(
      '--actor: is given twice',
    );
    expect((await cli.run('settings', '--json=1')).stderr).to.include('--json: takes no value');
  });

  it('with --json, says errors as JSON too', async () => {
    const ran = await cli.run('access', 'nobody-here', '--json');
    expect(ran.code).to.equal(1);
    expect(ran.json()).to.deep.include({ ok: false });
    expect(ran.json()['error']).to.include({ kind: 'not_found', field: 'USERNAME' });
  });

  it('with an actor that is none, refuses before anything is written', async () => {
    const ran = await cli.run(
      'tax-rate',
      'add',
      'T',
      '--percent',
      '1',
      '--from',
      '2026-01-01',
      '--actor',
      '',
    );
    expect(ran.code).to.equal(2);
    expect(await t.db('tax_rate')).to.have.length(0);
  });

  it('nearest, of a word that is far from all, gives nothing', () => {
    expect(nearest('xyzzy', ['pay', 'hold'])).to.equal(undefined);
    expect(nearest('hod', ['pay', 'hold'])).to.equal('hold');
    expect(nearest('needs', ['needs-attention'])).to.equal('needs-attention');
  });
});
