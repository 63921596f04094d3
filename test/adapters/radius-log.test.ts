import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { countSources, followRadiusLog } from '../../src/adapters/freeradius/radius-log.ts';
import { noteUnknownClients, unknownClients } from '../../src/db/unknown-clients.ts';
import { useLab } from '../support/lab.ts';
import { type RadiusFixture, radiusFixture } from '../support/radius-server.ts';

const line = (address: string) =>
  `Fri Nov 20 10:00:00 2026 : Error: Unable to open file "/x/clients/${address}": No such file or directory\n`;

describe('followRadiusLog', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-log-'));
  const path = join(folder, 'radius.log');
  after(() => rmSync(folder, { recursive: true }));

  it('counts each address once a line, and each line once, through a rotation too', async () => {
    writeFileSync(path, line('10.0.0.1') + line('10.0.0.1') + line('2001:db8::1'));
    const log = followRadiusLog(path);
    expect([...(await log.unknownSources())]).to.deep.equal([
      ['10.0.0.1', 2],
      ['2001:db8::1', 1],
    ]);
    expect([...(await log.unknownSources())]).to.deep.equal([]);
    appendFileSync(path, line('10.0.0.2').slice(0, 60));
    expect([...(await log.unknownSources())]).to.deep.equal([]);
    appendFileSync(path, line('10.0.0.2').slice(60));
    expect([...(await log.unknownSources())]).to.deep.equal([['10.0.0.2', 1]]);
    renameSync(path, `${path}.1`);
    writeFileSync(path, line('10.0.0.3'));
    expect([...(await log.unknownSources())]).to.deep.equal([['10.0.0.3', 1]]);
  });

  it('takes nothing for an address that is none', () => {
    expect([...countSources(line('dead') + line('999.1.1.1') + line('../../etc/passwd'))]).to.deep.equal([]);
  });
});

describe('requests from an unknown address', function () {
  this.timeout(60_000);
  const lab = useLab();
  let fixture: RadiusFixture;
  before(async () => {
    fixture = await radiusFixture();
  });
  after(() => fixture.stop());

  it('are found in the log of a real FreeRADIUS, and listed until the address is a router of ours', async () => {
    const { server, db } = fixture;
    const { authPort, acctPort } = server;
    const stranger = await lab.router({
      secret: 'whatever',
      authPort,
      acctPort,
      timeoutMs: 200,
      attempts: 1,
    });
    expect(await stranger.dial({ username: 'x', password: 'y' })).to.include({ ok: false, why: 'timeout' });
    const counts = await followRadiusLog(server.logFile).unknownSources();
    expect(counts.get(stranger.address)).to.be.greaterThan(0);
    const at = new Date('2026-05-01T10:00:00Z');
    await noteUnknownClients(db, 'radius-1', counts, { at, forgetBefore: new Date('2026-04-24T10:00:00Z') });
    const listed = await unknownClients(db, 10);
    expect(listed.map((client) => [client.host, client.address])).to.deep.equal([
      ['radius-1', stranger.address],
    ]);
    const later = new Date('2026-05-09T10:00:00Z');
    await noteUnknownClients(db, 'radius-1', new Map(), {
      at: later,
      forgetBefore: new Date('2026-05-02T10:00:00Z'),
    });
    expect(await unknownClients(db, 10)).to.deep.equal([]);
  });
});
