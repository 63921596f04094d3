import { createSocket } from 'node:dgram';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import {
  type Attributes,
  decodePacket,
  emptyMessageAuthenticator,
  encodePacket,
  sealRequest,
  verifyReply,
} from '../../scripts/lab/codec.ts';
import type { LabRouter } from '../../scripts/lab/router.ts';
import type { SessionView } from '../../scripts/lab/session.ts';
import { until } from '../../scripts/servers/child.ts';
import { useLab } from '../support/lab.ts';
import { dialed, radclient, type Responder, responder } from './support.ts';

const secret = 'coa-secret';

/** A server that accepts everybody; what is tested here is the router. */
function acceptAll(): Promise<Responder> {
  return responder(secret, (request) =>
    request.code === 1
      ? {
          code: 2,
          attributes: [emptyMessageAuthenticator, ['Framed-Pool', 'home'], ['Mikrotik-Rate-Limit', '1M/4M']],
        }
      : { code: 5, attributes: [] },
  );
}

describe('LabRouter, taking CoA and Disconnect', () => {
  let server: Responder;
  before(async () => {
    server = await acceptAll();
  });
  after(() => server.close());
  const lab = useLab();

  const statusesOf = (router: LabRouter) =>
    router
      .packets()
      .filter(({ direction, code }) => direction === 'out' && code === 'Accounting-Request')
      .map(({ attributes }) => attributes['Acct-Status-Type']);
  const resultsOf = (router: LabRouter) => router.packets().map(({ result }) => result);
  const isSilent = { timeoutSeconds: 0.4 };
  const keysOf = (session: SessionView) => [
    `User-Name = "${session.username}"`,
    `Acct-Session-Id = "${session.id}"`,
    `Framed-IP-Address = ${session.address}`,
  ];

  async function one(): Promise<{ router: LabRouter; session: SessionView }> {
    const router = await lab.router({ secret, authPort: server.port, acctPort: server.port });
    return { router, session: await dialed(router, { username: 'alice', password: 'x' }) };
  }

  it('coa, with a rate, changes the queue of the live session and is acknowledged', async () => {
    const { router, session } = await one();
    const answer = await radclient(router, 'coa', secret, [
      ...keysOf(session),
      'Mikrotik-Rate-Limit = "64k/64k"',
    ]);
    expect(answer.kind).to.equal('ack');
    expect(answer.text).to.include('Message-Authenticator');
    expect(router.session(session.key)).to.include({ rate: '64k/64k', state: 'up' });
    expect(router.session(session.key)?.queue?.downloadBps).to.equal(64_000);
    expect(router.counters()).to.include({ incomingAcks: 1, sessions: 1 });
  });

  it('coa, with profile and timeouts, changes those and leaves the rate', async () => {
    const { router, session } = await one();
    const answer = await radclient(router, 'coa', secret, [
      ...keysOf(session),
      'Mikrotik-Group = "silver"',
      'Session-Timeout = 86400',
      'Idle-Timeout = 300',
      'Mikrotik-Recv-Limit = 5',
      'Mikrotik-Recv-Limit-Gigawords = 1',
    ]);
    expect(answer.kind).to.equal('ack');
    expect(router.session(session.key)).to.include({
      profile: 'silver',
      sessionTimeoutSeconds: 86_400,
      idleTimeoutSeconds: 300,
      rate: '1M/4M',
    });
  });

  it('disconnect, of a live session, is acknowledged, ends it and sends a Stop with Admin-Reset', async () => {
    const { router, session } = await one();
    const answer = await radclient(router, 'disconnect', secret, keysOf(session));
    expect(answer.kind).to.equal('ack');
    await router.accountingIdle();
    expect(router.session(session.key)).to.include({ state: 'ended', endCause: 'Admin-Reset' });
    expect(statusesOf(router)).to.deep.equal([1, 2]);
    expect(
      router.packets().find(({ attributes }) => attributes['Acct-Status-Type'] === 2)?.attributes,
    ).to.include({
      'Acct-Terminate-Cause': 6,
      'Acct-Session-Id': session.id,
    });
  });

  it('disconnect, where the CPE redials, is followed by another session', async () => {
    const router = await lab.router({ secret, authPort: server.port, acctPort: server.port });
    const first = await dialed(router, { username: 'alice', password: 'x', redialAfterMs: 50 });
    expect((await radclient(router, 'disconnect', secret, keysOf(first))).kind).to.equal('ack');
    await until('the redial', () => router.sessions().length === 1, { timeoutMs: 5000 });
    expect(router.sessions()[0]?.id).to.not.equal(first.id);
  });

  const refusals: [string, 'coa' | 'disconnect', (session: SessionView) => string[], string][] = [
    [
      'an Acct-Session-Id that no session has',
      'coa',
      ({ username }) => [
        `User-Name = "${username}"`,
        'Acct-Session-Id = "8100ffff"',
        'Mikrotik-Rate-Limit = "1M"',
      ],
      'Session-Context-Not-Found',
    ],
    [
      'an id and the address of another session',
      'disconnect',
      ({ id }) => [`Acct-Session-Id = "${id}"`, 'Framed-IP-Address = 10.64.0.200'],
      'Session-Context-Not-Found',
    ],
    [
      'an address list',
      'coa',
      (session) => [...keysOf(session), 'Mikrotik-Address-List = "walled"'],
      'Unsupported-Attribute',
    ],
    [
      'a pool beside a rate',
      'coa',
      (session) => [...keysOf(session), 'Mikrotik-Rate-Limit = "1M"', 'Framed-Pool = "home-suspended"'],
      'Unsupported-Attribute',
    ],
    [
      'a rate in a Disconnect',
      'disconnect',
      (session) => [...keysOf(session), 'Mikrotik-Rate-Limit = "1M"'],
      'Unsupported-Attribute',
    ],
    ['no session attribute', 'coa', () => ['Mikrotik-Rate-Limit = "1M"'], 'Missing-Attribute'],
    [
      'the address of another NAS',
      'coa',
      (session) => [...keysOf(session), 'NAS-IP-Address = 10.9.9.9', 'Mikrotik-Rate-Limit = "1M"'],
      'NAS-Identification-Mismatch',
    ],
    [
      'a rate outside the grammar',
      'coa',
      (session) => [...keysOf(session), 'Mikrotik-Rate-Limit = "fast"'],
      'Invalid-Attribute-Value',
    ],
    ['nothing to change', 'coa', keysOf, 'Invalid-Request'],
    ['a Service-Type', 'coa', (session) => [...keysOf(session), 'Service-Type = 17'], 'Unsupported-Service'],
  ];
  for (const [what, kind, attributes, cause] of refusals) {
    it(`${kind}, with ${what}, is refused with ${cause} and changes nothing`, async () => {
      const { router, session } = await one();
      const answer = await radclient(router, kind, secret, attributes(session));
      expect(answer).to.include({ kind: 'nak', errorCause: cause });
      expect(router.session(session.key)).to.include({ rate: '1M/4M', state: 'up', list: undefined });
    });
  }

  it('coa, with the NAS-IP-Address that the router claims, is taken', async () => {
    const { router, session } = await one();
    const answer = await radclient(router, 'coa', secret, [
      ...keysOf(session),
      'NAS-IP-Address = 192.168.88.1',
      'Mikrotik-Rate-Limit = "2M"',
    ]);
    expect(answer.kind).to.equal('ack');
  });

  it('disconnect, by a name that several sessions have, is refused with Multiple-Session-Selection-Unsupported', async () => {
    const { router } = await one();
    await dialed(router, { username: 'alice', password: 'x' });
    const answer = await radclient(router, 'disconnect', secret, ['User-Name = "alice"']);
    expect(answer.kind).to.equal('nak');
    expect(answer.errorCause).to.match(/^Multiple-Session-Selection/);
    expect(router.sessions()).to.have.length(2);
  });

  it('coa, with a wrong secret or from an address that is not under /radius, is met with silence', async () => {
    const { router, session } = await one();
    const attributes = [...keysOf(session), 'Mikrotik-Rate-Limit = "64k"'];
    expect((await radclient(router, 'coa', 'wrong', attributes, isSilent)).kind).to.equal('silence');
    const elsewhere = await lab.router({
      secret,
      authPort: server.port,
      acctPort: server.port,
      dynamicClients: ['127.9.9.9'],
    });
    expect((await radclient(elsewhere, 'coa', secret, attributes, isSilent)).kind).to.equal('silence');
    expect(router.session(session.key)?.rate).to.equal('1M/4M');
    expect(resultsOf(router)).to.include('dropped_bad_authenticator');
    expect(resultsOf(elsewhere)).to.include('dropped_unknown_client');
  });

  it('coa, after the secret has changed, is taken with the new one only', async () => {
    const { router, session } = await one();
    router.setSecret('new-secret');
    const attributes = [...keysOf(session), 'Mikrotik-Rate-Limit = "64k"'];
    expect((await radclient(router, 'coa', secret, attributes, isSilent)).kind).to.equal('silence');
    expect((await radclient(router, 'coa', 'new-secret', attributes)).kind).to.equal('ack');
  });

  it('coa, sent twice with the same bytes, is done once and answered twice with the same bytes', async () => {
    const { router, session } = await one();
    const attributes: Attributes = [emptyMessageAuthenticator, ['Acct-Session-Id', session.id]];
    const request = sealRequest(encodePacket(40, 9, attributes), secret);
    const replies = await sendTimes(router, request, 2);
    expect(replies).to.have.length(2);
    expect(replies[0]?.equals(replies[1] ?? Buffer.alloc(0))).to.equal(true);
    expect(verifyReply(replies[0] ?? Buffer.alloc(0), request.subarray(4, 20), secret)).to.deep.equal({
      authenticator: 'valid',
      messageAuthenticator: 'valid',
    });
    expect(decodePacket(replies[0] ?? Buffer.alloc(0))?.code, 'an ACK, though the session is gone').to.equal(
      41,
    );
    expect(router.counters()).to.include({ incomingRequests: 1, incomingRepeats: 1, incomingAcks: 1 });
  });

  it('coa, with an Event-Timestamp outside the window, is met with silence; within it, is taken', async () => {
    const { router, session } = await one();
    const made = (atSeconds: number, identifier: number) =>
      sealRequest(
        encodePacket(43, identifier, [
          ['Acct-Session-Id', session.id],
          ['Event-Timestamp', Math.floor(atSeconds)],
          ['Mikrotik-Rate-Limit', '3M'],
        ]),
        secret,
      );
    const now = Date.now() / 1000;
    expect(await sendTimes(router, made(now - 3600, 1), 1)).to.have.length(0);
    expect(resultsOf(router)).to.include('dropped_outside_replay_window');
    expect(await sendTimes(router, made(now, 2), 1)).to.have.length(1);
    expect(router.session(session.key)?.rate).to.equal('3M');
  });

  async function sendTimes(router: LabRouter, bytes: Buffer, times: number): Promise<Buffer[]> {
    const socket = createSocket('udp4');
    const replies: Buffer[] = [];
    socket.on('message', (reply) => replies.push(reply));
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    for (let i = 0; i < times; i++) socket.send(bytes, router.coaPort, router.address);
    for (let i = 0; i < 40 && replies.length < times; i++) await wait(10);
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    return replies;
  }
});
