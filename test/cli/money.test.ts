import { expect } from 'chai';
import { smallCatalogue } from '../support/catalog.ts';
import { type Cli, testCli } from '../support/cli.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('the verbs about money', () => {
  let t: TestDb;
  let cli: Cli;
  before(async () => {
    t = await testDb();
    cli = testCli(t, { now: '2026-03-01T10:00:00Z' });
    await smallCatalogue(cli.context);
    for (const username of ['lena', 'omar', 'tess']) {
      const ran = await cli.run(
        'subscriber',
        'add',
        '--name',
        username,
        '--profile',
        'block',
        '--package',
        'Home 50',
        '--username',
        username,
      );
      expect(ran.code, ran.stderr).to.equal(0);
    }
  });
  after(() => t.drop());

  // 1 March: three subscriptions begin, each 30.00 and 15 % tax; due on the 8th, overdue from the 12th on.
  it('invoice-run, is a preview; with --apply it issues; again it issues nothing', async () => {
    const preview = await cli.run('invoice-run');
    expect(preview.stdout).to.include('3 invoices for 3 subscriptions, 103.50 USD').and.to.include('preview');
    expect(await t.db('invoice')).to.have.length(0);
    const applied = await cli.run('invoice-run', '--apply', '--json');
    expect(applied.json()).to.deep.include({ ok: true, issuedCount: 3 });
    expect((await cli.run('invoice-run', '--apply', '--json')).json()).to.deep.include({ issuedCount: 0 });
    expect((await cli.run('invoice-run', '--apply', '--as-of', '2027-01-01')).code).to.equal(2);
    expect((await cli.run('invoice-run', '--as-of', 'tomorrow')).stderr).to.include('--as-of: must be a day');
  });

  it('pay, once and again, is one payment; another amount on the reference is refused', async () => {
    const first = await cli.run('pay', 'tess', '40', '--channel', 'cash', '--reference', 'R-1');
    expect(first.stdout)
      .to.match(/set against\s+1 invoice/)
      .and.to.match(/to the wallet\s+5\.50 USD/);
    expect((await cli.run('pay', 'tess', '40', '--channel', 'cash', '--reference', 'R-1')).stdout).to.include(
      'recorded before',
    );
    const other = await cli.run('pay', 'tess', '41', '--channel', 'cash', '--reference', 'R-1');
    expect(other.code).to.equal(1);
    expect(other.stderr).to.include('belongs to another payment');
    expect((await cli.run('ledger', 'balance', 'tess', '--json')).json()).to.deep.include({
      owedMinor: '0',
      walletMinor: '550',
    });
    expect(await t.db('payment')).to.have.length(1);
  });

  for (const [args, fault] of [
    [['tess', '0', '--channel', 'cash', '--reference', 'x'], 'AMOUNT:'],
    [['tess', '-5', '--channel', 'cash', '--reference', 'x'], 'AMOUNT:'],
    [['tess', '1.005', '--channel', 'cash', '--reference', 'x'], 'AMOUNT:'],
    [['tess', '10', '--channel', 'gold', '--reference', 'x'], '--channel:'],
    [['tess', '10', '--channel', 'cash'], '--reference: is missing'],
    [['tess', '10', '--channel', 'cash', '--reference', ' '], '--reference:'],
    [
      ['tess', '10', '--channel', 'cash', '--reference', 'x', '--received-on', '2026-03-02'],
      '--received-on:',
    ],
  ] as const) {
    it(`pay ${args.slice(1).join(' ')}, names what is wrong and records nothing`, async () => {
      const ran = await cli.run('pay', ...args);
      expect(ran.code).to.equal(2);
      expect(ran.stderr).to.include(fault);
      expect(await t.db('payment')).to.have.length(1);
    });
  }

  it('overdue-run, as of a day to come, is a preview that writes nothing, and cannot be applied yet', async () => {
    const ran = await cli.run('overdue-run', '--as-of', '2026-03-12');
    expect(ran.stdout).to.include('lena').and.to.include('omar').and.not.to.include('tess');
    expect(ran.stdout)
      .to.include('2 subscriptions of 3 would be suspended')
      .and.to.include('nothing was changed');
    expect(await t.db('overdue_run')).to.have.length(0);
    const early = await cli.run('overdue-run', '--as-of', '2026-03-12', '--apply');
    expect(early.code).to.equal(2);
    expect(early.stderr).to.match(/--as-of: must not be later than \d{4}-\d\d-\d\d with --apply/);
    expect(await t.db('overdue_run'), 'nothing is planned either').to.have.length(0);
    expect((await cli.run('overdue-run', '--as-of', '2026-03-12', '--plan')).code).to.equal(0);
    const planned = await cli.run('overdue-run', '--run', '1', '--apply');
    expect(planned.code).to.equal(1);
    expect(planned.stderr).to.include('still to come');
    await cli.run('overdue-run', '--run', '1', '--cancel', '--note', 'too early');
  });

  // 12 March: lena and omar are past due and grace.
  it('overdue-run --apply, excludes whom it is told, suspends the others, and shows it', async () => {
    cli.context.clock.set('2026-03-12T10:00:00Z');
    expect(
      (await cli.run('overdue-run', '--as-of', '2026-03-12', '--apply', '--exclude', 'omar')).stderr,
    ).to.include('--note: is missing');
    const ran = await cli.run(
      'overdue-run',
      '--as-of',
      '2026-03-12',
      '--apply',
      '--exclude',
      'omar',
      '--note',
      'hospital',
    );
    expect(ran.code, ran.stderr).to.equal(0);
    expect(ran.stdout).to.include('1 excluded, 1 applied');
    const open = await t
      .db('suspension as s')
      .join('login as l', 'l.subscription_id', 's.subscription_id')
      .whereNull('s.closed_at')
      .pluck<string[]>('l.username');
    expect(open).to.deep.equal(['lena']);
    const id = /run\s+(\d+) as of/.exec(ran.stdout)?.[1] ?? '';
    expect((await cli.run('overdue-run', 'show', id, '--json')).json()['run']).to.deep.include({
      state: 'applied',
    });
    expect((await cli.run('overdue-run', 'list')).stdout).to.include('2026-03-12');
  });

  it('overdue-run, of the next day, leaves the excluded one alone', async () => {
    cli.context.clock.set('2026-03-13T10:00:00Z');
    const ran = await cli.run('overdue-run', '--as-of', '2026-03-13', '--json');
    expect(ran.json()['actions']).to.deep.equal([]);
  });

  it('pay, of what is owed, gives service back in the same breath', async () => {
    const ran = await cli.run('pay', 'lena', '34.50', '--channel', 'bank', '--reference', 'TRX-1');
    expect(ran.stdout).to.include('back: 1 suspension closed');
    expect(await t.db('suspension').whereNull('closed_at')).to.have.length(0);
  });

  it('reverse-payment, opens the invoice again, once', async () => {
    const ran = await cli.run(
      'reverse-payment',
      '--channel',
      'bank',
      '--reference',
      'TRX-1',
      '--note',
      'bounced',
    );
    expect(ran.stdout).to.include('1 invoice open again');
    expect(
      (await cli.run('reverse-payment', '--channel', 'bank', '--reference', 'TRX-1', '--note', 'x')).code,
    ).to.equal(1);
    expect(
      (await cli.run('reverse-payment', '--channel', 'bank', '--reference', 'none', '--note', 'x')).code,
    ).to.equal(1);
  });

  it('overdue-run --rollback, takes back what it opened; --run needs a number that exists', async () => {
    const applied = await cli.run('overdue-run', '--as-of', '2026-03-13', '--apply');
    const id = /run\s+(\d+) as of/.exec(applied.stdout)?.[1] ?? '';
    expect((await cli.run('overdue-run', '--run', id, '--rollback')).stderr).to.include('--note: is missing');
    const back = await cli.run('overdue-run', '--run', id, '--rollback', '--note', 'bank file was late');
    expect(back.stdout).to.include('rolled back');
    expect(await t.db('suspension').whereNull('closed_at')).to.have.length(0);
    expect((await cli.run('overdue-run', '--run', 'x')).code).to.equal(2);
    expect((await cli.run('overdue-run', '--run', '9999', '--apply')).code).to.equal(1);
    expect((await cli.run('overdue-run', '--run', id, '--apply')).stderr).to.include('rolled back');
  });

  it('overdue-run, with options that contradict each other, says so', async () => {
    expect((await cli.run('overdue-run')).stderr).to.include('--as-of: is missing');
    expect((await cli.run('overdue-run', '--as-of', '2026-03-13', '--run', '1')).code).to.equal(2);
    expect((await cli.run('overdue-run', '--as-of', '2026-03-13', '--rollback')).stderr).to.include(
      '--rollback: needs --run',
    );
    expect((await cli.run('overdue-run', '--run', '1', '--approve', '--cancel')).code).to.equal(2);
    expect((await cli.run('overdue-run', '--as-of', '2026-13-40')).stderr).to.include(
      '--as-of: must be a day',
    );
  });

  it('overdue-run, unusually large, is held until another person approves it', async () => {
    await cli.run('settings', 'set', 'overdue-limit-count', '1');
    await cli.run('settings', 'set', 'overdue-limit-permille', '1');
    cli.context.clock.set('2026-04-20T10:00:00Z');
    await cli.run('invoice-run', '--apply', '--as-of', '2026-04-01');
    const held = await cli.run('overdue-run', '--as-of', '2026-04-20', '--apply');
    expect(held.code, held.stdout).to.equal(1);
    const id = /--run (\d+) --approve/.exec(held.stderr)?.[1] ?? '';
    expect((await cli.run('overdue-run', '--run', id, '--approve', '--apply')).code).to.equal(1);
    const approved = await cli.run(
      'overdue-run',
      '--run',
      id,
      '--approve',
      '--apply',
      '--actor',
      'somebody-else',
    );
    expect(approved.code, approved.stderr).to.equal(0);
  });

  it('promise, gives service back until the day; ledger check, adds up', async () => {
    const ran = await cli.run('promise', 'lena', '--by', '2026-04-25', '--note', 'salary');
    expect(ran.stdout).to.include('stays away until 2026-04-26');
    expect((await cli.run('promise', 'lena', '--by', '2026-04-01', '--note', 'past')).stderr).to.include(
      '--by:',
    );
    expect((await cli.run('ledger', 'check')).stdout).to.include('The ledger is ok');
    expect((await cli.run('ledger', 'check', '--last', '--json')).json()).to.deep.include({ ok: true });
  });
});
