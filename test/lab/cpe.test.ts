import { expect } from 'chai';
import { emptyMessageAuthenticator } from '../../scripts/lab/codec.ts';
import { Cpe } from '../../scripts/lab/cpe.ts';
import type { LabRouter } from '../../scripts/lab/router.ts';
import { until } from '../../scripts/servers/child.ts';
import { useLab } from '../support/lab.ts';
import { radclient, type Responder, responder } from './support.ts';

const secret = 'cpe-secret';

describe('lab CPE', () => {
  let server: Responder;
  let router: LabRouter;
  let cpe: Cpe;
  const lab = useLab();

  beforeEach(async () => {
    server = await responder(secret, ({ code }) =>
      code === 4
        ? { code: 5, attributes: [] }
        : { code: 2, attributes: [emptyMessageAuthenticator, ['Framed-Pool', 'home']] },
    );
    router = await lab.router({ secret, authPort: server.port, acctPort: server.port });
    cpe = new Cpe({ username: 'alice', password: 'x' }, () => router, [60_000, 120_000]);
  });
  afterEach(async () => {
    cpe.stop();
    await server.close();
  });

  const isOnline = () => cpe.view().state === 'online';
  const kick = () => radclient(router, 'disconnect', secret, ['User-Name = "alice"']);
  async function goOnline(): Promise<string | undefined> {
    cpe.start(0);
    await until('the CPE online', isOnline, { timeoutMs: 5000 });
    return cpe.view().session;
  }

  it('CPE, dropped by a Disconnect, waits within a quarter of its first wait', async () => {
    await goOnline();
    expect((await kick()).kind).to.equal('ack');
    expect(cpe.view()).to.include({ state: 'waiting', last: 'Admin-Reset', session: undefined });
    expect(cpe.view().nextDialInMs).to.be.within(40_000, 75_000);
  });

  it('CPE, at a router with redial_at_once, is back in the same moment with a new session', async () => {
    const first = await goOnline();
    router.faults.set({ kind: 'redial_at_once' });
    expect((await kick()).kind).to.equal('ack');
    await until('the redial', isOnline, { timeoutMs: 5000 });
    expect(cpe.view().session).to.not.equal(first);
    expect(router.sessions()).to.have.length(1);
  });

  it('CPE, refused again and again, waits longer up to its longest wait', async () => {
    const failing = new Cpe({ username: 'bob', password: 'x' }, () => undefined, [10, 40]);
    failing.start(0);
    await until('a wait', () => failing.view().last === 'timeout', { timeoutMs: 5000 });
    const waits: number[] = [];
    for (let i = 0; i < 30; i++) {
      waits.push(failing.view().nextDialInMs ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    failing.stop();
    expect(Math.max(...waits)).to.be.within(13, 50);
    expect(failing.view().state).to.equal('off');
  });

  it('CPE, switched off while it dials, leaves no session behind', async () => {
    cpe.start(0);
    await until('the dial', () => cpe.view().state !== 'waiting', { timeoutMs: 5000 });
    cpe.stop();
    await until('the Stop', () => router.endedSessions().length === 1 || router.counters()['dials'] === 0, {
      timeoutMs: 5000,
    });
    expect(router.sessions()).to.have.length(0);
    expect(cpe.view()).to.include({ state: 'off', session: undefined });
  });
});
