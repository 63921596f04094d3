import { expect } from 'chai';
import {
  canonicalIpv6,
  ipv4ToNumber,
  numberToIpv4,
  parseDelegatedPrefix,
  parseSubscriberIpv4,
} from '../../src/domain/ip.ts';

describe('addresses', () => {
  it('ipv4ToNumber, there and back, gives the same address', () => {
    for (const text of ['0.0.0.0', '10.1.2.3', '192.168.0.255', '255.255.255.255']) {
      expect(numberToIpv4(ipv4ToNumber(text))).to.equal(text);
    }
  });

  it('ipv4ToNumber, of anything else, throws', () => {
    for (const text of [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '256.1.1.1',
      '01.2.3.4',
      '1.2.3.-4',
      ' 1.2.3.4',
      '1.2.3.4 ',
    ]) {
      expect(() => ipv4ToNumber(text), text).to.throw(RangeError);
    }
  });

  it('parseSubscriberIpv4, of loopback, multicast and 0.x, throws', () => {
    for (const text of ['127.0.0.1', '224.0.0.1', '255.255.255.255', '0.1.2.3']) {
      expect(() => parseSubscriberIpv4(text), text).to.throw(RangeError);
    }
    expect(parseSubscriberIpv4('203.0.113.7')).to.equal('203.0.113.7');
  });

  it('parseDelegatedPrefix, gives one spelling', () => {
    expect(parseDelegatedPrefix('2001:0DB8:0007:0000::/56')).to.equal('2001:db8:7::/56');
    expect(parseDelegatedPrefix('2001:db8:1:2:0:0:0:0/64')).to.equal('2001:db8:1:2::/64');
  });

  it('parseDelegatedPrefix, with bits behind its length or a length out of range, throws', () => {
    for (const text of [
      '2001:db8::1/56',
      '2001:db8:0:1::/56',
      '2001:db8::/128',
      '2001:db8::/16',
      '10.0.0.0/24',
      'x',
    ]) {
      expect(() => parseDelegatedPrefix(text), text).to.throw(RangeError);
    }
  });

  it('canonicalIpv6, of what only looks like an address inside of a URL, throws', () => {
    for (const text of ['::1]/@evil.example/', '::1]:80/[', '::1]#', 'fe80::1%eth0', '1.2.3.4', '']) {
      expect(() => canonicalIpv6(text), text).to.throw(RangeError);
    }
    expect(canonicalIpv6('2001:0DB8::0:1')).to.equal('2001:db8::1');
  });
});
