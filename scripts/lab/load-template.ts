import { createHash, createHmac, randomBytes, randomFillSync } from 'node:crypto';
import { type Attributes, emptyMessageAuthenticator, encodePacket, messageAuthenticatorAt } from './codec.ts';
import { packetCode } from './dictionary.ts';
import { chapPassword } from './passwords.ts';

/** An Access-Request of one login at one router, ready but for what changes each time. */
export interface Template {
  readonly bytes: Buffer;
  readonly messageAuthenticatorAt: number | undefined;
  /** Where User-Password begins, for PAP. */
  readonly passwordAt: number | undefined;
  readonly password: Buffer;
  readonly sessionIdAt: number;
  readonly username: string;
}

export function makeTemplate(
  options: { method?: 'pap' | 'chap'; sendsMessageAuthenticator?: boolean },
  router: { address: string; identity?: string },
  login: { username: string; password: string; mac?: string },
  index: number,
): Template {
  const isPap = options.method === 'pap';
  const challenge = randomBytes(16);
  const padded = Buffer.alloc(Math.max(16, Math.ceil(Buffer.byteLength(login.password) / 16) * 16));
  padded.write(login.password);
  const mark = '81000000';
  const attributes: Attributes = [
    ...(options.sendsMessageAuthenticator === false ? [] : [emptyMessageAuthenticator]),
    ['Service-Type', 2],
    ['Framed-Protocol', 1],
    ['NAS-Port', 15_728_640 + index],
    ['NAS-Port-Type', 15],
    ['User-Name', login.username],
    ['Calling-Station-Id', login.mac ?? '02:00:00:00:00:01'],
    ['Called-Station-Id', 'pppoe'],
    ['NAS-Port-Id', 'ether2'],
    ['Acct-Session-Id', mark],
    ...(isPap
      ? ([['User-Password', padded]] as const)
      : ([
          ['CHAP-Password', chapPassword(1, login.password, challenge)],
          ['CHAP-Challenge', challenge],
        ] as const)),
    ['NAS-Identifier', router.identity ?? router.address],
    ['NAS-IP-Address', router.address],
  ];
  const bytes = encodePacket(packetCode.accessRequest, 0, attributes);
  return {
    bytes,
    messageAuthenticatorAt: messageAuthenticatorAt(bytes),
    passwordAt: isPap ? valueAt(bytes, 2) : undefined,
    password: padded,
    sessionIdAt: (valueAt(bytes, 44) ?? 0) + 3,
    username: login.username,
  };
}

/** A request from its template: only what must be new (authenticator, session id, hidden password, HMAC) is computed. */
export function fillTemplate(
  template: Template,
  identifier: number,
  secret: string,
  counter: number,
): Buffer {
  const bytes = Buffer.from(template.bytes);
  bytes[1] = identifier;
  randomFillSync(bytes, 4, 16);
  bytes.write((counter & 0xfffff).toString(16).padStart(5, '0'), template.sessionIdAt, 'latin1');
  if (template.passwordAt !== undefined) hideInto(bytes, template.passwordAt, template.password, secret);
  if (template.messageAuthenticatorAt !== undefined) {
    const digest = createHmac('md5', secret).update(bytes).digest();
    digest.copy(bytes, template.messageAuthenticatorAt);
  }
  return bytes;
}

/** Where the value of the first attribute with this code begins. */
function valueAt(bytes: Buffer, code: number): number | undefined {
  for (let at = 20; at + 2 <= bytes.length; at += bytes.readUInt8(at + 1)) {
    if (bytes.readUInt8(at) === code) return at + 2;
  }
  return undefined;
}

function hideInto(bytes: Buffer, at: number, padded: Buffer, secret: string): void {
  let previous = bytes.subarray(4, 20);
  for (let block = 0; block < padded.length; block += 16) {
    const mask = createHash('md5').update(secret).update(previous).digest();
    for (let i = 0; i < 16; i++) bytes[at + block + i] = (padded[block + i] ?? 0) ^ (mask[i] ?? 0);
    previous = bytes.subarray(at + block, at + block + 16);
  }
}
