import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { projectRoot } from '../../scripts/servers/place.ts';
import type { AccessDecision } from '../../src/domain/access.ts';
import type { Access, AccessKind } from '../../src/domain/access-types.ts';
import type { LoginId } from '../../src/domain/ids.ts';
import {
  type AttributeName,
  checkAttributes,
  project,
  type Projection,
  projector,
  type RadiusFacts,
  radiusSettingsOf,
  replyAttributes,
} from '../../src/domain/radius-attributes.ts';
import { parseRateLimit } from '../../src/domain/rate-limit.ts';
import { defaultSettings } from '../../src/db/settings.ts';

const settings = radiusSettingsOf(defaultSettings);
const facts: RadiusFacts = {
  loginId: '70001' as LoginId,
  username: 'alice',
  retiredAt: null,
  packageRate: parseRateLimit('10M/50M'),
  subscriptionState: 'active',
  validUntil: null,
  expiryEffect: 'block',
  expiryRate: null,
  openSuspensions: [],
  macLock: null,
  staticIpv4: null,
  delegatedIpv6Prefix: null,
  simultaneousUse: 1,
  pppProfile: 'home',
  pool: { name: 'pool-a', suspendedName: 'pool-a-suspended' },
  ipv6Pool: null,
  delegatedIpv6Pool: null,
  sessionTimeoutSeconds: null,
  idleTimeoutSeconds: null,
  interimSeconds: 300,
  addressList: null,
};
const accesses: readonly Access[] = [
  { kind: 'full' },
  { kind: 'throttled', rate: parseRateLimit('1M/2M') },
  { kind: 'walled_garden' },
  { kind: 'denied' },
];
const decided = (access: Access): AccessDecision => ({
  access,
  reason: access.kind === 'full' ? 'paid_up' : 'invoice_overdue',
  reviewAt: null,
});
const projected = (change: Partial<RadiusFacts>, kind: AccessKind, password = 'secret') => {
  const access = accesses.find((one) => one.kind === kind);
  if (access === undefined) throw new Error(kind);
  return project({ ...facts, ...change }, decided(access), password, settings);
};
const replyOf = (projection: Projection) =>
  Object.fromEntries(projection.reply.map((row) => [row.attribute, row.value])) as Partial<
    Record<AttributeName, string>
  >;
const checkOf = (projection: Projection) =>
  Object.fromEntries(projection.check.map((row) => [row.attribute, row.value])) as Partial<
    Record<AttributeName, string>
  >;

describe('domain/radius-attributes', () => {
  it('project, for every kind of access of any login, names the same reply attributes', () => {
    fc.assert(
      fc.property(anyFacts(), (login) => {
        const names = accesses.map((access) =>
          project(login, decided(access), 'secret', settings).reply.map((row) => row.attribute),
        );
        for (const other of names) expect(other).to.deep.equal(names[0]);
      }),
      { numRuns: 500 },
    );
  });

  it('projector, of many logins that share rows or nearly do, gives each what it would be given alone', () => {
    fc.assert(
      fc.property(fc.array(anyFacts(), { maxLength: 12 }), (logins) => {
        const projectLogin = projector(settings);
        for (const login of [...logins, ...logins]) {
          for (const access of accesses) {
            expect(projectLogin(login, decided(access), 'secret')).to.deep.equal(
              project(login, decided(access), 'secret', settings),
            );
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it('projector, when what one attribute lacks stands in the next, does not take two for one', () => {
    const projectLogin = projector(settings);
    const values = [
      { pppProfile: 'aFramed-Pool1:b', pool: null },
      { pppProfile: 'a', pool: { name: 'b', suspendedName: 'b' } },
    ].map((change) => replyOf(projectLogin({ ...facts, ...change }, decided({ kind: 'full' }), 'secret')));
    expect(values.map((value) => value['Framed-Pool'])).to.deep.equal([undefined, 'b']);
  });

  it('project, of full access, sends the package as it is', () => {
    const projection = projected(
      { addressList: 'vip', idleTimeoutSeconds: 600, sessionTimeoutSeconds: 86_400 },
      'full',
    );
    expect(replyOf(projection)).to.deep.equal({
      Class: `S1.70001.${projection.accessFingerprint}.${projection.redialFingerprint}`,
      'Mikrotik-Rate-Limit': '10M/50M',
      'Mikrotik-Address-List': 'vip',
      'Mikrotik-Group': 'home',
      'Framed-Pool': 'pool-a',
      'Session-Timeout': '86400',
      'Idle-Timeout': '600',
      'Acct-Interim-Interval': '300',
    });
    expect(checkOf(projection)).to.deep.equal({ 'Cleartext-Password': 'secret', 'Simultaneous-Use': '1' });
    expect(projection.coaAttributes).to.deep.equal([
      ['Mikrotik-Rate-Limit', '10M/50M'],
      ['Idle-Timeout', '600'],
    ]);
    for (const row of [...projection.check, ...projection.reply])
      expect(row).to.include({ op: ':=', ordinal: 0 });
  });

  it("project, of an unlimited package, sends the port's rate, because a CoA cannot take a limit away", () => {
    const projection = projected({ packageRate: null }, 'full');
    expect(replyOf(projection)['Mikrotik-Rate-Limit']).to.equal('1000M/1000M');
    expect(projection.coaAttributes).to.deep.equal([['Mikrotik-Rate-Limit', '1000M/1000M']]);
  });

  it('project, of throttled access, changes the rate only, so that a CoA suffices', () => {
    fc.assert(
      fc.property(anyFacts(), (login) => {
        const [full, throttled] = accesses.map((access) =>
          project(login, decided(access), 'secret', settings),
        );
        expect(throttled?.redialFingerprint).to.equal(full?.redialFingerprint);
        const different = throttled?.reply.filter((row, i) => row.value !== full?.reply[i]?.value);
        const names = different?.map((row) => row.attribute) ?? [];
        for (const name of names) expect(name).to.be.oneOf(['Class', 'Mikrotik-Rate-Limit']);
      }),
    );
    expect(replyOf(projected({}, 'throttled'))['Mikrotik-Rate-Limit']).to.equal('1M/2M');
  });

  it('project, of a walled garden, needs a redial: other pool, other list, other rate', () => {
    const [full, walled] = [projected({}, 'full'), projected({}, 'walled_garden')];
    expect(walled.redialFingerprint).to.not.equal(full.redialFingerprint);
    expect(replyOf(walled)).to.include({
      'Framed-Pool': 'pool-a-suspended',
      'Mikrotik-Address-List': 'sluice-walled-garden',
      'Mikrotik-Rate-Limit': '256k/256k',
    });
    expect(checkOf(walled)).to.not.have.any.keys('Auth-Type', 'Sluice-Deny-Reason');
  });

  it('project, of a static address in the walled garden, names no address, since one would beat the pool', () => {
    const change = { staticIpv4: '203.0.113.7' };
    expect(replyOf(projected(change, 'full'))).to.include({
      'Framed-IP-Address': '203.0.113.7',
      'Framed-Pool': 'pool-a',
    });
    expect(replyOf(projected(change, 'walled_garden'))).to.include({
      'Framed-IP-Address': '255.255.255.254',
      'Framed-Pool': 'pool-a-suspended',
    });
    const noPool = { ...change, pool: null };
    expect(replyOf(projected(noPool, 'walled_garden'))).to.include({
      'Framed-IP-Address': '203.0.113.7',
      'Mikrotik-Address-List': 'sluice-walled-garden',
    });
  });

  it('project, of a walled or denied login with IPv6, leaks none of its open prefixes', () => {
    const change = {
      ipv6Pool: 'v6-open',
      delegatedIpv6Pool: 'pd-open',
      delegatedIpv6Prefix: '2001:db8:7::/56',
    };
    expect(replyOf(projected(change, 'full'))).to.include({
      'Framed-IPv6-Pool': 'v6-open',
      'Mikrotik-Delegated-IPv6-Pool': 'pd-open',
      'Delegated-IPv6-Prefix': '2001:db8:7::/56',
    });
    for (const kind of ['walled_garden', 'denied'] as const) {
      expect(replyOf(projected(change, kind))).to.include({
        'Framed-IPv6-Pool': 'sluice-walled-garden',
        'Mikrotik-Delegated-IPv6-Pool': 'sluice-walled-garden',
        'Delegated-IPv6-Prefix': 'fd53:4c55:1:1171::/64',
      });
    }
    const other = replyOf(projected({ ...change, loginId: '70002' as LoginId }, 'walled_garden'));
    expect(other['Delegated-IPv6-Prefix']).to.equal('fd53:4c55:1:1172::/64');
  });

  it('project, of denied access, denies in radcheck alone and keeps a restrictive reply set', () => {
    const projection = projected({ staticIpv4: '203.0.113.7' }, 'denied');
    expect(checkOf(projection)).to.include({
      'Auth-Type': 'Reject',
      'Sluice-Deny-Reason': 'invoice_overdue',
    });
    expect(checkOf(projection)).to.have.property('Cleartext-Password', 'secret');
    expect(replyOf(projection)).to.include({
      'Mikrotik-Rate-Limit': '64k/64k',
      'Mikrotik-Address-List': 'sluice-denied',
      'Framed-Pool': 'pool-a-suspended',
      'Framed-IP-Address': '255.255.255.254',
    });
  });

  it('project, of a retired login, says so and keeps no clear-text password', () => {
    const decision: AccessDecision = { access: { kind: 'denied' }, reason: 'login_retired', reviewAt: null };
    const projection = project({ ...facts, macLock: 'AA:BB:CC:DD:EE:01' }, decision, 'secret', settings);
    expect(checkOf(projection)).to.deep.equal({
      'Auth-Type': 'Reject',
      'Sluice-Deny-Reason': 'login_retired',
    });
    expect(projection.reply).to.have.length.above(3);
  });

  it('project, with a MAC lock and a limit of sessions, asks FreeRADIUS to check them', () => {
    const projection = projected({ macLock: 'AA:BB:CC:DD:EE:01', simultaneousUse: 3 }, 'full');
    expect(checkOf(projection)).to.include({
      'Calling-Station-Id': 'AA:BB:CC:DD:EE:01',
      'Simultaneous-Use': '3',
    });
    expect(checkOf(projected({ simultaneousUse: 0 }, 'full'))).to.not.have.property('Simultaneous-Use');
  });

  describe('prepaid validity', () => {
    const validUntil = new Date('2027-01-01T00:00:00.500Z');
    const open = (change: Partial<RadiusFacts>, reviewAt: Date | null) =>
      checkOf(
        project(
          { ...facts, validUntil, ...change },
          { access: { kind: 'full' }, reason: 'paid_up', reviewAt },
          'x',
          settings,
        ),
      );

    it('project, when expiry means deny, lets FreeRADIUS refuse from then on, in whole seconds and never early', () => {
      expect(open({}, validUntil)).to.include({ Expiration: '1798761601' });
      expect(open({}, validUntil)).to.not.have.property('Sluice-Valid-Until');
    });

    it('project, when expiry throttles or walls, only has the session end in time', () => {
      for (const expiryEffect of ['throttle', 'walled_garden'] as const) {
        const check = open({ expiryEffect }, validUntil);
        expect(check).to.include({ 'Sluice-Valid-Until': '1798761601' });
        expect(check).to.not.have.property('Expiration');
      }
    });

    it('project, once validity is over or has no consequence, ends no session for it', () => {
      expect(open({ expiryEffect: 'throttle' }, null)).to.not.have.property('Sluice-Valid-Until');
    });
  });

  describe('fingerprints', () => {
    const prints = (change: Partial<RadiusFacts>) => {
      const { accessFingerprint, redialFingerprint } = projected(change, 'full');
      return { accessFingerprint, redialFingerprint };
    };
    const base = prints({});

    it('project, of any access, makes fingerprints of ten hex digits', () => {
      for (const print of Object.values(base)) expect(print).to.match(/^[0-9a-f]{10}$/);
    });

    for (const change of [{ packageRate: parseRateLimit('9M/50M') }, { idleTimeoutSeconds: 60 }]) {
      it(`project, when ${Object.keys(change).join()} changes, changes the access fingerprint only`, () => {
        expect(prints(change).accessFingerprint).to.not.equal(base.accessFingerprint);
        expect(prints(change).redialFingerprint).to.equal(base.redialFingerprint);
      });
    }

    const redialChanges: Partial<RadiusFacts>[] = [
      { staticIpv4: '203.0.113.7' },
      { pool: { name: 'pool-b', suspendedName: 'pool-a-suspended' } },
      { pppProfile: 'work' },
      { addressList: 'vip' },
      { ipv6Pool: 'v6' },
      { delegatedIpv6Pool: 'pd' },
      { delegatedIpv6Prefix: '2001:db8:7::/56' },
    ];
    for (const change of redialChanges) {
      it(`project, when ${Object.keys(change).join()} changes, changes the redial fingerprint only`, () => {
        expect(prints(change).accessFingerprint).to.equal(base.accessFingerprint);
        expect(prints(change).redialFingerprint).to.not.equal(base.redialFingerprint);
      });
    }

    const neither: Partial<RadiusFacts>[] = [
      { sessionTimeoutSeconds: 3600 },
      { interimSeconds: 60 },
      { macLock: 'AA:BB:CC:DD:EE:01' },
      { simultaneousUse: 4 },
      { validUntil: new Date('2027-01-01T00:00:00Z') },
      { pool: { name: 'pool-a', suspendedName: 'other' } },
    ];
    for (const change of neither) {
      it(`project, when ${Object.keys(change).join()} changes, touches no live session`, () => {
        expect(prints(change)).to.deep.equal(base);
      });
    }
  });

  describe('values', () => {
    it('project, given any password, writes it as it is', () => {
      for (const password of ["o'hara+б", ' a b ', 'a\\b', '"quoted"', '`id`', '%{User-Name}']) {
        expect(checkOf(projected({}, 'full', password))['Cleartext-Password']).to.equal(password);
      }
    });

    it('project, given what RADIUS cannot carry, names the attribute and the rule and never the value', () => {
      const faults: readonly [() => unknown, string][] = [
        [() => projected({}, 'full', ''), 'Cleartext-Password: is 1 to 128 bytes of UTF-8'],
        [() => projected({}, 'full', 'ß'.repeat(65)), 'Cleartext-Password: is 1 to 128 bytes of UTF-8'],
        [() => projected({}, 'full', 'hush\nhush'), 'Cleartext-Password: has no control characters'],
        [() => projected({ pppProfile: 'x'.repeat(254) }, 'full'), 'Mikrotik-Group: is 1 to 253 bytes'],
        [() => projected({ addressList: '' }, 'full'), 'Mikrotik-Address-List: is 1 to 253 bytes'],
      ];
      for (const [act, message] of faults) expect(act).to.throw(RangeError, message);
      expect(() => projected({}, 'full', 'hush\nhush')).to.not.throw(/hush/);
    });

    it('radiusSettingsOf, given a rate that cannot be read, names the setting', () => {
      expect(() => radiusSettingsOf({ ...defaultSettings, portRate: '0/0' })).to.throw(
        RangeError,
        'setting portRate: rate:',
      );
    });
  });

  it("attribute names, all of them, stand in FreeRADIUS's dictionaries or in ours", function () {
    const folder = '/usr/share/freeradius';
    const texts = [
      'dictionary.rfc2865',
      'dictionary.rfc2869',
      'dictionary.rfc3162',
      'dictionary.rfc4818',
      'dictionary.rfc2866',
      'dictionary.mikrotik',
      'dictionary.freeradius.internal',
    ]
      .map((file) => readFileSync(join(folder, file), 'utf8'))
      .concat(readFileSync(join(projectRoot, 'freeradius', 'dictionary.sluice'), 'utf8'));
    const known = new Set(
      texts
        .join('\n')
        .match(/^ATTRIBUTE\s+\S+/gm)
        ?.map((line) => line.split(/\s+/)[1]),
    );
    const asRead = [...checkAttributes.map((name) => `Sluice-Check-${name}`), ...replyAttributes];
    for (const name of asRead) expect(known.has(name), name).to.equal(true);
  });
});

function anyFacts(): fc.Arbitrary<RadiusFacts> {
  const maybe = <T>(value: T) => fc.option(fc.constant(value));
  return fc
    .record({
      packageRate: maybe(parseRateLimit('5M/20M 8M/30M')),
      macLock: maybe('AA:BB:CC:DD:EE:01'),
      staticIpv4: maybe('203.0.113.7'),
      delegatedIpv6Prefix: maybe('2001:db8:7::/56'),
      simultaneousUse: fc.integer({ min: 0, max: 3 }),
      pppProfile: maybe('home'),
      pool: maybe({ name: 'a', suspendedName: 'a-suspended' }),
      ipv6Pool: maybe('v6'),
      delegatedIpv6Pool: maybe('pd'),
      sessionTimeoutSeconds: maybe(3600),
      idleTimeoutSeconds: maybe(60),
      addressList: maybe('vip'),
      validUntil: maybe(new Date('2027-01-01T00:00:00Z')),
      expiryEffect: fc.constantFrom('block', 'throttle', 'walled_garden'),
    })
    .map((drawn) => ({ ...facts, ...drawn }));
}
