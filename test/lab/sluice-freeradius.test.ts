import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { LabRouter } from '../../scripts/lab/router.ts';
import { labAddress, openLab } from '../support/lab.ts';
import { type RadiusFixture, radiusFixture, secretOf, writeClientFile } from '../support/radius-server.ts';

describe("lab routers at Sluice's FreeRADIUS", function () {
  this.timeout(60_000);
  let radius: RadiusFixture;
  let north: LabRouter;
  let south: LabRouter;
  const lab = openLab();
  const names = Array.from({ length: 20 }, (_, i) => `lab${i}`);

  before(async () => {
    radius = await radiusFixture();
    for (const [i, name] of names.entries()) {
      await radius.login(
        name,
        { 'Cleartext-Password': `password of ${name}` },
        {
          Class: `S1.${i + 1}.0123456789.abcdef0123`,
          'Framed-Pool': 'home',
          'Mikrotik-Rate-Limit': '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M',
          'Mikrotik-Address-List': 'sluice-full',
          'Acct-Interim-Interval': '300',
        },
      );
    }
    [north, south] = [await openRouter(71), await openRouter(72)];
  });
  after(async () => {
    await lab.close();
    await radius.stop();
  });

  // Both claim the same NAS-IP-Address, as routers out of the box do.
  async function openRouter(id: number): Promise<LabRouter> {
    const address = labAddress();
    writeClientFile(radius.server, address, id);
    const { authPort, acctPort } = radius.server;
    return lab.router({ name: `lab-r${id}`, address, secret: secretOf(id), authPort, acctPort });
  }

  async function dialAll(router: LabRouter, method: 'pap' | 'chap' | 'mschap2'): Promise<void> {
    const outcomes = await Promise.all(
      names.map((username) => router.dial({ username, password: `password of ${username}`, method })),
    );
    expect(outcomes.filter((outcome) => !outcome.ok)).to.deep.equal([]);
    await router.accountingIdle();
  }

  const live = () =>
    [north, south]
      .flatMap((router) => router.sessions())
      .map(
        ({ router, username, address, class: text }) =>
          `${router.slice(-2)} ${username} ${address} ${text ?? ''}`,
      )
      .sort();
  async function open(): Promise<string[]> {
    const rows = await radius
      .db('radacct')
      .select('router_id', 'username', 'framedipaddress', 'class')
      .whereNull('acctstoptime');
    return (rows as { router_id: string; username: string; framedipaddress: string; class: string }[])
      .map((row) => `${row.router_id} ${row.username} ${row.framedipaddress} ${row.class}`)
      .sort();
  }

  it('open rows, when session ids repeat on two routers with one NAS-IP-Address, are the live sessions', async () => {
    for (const router of [north, south]) router.faults.set({ kind: 'repeat_session_ids' });
    await dialAll(north, 'chap');
    await dialAll(south, 'mschap2');
    await dialAll(south, 'pap');
    expect(new Set(north.sessions().map(({ id }) => id)).size).to.be.lessThan(names.length);
    expect(live()).to.have.length(60);
    expect(await open()).to.deep.equal(live());
  });

  it('open rows, when a Stop comes twice and an interim after it, are the live sessions', async () => {
    south.faults.set({ kind: 'stop_twice' });
    south.faults.set({ kind: 'interim_after_stop' });
    for (const { key } of south.sessions().slice(0, 20)) south.hangUp(key);
    await south.accountingIdle();
    south.faults.clear();
    expect(live()).to.have.length(40);
    expect(await open()).to.deep.equal(live());
  });

  it('open rows, when one router reboots and its ids begin again, are the live sessions', async () => {
    // Accounting-On ends what began in an earlier second than itself, and no router restarts within one.
    await wait(1100);
    expect(await north.reboot({ keepsCounter: true })).to.equal('answered');
    expect(live()).to.have.length(20);
    expect(await open()).to.deep.equal(live());
    await dialAll(north, 'chap');
    expect(await open()).to.deep.equal(live());
  });

  it('open rows, when Stops are lost, keep the lost sessions and no others', async () => {
    north.faults.set({ kind: 'lose_stops' });
    const [lost] = north.sessions();
    const before = live();
    north.hangUp(lost?.key ?? '');
    await north.accountingIdle();
    expect(await open()).to.deep.equal(before);
    expect(live()).to.have.length(before.length - 1);
  });
});
