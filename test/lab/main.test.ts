import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { expect } from 'chai';
import { emptyMessageAuthenticator, numberOf, textOf } from '../../scripts/lab/codec.ts';
import type { LabConfigInput } from '../../scripts/lab/config.ts';
import { freePort, startChild, until } from '../../scripts/servers/child.ts';
import { labAddress } from '../support/lab.ts';
import { responder } from './support.ts';

describe('lab process', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-lab-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const configFile = () => join(folder, 'lab.json');
  const logFile = () => join(folder, 'out.log');
  const output = () => readFileSync(logFile(), 'utf8');

  function start(config: unknown) {
    writeFileSync(configFile(), typeof config === 'string' ? config : JSON.stringify(config));
    const extension = extname(import.meta.filename);
    const main = join(import.meta.dirname, `../../scripts/lab/main${extension}`);
    const loader = extension === '.ts' ? ['--import', 'tsx'] : [];
    return startChild(process.execPath, [...loader, main, configFile()], {
      account: undefined,
      logFile: logFile(),
    });
  }

  it('main, with hundreds of subscribers, brings them online; on SIGTERM it sends their Stops and ends', async function () {
    this.timeout(40_000);
    const secret = 'main-secret';
    const server = await responder(secret, ({ code }) =>
      code === 4
        ? { code: 5, attributes: [] }
        : { code: 2, attributes: [emptyMessageAuthenticator, ['Framed-Pool', 'home']] },
    );
    const endpoint = { address: '127.0.0.1', port: server.port };
    const config: LabConfigInput = {
      control: { port: await freePort() },
      authServer: endpoint,
      acctServer: endpoint,
      routers: [1, 2, 3].map((i) => ({
        name: `r${i}`,
        address: labAddress(),
        secret,
        pools: { home: [`10.${i}.0.1`, `10.${i}.3.254`] },
      })),
      subscribers: Array.from({ length: 300 }, (_, i) => ({
        username: `user${i}`,
        password: `p${i}`,
        router: `r${(i % 3) + 1}`,
        method: (['pap', 'chap', 'mschap2'] as const)[i % 2],
      })),
      dialSpreadSeconds: 0.5,
    };
    const child = start(config);
    try {
      const accounted = (status: number) =>
        new Set(
          server.requests
            .filter(({ attributes }) => numberOf(attributes, 'Acct-Status-Type') === status)
            .map(({ attributes }) => textOf(attributes, 'User-Name')),
        ).size;
      await until('300 sessions', () => accounted(1) === 300, { timeoutMs: 20_000, child });
      const answer = await fetch(`http://127.0.0.1:${config.control.port}/sessions`);
      expect(await answer.json()).to.have.length(300);
      expect(accounted(7), 'Accounting-On').to.equal(1);
      await child.stop();
      expect(accounted(2)).to.equal(300);
      expect(output()).to.include('"event":"lab started"').and.to.include('"event":"lab stopped"');
      expect(output()).to.not.include(secret);
    } finally {
      await child.stop();
      await server.close();
    }
  });

  it('main, on SIGHUP, takes a changed secret; on SIGTERM it ends although nobody answers its Stops', async () => {
    const secret = 'old-secret';
    const server = await responder(secret, ({ code }) =>
      code === 4
        ? { code: 5, attributes: [] }
        : { code: 2, attributes: [emptyMessageAuthenticator, ['Framed-IP-Address', '10.9.9.9']] },
    );
    const endpoint = { address: '127.0.0.1', port: server.port };
    const config: LabConfigInput = {
      control: { port: await freePort() },
      authServer: endpoint,
      acctServer: endpoint,
      routers: [{ name: 'r1', address: labAddress(), secret }],
      subscribers: [{ username: 'a', password: 'p', router: 'r1' }],
      dialSpreadSeconds: 0,
    };
    const child = start(config);
    try {
      await until('the session', () => server.requests.length >= 3, { timeoutMs: 10_000, child });
      await server.close();
      writeFileSync(
        configFile(),
        JSON.stringify({ ...config, routers: [{ ...config.routers[0], secret: 'new-one' }] }),
      );
      process.kill(child.pid, 'SIGHUP');
      await until('the secret', () => output().includes('"event":"secret changed"'), {
        timeoutMs: 5000,
        child,
      });
      writeFileSync(configFile(), '{');
      process.kill(child.pid, 'SIGHUP');
      await until('the complaint', () => /"event":"reload failed".*is not JSON/.test(output()), {
        timeoutMs: 5000,
        child,
      });
      await child.stop();
      expect(output(), 'ended by itself').to.include('"event":"lab stopped"');
      expect(output()).to.not.match(/old-secret|new-one/);
    } finally {
      await child.stop();
    }
  });

  const broken: [string, unknown, RegExp][] = [
    ['that is not JSON', '{', /lab\.json: is not JSON/],
    ['without servers', { control: { port: 1 }, routers: [] }, /authServer: /],
    [
      'with a router outside loopback',
      {
        control: { port: 18080 },
        authServer: { address: '127.0.0.1', port: 1812 },
        acctServer: { address: '127.0.0.1', port: 1813 },
        routers: [{ name: 'a', address: '192.0.2.1', secret: 'keep-me-hidden' }],
      },
      /routers\[0\]\.address: must be in 127\.0\.0\.0\/8/,
    ],
    [
      'with a subscriber of no router',
      {
        control: { port: 18080 },
        authServer: { address: '127.0.0.1', port: 1812 },
        acctServer: { address: '127.0.0.1', port: 1813 },
        routers: [],
        subscribers: [{ username: 'a', password: 'keep-me-hidden', router: 'b' }],
      },
      /subscribers\[0\]\.router: no router has this name/,
    ],
  ];
  for (const [what, config, message] of broken) {
    it(`main, with a configuration ${what}, ends and names the field`, async () => {
      const child = start(config);
      await child.exited;
      expect(output()).to.match(message).and.to.not.include('keep-me-hidden');
    });
  }
});
