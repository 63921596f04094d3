import { expect } from 'chai';
import { figureBefore, forgetFigures, readFigures, sumFigures, writeFigures } from '../../src/db/figures.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { fillFigures, tidyFigures } from '../../src/network/figures.ts';
import {
  aLogin,
  anInvoice,
  aRouter,
  aSubscriber,
  aSubscription,
  type TestContext,
  testContext,
  theOperator,
} from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

const at = (time: string) => new Date(`2026-05-01T${time}Z`);

describe('the figures job', () => {
  let t: TestDb;
  let ctx: TestContext;

  before(async () => {
    t = await testDb();
    ctx = testContext(t.db, { now: '2026-05-01T10:07:20Z' });
    await theOperator(t.db);
    await saveSettings(t.db, { zone: 'UTC' }, ctx.clock.now());
  });
  after(() => t.drop());
  beforeEach(async () => {
    ctx.clock.set('2026-05-01T10:07:20Z');
    for (const table of ['figure_minute', 'radacct', 'radpostauth', 'access_change', 'enforcement'])
      await t.db(table).del();
  });

  const valuesOf = async (kind: string, subject?: string) => {
    const found = await readFigures(t.db, [kind], at('00:00:00'), subject);
    return Object.fromEntries(
      (found.get(kind) ?? []).map((point) => [point.at.toISOString().slice(11, 16), Number(point.value)]),
    );
  };
  let sessions = 0;
  const session = (startedAt: string, more: Record<string, unknown> = {}) =>
    t.db('radacct').insert({
      acctsessionid: `s${++sessions}`,
      acctuniqueid: String(sessions).padStart(32, '0'),
      username: `user${sessions}`,
      acctstarttime: `2026-05-01 ${startedAt}`,
      ...more,
    });
  const reject = (time: string, reason: string, routerId: string | null = null) =>
    t.db('radpostauth').insert({
      username: `someone${++sessions}`,
      authdate: `2026-05-01 ${time}`,
      reason,
      router_id: routerId,
      slot: `slot${sessions}`,
      minute: sessions,
    });

  it('counts sessions by the minute in which they started, with zeros where none did', async () => {
    await session('10:05:10');
    await session('10:05:50');
    await session('10:06:01', { acctstoptime: '2026-05-01 10:06:30' });
    await fillFigures(ctx);
    const starts = await valuesOf('starts');
    expect(starts).to.include({ '10:05': 2, '10:06': 1, '10:07': 0 });
    expect((await valuesOf('online'))['10:07']).to.equal(2);
  });

  it('counted again after a late row, has the newest count and nothing twice', async () => {
    await session('10:06:10');
    await fillFigures(ctx);
    await fillFigures(ctx);
    expect((await valuesOf('starts'))['10:06']).to.equal(1);
    await session('10:06:40');
    ctx.clock.set('2026-05-01T10:08:20Z');
    await fillFigures(ctx);
    expect((await valuesOf('starts'))['10:06']).to.equal(2);
    const total = await sumFigures(t.db, ['starts', 'restored'], at('00:00:00'));
    expect(total.get('starts')).to.equal(2n);
    expect(total.get('restored')).to.equal(0n);
  });

  it('after a pause, catches up with what happened since its last count, six hours at most', async () => {
    await fillFigures(ctx);
    await session('10:20:00');
    await session('12:40:00');
    ctx.clock.set('2026-05-01T13:00:20Z');
    await fillFigures(ctx);
    expect(await valuesOf('starts')).to.include({ '10:20': 1, '12:40': 1, '11:30': 0 });
    await session('14:00:00');
    ctx.clock.set('2026-05-01T21:00:20Z');
    await fillFigures(ctx);
    const starts = await valuesOf('starts');
    expect(starts['15:00']).to.equal(0);
    expect(starts['14:00']).to.equal(undefined);
  });

  it('counts rejects by minute and reason, one of a list that is known', async () => {
    await reject('10:06:10', 'wrong_password');
    await reject('10:06:20', 'wrong_password');
    await reject('10:06:30', 'something nobody ever heard of');
    await fillFigures(ctx);
    expect((await valuesOf('rejects'))['10:06']).to.equal(3);
    expect((await valuesOf('reject.wrong_password'))['10:06']).to.equal(2);
    expect((await valuesOf('reject.other'))['10:06']).to.equal(1);
  });

  it('of a router, counts starts and rejects by five minutes, under its number', async () => {
    const { id } = await aRouter(t.db, { name: 'pop-1', address: '192.0.2.5' });
    await session('10:05:10', { router_id: id });
    await session('10:06:10', { router_id: id });
    await reject('10:04:10', 'wrong_mac', id);
    await reject('10:06:10', 'wrong_mac', id);
    await fillFigures(ctx);
    expect(await valuesOf('router.starts', id)).to.deep.equal({ '10:05': 2 });
    expect(await valuesOf('router.rejects', id)).to.deep.equal({ '10:00': 1, '10:05': 1 });
    expect(await valuesOf('router.starts')).to.deep.equal({});
  });

  it('counts who lost full access and who has it again, and nobody who ended for good', async () => {
    const login = await aLogin(t.db, { username: 'changing' });
    const change = (time: string, from: string | null, to: string, reason: string) =>
      t.db('access_change').insert({
        login_id: login.id,
        at: `2026-05-01 ${time}`,
        from_access: from,
        to_access: to,
        reason,
        generation: ++sessions,
        requested_by: 'test',
      });
    await change('10:05:10', null, 'full', 'paid_up');
    await change('10:05:20', 'full', 'throttled', 'invoice_overdue');
    await change('10:05:30', 'throttled', 'denied', 'staff_hold');
    await change('10:06:10', 'denied', 'full', 'paid_up');
    await change('10:06:20', 'full', 'denied', 'subscription_terminated');
    await fillFigures(ctx);
    expect((await valuesOf('blocked'))['10:05']).to.equal(1);
    expect((await valuesOf('restored'))['10:05']).to.equal(0);
    expect(await valuesOf('restored')).to.include({ '10:06': 1 });
    expect((await valuesOf('blocked'))['10:06']).to.equal(0);
  });

  it('a packet whose answer came later, leaves the count of those without one', async () => {
    const login = await aLogin(t.db, { username: 'asked' });
    await t.db('enforcement').insert({
      radacctid: 1,
      login_id: login.id,
      router_id: 1,
      action: 'coa',
      why: 'paid_up',
      generation: 1,
      access_fingerprint: 'a',
      redial_fingerprint: 'b',
      attributes: '[]',
      requested_by: 'test',
      requested_at: '2026-05-01 10:06:00',
      sent_at: '2026-05-01 10:06:01',
      outcome: 'pending',
    });
    await fillFigures(ctx);
    expect((await valuesOf('packet.coa.pending'))['10:06']).to.equal(1);
    await t.db('enforcement').update({ outcome: 'ack' });
    ctx.clock.set('2026-05-01T10:08:20Z');
    await fillFigures(ctx);
    expect((await valuesOf('packet.coa.pending'))['10:06']).to.equal(0);
    expect((await valuesOf('packet.coa.ack'))['10:06']).to.equal(1);
  });

  it('counts open sessions of the throttled and the walled apart from all', async () => {
    for (const [username, access] of [
      ['slow1', 'throttled'],
      ['slow2', 'throttled'],
      ['wall1', 'walled_garden'],
      ['fine1', 'full'],
    ] as const) {
      const { id } = await aLogin(t.db, { username });
      await t.db('access_decision').insert({
        login_id: id,
        access,
        reason: access === 'full' ? 'paid_up' : 'invoice_overdue',
        generation: 1,
        access_fingerprint: 'a',
        redial_fingerprint: 'b',
        coa_attributes: '[]',
        decided_at: '2026-05-01 08:00:00',
        requested_by: 'test',
      });
      await session('09:00:00', { username });
    }
    await session('09:00:00', { username: 'slow2' });
    await session('08:00:00', { username: 'slow1', acctstoptime: '2026-05-01 08:30:00' });
    await fillFigures(ctx);
    expect((await valuesOf('sessions.throttled'))['10:07']).to.equal(3);
    expect((await valuesOf('sessions.walled_garden'))['10:07']).to.equal(1);
    expect((await valuesOf('sessions.denied'))['10:07']).to.equal(0);
    expect((await valuesOf('online'))['10:07']).to.equal(5);
  });

  it('what is owed, is summed by how long it is past due, every five minutes', async () => {
    const subscriberId = await aSubscriber(t.db, { name: 'Owing' });
    for (const [dueOn, openMinor] of [
      ['2026-05-01', 100n],
      ['2026-04-30', 200n],
      ['2026-04-01', 400n],
      ['2026-03-31', 800n],
      ['2026-02-20', 1600n],
      ['2025-12-01', 3200n],
    ] as const)
      await anInvoice(t.db, {
        subscriberId,
        subscriptionId: await aSubscription(t.db, { subscriberId }),
        dueOn,
        openMinor,
      });
    await fillFigures(ctx);
    const owed = async (age: string) => (await valuesOf(`owed.${age}`))['10:07'];
    expect(await owed('current')).to.equal(100);
    expect(await owed('1_30')).to.equal(600);
    expect(await owed('31_60')).to.equal(800);
    expect(await owed('61_90')).to.equal(1600);
    expect(await owed('older')).to.equal(3200);
    ctx.clock.set('2026-05-01T10:08:20Z');
    await fillFigures(ctx);
    expect(Object.keys(await valuesOf('owed.current'))).to.deep.equal(['10:07']);
    ctx.clock.set('2026-05-01T10:12:20Z');
    await fillFigures(ctx);
    expect(Object.keys(await valuesOf('owed.current'))).to.deep.equal(['10:07', '10:12']);
  });

  it('takings, are by the day of receipt without what was reversed, and a later reversal is found by the tidying', async () => {
    const subscriberId = await aSubscriber(t.db, { name: 'Paying' });
    const pay = (receivedOn: string, amount: number, reference: string) =>
      t.db('payment').insert({
        subscriber_id: subscriberId,
        channel: 'cash',
        reference,
        amount_minor: amount,
        currency: 'USD',
        exponent: 2,
        received_on: receivedOn,
        recorded_at: '2026-05-01 09:00:00',
        recorded_by: 'test',
      });
    await pay('2026-05-01', 1000, 'a');
    await pay('2026-05-01', 500, 'b');
    await pay('2026-04-20', 700, 'c');
    await fillFigures(ctx);
    const taken = async (day: string) => {
      const found = await readFigures(t.db, ['collected'], new Date(`${day}T00:00:00Z`));
      return found.get('collected')?.[0]?.value;
    };
    expect(await taken('2026-05-01')).to.equal(1500n);
    expect(await taken('2026-04-20')).to.equal(700n);
    await t.db('payment').where({ reference: 'c' }).update({ reversed_at: '2026-05-01 10:00:00' });
    ctx.clock.set('2026-05-01T10:08:20Z');
    await fillFigures(ctx);
    expect(await taken('2026-04-20')).to.equal(700n);
    await tidyFigures(ctx);
    expect(await taken('2026-04-20')).to.equal(0n);
  });

  it('tidying, takes out minutes of more than eight days ago and keeps the daily takings', async () => {
    const old = new Date('2026-04-20T00:00:00Z');
    await writeFigures(t.db, [
      { kind: 'starts', subject: '0', at: old, value: 5n },
      { kind: 'collected', subject: '0', at: old, value: 9n },
      { kind: 'starts', subject: '0', at: at('09:00:00'), value: 6n },
    ]);
    expect(await forgetFigures(t.db, new Date('2026-04-23T00:00:00Z'), ['collected'])).to.equal(1);
    const left = await readFigures(t.db, ['starts', 'collected'], old);
    expect(left.get('starts')?.map((point) => point.value)).to.deep.equal([6n]);
    expect(left.get('collected')?.map((point) => point.value)).to.deep.equal([9n]);
  });

  it('figureBefore, gives the value of that minute or the last before it', async () => {
    await writeFigures(t.db, [
      { kind: 'mark.x', subject: '0', at: at('09:00:00'), value: 1n },
      { kind: 'mark.x', subject: '0', at: at('09:10:00'), value: 2n },
    ]);
    expect((await figureBefore(t.db, 'mark.x', at('09:09:00')))?.value).to.equal(1n);
    expect((await figureBefore(t.db, 'mark.x', at('09:10:00')))?.value).to.equal(2n);
    expect(await figureBefore(t.db, 'mark.x', at('08:59:00'))).to.equal(undefined);
  });
});
