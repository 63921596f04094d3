import type { Dice } from '../../seed/random.ts';
import { mutated, rubbish } from '../texts.ts';

export function segment(dice: Dice): string {
  if (dice.percent(50)) return String(dice.between(0, 60));
  return dice.percent(50)
    ? encodeURIComponent(wellFormed(rubbish(dice)))
    : dice.pick([
        '%00',
        '%E0%A4%A',
        '%',
        '..%2f',
        '1%0d%0a',
        '-1',
        '1e3',
        '18446744073709551615',
        '9999999999999999999',
        'demo-full',
      ]);
}

export const queryNames = [
  'q',
  'after',
  'before',
  'state',
  'access',
  'rows',
  'from',
  'to',
  'on',
  'at',
  'day',
  'month',
  'who',
  'address',
  'username',
  'sort',
  'order',
  'show',
  'kind',
  'router',
  'package',
  'profile',
  'reseller',
  'subscriber',
  'id',
  'next',
  'asOf',
  'effect',
  'page',
  '__proto__',
  'constructor',
  'q[]',
  'q[a]',
  '',
];

export function withRubbish(dice: Dice, path: string): string {
  const [pathname = '/', query = ''] = path.split('?');
  const pairs = [...new URLSearchParams(query)];
  const changes = dice.between(0, 3);
  for (let change = 0; change < changes; change++) {
    const index = dice.between(0, pairs.length);
    const known = pairs[index];
    const name = known?.[0] ?? dice.pick(queryNames);
    pairs[index] = [
      name,
      name === 'after' || name === 'before' ? cursor(dice, known?.[1]) : oddValue(dice, known?.[1]),
    ];
  }
  const text = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encoded(dice, value)}`).join('&');
  return text === '' ? pathname : `${pathname}?${text}`;
}

export function oddValue(dice: Dice, known: string | undefined): string {
  return known !== undefined && dice.percent(40) ? mutated(dice, known) : rubbish(dice);
}

function cursor(dice: Dice, known: string | undefined): string {
  if (known !== undefined && dice.percent(30)) return mutated(dice, known);
  const values: unknown[] = Array.from({ length: dice.between(0, 5) }, () =>
    dice.percent(80) ? rubbish(dice) : dice.pick<unknown>([1, null, [], {}, true]),
  );
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/** As a browser sends it, or wrongly. */
function encoded(dice: Dice, value: string): string {
  if (dice.percent(93)) return encodeURIComponent(wellFormed(value));
  return dice.pick(['%', '%zz', '%E0%A4', '%ff%fe', '%00', '%u0041', '+', '%F0%9F']);
}

/** A single surrogate cannot be sent: what is sent in its place, as everywhere, is U+FFFD. */
export function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
