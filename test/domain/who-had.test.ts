import { expect } from 'chai';
import { heldAt, instantsOf, parseHeldAddress, sessionSearch } from '../../src/domain/who-had.ts';

describe('who had an address', () => {
  const at = (time: string) => new Date(`2026-05-01T${time}Z`);
  const ended = {
    startedAt: at('09:00:00'),
    heardAt: at('09:55:00'),
    stoppedAt: at('10:00:00'),
    isStopSeen: true,
  };
  const stale = { ...ended, stoppedAt: ended.heardAt, isStopSeen: false };
  const open = { ...ended, stoppedAt: null, isStopSeen: false };

  it('heldAt, between the start and the Stop that the router sent, is certain', () => {
    expect(
      ['08:59:59', '09:00:00', '09:57:00', '10:00:00', '10:00:01'].map((time) => heldAt(ended, at(time))),
    ).to.deep.equal(['no', 'certain', 'certain', 'certain', 'no']);
  });

  it('heldAt, after the last word of a session that was closed as stale, is perhaps for three intervals', () => {
    expect(
      ['09:55:00', '09:55:01', '10:10:00', '10:10:01'].map((time) => heldAt(stale, at(time))),
    ).to.deep.equal(['certain', 'perhaps', 'perhaps', 'no']);
  });

  it('heldAt, of an open session, is certain only up to its last word', () => {
    expect(['09:30:00', '09:55:00', '09:56:00'].map((time) => heldAt(open, at(time)))).to.deep.equal([
      'certain',
      'certain',
      'perhaps',
    ]);
  });

  it('instantsOf, in a zone with a clock change, knows times that come twice and times that never come', () => {
    expect(instantsOf('2026-05-01T15:50', 'Asia/Dhaka').map((one) => one.toISOString())).to.deep.equal([
      '2026-05-01T09:50:00.000Z',
    ]);
    expect(instantsOf('2026-10-25T02:30:15', 'Europe/Berlin').map((one) => one.toISOString())).to.deep.equal([
      '2026-10-25T00:30:15.000Z',
      '2026-10-25T01:30:15.000Z',
    ]);
    expect(instantsOf('2026-03-29T02:30', 'Europe/Berlin')).to.deep.equal([]);
    for (const bad of ['', '2026-05-01', '2026-13-01T10:00', '2026-05-01T25:00', '2026-05-01 10:00'])
      expect(() => instantsOf(bad, 'UTC'), bad).to.throw(RangeError);
  });

  it('parseHeldAddress, of an IPv6 address, gives every prefix that holds it', () => {
    expect(parseHeldAddress('10.0.0.7')).to.deep.equal({ ipv4: '10.0.0.7' });
    const held = parseHeldAddress('2001:DB8:7:12::1');
    if (!('prefixes' in held)) throw new Error('an IPv6 address');
    expect(held.prefixes).to.include.members([
      '2001:db8:7:12::1/128',
      '2001:db8:7:12::/64',
      '2001:db8:7::/56',
    ]);
    for (const bad of ['10.0.0.256', '10.0.0', '2001:db8::/20', '2001:db8::/x', 'name', ''])
      expect(() => parseHeldAddress(bad), bad).to.throw(RangeError);
  });

  it('sessionSearch, tells beginnings of MAC addresses, of addresses and of usernames apart', () => {
    const by = (text: string) => sessionSearch(text);
    expect(by('aa-bb')).to.deep.equal({ by: 'username', prefix: 'aa-bb' });
    expect(by('aa-bb-cc')).to.deep.equal({ by: 'mac', prefix: 'AA:BB:CC' });
    expect(by('aa-bb-cc-')).to.deep.equal({ by: 'mac', prefix: 'AA:BB:CC:' });
    expect(by('aa:bb:cc:dd:ee:ff')).to.deep.equal({ by: 'mac', prefix: 'AA:BB:CC:DD:EE:FF' });
    expect(by('AABBCCDDEEFF')).to.deep.equal({ by: 'mac', prefix: 'AA:BB:CC:DD:EE:FF' });
    expect(by('10.64.')).to.deep.equal({ by: 'address', prefix: '10.64.' });
    expect(by('2001:DB8:')).to.deep.equal({ by: 'ipv6', prefix: '2001:db8:' });
    expect(by(" O'Hara ")).to.deep.equal({ by: 'username', prefix: "o'hara" });
  });
});
