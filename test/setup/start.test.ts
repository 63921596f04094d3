import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { readEnvFile } from '../../scripts/dev/home.ts';
import { pidsWith } from '../../scripts/dev/ours.ts';
import { marks, roles } from '../../scripts/dev/parts.ts';
import { freePort } from '../../scripts/servers/child.ts';
import { dataRoot, projectRoot } from '../../scripts/servers/place.ts';

/** scripts/start and scripts/stop as processes, on a data folder and ports of their own. */
describe('start and stop', function () {
  this.timeout(300_000);
  const home = join(dataRoot(), `test-${process.pid}-home`);
  const compiled = join(projectRoot, '.build/scripts/dev');
  let ports: Record<string, string>;

  before(async () => {
    const names = [
      'SLUICE_DB_PORT',
      'SLUICE_RADIUS_AUTH_PORT',
      'SLUICE_RADIUS_ACCT_PORT',
      'SLUICE_LAB_PORT',
      'SLUICE_WEB_PORT',
    ];
    ports = {};
    for (const name of names) ports[name] = String(await freePort());
  });
  after(async () => {
    await run('stop.js').exited;
    rmSync(home, { recursive: true, force: true });
  });

  function run(script: string) {
    const child = spawn(process.execPath, ['--enable-source-maps', join(compiled, script)], {
      env: { ...process.env, ...ports, SLUICE_DATA: home, SLUICE_DEMO_COUNT: '30' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    const exited = once(child, 'exit').then(([code]) => ({ code: code as number | null, output }));
    return { child, exited };
  }

  function everyMark(): string[] {
    return [
      marks.mariadb(home),
      marks.freeradius(home),
      marks.lab(home),
      ...roles.map((role) => marks.role(home, role)),
    ];
  }

  it('start, killed at random moments and started again, brings everything up', async () => {
    for (const afterMs of [150, 700, 1800, 4000, 7000]) {
      const attempt = run('start.js');
      await wait(afterMs + Math.random() * 400);
      attempt.child.kill('SIGKILL');
      await attempt.exited;
    }
    const { code, output } = await run('start.js').exited;
    expect(code, output).to.equal(0);
    for (const mark of everyMark()) expect(pidsWith(mark), mark).to.have.length(1);
  });

  it('start, again, finds everything running and changes nothing', async () => {
    const before = everyMark().map((mark) => pidsWith(mark));
    const { code, output } = await run('start.js').exited;
    expect(code, output).to.equal(0);
    expect(everyMark().map((mark) => pidsWith(mark))).to.deep.equal(before);
    expect(output).to.include('Sluice is running').and.include('demo-full');
  });

  it('the demo lives: its subscribers dial in through the lab', async () => {
    const lab = `http://127.0.0.1:${readEnvFile(join(home, 'env'))['SLUICE_LAB_PORT'] ?? ''}`;
    for (let tries = 0; ; tries++) {
      const sessions = (await (await fetch(`${lab}/sessions`)).json()) as { username: string }[];
      if (sessions.some((session) => session.username === 'demo-full')) break;
      expect(tries, 'nobody dialled in').to.be.lessThan(120);
      await wait(250);
    }
  });

  it('start, after one of its processes was killed, starts that one again', async () => {
    const mark = marks.role(home, 'worker');
    const others = everyMark().filter((one) => one !== mark);
    const before = others.map((one) => pidsWith(one));
    for (const pid of pidsWith(mark)) process.kill(pid, 'SIGKILL');
    const { code, output } = await run('start.js').exited;
    expect(code, output).to.equal(0);
    expect(pidsWith(mark)).to.have.length(1);
    expect(others.map((one) => pidsWith(one))).to.deep.equal(before);
  });

  it('stop, leaves nothing running, and start comes back with the same data', async () => {
    const stopped = await run('stop.js').exited;
    expect(stopped.code, stopped.output).to.equal(0);
    for (const mark of everyMark()) expect(pidsWith(mark), mark).to.have.length(0);
    const { code, output } = await run('start.js').exited;
    expect(code, output).to.equal(0);
    expect(output).to.not.include('a year of');
  });

  it('a bad port in the environment is named, with the rule', async () => {
    const good = ports;
    ports = { ...ports, SLUICE_LAB_PORT: 'eighty' };
    const { code, output } = await run('start.js').exited;
    ports = good;
    expect(code).to.equal(1);
    expect(output).to.include('SLUICE_LAB_PORT: must be a port from 1 to 65535');
  });
});
