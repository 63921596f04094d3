import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { decisionsOf } from '../../src/db/access-decisions.ts';
import { needsAttention } from '../../src/db/reconcile-queue.ts';
import { requestReconcile } from '../../src/db/reconcile-requests.ts';
import type { LoginId } from '../../src/domain/ids.ts';
import { retiredRowsKeptMs } from '../../src/domain/access.ts';
import { reconcileLogins } from '../../src/reconcile/login.ts';
import {
  aBillingProfile,
  aLogin,
  aPackage,
  aPool,
  aSubscriber,
  aSubscription,
  type TestContext,
  testContext,
} from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { mortalDb } from '../support/mortal-db.ts';
import {
  claimLogins,
  closeSuspensions,
  countStatements,
  manyLogins,
  openSuspension,
  requestLogins,
  rowsOf,
} from './login-support.ts';

describe('reconcile/login', () => {
  let test: TestDb;
  let db: Knex;
  let ctx: TestContext;
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());
  beforeEach(async () => {
    await db('reconcile_queue').del();
    await db('radacct').del();
    ctx = testContext(db);
  });

  /** A request, a claim and a look. */
  const reconcile = async (ids: readonly string[]) => {
    await requestLogins(db, ids);
    return reconcileLogins(ctx, await claimLogins(db));
  };
  const decisionOf = async (id: LoginId) => (await decisionsOf(db, [id])).get(id);
  const changesOf = (id: LoginId) =>
    db('access_change').where({ login_id: id }).orderBy('id').select<
      {
        from_access: string | null;
        to_access: string;
        reason: string;
        generation: string;
        requested_by: string;
      }[]
    >('from_access', 'to_access', 'reason', 'generation', 'requested_by');
  const queueKeys = () => db('reconcile_queue').where({ kind: 'login' }).pluck<string[]>('key');

  it('reconcileLogins, of a new login, writes its rows, its decision and the first line of its history', async () => {
    const packageId = await aPackage(db, {
      poolId: await aPool(db, { name: 'home-pool', suspendedName: 'home-pool-off' }),
      rateLimit: '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M',
      idleTimeoutSeconds: 900,
    });
    const login = await aLogin(db, {
      username: "o'hara+1",
      password: 'пароль "1"\\',
      macLock: 'AA:BB:CC:DD:EE:01',
      subscriptionId: await aSubscription(db, { packageId }),
    });
    const outcome = await reconcile([login.id]);
    expect(outcome).to.deep.include({ done: 1, failed: 0, decisions: 1, sessions: 0 });
    const decision = await decisionOf(login.id);
    const rows = await rowsOf(db, login.username);
    expect(rows.check).to.deep.equal({
      'Cleartext-Password': 'пароль "1"\\',
      'Calling-Station-Id': 'AA:BB:CC:DD:EE:01',
      'Simultaneous-Use': '1',
    });
    expect(rows.reply).to.deep.equal({
      Class: `S1.${login.id}.${decision?.accessFingerprint}.${decision?.redialFingerprint}`,
      'Mikrotik-Rate-Limit': '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M',
      'Mikrotik-Address-List': 'sluice-full',
      'Framed-Pool': 'home-pool',
      'Idle-Timeout': '900',
      'Acct-Interim-Interval': '300',
    });
    expect(decision).to.deep.include({ access: 'full', reason: 'paid_up', generation: 1n, reviewAt: null });
    expect(decision?.coaAttributes).to.deep.equal([
      ['Mikrotik-Rate-Limit', '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M'],
      ['Idle-Timeout', '900'],
    ]);
    expect(await changesOf(login.id)).to.deep.equal([
      { from_access: null, to_access: 'full', reason: 'paid_up', generation: '1', requested_by: 'test' },
    ]);
    expect(await queueKeys()).to.deep.equal([]);
  });

  it('reconcileLogins, run twice, writes nothing the second time', async () => {
    const login = await aLogin(db);
    await reconcile([login.id]);
    await requestLogins(db, [login.id]);
    const claims = await claimLogins(db);
    const stop = countStatements(db);
    const outcome = await reconcileLogins(ctx, claims);
    const writes = stop().filter((sql) => /^\s*(insert|update|delete|replace)/i.test(sql));
    expect(outcome).to.deep.equal({ done: 1, failed: 0, rows: 0, decisions: 0, sessions: 0 });
    // The two that remain write nothing: the finished wish is deleted, and sessions that differ are looked for.
    expect(writes.map((sql) => /reconcile_queue/.test(sql))).to.deep.equal([true, true]);
    expect(await db('reconcile_queue').select('id')).to.deep.equal([]);
  });

  it('reconcileLogins, through overdue, staff block, lift and payment, follows the strictest and counts generations', async () => {
    const login = await aLogin(db);
    const seen: string[] = [];
    const look = async () => {
      await reconcile([login.id]);
      const decision = await decisionOf(login.id);
      const { check, reply } = await rowsOf(db, login.username);
      seen.push(
        `${decision?.access} ${decision?.reason} ${decision?.generation} ${reply['Mikrotik-Rate-Limit']} ${check['Sluice-Deny-Reason'] ?? '-'}`,
      );
    };
    await look();
    await openSuspension(db, login.subscriptionId, 'overdue', 'throttle', '1M/2M');
    await look();
    await openSuspension(db, login.subscriptionId, 'staff', 'block');
    await look();
    await db('suspension').where({ cause: 'staff', subscription_id: login.subscriptionId }).update({
      closed_at: '2026-03-02 00:00:00.000',
      closed_because: 'lifted',
    });
    await look();
    await closeSuspensions(db, login.subscriptionId);
    await look();
    expect(seen).to.deep.equal([
      'full paid_up 1 10M/50M -',
      'throttled invoice_overdue 2 1M/2M -',
      'denied staff_hold 3 64k/64k staff_hold',
      'throttled invoice_overdue 4 1M/2M -',
      'full paid_up 5 10M/50M -',
    ]);
    expect((await changesOf(login.id)).map((row) => `${row.from_access}>${row.to_access}`)).to.deep.equal([
      'null>full',
      'full>throttled',
      'throttled>denied',
      'denied>throttled',
      'throttled>full',
    ]);
  });

  it('reconcileLogins, when only the reason changes, keeps the generation and writes the history', async () => {
    const login = await aLogin(db);
    await openSuspension(db, login.subscriptionId, 'overdue', 'block');
    await reconcile([login.id]);
    await openSuspension(db, login.subscriptionId, 'fraud', 'block');
    await reconcile([login.id]);
    expect(await decisionOf(login.id)).to.deep.include({ reason: 'fraud_hold', generation: 1n });
    expect((await rowsOf(db, login.username)).check['Sluice-Deny-Reason']).to.equal('fraud_hold');
    expect((await changesOf(login.id)).map((row) => row.reason)).to.deep.equal([
      'invoice_overdue',
      'fraud_hold',
    ]);
  });

  it('reconcileLogins, when the password or the MAC lock changes, changes rows and no generation', async () => {
    const login = await aLogin(db);
    await reconcile([login.id]);
    await db('login')
      .where({ id: login.id })
      .update({
        secret: ctx.vault.seal(`login.secret:${login.id}`, 'another'),
        mac_lock: 'AA:BB:CC:DD:EE:02',
      });
    const outcome = await reconcile([login.id]);
    expect(outcome).to.include({ rows: 2, decisions: 0 });
    expect((await rowsOf(db, login.username)).check).to.include({
      'Cleartext-Password': 'another',
      'Calling-Station-Id': 'AA:BB:CC:DD:EE:02',
    });
  });

  it("reconcileLogins, when rows were edited by hand, sets them right and leaves other people's alone", async () => {
    const login = await aLogin(db);
    await reconcile([login.id]);
    const good = await rowsOf(db, login.username);
    await db('radreply').insert([
      { username: 'foreign', attribute: 'Framed-Pool', value: 'x' },
      { username: login.username, attribute: 'Mikrotik-Rate-Limit', value: '99M', ordinal: 1 },
      { username: login.username, attribute: 'Filter-Id', value: 'open' },
    ]);
    await db('radreply').where({ username: login.username, attribute: 'Class' }).del();
    await db('radcheck').where({ username: login.username }).update({ value: 'x' });
    expect((await reconcile([login.id])).rows).to.equal(5);
    expect(await rowsOf(db, login.username)).to.deep.equal(good);
    expect((await rowsOf(db, 'foreign')).reply).to.deep.equal({ 'Framed-Pool': 'x' });
  });

  it('reconcileLogins, of a retired login, says so without its password, and takes its rows away a month later', async () => {
    const login = await aLogin(db);
    await reconcile([login.id]);
    const before = await rowsOf(db, login.username);
    await db('login').where({ id: login.id }).update({ retired_at: '2026-03-01 09:00:00.000' });
    await reconcile([login.id]);
    const rows = await rowsOf(db, login.username);
    expect(rows.check).to.deep.equal({ 'Auth-Type': 'Reject', 'Sluice-Deny-Reason': 'login_retired' });
    expect(Object.keys(rows.reply)).to.deep.equal(Object.keys(before.reply));
    const end = new Date(Date.parse('2026-03-01T09:00:00Z') + retiredRowsKeptMs);
    expect((await decisionOf(login.id))?.reviewAt).to.deep.equal(end);
    ctx.clock.set(end.toISOString());
    await reconcile([login.id]);
    expect(await rowsOf(db, login.username)).to.deep.equal({ check: {}, reply: {} });
    expect(await decisionOf(login.id)).to.deep.include({
      access: 'denied',
      reason: 'login_retired',
      reviewAt: null,
    });
    expect((await db('login').where({ id: login.id }).first('username')) as unknown).to.include({
      username: login.username,
    });
  });

  it('reconcileLogins, of prepaid that expires, stores when to look again', async () => {
    const validUntil = new Date('2026-03-10T00:00:00.000Z');
    const profile = await aBillingProfile(db, { throttleRate: '64k' });
    const subscriptionId = await aSubscription(db, {
      subscriberId: await aSubscriber(db, { billingProfileId: profile }),
      validUntil,
      expiryEffect: 'throttle',
    });
    const login = await aLogin(db, { subscriptionId });
    await reconcile([login.id]);
    expect(await decisionOf(login.id)).to.deep.include({ access: 'full', reviewAt: validUntil });
    expect((await rowsOf(db, login.username)).check).to.include({ 'Sluice-Valid-Until': '1773100800' });
    ctx.clock.set(validUntil.toISOString());
    await reconcile([login.id]);
    expect(await decisionOf(login.id)).to.deep.include({
      access: 'throttled',
      rateLimit: '64k/64k',
      reviewAt: null,
    });
    expect((await rowsOf(db, login.username)).check).to.not.have.property('Sluice-Valid-Until');
  });

  describe('live sessions', () => {
    const openSession = async (username: string, className: string | null) => {
      const [id] = await db('radacct').insert({
        acctsessionid: '81',
        acctuniqueid: `${username}-${Math.random()}`.slice(0, 32),
        username,
        acctstarttime: '2026-03-01 08:00:00',
        acctupdatetime: '2026-03-01 09:55:00',
        class: className,
        router_id: 4,
      });
      return String(id);
    };
    const sessionKeys = () =>
      db('reconcile_queue')
        .where({ kind: 'session' })
        .select<{ key: string; priority: number; requested_by: string }[]>('key', 'priority', 'requested_by');

    it('reconcileLogins, when access changes, requests the open sessions with its cause and priority, and wakes the lane after its COMMIT', async () => {
      const login = await aLogin(db);
      await reconcile([login.id]);
      const { reply } = await rowsOf(db, login.username);
      const session = await openSession(login.username, `${reply['Class']}.abcd`);
      await openSuspension(db, login.subscriptionId, 'overdue', 'walled_garden');
      await requestLogins(db, [login.id], { priority: 'payment', requestedBy: 'pay-7' });
      let seenAtWake: Promise<Record<string, string>> | undefined;
      const deps = {
        ...ctx,
        wake: () => (seenAtWake = rowsOf(db, login.username).then((rows) => rows.reply)),
      };
      await reconcileLogins(deps, await claimLogins(db));
      expect(await sessionKeys()).to.deep.equal([{ key: session, priority: 90, requested_by: 'pay-7' }]);
      expect((await seenAtWake)?.['Mikrotik-Address-List']).to.equal('sluice-walled-garden');
    });

    it('reconcileLogins, when the session has what is wanted already, requests nothing and wakes nobody', async () => {
      const login = await aLogin(db);
      await reconcile([login.id]);
      const { reply } = await rowsOf(db, login.username);
      await openSession(login.username, `${reply['Class']}.abcd`);
      await reconcile([login.id]);
      expect(await sessionKeys()).to.deep.equal([]);
      expect(ctx.woken).to.deep.equal([]);
    });

    it("reconcileLogins, of one batch with many causes, keeps each session's own cause", async () => {
      const logins = await Promise.all([aLogin(db), aLogin(db), aLogin(db)]);
      await reconcile(logins.map((login) => login.id));
      for (const [i, login] of logins.entries()) {
        await openSession(login.username, null);
        await requestLogins(db, [login.id], {
          priority: i === 0 ? 'payment' : 'run',
          requestedBy: `cause-${i}`,
        });
      }
      await reconcileLogins(ctx, await claimLogins(db));
      const keys = await sessionKeys();
      expect(keys.map((key) => `${key.requested_by} ${key.priority}`).sort()).to.deep.equal([
        'cause-0 90',
        'cause-1 50',
        'cause-2 50',
      ]);
    });
  });

  describe('design 5.4: what is written is what was wanted last', () => {
    it('reconcileLogins, when a fact changes after it was read, drops that key and writes it the next time', async () => {
      const [changing, other] = await Promise.all([aLogin(db), aLogin(db)]);
      await reconcile([changing.id, other.id]);
      await closeSuspensions(db, changing.subscriptionId);
      await db('radcheck').del();
      await requestLogins(db, [changing.id, other.id]);
      const claims = await claimLogins(db);
      // A command has asked for the key and not committed yet: the look reads the old facts and waits for the row.
      const command = await db.transaction();
      await openSuspension(command, changing.subscriptionId, 'staff', 'block');
      await requestReconcile(command, [{ kind: 'login', key: changing.id }], {
        priority: 'staff',
        requestedBy: 'new',
      });
      const looking = reconcileLogins(ctx, claims);
      await wait(300);
      await command.commit();
      expect(await looking).to.include({ done: 1, failed: 0 });
      expect((await rowsOf(db, other.username)).check).to.have.property('Cleartext-Password');
      expect((await rowsOf(db, changing.username)).check, 'old facts are not written').to.deep.equal({});
      expect(await queueKeys()).to.deep.equal([changing.id]);
      await reconcileLogins(ctx, await claimLogins(db));
      expect((await rowsOf(db, changing.username)).check).to.include({ 'Sluice-Deny-Reason': 'staff_hold' });
    });

    it('reconcileLogins, by two workers on the same key, writes it once and ends right', async () => {
      const login = await aLogin(db);
      await requestLogins(db, [login.id]);
      const first = await claimLogins(db);
      await db('reconcile_queue').update({ locked_until: '2020-01-01 00:00:00.000' });
      const second = await claimLogins(db);
      const outcomes = await Promise.all([reconcileLogins(ctx, first), reconcileLogins(ctx, second)]);
      expect(outcomes.map((outcome) => outcome.done)).to.deep.equal([0, 1]);
      expect(await changesOf(login.id)).to.have.length(1);
      expect(await queueKeys()).to.deep.equal([]);
    });

    it('reconcileLogins, when the answer to its COMMIT is lost, has written once and taken the wish with it', async () => {
      const login = await aLogin(db);
      await requestLogins(db, [login.id]);
      const claims = await claimLogins(db);
      const wire = await mortalDb(test.address, { losesFirstCommit: true });
      await reconcileLogins({ ...ctx, db: wire.db }, claims);
      expect(wire.hasBroken()).to.equal(true);
      await wire.close();
      expect((await rowsOf(db, login.username)).check).to.have.property('Cleartext-Password');
      expect(await changesOf(login.id)).to.have.length(1);
      expect(await queueKeys()).to.deep.equal([]);
    });

    it('reconcileLogins, killed before its COMMIT, leaves the wish, which is looked at again', async () => {
      const like = await aLogin(db);
      await requestLogins(db, [like.id]);
      const counting = await mortalDb(test.address);
      await reconcileLogins({ ...ctx, db: counting.db }, await claimLogins(db));
      await counting.close();
      const login = await aLogin(db);
      await requestLogins(db, [login.id]);
      const claims = await claimLogins(db);
      const dying = await mortalDb(test.address, { diesAt: counting.commits()[0] ?? 0 });
      let thrown: unknown;
      await reconcileLogins({ ...ctx, db: dying.db }, claims).catch((error: unknown) => (thrown = error));
      await dying.close();
      expect(thrown).to.be.instanceOf(Error);
      expect(await queueKeys()).to.deep.equal([login.id]);
      await db('reconcile_queue').update({
        locked_until: '2020-01-01 00:00:00.000',
        not_before: '2020-01-01 00:00:00.000',
      });
      expect(await reconcileLogins(ctx, await claimLogins(db))).to.include({ done: 1, decisions: 1 });
      expect(await changesOf(login.id)).to.have.length(1);
      expect(await queueKeys()).to.deep.equal([]);
    });

    it('reconcileLogins, when its connection is killed in the transaction, repeats it and writes once', async () => {
      const login = await aLogin(db);
      await requestLogins(db, [login.id]);
      const claims = await claimLogins(db);
      const blocker = await db.transaction();
      await blocker('reconcile_queue').where({ kind: 'login', key: login.id }).forUpdate().select('id');
      const looking = reconcileLogins(ctx, claims);
      await wait(200);
      const [list] = (await db.raw('SHOW FULL PROCESSLIST')) as unknown as [
        { Id: string; Info: string | null }[],
      ];
      const victim = list.find((one) => /DELETE FROM reconcile_queue/i.test(one.Info ?? ''));
      await db.raw('KILL CONNECTION ?', [Number(victim?.Id)]);
      await blocker.rollback();
      expect(await looking).to.include({ done: 1, failed: 0 });
      expect(await changesOf(login.id)).to.have.length(1);
      expect((await rowsOf(db, login.username)).check).to.have.property('Cleartext-Password');
    });
  });

  describe('design 5.10: a login that is broken', () => {
    it('reconcileLogins, of one with a rate that cannot be read, fails it alone and the others go on', async () => {
      const packageId = await aPackage(db, { rateLimit: '10 Mbit' });
      const broken = await aLogin(db, { subscriptionId: await aSubscription(db, { packageId }) });
      const good = await aLogin(db);
      expect(await reconcile([broken.id, good.id])).to.include({ done: 1, failed: 1 });
      expect((await rowsOf(db, good.username)).check).to.have.property('Cleartext-Password');
      const row = (await db('reconcile_queue').where({ key: broken.id }).first()) as Record<string, unknown>;
      expect(row).to.include({ attempts: 1, claim_token: null });
      expect(row['last_error']).to.equal(
        'rate limit of the master package: burst rate: is a number with k, M or G, like 512k or 10M',
      );
    });

    it('reconcileLogins, of one whose password does not open, keeps the rows it has and names no secret', async () => {
      const login = await aLogin(db, { password: 'hush-hush' });
      await reconcile([login.id]);
      const before = await rowsOf(db, login.username);
      await db('login')
        .where({ id: login.id })
        .update({ secret: Buffer.from('00', 'hex') });
      expect(await reconcile([login.id])).to.include({ done: 0, failed: 1 });
      expect(await rowsOf(db, login.username)).to.deep.equal(before);
      const [error] = await db('reconcile_queue').where({ key: login.id }).pluck<string[]>('last_error');
      expect(error).to.equal('the password does not open with the keys that are configured: set it again');
    });

    it('reconcileLogins, of one that the database refuses, finds it by halves, and the others go on', async function () {
      this.timeout(60_000);
      const ids = await manyLogins(db, 40, 'halves');
      await db.raw(
        `CREATE TRIGGER refuse BEFORE INSERT ON radcheck FOR EACH ROW
         IF NEW.username = 'halves17' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF`,
      );
      try {
        expect(await reconcile(ids)).to.include({ done: 39, failed: 1 });
      } finally {
        await db.raw('DROP TRIGGER refuse');
      }
      const [error] = await db('reconcile_queue')
        .where({ key: ids[17] ?? '' })
        .pluck<string[]>('last_error');
      expect(error).to.match(/^database or system error/);
      await db('reconcile_queue').update({ not_before: '2020-01-01 00:00:00.000' });
      expect(await reconcileLogins(ctx, await claimLogins(db))).to.include({ done: 1, failed: 0 });
    });

    it('reconcileLogins, when the disk is full, fails as a whole and gives up on nobody', async function () {
      this.timeout(60_000);
      const ids = await manyLogins(db, 20, 'fulldisk');
      await db.raw(
        `CREATE TRIGGER full_disk BEFORE INSERT ON radcheck FOR EACH ROW
         SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'`,
      );
      try {
        const thrown = await reconcile(ids).catch((error: unknown) => error);
        expect(thrown).to.include({ errno: 1114 });
        const attempts = await db('reconcile_queue').whereIn('key', ids).pluck<number[]>('attempts');
        expect(attempts).to.deep.equal(ids.map(() => 0));
      } finally {
        await db.raw('DROP TRIGGER full_disk');
        await db('reconcile_queue').del();
      }
    });

    it('reconcileLogins, of one that stays broken, parks it under Needs attention', async function () {
      this.timeout(60_000);
      const login = await aLogin(db);
      await db('login')
        .where({ id: login.id })
        .update({ secret: Buffer.from('00', 'hex') });
      await requestLogins(db, [login.id]);
      for (let attempt = 0; attempt < 12; attempt++) {
        await db('reconcile_queue').update({ not_before: '2020-01-01 00:00:00.000' });
        await reconcileLogins(ctx, await claimLogins(db));
      }
      expect((await needsAttention(db)).map((row) => `${row.kind} ${row.key} ${row.attempts}`)).to.deep.equal(
        [`login ${login.id} 12`],
      );
    });

    it('reconcileLogins, of a login that does not exist, ends the wish', async () => {
      expect(await reconcile(['999999999'])).to.include({ done: 1, failed: 0, rows: 0 });
      expect(await queueKeys()).to.deep.equal([]);
    });

    it('reconcileLogins, when a setting cannot be read, throws and leaves the wishes', async () => {
      const login = await aLogin(db);
      await db('setting').insert({
        name: 'portRate',
        value: '"fast"',
        changed_at: '2026-01-01 00:00:00.000',
      });
      try {
        let thrown: unknown;
        await reconcile([login.id]).catch((error: unknown) => (thrown = error));
        expect(thrown)
          .to.be.instanceOf(RangeError)
          .with.property('message')
          .that.contains('setting portRate');
        expect(await queueKeys()).to.deep.equal([login.id]);
      } finally {
        await db('setting').where({ name: 'portRate' }).del();
      }
    });
  });

  it('reconcileLogins, of 10,000 logins, uses a bounded number of statements for each 500', async function () {
    this.timeout(120_000);
    const ids = await manyLogins(db, 10_000, 'bulk');
    await requestLogins(db, ids, { priority: 'run', requestedBy: 'bulk' });
    let done = 0;
    const perBatch: number[] = [];
    for (;;) {
      const claims = await claimLogins(db);
      if (claims.length === 0) break;
      const stop = countStatements(db);
      done += (await reconcileLogins(ctx, claims)).done;
      perBatch.push(stop().length);
    }
    expect(done).to.equal(10_000);
    expect(perBatch).to.have.length(20);
    expect(Math.max(...perBatch)).to.be.at.most(20);
    const counts = await Promise.all(
      ['radcheck', 'radreply', 'access_decision', 'access_change'].map(async (table) => {
        const [row] = await db(table).count<{ n: string }[]>('* as n');
        return Number(row?.n);
      }),
    );
    for (const count of counts) expect(count).to.be.at.least(10_000);
  });
});
