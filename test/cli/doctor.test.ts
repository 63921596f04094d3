import { createHash } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { probeLogin, probeStatus } from '../../src/adapters/freeradius/probe.ts';
import { openDb } from '../../src/db/knex.ts';
import { aLogin } from '../support/builders.ts';
import { testCli } from '../support/cli.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('doctor', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());

  interface Found {
    part: string;
    health: string;
    found: string;
    advice?: string;
  }
  const examine = async (env: NodeJS.ProcessEnv = {}) => {
    const ran = await testCli(t, { env }).run('doctor', '--json');
    const findings = ran.json()['findings'] as Found[];
    return {
      code: ran.code,
      of: (part: string) => findings.filter((finding) => finding.part === part),
      findings,
    };
  };

  it('of an installation where nothing runs, says what is broken and what to do about each', async () => {
    const { code, of, findings } = await examine({
      SLUICE_RADIUS_STATUS_SECRET: 'secret',
      SLUICE_RADIUS_AUTH_PORT: '1',
      SLUICE_RADIUS_ACCT_PORT: '1',
    });
    expect(code).to.equal(1);
    expect(of('schema')[0]?.health).to.equal('ok');
    expect(of('collation')[0]?.health).to.equal('ok');
    expect(of('database session')[0]?.health).to.equal('ok');
    expect(of('FreeRADIUS, logins')[0]?.health).to.equal('broken');
    for (const role of ['worker', 'lane', 'radius-agent', 'scheduler']) {
      expect(of(`process ${role}`)[0]).to.include({ health: 'broken' });
    }
    expect(of('process web')[0]).to.include({ health: 'look' });
    for (const finding of findings)
      if (finding.health !== 'ok') expect(finding.advice, finding.part).not.to.equal(undefined);
  });

  it('of what it cannot see from here, says unknown and not ok', async () => {
    const { of } = await examine();
    expect(of('FreeRADIUS')[0]?.health).to.equal('unknown');
    expect(of('control socket')[0]?.health).to.equal('unknown');
    expect(of("FreeRADIUS's database account")[0]?.health).to.equal('unknown');
  });

  it('of secrets sealed with a key that is not configured, counts them', async () => {
    await aLogin(t.db, { username: 'sealed' });
    expect((await examine()).of('secrets')[0]?.health).to.equal('ok');
    const { of } = await examine({ SLUICE_KEYS: `other:${'08'.repeat(32)}` });
    expect(of('secrets')[0]).to.include({ health: 'broken' });
    expect(of('secrets')[0]?.found).to.include('1 of table login with key test');
  });

  it('of a migration that was not applied, names it', async () => {
    const row = await t
      .db('schema_migration')
      .orderBy('name', 'desc')
      .first<{ name: string; applied_at: string }>();
    await t.db('schema_migration').where({ name: row.name }).del();
    expect((await examine()).of('schema')[0]?.found).to.include(row.name);
    await t.db('schema_migration').insert(row);
  });

  it('of a client directory that holds as many files, but other ones, names what is missing and what is strange', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-doctor-'));
    try {
      await t.db('nas').insert({
        nasname: '10.7.0.1',
        shortname: 'r1',
        secret: 'x',
        router_id: 1,
        changed_at: '2026-03-01 09:00:00',
      });
      writeFileSync(join(folder, '10.7.0.2'), '');
      const { of } = await examine({ SLUICE_CLIENT_DIRECTORY: folder });
      expect(of('RADIUS clients')[0]).to.include({
        health: 'broken',
        found: 'no file for 1: 10.7.0.1; no router for 1: 10.7.0.2',
      });
    } finally {
      await t.db('nas').del();
      rmSync(folder, { recursive: true });
    }
  });

  it('of a database that is away, says where it is looked for, and still looks at FreeRADIUS', async () => {
    const gone = openDb({ ...t.address, port: 1 }, { poolMax: 1 });
    const ran = await testCli({ ...t, db: gone }).run('doctor', '--json');
    await gone.destroy();
    const findings = ran.json()['findings'] as Found[];
    expect(ran.code).to.equal(1);
    expect(findings[0]).to.include({ part: 'database', health: 'broken' });
    expect(findings[0]?.advice).to.include('SLUICE_DB_PORT');
    expect(findings.map((finding) => finding.part)).to.include.members(['FreeRADIUS', 'control socket']);
  });

  it('of a ledger verdict that is broken, says so', async () => {
    await t.db('ledger_check').insert({
      checked_at: '2026-03-01 09:00:00',
      verdict: 'broken',
      entry_count: 1,
      posting_count: 1,
      findings: JSON.stringify([
        { rule: 'entry_sums_to_zero', subject: 'entry 1', expected: '0', actual: '1' },
      ]),
    });
    expect((await examine()).of('ledger')[0]).to.include({ health: 'broken' });
  });

  describe('probes', () => {
    let server: Socket;
    let port: number;
    /** What the far side answers; it speaks the protocol over a socket. */
    let answer: (request: Buffer) => Buffer | undefined;
    before((done) => {
      server = createSocket('udp4');
      server.on('message', (request, from) => {
        const reply = answer(request);
        if (reply !== undefined) server.send(reply, from.port, from.address);
      });
      server.bind(0, '127.0.0.1', () => {
        port = server.address().port;
        done();
      });
    });
    after((done) => {
      server.close(() => done());
    });

    const reply = (code: number, request: Buffer, secret: string) => {
      const header = Buffer.from([code, request[1] ?? 0, 0, 20]);
      const authenticator = createHash('md5')
        .update(header)
        .update(request.subarray(4, 20))
        .update(secret)
        .digest();
      return Buffer.concat([header, authenticator]);
    };
    const target = () => ({ address: '127.0.0.1', port, secret: 's3cret', timeoutMs: 400 });

    it('probeLogin, tells accept from reject', async () => {
      answer = (request) => reply(2, request, 's3cret');
      expect((await probeLogin(target(), { username: 'u', password: 'p' })).kind).to.equal('accept');
      answer = (request) => reply(3, request, 's3cret');
      expect((await probeLogin(target(), { username: 'u', password: 'p'.repeat(40) })).kind).to.equal(
        'reject',
      );
    });

    it('probeStatus, of an answer made with another secret, says forged; of none, silent', async () => {
      answer = (request) => reply(2, request, 'other');
      expect((await probeStatus(target())).kind).to.equal('forged');
      answer = () => undefined;
      expect((await probeStatus(target())).kind).to.equal('silent');
    });

    it('probeStatus, of a port that nobody has, says closed', async () => {
      expect((await probeStatus({ ...target(), port: 1 })).kind).to.equal('closed');
    });
  });
});
