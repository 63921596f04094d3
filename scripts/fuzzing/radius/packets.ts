import { createHash, createHmac } from 'node:crypto';
import type { Dice } from '../../seed/random.ts';
import { randomBytes, rubbish } from '../texts.ts';

export interface RadiusCase {
  readonly kind: string;
  readonly port: 'auth' | 'acct';
  readonly bytes: Buffer;
  /** Accounting that has to be in the table once it is answered, under a session id that begins with this. */
  readonly keeps: string | null;
  /** From an address that is nobody's router. */
  readonly isStranger: boolean;
}

/** Whoever sends a packet seals it, its identifier too: the last byte of the case's number. */
export interface Sender {
  readonly secret: string;
  readonly number: number;
}

export interface Given extends Sender {
  readonly logins: readonly { username: string; password: string }[];
  /** Bytes that were sent before, to be sent again. */
  readonly before: readonly Buffer[];
}

export type Pair = readonly [type: number, value: Buffer];
type Make = (dice: Dice, given: Given) => RadiusCase;

const makes: readonly (readonly [share: number, make: Make])[] = [
  [26, oddName],
  [12, oddLogin],
  [28, oddAccounting],
  [4, plainAccounting],
  [9, brokenLengths],
  [6, oddCode],
  [6, unproved],
  [4, nested],
  [2, again],
  [2, stranger],
  [1, bytesOnly],
];
const total = makes.reduce((sum, [share]) => sum + share, 0);

export function makeRadiusCase(dice: Dice, given: Given): RadiusCase {
  let roll = dice.between(1, total);
  for (const [share, make] of makes) {
    roll -= share;
    if (roll <= 0) return make(dice, given);
  }
  throw new RangeError('no kind was chosen');
}

const auth = (kind: string, bytes: Buffer): RadiusCase => ({
  kind,
  port: 'auth',
  bytes,
  keeps: null,
  isStranger: false,
});

function oddName(dice: Dice, given: Given): RadiusCase {
  const { secret, logins } = given;
  const authenticator = randomBytes(dice, 16);
  const password = dice.percent(50) ? dice.pick(logins).password : rubbish(dice);
  const pairs: Pair[] = [
    [1, nameBytes(dice)],
    ...credentials(dice, password, authenticator, secret),
    ...station(dice),
  ];
  return auth('a login of an odd name', accessRequest(pairs, authenticator, given));
}

function oddLogin(dice: Dice, given: Given): RadiusCase {
  const { secret, logins } = given;
  const authenticator = randomBytes(dice, 16);
  const login = dice.pick(logins);
  const name = dice.percent(80) ? login.username : login.username.toUpperCase();
  const pairs: Pair[] = [
    [1, Buffer.from(name)],
    ...credentials(dice, dice.percent(70) ? login.password : rubbish(dice), authenticator, secret),
    ...station(dice),
    ...oddPairs(dice),
  ];
  return auth('a login with odd attributes', accessRequest(pairs, authenticator, given));
}

function oddAccounting(dice: Dice, given: Given): RadiusCase {
  const keeps = `f${given.number}-`;
  const status = dice.percent(85)
    ? dice.pick([1, 2, 3])
    : dice.pick([0, 4, 7, 8, 9, 15, 255, 65_536, 4_294_967_295]);
  const isWhole = dice.percent(95);
  const pairs: Pair[] = [
    [40, isWhole ? integer(status) : randomBytes(dice, dice.between(0, 8))],
    [44, Buffer.concat([Buffer.from(keeps), oddValue(dice).subarray(0, 200)])],
    [1, dice.percent(50) ? nameBytes(dice) : Buffer.from(dice.pick(given.logins).username)],
    ...(dice.percent(60) ? [[25, classBytes(dice)] as const] : []),
    ...station(dice),
    ...oddPairs(dice).filter(([type]) => type !== 44 && type !== 40),
  ];
  return {
    kind: 'accounting with odd attributes',
    port: 'acct',
    bytes: accountingRequest(pairs, given),
    keeps: isWhole && [1, 2, 3].includes(status) ? keeps : null,
    isStranger: false,
  };
}

/** As routers send it, among all the rest. */
function plainAccounting(dice: Dice, given: Given): RadiusCase {
  const { number, logins } = given;
  const keeps = `g${number}-`;
  const pairs: Pair[] = [
    [40, integer(dice.pick([1, 2, 3]))],
    [44, Buffer.from(keeps)],
    [1, Buffer.from(dice.pick(logins).username)],
    [25, Buffer.from(`S1.1.0123456789.abcdef0123.${number.toString(36)}`)],
    [8, Buffer.from([10, 64, dice.between(0, 3), dice.between(1, 250)])],
    [31, Buffer.from('02:5A:00:00:00:01')],
    [46, integer(60)],
    [42, integer(1000)],
    [43, integer(2000)],
  ];
  return {
    kind: 'plain accounting',
    port: 'acct',
    bytes: accountingRequest(pairs, given),
    keeps,
    isStranger: false,
  };
}

function brokenLengths(dice: Dice, given: Given): RadiusCase {
  const whole = dice.percent(50) ? oddLogin(dice, given) : oddAccounting(dice, given);
  const bytes = Buffer.from(whole.bytes);
  const at = 20 + dice.between(0, Math.max(0, bytes.length - 21));
  const broken = dice.pick<() => Buffer>([
    () => (bytes.writeUInt16BE(dice.between(0, 65_535), 2), bytes),
    () => bytes.subarray(0, dice.between(0, bytes.length)),
    () => Buffer.concat([bytes, randomBytes(dice, dice.between(1, 300))]),
    () => (bytes.writeUInt8(dice.pick([0, 1, 2, 3, 255]), at), bytes),
    () => (bytes.writeUInt8(dice.pick([0, 1, 255]), Math.min(21, bytes.length - 1)), bytes),
    () => Buffer.concat([bytes.subarray(0, 20), Buffer.alloc(5000, 1)]),
  ])();
  return { ...whole, kind: 'lengths that lie', bytes: broken, keeps: null };
}

function oddCode(dice: Dice, given: Given): RadiusCase {
  const code = dice.pick([12, 12, 40, 43, 2, 3, 5, 11, 0, 255, dice.between(0, 255)]);
  const authenticator = randomBytes(dice, 16);
  const bytes = accessRequest(dice.percent(50) ? [] : oddPairs(dice), authenticator, given, code);
  return {
    ...auth(code === 12 ? 'Status-Server' : 'another code', bytes),
    port: dice.pick(['auth', 'acct']),
  };
}

function unproved(dice: Dice, given: Given): RadiusCase {
  const made = dice.percent(50)
    ? oddLogin(dice, { ...given, secret: 'another secret' })
    : oddAccounting(dice, { ...given, secret: 'another secret' });
  return { ...made, kind: 'sealed with another secret', keeps: null };
}

/** Vendors' attributes: in one another, empty, cut off, of unknown vendors. */
function nested(dice: Dice, given: Given): RadiusCase {
  const authenticator = randomBytes(dice, 16);
  const login = dice.pick(given.logins);
  const vendor = integer(dice.pick([14988, 311, 9, 0, 4_294_967_295, 24757]));
  const inner = Buffer.concat(
    Array.from({ length: dice.between(0, 6) }, () => {
      const value = oddValue(dice).subarray(0, 30);
      return Buffer.concat([
        Buffer.from([dice.between(0, 30), dice.percent(80) ? value.length + 2 : dice.between(0, 255)]),
        value,
      ]);
    }),
  ).subarray(0, 245);
  const pairs: Pair[] = [
    [1, Buffer.from(login.username)],
    ...credentials(dice, login.password, authenticator, given.secret),
    [26, Buffer.concat([vendor, inner])],
    [
      26,
      dice.pick([
        Buffer.alloc(0),
        vendor,
        Buffer.from([0, 0]),
        Buffer.concat([vendor, framed(26, Buffer.concat([vendor, inner])).subarray(0, 240)]),
      ]),
    ],
    [dice.pick([241, 242, 243, 244, 245, 246]), randomBytes(dice, dice.between(0, 60))],
  ];
  return auth('nested vendor attributes', accessRequest(pairs, authenticator, given));
}

function again(dice: Dice, given: Given): RadiusCase {
  if (given.before.length === 0) return oddLogin(dice, given);
  const bytes = dice.pick(given.before);
  return {
    kind: 'the same bytes again',
    port: bytes[0] === 4 ? 'acct' : 'auth',
    bytes,
    keeps: null,
    isStranger: false,
  };
}

function stranger(dice: Dice, given: Given): RadiusCase {
  return { ...oddLogin(dice, given), kind: 'from an unknown address', isStranger: true };
}

function bytesOnly(dice: Dice): RadiusCase {
  return {
    ...auth('bytes', randomBytes(dice, dice.pick([0, 1, 19, 20, 21, 100, 4096, 4097]))),
    port: dice.pick(['auth', 'acct']),
  };
}

const nameForms: readonly ((dice: Dice) => Buffer)[] = [
  (dice) => Buffer.from(rubbish(dice)),
  (dice) => randomBytes(dice, dice.between(0, 253)),
  (dice) =>
    Buffer.from(
      dice.pick([
        '=41',
        '=00',
        '=0A=0D',
        '%{User-Password}',
        '%{sql:SELECT secret FROM nas}',
        '%{exec:touch /tmp/x}',
        '%{md5:%{User-Password}}',
        '${run_dir}',
        '%%',
        '%{',
        '%{%{%{',
        "%{escape:'}",
        '\\"',
        "\\'",
        "' OR ''='",
        "x'; DELETE FROM radacct; -- ",
        '`',
        'a\nb',
        '?',
        '? fuzz',
      ]),
    ),
  (dice) =>
    Buffer.from(
      dice
        .pick(['u', 'é', '😀', "'", '%', '\\', '='])
        .repeat(dice.pick([62, 63, 64, 65, 126, 253]))
        .slice(0, 253),
    ),
  () => Buffer.from('fuzz-login\0'),
  () => Buffer.from([0xc3, 0x28, 0xff, 0xfe, 0x80]),
];

function nameBytes(dice: Dice): Buffer {
  return dice.pick(nameForms)(dice).subarray(0, 253);
}

function classBytes(dice: Dice): Buffer {
  return dice.pick<() => Buffer>([
    () => Buffer.from(`S1.${dice.between(0, 99)}.0123456789.abcdef0123.${dice.between(0, 1e9).toString(36)}`),
    () => Buffer.from(`S1.18446744073709551616.0123456789.abcdef0123.x`),
    () => Buffer.from(`S1.1.${'a'.repeat(200)}.b.c`),
    () => Buffer.from(`S1.1.0123456789.abcdef0123.x' OR '1'='1`),
    () => Buffer.from('S1.1.0123456789.abcdef0123.x\0y'),
    () => oddValue(dice),
  ])();
}

/** Attributes that our policies read, with values of right and wrong lengths. */
const read = [
  2, 3, 4, 5, 6, 7, 8, 25, 30, 31, 32, 41, 42, 43, 44, 45, 46, 47, 49, 50, 52, 53, 55, 60, 61, 77, 79, 80, 87,
  95, 96, 97, 98, 123, 168, 169,
];

function oddPairs(dice: Dice): Pair[] {
  return Array.from({ length: dice.between(0, 12) }, (): Pair => [
    dice.percent(85) ? dice.pick(read) : dice.between(0, 255),
    dice.percent(60) ? typedValue(dice) : oddValue(dice),
  ]);
}

function typedValue(dice: Dice): Buffer {
  return dice.pick<() => Buffer>([
    () => integer(dice.pick([0, 1, 60, 2_147_483_647, 2_147_483_648, 4_294_967_295])),
    () => Buffer.from([0, 0, 0, 0]),
    () => Buffer.from([255, 255, 255, 255]),
    () =>
      Buffer.concat([
        Buffer.from([0, dice.pick([0, 56, 64, 128, 129, 255])]),
        randomBytes(dice, dice.between(0, 16)),
      ]),
    () => randomBytes(dice, dice.pick([4, 8, 16, 18])),
    () => integer(Math.floor(dice.next() * 2 ** 32)),
  ])();
}

function oddValue(dice: Dice): Buffer {
  const value = dice.percent(50)
    ? Buffer.from(rubbish(dice))
    : randomBytes(dice, dice.pick([0, 1, 3, 5, 16, 17, 64, 65, 128, 253]));
  return value.subarray(0, 253);
}

function station(dice: Dice): Pair[] {
  if (dice.percent(30)) return [];
  return [
    [
      31,
      dice.percent(60)
        ? Buffer.from(dice.pick(['02:5A:00:00:00:01', '02-5a-00-00-00-01', '025a.0000.0001', '025A00000001']))
        : oddValue(dice),
    ],
  ];
}

function credentials(dice: Dice, password: string, authenticator: Buffer, secret: string): Pair[] {
  const roll = dice.between(0, 9);
  if (roll < 5) return [[2, hidden(Buffer.from(password).subarray(0, 128), authenticator, secret)]];
  if (roll < 7) {
    const id = randomBytes(dice, 1);
    const challenge = randomBytes(dice, 16);
    const digest = createHash('md5').update(id).update(password).update(challenge).digest();
    return [
      [3, Buffer.concat([id, digest])],
      [60, challenge],
    ];
  }
  if (roll < 8) {
    const vendor = integer(311);
    return [
      [26, Buffer.concat([vendor, framed(11, randomBytes(dice, dice.pick([0, 8, 16, 17])))])],
      [
        26,
        Buffer.concat([vendor, framed(dice.pick([1, 25]), randomBytes(dice, dice.pick([0, 49, 50, 51])))]),
      ],
    ];
  }
  if (roll < 9) return [[2, randomBytes(dice, dice.pick([0, 1, 15, 16, 17, 128, 130, 253]))]];
  return [[79, randomBytes(dice, dice.between(0, 60))]];
}

export function hidden(clear: Buffer, authenticator: Buffer, secret: string): Buffer {
  const out = Buffer.alloc(Math.max(16, Math.ceil(clear.length / 16) * 16));
  clear.copy(out);
  let last = authenticator;
  for (let at = 0; at < out.length; at += 16) {
    const pad = createHash('md5').update(secret).update(last).digest();
    for (let i = 0; i < 16; i++) out[at + i] = (out[at + i] ?? 0) ^ (pad[i] ?? 0);
    last = out.subarray(at, at + 16);
  }
  return out;
}

export function integer(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function framed(type: number, value: Buffer): Buffer {
  const cut = value.subarray(0, 253);
  return Buffer.concat([Buffer.from([type, cut.length + 2]), cut]);
}

function layOut(code: number, by: Sender, pairs: readonly Pair[]): Buffer {
  const body: Buffer[] = [];
  let length = 20;
  for (const [type, value] of pairs) {
    const bytes = framed(type, value);
    if (length + bytes.length > 4096) break;
    body.push(bytes);
    length += bytes.length;
  }
  const head = Buffer.alloc(20);
  head.writeUInt8(code, 0);
  head.writeUInt8(by.number & 255, 1);
  head.writeUInt16BE(length, 2);
  return Buffer.concat([head, ...body]);
}

export function accessRequest(pairs: readonly Pair[], authenticator: Buffer, by: Sender, code = 1): Buffer {
  const packet = layOut(code, by, [[80, Buffer.alloc(16)], ...pairs]);
  authenticator.copy(packet, 4);
  createHmac('md5', by.secret).update(packet).digest().copy(packet, 22);
  return packet;
}

export function accountingRequest(pairs: readonly Pair[], by: Sender): Buffer {
  const packet = layOut(4, by, pairs);
  createHash('md5').update(packet).update(by.secret).digest().copy(packet, 4);
  return packet;
}
