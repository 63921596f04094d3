import { expect } from 'chai';
import { emptyMessageAuthenticator, numberOf, type Packet, textOf } from '../../scripts/lab/codec.ts';
import type { LabRouter } from '../../scripts/lab/router.ts';
import type { SessionView } from '../../scripts/lab/session.ts';
import { until } from '../../scripts/servers/child.ts';
import { useLab } from '../support/lab.ts';
import { dialed, radclient, type Responder, responder } from './support.ts';

const secret = 'fault-secret';

describe('LabRouter, with faults', () => {
  let server: Responder;
  beforeEach(async () => {
    server = await responder(secret, (request) =>
      request.code === 1
        ? {
            code: 2,
            attributes: [
              emptyMessageAuthenticator,
              ['Framed-Pool', 'home'],
              ['Mikrotik-Rate-Limit', '1M/4M'],
            ],
          }
        : { code: 5, attributes: [] },
    );
  });
  afterEach(() => server.close());
  const lab = useLab();
  const login = { username: 'alice', password: 'x' };

  async function one(more = {}): Promise<{ router: LabRouter; session: SessionView }> {
    const options = { secret, authPort: server.port, acctPort: server.port, timeoutMs: 150 };
    const router = await lab.router({ ...options, ...more });
    return { router, session: await dialed(router, login) };
  }
  const rate = (router: LabRouter, session: SessionView, options = {}) =>
    radclient(
      router,
      'coa',
      secret,
      [`Acct-Session-Id = "${session.id}"`, 'Mikrotik-Rate-Limit = "64k"'],
      options,
    );
  const kick = (router: LabRouter, session: SessionView, options = {}) =>
    radclient(router, 'disconnect', secret, [`Acct-Session-Id = "${session.id}"`], options);
  const statuses = (packets = server.requests) => packets.filter(isAccounting).map(statusOf);
  const isAccounting = ({ code }: Packet) => code === 4;
  const statusOf = ({ attributes }: Packet) => numberOf(attributes, 'Acct-Status-Type');

  it('refuse, for one packet, refuses with its Error-Cause and then obeys', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'refuse', errorCause: 506, times: 1 });
    expect(await rate(router, session)).to.include({ kind: 'nak', errorCause: 'Resources-Unavailable' });
    expect(router.session(session.key)?.rate).to.equal('1M/4M');
    expect((await rate(router, session)).kind).to.equal('ack');
    expect(router.faults.list()).to.have.length(0);
  });

  it('silent, for one packet, says nothing and takes the retransmit', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'silent', times: 1 });
    const answer = await rate(router, session, { retries: 4, timeoutSeconds: 0.4 });
    expect(answer.kind).to.equal('ack');
    expect(router.packets().filter(({ result }) => result === 'dropped_silent')).to.have.length(1);
  });

  it('silent, for one session, leaves the others alone', async () => {
    const { router, session } = await one();
    const other = await dialed(router, { username: 'bob', password: 'x' });
    router.faults.set({ kind: 'silent', sessionId: session.id });
    expect((await rate(router, session, { timeoutSeconds: 0.4 })).kind).to.equal('silence');
    expect((await rate(router, other)).kind).to.equal('ack');
    router.faults.clear('silent');
    expect((await rate(router, session)).kind).to.equal('ack');
  });

  it('ack_without_obeying, acknowledges a rate and a Disconnect and does neither', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'ack_without_obeying' });
    expect((await rate(router, session)).kind).to.equal('ack');
    expect((await kick(router, session)).kind).to.equal('ack');
    expect(router.session(session.key)).to.include({ rate: '1M/4M', state: 'up' });
  });

  it('obey_for_another, does to another session what is meant for this one, and acknowledges', async () => {
    const { router, session } = await one();
    const other = await dialed(router, { username: 'bob', password: 'x' });
    router.faults.set({ kind: 'obey_for_another', times: 2 });
    expect((await rate(router, session)).kind).to.equal('ack');
    expect(router.session(session.key)).to.include({ rate: '1M/4M', isLiedAbout: true });
    expect(router.session(other.key)).to.include({ rate: '64k', isLiedAbout: true });
    expect((await kick(router, session)).kind).to.equal('ack');
    expect(router.session(session.key)?.state).to.equal('up');
    expect(router.session(other.key)?.state).to.equal('ended');
  });

  it('obey_for_another, with nobody else online, obeys', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'obey_for_another' });
    expect((await kick(router, session)).kind).to.equal('ack');
    expect(router.session(session.key)?.state).to.equal('ended');
  });

  it('ignore_rate, acknowledges a rate without changing it and obeys a Disconnect', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'ignore_rate' });
    expect((await rate(router, session)).kind).to.equal('ack');
    expect(router.session(session.key)?.rate).to.equal('1M/4M');
    expect((await kick(router, session)).kind).to.equal('ack');
    expect(router.session(session.key)?.state).to.equal('ended');
  });

  it('ack_late, obeys at once and acknowledges later, once for all repeats', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'ack_late', ms: 800, times: 1 });
    const answer = rate(router, session, { retries: 8, timeoutSeconds: 0.4 });
    await until('the rate', () => router.session(session.key)?.rate === '64k', { timeoutMs: 5000 });
    expect(router.counters()).to.include({ incomingAcks: 0 });
    expect((await answer).kind).to.equal('ack');
    expect(router.counters()).to.include({ incomingAcks: 1, incomingRequests: 1 });
  });

  it('ack_late, obeying late, keeps the session until the acknowledgement', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'ack_late', ms: 300, obeysLate: true });
    const answer = kick(router, session, { timeoutSeconds: 3 });
    await until('the request', () => router.counters()['incomingRequests'] === 1, { timeoutMs: 5000 });
    expect(router.session(session.key)?.state).to.equal('up');
    expect((await answer).kind).to.equal('ack');
    expect(router.session(session.key)?.state).to.equal('ended');
  });

  it('lose_replies, obeys, loses the reply, and answers the repeat without doing it again', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'lose_replies', times: 1 });
    const answer = await kick(router, session, { retries: 4, timeoutSeconds: 0.4 });
    expect(answer.kind).to.equal('ack');
    await router.accountingIdle();
    expect(statuses()).to.deep.equal([1, 2]);
    expect(router.counters()).to.include({ incomingRequests: 1, incomingRepeats: 1 });
  });

  it('lose_stops, ends the session without a Stop; its Start and interims go on', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'lose_stops', times: 1 });
    router.hangUp(session.key);
    const second = await dialed(router, login);
    router.hangUp(second.key);
    await router.accountingIdle();
    expect(statuses()).to.deep.equal([1, 1, 2]);
  });

  it('lose_accounting, sends no accounting at all', async () => {
    const { router, session } = await one();
    await router.accountingIdle();
    router.faults.set({ kind: 'lose_accounting' });
    await router.account(session.key, 'Interim-Update');
    router.hangUp(session.key);
    await dialed(router, login);
    await router.accountingIdle();
    expect(statuses()).to.deep.equal([1]);
    expect(router.counters()).to.include({ accountingLost: 3 });
  });

  it('stop_twice and interim_after_stop, send what they say, as packets of their own', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'stop_twice' });
    router.faults.set({ kind: 'interim_after_stop' });
    router.hangUp(session.key);
    await router.accountingIdle();
    expect(statuses()).to.deep.equal([1, 2, 2, 3]);
    const stops = server.requests.filter((packet) => statusOf(packet) === 2);
    expect(stops[0]?.identifier).to.not.equal(stops[1]?.identifier);
  });

  it('repeat_session_ids, gives the sessions of one second the same id, and the router refuses to choose', async () => {
    const { router } = await one();
    router.faults.set({ kind: 'repeat_session_ids' });
    const sessions = await Promise.all(
      [1, 2, 3, 4].map((i) => dialed(router, { ...login, username: `user${i}` })),
    );
    const repeated = sessions.find(({ id }, i) => sessions.findIndex((each) => each.id === id) !== i);
    if (repeated === undefined) throw new Error('no session id was repeated');
    const answer = await kick(router, repeated);
    expect(answer.errorCause).to.match(/^Multiple-Session-Selection/);
    const chosen = [`Acct-Session-Id = "${repeated.id}"`, `User-Name = "${repeated.username}"`];
    expect((await radclient(router, 'disconnect', secret, chosen)).kind).to.equal('ack');
    expect(router.session(repeated.key)?.state).to.equal('ended');
    expect(router.sessions()).to.have.length(4);
  });

  it('redial_at_once, dials again in the moment of the Disconnect', async () => {
    const { router, session } = await one();
    router.faults.set({ kind: 'redial_at_once', times: 1 });
    expect((await kick(router, session)).kind).to.equal('ack');
    await until('the redial', () => router.sessions().length === 1, { timeoutMs: 5000 });
    expect(router.sessions()[0]?.username).to.equal('alice');
    expect(router.sessions()[0]?.key).to.not.equal(session.key);
  });

  it('deaf, neither sends nor hears', async () => {
    const { router, session } = await one();
    await router.accountingIdle();
    const before = server.requests.length;
    router.faults.set({ kind: 'deaf' });
    expect((await rate(router, session, { timeoutSeconds: 0.4 })).kind).to.equal('silence');
    expect(await router.dial(login)).to.deep.equal({ ok: false, why: 'timeout' });
    expect(server.requests).to.have.length(before);
    router.faults.clear();
    expect(await router.dial(login)).to.include({ ok: true });
  });

  it('reboot, drops sessions without a Stop, sends Accounting-On, counts on, and CPEs dial again', async () => {
    const { router, session } = await one();
    const other = await dialed(router, { username: 'bob', password: 'x', redialAfterMs: 30 });
    await router.accountingIdle();
    expect(await router.reboot()).to.equal('answered');
    await until('the redial', () => router.sessions().length === 1, { timeoutMs: 5000 });
    await router.accountingIdle();
    expect(statuses()).to.deep.equal([1, 1, 7, 1]);
    expect(router.session(session.key)).to.include({ state: 'ended', endCause: 'NAS-Reboot' });
    expect(router.sessions()[0]?.username).to.equal(other.username);
    expect(router.sessions()[0]?.id).to.match(/^811/);
    expect((await kick(router, session)).errorCause).to.equal('Session-Context-Not-Found');
  });

  it('reboot, keeping its counter and saying nothing, gives the same session ids once more', async () => {
    const { router, session } = await one();
    expect(await router.reboot({ keepsCounter: true, isSilent: true })).to.equal('silent');
    const again = await dialed(router, { username: 'bob', password: 'x' });
    expect(again.id).to.equal(session.id);
    expect(again.key).to.not.equal(session.key);
    await router.accountingIdle();
    expect(statuses()).to.deep.equal([1, 1]);
    const names = server.requests
      .filter(isAccounting)
      .map(({ attributes }) => textOf(attributes, 'User-Name'));
    expect(names).to.deep.equal(['alice', 'bob']);
  });
});
