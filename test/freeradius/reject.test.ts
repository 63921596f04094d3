import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { type Login, type Method, type Reply, type TestRouter } from '../support/radius-client.ts';
import { type RadiusFixture, radiusFixture, type Rows } from '../support/radius-server.ts';

const mac = 'AA:BB:CC:DD:EE:FF';
const otherMac = '02:00:00:00:00:01';
const past = '1700000000';

const denied = { 'Auth-Type': 'Reject', 'Sluice-Deny-Reason': 'invoice_overdue' };

const everything = {
  'Mikrotik-Rate-Limit': '10M/20M',
  'Framed-IP-Address': '100.64.3.9',
  'Session-Timeout': '86400',
  Class: 'S1.42.0123456789.abcdef0123',
  'Reply-Message': 'of an accept',
};

describe('FreeRADIUS: rejects', () => {
  let radius: RadiusFixture;
  let router: TestRouter;

  before(async () => {
    radius = await radiusFixture();
    router = await radius.router('127.0.0.31', 31);
  });
  beforeEach(async () => {
    await radius.db('radpostauth').delete();
    await radius.db('radacct').delete();
  });
  after(() => radius.stop());

  const noted = () => radius.db<Noted>('radpostauth').select('*');
  const dial = (login: Partial<Login> & { username: string | Buffer }): Promise<Reply | undefined> =>
    router.login({ password: 'p', mac, ...login });

  for (const [reason, check, login] of reasons()) {
    it(`login, refused as ${reason}, is noted with that reason, the device and the router`, async () => {
      await radius.login('ann', { 'Cleartext-Password': 'p', ...check }, everything);

      const reply = await dial({ username: 'ann', ...login });

      expect(reply?.kind).to.equal('reject');
      const [row, ...others] = await noted();
      expect(others).to.have.length(0);
      expect(row?.reason).to.equal(reason);
      expect(row?.callingstationid).to.equal(login.mac ?? mac);
      expect(row?.router_id).to.equal('31');
      expect(row?.nasipaddress).to.equal('127.0.0.31');
      expect(row?.reply).to.equal('Access-Reject');
      expect(row?.pass).to.equal('');
    });
  }

  for (const method of ['pap', 'chap', 'mschap', 'mschap2'] satisfies Method[]) {
    it(`login by ${method}, refused but with the right password, is told why`, async () => {
      await radius.login('ann', { 'Cleartext-Password': 'p', ...denied });
      const reply = await dial({ username: 'ann', method });
      expect(reply?.get('Reply-Message')).to.equal('invoice_overdue');
    });

    it(`login by ${method}, refused and with a wrong password, isn't told why`, async () => {
      await radius.login('ann', { 'Cleartext-Password': 'p', ...denied });
      const reply = await dial({ username: 'ann', method, password: 'guess' });
      expect(reply?.get('Reply-Message')).to.equal('login_incorrect');
      expect((await noted())[0]?.reason).to.equal('invoice_overdue');
    });
  }

  for (const method of ['pap', 'chap', 'mschap', 'mschap2'] satisfies Method[]) {
    it(`reject by ${method}, whatever its reason, looks the same to whoever does not know the password`, async () => {
      const answers = new Set<string>();
      for (const check of [{}, denied, { Expiration: past }, { 'Calling-Station-Id': otherMac }]) {
        await radius.login('ann', { 'Cleartext-Password': 'p', ...check }, everything);
        answers.add(visible(await dial({ username: 'ann', password: 'guess', method })));
      }
      answers.add(visible(await dial({ username: 'nobody', method })));
      answers.add(visible(await dial({ username: 'no body', method })));
      expect([...answers]).to.have.length(1);
    });
  }

  it('reject, of a login with a full reply, carries only the message and the seal', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'p', ...denied }, everything);
    const reply = await dial({ username: 'ann' });
    expect(reply?.names.sort()).to.deep.equal(['Message-Authenticator', 'Reply-Message']);
    expect(reply?.isSealed).to.equal(true);
  });

  it('reject, of MS-CHAPv2, carries its error code too', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'p' }, everything);
    const reply = await dial({ username: 'ann', method: 'mschap2', password: 'guess' });
    expect(reply?.names.sort()).to.deep.equal(['MS-CHAP-Error', 'Message-Authenticator', 'Reply-Message']);
    expect(reply?.get('MS-CHAP-Error')).to.match(/E=691/);
  });

  it('reject, through a proxy, gives its Proxy-State back', async () => {
    const reply = await dial({ username: 'nobody', attributes: [['Proxy-State', Buffer.from('hop')]] });
    expect(reply?.get('Proxy-State')).to.equal('hop');
  });

  it('denied, when the password is wrong as well, is noted with why it is denied', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'p', ...denied, Expiration: past });
    await dial({ username: 'ann', password: 'guess' });
    expect((await noted()).map((row) => row.reason)).to.deep.equal(['invoice_overdue']);
  });

  it('denied, with a deny reason but no Auth-Type, is rejected all the same', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'p', 'Sluice-Deny-Reason': 'staff_hold' });
    expect((await dial({ username: 'ann' }))?.get('Reply-Message')).to.equal('staff_hold');
  });

  it('denied, with Auth-Type but no reason, is rejected all the same', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'p', 'Auth-Type': 'Reject' });
    expect((await dial({ username: 'ann' }))?.get('Reply-Message')).to.equal('denied');
  });

  it('login, without a password row, is rejected', async () => {
    await radius.login('ann', { 'Simultaneous-Use': '1' }, everything);
    expect((await dial({ username: 'ann', password: '' }))?.kind).to.equal('reject');
    expect((await noted())[0]?.reason).to.equal('no_password');
  });

  it('request, whose password was hidden with another secret, is rejected as unreadable_password', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'p' });
    const packet = router.request([
      ['User-Name', 'ann'],
      // 128 bytes of noise, of which 2 in a hundred million have no control character in them.
      ['User-Password', randomBytes(128)],
    ]);
    expect((await router.send(packet, radius.server.authPort))?.kind).to.equal('reject');
    expect((await noted())[0]?.reason).to.equal('unreadable_password');
  });

  it('request, without any password that we know, is rejected as unsupported_method', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'p' });
    const packet = router.request([
      ['User-Name', 'ann'],
      ['EAP-Message', Buffer.from('0201000801616e6e', 'hex')],
    ]);
    expect((await router.send(packet, radius.server.authPort))?.kind).to.equal('reject');
    expect((await noted())[0]?.reason).to.equal('unsupported_method');
  });

  describe('rejects, when they are many', () => {
    it('of one login for one reason, are noted once a minute', async () => {
      await radius.login('ann', { 'Cleartext-Password': 'p' });
      for (let i = 0; i < 5; i++) await dial({ username: 'ann', password: `guess ${i}` });
      // A minute may end between two of the five.
      expect((await noted()).length).to.be.within(1, 2);
    });

    it('of one login for two reasons, are noted for each', async () => {
      await radius.login('ann', { 'Cleartext-Password': 'p', 'Calling-Station-Id': mac });
      await dial({ username: 'ann', password: 'guess' });
      await dial({ username: 'ann', mac: otherMac });
      expect((await noted()).map((row) => row.reason).sort()).to.deep.equal(['wrong_mac', 'wrong_password']);
    });

    it('of names that nobody has, are noted up to 256 a minute and router', async () => {
      for (let i = 0; i < 1200; i += 100) {
        const batch = Array.from({ length: 100 }, (_, j) => dial({ username: `made-up-${i + j}` }));
        expect((await Promise.all(batch)).every((reply) => reply?.kind === 'reject')).to.equal(true);
      }
      expect((await noted()).length).to.be.within(100, 512);
    });
  });

  it('rejects, when they cannot be noted, go out all the same', async () => {
    await radius.db.schema.renameTable('radpostauth', 'radpostauth_away');
    try {
      expect((await dial({ username: 'nobody' }))?.kind).to.equal('reject');
    } finally {
      await radius.db.schema.renameTable('radpostauth_away', 'radpostauth');
    }
  });

  it('passwords, right, wrong or mistyped into the name, are in no row and not in the log', async () => {
    await radius.login('ann', { 'Cleartext-Password': 'right-Pa55word', ...denied });
    await radius.login('bob', { 'Cleartext-Password': 'right-Pa55word' });
    for (const method of ['pap', 'chap', 'mschap', 'mschap2'] satisfies Method[]) {
      for (const username of ['ann', 'bob']) {
        await dial({ username, method, password: 'right-Pa55word' });
        await dial({ username, method, password: 'wrong-Pa55word' });
      }
    }
    expect(JSON.stringify(await noted())).to.not.contain('Pa55word');
    expect(readFileSync(radius.server.logFile, 'utf8')).to.not.contain('Pa55word');
    expect(readFileSync(`${radius.server.folder}/output.log`, 'utf8')).to.not.contain('Pa55word');
  });

  describe('MAC lock', () => {
    for (const [written, dialled] of macForms()) {
      it(`written as ${written}, lets ${dialled} in`, async () => {
        await radius.login('ann', { 'Cleartext-Password': 'p', 'Calling-Station-Id': written });
        expect((await dial({ username: 'ann', mac: dialled }))?.kind).to.equal('accept');
      });
    }

    it('with a request that names no device, is not met', async () => {
      await radius.login('ann', { 'Cleartext-Password': 'p', 'Calling-Station-Id': mac });
      const reply = await router.login({ username: 'ann', password: 'p' });
      expect(reply?.get('Reply-Message')).to.equal('wrong_mac');
    });
  });

  describe('Simultaneous-Use', () => {
    const open = (session: Record<string, unknown>) =>
      radius.db('radacct').insert({
        acctsessionid: 's',
        acctuniqueid: Object.values(session).join().slice(0, 32),
        username: 'ann',
        callingstationid: otherMac,
        acctstarttime: ago(1000),
        acctupdatetime: ago(10),
        ...session,
      });
    const allow = (sessions: number, reply: Rows = {}) =>
      radius.login('ann', { 'Cleartext-Password': 'p', 'Simultaneous-Use': String(sessions) }, reply);
    const isOnline = async () => {
      const reply = await dial({ username: 'ann' });
      return reply?.kind === 'reject' && reply.get('Reply-Message') === 'already_online';
    };

    it('with a fresh session of another device, refuses and says so', async () => {
      await allow(1);
      await open({});
      expect(await isOnline()).to.equal(true);
      expect((await noted())[0]?.reason).to.equal('already_online');
    });

    it('when it refuses, sends nothing that was collected for an accept', async () => {
      await allow(1, everything);
      await open({});
      const reply = await dial({ username: 'ann', method: 'mschap2' });
      expect(reply?.names.sort()).to.deep.equal(['Message-Authenticator', 'Reply-Message']);
    });

    it('with a session of the device that dials, as after our own Disconnect, lets it in', async () => {
      await allow(1);
      await open({ callingstationid: mac });
      expect((await dial({ username: 'ann', mac: 'aabb.ccdd.eeff' }))?.kind).to.equal('accept');
    });

    it('with a session that is closed, lets it in', async () => {
      await allow(1);
      await open({ acctstoptime: ago(5) });
      expect(await isOnline()).to.equal(false);
    });

    it('with a session that was silent for more than three times 300 s, lets it in', async () => {
      await allow(1);
      await open({ acctupdatetime: ago(910) });
      expect(await isOnline()).to.equal(false);
    });

    it("with a session that was silent for less than three of the login's interims, refuses", async () => {
      await allow(1, { 'Acct-Interim-Interval': '600' });
      await open({ acctupdatetime: ago(910) });
      expect(await isOnline()).to.equal(true);
    });

    it('with a session that has only begun, counts from its start', async () => {
      await allow(1);
      await open({ acctupdatetime: null, acctstarttime: ago(60) });
      expect(await isOnline()).to.equal(true);
    });

    it('for two, with one session elsewhere, lets it in, with two refuses', async () => {
      await allow(2);
      await open({ acctsessionid: '1' });
      expect(await isOnline()).to.equal(false);
      await open({ acctsessionid: '2', callingstationid: '02:00:00:00:00:02' });
      expect(await isOnline()).to.equal(true);
    });

    it('of a name with an apostrophe or a backslash, counts as of any other', async () => {
      for (const username of ["o'hara", 'back\\', `"quoted"`, '%{user-name}']) {
        await radius.login(username, { 'Cleartext-Password': 'p', 'Simultaneous-Use': '1' });
        await open({ username, acctuniqueid: `of ${username}` });
        const reply = await dial({ username });
        expect(reply?.get('Reply-Message'), username).to.equal('already_online');
        const here = await dial({ username, mac: otherMac });
        expect(here?.kind, `${username}, at the device that is online`).to.equal('accept');
      }
    });

    it('with a device that is named like a piece of SQL, counts all the same', async () => {
      await allow(1);
      await open({});
      const devices = [
        `' AND FALSE) -- `,
        `\\' AND FALSE) -- `,
        `'; -- `,
        '\\',
        `010.1.1.1\\`,
        `''`,
        `a' 'b`,
        '\\'.repeat(250),
        "o'hara",
        `x%{User-Name}`,
      ];
      for (const device of devices) {
        const reply = await dial({ username: 'ann', mac: device });
        expect(reply?.get('Reply-Message'), device).to.equal('already_online');
      }
      await radius.db('radacct').delete();
      await open({ callingstationid: "ann's device" });
      expect((await dial({ username: 'ann', mac: "ann's device" }))?.kind).to.equal('accept');
    });

    it('without the row, counts nothing', async () => {
      await radius.login('ann', { 'Cleartext-Password': 'p' });
      await open({});
      expect((await dial({ username: 'ann' }))?.kind).to.equal('accept');
    });

    it('with a wrong password, says nothing of who is online', async () => {
      await allow(1);
      await open({});
      const reply = await dial({ username: 'ann', password: 'guess' });
      expect(reply?.get('Reply-Message')).to.equal('login_incorrect');
      expect((await noted())[0]?.reason).to.equal('wrong_password');
    });
  });
});

interface Noted {
  username: string;
  reason: string;
  callingstationid: string;
  router_id: string | null;
  nasipaddress: string;
  reply: string;
  pass: string;
}

function reasons(): [string, Rows, Partial<Login>][] {
  return [
    ['invoice_overdue', denied, {}],
    ['prepaid_expired', { Expiration: past }, {}],
    ['wrong_mac', { 'Calling-Station-Id': mac }, { mac: otherMac }],
    ['wrong_password', {}, { password: 'guess' }],
    ['wrong_password', {}, { password: 'guess', method: 'mschap2' }],
    ['unknown_user', {}, { username: 'nobody' }],
    ['bad_username', {}, { username: 'ann ' }],
  ];
}

function macForms(): [string, string][] {
  const forms = [
    'AA:BB:CC:DD:EE:FF',
    'aa:bb:cc:dd:ee:ff',
    'AA-BB-CC-DD-EE-FF',
    'aabb.ccdd.eeff',
    'aabbccddeeff',
  ];
  return [
    ...forms.map((form): [string, string] => [mac, form]),
    ['aa-bb-cc-dd-ee-ff', mac],
    ['10.1.1.1', '10.1.1.1'],
  ];
}

function visible(reply: Reply | undefined): string {
  // MS-CHAP-Error has a new challenge and the request's id in it each time.
  const shown = reply?.attributes
    .filter(([name]) => name !== 'Message-Authenticator')
    .map(([name, value]) => [
      name,
      name === 'MS-CHAP-Error' ? String(value).replace(/C=\w+/, 'C=').slice(1) : value,
    ]);
  return JSON.stringify([reply?.kind, shown]);
}

function ago(seconds: number): string {
  const at = performance.timeOrigin + performance.now() - seconds * 1000;
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
}
