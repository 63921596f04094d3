import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { extname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { clientEvidence } from '../../src/db/radius-clients.ts';
import { openDb } from '../../src/db/knex.ts';
import { parseClientFile } from '../../src/domain/radius-client-file.ts';
import { alignClientFiles, startRadiusAgent } from '../../src/reconcile/radius-agent.ts';
import type { AgentArguments } from './agent-process.ts';
import { type AgentFixture, agentFixture, isAccepted, soon } from './support.ts';

describe('radius-agent, when its world breaks', function () {
  this.timeout(120_000);
  let f: AgentFixture;
  const size = 300;
  before(async () => {
    f = await agentFixture();
    await f.db('nas').insert(
      Array.from({ length: size }, (_, n) => ({
        router_id: n + 1,
        nasname: addressOf(n),
        shortname: `r${n + 1}`,
        secret: 'secret at first',
        changed_at: '2026-01-01',
      })),
    );
  });
  after(() => f.stop());

  const secretsInPlace = () =>
    readdirSync(f.server.clientDirectory).map((name) => {
      const parsed = parseClientFile(name, readFileSync(join(f.server.clientDirectory, name), 'utf8'));
      return parsed.ok ? parsed.client.secret : parsed.problem;
    });
  const changeAll = (secret: string) => f.db('nas').where('router_id', '<=', size).update({ secret });

  it('killed with SIGKILL at any point, leaves whole files only, and the next one ends where it should', async () => {
    for (let round = 1; round <= 6; round++) {
      const agent = await startProcess(f);
      await changeAll(`secret of round ${round}`);
      // Somewhere in the middle of 300 files; a little later each time.
      await soon(
        'some new files',
        () => secretsInPlace().some((secret) => secret.endsWith(` ${round}`)),
        10_000,
      );
      await wait(round * 8);
      agent.kill('SIGKILL');
      await once(agent, 'exit');
      const kept = secretsInPlace();
      expect(kept.filter((secret) => !/^secret (at first|of round \d)$/.test(secret))).to.deep.equal([]);
    }
    const agent = await startProcess(f);
    await soon(
      'every file',
      () => secretsInPlace().filter((secret) => secret.endsWith(' 6')).length === size,
      15_000,
    );
    expect(readdirSync(`${f.server.clientDirectory}.new`)).to.deep.equal([]);
    const router = await f.dial(addressOf(7), 'secret of round 6');
    await soon('FreeRADIUS has read it', () => isAccepted(router, 100));
    await router.close();
    agent.kill('SIGKILL');
    await once(agent, 'exit');
  });

  it('keeps the files while the database is gone, and takes up what changed when it is back', async () => {
    await changeAll('before the loss');
    await alignClientFiles(f.deps);
    const proxy = await databaseProxy(f);
    const db = openDb({ ...f.address, port: proxy.port });
    const agent = startRadiusAgent({ ...f.deps, db, host: 'cut-off' });
    await soon('evidence', async () => (await clientEvidence(f.db, ['1'])).get('1')?.some(isCutOff) ?? false);
    proxy.cut();
    await changeAll('during the loss');
    await wait(1200);
    expect(new Set(secretsInPlace())).to.deep.equal(new Set(['before the loss']));
    proxy.mend();
    await soon(
      'the new secret',
      () => secretsInPlace().every((secret) => secret === 'during the loss'),
      15_000,
    );
    await agent.stop();
    await db.destroy();
    await proxy.close();
  });

  it('a database that hangs stops changes and nothing else; they are taken up afterwards', async () => {
    const proxy = await databaseProxy(f);
    const db = openDb({ ...f.address, port: proxy.port });
    const agent = startRadiusAgent({ ...f.deps, db, host: 'cut-off' });
    await wait(400);
    proxy.hang();
    await changeAll('while it hung');
    const router = await f.dial(addressOf(3), 'during the loss');
    expect(await isAccepted(router, 1000)).to.equal(true);
    proxy.mend();
    await soon(
      'the new secret',
      () => secretsInPlace().every((secret) => secret === 'while it hung'),
      20_000,
    );
    await router.close();
    await agent.stop();
    await db.destroy();
    await proxy.close();
  });
});

function isCutOff(one: { host: string }): boolean {
  return one.host === 'cut-off';
}

function addressOf(n: number): string {
  return `127.92.${Math.floor(n / 250)}.${(n % 250) + 1}`;
}

async function startProcess(f: AgentFixture): Promise<ChildProcess> {
  const extension = extname(import.meta.filename);
  const program = join(import.meta.dirname, `agent-process${extension}`);
  const given: AgentArguments = { db: f.address, host: 'killed', freeradius: f.deps.freeradius };
  const loader = extension === '.ts' ? ['--import=tsx'] : [];
  const child = spawn(process.execPath, [...loader, program, JSON.stringify(given)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

/** Stands between an agent and the database: can refuse, hang, and let through again. */
async function databaseProxy(f: AgentFixture) {
  const sockets = new Set<Socket>();
  let mode: 'open' | 'cut' | 'hung' = 'open';
  const server: Server = createServer((client) => {
    if (mode !== 'open') {
      if (mode === 'cut') client.destroy();
      else sockets.add(client);
      return;
    }
    const upstream = connect(f.address.port, f.address.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (bytes) => (mode === 'open' ? upstream.write(bytes) : undefined));
    upstream.on('data', (bytes) => (mode === 'open' ? client.write(bytes) : undefined));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dropAll = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    port: (server.address() as { port: number }).port,
    cut() {
      mode = 'cut';
      dropAll();
    },
    hang() {
      mode = 'hung';
    },
    mend() {
      mode = 'open';
      dropAll();
    },
    async close() {
      dropAll();
      server.close();
      await once(server, 'close');
    },
  };
}
