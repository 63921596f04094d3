import { randomBytes } from 'node:crypto';
import { encodePacket } from '../../lab/codec.ts';
import { packetCode } from '../../lab/dictionary.ts';
import { chapPassword } from '../../lab/passwords.ts';
import type { Requests } from './blast.ts';
import { fateOf, macOf, passwordOf, usernameOf } from './people.ts';

/**
 * Access-Requests by CHAP of `count` of the first `logins`, scattered over them. CHAP has a challenge of its own, so that
 * a request is new when its authenticator is: made once, a request can be sent in every round.
 */
export function loginRequests(count: number, logins: number, from: string): Requests {
  const bytes: Buffer[] = [];
  const expected = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const n = scattered(i, logins);
    bytes.push(loginRequest(n, from));
    expected[i] = fateOf(n) === 'accepted' ? packetCode.accessAccept : packetCode.accessReject;
  }
  return stampedAnew(bytes, (i) => expected[i] ?? 0);
}

/** The same requests to a server that lets everybody be online as often as they like. */
export function withoutSessionCount(requests: Requests, logins: number): Requests {
  return {
    ...requests,
    expected: (i) =>
      fateOf(scattered(i, logins)) === 'already_online' ? packetCode.accessAccept : requests.expected(i),
  };
}

function stampedAnew(bytes: readonly Buffer[], expected: (i: number) => number): Requests {
  let sent = 0;
  return {
    count: bytes.length,
    at(i, identifier) {
      const request = bytes[i] ?? Buffer.alloc(0);
      request[1] = identifier;
      // Another authenticator each time, or the server would take it for a repetition and answer from memory.
      request.writeUInt32BE(++sent >>> 0, 4);
      return request;
    },
    expected,
  };
}

/** The i-th of 1 to `logins` in an order that jumps about: a prime has no factor in common with any smaller number. */
export function scattered(i: number, logins: number): number {
  return ((i * 15_485_863) % logins) + 1;
}

/** The n-th login dials with CHAP. Its authenticator is its own each time that it is made. */
export function loginRequest(n: number, from: string): Buffer {
  const fate = fateOf(n);
  const challenge = randomBytes(16);
  const bytes = encodePacket(packetCode.accessRequest, 0, [
    ['Service-Type', 2],
    ['Framed-Protocol', 1],
    ['NAS-Port', 15_728_640 + n],
    ['NAS-Port-Type', 15],
    ['User-Name', usernameOf(n)],
    ['Calling-Station-Id', macOf(n, fate === 'wrong_mac' ? '06' : '02')],
    ['Called-Station-Id', 'pppoe'],
    ['NAS-Port-Id', 'ether2'],
    ['Acct-Session-Id', (0x81000000 + n).toString(16)],
    ['CHAP-Password', chapPassword(1, fate === 'wrong_password' ? 'mistyped' : passwordOf(n), challenge)],
    ['CHAP-Challenge', challenge],
    ['NAS-Identifier', 'bench'],
    ['NAS-IP-Address', from],
  ]);
  randomBytes(16).copy(bytes, 4);
  return bytes;
}
