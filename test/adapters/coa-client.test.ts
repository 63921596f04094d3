import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { CoaClient, type CoaOutcome, type CoaRequest } from '../../src/adapters/radius/coa-client.ts';
import { sessionAttributes } from '../../src/adapters/radius/packet.ts';
import { type CoaDouble, replyTo, startCoaDouble } from '../support/coa-double.ts';
import { type CoaListener, startCoaListener } from '../support/coa-listener.ts';

const secret = 'testing123';

function coa(
  target: { address: string; port: number },
  options: Partial<CoaRequest> & { user?: string } = {},
): CoaRequest {
  const { user, ...rest } = options;
  return {
    kind: 'coa',
    target: { address: target.address, port: target.port, secret },
    attributes: [
      ...sessionAttributes({
        username: user ?? 'bob',
        acctSessionId: '81000001',
        framedIpAddress: '10.64.1.1',
      }),
      ['Mikrotik-Rate-Limit', '10M/50M'],
    ],
    ...rest,
  };
}

describe('CoaClient', () => {
  let router: CoaDouble;
  let client: CoaClient;
  beforeEach(async () => {
    router = await startCoaDouble({ secret });
    client = new CoaClient({ sourceAddress: '127.0.0.1', waitsMs: [60, 120, 240] });
  });
  afterEach(async () => {
    await client.close();
    await router.close();
  });

  it('when the router acknowledges, gives ack with its round trip', async () => {
    const outcome = await client.send(coa(router));
    expect(outcome).to.include({ kind: 'ack', attempts: 1 });
    expect((outcome as { roundTripUs: number }).roundTripUs).to.be.within(1, 1_000_000);
    expect(router.seen.map((request) => request.isProved)).to.deep.equal([true]);
    expect(router.seen[0]?.attributes.get('26.14988.8')).to.equal('10M/50M');
  });

  it('when the router refuses, gives its Error-Cause, or null where it gave none', async () => {
    router.answer = () => ({ nak: 503 });
    expect(await client.send(coa(router))).to.include({ kind: 'nak', errorCause: 503 });
    router.answer = () => 'nak';
    expect(await client.send(coa(router, { kind: 'disconnect' }))).to.include({
      kind: 'nak',
      errorCause: null,
    });
  });

  it('when no answer comes, sends the same bytes again with longer waits, then gives timeout', async () => {
    router.answer = () => 'silent';
    const started = performance.now();
    expect(await client.send(coa(router))).to.deep.equal({ kind: 'timeout', attempts: 3 });
    expect(performance.now() - started).to.be.greaterThan(395);
    expect(router.seen).to.have.length(3);
    const [first, second, third] = router.seen;
    expect(first?.bytes.equals(second?.bytes ?? Buffer.alloc(0))).to.equal(true);
    expect(first?.bytes.equals(third?.bytes ?? Buffer.alloc(0))).to.equal(true);
    expect(new Set(router.seen.map((request) => request.from.port)).size).to.equal(1);
    expect((second?.at ?? 0) - (first?.at ?? 0)).to.be.greaterThan(50);
    expect((third?.at ?? 0) - (second?.at ?? 0)).to.be.greaterThan(110);
  });

  it('when the answer to the first packet comes after the second, takes it', async () => {
    router.answer = async (request) => {
      if (router.seen.length > 1) return 'silent';
      await wait(90);
      return { bytes: replyTo(request, 'ack', secret) ?? Buffer.alloc(0) };
    };
    expect(await client.send(coa(router))).to.include({ kind: 'ack', attempts: 2 });
  });

  it('when the answer comes after all is given up, ignores it and counts it', async () => {
    router.answer = async () => {
      await wait(120);
      return 'ack' as const;
    };
    expect(await client.send(coa(router, { waitsMs: [40] }))).to.deep.equal({ kind: 'timeout', attempts: 1 });
    await wait(150);
    expect(client.stats).to.include({ answered: 0, unexpected: 1 });
  });

  it('when 1,500 requests are in flight to one router, matches every answer to its own', async function () {
    this.timeout(20_000);
    const patient = new CoaClient({ sourceAddress: '127.0.0.1', waitsMs: [8000] });
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    // Odd users are refused, so an answer that went to another request would show.
    router.answer = async (request) => {
      await gate;
      return Number(request.attributes.get('1')?.slice(1)) % 2 === 1 ? { nak: 401 } : 'ack';
    };
    const sent: Promise<CoaOutcome>[] = [];
    for (let i = 0; i < 1500; i++) sent.push(patient.send(coa(router, { user: `u${i}` })));
    while (router.seen.length < 1500) await wait(5);
    release();
    const outcomes = await Promise.all(sent);
    expect(outcomes.filter((outcome, i) => outcome.kind !== (i % 2 === 1 ? 'nak' : 'ack'))).to.deep.equal([]);
    const names = router.seen.map((request) => `${request.from.port}/${request.identifier}`);
    expect(new Set(names).size).to.equal(1500);
    await patient.close();
  });

  it('when every identifier is in flight, says so and sends nothing that could be confused', async () => {
    const narrow = new CoaClient({ sourceAddress: '127.0.0.1', waitsMs: [400], sockets: 1 });
    router.answer = () => 'silent';
    const sent = Array.from({ length: 257 }, () => narrow.send(coa(router)));
    const outcomes = await Promise.all(sent);
    expect(outcomes.filter((outcome) => outcome.kind === 'timeout')).to.have.length(256);
    expect(outcomes[256]).to.deep.equal({ kind: 'unsent', why: 'too many requests in flight to one router' });
    expect(new Set(router.seen.map((request) => request.identifier)).size).to.equal(256);
    await narrow.close();
  });

  it('when a bit of the reply is flipped, never accepts it', async function () {
    this.timeout(20_000);
    let bit = 0;
    router.answer = (request) => {
      const bytes = replyTo(request, 'ack', secret) ?? Buffer.alloc(0);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return { bytes };
    };
    for (bit = 0; bit < 38 * 8; bit++) {
      const outcome = await client.send(coa(router, { waitsMs: [4] }));
      expect(outcome.kind, `bit ${bit}`).to.equal('timeout');
    }
    // A good reply behind them is taken: nothing of the bad ones stuck.
    router.answer = () => 'ack';
    expect((await client.send(coa(router))).kind).to.equal('ack');
  });

  it('when the reply comes from another address or port, ignores it', async () => {
    const other = await startCoaDouble({ secret, address: '127.0.0.2' });
    const { createSocket } = await import('node:dgram');
    const elsewhere = createSocket('udp4').bind(0, '127.0.0.2');
    const samePlace = createSocket('udp4').bind(0, '127.0.0.1');
    await wait(20);
    router.answer = (request) => {
      const bytes = replyTo(request, 'ack', secret) ?? Buffer.alloc(0);
      for (const socket of [elsewhere, samePlace])
        socket.send(bytes, request.from.port, request.from.address);
      return 'silent';
    };
    expect((await client.send(coa(router, { waitsMs: [80] }))).kind).to.equal('timeout');
    expect(client.stats.unexpected).to.equal(2);
    elsewhere.close();
    samePlace.close();
    await other.close();
  });

  it('when told that something newer is wanted, stops before the retransmit', async () => {
    router.answer = () => 'silent';
    const outcome = await client.send(coa(router, { shouldGoOn: () => Promise.resolve('superseded') }));
    expect(outcome).to.deep.equal({ kind: 'superseded', attempts: 1 });
    expect(router.seen).to.have.length(1);
  });

  it('when it may no longer send, or is closed, gives up what is in flight', async () => {
    router.answer = () => 'silent';
    expect(await client.send(coa(router, { shouldGoOn: () => 'abandon' }))).to.deep.equal({
      kind: 'abandoned',
      attempts: 1,
    });
    const waiting = client.send(coa(router, { waitsMs: [5000] }));
    await wait(20);
    await client.close();
    expect(await waiting).to.deep.equal({ kind: 'abandoned', attempts: 1 });
    expect(await client.send(coa(router))).to.deep.equal({ kind: 'unsent', why: 'closed' });
  });

  it('when the source address is not of this host, names the error', async () => {
    const foreign = new CoaClient({ sourceAddress: '192.0.2.1' });
    expect(await foreign.send(coa(router))).to.deep.equal({ kind: 'unsent', why: 'EADDRNOTAVAIL' });
    await foreign.close();
  });

  it('when the router has no usable address, or an attribute is wrong, says so and sends nothing', async () => {
    const bad = await client.send(coa({ address: 'router.example', port: 3799 }));
    expect(bad).to.deep.equal({ kind: 'unsent', why: 'the address is not an IP address' });
    const odd = await client.send(coa(router, { attributes: [['Framed-IP-Address', '1.2.3']] }));
    expect(odd).to.deep.equal({ kind: 'unsent', why: 'Framed-IP-Address: must be an IPv4 address' });
    expect(router.seen).to.have.length(0);
  });

  it('sends from the address that routers know', async () => {
    const own = new CoaClient({ sourceAddress: '127.0.0.77' });
    expect((await own.send(coa(router))).kind).to.equal('ack');
    expect(router.seen[0]?.from.address).to.equal('127.0.0.77');
    await own.close();
  });

  it('when the router has an IPv6 address, reaches it, however it is spelt', async () => {
    const six = await startCoaDouble({ secret, address: '::1' });
    expect((await client.send(coa({ address: '0:0:0:0:0:0:0:1', port: six.port }))).kind).to.equal('ack');
    await six.close();
  });
});

describe('CoaClient, against the coa listener of FreeRADIUS that requires Message-Authenticator', () => {
  let nas: CoaListener;
  let client: CoaClient;
  before(async function () {
    this.timeout(40_000);
    nas = await startCoaListener('127.0.1.1', secret);
    client = new CoaClient({ sourceAddress: '127.0.0.1', waitsMs: [400, 800] });
  });
  after(async () => {
    await client.close();
    await nas.stop();
  });

  it('when the packet is right, is acknowledged, with every attribute read as it was meant', async () => {
    expect((await client.send(coa(nas))).kind).to.equal('ack');
    expect(nas.log().at(-1)).to.equal('CoA-Request bob 81000001 10.64.1.1 10M/50M');
  });

  it('when it disconnects, is acknowledged', async () => {
    const { attributes } = coa(nas);
    const outcome = await client.send(coa(nas, { kind: 'disconnect', attributes: attributes.slice(0, 3) }));
    expect(outcome.kind).to.equal('ack');
    expect(nas.log().at(-1)).to.equal('Disconnect-Request bob 81000001 10.64.1.1');
  });

  it('when refused, gives the Error-Cause', async () => {
    expect(await client.send(coa(nas, { user: 'gone' }))).to.include({ kind: 'nak', errorCause: 503 });
    expect(await client.send(coa(nas, { user: 'odd', kind: 'disconnect' }))).to.include({
      kind: 'nak',
      errorCause: 401,
    });
  });

  it('when the secret is wrong, hears nothing', async () => {
    const target = { address: nas.address, port: nas.port, secret: 'wrong' };
    expect(await client.send(coa(nas, { target, waitsMs: [150, 150] }))).to.deep.equal({
      kind: 'timeout',
      attempts: 2,
    });
  });

  it('when 3,000 are sent, 400 in flight, every one is acknowledged', async function () {
    this.timeout(30_000);
    const outcomes: CoaOutcome[] = [];
    let next = 0;
    const sender = async () => {
      while (next < 3000)
        outcomes.push(await client.send(coa(nas, { user: `u${next++}`, waitsMs: [1000, 2000] })));
    };
    await Promise.all(Array.from({ length: 400 }, sender));
    expect(outcomes).to.have.length(3000);
    expect(outcomes.filter((outcome) => outcome.kind !== 'ack')).to.deep.equal([]);
    expect(client.stats.unproved).to.equal(0);
  });

  it('when the listener has an IPv6 address, is acknowledged there too', async function () {
    this.timeout(40_000);
    const six = await startCoaListener('::1', secret);
    expect((await client.send(coa(six))).kind).to.equal('ack');
    await six.stop();
  });
});
