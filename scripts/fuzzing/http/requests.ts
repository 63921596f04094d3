import type { Dice } from '../../seed/random.ts';
import { routes } from '../../../src/web/routes.ts';
import { randomBytes, rubbish } from '../texts.ts';
import type { Field, Site } from './discover.ts';
import { hardlyHttp, oddBody } from './bodies.ts';
import { oddValue, queryNames, segment, wellFormed, withRubbish } from './queries.ts';
import { type Person, staffPassword, typedSecret } from './world.ts';

export interface Case {
  readonly kind: string;
  readonly person: Person | null;
  readonly path: string;
  readonly bytes: Buffer;
  readonly isHead: boolean;
  /** Sent on a connection of its own that is closed behind it: what comes back need not be an answer. */
  readonly isRaw: boolean;
  readonly mayShowSecret: boolean;
}

interface Parts {
  method: string;
  path: string;
  person: Person | null;
  headers: [string, string][];
  body: Buffer | null;
}

type Make = (dice: Dice, site: Site, people: readonly Person[]) => Case;

/** Kinds of cases, with their share of a thousand. */
const makes: readonly (readonly [share: number, make: Make])[] = [
  [180, page],
  [90, numberedPage],
  [160, filledForm],
  [110, forgedForm],
  [90, brokenBody],
  [20, upload],
  [150, signedOut],
  [50, oddHeaders],
  [110, elsewhere],
  [39, malformed],
  [1, signIn],
];
const total = makes.reduce((sum, [share]) => sum + share, 0);

export function makeCase(dice: Dice, site: Site, people: readonly Person[]): Case {
  let roll = dice.between(1, total);
  for (const [share, make] of makes) {
    roll -= share;
    if (roll <= 0) return make(dice, site, people);
  }
  throw new RangeError('no kind was chosen');
}

function page(dice: Dice, site: Site, people: readonly Person[]): Case {
  const path = withRubbish(dice, dice.pick(site.paths));
  return finish('a page with an odd query', { ...get(path), person: whom(dice, people) }, htmx(dice));
}

function numberedPage(dice: Dice, _site: Site, people: readonly Person[]): Case {
  const route = dice.pick(routes.filter(({ path, method }) => path.includes(':') && method === 'get'));
  const path = route.path.replaceAll(/:\w+/g, () => segment(dice));
  return finish('a page of an odd number or name', { ...get(path), person: whom(dice, people) }, htmx(dice));
}

function filledForm(dice: Dice, site: Site, people: readonly Person[]): Case {
  const form = dice.pick(site.forms);
  const person = whom(dice, people);
  const fields = [...filled(dice, form.fields, dice.between(0, 3)), ['_csrf', person.csrf] as const];
  const parts = post(form.path, person, urlencoded(fields));
  return finish('a form with odd fields', parts, htmx(dice));
}

function forgedForm(dice: Dice, site: Site, people: readonly Person[]): Case {
  const form = dice.pick(site.forms);
  const token = dice.pick(['', 'forged', rubbish(dice), 'A'.repeat(43)]);
  const fields = [...filled(dice, form.fields, 1), ...(dice.percent(70) ? [['_csrf', token] as const] : [])];
  return finish('a form with a forged token', post(form.path, whom(dice, people), urlencoded(fields)));
}

function brokenBody(dice: Dice, site: Site, people: readonly Person[]): Case {
  const form = dice.pick(site.forms);
  const person = whom(dice, people);
  const parts = post(form.path, person, oddBody(dice, form, person.csrf));
  const type = dice.pick([
    'application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded; charset=utf-16',
    'application/x-www-form-urlencoded; charset=klingon',
    'application/json',
    'text/plain',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=x',
    'application/xml',
    headerText(dice),
  ]);
  parts.headers = [
    ['Content-Type', type],
    ['X-CSRF-Token', person.csrf],
  ];
  if (dice.percent(15)) parts.headers.push(['Content-Encoding', dice.pick(['gzip', 'br', 'deflate', 'x'])]);
  return finish('a body that is no form', parts);
}

function upload(dice: Dice, _site: Site, people: readonly Person[]): Case {
  const person = whom(dice, people);
  const boundary = dice.pick(['x', '----WebKitFormBoundary7', 'a'.repeat(70), '"']);
  const name = dice.pick(['people.csv', rubbish(dice).replaceAll(/[\r\n"\0]/g, '_'), '../../x.csv', '']);
  const csv = dice.percent(60)
    ? Buffer.from(
        `name,username,package,billing_profile,password\n${Array.from({ length: dice.between(0, 4) }, () => [rubbish(dice), rubbish(dice), rubbish(dice), rubbish(dice), typedSecret].map((cell) => (dice.percent(80) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')).join('\n')}\n`,
      )
    : randomBytes(dice, dice.between(0, 400));
  const body = Buffer.concat([
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="_csrf"\r\n\r\n${person.csrf}\r\n`),
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: text/csv\r\n\r\n`,
    ),
    csv,
    Buffer.from(
      dice.percent(85) ? `\r\n--${boundary}--\r\n` : dice.pick(['', '\r\n--', `\r\n--${boundary}`, '\r\n']),
    ),
  ]);
  const parts = post(
    '/subscribers/import',
    person,
    dice.percent(90) ? body : body.subarray(0, dice.between(0, body.length)),
  );
  parts.headers = [['Content-Type', `multipart/form-data; boundary=${boundary}`]];
  return finish('an uploaded file', parts);
}

function signedOut(dice: Dice, site: Site): Case {
  if (dice.percent(60)) return finish('a page, signed out', get(withRubbish(dice, dice.pick(site.paths))));
  const form = dice.pick(site.forms);
  return finish('a form, signed out', post(form.path, null, urlencoded(filled(dice, form.fields, 1))));
}

function oddHeaders(dice: Dice, site: Site, people: readonly Person[]): Case {
  const parts = { ...get(dice.pick(site.paths)), person: dice.percent(50) ? whom(dice, people) : null };
  const names = [
    'Host',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'Forwarded',
    'Accept',
    'Accept-Encoding',
    'Accept-Language',
    'Range',
    'If-None-Match',
    'If-Modified-Since',
    'Referer',
    'Origin',
    'User-Agent',
    'HX-Request',
    'HX-Target',
    'HX-Current-URL',
    'X-HTTP-Method-Override',
    'Authorization',
    'Cookie',
    'X-CSRF-Token',
    'Expect',
    'X-Request-Id',
  ];
  parts.headers = Array.from({ length: dice.between(1, 5) }, () => [dice.pick(names), headerText(dice)]);
  return finish('odd headers', parts);
}

function elsewhere(dice: Dice, site: Site, people: readonly Person[]): Case {
  const method = dice.pick([
    'GET',
    'GET',
    'GET',
    'HEAD',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'TRACE',
    'POST',
    'PROPFIND',
  ]);
  const path = dice.pick([
    () => `/${encodeURIComponent(wellFormed(rubbish(dice)))}`,
    () =>
      `/assets/${dice.pick(['..%2f..%2fpackage.json', '../../package.json', '%00', 'sluice.css', 'x', '..\\..\\x', '%2e%2e/%2e%2e/etc/passwd'])}`,
    () =>
      dice.pick([
        '/healthz',
        '/readyz',
        '/metrics',
        '/favicon.ico',
        '/robots.txt',
        '/.env',
        '/.git/config',
        '/%',
        '/%E0%A4%A',
        '//',
        '/\\',
        '/a/../b',
        '/subscribers/%2e%2e',
        '/%c0%ae%c0%ae/',
        '/subscribers//1',
        '/SUBSCRIBERS',
        '/subscribers/',
      ]),
    () => dice.pick(site.paths),
  ])();
  return finish('another method or address', { ...get(path), method, person: whom(dice, people) });
}

function signIn(dice: Dice): Case {
  const fields: [string, string][] = [
    ['username', dice.pick(['fuzz-owner', 'nobody', rubbish(dice)])],
    ['password', dice.pick([typedSecret, `${staffPassword}x`])],
    ['code', rubbish(dice)],
    [
      'next',
      dice.pick(['//evil.example', '/\\evil.example', 'https://evil.example', '/subscribers', rubbish(dice)]),
    ],
  ];
  return finish('signing in', post('/sign-in', null, urlencoded(fields)));
}

function malformed(dice: Dice, site: Site): Case {
  const path = dice.pick(site.paths);
  const bytes = hardlyHttp(dice, path);
  return {
    kind: 'bytes that are no request',
    person: null,
    path,
    bytes,
    isHead: false,
    isRaw: true,
    mayShowSecret: false,
  };
}

function whom(dice: Dice, people: readonly Person[]): Person {
  return dice.percent(55) ? (people[0] ?? dice.pick(people)) : dice.pick(people);
}

const get = (path: string): Parts => ({ method: 'GET', path, person: null, headers: [], body: null });

function post(path: string, person: Person | null, body: Buffer): Parts {
  return {
    method: 'POST',
    path,
    person,
    headers: [['Content-Type', 'application/x-www-form-urlencoded']],
    body,
  };
}

function htmx(dice: Dice): [string, string][] {
  return dice.percent(25) ? [['HX-Request', 'true']] : [];
}

/** A router's secret is on the one answer to whoever typed it, and a file's bad rows come back as they were typed. */
const showsSecret = /^\/routers\/(new|\d+\/(edit|secret))(\?|$)|^\/imports\/\d+\/bad\.csv/;

function finish(kind: string, parts: Parts, more: readonly [string, string][] = []): Case {
  const lines = [...parts.headers, ...more].map(([name, value]) => `${name}: ${value}\r\n`);
  if (!parts.headers.some(([name]) => name === 'Host')) lines.unshift('Host: localhost\r\n');
  if (parts.person !== null) lines.push(`Cookie: ${parts.person.cookie}\r\n`);
  if (parts.body !== null) lines.push(`Content-Length: ${parts.body.length}\r\n`);
  const head = `${parts.method} ${onTheLine(parts.path)} HTTP/1.1\r\n${lines.join('')}\r\n`;
  return {
    kind,
    person: parts.person,
    path: parts.path,
    bytes: Buffer.concat([Buffer.from(head, 'latin1'), parts.body ?? Buffer.alloc(0)]),
    isHead: parts.method === 'HEAD',
    isRaw: false,
    mayShowSecret: showsSecret.test(parts.path),
  };
}

/** What would end the request line early is sent encoded; malformed() sends such things as they are. */
function onTheLine(path: string): string {
  return path.replaceAll(/[^\x21-\x7e]/g, (sign) => encodeURIComponent(wellFormed(sign)));
}

function headerText(dice: Dice): string {
  return Buffer.from(rubbish(dice))
    .toString('latin1')
    .replaceAll(/[\r\n\0]/g, ' ')
    .slice(0, 2000);
}

const isSecret = /password|secret/i;

function filled(dice: Dice, fields: readonly Field[], changes: number): [string, string][] {
  const pairs = fields.map((field): [string, string] => [field.name, asMeant(dice, field)]);
  for (let change = 0; change < changes; change++) {
    const index = dice.between(0, pairs.length);
    const known = pairs[index];
    if (known === undefined) pairs.push([dice.pick([...queryNames, 'isConfirmed', 'amount']), rubbish(dice)]);
    else if (!isSecret.test(known[0])) pairs[index] = [known[0], oddValue(dice, known[1])];
    if (dice.percent(8)) pairs.splice(dice.between(0, pairs.length), 1);
    if (dice.percent(8) && known !== undefined) pairs.push([known[0], rubbish(dice)]);
  }
  return pairs;
}

/** What somebody could have typed there. */
function asMeant(dice: Dice, field: Field): string {
  if (isSecret.test(field.name)) return dice.pick([typedSecret, `${typedSecret}${dice.between(0, 9)}`, '']);
  if (field.options.length > 0) return dice.pick(field.options);
  if (field.value !== '') return field.value;
  return dice.percent(50)
    ? ''
    : dice.pick([
        '100',
        '1',
        '2026-03-31',
        '2026-04-15',
        'a note',
        'demo-full',
        'Amina',
        `name-${dice.between(0, 99_999)}`,
        '10.9.8.7',
        '10M/20M',
      ]);
}

function urlencoded(pairs: readonly (readonly [string, string])[]): Buffer {
  return Buffer.from(
    pairs.map((pair) => pair.map((text) => encodeURIComponent(wellFormed(text))).join('=')).join('&'),
  );
}
