import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { authenticatorResponse, ntResponse, ntResponse2 } from './mschap.ts';

/** A router's side of RADIUS for tests against the real server: a codec of its own, sharing nothing with src/. */

type Kind = 'text' | 'octets' | 'integer' | 'ipv4' | 'prefix6';
type Value = string | number | Buffer;
export type Attributes = readonly (readonly [name: string, value: Value])[];

const plain: Record<string, [type: number, kind: Kind]> = {
  'User-Name': [1, 'text'],
  'User-Password': [2, 'octets'],
  'CHAP-Password': [3, 'octets'],
  'NAS-IP-Address': [4, 'ipv4'],
  'NAS-Port': [5, 'integer'],
  'Service-Type': [6, 'integer'],
  'Framed-Protocol': [7, 'integer'],
  'Framed-IP-Address': [8, 'ipv4'],
  'Reply-Message': [18, 'text'],
  Class: [25, 'text'],
  'Session-Timeout': [27, 'integer'],
  'Idle-Timeout': [28, 'integer'],
  'Called-Station-Id': [30, 'text'],
  'Calling-Station-Id': [31, 'text'],
  'NAS-Identifier': [32, 'text'],
  'Proxy-State': [33, 'octets'],
  'Acct-Status-Type': [40, 'integer'],
  'Acct-Delay-Time': [41, 'integer'],
  'Acct-Input-Octets': [42, 'integer'],
  'Acct-Output-Octets': [43, 'integer'],
  'Acct-Session-Id': [44, 'text'],
  'Acct-Session-Time': [46, 'integer'],
  'Acct-Terminate-Cause': [49, 'integer'],
  'Acct-Input-Gigawords': [52, 'integer'],
  'Acct-Output-Gigawords': [53, 'integer'],
  'CHAP-Challenge': [60, 'octets'],
  'NAS-Port-Type': [61, 'integer'],
  'EAP-Message': [79, 'octets'],
  'Message-Authenticator': [80, 'octets'],
  'Acct-Interim-Interval': [85, 'integer'],
  'NAS-Port-Id': [87, 'text'],
  'Framed-Pool': [88, 'text'],
  'Framed-IPv6-Pool': [100, 'text'],
  'Delegated-IPv6-Prefix': [123, 'prefix6'],
};
const vendors: Record<string, [vendor: number, type: number, kind: Kind]> = {
  'MS-CHAP-Response': [311, 1, 'octets'],
  'MS-CHAP-Error': [311, 2, 'octets'],
  'MS-MPPE-Encryption-Policy': [311, 7, 'integer'],
  'MS-MPPE-Encryption-Types': [311, 8, 'integer'],
  'MS-CHAP-Challenge': [311, 11, 'octets'],
  'MS-CHAP-MPPE-Keys': [311, 12, 'octets'],
  'MS-MPPE-Send-Key': [311, 16, 'octets'],
  'MS-MPPE-Recv-Key': [311, 17, 'octets'],
  'MS-CHAP2-Response': [311, 25, 'octets'],
  'MS-CHAP2-Success': [311, 26, 'octets'],
  'Mikrotik-Group': [14988, 3, 'text'],
  'Mikrotik-Rate-Limit': [14988, 8, 'text'],
  'Mikrotik-Address-List': [14988, 19, 'text'],
  'Mikrotik-Delegated-IPv6-Pool': [14988, 22, 'text'],
};

export interface Reply {
  kind: 'accept' | 'reject' | 'challenge' | 'accounted';
  attributes: [name: string, value: string | number][];
  /** The first value of an attribute. */
  get(name: string): string | number | undefined;
  names: string[];
  /** The reply has a Message-Authenticator and it is right. */
  isSealed: boolean;
  /** MS-CHAPv2: the server has proved that it knows the password. */
  isServerProved?: boolean;
}

export type Method = 'pap' | 'chap' | 'mschap' | 'mschap2';

export interface Login {
  username: string | Buffer;
  password: string;
  method?: Method;
  mac?: string;
  attributes?: Attributes;
}

const statusTypes = { start: 1, stop: 2, interim: 3, on: 7, off: 8 };

/** A router on one source address. Nothing is sent twice by itself: see `send`. */
export class TestRouter {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (reply: Buffer) => void>();
  readonly #to: RouterAddress;
  #identifier = 0;

  private constructor(socket: Socket, to: RouterAddress) {
    this.#socket = socket;
    this.#to = to;
    socket.on('message', (bytes) => this.#waiting.get(bytes[1] ?? -1)?.(bytes));
  }

  static async open(to: RouterAddress): Promise<TestRouter> {
    const socket = createSocket(to.source.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, to.source, () => resolve());
    });
    return new TestRouter(socket, to);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  /** Undefined: no answer in time. */
  async login(login: Login, timeoutMs = 3000): Promise<Reply | undefined> {
    const { packet, serverProof } = this.loginPacket(login);
    const reply = await this.send(packet, this.#to.authPort, timeoutMs);
    if (reply !== undefined && serverProof !== undefined) {
      reply.isServerProved = reply.get('MS-CHAP2-Success') === serverProof;
    }
    return reply;
  }

  /** An Access-Request, to be sent as often as one likes. */
  loginPacket(login: Login): { packet: Buffer; serverProof?: string } {
    const authenticator = randomBytes(16);
    const { attributes, ...rest } = credentials(login, authenticator, this.#to.secret);
    const all: Attributes = [
      ['User-Name', login.username],
      ...attributes,
      ...(login.mac === undefined ? [] : [['Calling-Station-Id', login.mac] as const]),
      ...(login.attributes ?? []),
    ];
    return { packet: this.request(all, authenticator), ...rest };
  }

  /** True: the server has answered, so it has stored the packet. */
  async account(
    status: keyof typeof statusTypes,
    attributes: Attributes = [],
    timeoutMs = 3000,
  ): Promise<boolean> {
    const packet = this.accounting(status, attributes);
    return (await this.send(packet, this.#to.acctPort, timeoutMs)) !== undefined;
  }

  /** Whether the server answers Status-Server, which asks nothing of the database. */
  async isHeard(timeoutMs = 1000): Promise<boolean> {
    const packet = this.request([], randomBytes(16), 12);
    return (await this.send(packet, this.#to.authPort, timeoutMs)) !== undefined;
  }

  /** An Access-Request; its Message-Authenticator comes first. */
  request(attributes: Attributes, authenticator: Buffer = randomBytes(16), code = 1): Buffer {
    const packet = this.#packet(code, [['Message-Authenticator', Buffer.alloc(16)], ...attributes]);
    authenticator.copy(packet, 4);
    createHmac('md5', this.#to.secret).update(packet).digest().copy(packet, 22);
    return packet;
  }

  /** An Accounting-Request, to be sent as often as one likes. */
  accounting(status: keyof typeof statusTypes, attributes: Attributes): Buffer {
    return this.accountingOf(statusTypes[status], attributes);
  }

  /** With any number as Acct-Status-Type. */
  accountingOf(status: number, attributes: Attributes): Buffer {
    const packet = this.#packet(4, [['Acct-Status-Type', status], ...attributes]);
    createHash('md5').update(packet).update(this.#to.secret).digest().copy(packet, 4);
    return packet;
  }

  /** Sends these bytes and waits for their answer; the same bytes again are a retransmission. */
  send(packet: Buffer, port: number, timeoutMs = 3000): Promise<Reply | undefined> {
    const identifier = packet[1] ?? 0;
    return new Promise((resolve) => {
      const finish = (reply: Reply | undefined) => {
        clearTimeout(timer);
        this.#waiting.delete(identifier);
        resolve(reply);
      };
      const timer = setTimeout(() => finish(undefined), timeoutMs);
      this.#waiting.set(identifier, (bytes) => {
        const reply = readReply(packet, bytes, this.#to.secret);
        if (reply !== undefined) finish(reply);
      });
      this.#socket.send(packet, port, this.#to.server ?? '127.0.0.1');
    });
  }

  #packet(code: number, attributes: Attributes): Buffer {
    const body = Buffer.concat(attributes.map(([name, value]) => encode(name, value)));
    const header = Buffer.alloc(20);
    this.#identifier = (this.#identifier + 1) % 256;
    header[0] = code;
    header[1] = this.#identifier;
    header.writeUInt16BE(20 + body.length, 2);
    return Buffer.concat([header, body]);
  }
}

export interface RouterAddress {
  source: string;
  server?: string;
  secret: string;
  authPort: number;
  acctPort: number;
}

function credentials(
  login: Login,
  authenticator: Buffer,
  secret: string,
): { attributes: Attributes; serverProof?: string } {
  const { password } = login;
  // What is signed is the name without an NT domain.
  const username = login.username.toString().replace(/^.*\\/, '');
  const challenge = randomBytes(16);
  switch (login.method ?? 'pap') {
    case 'pap':
      return { attributes: [['User-Password', hidePassword(password, authenticator, secret)]] };
    case 'chap': {
      const id = randomBytes(1);
      const digest = createHash('md5').update(id).update(password).update(challenge).digest();
      return {
        attributes: [
          ['CHAP-Challenge', challenge],
          ['CHAP-Password', Buffer.concat([id, digest])],
        ],
      };
    }
    case 'mschap': {
      const eight = challenge.subarray(0, 8);
      const response = Buffer.concat([Buffer.from([1, 1]), Buffer.alloc(24), ntResponse(eight, password)]);
      return {
        attributes: [
          ['MS-CHAP-Challenge', eight],
          ['MS-CHAP-Response', response],
        ],
      };
    }
    case 'mschap2': {
      const peer = randomBytes(16);
      const nt = ntResponse2(challenge, peer, username, password);
      const response = Buffer.concat([Buffer.from([7, 0]), peer, Buffer.alloc(8), nt]);
      const proof = authenticatorResponse(password, nt, peer, challenge, username);
      return {
        attributes: [
          ['MS-CHAP-Challenge', challenge],
          ['MS-CHAP2-Response', response],
        ],
        serverProof: `\x07${proof}`,
      };
    }
  }
}

/** RFC 2865, 5.2. */
function hidePassword(password: string, authenticator: Buffer, secret: string): Buffer {
  const clear = Buffer.from(password);
  const padded = Buffer.concat([clear, Buffer.alloc((16 - (clear.length % 16 || 16)) % 16)]);
  const hidden = Buffer.alloc(Math.max(16, padded.length));
  let last = authenticator;
  for (let at = 0; at < hidden.length; at += 16) {
    const pad = createHash('md5').update(secret).update(last).digest();
    for (let i = 0; i < 16; i++) hidden[at + i] = (padded[at + i] ?? 0) ^ (pad[i] ?? 0);
    last = hidden.subarray(at, at + 16);
  }
  return hidden;
}

function encode(name: string, value: Value): Buffer {
  const own = plain[name];
  if (own !== undefined) return framed(own[0], encodeValue(own[1], value));
  const vendor = vendors[name];
  if (vendor === undefined) throw new Error(`no attribute ${name}`);
  const inner = framed(vendor[1], encodeValue(vendor[2], value));
  const outer = Buffer.alloc(4);
  outer.writeUInt32BE(vendor[0]);
  return framed(26, Buffer.concat([outer, inner]));
}

function framed(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length + 2]), value]);
}

function encodeValue(kind: Kind, value: Value): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  }
  return kind === 'ipv4' ? Buffer.from(value.split('.').map(Number)) : Buffer.from(value);
}

function readReply(request: Buffer, reply: Buffer, secret: string): Reply | undefined {
  const expected = createHash('md5')
    .update(reply.subarray(0, 4))
    .update(request.subarray(4, 20))
    .update(reply.subarray(20))
    .update(secret)
    .digest();
  if (!timingSafeEqual(expected, reply.subarray(4, 20))) return undefined;
  const kind = ({ 2: 'accept', 3: 'reject', 5: 'accounted', 11: 'challenge' } as const)[reply[0] ?? 0];
  if (kind === undefined) return undefined;
  const attributes = decode(reply);
  return {
    kind,
    attributes,
    get: (name) => attributes.find(([other]) => other === name)?.[1],
    names: attributes.map(([name]) => name),
    isSealed: isSealed(request, reply, secret),
  };
}

function isSealed(request: Buffer, reply: Buffer, secret: string): boolean {
  const copy = Buffer.from(reply);
  request.copy(copy, 4, 4, 20);
  for (let at = 20; at < copy.length; at += copy[at + 1] ?? 255) {
    if (copy[at] !== 80) continue;
    const given = Buffer.from(copy.subarray(at + 2, at + 18));
    copy.fill(0, at + 2, at + 18);
    return createHmac('md5', secret).update(copy).digest().equals(given);
  }
  return false;
}

function decode(packet: Buffer): [string, string | number][] {
  const found: [string, string | number][] = [];
  for (let at = 20; at < packet.length; at += packet[at + 1] ?? 255) {
    const type = packet[at] ?? 0;
    const value = packet.subarray(at + 2, at + (packet[at + 1] ?? 0));
    if (type === 26) {
      const vendor = value.readUInt32BE(0);
      const name = nameOf(vendors, ([v, t]) => v === vendor && t === value[4]);
      found.push([name ?? `vendor ${vendor}`, decodeValue(vendors[name ?? '']?.[2], value.subarray(6))]);
    } else {
      const name = nameOf(plain, ([t]) => t === type);
      found.push([name ?? `type ${type}`, decodeValue(plain[name ?? '']?.[1], value)]);
    }
  }
  return found;
}

function nameOf<T>(table: Record<string, T>, fits: (entry: T) => boolean): string | undefined {
  return Object.entries(table).find(([, entry]) => fits(entry))?.[0];
}

function decodeValue(kind: Kind | undefined, value: Buffer): string | number {
  switch (kind) {
    case 'integer':
      return value.readUInt32BE(0);
    case 'ipv4':
      return [...value].join('.');
    case 'prefix6': {
      const whole = Buffer.concat([value.subarray(2), Buffer.alloc(18 - value.length)]).toString('hex');
      return `${whole.replace(/(.{4})(?!$)/g, '$1:')}/${value[1] ?? 0}`;
    }
    default:
      return value.toString();
  }
}
