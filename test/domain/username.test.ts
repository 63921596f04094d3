import { expect } from 'chai';
import fc from 'fast-check';
import { parseMac } from '../../src/domain/mac.ts';
import { isUsername, parseUsername } from '../../src/domain/username.ts';

describe('domain/username', () => {
  const accepted: readonly [string, string][] = [
    ['alice', 'alice'],
    [' Alice@Home ', 'alice@home'],
    ["o'hara", "o'hara"],
    ['a+b', 'a+b'],
    ['a=b/c\\d%e"f`g', 'a=b/c\\d%e"f`g'],
    ['X'.repeat(64), 'x'.repeat(64)],
  ];
  for (const [text, username] of accepted) {
    it(`parseUsername, given ${JSON.stringify(text)}, stores ${JSON.stringify(username)}`, () => {
      expect(parseUsername(text)).to.equal(username);
      expect(isUsername(username)).to.equal(true);
    });
  }
  for (const text of [
    '',
    '   ',
    'a b',
    'a\tb',
    'a\u0000',
    'jörg',
    '\u212Aate',
    'x'.repeat(65),
    'a\u007f',
    'a\u00a0',
  ]) {
    it(`parseUsername, given ${JSON.stringify(text)}, refuses`, () => {
      expect(() => parseUsername(text)).to.throw(RangeError, 'a username has');
      expect(isUsername(text)).to.equal(false);
    });
  }

  it('parseUsername, of anything, gives a stored form that it leaves alone, or refuses', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 70, unit: 'binary' }), (text) => {
        let username: string;
        try {
          username = parseUsername(text);
        } catch (error) {
          expect(error).to.be.instanceOf(RangeError);
          return;
        }
        expect(isUsername(username)).to.equal(true);
        expect(parseUsername(username)).to.equal(username);
      }),
    );
  });
});

describe('domain/mac', () => {
  for (const text of [
    'd4:ca:6d:01:02:ff',
    'D4-CA-6D-01-02-FF',
    'd4ca.6d01.02ff',
    'd4ca6d0102ff',
    ' D4:CA:6D:01:02:FF ',
  ]) {
    it(`parseMac, given "${text}", writes it as RouterOS does`, () => {
      expect(parseMac(text)).to.equal('D4:CA:6D:01:02:FF');
    });
  }
  for (const text of [
    '',
    'd4:ca:6d:01:02',
    'd4:ca:6d:01:02:fg',
    'd4:ca-6d:01:02:ff',
    'd4ca:6d01:02ff',
    '00:00:00:00:00:00',
    'ff:ff:ff:ff:ff:ff',
    '01:00:5e:00:00:01',
  ]) {
    it(`parseMac, given "${text}", refuses`, () => {
      expect(() => parseMac(text)).to.throw(RangeError, 'a MAC address');
    });
  }
});
