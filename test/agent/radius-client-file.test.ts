import { expect } from 'chai';
import fc from 'fast-check';
import {
  clientHash,
  clientProblem,
  parseClientFile,
  type RadiusClient,
  renderClientFile,
  secretProblem,
} from '../../src/domain/radius-client-file.ts';
import { parseRouterAddress } from '../../src/domain/router-address.ts';

const client = (given: Partial<RadiusClient> = {}): RadiusClient => ({
  address: '10.0.0.7',
  secret: 'a good secret',
  shortname: 'r7',
  requireMessageAuthenticator: false,
  ...given,
});

describe('a client file', () => {
  it('names the router, its secret in single quotes, and whether it must send Message-Authenticator', () => {
    expect(renderClientFile(client({ requireMessageAuthenticator: true }))).to.equal(
      [
        '# Written by the radius-agent from the table nas: a change made here is undone.',
        'client r7 {',
        '\tipaddr = 10.0.0.7',
        "\tsecret = 'a good secret'",
        "\tshortname = 'r7'",
        '\trequire_message_authenticator = yes',
        '}',
        '',
      ].join('\n'),
    );
    expect(renderClientFile(client({ address: '2001:db8::7' }))).to.include('\tipv6addr = 2001:db8::7\n');
  });

  it('read again, gives the client that was written, whatever is in its secret', () => {
    const printable = fc.string({
      unit: fc.integer({ min: 32, max: 126 }).map((c) => String.fromCharCode(c)),
    });
    fc.assert(
      fc.property(printable, (secret) => {
        fc.pre(secretProblem(secret) === undefined);
        const wanted = client({ secret });
        const parsed = parseClientFile(wanted.address, renderClientFile(wanted));
        expect(parsed).to.deep.equal({ ok: true, client: wanted });
      }),
    );
  });

  it('of another spelling is understood, so that files of another release are not thrown out', () => {
    const text =
      'client r7 {\n  ipaddr = "10.0.0.7"\n\n  secret = plain-1\n  # a comment\n  nas_type = other\n}\n';
    expect(parseClientFile('10.0.0.7', text)).to.deep.equal({
      ok: true,
      client: client({ secret: 'plain-1' }),
    });
  });

  const bad: [string, string, string][] = [
    ['cut off', '10.0.0.7', renderClientFile(client()).slice(0, 80)],
    ['empty', '10.0.0.7', ''],
    ['under another name', '10.0.0.8', renderClientFile(client())],
    ['with a second client behind it', '10.0.0.7', renderClientFile(client()).repeat(2)],
    ['with an include', '10.0.0.7', 'client r7 {\n$INCLUDE /etc/passwd\n}\n'],
    [
      'with an expansion in double quotes',
      '10.0.0.7',
      'client r7 {\nipaddr = 10.0.0.7\nsecret = "${confdir}"\n}\n',
    ],
    [
      'with a quote that does not end',
      '10.0.0.7',
      "client r7 {\nipaddr = 10.0.0.7\nsecret = 'abcdef\\'\n}\n",
    ],
    ['without a secret', '10.0.0.7', 'client r7 {\nipaddr = 10.0.0.7\n}\n'],
    ['with a control character', '10.0.0.7', renderClientFile(client()).replace('good', 'go\x00od')],
    ["with the status client's address", '127.0.0.1', 'client x {\nipaddr = 127.0.0.1\nsecret = abcdef\n}\n'],
  ];
  for (const [what, name, text] of bad) {
    it(`${what}, is bad, and the reason does not repeat the secret`, () => {
      const parsed = parseClientFile(name, text, ['127.0.0.1']);
      expect(parsed.ok).to.equal(false);
      expect(JSON.stringify(parsed)).not.to.include('good').and.not.to.include('abcdef');
    });
  }
});

describe('clientHash', () => {
  it('differs when anything that FreeRADIUS holds differs', () => {
    const all = [
      client(),
      client({ secret: 'another' }),
      client({ address: '10.0.0.8' }),
      client({ shortname: 'r8' }),
      client({ requireMessageAuthenticator: true }),
    ];
    expect(new Set(all.map(clientHash)).size).to.equal(all.length);
  });
});

describe('secretProblem', () => {
  const rules: [string, string, RegExp][] = [
    ['5 characters', 'abcde', /6 to 60/],
    ['61 characters', 'x'.repeat(61), /6 to 60/],
    ['a tab', 'abc\tdef', /printable ASCII/],
    ['a line end', 'abcdef\n', /printable ASCII/],
    ['an umlaut', 'schlüssel', /printable ASCII/],
    ['a space in front', ' abcdef', /space/],
    ['a space behind', 'abcdef ', /space/],
    ['a backslash at the end', 'abcdef\\', /backslash/],
    ['a backslash before an apostrophe', "abc\\'def", /backslash/],
  ];
  for (const [what, secret, rule] of rules) {
    it(`${what}, names the rule`, () => {
      expect(secretProblem(secret)).to.match(rule);
    });
  }

  it('6 and 60 characters, and every other printable character, are fine', () => {
    expect(secretProblem('abcdef')).to.equal(undefined);
    expect(secretProblem('x'.repeat(60))).to.equal(undefined);
    expect(secretProblem(`o'hara " $ % # \\ { } [ ] ( ) , ; = \` \${confdir}`)).to.equal(undefined);
  });
});

describe('parseRouterAddress', () => {
  const same: [string, string][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['127.0.0.2', '127.0.0.2'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['2001:0db8::0001:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:1:2:3:4:5:0', '2001:db8:1:2:3:4:5:0'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['fd00::', 'fd00::'],
    ['::1', '::1'],
  ];
  for (const [given, canonical] of same) {
    it(`${given} is ${canonical}`, () => {
      expect(parseRouterAddress(given).text).to.equal(canonical);
      expect(clientProblem(client({ address: canonical }))).to.equal(undefined);
    });
  }

  const wrong: [string, RegExp][] = [
    ['10.0.0.0/24', /not a network/],
    ['2001:db8::/64', /not a network/],
    ['10.0.0', /not an IPv4 or IPv6/],
    ['10.0.0.010', /not an IPv4 or IPv6/],
    ['10.0.0.256', /not an IPv4 or IPv6/],
    ['router.example.com', /not an IPv4 or IPv6/],
    ['', /not an IPv4 or IPv6/],
    ['1:2:3:4:5:6:7:8:9', /not an IPv4 or IPv6/],
    ['1::2::3', /not an IPv4 or IPv6/],
    ['2001:db8::1%eth0', /not an IPv4 or IPv6/],
    ['0.0.0.0', /can send from/],
    ['224.0.0.1', /can send from/],
    ['255.255.255.255', /can send from/],
    ['127.0.0.1', /health checks/],
    ['::', /unspecified/],
    ['::ffff:10.0.0.1', /IPv4 address itself/],
    ['ff02::1', /multicast/],
    ['fe80::1', /link-local/],
  ];
  for (const [given, rule] of wrong) {
    it(`${given === '' ? 'nothing' : given}, says what is wrong`, () => {
      expect(() => parseRouterAddress(given)).to.throw(RangeError, rule);
    });
  }
});
