import { createHash } from 'node:crypto';
import { type Attributes, encodePacket } from '../../lab/codec.ts';
import { acctStatus, type AcctStatus, packetCode } from '../../lab/dictionary.ts';
import type { Requests } from './blast.ts';
import { macOf, usernameOf } from './people.ts';

/** Of twenty packets one begins a session, one ends one, the others are interims. */
const mix = 20;
const portBase = 15_728_640;

export interface AccountingStream extends Requests {
  /** What has to stand in the database when the first `sent` packets are stored. */
  after(sent: number): { begun: number; ended: number; octets: bigint };
}

/** A session's number makes its name, its Acct-Session-Id and its place at the router. */
export function sessionIdOf(n: number): string {
  return (0x82000000 + n).toString(16);
}

/** As FreeRADIUS gave it with the accept: the last part is the session's own. */
export function classOf(n: number): string {
  return `S1.${n}.0123456789.abcdef0123.${n.toString(16).padStart(8, '0')}`;
}

/**
 * Accounting of a network with `open` sessions online, in the order of time: sessions 1 to `open` are there at the start,
 * each tells of itself in turn, the oldest ends as the next one begins. Made beforehand but for identifier and
 * authenticator.
 */
export function accountingRequests(options: {
  count: number;
  open: number;
  router: { address: string; secret: string };
  hasClass: boolean;
}): AccountingStream {
  const { count, open } = options;
  const bytes: Buffer[] = [];
  /** What each packet adds to the octets of all sessions together. */
  const adds: number[] = [];
  const octets = new Map<number, number>();
  let oldest = 1;
  let newest = open;
  let next = 0;
  for (let i = 0; i < count; i++) {
    const place = i % mix;
    const status = place === 0 ? 'Start' : place === 1 ? 'Stop' : 'Interim-Update';
    // Not one that has only just begun: its Start may still be under way.
    if (status === 'Interim-Update') next = next < oldest || next >= newest - 10 ? oldest + 1 : next + 1;
    const n = status === 'Start' ? ++newest : status === 'Stop' ? oldest++ : next;
    const before = octets.get(n) ?? 0;
    const after = status === 'Start' ? 0 : before + 1_000_000 + (n % 1000);
    octets.set(n, after);
    adds.push(after - before);
    bytes.push(encodePacket(packetCode.accountingRequest, 0, attributesOf(n, status, after, options)));
  }
  return {
    count,
    at: (i, identifier) => sealed(bytes[i] ?? Buffer.alloc(20), identifier, options.router.secret),
    expected: () => packetCode.accountingResponse,
    after: (sent) => ({
      begun: Math.ceil(sent / mix),
      ended: Math.ceil((sent - 1) / mix),
      octets: BigInt(adds.slice(0, sent).reduce((sum, add) => sum + add, 0)),
    }),
  };
}

/** What a router tells of the n-th session. */
export function attributesOf(
  n: number,
  status: AcctStatus,
  octets: number,
  options: { router: { address: string }; hasClass: boolean },
): Attributes {
  const counters: Attributes = [
    ['Acct-Session-Time', Math.floor(octets / 3000)],
    ['Acct-Input-Octets', Math.floor(octets / 8) % 2 ** 32],
    ['Acct-Input-Gigawords', 0],
    ['Acct-Output-Octets', octets % 2 ** 32],
    ['Acct-Output-Gigawords', Math.floor(octets / 2 ** 32)],
  ];
  return [
    ['Service-Type', 2],
    ['Framed-Protocol', 1],
    ['NAS-Port', portBase + n],
    ['NAS-Port-Type', 15],
    ['User-Name', usernameOf(n)],
    ['Calling-Station-Id', macOf(n)],
    ['Called-Station-Id', 'pppoe'],
    ['NAS-Port-Id', 'ether2'],
    ['Acct-Session-Id', sessionIdOf(n)],
    ['Framed-IP-Address', `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`],
    ['Acct-Authentic', 1],
    ...(options.hasClass ? ([['Class', Buffer.from(classOf(n))]] as const) : []),
    ['Acct-Status-Type', acctStatus[status]],
    ...(status === 'Start' ? [] : counters),
    ...(status === 'Stop' ? ([['Acct-Terminate-Cause', 1]] as const) : []),
    ['NAS-Identifier', 'bench'],
    ['Acct-Delay-Time', 0],
    ['NAS-IP-Address', options.router.address],
  ];
}

const zeros = Buffer.alloc(16);

/** RFC 2866 section 3. */
export function sealed(bytes: Buffer, identifier: number, secret: string): Buffer {
  bytes[1] = identifier;
  zeros.copy(bytes, 4);
  createHash('md5').update(bytes).update(secret).digest().copy(bytes, 4);
  return bytes;
}
