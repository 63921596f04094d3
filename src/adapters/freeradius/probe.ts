import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import { replyAttributes } from './reply-attributes.ts';

export interface ProbeTarget {
  readonly address: string;
  readonly port: number;
  readonly secret: string;
  readonly timeoutMs: number;
}

/** `forged`: something answered, and not with our secret. `closed`: nobody has the port. */
export type ProbeOutcome =
  | {
      readonly kind: 'accept' | 'reject' | 'other';
      readonly ms: number;
      readonly replyMessage: string | null;
      /** Of the answer, as names and text; without Message-Authenticator. */
      readonly attributes: readonly (readonly [name: string, value: string])[];
    }
  | { readonly kind: 'silent' | 'forged' | 'closed' };

const code = {
  accessRequest: 1,
  accessAccept: 2,
  accessReject: 3,
  accountingResponse: 5,
  statusServer: 12,
} as const;

/** Status-Server (RFC 5997) to an authentication or accounting port: any answer with our secret is a sign of life. */
export function probeStatus(target: ProbeTarget): Promise<ProbeOutcome> {
  return exchange(target, sealed(code.statusServer, randomBytes(16), [], target.secret));
}

export interface ProbedLogin {
  readonly username: string;
  readonly password: string;
  /** Calling-Station-Id; left out, the request names no device. */
  readonly mac?: string;
}

/** A PAP login (RFC 2865 §5.2), as a router would ask; the client must be one that FreeRADIUS knows. */
export function probeLogin(target: ProbeTarget, login: ProbedLogin): Promise<ProbeOutcome> {
  const authenticator = randomBytes(16);
  const attributes = [
    attribute(1, Buffer.from(login.username)),
    attribute(2, hiddenPassword(Buffer.from(login.password), authenticator, target.secret)),
    // Framed, PPP, Ethernet: what a PPPoE server says of itself.
    attribute(6, number(2)),
    attribute(7, number(1)),
    attribute(61, number(15)),
    attribute(32, Buffer.from('sluice-doctor')),
    ...(login.mac === undefined ? [] : [attribute(31, Buffer.from(login.mac))]),
  ];
  return exchange(target, sealed(code.accessRequest, authenticator, attributes, target.secret));
}

/** Message-Authenticator comes first (RFC 3579 §3.2): an HMAC-MD5 over the packet with itself as zeros. */
function sealed(type: number, authenticator: Buffer, attributes: readonly Buffer[], secret: string): Buffer {
  const header = Buffer.alloc(20);
  const packet = Buffer.concat([header, attribute(80, Buffer.alloc(16)), ...attributes]);
  packet.writeUInt8(type, 0);
  randomBytes(1).copy(packet, 1);
  packet.writeUInt16BE(packet.length, 2);
  authenticator.copy(packet, 4);
  createHmac('md5', secret).update(packet).digest().copy(packet, 22);
  return packet;
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function attribute(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length + 2]), value]);
}

function hiddenPassword(password: Buffer, authenticator: Buffer, secret: string): Buffer {
  const padded = Buffer.alloc(Math.max(16, Math.ceil(password.length / 16) * 16));
  password.copy(padded);
  let previous = authenticator;
  for (let at = 0; at < padded.length; at += 16) {
    const mask = createHash('md5').update(secret).update(previous).digest();
    for (let i = 0; i < 16; i++) padded[at + i] = (padded[at + i] ?? 0) ^ (mask[i] ?? 0);
    previous = padded.subarray(at, at + 16);
  }
  return padded;
}

function exchange(target: ProbeTarget, request: Buffer): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = createSocket(isIP(target.address) === 6 ? 'udp6' : 'udp4');
    const startedAt = performance.now();
    let isForged = false;
    const finish = (outcome: ProbeOutcome) => {
      clearTimeout(timer);
      clearInterval(again);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish({ kind: isForged ? 'forged' : 'silent' }), target.timeoutMs);
    const again = setInterval(() => socket.send(request), 1000);
    socket.on('error', () => finish({ kind: 'closed' }));
    socket.on('message', (reply) => {
      if (isAnswer(request, reply, target.secret)) {
        const attributes = replyAttributes(reply);
        finish({
          kind: kindOf(reply),
          ms: performance.now() - startedAt,
          replyMessage: attributes.find(([name]) => name === 'Reply-Message')?.[1] ?? null,
          attributes,
        });
      } else isForged = true;
    });
    // Connected, so that a closed port is told at once.
    socket.connect(target.port, target.address, () => socket.send(request));
  });
}

/** The Response Authenticator (RFC 2865 §3), compared in constant time. */
function isAnswer(request: Buffer, reply: Buffer, secret: string): boolean {
  if (reply.length < 20 || reply[1] !== request[1] || reply.readUInt16BE(2) !== reply.length) return false;
  const expected = createHash('md5')
    .update(reply.subarray(0, 4))
    .update(request.subarray(4, 20))
    .update(reply.subarray(20))
    .update(secret)
    .digest();
  return timingSafeEqual(expected, reply.subarray(4, 20));
}

function kindOf(reply: Buffer): 'accept' | 'reject' | 'other' {
  if (reply[0] === code.accessAccept) return 'accept';
  return reply[0] === code.accessReject ? 'reject' : 'other';
}
