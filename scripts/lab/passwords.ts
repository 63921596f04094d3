import { createCipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Attributes } from './codec.ts';

export type DialMethod = 'pap' | 'chap' | 'mschap2';

/** User-Password as RFC 2865 section 5.2 hides it: padded to 16, XORed with a chain of MD5(secret, previous block). */
export function hidePassword(password: string, authenticator: Buffer, secret: string): Buffer {
  const clear = Buffer.from(password, 'utf8');
  if (clear.length > 128) throw new RangeError(`password: ${clear.length} bytes, at most 128`);
  const padded = Buffer.alloc(Math.max(16, Math.ceil(clear.length / 16) * 16));
  clear.copy(padded);
  let previous = authenticator;
  for (let at = 0; at < padded.length; at += 16) {
    const mask = createHash('md5').update(secret).update(previous).digest();
    for (let i = 0; i < 16; i++) padded.writeUInt8(padded.readUInt8(at + i) ^ mask.readUInt8(i), at + i);
    previous = padded.subarray(at, at + 16);
  }
  return padded;
}

/** CHAP-Password: the CHAP identifier and MD5(identifier, password, challenge) of RFC 1994. */
export function chapPassword(identifier: number, password: string, challenge: Buffer): Buffer {
  const id = Buffer.from([identifier]);
  const digest = createHash('md5').update(id).update(password, 'utf8').update(challenge).digest();
  return Buffer.concat([id, digest]);
}

export interface Credentials {
  readonly attributes: Attributes;
  /** What a MS-CHAP2-Success must say so that the caller is sure the server knows the password. */
  readonly successExpected: Buffer | undefined;
}

/** The attributes with which a router proves the subscriber's password. */
export function proveWith(
  method: DialMethod,
  login: { username: string; password: string },
  authenticator: Buffer,
  secret: string,
): Credentials {
  switch (method) {
    case 'pap': {
      const hidden = hidePassword(login.password, authenticator, secret);
      return { attributes: [['User-Password', hidden]], successExpected: undefined };
    }
    case 'chap': {
      const challenge = randomBytes(16);
      const proof = chapPassword(1, login.password, challenge);
      return {
        attributes: [
          ['CHAP-Password', proof],
          ['CHAP-Challenge', challenge],
        ],
        successExpected: undefined,
      };
    }
    case 'mschap2': {
      const [server, peer] = [randomBytes(16), randomBytes(16)];
      const made = msChap2(login.username, login.password, server, peer);
      // RFC 2548 section 2.3.2: ident, flags, peer challenge, 8 reserved bytes, NT response.
      const response = Buffer.concat([Buffer.from([1, 0]), peer, Buffer.alloc(8), made.ntResponse]);
      return {
        attributes: [
          ['MS-CHAP-Challenge', server],
          ['MS-CHAP2-Response', response],
        ],
        successExpected: Buffer.concat([Buffer.from([1]), Buffer.from(made.authenticatorResponse)]),
      };
    }
  }
}

/** Whether MS-CHAP2-Success is the one that only a server with the password can make. */
export function provesItself(expected: Buffer, received: Buffer | undefined): boolean {
  return received?.length === expected.length && timingSafeEqual(expected, received);
}

/** RFC 2759 section 8: the response a peer sends, and the authenticator response it then wants to see. */
export function msChap2(
  username: string,
  password: string,
  serverChallenge: Buffer,
  peerChallenge: Buffer,
): { challengeHash: Buffer; passwordHash: Buffer; ntResponse: Buffer; authenticatorResponse: string } {
  // The hash leaves out a domain before the name (RFC 2759 section 4).
  const name = username.slice(username.lastIndexOf('\\') + 1);
  const challengeHash = sha1(peerChallenge, serverChallenge, Buffer.from(name)).subarray(0, 8);
  const passwordHash = md4(Buffer.from(password, 'utf16le'));
  const ntResponse = challengeResponse(challengeHash, passwordHash);
  const digest = sha1(md4(passwordHash), ntResponse, Buffer.from('Magic server to client signing constant'));
  const last = sha1(digest, challengeHash, Buffer.from('Pad to make it do more than one iteration'));
  const authenticatorResponse = `S=${last.toString('hex').toUpperCase()}`;
  return { challengeHash, passwordHash, ntResponse, authenticatorResponse };
}

function sha1(...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function challengeResponse(challenge: Buffer, passwordHash: Buffer): Buffer {
  const padded = Buffer.alloc(21);
  passwordHash.copy(padded);
  const blocks = [0, 7, 14].map((at) => desEncrypt(padded.subarray(at, at + 7), challenge));
  return Buffer.concat(blocks);
}

/** DES with a key of 56 bits. OpenSSL 3 keeps triple DES, which is DES where its three keys are the same. */
function desEncrypt(key: Buffer, block: Buffer): Buffer {
  const bits = BigInt(`0x${key.toString('hex')}`);
  const wide = Buffer.alloc(8);
  for (let i = 0; i < 8; i++) wide.writeUInt8(Number((bits >> BigInt(49 - 7 * i)) & 0x7fn) << 1, i);
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([wide, wide, wide]), null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** MD4 of RFC 1320, which OpenSSL 3 no longer offers and MS-CHAPv2 cannot do without. */
export function md4(message: Buffer): Buffer {
  const padded = Buffer.alloc((Math.floor((message.length + 8) / 64) + 1) * 64);
  message.copy(padded);
  padded.writeUInt8(0x80, message.length);
  padded.writeBigUInt64LE(BigInt(message.length) * 8n, padded.length - 8);
  let state: Md4State = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < padded.length; at += 64) state = md4Block(state, padded.subarray(at, at + 64));
  const digest = Buffer.alloc(16);
  state.forEach((word, i) => digest.writeUInt32LE(word, i * 4));
  return digest;
}

type Md4State = [number, number, number, number];

interface Md4Round {
  readonly mix: (x: number, y: number, z: number) => number;
  readonly add: number;
  readonly order: readonly number[];
  readonly shifts: readonly number[];
}

const md4Rounds: readonly Md4Round[] = [
  {
    mix: (x, y, z) => (x & y) | (~x & z),
    add: 0,
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shifts: [3, 7, 11, 19],
  },
  {
    mix: (x, y, z) => (x & y) | (x & z) | (y & z),
    add: 0x5a827999,
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    shifts: [3, 5, 9, 13],
  },
  {
    mix: (x, y, z) => x ^ y ^ z,
    add: 0x6ed9eba1,
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    shifts: [3, 9, 11, 15],
  },
];

function md4Block(state: Md4State, block: Buffer): Md4State {
  let [a, b, c, d] = state;
  for (const round of md4Rounds) {
    round.order.forEach((word, step) => {
      const sum = (a + round.mix(b, c, d) + block.readUInt32LE(word * 4) + round.add) | 0;
      const shift = round.shifts[step % 4] ?? 0;
      [a, b, c, d] = [d, (sum << shift) | (sum >>> (32 - shift)), b, c];
    });
  }
  return [(a + state[0]) >>> 0, (b + state[1]) >>> 0, (c + state[2]) >>> 0, (d + state[3]) >>> 0];
}
