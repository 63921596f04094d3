import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { until } from '../../scripts/servers/child.ts';
import {
  createRadiusUser,
  type PrivateFreeRadius,
  startFreeRadius,
} from '../../scripts/servers/freeradius.ts';
import { checkAccount, hasHaproxy, type PrivateProxy, startHaproxy } from '../../scripts/servers/haproxy.ts';
import { dataRoot } from '../../scripts/servers/place.ts';
import type { TestContext } from '../support/builders.ts';
import type { GaleraFixture } from '../support/galera.ts';
import { useLab } from '../support/lab.ts';
import { secretOf, writeClientFile, writeLogin } from '../support/radius-server.ts';

/** FreeRADIUS behind freeradius/haproxy.cfg, on the cluster of nodes.test.ts. */
export function radiusOnACluster(at: () => { galera: GaleraFixture; ctx: TestContext }): void {
  const lab = useLab();
  const folder = join(dataRoot(), `test-haproxy-${process.pid}`);
  let proxy: PrivateProxy | undefined;
  let radius: PrivateFreeRadius | undefined;

  before(async function () {
    if (!hasHaproxy()) this.skip();
    const { galera } = at();
    const { cluster } = galera;
    await cluster.handle(1).asRoot(checkAccount);
    proxy = await startHaproxy(join(folder, 'proxy'), [
      cluster.ports(1).sql,
      cluster.ports(2).sql,
      cluster.ports(3).sql,
    ]);
    const address = await createRadiusUser(
      { asRoot: (statement) => cluster.handle(1).asRoot(statement), port: proxy.port },
      galera.address(1).database,
      'radius',
    );
    radius = await startFreeRadius(join(folder, 'freeradius'), { db: address });
  });
  after(async () => {
    await radius?.stop();
    await proxy?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const troubles: Record<
    string,
    { begin: (n: number) => Promise<void> | void; end: (n: number) => Promise<void> | void }
  > = {
    killed: { begin: (n) => cluster().kill(n), end: (n) => cluster().restart(n) },
    frozen: { begin: (n) => cluster().freeze(n), end: (n) => cluster().thaw(n) },
    'cut off': { begin: (n) => cluster().isolate(n), end: (n) => cluster().rejoin(n) },
  };
  const cluster = () => at().galera.cluster;

  /** After a trouble it is another one than the first of the list: connections that work stay where they are. */
  async function nodeInUse(): Promise<number> {
    for (const n of cluster().numbers) {
      const [rows] = (await at()
        .galera.on(n)
        .raw("SELECT COUNT(*) AS n FROM information_schema.processlist WHERE user LIKE '%\\_radius'")) as [
        { n: string }[],
      ];
      if (Number(rows[0]?.n ?? 0) > 0) return n;
    }
    throw new Error('FreeRADIUS is on no node');
  }

  for (const [what, { begin, end }] of Object.entries(troubles)) {
    it(`FreeRADIUS, whose node is ${what}, serves from another, and what it acknowledged is there`, async () => {
      const { galera } = at();
      if (radius === undefined) throw new Error('FreeRADIUS was not started');
      const router = await lab.router({
        secret: secretOf(7),
        authPort: radius.authPort,
        acctPort: radius.acctPort,
        timeoutMs: 2000,
        accountingGiveUpSeconds: 60,
      });
      writeClientFile(radius, router.address, 7);
      await wait(1500);
      const usernames = Array.from({ length: 12 }, (_, n) => `${what.replace(' ', '-')}-${n}`);
      for (const username of usernames) {
        await writeLogin(
          galera.on(2),
          username,
          { 'Cleartext-Password': 'pw' },
          {
            Class: 'S1.7.aa.bb',
            'Framed-Pool': 'home',
          },
        );
      }
      const dial = (username: string) => router.dial({ username, password: 'pw' });
      for (const username of usernames.slice(0, 6)) expect((await dial(username)).ok).to.equal(true);
      await router.accountingIdle();
      const node = await nodeInUse();
      await begin(node);
      try {
        for (const username of usernames.slice(6)) {
          for (let attempt = 1; !(await dial(username)).ok; attempt++) expect(attempt).to.be.lessThan(20);
        }
        await router.hangUpAll('User-Request');
      } finally {
        await end(node);
        const isInStep = () =>
          galera
            .on(node)('setting')
            .first()
            .then(
              () => true,
              () => false,
            );
        await until(`node ${node} in step`, isInStep, { timeoutMs: 60_000, stepMs: 200 });
      }
      const rows = await galera
        .on(node)('radacct')
        .whereIn('username', usernames)
        .select<{ username: string; acctstoptime: string | null }[]>('username', 'acctstoptime');
      expect(rows.map((row) => row.username).sort()).to.deep.equal([...usernames].sort());
      expect(rows.filter((row) => row.acctstoptime === null)).to.deep.equal([]);
      expect(router.counters()).to.include({ accountingGaveUp: 0 });
    });
  }
}
