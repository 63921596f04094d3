import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { countSources } from '../../../src/adapters/freeradius/radius-log.ts';
import { replyAttributes } from '../../../src/adapters/freeradius/reply-attributes.ts';
import { AttributeError } from '../../../src/adapters/radius/attributes.ts';
import { sealRequest, verifyReply } from '../../../src/adapters/radius/packet.ts';
import { isWake } from '../../../src/adapters/wake.ts';
import { createVault } from '../../../src/adapters/vault.ts';
import { anyText, ensure, near, property, type Property } from './property.ts';

const secret = 'a secret of properties';
const request = sealRequest('coa', 7, secret, [
  ['User-Name', 'amina'],
  ['Acct-Session-Id', '80000001'],
]);
const names = fc.oneof(
  fc.constantFrom(
    'User-Name',
    'Framed-IP-Address',
    'Class',
    'Session-Timeout',
    'Acct-Session-Id',
    'Framed-IPv6-Address',
    'Mikrotik-Rate-Limit',
    'Mikrotik-Address-List',
    'Mikrotik-Recv-Limit',
  ),
  anyText,
);
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
/** Attributes as a router could lay them out, their lengths true or not. */
const attributes = fc
  .array(fc.tuple(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 40 })), { maxLength: 12 })
  .map((list) =>
    Buffer.concat(
      list.map(([type, lie, value]) =>
        Buffer.concat([Buffer.from([type, lie % 4 === 0 ? lie : value.length + 2]), value]),
      ),
    ),
  );
const key = Buffer.alloc(32, 9);
const vault = createVault([{ id: 'k1', key }]);

export const packetProperties: readonly Property[] = [
  property('arbitrary bytes prove nothing', [bytes], (reply) => {
    ensure(verifyReply(request, reply, secret) === undefined, 'was taken for a reply');
  }),
  property(
    'a well-headed reply without the secret proves nothing',
    [fc.constantFrom(44, 45, 41, 42), attributes],
    (code, body) => {
      ensure(verifyReply(request, sealed(code, body, 'another secret'), secret) === undefined, 'was taken');
    },
  ),
  property(
    'a lying router that knows the secret is read or refused',
    [fc.nat(255), attributes],
    (code, body) => {
      const reply = verifyReply(request, sealed(code, body, secret), secret);
      if (reply === undefined) return;
      ensure(code === 44 || code === 45, 'another code was taken for a reply');
      ensure(reply.errorCause === null || Number.isInteger(reply.errorCause), 'has no whole Error-Cause');
    },
  ),
  property('one bit changed, and a reply proves nothing', [attributes, fc.nat()], (body, at) => {
    const reply = sealed(44, Buffer.from(body), secret);
    const bit = at % (reply.length * 8);
    const index = bit >> 3;
    reply[index] = (reply[index] ?? 0) ^ (1 << (bit & 7));
    const read = verifyReply(request, reply, secret);
    ensure(read === undefined, 'was taken for a reply');
  }),
  property(
    'a request is sealed or refused by name',
    [fc.array(fc.tuple(names, anyText), { maxLength: 20 })],
    (given) => {
      try {
        const packet = sealRequest('disconnect', 1, secret, given);
        ensure(packet.length >= 38 && packet.length <= 4096, 'has no length of a packet');
        ensure(packet.readUInt16BE(2) === packet.length, 'says another length');
      } catch (error) {
        if (!(error instanceof AttributeError)) throw error;
        const long = given.filter(
          ([, value]) => value.length > 12 && !given.some(([name]) => name.includes(value)),
        );
        ensure(!long.some(([, value]) => error.message.includes(value)), 'the error repeats a value');
      }
    },
  ),
  property('a wake-up needs the key', [bytes], (datagram) => {
    ensure(!isWake(key, datagram, new Date(1_770_000_000_000)), 'was taken for a wake-up');
  }),
  property(
    'any log names few addresses, and only addresses',
    [
      fc.array(
        fc.oneof(
          anyText,
          near(/^Error: Unable to open file "\/x\/clients\/[0-9a-f.:]{2,20}": No such file or directory$/),
        ),
        { maxLength: 30 },
      ),
    ],
    (lines) => {
      const counts = countSources(lines.join('\n'));
      ensure(counts.size <= 200, 'too many addresses');
      ensure(
        [...counts.keys()].every((address) => /^[0-9a-fA-F.:]+$/.test(address)),
        'is no address',
      );
    },
  ),
  property('attributes of any answer can be shown', [bytes], (packet) => {
    ensure(Array.isArray(replyAttributes(packet)), 'is no list');
  }),
  property(
    'nothing opens but what was sealed for that place',
    [bytes, anyText, anyText],
    (rubbish, place, clear) => {
      ensure(
        throws(() => vault.open(place, rubbish)),
        'rubbish opened',
      );
      const sealedText = vault.seal(place, clear);
      ensure(vault.open(place, sealedText) === Buffer.from(clear).toString(), 'another text came out');
      ensure(
        throws(() => vault.open(`${place}x`, sealedText)),
        'opened at another place',
      );
    },
  ),
];

function sealed(code: number, body: Buffer, by: string): Buffer {
  const packet = Buffer.concat([Buffer.from([code, request[1] ?? 0, 0, 0]), request.subarray(4, 20), body]);
  packet.writeUInt16BE(packet.length, 2);
  createHash('md5').update(packet).update(by).digest().copy(packet, 4);
  return packet;
}

function throws(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch {
    return true;
  }
}
