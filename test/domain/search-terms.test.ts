import { expect } from 'chai';
import {
  foldedWords,
  phoneTerms,
  searchTerms,
  subscriberTerms,
  termPrefixes,
} from '../../src/domain/search-terms.ts';

describe('searchTerms', () => {
  it('a word, may be a username, a reference, or the beginning of a name', () => {
    const terms = searchTerms('  Amina ');
    expect(terms).to.include({ text: 'Amina', username: 'amina', reference: 'Amina', mac: null, ipv4: null });
    expect(terms.prefixes).to.deep.equal([['amina']]);
  });

  it('two words, must both be found, and are no username', () => {
    const terms = searchTerms('amina  had');
    expect(terms.username).to.equal(null);
    expect(terms.prefixes).to.deep.equal([['amina'], ['had']]);
  });

  it('a MAC address in any spelling, is that device, and no name', () => {
    for (const typed of ['aa:bb:cc:dd:ee:01', 'AA-BB-CC-DD-EE-01', 'aabb.ccdd.ee01', 'aabbccddee01']) {
      expect(searchTerms(typed)).to.deep.include({ mac: 'AA:BB:CC:DD:EE:01', prefixes: [] });
    }
  });

  it('an IPv4 address, is that and no username', () => {
    expect(searchTerms('10.0.0.7')).to.deep.include({ ipv4: '10.0.0.7', username: null, prefixes: [] });
    expect(searchTerms('10.0.0.300').ipv4).to.equal(null);
  });

  it('an IPv6 address, is itself and every prefix of /32 to /64 that holds it', () => {
    const { ipv6 } = searchTerms('2001:DB8:7:12::99');
    expect(ipv6?.address).to.equal('2001:db8:7:12::99');
    expect(ipv6?.prefixes).to.include.members([
      '2001:db8:7:12::/64',
      '2001:db8:7::/56',
      '2001:db8:7::/48',
      '2001:db8::/32',
    ]);
    expect(ipv6?.prefixes).to.have.length(33);
  });

  it('an IPv6 prefix, is held by itself and by shorter ones', () => {
    const { ipv6 } = searchTerms('2001:db8:7::/56');
    expect(ipv6?.prefixes[0]).to.equal('2001:db8:7::/56');
    expect(ipv6?.prefixes).to.have.length(25);
    expect(searchTerms('2001:db8:7::/x').ipv6).to.equal(null);
  });

  it('an invoice number, with and without its series', () => {
    expect(searchTerms('INV-123').invoice).to.deep.equal({ series: 'INV', number: '123' });
    expect(searchTerms('inv 00123').invoice).to.deep.equal({ series: 'inv', number: '123' });
    expect(searchTerms('123').invoice).to.deep.equal({ series: null, number: '123' });
    expect(searchTerms('INV-').invoice).to.equal(null);
  });

  it('a number sign and digits, is a subscriber and nothing else', () => {
    expect(searchTerms('#17')).to.deep.include({ subscriberId: '17', prefixes: [], invoice: null });
  });

  it('nothing, or only space, is nothing', () => {
    expect(searchTerms('   ')).to.deep.include({ text: '', username: null, reference: null, prefixes: [] });
  });

  it('what could break a query, is text like any other', () => {
    for (const typed of ["o'hara", '%', '_', '\\', 'a+b', '"; DROP TABLE', '\u0000', '::']) {
      expect(() => searchTerms(typed)).to.not.throw();
    }
    expect(searchTerms('%').prefixes).to.deep.equal([['%']]);
  });
});

describe('subscriberTerms', () => {
  it('accents and case, do not matter', () => {
    expect(foldedWords('José ÁLVAREZ')).to.deep.equal(['jose', 'alvarez']);
  });

  it('a word with something inside it, is found by the whole and by its parts', () => {
    expect(foldedWords("Sinéad O'Hara")).to.deep.equal(['sinead', 'ohara', 'o', 'hara']);
  });

  it('a phone number, is found with and without its country code', () => {
    expect(phoneTerms('+213 (0)551 23-45-67')).to.include.members(['2130551234567', '551234567']);
    expect(phoneTerms('0551 234567')).to.include.members(['0551234567', '551234567']);
    expect(termPrefixes('0551 234')).to.deep.equal([['0551234', '551234']]);
  });

  it('a username, is found as it is, also with signs in it', () => {
    const terms = subscriberTerms({ name: 'A', phone: null, usernames: ["o'hara", 'a+b'] });
    expect(terms).to.deep.equal(['a', 'a+b', "o'hara"]);
    expect(termPrefixes("O'HA")).to.deep.equal([["o'ha", 'oha']]);
  });

  it('a name of 64 characters in one piece, is one term', () => {
    expect(foldedWords('X'.repeat(64))).to.deep.equal(['x'.repeat(64)]);
  });
});
