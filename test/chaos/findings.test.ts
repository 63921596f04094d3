import { expect } from 'chai';
import { forbiddenRows } from '../../scripts/faults/checks.ts';
import { planTroubles, type Trouble } from '../../scripts/faults/fault-plan.ts';
import { restFindings } from '../../scripts/faults/quiet.ts';
import { compare } from '../../scripts/faults/snapshot.ts';
import { aLogin, anInvoice, aSubscriber, aSubscription } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('what a story of chaos finds', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());

  const checksFor = async (username: string) =>
    (await forbiddenRows(t.db, '2026-03-20')).filter((one) => one.subject === username);

  async function suspended(username: string, given: { openMinor: bigint; access: string }) {
    const subscriberId = await aSubscriber(t.db);
    const subscriptionId = await aSubscription(t.db, { subscriberId });
    const login = await aLogin(t.db, { subscriptionId, username });
    await anInvoice(t.db, {
      subscriberId,
      subscriptionId,
      dueOn: '2026-03-11',
      openMinor: given.openMinor,
      state: given.openMinor === 0n ? 'paid' : 'open',
    });
    await t.db('suspension').insert({
      subscription_id: subscriptionId,
      cause: 'overdue',
      effect: 'block',
      opened_at: '2026-03-15 00:00:00.000',
      opened_by: 'schedule',
    });
    await t.db('access_decision').insert({
      login_id: login.id,
      access: given.access,
      reason: 'invoice_overdue',
      generation: 1,
      access_fingerprint: 'a',
      redial_fingerprint: 'b',
      coa_attributes: '[]',
      decided_at: '2026-03-15 00:00:00.000',
      requested_by: 'test',
    });
    if (given.access === 'denied') {
      await t.db('radcheck').insert({ username, attribute: 'Auth-Type', op: ':=', value: 'Reject' });
    }
  }

  it('somebody who paid and is still suspended', async () => {
    await suspended('paid', { openMinor: 0n, access: 'denied' });
    expect((await checksFor('paid')).map((one) => one.check)).to.deep.equal([
      'somebody paid-up is suspended as overdue',
    ]);
  });

  it('somebody suspended whose access is full', async () => {
    await suspended('lucky', { openMinor: 3000n, access: 'full' });
    expect((await checksFor('lucky')).map((one) => one.check)).to.deep.equal([
      'somebody suspended has full access',
    ]);
  });

  it('nothing in somebody who owes and is denied', async () => {
    await suspended('owes', { openMinor: 3000n, access: 'denied' });
    expect(await checksFor('owes')).to.deep.equal([]);
  });

  it('somebody who owes and was left out by the run of today, and not who was given time', async () => {
    for (const username of ['forgotten', 'given-time']) {
      const subscriberId = await aSubscriber(t.db);
      const subscriptionId = await aSubscription(t.db, { subscriberId });
      await aLogin(t.db, { subscriptionId, username });
      await anInvoice(t.db, { subscriberId, subscriptionId, dueOn: '2026-03-11' });
      if (username === 'forgotten') continue;
      await t.db('deferral').insert({
        subscription_id: subscriptionId,
        source: 'promise',
        until_on: '2026-03-25',
        opened_at: '2026-03-15 00:00:00.000',
        opened_by: 'test',
      });
    }
    const inDebt = async () => [...(await checksFor('forgotten')), ...(await checksFor('given-time'))];
    const ours = async () =>
      (await inDebt()).filter(({ check }) => check.includes('overdue')).map((one) => one.subject);
    expect(await ours()).to.deep.equal([]);
    await t.db('overdue_run').insert({
      as_of: '2026-03-20',
      state: 'applied',
      requested_by: 'test',
      requested_at: '2026-03-20 10:00:00.000',
    });
    expect(await ours()).to.deep.equal(['forgotten']);
  });

  it('a session that nobody asked for again but the walk over all of them, unless its router claimed it gone', async () => {
    for (const [username, outcome, cause] of [
      ['left', 'timeout', null],
      ['believed', 'nak', 503],
    ] as const) {
      await suspended(username, { openMinor: 3000n, access: 'throttled' });
      const [login] = await t.db('login').where({ username }).pluck<string[]>('id');
      const [session] = await t.db('radacct').insert({
        acctsessionid: username,
        acctuniqueid: username,
        username,
        nasipaddress: '127.0.0.2',
        acctstarttime: '2026-03-14 23:59:58',
      });
      const packet = {
        radacctid: session,
        login_id: login,
        router_id: 1,
        action: 'coa',
        why: 'invoice_overdue',
        generation: 1,
        access_fingerprint: 'a',
        redial_fingerprint: 'b',
        attributes: '[]',
        requested_at: '2026-03-15 00:00:00',
        sent_at: '2026-03-15 00:00:01',
      };
      await t.db('enforcement').insert({ ...packet, requested_by: 'run', outcome, error_cause: cause });
      expect(await checksFor(username), `${username}, asked for by its run`).to.deep.equal([]);
      await t.db('enforcement').insert({ ...packet, requested_by: 'tail:1', outcome: 'ack' });
    }
    expect((await checksFor('left')).map((one) => one.check)).to.deep.equal([
      'a session was forgotten until the walk over all of them',
    ]);
    expect(await checksFor('believed')).to.deep.equal([]);
  });

  it('a rest that took longer than what went wrong explains', () => {
    const liar = {
      phase: 0,
      atMs: 0,
      kind: 'router',
      router: 'pop-01',
      fault: { kind: 'refuse', errorCause: 503 },
      ms: 2000,
    } as const;
    const found = (seconds: number, lateMs: number, troubles: readonly Trouble[] = []) =>
      restFindings(seconds * 1000, { lateMs, troubles }).map((one) => one.check);
    expect(found(50, 0)).to.deep.equal([]);
    expect(found(70, 0)).to.deep.equal(['rest took too long']);
    expect(found(70, 1000)).to.deep.equal([]);
    expect(found(150, 0, [liar])).to.deep.equal([]);
    expect(found(200, 0, [liar])).to.deep.equal(['rest took too long']);
  });

  it('a line that differs, one that is missing, one that should not be', () => {
    const of = (lines: Record<string, string>) => new Map([['live lines', new Map(Object.entries(lines))]]);
    const found = compare(
      of({ same: '10M', slower: '10M', gone: '10M', lied: '10M' }),
      of({ same: '10M', slower: '1M', more: '5M', lied: 'lied about 20M' }),
    );
    expect(found.map((one) => [one.subject, one.detail])).to.deep.equal([
      ['slower', 'undisturbed: 10M; now: 1M'],
      ['gone', 'undisturbed: 10M; now: not there'],
      ['more', 'undisturbed: not there; now: 5M'],
    ]);
  });

  it('the same troubles for the same seed, others for another', () => {
    const stage = {
      processes: ['web-1', 'worker-1', 'lane-1'],
      routers: ['pop-01', 'pop-02'],
      nodes: 1,
      phases: 3,
      hasDisk: true,
      withinMs: 4000,
    };
    expect(planTroubles(7, stage)).to.deep.equal(planTroubles(7, stage));
    expect(planTroubles(7, stage)).to.not.deep.equal(planTroubles(8, stage));
  });
});
