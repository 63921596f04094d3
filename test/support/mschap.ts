import { createCipheriv, createHash } from 'node:crypto';

/** What a subscriber's side of MS-CHAP computes (RFC 2433, RFC 2759). OpenSSL 3 has neither MD4 nor single DES by default. */

/** MS-CHAPv1: 24 bytes for an 8 byte challenge. */
export function ntResponse(challenge: Buffer, password: string): Buffer {
  return challengeResponse(challenge, ntHash(password));
}

/** MS-CHAPv2's answer to the server, over both challenges and the name as it is sent. */
export function ntResponse2(
  authenticatorChallenge: Buffer,
  peerChallenge: Buffer,
  username: string,
  password: string,
): Buffer {
  const challenge = challengeHash(peerChallenge, authenticatorChallenge, username);
  return challengeResponse(challenge, ntHash(password));
}

/** The proof of the server that it knows the password too: "S=" and 40 hex digits. */
export function authenticatorResponse(
  password: string,
  response: Buffer,
  peerChallenge: Buffer,
  authenticatorChallenge: Buffer,
  username: string,
): string {
  const digest = sha1(md4(ntHash(password)), response, 'Magic server to client signing constant');
  const challenge = challengeHash(peerChallenge, authenticatorChallenge, username);
  return `S=${sha1(digest, challenge, 'Pad to make it do more than one iteration').toString('hex').toUpperCase()}`;
}

function challengeHash(peer: Buffer, authenticator: Buffer, username: string): Buffer {
  return sha1(peer, authenticator, username).subarray(0, 8);
}

function ntHash(password: string): Buffer {
  return md4(Buffer.from(password, 'utf16le'));
}

function sha1(...parts: (Buffer | string)[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The hash, padded to 21 bytes, is three DES keys. */
function challengeResponse(challenge: Buffer, hash: Buffer): Buffer {
  const padded = Buffer.concat([hash, Buffer.alloc(5)]);
  return Buffer.concat([0, 7, 14].map((at) => des(padded.subarray(at, at + 7), challenge)));
}

/** Triple DES with one key three times is DES. */
function des(key7: Buffer, block: Buffer): Buffer {
  const bits = BigInt(`0x${key7.toString('hex')}`);
  const key = Buffer.alloc(8);
  for (let i = 0; i < 8; i++) key[i] = Number((bits >> BigInt(49 - 7 * i)) & 0x7fn) << 1;
  const cipher = createCipheriv('des-ede3', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** RFC 1320. */
export function md4(message: Buffer): Buffer {
  const padding = Buffer.alloc(((119 - (message.length % 64)) % 64) + 9);
  padding[0] = 0x80;
  padding.writeBigUInt64LE(BigInt(message.length) * 8n, padding.length - 8);
  const input = Buffer.concat([message, padding]);
  let state: [number, number, number, number] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < input.length; at += 64) state = md4Block(state, input.subarray(at, at + 64));
  const digest = Buffer.alloc(16);
  state.forEach((word, i) => digest.writeUInt32LE(word >>> 0, i * 4));
  return digest;
}

const rounds = [
  {
    mix: (x: number, y: number, z: number) => (x & y) | (~x & z),
    add: 0,
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shifts: [3, 7, 11, 19],
  },
  {
    mix: (x: number, y: number, z: number) => (x & y) | (x & z) | (y & z),
    add: 0x5a827999,
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    shifts: [3, 5, 9, 13],
  },
  {
    mix: (x: number, y: number, z: number) => x ^ y ^ z,
    add: 0x6ed9eba1,
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    shifts: [3, 9, 11, 15],
  },
];

function md4Block(state: [number, number, number, number], block: Buffer): [number, number, number, number] {
  let [a, b, c, d] = state;
  for (const { mix, add, order, shifts } of rounds) {
    for (const [step, word] of order.entries()) {
      const sum = (a + mix(b, c, d) + block.readUInt32LE(word * 4) + add) | 0;
      const shift = shifts[step % 4] ?? 0;
      [a, b, c, d] = [d, (sum << shift) | (sum >>> (32 - shift)), b, c];
    }
  }
  return [(state[0] + a) | 0, (state[1] + b) | 0, (state[2] + c) | 0, (state[3] + d) | 0];
}
