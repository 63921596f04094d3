import { expect } from 'chai';
import {
  type Attributes,
  bytesOf,
  decodePacket,
  emptyMessageAuthenticator,
  encodePacket,
  numberOf,
  sealAccessRequest,
  sealReply,
  sealRequest,
  textOf,
  verifyReply,
  verifyRequest,
} from '../../scripts/lab/codec.ts';
import { chapPassword, hidePassword, md4, msChap2 } from '../../scripts/lab/passwords.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const secret = 'xyzzy5461';

const nemoRequest = hex(
  '01000038 0f403f9473978057bd83d5cb98f4227a 01066e656d6f 02120dbe708d93d413ce3196e43f782a0aee 0406c0a80110 050600000003',
);
const nemoAccept = hex('02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103');
const flopsyRequest = hex(
  '01010047 2aee86f08d0d55969ca5978e0d3367a2 0108666c6f707379 031316e97557c316185895f293ff634407 7275 0406c0a80110 050600000014 060600000002 070600000001',
);

describe('lab codec', () => {
  it('decodePacket, with the PAP request of RFC 2865 section 7.1, gives its attributes', () => {
    const packet = decodePacket(nemoRequest);
    expect(packet?.code).to.equal(1);
    expect(packet?.identifier).to.equal(0);
    expect(textOf(packet?.attributes ?? [], 'User-Name')).to.equal('nemo');
    expect(textOf(packet?.attributes ?? [], 'NAS-IP-Address')).to.equal('192.168.1.16');
    expect(numberOf(packet?.attributes ?? [], 'NAS-Port')).to.equal(3);
  });

  it('hidePassword, with the PAP request of RFC 2865 section 7.1, hides it as printed there', () => {
    const hidden = hidePassword('arctangent', nemoRequest.subarray(4, 20), secret);
    expect(hidden.toString('hex')).to.equal('0dbe708d93d413ce3196e43f782a0aee');
  });

  it('verifyReply, with the Access-Accept of RFC 2865 section 7.1, accepts it, and refuses it with another secret', () => {
    expect(verifyReply(nemoAccept, nemoRequest.subarray(4, 20), secret)).to.deep.equal({
      authenticator: 'valid',
      messageAuthenticator: 'absent',
    });
    expect(verifyReply(nemoAccept, nemoRequest.subarray(4, 20), 'xyzzy5462').authenticator).to.equal(
      'invalid',
    );
  });

  it('chapPassword, with the request of RFC 2865 section 7.2, gives the response printed there', () => {
    const challenge = flopsyRequest.subarray(4, 20);
    const response = bytesOf(decodePacket(flopsyRequest)?.attributes ?? [], 'CHAP-Password');
    expect(chapPassword(0x16, 'arctangent', challenge).toString('hex')).to.equal(response?.toString('hex'));
  });

  it('sealAccessRequest, with the Status-Server of RFC 5997 section 6, makes its Message-Authenticator', () => {
    const printed = hex('0cda0026 8a54f4686fb394c52866e302185d0623 50125a665e2e1e8411f3e243822097c84fa3');
    const made = encodePacket(12, 0xda, [emptyMessageAuthenticator]);
    sealAccessRequest(made, printed.subarray(4, 20), secret);
    expect(made.toString('hex')).to.equal(printed.toString('hex'));
  });

  it('msChap2, with the vector of RFC 2759 section 9.2, gives each value printed there', () => {
    const made = msChap2(
      'User',
      'clientPass',
      hex('5B5D7C7D7B3F2F3E3C2C602132262628'),
      hex('21402324255E262A28295F2B3A337C7E'),
    );
    expect(made.challengeHash.toString('hex')).to.equal('d02e4386bce91226');
    expect(made.passwordHash.toString('hex')).to.equal('44ebba8d5312b8d611474411f56989ae');
    expect(made.ntResponse.toString('hex')).to.equal('82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df');
    expect(made.authenticatorResponse).to.equal('S=407A5589115FD0D6209F510FE9C04566932CDA56');
  });

  it('md4, with the vectors of RFC 1320 section A.5, gives each digest', () => {
    const vectors: [string, string][] = [
      ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
      ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
      ['message digest', 'd9130a8164549fe818874806e1c7014b'],
      ['1234567890'.repeat(8), 'e33b4ddc9c38f2199c3e7b164fcc0536'],
    ];
    for (const [text, digest] of vectors) expect(md4(Buffer.from(text)).toString('hex')).to.equal(digest);
  });

  it('encodePacket and decodePacket, with every kind of attribute, are inverse', () => {
    const attributes: Attributes = [
      ['User-Name', 'jörg'],
      ['Framed-IP-Address', '10.20.30.40'],
      ['Event-Timestamp', 4_294_967_295],
      ['Class', Buffer.from([0, 255, 7])],
      ['Mikrotik-Rate-Limit', '5M/20M 8M/30M 4M/16M 12/12 5 1M/4M'],
      ['Mikrotik-Delegated-IPv6-Pool', 'pd'],
      ['Delegated-IPv6-Prefix', '2001:db8:1::/56'],
      ['Framed-IPv6-Prefix', '::/0'],
      ['Framed-IPv6-Address', '2001:db8::1'],
      ['Mikrotik-Recv-Limit', 0],
    ];
    const packet = decodePacket(encodePacket(2, 255, attributes));
    expect(packet?.attributes).to.deep.equal(attributes);
  });

  it('decodePacket, with attributes or a length that do not fit, gives nothing', () => {
    const good = encodePacket(1, 1, [
      ['User-Name', 'nemo'],
      ['Mikrotik-Rate-Limit', '1M'],
    ]);
    const broken = (at: number, value: number) => {
      const copy = Buffer.from(good);
      copy.writeUInt8(value, at);
      return copy;
    };
    expect(decodePacket(good)).to.not.equal(undefined);
    expect(decodePacket(good.subarray(0, 19))).to.equal(undefined);
    expect(decodePacket(good.subarray(0, good.length - 1))).to.equal(undefined);
    expect(decodePacket(broken(21, 1)), 'attribute shorter than its header').to.equal(undefined);
    expect(decodePacket(broken(21, 200)), 'attribute beyond the packet').to.equal(undefined);
    expect(decodePacket(broken(33, 200)), 'vendor attribute beyond its attribute').to.equal(undefined);
    expect(decodePacket(broken(2, 0xff)), 'length beyond the datagram').to.equal(undefined);
    expect(decodePacket(Buffer.concat([good, Buffer.alloc(9)]))?.bytes.length).to.equal(good.length);
  });

  it('encodePacket, with a value that does not fit, names the attribute', () => {
    expect(() => encodePacket(1, 1, [['User-Name', 'a'.repeat(254)]])).to.throw(RangeError, 'User-Name');
    expect(() => encodePacket(1, 1, [['Mikrotik-Group', 'a'.repeat(248)]])).to.throw(
      RangeError,
      'Mikrotik-Group',
    );
    expect(() => encodePacket(1, 1, [['Framed-IP-Address', '300.1.1.1']])).to.throw(
      RangeError,
      'Framed-IP-Address',
    );
    expect(() => encodePacket(1, 1, [['NAS-Port', 2 ** 32]])).to.throw(RangeError, 'NAS-Port');
    expect(() => encodePacket(1, 1, [['Framed-IPv6-Address', '1.2.3.4']])).to.throw(
      RangeError,
      'Framed-IPv6-Address',
    );
    expect(() => encodePacket(1, 1, [['No-Such', 'x']])).to.throw(RangeError, 'No-Such');
  });

  it('verifyRequest, with a CoA-Request, needs both authenticators made in the order of RFC 5176 section 3.4', () => {
    const sealed = sealRequest(
      encodePacket(43, 7, [emptyMessageAuthenticator, ['User-Name', 'nemo']]),
      secret,
    );
    expect(verifyRequest(sealed, secret)).to.deep.equal({
      authenticator: 'valid',
      messageAuthenticator: 'valid',
    });
    expect(verifyRequest(sealed, 'other').authenticator).to.equal('invalid');
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
    expect(verifyRequest(changed, secret)).to.deep.equal({
      authenticator: 'invalid',
      messageAuthenticator: 'invalid',
    });
  });

  it('verifyReply, with a CoA-ACK, takes both authenticators over the request', () => {
    const request = sealRequest(encodePacket(43, 7, [['User-Name', 'nemo']]), secret);
    const reply = sealReply(
      encodePacket(44, 7, [emptyMessageAuthenticator]),
      request.subarray(4, 20),
      secret,
    );
    expect(verifyReply(reply, request.subarray(4, 20), secret)).to.deep.equal({
      authenticator: 'valid',
      messageAuthenticator: 'valid',
    });
    expect(verifyReply(reply, Buffer.alloc(16), secret).authenticator).to.equal('invalid');
  });
});
