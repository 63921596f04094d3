import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from '../../scripts/servers/place.ts';
import { aLogin } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

/** The built program where this suite runs from a build, else the source. */
const isBuilt = import.meta.filename.endsWith('.js');
const program = isBuilt
  ? join(import.meta.dirname, '../../src/cli/index.js')
  : join(projectRoot, 'src/cli/index.ts');

describe('the command line as a process', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());

  const environment = (): NodeJS.ProcessEnv => ({
    PATH: process.env['PATH'],
    SLUICE_DB_HOST: t.address.host,
    SLUICE_DB_PORT: String(t.address.port),
    SLUICE_DB_USER: t.address.user,
    SLUICE_DB_PASSWORD: t.address.password,
    SLUICE_DB_NAME: t.address.database,
    SLUICE_KEYS: `test:${'07'.repeat(32)}`,
  });
  const start = (args: string[], env: NodeJS.ProcessEnv): ChildProcess =>
    spawn(process.execPath, [...(isBuilt ? [] : ['--import', 'tsx']), program, ...args], {
      cwd: projectRoot,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const ended = (child: ChildProcess) =>
    new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      let stdout = '';
      let stderr = '';
      child.stdout?.on('data', (data: Buffer) => (stdout += data.toString()));
      child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
      child.once('close', (code) => resolve({ code, stdout, stderr }));
    });

  it('without an environment, names every variable that is missing', async () => {
    const ran = await ended(start(['settings'], { PATH: process.env['PATH'] }));
    expect(ran.code).to.equal(1);
    for (const name of [
      'SLUICE_DB_HOST',
      'SLUICE_DB_USER',
      'SLUICE_DB_PASSWORD',
      'SLUICE_DB_NAME',
      'SLUICE_KEYS',
    ]) {
      expect(ran.stderr).to.include(`${name}: is missing`);
    }
  });

  it('without an environment, still helps', async () => {
    const ran = await ended(start(['help', 'pay'], { PATH: process.env['PATH'] }));
    expect(ran.code).to.equal(0);
    expect(ran.stdout).to.include('Usage: sluice pay WHO AMOUNT');
  });

  it('with a database that is not there, or not ours, says which variable to look at and no SQL', async () => {
    const gone = await ended(start(['settings'], { ...environment(), SLUICE_DB_PORT: '1' }));
    expect(gone.code).to.equal(1);
    expect(gone.stderr).to.include('SLUICE_DB_PORT');
    const refused = await ended(start(['settings'], { ...environment(), SLUICE_DB_PASSWORD: 'wrong' }));
    expect(refused.stderr)
      .to.include('SLUICE_DB_PASSWORD')
      .and.not.to.match(/select|wrong/i);
  });

  it('writes down who asked: the account, or --actor', async () => {
    await ended(
      start(
        ['tax-rate', 'add', 'A', '--percent', '1', '--from', '2026-01-01', '--actor', 'rana'],
        environment(),
      ),
    );
    await ended(start(['tax-rate', 'add', 'B', '--percent', '1', '--from', '2026-01-01'], environment()));
    const actors = await t.db('activity').orderBy('id').pluck<string[]>('actor');
    expect(actors[0]).to.equal('rana');
    expect(actors[1]).to.match(/^cli:./);
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`watch, asked to end by ${signal}, ends with 0, having told what happened meanwhile`, async () => {
      const username = `watched-${signal.toLowerCase()}`;
      const login = await aLogin(t.db, { username });
      const child = start(['watch', '--json'], environment());
      const done = ended(child);
      const told = new Promise<void>((resolve) => {
        child.stdout?.on('data', (data: Buffer) => {
          if (data.toString().includes(username)) resolve();
        });
      });
      let generation = 0;
      // It tells what is new since it began to look, and when that is nobody knows: so until it has told.
      const writing = setInterval(() => {
        generation++;
        void t
          .db('access_change')
          .insert({
            login_id: login.id,
            at: '2026-03-01 10:00:00.000',
            from_access: 'denied',
            to_access: 'full',
            reason: 'paid_up',
            generation,
            requested_by: 'test',
          })
          .then(() => undefined);
      }, 200);
      await told;
      clearInterval(writing);
      child.kill(signal);
      const ran = await done;
      expect(ran.code).to.equal(0);
      const first = JSON.parse(ran.stdout.split('\n')[0] ?? '') as Record<string, unknown>;
      expect(first).to.include({ kind: 'access', username, to: 'full', reason: 'paid_up' });
    }).timeout(30_000);
  }
});
