import { createSocket } from 'node:dgram';
import { expect } from 'chai';
import { decodePacket, emptyMessageAuthenticator, encodePacket, sealReply } from '../../scripts/lab/codec.ts';
import { runLoad } from '../../scripts/lab/load.ts';
import { freePort } from '../../scripts/servers/child.ts';
import { type SmallFreeRadius, startSmallFreeRadius } from './small-freeradius.ts';

describe('runLoad', () => {
  let server: SmallFreeRadius;
  before(async () => {
    server = await startSmallFreeRadius(
      [...Array(20).keys()].map((i) => `load${i} Cleartext-Password := "pässword-${i}"\n`).join('\n'),
    );
  });
  after(() => server.stop());

  const logins = [...Array(20).keys()].map((i) => ({ username: `load${i}`, password: `pässword-${i}` }));
  const routers = (secret: string) => ['127.0.0.2', '127.0.0.3'].map((address) => ({ address, secret }));
  const target = () => ({ address: '127.0.0.1', port: server.authPort });

  for (const method of ['pap', 'chap'] as const) {
    it(`runLoad, with ${method} from two addresses against FreeRADIUS, has every login accepted`, async () => {
      const load = await runLoad({
        authServer: target(),
        routers: routers(server.secret),
        logins,
        method,
        perSecond: 500,
        durationMs: 400,
      });
      const result = await load.finished;
      expect(result.started).to.be.greaterThan(50);
      expect(result.accepted).to.equal(result.started);
      expect(result).to.include({ rejected: 0, timedOut: 0, badReplies: 0, inFlight: 0 });
      expect(result.perRouter['127.0.0.2']?.accepted).to.be.greaterThan(20);
      expect(result.perRouter['127.0.0.3']?.accepted).to.be.greaterThan(20);
      expect(result.p99Ms).to.be.greaterThan(0);
      expect(result.maxMs).to.be.at.least(result.p99Ms);
    });
  }

  it('runLoad, with a wrong password, counts and names the rejects', async () => {
    const load = await runLoad({
      authServer: target(),
      routers: routers(server.secret),
      logins: [{ username: 'load1', password: 'wrong' }],
      perSecond: 200,
      durationMs: 100,
    });
    const result = await load.finished;
    expect(result.rejected).to.equal(result.started).and.to.be.greaterThan(0);
    expect(result.failures[0]).to.include({ username: 'load1', why: 'reject' });
  });

  it('runLoad, with a wrong secret, gives up after its attempts; with the right one again, is accepted', async () => {
    const load = await runLoad({
      authServer: target(),
      routers: [{ address: '127.0.0.4', secret: 'not-this' }],
      logins,
      perSecond: 50,
      timeoutMs: 60,
      attempts: 2,
    });
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(load.result().accepted).to.equal(0);
    load.setSecret('127.0.0.4', server.secret);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const result = await load.stop();
    expect(result.timedOut).to.be.greaterThan(3);
    expect(result.retransmits).to.be.at.least(result.timedOut);
    expect(result.accepted).to.be.greaterThan(3);
    expect(result.started).to.equal(result.accepted + result.timedOut + result.rejected);
  });

  it('runLoad, while nobody answers, never has more than its window in flight', async () => {
    const load = await runLoad({
      authServer: { address: '127.0.0.1', port: await freePort() },
      routers: routers('x'),
      logins,
      perSecond: 2000,
      durationMs: 200,
      window: 20,
      timeoutMs: 100,
      attempts: 1,
    });
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(load.result().inFlight).to.equal(20);
    const result = await load.finished;
    expect(result.late).to.be.greaterThan(100);
    expect(result.timedOut).to.equal(result.started);
  });

  it('runLoad, with a reply that is not from the server or lacks its Message-Authenticator, does not believe it', async () => {
    const socket = createSocket('udp4');
    const seen = new Map<string, number>();
    socket.on('message', (bytes, from) => {
      const request = decodePacket(bytes);
      if (request === undefined) return;
      const key = bytes.toString('hex');
      const times = (seen.get(key) ?? 0) + 1;
      seen.set(key, times);
      // First a lie, then an accept without Message-Authenticator, then a good one: the same bytes each time.
      const attributes = times === 3 ? [emptyMessageAuthenticator] : [];
      const secret = times === 1 ? 'lie' : 'truth';
      socket.send(
        sealReply(encodePacket(2, request.identifier, attributes), request.authenticator, secret),
        from.port,
        from.address,
      );
    });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const load = await runLoad({
      authServer: { address: '127.0.0.1', port: socket.address().port },
      routers: [{ address: '127.0.0.5', secret: 'truth' }],
      logins,
      perSecond: 100,
      durationMs: 50,
      timeoutMs: 150,
    });
    const result = await load.finished;
    socket.close();
    expect(result.accepted).to.equal(result.started).and.to.be.greaterThan(0);
    expect(result.badReplies).to.equal(result.started * 2);
    expect(result.retransmits).to.equal(result.started * 2);
  });
});
