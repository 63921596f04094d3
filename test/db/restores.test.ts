import { expect } from 'chai';
import { restoresSince } from '../../src/db/restores.ts';
import { type SeenRestore, restoreTimes } from '../../src/domain/restore-time.ts';
import { aLogin, aSubscriber, aSubscription, theOperator } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

const at = (time: string) => new Date(`2026-05-01T${time}Z`);

describe('restoreTimes', () => {
  const restore = (given: Partial<SeenRestore>): SeenRestore => ({
    askedAt: at('10:00:00.000'),
    decidedAt: at('10:00:00.200'),
    packets: 1,
    acknowledgedAt: at('10:00:00.300'),
    ...given,
  });

  it('of none, has no median', () => {
    expect(restoreTimes([])).to.deep.equal({ medianMs: null, slowestMs: null, count: 0, waiting: 0 });
  });

  it('from the act to the acknowledgement; where nothing was sent, to the rows', () => {
    expect(restoreTimes([restore({})]).medianMs).to.equal(300);
    expect(restoreTimes([restore({ packets: 0, acknowledgedAt: null })]).medianMs).to.equal(200);
  });

  it('one whose router has not answered, waits and has no time; one without an act is left out', () => {
    const times = restoreTimes([
      restore({}),
      restore({ acknowledgedAt: null, packets: 2 }),
      restore({ askedAt: null }),
    ]);
    expect(times).to.include({ count: 1, waiting: 1, medianMs: 300, slowestMs: 300 });
  });

  it('of an even number, takes the mean of the two in the middle; the slowest stands apart', () => {
    const took = (ms: number) => restore({ acknowledgedAt: new Date(at('10:00:00.000').getTime() + ms) });
    expect(restoreTimes([took(900), took(100), took(300), took(200)])).to.include({
      medianMs: 250,
      slowestMs: 900,
    });
  });

  it('an answer that another clock dates before the act, counts as no time at all', () => {
    expect(restoreTimes([restore({ acknowledgedAt: at('09:59:59.000') })]).slowestMs).to.equal(0);
  });
});

describe('restoresSince', () => {
  let t: TestDb;
  let login: Awaited<ReturnType<typeof aLogin>>;
  let subscriberId: string;

  before(async () => {
    t = await testDb();
    await theOperator(t.db);
    subscriberId = await aSubscriber(t.db, { name: 'Amina' });
    login = await aLogin(t.db, {
      subscriptionId: await aSubscription(t.db, { subscriberId }),
      username: 'amina',
    });
  });
  after(() => t.drop());
  beforeEach(async () => {
    for (const table of ['access_change', 'activity', 'enforcement']) await t.db(table).del();
  });

  const change = (time: string, from: string, to: string, by: string) =>
    t.db('access_change').insert({
      login_id: login.id,
      at: `2026-05-01 ${time}`,
      from_access: from,
      to_access: to,
      reason: 'paid_up',
      generation: 1,
      requested_by: by,
    });
  const packet = (time: string, by: string, outcome: string, answeredAt: string | null) =>
    t.db('enforcement').insert({
      radacctid: 1,
      login_id: login.id,
      router_id: 1,
      action: 'coa',
      why: 'paid_up',
      generation: 1,
      access_fingerprint: 'a',
      redial_fingerprint: 'b',
      attributes: '[]',
      requested_by: by,
      requested_at: `2026-05-01 ${time}`,
      sent_at: `2026-05-01 ${time}`,
      outcome,
      answered_at: answeredAt === null ? null : `2026-05-01 ${answeredAt}`,
    });
  const act = (time: string, by: string) =>
    t.db('activity').insert({
      at: `2026-05-01 ${time}`,
      actor: 'finance',
      verb: 'payment.record',
      subject_kind: 'payment',
      subject_id: '1',
      subscriber_id: subscriberId,
      correlation_id: by,
      diff: '{}',
      outcome: 'done',
    });

  it('finds the act behind a restore, and what the router said to the packet because of it', async () => {
    await act('10:00:00.000', 'c1');
    await change('10:00:00.150', 'denied', 'full', 'c1');
    await packet('10:00:00.160', 'c1', 'ack', '10:00:00.210');
    const [restore] = await restoresSince(t.db, at('09:00:00'), 10);
    expect(restore).to.deep.include({
      username: 'amina',
      askedAt: at('10:00:00.000'),
      decidedAt: at('10:00:00.150'),
      packets: 1,
      acknowledgedAt: at('10:00:00.210'),
    });
  });

  it('a packet of another act, or an older one of the same, is not its answer', async () => {
    await act('10:00:00', 'c1');
    await change('10:00:01', 'throttled', 'full', 'c1');
    await packet('10:00:02', 'c2', 'ack', '10:00:03');
    await packet('09:30:00', 'c1', 'ack', '09:30:01');
    await packet('10:00:02', 'c1', 'timeout', null);
    const [restore] = await restoresSince(t.db, at('09:00:00'), 10);
    expect(restore).to.deep.include({ packets: 1, acknowledgedAt: null });
  });

  it('a restore without an act on record, says so; who lost access is none', async () => {
    await change('10:00:00', 'denied', 'full', 'sweep');
    await change('10:01:00', 'full', 'denied', 'hold');
    const restores = await restoresSince(t.db, at('09:00:00'), 10);
    expect(restores.map((one) => one.askedAt)).to.deep.equal([null]);
  });

  it('gives those since an instant, the newest first and no more than asked for', async () => {
    for (const minute of ['01', '02', '03']) await change(`10:${minute}:00`, 'denied', 'full', `c${minute}`);
    const two = await restoresSince(t.db, at('09:00:00'), 2);
    expect(two.map((one) => one.decidedAt)).to.deep.equal([at('10:03:00'), at('10:02:00')]);
    expect(await restoresSince(t.db, at('10:02:30'), 10)).to.have.length(1);
  });
});
