import { expect } from 'chai';
import { parseSessionClass } from '../../src/domain/session-class.ts';

describe('parseSessionClass', () => {
  it('when it is ours, gives its parts', () => {
    expect(parseSessionClass('S1.42.0123456789.abcdef0123.n.1')).to.deep.equal({
      loginId: '42',
      accessFingerprint: '0123456789',
      redialFingerprint: 'abcdef0123',
      nonce: 'n.1',
    });
  });

  const others: (string | null)[] = [
    null,
    '',
    'ai:12',
    'S1.42.0123456789.abcdef0123',
    'S2.42.0123456789.abcdef0123.n',
    'S1.0.0123456789.abcdef0123.n',
    'S1.42.012345678.abcdef0123.n',
    'S1.42.0123456789.ABCDEF0123.n',
    ' S1.42.0123456789.abcdef0123.n',
    '0x53312e34',
  ];
  for (const text of others) {
    it(`when it is ${JSON.stringify(text)}, gives nothing`, () => {
      expect(parseSessionClass(text)).to.equal(undefined);
    });
  }
});
