import { expect } from 'chai';
import { WatchFeed } from '../../src/cli/watch-feed.ts';
import { aLogin, aRouter } from '../support/builders.ts';
import { testCli } from '../support/cli.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('watch', () => {
  let t: TestDb;
  let loginId: string;
  let routerId: string;
  const now = new Date('2026-03-01T10:00:00Z');
  let number = 0;
  before(async () => {
    t = await testDb();
    loginId = (await aLogin(t.db, { username: 'amina' })).id;
    routerId = (await aRouter(t.db, { name: 'pop-1' })).id;
  });
  after(() => t.drop());

  const session = async (more: Record<string, unknown> = {}) => {
    number++;
    const [id] = await t.db('radacct').insert({
      acctsessionid: `8100${number}`,
      acctuniqueid: String(number).padStart(32, '0'),
      username: 'amina',
      router_id: routerId,
      framedipaddress: '10.1.0.7',
      acctstarttime: '2026-03-01 10:00:00',
      acctupdatetime: '2026-03-01 10:00:00',
      ...more,
    });
    return String(id);
  };
  const packet = async (radacctid: string, outcome: string) => {
    const [id] = await t.db('enforcement').insert({
      radacctid,
      login_id: loginId,
      router_id: routerId,
      action: 'coa',
      why: 'paid_up',
      generation: 1,
      access_fingerprint: '0123456789',
      redial_fingerprint: '0123456789',
      attributes: '[]',
      requested_by: 'test',
      requested_at: '2026-03-01 10:00:00',
      sent_at: '2026-03-01 10:00:00',
      outcome,
    });
    return String(id);
  };
  const kinds = async (feed: WatchFeed) => (await feed.look(now)).map((event) => event.kind);

  it('tells nothing of what was there before, and each thing once', async () => {
    await session();
    const feed = await WatchFeed.open(t.db, now, 0);
    expect(await kinds(feed)).to.deep.equal([]);
    await session();
    expect(await kinds(feed)).to.deep.equal(['online']);
    expect(await kinds(feed)).to.deep.equal([]);
  });

  it('with a tail, begins with so many older ones', async () => {
    const feed = await WatchFeed.open(t.db, now, 1);
    expect(await kinds(feed)).to.deep.equal(['online']);
  });

  it('tells of a row that becomes visible after one with a higher id', async () => {
    const feed = await WatchFeed.open(t.db, now, 0);
    const trx = await t.db.transaction();
    await trx('access_change').insert(change('late'));
    await t.db('access_change').insert(change('early'));
    expect((await feed.look(now)).map((event) => event.facts['reason'])).to.deep.equal(['early']);
    await trx.commit();
    expect((await feed.look(now)).map((event) => event.facts['reason'])).to.deep.equal(['late']);
  });

  const change = (reason: string) => ({
    login_id: loginId,
    at: '2026-03-01 10:00:00',
    from_access: null,
    to_access: 'full',
    reason,
    generation: 1,
    requested_by: 'test',
  });

  it('tells when a packet is sent, and again when its answer comes', async () => {
    const feed = await WatchFeed.open(t.db, now, 0);
    const id = await packet(await session(), 'pending');
    expect(await kinds(feed)).to.have.members(['online', 'packet']);
    expect(await kinds(feed)).to.deep.equal([]);
    await t.db('enforcement').where({ id }).update({ outcome: 'nak', error_cause: 503, round_trip_us: 4200 });
    const [answer] = await feed.look(now);
    expect(answer?.text).to.equal('answer   amina  coa: nak, Error-Cause 503 in 4.2 ms');
    expect(await kinds(feed)).to.deep.equal([]);
  });

  it('tells when a session ends, and why', async () => {
    const id = await session();
    const feed = await WatchFeed.open(t.db, now, 0);
    await t.db('radacct').where({ radacctid: id }).update({
      acctstoptime: '2026-03-01 10:00:01',
      acctterminatecause: 'Lost-Carrier',
      acctsessiontime: 61,
    });
    const [event] = await feed.look(now);
    expect(event?.text).to.equal('offline  amina  Lost-Carrier, after 61 s, on pop-1');
    expect(await kinds(feed)).to.deep.equal([]);
  });

  it('tells of a reject, without what the terminal would obey', async () => {
    const cli = testCli(t);
    const running = cli.run('watch', '--seconds', '2');
    await new Promise((resolve) => setTimeout(resolve, 700));
    await t.db('radpostauth').insert({
      username: 'evil\u001b[2J',
      reply: 'Access-Reject',
      authdate: '2026-03-01 10:00:00',
      reason: 'unknown_user',
      callingstationid: '02:00:00:00:00:01',
      router_id: routerId,
    });
    const ran = await running;
    expect(ran.code).to.equal(0);
    expect(ran.stdout).to.include('unknown_user').and.not.to.include('\u001b');
  });
});
