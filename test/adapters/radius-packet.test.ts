import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { AttributeError, encodeAttribute } from '../../src/adapters/radius/attributes.ts';
import { sealRequest, sessionAttributes, verifyReply } from '../../src/adapters/radius/packet.ts';
import { sealReply } from '../support/coa-double.ts';

const secret = 'testing123';
const session = sessionAttributes({
  username: 'bob',
  acctSessionId: '81000001',
  framedIpAddress: '10.64.1.1',
});
const request = sealRequest('coa', 7, secret, [...session, ['Mikrotik-Rate-Limit', '10M/50M']]);

describe('sealRequest', () => {
  it('when asked for a CoA, puts Message-Authenticator first and lays the attributes out as RFC 2865 says', () => {
    expect(request[0]).to.equal(43);
    expect(request[1]).to.equal(7);
    expect(request.readUInt16BE(2)).to.equal(request.length);
    expect(request.subarray(20, 22)).to.deep.equal(Buffer.from([80, 18]));
    expect(request.subarray(38).toString('hex')).to.equal(
      [
        `0105${hex('bob')}`,
        `2c0a${hex('81000001')}`,
        '08060a400101',
        `1a0f00003a8c0809${hex('10M/50M')}`,
      ].join(''),
    );
  });

  it('names a session by Acct-Session-Id, User-Name and address, and never by its user alone', () => {
    expect(session.map(([name]) => name)).to.deep.equal([
      'User-Name',
      'Acct-Session-Id',
      'Framed-IP-Address',
    ]);
    const names = sessionAttributes({ username: 'bob', acctSessionId: '81000001', framedIpAddress: '' });
    expect(names.map(([name]) => name)).to.deep.equal(['User-Name', 'Acct-Session-Id']);
  });

  it('when the attributes exceed 4096 bytes, says so', () => {
    const many = Array.from({ length: 30 }, () => ['Filter-Id', 'x'.repeat(200)] as const);
    expect(() => sealRequest('coa', 1, secret, many)).to.throw(AttributeError, 'do not fit');
  });
});

describe('encodeAttribute', () => {
  const wrong: [string, string, string][] = [
    ['Framed-IP-Address', '300.1.1.999', 'must be an IPv4 address'],
    ['Session-Timeout', '-1', 'must be a whole number'],
    ['Session-Timeout', '4294967296', 'must be a whole number'],
    ['Session-Timeout', '60s', 'must be a whole number'],
    ['User-Name', '', 'must be 1 to 253 bytes'],
    ['Filter-Id', 'ä'.repeat(127), 'must be 1 to 253 bytes'],
    ['Mikrotik-Rate-Limit', '1'.repeat(248), 'must be 1 to 247 bytes'],
    ['Framed-IPv6-Address', 'fe80::1%lo', 'must be an IPv6 address'],
    ['User-Password', 'x', 'is not an attribute that we send'],
    ['__proto__', 'x', 'is not an attribute that we send'],
    ['constructor', 'x', 'is not an attribute that we send'],
  ];
  for (const [name, value, rule] of wrong) {
    it(`when ${name} is ${value.slice(0, 20)}, names the attribute and the rule`, () => {
      expect(() => encodeAttribute([name, value])).to.throw(AttributeError, rule);
    });
  }

  it('gives addresses and numbers as bytes', () => {
    expect(encodeAttribute(['Session-Timeout', '4294967295'])[1]).to.deep.equal(Buffer.alloc(4, 255));
    expect((encodeAttribute(['Framed-IPv6-Address', '2001:db8::7'])[1] as Buffer).toString('hex')).to.equal(
      '20010db8000000000000000000000007',
    );
  });
});

describe('verifyReply', () => {
  const ack = sealReply(request, 44, [], secret);
  const nak = sealReply(request, 45, [[101, Buffer.from([0, 0, 1, 0xf7])]], secret);

  it('gives the kind and the Error-Cause of a reply that proves itself', () => {
    expect(verifyReply(request, ack, secret)).to.deep.equal({ kind: 'ack', errorCause: null });
    expect(verifyReply(request, nak, secret)).to.deep.equal({ kind: 'nak', errorCause: 503 });
  });

  it('when any bit is flipped, gives nothing', () => {
    for (const reply of [ack, nak]) {
      for (let bit = 0; bit < reply.length * 8; bit++) {
        const damaged = Buffer.from(reply);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(verifyReply(request, damaged, secret), `bit ${bit}`).to.equal(undefined);
      }
    }
  });

  it('when bytes are changed, cut or random, gives nothing', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.nat({ max: ack.length }),
        fc.boolean(),
        (noise, at, isCut) => {
          const damaged = isCut
            ? Buffer.concat([ack.subarray(0, at), noise])
            : Buffer.from(ack.map((byte, index) => byte ^ (index < at ? 0 : (noise[index - at] ?? 0))));
          const reply = verifyReply(request, damaged, secret);
          const isWhole = damaged.length >= ack.length && damaged.subarray(0, ack.length).equals(ack);
          return isWhole ? reply !== undefined : reply === undefined;
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('when the secret is another, or the reply is to another request, gives nothing', () => {
    const other = sealRequest('coa', 7, secret, session);
    const disconnect = sealRequest('disconnect', 7, secret, session);
    expect(verifyReply(request, ack, 'another')).to.equal(undefined);
    expect(verifyReply(other, ack, secret)).to.equal(undefined);
    expect(verifyReply(disconnect, sealReply(disconnect, 44, [], secret), secret)).to.equal(undefined);
    expect(verifyReply(disconnect, sealReply(disconnect, 41, [], secret), secret)?.kind).to.equal('ack');
  });

  it('when only Message-Authenticator is wrong, gives nothing', () => {
    const forged = sealWithout(request, 44, Buffer.concat([Buffer.from([80, 18]), Buffer.alloc(16, 1)]));
    expect(verifyReply(request, forged, secret)).to.equal(undefined);
    const twice = Buffer.concat([
      Buffer.from([80, 18]),
      Buffer.alloc(16),
      Buffer.from([80, 18]),
      Buffer.alloc(16),
    ]);
    expect(verifyReply(request, sealWithout(request, 44, twice), secret)).to.equal(undefined);
  });

  it('when an attribute is longer than the packet, gives nothing; without attributes it is a reply', () => {
    expect(verifyReply(request, sealWithout(request, 44, Buffer.from([18, 40, 1])), secret)).to.equal(
      undefined,
    );
    expect(verifyReply(request, sealWithout(request, 44, Buffer.from([18, 0])), secret)).to.equal(undefined);
    expect(verifyReply(request, sealWithout(request, 44, Buffer.alloc(0)), secret)?.kind).to.equal('ack');
  });
});

/** A reply with a right Response Authenticator over whatever attributes. */
function sealWithout(to: Buffer, code: number, body: Buffer): Buffer {
  const packet = Buffer.concat([
    Buffer.from([code, to[1] ?? 0, 0, 20 + body.length]),
    to.subarray(4, 20),
    body,
  ]);
  createHash('md5').update(packet).update(secret).digest().copy(packet, 4);
  return packet;
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}
