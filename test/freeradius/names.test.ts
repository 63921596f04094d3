import { expect } from 'chai';
import { type Method, type TestRouter } from '../support/radius-client.ts';
import { type RadiusFixture, radiusFixture } from '../support/radius-server.ts';

const longest = 'n'.repeat(64);
const oddNames = [
  "o'hara",
  'a+b',
  'a"b',
  'a\\b',
  'a%b',
  '%{user-name}',
  '=41',
  'a@b.c',
  'ann@',
  '{',
  longest,
];
const badNames: [what: string, name: string | Buffer][] = [
  ['a space at its end', 'user1 '],
  ['a space in front', ' user1'],
  ['a space inside', 'user 1'],
  ['65 characters', 'n'.repeat(65)],
  ['200 characters', 'n'.repeat(200)],
  ['a line feed at its end', 'user1\n'],
  ['a NUL at its end', 'user1\0'],
  ['a NUL inside', 'user\x001'],
  ['a letter that is not ASCII', 'usér1'],
  ['a full-width letter', 'ｕser1'],
  ['bytes that are no UTF-8', Buffer.from([0x75, 0xff, 0xfe, 0x31])],
  ['a tab', 'user\t1'],
  ['a delete character', 'user1\x7f'],
];

describe('FreeRADIUS: user names', () => {
  let radius: RadiusFixture;
  let router: TestRouter;

  before(async () => {
    radius = await radiusFixture();
    router = await radius.router('127.0.0.41', 41);
    for (const name of ['user1', 'user', 'n', ...oddNames])
      await radius.login(name, { 'Cleartext-Password': 'p' });
  });
  beforeEach(async () => {
    await radius.db('radpostauth').delete();
    await radius.db('radacct').delete();
  });
  after(() => radius.stop());

  const reasons = () => radius.db('radpostauth').pluck<string[]>('reason');

  for (const name of oddNames) {
    it(`login of ${name}, is accepted by every method`, async () => {
      for (const method of ['pap', 'chap', 'mschap', 'mschap2'] satisfies Method[]) {
        const reply = await router.login({ username: name, password: 'p', method });
        expect(reply?.kind, method).to.equal('accept');
      }
    });

    it(`login of ${name}, in capitals, is accepted`, async () => {
      const reply = await router.login({ username: name.toUpperCase(), password: 'p', method: 'mschap2' });
      expect(reply?.kind).to.equal('accept');
    });

    it(`session of ${name}, in capitals, is kept under the name of the login`, async () => {
      expect(await router.account('start', session(name.toUpperCase()))).to.equal(true);
      expect(await radius.db('radacct').pluck('username')).to.deep.equal([name]);
    });
  }

  for (const [what, name] of badNames) {
    it(`login of a name with ${what}, is refused as bad_username`, async () => {
      const reply = await router.login({ username: name, password: 'p' });
      expect(reply?.kind).to.equal('reject');
      expect(await reasons()).to.deep.equal(['bad_username']);
    });

    it(`session of a name with ${what}, is kept and is no login's`, async () => {
      expect(await router.account('start', session(name))).to.equal(true);
      const [kept, ...others] = await radius.db('radacct').pluck<string[]>('username');
      expect(others).to.deep.equal([]);
      expect(kept).to.match(/^\? [!-~]{0,62}$/);
      expect(await radius.db('radcheck').where({ username: kept })).to.deep.equal([]);
    });
  }

  it('login, without a name, is refused as bad_username', async () => {
    const packet = router.request([['User-Password', Buffer.alloc(16)]]);
    expect((await router.send(packet, radius.server.authPort))?.kind).to.equal('reject');
    expect(await reasons()).to.deep.equal(['bad_username']);
  });

  it('login, with a name made to change the query, is unknown', async () => {
    for (const name of ["x'OR'1'='1", "x'/**/OR/**/1=1#", "user1'--", 'user1\\', "\\'OR/**/1#"]) {
      const reply = await router.login({ username: name, password: 'p' });
      expect(reply?.kind, name).to.equal('reject');
    }
    expect(new Set(await reasons())).to.deep.equal(new Set(['unknown_user']));
  });

  it('login, with a name that differs in an accent or a wildcard only, is unknown', async () => {
    for (const name of ['user_', 'user%', 'user']) {
      const reply = await router.login({ username: name, password: name === 'user' ? 'q' : 'p' });
      expect(reply?.kind, name).to.equal('reject');
    }
    expect((await reasons()).sort()).to.deep.equal(['unknown_user', 'unknown_user', 'wrong_password']);
  });
});

function session(name: string | Buffer): [string, string | Buffer | number][] {
  return [
    ['User-Name', name],
    ['Acct-Session-Id', '81000001'],
    ['NAS-Port', 1],
  ];
}
