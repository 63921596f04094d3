import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { castOf } from '../../scripts/seed/cast.ts';
import { demoLogins, seedDemo } from '../../scripts/seed/demo.ts';
import { readLabConfig } from '../../scripts/lab/config.ts';
import { checkLedger } from '../../src/billing/ledger-check.ts';
import { planOverdueRun } from '../../src/billing/overdue-run-plan.ts';
import { loginFacts } from '../../src/db/account-facts.ts';
import { loginByUsername } from '../../src/db/subscribers.ts';
import { decideAccess } from '../../src/domain/access.ts';
import { parseDay } from '../../src/domain/day.ts';
import { rejection } from '../support/catalog.ts';
import { aSubscriber, testContext, testVault } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('seedDemo', () => {
  let t: TestDb;
  let folder: string;
  const now = new Date('2026-03-31T10:00:00Z');
  const count = Number(process.env['SLUICE_SEED_COUNT'] ?? 40);
  const seed = (db = t.db, progress: (done: number, total: number) => void = () => undefined) =>
    seedDemo({
      db,
      vault: testVault(),
      now,
      labConfigFile: join(folder, 'lab.json'),
      env: { SLUICE_LAB_PORT: '18080', SLUICE_RADIUS_AUTH_PORT: '11812', SLUICE_RADIUS_ACCT_PORT: '11813' },
      say: () => undefined,
      progress,
      count,
    });

  before(async function () {
    this.timeout(300_000);
    folder = mkdtempSync(join(tmpdir(), 'sluice-seed-'));
    t = await testDb();
    await seed();
  });
  after(async () => {
    await t.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  const accessOf = async (username: string, at = now) => {
    const login = await loginByUsername(t.db, username);
    if (login === undefined) throw new Error(`no login ${username}`);
    const facts = (await loginFacts(t.db, [login.id])).get(login.id);
    if (facts?.ok !== true) throw new Error(`facts of ${username} cannot be read`);
    const { access, reason } = decideAccess(facts.facts, at);
    return `${access.kind} ${reason}`;
  };

  it('of a year, leaves a ledger that adds up', async () => {
    const check = await checkLedger(testContext(t.db, { now: now.toISOString() }));
    expect(check.findings).to.deep.equal([]);
    expect(check.entryCount).to.be.greaterThan(count * 5);
  });

  for (const [username, access] of [
    ['demo-full', 'full paid_up'],
    ['demo-due', 'full paid_up'],
    ['demo-grace', 'full paid_up'],
    ['demo-overdue', 'full paid_up'],
    ['demo-blocked', 'denied invoice_overdue'],
    ['demo-throttled', 'throttled invoice_overdue'],
    ['demo-walled', 'walled_garden invoice_overdue'],
    ['demo-held', 'denied staff_hold'],
    ['demo-fraud', 'walled_garden fraud_hold'],
    ['demo-vacation', 'denied vacation'],
    ['demo-promise', 'full paid_up'],
    ['demo-lifted', 'full paid_up'],
    ['demo-static', 'full paid_up'],
    ['demo-wallet', 'full paid_up'],
    ["o'hara", 'full paid_up'],
  ] as const) {
    it(`makes ${username} ${access}`, async () => {
      expect(await accessOf(username)).to.equal(access);
    });
  }

  it('makes demo-ended a retired login', async () => {
    expect((await loginByUsername(t.db, 'demo-ended'))?.retiredAt).not.to.equal(null);
  });

  it('leaves demo-overdue to the next overdue run, and demo-due and demo-grace not', async () => {
    const usernames: string[] = [];
    await planOverdueRun(t.db, parseDay('2026-03-31'), (page) => {
      for (const action of page.actions) usernames.push(...action.usernames);
    });
    expect(usernames).to.include('demo-overdue');
    expect(usernames).not.to.include('demo-due');
    expect(usernames).not.to.include('demo-grace');
    expect(usernames).not.to.include('demo-promise');
    expect(usernames).not.to.include('demo-lifted');
  });

  it('gives every demo login what it says, and the crowd some of every kind of payer', async () => {
    const usernames = await t.db('login').pluck<string[]>('username');
    expect(usernames).to.have.length(count);
    for (const login of demoLogins()) {
      expect(usernames).to.include(login.username);
      expect(login.expect).not.to.equal('');
    }
    const kinds = new Set(castOf(300).map((person) => person.payer.kind));
    expect([...kinds].sort()).to.deep.equal(
      ['in_advance', 'in_grace', 'on_time', 'partial', 'stops', 'very_late'].sort(),
    );
  });

  it("writes the lab's configuration, which the lab reads and nobody else may", () => {
    const file = join(folder, 'lab.json');
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    const config = readLabConfig(file);
    expect(config.routers.map((router) => router.address)).to.deep.equal([
      '127.0.0.11',
      '127.0.0.12',
      '127.0.0.13',
    ]);
    expect(config.subscribers).to.have.length(count);
    expect(config.routers[0]?.pools).to.have.all.keys([
      'home',
      'home-suspended',
      'business',
      'business-suspended',
    ]);
    expect(readFileSync(file, 'utf8')).to.include('pässwörd-Жук');
  });

  it('run again, changes nothing but the file of the lab', async () => {
    const tables = [
      'login',
      'subscriber',
      'invoice',
      'payment',
      'ledger_entry',
      'suspension',
      'overdue_run',
      'activity',
    ];
    const counts = () =>
      Promise.all(
        tables.map((table) =>
          t
            .db(table)
            .count<{ n: string }[]>('* as n')
            .then((rows) => rows[0]?.n),
        ),
      );
    const before = await counts();
    rmSync(join(folder, 'lab.json'));
    await seed();
    expect(await counts()).to.deep.equal(before);
    expect(readLabConfig(join(folder, 'lab.json')).subscribers).to.have.length(count);
  });

  it('killed again and again, ends in the same ledger as one that was not', async () => {
    const other = await testDb();
    for (const share of [0.1, 0.35, 0.8]) {
      const killed = seed(other.db, (done, total) => {
        if (done / total > share) throw new Error('killed');
      });
      expect((await rejection(killed)).message).to.equal('killed');
    }
    await seed(other.db);
    const sums = async (db: Knex) => ({
      entries: (await db('ledger_entry').count<{ n: string }[]>('* as n'))[0]?.n,
      balances: (await db('ledger_account').pluck<(string | null)[]>('balance_minor')).map(String).sort(),
      invoices: (await db('invoice').pluck<string[]>('total_minor')).sort(),
      suspensions: (await db('suspension').count<{ n: string }[]>('* as n'))[0]?.n,
    });
    const resumed = await sums(other.db);
    const whole = await sums(t.db);
    expect(resumed).to.deep.equal(whole);
    expect((await checkLedger(testContext(other.db, { now: now.toISOString() }))).verdict).to.equal('ok');
    await other.drop();
  }).timeout(300_000);

  it('in a database with subscribers of its own, touches nothing', async () => {
    const other = await testDb();
    await aSubscriber(other.db);
    expect(await seed(other.db)).to.deep.equal({ isDemo: false, logins: [] });
    expect(await other.db('login')).to.have.length(0);
    await other.drop();
  });
});
