import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { type Attributes, type TestRouter } from '../support/radius-client.ts';
import { type RadiusFixture, radiusFixture } from '../support/radius-server.ts';

const mac = 'AA:BB:CC:DD:EE:01';

describe('FreeRADIUS: accounting', () => {
  let radius: RadiusFixture;
  let router: TestRouter;
  let other: TestRouter;

  before(async () => {
    radius = await radiusFixture();
    router = await radius.router('127.0.0.51', 51);
    other = await radius.router('127.0.0.52', 52);
  });
  beforeEach(() => radius.db('radacct').delete());
  after(() => radius.stop());

  const rows = (): Promise<Session[]> => sessions(radius.db);
  const theRow = async (): Promise<Session> => {
    const [row, ...others] = await rows();
    expect(others, 'one row').to.have.length(0);
    if (row === undefined) throw new Error('no row');
    return row;
  };
  const shift = (seconds: number) =>
    radius.db('radacct').update({
      acctstarttime: radius.db.raw('acctstarttime - INTERVAL ? SECOND', [seconds]),
      acctupdatetime: radius.db.raw('acctupdatetime - INTERVAL ? SECOND', [seconds]),
      acctstoptime: radius.db.raw('acctstoptime - INTERVAL ? SECOND', [seconds]),
    });

  it('session, from Start to Stop, is one row with what the router told', async () => {
    const session = sessionOf({ 'Delegated-IPv6-Prefix': prefix });
    expect(await router.account('start', session)).to.equal(true);
    expect((await theRow()).acctstoptime).to.equal(null);
    expect(await router.account('interim', [...session, ...counters(300, 1000, 2000)])).to.equal(true);
    expect(
      await router.account('stop', [...session, ...counters(400, 1500, 2500), ['Acct-Terminate-Cause', 1]]),
    ).to.equal(true);

    const row = await theRow();
    expect(row).to.include({
      username: 'ann',
      acctsessionid: '81000001',
      nasipaddress: '127.0.0.51',
      claimed_nas_address: '192.168.88.1',
      router_id: '51',
      callingstationid: mac,
      framedipaddress: '100.64.0.7',
      delegatedipv6prefix: '2001:db8:7::/56',
      acctinputoctets: '1500',
      acctoutputoctets: '2500',
      acctsessiontime: 400,
      acctterminatecause: 'User-Request',
      stop_seen: 1,
      nasportid: 'ether1',
    });
    expect(row.class).to.equal(classOf(session));
    expect(row.acctstoptime).to.not.equal(null);
  });

  describe('Acct-Session-Id, when a router repeats it', () => {
    for (const kind of ['with our Class', 'without a Class'] as const) {
      const make = (more: Record<string, string>) => sessionOf(more, { hasClass: kind === 'with our Class' });

      it(`${kind}, for two devices in one second, makes two rows`, async () => {
        await router.account('start', make({}));
        await router.account('start', make({ 'Calling-Station-Id': 'AA:BB:CC:DD:EE:02' }));
        expect(await rows()).to.have.length(2);
      });

      it(`${kind}, on two routers with the same NAS-IP-Address, makes two rows`, async () => {
        await router.account('start', make({}));
        await other.account('start', make({}));
        expect((await rows()).map((row) => row.nasipaddress).sort()).to.deep.equal([
          '127.0.0.51',
          '127.0.0.52',
        ]);
      });

      it(`${kind}, after the session has ended, leaves the closed row alone`, async () => {
        const before = make({});
        await router.account('start', before);
        await router.account('stop', [...before, ...counters(100, 10, 20)]);
        await shift(3600);
        const closed = await theRow();

        await router.account('start', kind === 'with our Class' ? make({}) : before);

        const [first, second] = await rows();
        expect({ ...first, acctuniqueid: '' }).to.deep.equal({ ...closed, acctuniqueid: '' });
        expect(second?.acctstoptime).to.equal(null);
        expect(second?.acctinputoctets).to.equal('0');
      });
    }

    it('without a Class, after a restart that lost the Stop, ends the old row where it was last heard of', async () => {
      const session = sessionOf({}, { hasClass: false });
      await router.account('start', session);
      await router.account('interim', [...session, ...counters(600, 1000, 1000)]);
      await shift(3600);
      const [before] = await rows();

      await router.account('start', session);
      await router.account('interim', [...session, ...counters(5, 7, 7)]);

      const [old, young] = await rows();
      expect(old).to.include({ acctterminatecause: 'Sluice-Replaced', acctinputoctets: '1000' });
      expect(old?.acctstoptime).to.equal(before?.acctupdatetime);
      expect(young).to.include({ acctstoptime: null, acctinputoctets: '7' });
    });
  });

  describe('Start', () => {
    it('sent again, with the same bytes or as another packet, makes one row', async () => {
      for (const hasClass of [true, false]) {
        await radius.db('radacct').delete();
        const session = sessionOf({}, { hasClass });
        const packet = router.accounting('start', session);
        await router.send(packet, radius.server.acctPort);
        await router.send(packet, radius.server.acctPort);
        await router.account('start', session);
        await theRow();
      }
    });

    it('that comes after its Stop, leaves the row closed', async () => {
      const session = sessionOf({});
      await router.account('stop', [...session, ...counters(100, 10, 20)]);
      const closed = await theRow();
      await router.account('start', session);
      expect(await theRow()).to.deep.equal(closed);
    });

    it('that comes after its Stop without a Class, leaves the row closed where its delay tells its age', async () => {
      const session = sessionOf({}, { hasClass: false });
      await router.account('start', session);
      await router.account('stop', [...session, ...counters(1, 10, 20)]);
      const closed = await theRow();
      await router.account('start', [...session, ['Acct-Delay-Time', 5]]);
      expect(await theRow()).to.deep.equal(closed);
    });

    it('that comes after an interim, leaves what that told', async () => {
      const session = sessionOf({});
      await router.account('interim', [...session, ...counters(60, 10, 20)]);
      const before = await theRow();
      await router.account('start', session);
      expect(await theRow()).to.deep.equal(before);
    });
  });

  describe('Stop', () => {
    it('sent twice, changes nothing the second time', async () => {
      const session = sessionOf({});
      await router.account('start', session);
      await router.account('stop', [...session, ...counters(100, 10, 20), ['Acct-Terminate-Cause', 6]]);
      await shift(50);
      const closed = await theRow();
      await router.account('stop', [...session, ...counters(100, 11, 21), ['Acct-Terminate-Cause', 1]]);
      expect(await theRow()).to.deep.equal(closed);
      expect(closed.acctterminatecause).to.equal('Admin-Reset');
    });

    it('of a session we never heard of, makes a closed row with its beginning', async () => {
      await router.account('stop', [...sessionOf({}), ...counters(100, 10, 20)]);
      const row = await theRow();
      expect(secondsBetween(row.acctstarttime, row.acctstoptime)).to.equal(100);
      expect(row.stop_seen).to.equal(1);
    });

    it('of a session that our sweep has closed, tells its true end', async () => {
      const session = sessionOf({});
      await router.account('start', session);
      await shift(3600);
      await closeAsStale(radius.db);
      await router.account('stop', [...session, ...counters(3600, 10, 20), ['Acct-Terminate-Cause', 5]]);
      const row = await theRow();
      expect(row).to.include({ acctterminatecause: 'Session-Timeout', stop_seen: 1, acctinputoctets: '10' });
      expect(secondsBetween(row.acctstarttime, row.acctstoptime)).to.be.within(3599, 3605);
    });
  });

  describe('interim', () => {
    it('after a Stop, leaves the row closed', async () => {
      const session = sessionOf({});
      await router.account('start', session);
      await router.account('stop', [...session, ...counters(100, 10, 20)]);
      const closed = await theRow();
      expect(await router.account('interim', [...session, ...counters(90, 500, 500)])).to.equal(true);
      expect(await theRow()).to.deep.equal(closed);
    });

    it('of a session that our sweep has closed, opens it again', async () => {
      const session = sessionOf({});
      await router.account('start', session);
      await shift(3600);
      await closeAsStale(radius.db);
      await router.account('interim', [...session, ...counters(3600, 10, 20)]);
      expect(await theRow()).to.include({
        acctstoptime: null,
        acctterminatecause: '',
        acctinputoctets: '10',
      });
    });

    it('of a time before our sweep has closed it, leaves the session closed', async () => {
      const session = sessionOf({});
      await router.account('start', session);
      await closeAsStale(radius.db);
      await router.account('interim', [...session, ...counters(0, 10, 20), ['Acct-Delay-Time', 100]]);
      expect(await theRow()).to.include({ acctterminatecause: 'Sluice-Stale', acctinputoctets: '10' });
    });

    it('of a session we never heard of, makes its row with its beginning', async () => {
      await router.account('interim', [...sessionOf({}), ...counters(1800, 10, 20)]);
      const row = await theRow();
      expect(secondsBetween(row.acctstarttime, row.acctupdatetime)).to.equal(1800);
      expect(row.acctstoptime).to.equal(null);
    });

    it('in the wrong order, lowers no counter and no time', async () => {
      const session = sessionOf({});
      await router.account('start', session);
      await router.account('interim', [...session, ...counters(600, 5000, 6000)]);
      const before = await theRow();
      await router.account('interim', [...session, ...counters(300, 2000, 3000), ['Acct-Delay-Time', 300]]);
      expect(await theRow()).to.deep.equal(before);
    });

    it('beyond 4 GiB, counts the gigawords', async () => {
      const session = sessionOf({});
      await router.account('interim', [
        ...session,
        ...counters(600, 5, 4_294_967_295),
        ['Acct-Input-Gigawords', 3],
        ['Acct-Output-Gigawords', 1_000_000],
      ]);
      expect(await theRow()).to.include({
        acctinputoctets: String(3n * 2n ** 32n + 5n),
        acctoutputoctets: String(1_000_000n * 2n ** 32n + 4_294_967_295n),
      });
    });

    it('tells an address or a prefix that came later', async () => {
      const session = sessionOf({});
      await router.account(
        'start',
        session.filter(([name]) => name !== 'Framed-IP-Address'),
      );
      await router.account('interim', [...session, ['Delegated-IPv6-Prefix', prefix]]);
      const told = { framedipaddress: '100.64.0.7', delegatedipv6prefix: '2001:db8:7::/56' };
      expect(await theRow()).to.include(told);
      await router.account(
        'interim',
        session.filter(([name]) => name !== 'Framed-IP-Address'),
      );
      expect(await theRow()).to.include(told);
    });
  });

  describe('Accounting-On', () => {
    for (const status of ['on', 'off'] as const) {
      it(`(${status}) closes the sessions of its source where they were last heard of, and no other's`, async () => {
        await router.account('start', sessionOf({ 'User-Name': 'mine' }));
        await other.account('start', sessionOf({ 'User-Name': 'theirs' }));
        await shift(600);
        await router.account('interim', sessionOf({ 'User-Name': 'lately' }));
        await shift(600);

        expect(await router.account(status, [['NAS-IP-Address', '192.168.88.1']])).to.equal(true);

        const all = await rows();
        for (const row of all.filter((each) => each.nasipaddress === '127.0.0.51')) {
          expect(row.acctterminatecause).to.equal('NAS-Reboot');
          expect(row.acctstoptime).to.equal(row.acctupdatetime);
        }
        expect(all.filter((row) => row.acctstoptime === null).map((row) => row.username)).to.deep.equal([
          'theirs',
        ]);
      });
    }

    it('that was under way for long, leaves sessions that began after it', async () => {
      await router.account('start', sessionOf({}));
      await shift(10);
      await router.account('on', [['Acct-Delay-Time', 30]]);
      expect((await theRow()).acctstoptime).to.equal(null);
    });

    it('when a session lives on all the same, is overruled by its next interim', async () => {
      const session = sessionOf({});
      await router.account('start', session);
      await shift(600);
      await router.account('on');
      await router.account('interim', [...session, ...counters(600, 10, 20)]);
      expect(await theRow()).to.include({ acctstoptime: null, acctterminatecause: '' });
    });
  });

  it("times, when the router's clock is wrong, are the server's less the packet's delay", async () => {
    const now = Math.floor((performance.timeOrigin + performance.now()) / 1000);
    await router.account('start', [...sessionOf({}), ['Acct-Delay-Time', 120]]);
    const started = new Date(`${((await theRow()).acctstarttime ?? '').replace(' ', 'T')}Z`).getTime() / 1000;
    expect(started).to.be.within(now - 121, now - 118);
  });

  it('delay, when it is beyond belief, is not believed', async () => {
    await router.account('start', [...sessionOf({}), ['Acct-Delay-Time', 4_000_000_000]]);
    const row = await theRow();
    const now = new Date(performance.timeOrigin + performance.now())
      .toISOString()
      .slice(0, 19)
      .replace('T', ' ');
    expect(secondsBetween(row.acctstarttime, now)).to.be.within(0, 5);
  });

  it('packets of one session, all at the same time, end in one closed row', async () => {
    const all = Array.from({ length: 60 }, (_, i) =>
      sessionOf({ 'Acct-Session-Id': `8200${i}`, 'User-Name': `u${i}` }),
    );
    const answers = await Promise.all(
      all.flatMap((session) => [
        router.account('start', session),
        router.account('interim', [...session, ...counters(10, 10, 10)]),
        router.account('stop', [...session, ...counters(20, 20, 20)]),
      ]),
    );
    expect(answers).to.not.include(false);
    const kept = await rows();
    expect(kept).to.have.length(60);
    expect(kept.filter((row) => row.acctstoptime === null)).to.deep.equal([]);
    expect(new Set(kept.map((row) => row.acctinputoctets))).to.deep.equal(new Set(['20']));
  });

  it('values that are too long, no text or made to change the statement, are kept as far as they go', async () => {
    const session = sessionOf({
      'Called-Station-Id': 'c'.repeat(250),
      'NAS-Port-Id': "x' WHERE 1=1 -- \\",
    }).filter(([name]) => name !== 'Class');
    const odd: Attributes = [
      ...session,
      ['Class', randomBytes(100)],
      ['Acct-Session-Id', Buffer.from([0x38, 0xff, 0xfe, 0x00, 0x31])],
    ];
    expect(await router.account('start', odd)).to.equal(true);
    expect(await router.account('interim', odd)).to.equal(true);
    expect(await router.account('stop', odd)).to.equal(true);
    expect(await theRow()).to.include({
      calledstationid: 'c'.repeat(64),
      nasportid: "x' WHERE 1=1 -- \\",
      stop_seen: 1,
    });
  });

  it('devices and session ids that are alike up to a NUL, are sessions of their own', async () => {
    const odd = (mac: string | Buffer, id: string | Buffer): Attributes => [
      ['User-Name', 'ann'],
      ['Calling-Station-Id', mac],
      ['Acct-Session-Id', id],
    ];
    const sent = [
      odd('\0a', 'nul-1'),
      odd('\0b', 'nul-1'),
      odd(Buffer.from([0, 0xff, 0xc3]), 'nul-1'),
      odd(mac, 'nul-2\0a'),
      odd(mac, 'nul-2\0b'),
    ];
    for (const attributes of sent) expect(await router.account('stop', attributes)).to.equal(true);
    expect(await rows()).to.have.length(sent.length);
  });

  it('packets that tell of no session, are answered and not kept', async () => {
    const tunnelStart = router.accountingOf(9, sessionOf({}));
    expect(await router.send(tunnelStart, radius.server.acctPort)).to.not.equal(undefined);
    expect(await rows()).to.deep.equal([]);
  });
});

interface Session {
  username: string;
  acctsessionid: string;
  acctuniqueid: string;
  nasipaddress: string;
  nasportid: string;
  callingstationid: string;
  calledstationid: string;
  framedipaddress: string;
  delegatedipv6prefix: string;
  class: string | null;
  router_id: string | null;
  claimed_nas_address: string | null;
  acctstarttime: string | null;
  acctupdatetime: string | null;
  acctstoptime: string | null;
  acctsessiontime: number;
  acctinputoctets: string;
  acctoutputoctets: string;
  acctterminatecause: string;
  stop_seen: number;
}

async function sessions(db: Knex): Promise<Session[]> {
  return await db<Session>('radacct').select('*').orderBy('radacctid');
}

const prefix = Buffer.from('003820010db800070000000000000000000000', 'hex').subarray(0, 10);

function sessionOf(
  more: Record<string, string | Buffer>,
  options: { hasClass: boolean } = { hasClass: true },
): Attributes {
  const usual: Record<string, string | number | Buffer> = {
    'User-Name': 'ann',
    'Acct-Session-Id': '81000001',
    'NAS-IP-Address': '192.168.88.1',
    'NAS-Port': 15_728_641,
    'NAS-Port-Id': 'ether1',
    'Calling-Station-Id': mac,
    'Framed-IP-Address': '100.64.0.7',
    ...(options.hasClass ? { Class: `S1.7.0123456789.abcdef0123.${randomBytes(8).toString('hex')}` } : {}),
  };
  return Object.entries({ ...usual, ...more });
}

function classOf(session: Attributes): string | number | Buffer | undefined {
  return session.find(([name]) => name === 'Class')?.[1];
}

function counters(seconds: number, input: number, output: number): Attributes {
  return [
    ['Acct-Session-Time', seconds],
    ['Acct-Input-Octets', input],
    ['Acct-Output-Octets', output],
  ];
}

/** As Sluice's sweep does. */
async function closeAsStale(db: Knex): Promise<void> {
  await db('radacct').update({ acctstoptime: db.raw('acctupdatetime'), acctterminatecause: 'Sluice-Stale' });
}

function secondsBetween(from: string | null, to: string | null): number {
  const at = (text: string | null) => new Date(`${(text ?? '').replace(' ', 'T')}Z`).getTime();
  return (at(to) - at(from)) / 1000;
}
