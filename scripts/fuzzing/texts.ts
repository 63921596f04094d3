import type { Dice } from '../seed/random.ts';

/** What must never be in a page as it stands: every text with markup holds it. */
export const rawMarkup = '<fz7';
/** Behind a quotation mark it must never be in a page: it would have left its attribute. */
export const rawQuote = '"fz7q';

const markup = [
  `<fz7 src=x onerror=alert(1)>`,
  `"fz7q onmouseover=alert(1) x="`,
  `'"><fz7/script>alert(1)</script>`,
  `{{constructor}}<fz7>`,
  `{{#with this}}{{lookup . "constructor"}}{{/with}}`,
  `</title><fz7>`,
  `<!--<fz7>-->`,
  `javascript:alert(1)`,
  '${7*7}',
  '#{7*7}',
  '%{sql:SELECT 1}',
  '%{User-Name}',
  '%{exec:/bin/false}',
  '=3D=00',
  '%s%n%x',
];

const sql = [
  `' or '1'='1`,
  `'; drop table subscriber; --`,
  `" or ""="`,
  `\\'; -- `,
  `1) union select 1,2,3 -- `,
  `') or sleep(5) -- `,
  '`',
  '%',
  '_',
  '\\',
  '\\\\',
  'a\\',
  '??',
  ':name',
  '?',
];

const numbers = [
  '0',
  '-0',
  '-1',
  '1',
  '00',
  '01',
  '1.5',
  '1e3',
  '1e999',
  '-1e999',
  'NaN',
  'Infinity',
  '-Infinity',
  '0x10',
  '0b1',
  '1_000',
  '1,000',
  '1.000,00',
  '٣٤',
  '１２',
  '½',
  '255',
  '256',
  '2147483647',
  '2147483648',
  '4294967295',
  '4294967296',
  '9007199254740993',
  '9223372036854775807',
  '9223372036854775808',
  '18446744073709551615',
  '18446744073709551616',
  '999999999999999',
  '99999999999999999999999999',
  '0.00',
  '0.001',
  '.5',
  '5.',
  '--5',
  '+5',
  ' 5 ',
  '5\n',
];

const days = [
  '2026-02-28',
  '2026-02-29',
  '2026-02-30',
  '2024-02-29',
  '0000-00-00',
  '0000-01-01',
  '0001-01-01',
  '1000-01-01',
  '1969-12-31',
  '1970-01-01',
  '2038-01-19',
  '9999-12-31',
  '10000-01-01',
  '+010000-01-01',
  '-000001-01-01',
  '2026-13-01',
  '2026-1-1',
  '20260101',
  '2026-01-01T00:00:00Z',
  '2026-01-01 00:00',
  '2026-03-29T02:30',
  '01/02/2026',
  'today',
  '2026-01',
  '2026',
  '٢٠٢٦-٠١-٠١',
];

const addresses = [
  '10.0.0.1',
  '0.0.0.0',
  '255.255.255.255',
  '127.0.0.1',
  '10.0.0.256',
  '010.1.1.1',
  '1.2.3',
  '1.2.3.4.5',
  '10.0.0.1/24',
  '::',
  '::1',
  '::ffff:10.0.0.1',
  'fe80::1%eth0',
  '2001:db8::/56',
  '2001:db8::1/56',
  '2001:db8:::1',
  'ff02::1',
  '1:2:3:4:5:6:7:8:9',
  '[::1]',
  '::1]/@evil.example/',
  'AA:BB:CC:DD:EE:FF',
  '00:00:00:00:00:00',
  'FF:FF:FF:FF:FF:FF',
  'aabb.ccdd.eeff',
  'AA-BB-CC-DD-EE-FF',
  'AA:BB:CC:DD:EE',
];

const odd = [
  '',
  ' ',
  '\t',
  '\n',
  '\r\n',
  '\0',
  'a\0b',
  '\u0001\u001b[31mred\u001b[0m',
  '\u0085',
  '\u2028\u2029',
  '\ufeff',
  '\ufffd',
  '\u200f\u202eright to left',
  'مرحبا بالعالم',
  '日本語テスト',
  '😀👩‍👩‍👧‍👦🇧🇩',
  '\u{10ffff}',
  'e\u0301',
  'ＦＵＬＬ',
  'K\u212a',
  'ſ',
  'İ',
  'ß',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'true',
  '[object Object]',
  '[]',
  '{}',
  '{"__proto__":{"x":1}}',
  '../../etc/passwd',
  '..\\..\\windows',
  '/dev/null',
  'file:///etc/passwd',
  '//evil.example/',
  'http://evil.example/',
  'a@b',
  'a@example.net',
  "o'hara",
  'demo-full',
  'DEMO-FULL',
  'demo-blocked',
  '#1',
  '#0',
  'INV-1',
  '10M/50M',
  '0/0',
  '10M/50M 20M/60M 5M/5M 10/10 1 1M/1M',
  '1.0000001M',
  '99999999G/1',
  'yes',
  'no',
  'cash',
  'bank',
];

const formulas = ['=1+1', '+1', '-1', '@SUM(A1)', "'=1", '\t=1', "=cmd|' /C calc'!A0", '=HYPERLINK("x")'];

const groups: readonly (readonly string[])[] = [markup, sql, numbers, days, addresses, odd, formulas];

/** A text that somebody who means no good, or a broken program, might send. */
export function rubbish(dice: Dice): string {
  const roll = dice.between(0, 99);
  if (roll < 70) return dice.pick(dice.pick(groups));
  if (roll < 78) return dice.pick(dice.pick(groups)) + dice.pick(dice.pick(groups));
  if (roll < 86) return randomText(dice, dice.between(1, 40));
  if (roll < 92) return dice.pick(['a', 'é', '😀', '9', "'", '<', '\\', '%', 'ﷺ']).repeat(longLength(dice));
  if (roll < 96) return ` ${dice.pick(dice.pick(groups))} `;
  return String(dice.between(-1_000_000, 1_000_000));
}

/** Around the lengths at which columns and attributes end. */
function longLength(dice: Dice): number {
  return dice.pick([
    31, 32, 33, 63, 64, 65, 80, 119, 120, 121, 128, 189, 190, 191, 200, 253, 254, 255, 256, 1000, 5000,
  ]);
}

/** Characters from everywhere, single surrogates too. */
export function randomText(dice: Dice, length: number): string {
  return Array.from({ length }, () => {
    const roll = dice.between(0, 9);
    if (roll < 5) return String.fromCharCode(dice.between(32, 126));
    if (roll < 7) return String.fromCharCode(dice.between(0, 255));
    if (roll < 9) return String.fromCharCode(dice.between(0, 0xffff));
    return String.fromCodePoint(dice.between(0x10000, 0x10ffff));
  }).join('');
}

/** A text near this one: a character more, less or other, its case, its ends, itself twice. */
export function mutated(dice: Dice, text: string): string {
  const at = dice.between(0, Math.max(0, text.length - 1));
  switch (dice.between(0, 7)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + randomText(dice, 1) + text.slice(at);
    case 2:
      return text.slice(0, at) + randomText(dice, 1) + text.slice(at + 1);
    case 3:
      return text.toUpperCase();
    case 4:
      return text + text;
    case 5:
      return `${text} `;
    case 6:
      return text.slice(0, at);
    default:
      return text + rubbish(dice);
  }
}

export function randomBytes(dice: Dice, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = dice.between(0, 255);
  return bytes;
}
