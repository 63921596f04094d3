import { expect } from 'chai';
import { type ResponderRouter, type Responders, startResponders } from '../../scripts/bench/responders.ts';
import { CoaClient } from '../../src/adapters/radius/coa-client.ts';
import { labAddress } from '../support/lab.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('responders', () => {
  let t: TestDb;
  let responders: Responders;
  let client: CoaClient;
  const router: ResponderRouter = { address: labAddress(), port: 3799, secret: 'between us' };

  before(async () => {
    t = await testDb();
    await t.db('radacct').insert({
      acctsessionid: '81a00001',
      acctuniqueid: 'a'.repeat(32),
      username: 'amina',
      nasipaddress: router.address,
      framedipaddress: '10.0.0.7',
      acctstarttime: '2026-03-01 10:00:00',
    });
    responders = await startResponders({ routers: [router], db: t.address });
    client = new CoaClient({ sourceAddress: '127.0.0.1', waitsMs: [300] });
    expect(await responders.load()).to.equal(1);
  });

  after(async () => {
    await client.close();
    await responders.stop();
    await t.drop();
  });

  const send = (kind: 'coa' | 'disconnect', over: { secret?: string; id?: string } = {}) =>
    client.send({
      kind,
      target: { ...router, secret: over.secret ?? router.secret },
      attributes: [
        ['Acct-Session-Id', over.id ?? '81a00001'],
        ['User-Name', 'amina'],
        ...(kind === 'coa' ? [['Mikrotik-Rate-Limit', '1M/5M'] as const] : []),
      ],
    });

  it('responders, asked about a session that is open there, acknowledge and keep what came', async () => {
    expect(await send('coa')).to.include({ kind: 'ack' });
    const [obeyed] = await responders.obeyed();
    expect(obeyed).to.include({ acctSessionId: '81a00001', kind: 'coa', rate: '1M/5M' });
  });

  it('responders, asked about a session that they do not know, refuse with 503', async () => {
    expect(await send('coa', { id: '81a00002' })).to.include({ kind: 'nak', errorCause: 503 });
  });

  it('responders, asked with a wrong secret, say nothing', async () => {
    expect(await send('coa', { secret: 'another' })).to.include({ kind: 'timeout' });
    expect((await responders.stats()).dropped).to.equal(1);
  });

  it('responders, told to be silent or to refuse, do not answer until they are told to', async () => {
    for (const mode of ['silent', 'refused'] as const) {
      await responders.setMode([router.address], mode);
      expect(await send('coa')).to.include({ kind: 'timeout' });
    }
    await responders.setMode([router.address], 'answer');
    expect(await send('coa')).to.include({ kind: 'ack' });
  });

  it('responders, that end a session, write its Stop as accounting would', async () => {
    expect(await send('disconnect')).to.include({ kind: 'ack' });
    expect(await send('disconnect')).to.include({ kind: 'nak', errorCause: 503 });
    for (let left = 100; left > 0; left--) {
      const row = await t.db('radacct').first<{ stop_seen: number }>('stop_seen');
      if (row.stop_seen === 1) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect.fail('no Stop');
  });
});
