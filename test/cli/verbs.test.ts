import { expect } from 'chai';
import { claim } from '../../src/db/reconcile-queue.ts';
import { reconcileLogins } from '../../src/reconcile/login.ts';
import { aRouter, type TestContext } from '../support/builders.ts';
import { smallCatalogue } from '../support/catalog.ts';
import { type Cli, testCli } from '../support/cli.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('the verbs', () => {
  let t: TestDb;
  let cli: Cli;
  let ctx: TestContext;
  before(async () => {
    t = await testDb();
    cli = testCli(t);
    ctx = cli.context;
    await smallCatalogue(ctx);
  });
  after(() => t.drop());

  /** What the worker does. */
  const work = async () => {
    await reconcileLogins(ctx, await claim(t.db, 'login', { limit: 500, leaseMs: 60_000 }));
  };
  const add = async (username: string, ...more: string[]) => {
    const args = [
      '--name',
      'Amina Haddad',
      '--profile',
      'block',
      '--package',
      'Home 50',
      '--username',
      username,
    ];
    const ran = await cli.run('subscriber', 'add', ...args, ...more);
    expect(ran.code, ran.stderr).to.equal(0);
    return ran;
  };
  const goesOnline = (username: string, routerId: string, more: Record<string, unknown> = {}) =>
    t.db('radacct').insert({
      acctsessionid: '81000001',
      acctuniqueid: `${username}-unique`.padEnd(32, '0').slice(0, 32),
      username,
      nasipaddress: '192.0.2.11',
      router_id: routerId,
      acctstarttime: '2026-03-01 09:00:00',
      acctupdatetime: '2026-03-01 09:55:00',
      framedipaddress: '10.1.0.7',
      callingstationid: '02:00:00:00:00:01',
      ...more,
    });

  describe('subscriber add', () => {
    it('shows a generated password once, and subscriber show never again', async () => {
      const ran = await add('amina');
      const password = /password\s+(\S{12})/.exec(ran.stdout)?.[1] ?? 'none';
      expect(password).to.match(/^[a-z2-9]{12}$/);
      const shown = await cli.run('subscriber', 'show', 'amina');
      expect(shown.stdout).to.include('Amina Haddad').and.not.to.include(password);
      expect((await cli.run('subscriber', 'show', 'amina', '--json')).stdout).not.to.include(password);
    });

    it('takes the password from standard input', async () => {
      const args = ['--name', 'N', '--profile', 'block', '--package', 'Home 50', '--username', 'stdin'];
      const ran = await cli.runWith(
        's3cret word\nnot this\n',
        'subscriber',
        'add',
        ...args,
        '--password-stdin',
        '--json',
      );
      expect(ran.json()).to.not.have.property('generatedPassword');
      const row = await t.db('login').where({ username: 'stdin' }).first<{ id: string; secret: Buffer }>();
      expect(ctx.vault.open(`login.secret:${row.id}`, row.secret)).to.equal('s3cret word');
    });

    it('with bad input, names options as they are typed, gives 2 and adds nothing', async () => {
      const args = ['--name', 'N', '--profile', 'block', '--package', 'Home 50', '--username', 'bad name'];
      const ran = await cli.run(
        'subscriber',
        'add',
        ...args,
        '--mac-lock',
        'zz',
        '--static-ip',
        '300.1.1.1',
        '--sessions',
        '1000',
      );
      expect(ran.code).to.equal(2);
      for (const option of ['--username:', '--mac-lock:', '--static-ip:', '--sessions:']) {
        expect(ran.stderr).to.include(option);
      }
      expect(await t.db('login').where({ username: 'bad name' })).to.have.length(0);
    });

    it('with a name that is taken, refuses with 1', async () => {
      await add('taken');
      const ran = await cli.run(
        'subscriber',
        'add',
        '--name',
        'N',
        '--profile',
        'block',
        '--package',
        'Home 50',
        '--username',
        'taken',
      );
      expect(ran.code).to.equal(1);
      expect(ran.stderr).to.include('--username: has been given before');
    });

    it('--for a subscriber that is there, adds a second subscription', async () => {
      await add('first');
      const ran = await cli.run(
        'subscriber',
        'add',
        '--for',
        'first',
        '--package',
        'Home 50',
        '--username',
        'second',
        '--json',
      );
      const shown = await cli.run('subscriber', 'show', 'first', '--json');
      expect((shown.json()['subscriptions'] as unknown[]).length).to.equal(2);
      expect(ran.code).to.equal(0);
    });
  });

  describe('subscriber find', () => {
    it('finds by the beginning of username, name, last name and phone', async () => {
      await add("o'hara", '--phone', '+880 1234');
      for (const text of ["o'h", "O'H", 'amin', 'hadd', '+880 12']) {
        expect((await cli.run('subscriber', 'find', text)).stdout, text).to.include("o'hara");
      }
    });

    it('takes % and _ as letters', async () => {
      expect((await cli.run('subscriber', 'find', '%')).stdout).to.include('Nobody is called that.');
      expect((await cli.run('subscriber', 'find', '_', '--json')).json()).to.deep.include({ logins: [] });
    });

    it('says when there are more', async () => {
      await add('many1');
      await add('many2');
      const ran = await cli.run('subscriber', 'find', 'many', '--limit', '1');
      expect(ran.stdout).to.include('There are more than 1');
      expect((await cli.run('subscriber', 'find', 'x', '--limit', '0')).code).to.equal(2);
    });
  });

  describe('access', () => {
    it('before the worker has looked, says so and gives 1; after it, shows the rows as they should be and gives 0', async () => {
      await add('acc1', '--password', 'clear-text-pw');
      const before = await cli.run('access', 'acc1');
      expect(before.code).to.equal(1);
      expect(before.stdout).to.include('never written down yet').and.to.include('(missing)');
      await work();
      const after = await cli.run('access', 'acc1');
      expect(after.code, after.stdout).to.equal(0);
      expect(after.stdout).to.include('full (paid_up)').and.to.include('as they should be');
      expect(after.stdout).to.match(/why\s+Full access since \d+ \w+: nothing is owed\. Stays as it is\./);
      expect(after.stdout).to.include('No live session.').and.to.include('(hidden)');
      expect(after.stdout).not.to.include('clear-text-pw');
      expect((await cli.run('access', 'acc1', '--json')).stdout).not.to.include('clear-text-pw');
    });

    it('folds the name to lower case', async () => {
      expect((await cli.run('access', 'ACC1')).code).to.equal(0);
    });

    it('shows a row that somebody changed by hand', async () => {
      await t
        .db('radreply')
        .where({ username: 'acc1', attribute: 'Mikrotik-Rate-Limit' })
        .update({ value: '1G/1G' });
      const ran = await cli.run('access', 'acc1');
      expect(ran.code).to.equal(1);
      expect(ran.stdout).to.match(/!!\s+radreply\s+Mikrotik-Rate-Limit\s+10M\/50M\s+1G\/1G/);
    });

    it('of a session from before a hold, says that a Disconnect is wanted and nothing was sent', async () => {
      await add('acc2');
      await work();
      const router = await aRouter(t.db, { name: 'pop-acc', address: '192.0.2.11' });
      const decision = await t
        .db('access_decision as d')
        .join('login as l', 'l.id', 'd.login_id')
        .where('l.username', 'acc2')
        .first<Record<string, string>>();
      const classText = `S1.${decision['login_id'] ?? ''}.${decision['access_fingerprint'] ?? ''}.${decision['redial_fingerprint'] ?? ''}.nonce`;
      await goesOnline('acc2', router.id, { class: classText });
      const fine = await cli.run('access', 'acc2', '--json');
      expect(fine.code, fine.stdout).to.equal(0);
      await cli.run('hold', 'acc2', '--note', 'test');
      await work();
      const ran = await cli.run('access', 'acc2');
      expect(ran.code).to.equal(1);
      expect(ran.stdout).to.match(/why\s+Denied since .*: held by staff \(.*\), “test”\. Stays until/);
      expect(ran.stdout).to.match(/wanted\s+a Disconnect: the login is denied/);
      expect(ran.stdout).to.match(/sent\s+nothing yet/);
      expect(ran.stdout).to.match(/acknowledged\s+nothing yet/);
    });

    it('shows what FreeRADIUS last refused, and not what Sluice meant', async () => {
      await t.db('radpostauth').insert({
        username: 'acc1',
        reply: 'Access-Reject',
        authdate: '2026-03-01 08:00:00.000',
        reason: 'wrong_password',
        callingstationid: '02:00:00:00:00:09',
        nasipaddress: '192.0.2.11',
      });
      expect((await cli.run('access', 'acc1')).stdout).to.match(
        /last reject\s+2026-03-01 08:00:00\s+wrong_password, from 02:00:00:00:00:09/,
      );
    });
  });

  describe('hold and lift', () => {
    it('hold, then lift, closes it; each needs a note', async () => {
      await add('held');
      expect((await cli.run('hold', 'held')).stderr).to.include('--note: is missing');
      expect((await cli.run('hold', 'held', '--note', 'why')).code).to.equal(0);
      const again = await cli.run('hold', 'held', '--note', 'why', '--json');
      expect(again.code).to.equal(1);
      expect(again.json()).to.deep.equal({ ok: false, reason: 'already_held' });
      expect((await cli.run('lift', 'held', '--note', 'done')).stdout).to.include('Lifted: staff');
      expect((await cli.run('lift', 'held', '--note', 'done')).code).to.equal(1);
    });

    it('hold, with an effect that is none or a throttle without its rate, names the option', async () => {
      expect((await cli.run('hold', 'held', '--note', 'x', '--effect', 'explode')).code).to.equal(2);
      const ran = await cli.run('hold', 'held', '--note', 'x', '--effect', 'throttle');
      expect(ran.code).to.equal(2);
    });

    it('lift, with several causes open, asks which', async () => {
      await add('several');
      await cli.run('hold', 'several', '--note', 'a');
      await cli.run('hold', 'several', '--cause', 'fraud', '--note', 'b');
      const ran = await cli.run('lift', 'several', '--note', 'c');
      expect(ran.code).to.equal(1);
      expect(ran.stderr).to.include('--cause');
      expect((await cli.run('lift', 'several', '--cause', 'fraud', '--note', 'c')).code).to.equal(0);
    });
  });

  describe('kick', () => {
    it('without a session, says so; with one, asks for it', async () => {
      await add('kicked');
      expect((await cli.run('kick', 'kicked')).code).to.equal(1);
      const router = await aRouter(t.db, { name: 'pop-kick' });
      await goesOnline('kicked', router.id);
      const ran = await cli.run('kick', 'kicked', '--wait', '0', '--json');
      expect(ran.code).to.equal(1);
      expect(ran.json()).to.deep.include({ ok: false, open: 1 });
      expect(await t.db('kick')).to.have.length(1);
    });
  });

  describe('reconcile', () => {
    it('of a login, asks for it, and says when nobody does it', async () => {
      const ran = await cli.run('reconcile', 'amina', '--wait', '0');
      expect(ran.code).to.equal(1);
      expect(ran.stdout).to.include('still waiting').and.to.include('No worker is running');
    });

    it('of everything, asks for each live login', async () => {
      await t.db('reconcile_queue').del();
      await cli.run('reconcile', '--all', '--wait', '0');
      const [logins] = await t.db('login').whereNull('retired_at').count<{ n: string }[]>('* as n');
      const [queued] = await t
        .db('reconcile_queue')
        .where({ kind: 'login' })
        .count<{ n: string }[]>('* as n');
      expect(queued?.n).to.equal(logins?.n);
    });

    it('with nothing or two things, says what it needs', async () => {
      expect((await cli.run('reconcile')).code).to.equal(2);
      expect((await cli.run('reconcile', 'amina', '--all')).code).to.equal(2);
      expect((await cli.run('reconcile', '--router', 'nowhere')).stderr).to.include('--router: no router');
    });
  });

  describe('routers', () => {
    it('add, list, set, remove', async () => {
      const added = await cli.run('router', 'add', 'pop-cli', '--address', '192.0.2.99');
      expect(added.stdout).to.match(/\/radius add .*secret="[A-Za-z0-9]{32}"/);
      const secret = /secret="(\w+)"/.exec(added.stdout)?.[1] ?? '';
      const listed = await cli.run('router', 'list');
      expect(listed.stdout)
        .to.include('pop-cli')
        .and.to.include('no agent has seen it yet')
        .and.not.to.include(secret);
      expect((await cli.run('router', 'set', 'pop-cli', '--rate-change', 'disconnect')).stdout).to.include(
        'rateChange',
      );
      expect((await cli.run('router', 'set', 'pop-cli', '--rate-change', 'disconnect')).code).to.equal(1);
      expect((await cli.run('router', 'set', '192.0.2.99', '--new-secret')).stdout).to.include('/radius set');
      expect((await cli.run('router', 'remove', 'pop-cli')).code).to.equal(0);
      expect((await cli.run('router', 'list')).stdout).not.to.include('pop-cli');
    });

    it('with a name, address or port that is none, names the option', async () => {
      const ran = await cli.run('router', 'add', 'a b', '--address', 'nowhere', '--coa-port', '0');
      expect(ran.code).to.equal(2);
      expect(ran.stderr).to.include('--address:').and.to.include('--coa-port:');
    });

    it('remove, of one with open sessions, refuses and says how', async () => {
      const ran = await cli.run('router', 'remove', 'pop-kick');
      expect(ran.code).to.equal(1);
      expect(ran.stderr).to.include('--with-open-sessions');
    });
  });

  describe('packages and settings', () => {
    it('add and list', async () => {
      expect((await cli.run('master-package', 'add', 'M9', '--rate-limit', '9M/9M')).code).to.equal(0);
      expect(
        (await cli.run('package', 'add', 'Nine', '--master', 'M9', '--price', '9.90', '--tax-rate', 'VAT'))
          .code,
      ).to.equal(0);
      expect((await cli.run('package', 'list')).stdout).to.match(/Nine\s+M9\s+9\.90 USD\s+VAT 15 %\s+9M\/9M/);
      expect(
        (
          await cli.run(
            'billing-profile',
            'add',
            'walled',
            '--due-days',
            '7',
            '--grace-days',
            '0',
            '--effect',
            'walled_garden',
          )
        ).code,
      ).to.equal(0);
      expect((await cli.run('billing-profile', 'list')).stdout).to.include('walled_garden');
      expect(
        (await cli.run('tax-rate', 'add', 'GST', '--percent', '7.25', '--from', '2026-01-01')).code,
      ).to.equal(0);
      expect(
        (await cli.run('pool', 'add', 'pool-cli', '--range', 'pop-kick:10.1.0.2-10.1.0.9:10.2.0.2-10.2.0.9'))
          .code,
      ).to.equal(0);
    });

    it('with an amount, percentage, rate or range that is none, names the option and its rule', async () => {
      const price = await cli.run('package', 'add', 'X', '--master', 'M9', '--price', '9.999');
      expect(price.stderr).to.include('--price: must be an amount in USD with at most 2 decimals');
      for (const percent of ['x', '101', '7.255', '1e1', '-1']) {
        expect(
          (await cli.run('tax-rate', 'add', 'Y', `--percent=${percent}`, '--from', '2026-01-01')).stderr,
          percent,
        ).to.include('--percent: must be a number from 0 to 100');
      }
      expect(
        (await cli.run('tax-rate', 'add', 'Y', '--percent', '1', '--from', '2026-02-30')).stderr,
      ).to.include('--from:');
      expect((await cli.run('master-package', 'add', 'Z', '--rate-limit', 'fast')).stderr).to.include(
        '--rate-limit:',
      );
      expect((await cli.run('pool', 'add', 'p', '--range', 'x')).stderr).to.include('--range:');
    });

    it('master-package set, asks for everybody who has it', async () => {
      const ran = await cli.run('master-package', 'set', 'M50', '--rate-limit', '11M/55M');
      expect(ran.stdout).to.match(/Changed: rate_limit\. \d+ logins will follow/);
      expect((await cli.run('master-package', 'set', 'M50', '--rate-limit', '11M/55M')).stdout).to.include(
        'nothing was changed',
      );
    });

    it('settings set, changes what may change, and names what it is not', async () => {
      expect((await cli.run('settings', 'set', 'deferral-days', '9')).stdout).to.include('is 9 now');
      expect((await cli.run('settings')).stdout).to.match(/deferral-days\s+9/);
      expect((await cli.run('settings', 'set', 'deferral-day', '9')).stderr).to.include(
        'did you mean deferral-days?',
      );
      expect((await cli.run('settings', 'set', 'zone', 'Mars/Olympus')).code).to.equal(2);
      expect((await cli.run('settings', 'set', 'overdue-run-at', '25:00')).code).to.equal(2);
      expect((await cli.run('settings', 'set', 'port-rate', 'fast')).code).to.equal(2);
    });
  });

  describe('subscriber set, package and terminate', () => {
    it('change what they say', async () => {
      await add('changed');
      expect(
        (await cli.run('subscriber', 'set', 'changed', '--mac-lock', '02:00:00:00:00:07')).code,
      ).to.equal(0);
      expect((await cli.run('subscriber', 'set', 'changed', '--mac-lock', 'none')).code).to.equal(0);
      expect((await cli.run('subscriber', 'set', 'changed', '--new-password')).stdout).to.match(
        /Password: \S{12}/,
      );
      expect((await cli.run('subscriber', 'set', 'changed')).code).to.equal(1);
      expect((await cli.run('subscriber', 'package', 'changed', 'Family 50')).stdout).to.include(
        'From Home 50 to Family 50',
      );
      expect((await cli.run('subscriber', 'package', 'changed', 'Nothing')).stderr).to.include(
        'must be one of',
      );
      expect((await cli.run('subscriber', 'terminate', 'changed')).stderr).to.include('--yes');
      expect((await cli.run('subscriber', 'terminate', 'changed', '--yes')).code).to.equal(0);
      expect((await cli.run('subscriber', 'terminate', 'changed', '--yes')).code).to.equal(1);
    });
  });

  describe('needs-attention', () => {
    it('with nothing, gives 0; lists a parked key; retry and give-up take it off', async () => {
      await t.db('reconcile_queue').del();
      expect((await cli.run('needs-attention')).code).to.equal(0);
      await cli.run('reconcile', 'amina', '--wait', '0');
      const park = async () => {
        await t.db('reconcile_queue').update({ is_parked: true, attempts: 12, last_error: 'no answer' });
        return `k${(await t.db('reconcile_queue').first<{ id: string }>('id')).id}`;
      };
      const id = await park();
      const listed = await cli.run('needs-attention');
      expect(listed.code).to.equal(1);
      expect(listed.stdout).to.include(id).and.to.include('login amina').and.to.include('no answer');
      expect((await cli.run('needs-attention', '--retry', id)).code).to.equal(0);
      expect((await cli.run('needs-attention', '--retry', id)).code).to.equal(1);
      const again = await park();
      expect((await cli.run('needs-attention', '--give-up', again)).code).to.equal(2);
      expect((await cli.run('needs-attention', '--give-up', again, '--note', 'gone')).code).to.equal(0);
      expect((await cli.run('needs-attention', '--retry', 'nonsense')).code).to.equal(2);
    });
  });
});
