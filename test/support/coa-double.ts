import { createSocket, type RemoteInfo } from 'node:dgram';
import { createHash, createHmac } from 'node:crypto';
import { isIPv6 } from 'node:net';

/** A request as the far side saw it: decoded here by hand, sharing no code with adapters/radius. */
export interface SeenRequest {
  readonly bytes: Buffer;
  readonly kind: 'coa' | 'disconnect';
  readonly identifier: number;
  readonly attributes: ReadonlyMap<string, string>;
  /** Ids in the order of the packet; a vendor's is 26. */
  readonly ids: readonly number[];
  readonly isProved: boolean;
  readonly from: { address: string; port: number };
  readonly at: number;
}

export type Answer = 'ack' | 'nak' | 'silent' | { nak: number } | { bytes: Buffer };

export interface CoaDouble {
  readonly address: string;
  readonly port: number;
  readonly seen: SeenRequest[];
  /** What to say to each request; may take its time. */
  answer: (request: SeenRequest) => Answer | Promise<Answer>;
  close(): Promise<void>;
}

/** The far side of CoA: a UDP socket that checks both authenticators and answers as it is told. */
export async function startCoaDouble(options: {
  address?: string;
  port?: number;
  secret: string;
}): Promise<CoaDouble> {
  const address = options.address ?? '127.0.0.1';
  const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(options.port ?? 0, address, () => {
      socket.removeAllListeners('error');
      resolve();
    });
  });
  const double: CoaDouble = {
    address,
    port: socket.address().port,
    seen: [],
    answer: () => 'ack',
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
  socket.on('message', (bytes, from) => {
    const request = readRequest(bytes, options.secret, from);
    double.seen.push(request);
    void Promise.resolve(double.answer(request)).then((answer) => {
      const reply = replyTo(request, answer, options.secret);
      if (reply !== undefined) socket.send(reply, from.port, from.address, () => undefined);
    });
  });
  return double;
}

/** The bytes of an answer, for tests that damage them. */
export function replyTo(request: SeenRequest, answer: Answer, secret: string): Buffer | undefined {
  if (answer === 'silent') return undefined;
  if (typeof answer === 'object' && 'bytes' in answer) return answer.bytes;
  const isAck = answer === 'ack';
  const cause = typeof answer === 'object' ? answer.nak : undefined;
  const base = request.kind === 'coa' ? 44 : 41;
  return sealReply(
    request.bytes,
    isAck ? base : base + 1,
    cause === undefined ? [] : [[101, u32(cause)]],
    secret,
  );
}

/** A reply with Message-Authenticator, sealed as RFC 5176 says. */
export function sealReply(
  request: Buffer,
  code: number,
  attributes: readonly (readonly [number, Buffer])[],
  secret: string,
): Buffer {
  const body = Buffer.concat([
    Buffer.from([80, 18]),
    Buffer.alloc(16),
    ...attributes.map(([id, value]) => Buffer.concat([Buffer.from([id, value.length + 2]), value])),
  ]);
  const packet = Buffer.concat([Buffer.from([code, request[1] ?? 0, 0, 0]), request.subarray(4, 20), body]);
  packet.writeUInt16BE(packet.length, 2);
  createHmac('md5', secret).update(packet).digest().copy(packet, 22);
  createHash('md5').update(packet).update(secret).digest().copy(packet, 4);
  return packet;
}

function readRequest(bytes: Buffer, secret: string, from: RemoteInfo): SeenRequest {
  const attributes = new Map<string, string>();
  const ids: number[] = [];
  for (let at = 20; at < bytes.length; at += bytes[at + 1] ?? 1) {
    const id = bytes[at] ?? 0;
    ids.push(id);
    const value = bytes.subarray(at + 2, at + (bytes[at + 1] ?? 2));
    if (id === 26)
      attributes.set(`26.${value.readUInt32BE()}.${value[4] ?? 0}`, value.subarray(6).toString());
    else if (id === 8) attributes.set('8', [...value].join('.'));
    else attributes.set(String(id), value.toString());
  }
  return {
    bytes: Buffer.from(bytes),
    kind: bytes[0] === 43 ? 'coa' : 'disconnect',
    identifier: bytes[1] ?? 0,
    attributes,
    ids,
    isProved: isProved(bytes, secret),
    from: { address: from.address, port: from.port },
    at: performance.now(),
  };
}

/** Message-Authenticator first and right, and a Request Authenticator over all of it. */
function isProved(bytes: Buffer, secret: string): boolean {
  const zeroed = Buffer.from(bytes);
  zeroed.fill(0, 4, 20);
  const digest = createHash('md5').update(zeroed).update(secret).digest();
  zeroed.fill(0, 22, 38);
  const hmac = createHmac('md5', secret).update(zeroed).digest();
  return bytes[20] === 80 && digest.equals(bytes.subarray(4, 20)) && hmac.equals(bytes.subarray(22, 38));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
