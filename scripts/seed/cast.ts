import { packages, profiles, type RouterName, routers } from './catalogue.ts';
import { began, leads, type Role } from './leads.ts';
import { type Dice, diceFor } from './random.ts';

/** How somebody pays. `lastUnpaid` newest invoices stay open. */
export type Payer =
  | { kind: 'on_time' | 'in_grace' | 'very_late' | 'partial' | 'in_advance'; lastUnpaid?: number }
  /** Pays nothing from the invoice with this index on; staff end the subscription after three months. */
  | { kind: 'stops'; fromInvoice: number };

export interface Person {
  /** Their place in the cast. */
  readonly number: number;
  readonly username: string;
  readonly name: string;
  readonly phone: string;
  readonly street: string;
  readonly password: string;
  readonly profile: string;
  readonly package: string;
  readonly router: RouterName;
  /** The newest period began so many days before the seeding. */
  readonly periodBeganDaysAgo: number;
  /** They joined so many months after the first. */
  readonly joinedMonth: number;
  readonly payer: Payer;
  readonly mac: string;
  readonly method: 'pap' | 'chap' | 'mschap2';
  readonly isMacLocked?: boolean;
  readonly staticIpv4?: string;
  readonly delegatedIpv6Prefix?: string;
  readonly simultaneousUse?: number;
  /** The subscription belongs to the subscriber of this login. */
  readonly sameSubscriberAs?: string;
  /** Done by hand at the end. */
  readonly act?: 'hold' | 'fraud' | 'vacation' | 'promise' | 'lift' | 'terminate';
  /** What their router types, where it is not the login's own. */
  readonly typedPassword?: string;
  readonly typedMac?: string;
  /** For the list of demo logins. */
  readonly state?: string;
  readonly expect?: string;
}

const beganDays = [began.due, began.grace, began.overdue, 19, began.suspended];

const firstNames =
  'Amina Rafi Nadia Tariq Leila Omar Sana Imran Farah Bilal Mina Yusuf Hana Karim Zara Idris Nora Samir Dalia Anwar Ines Jamal Rima Faisal Lina Marwan Salma Hadi Maya Ziad'.split(
    ' ',
  );
const lastNames =
  'Haddad Rahman Khan Chowdhury Mansour Aziz Karim Farouk Begum Nasser Siddiqui Hakim Saleh Barakat Uddin Darwish Malik Qureshi Sarkar Hossain'.split(
    ' ',
  );
const streets = [
  'Lake Road',
  'Mill Lane',
  'Station Road',
  'Harbour Street',
  'Garden Avenue',
  'Old Market',
  'Hill View',
];

/** Everybody of the demo ISP, the same each time: first the ones with a part to play, then the crowd. */
export function castOf(count: number): Person[] {
  const players = leads.map((role, index) => withDefaults(role, index));
  const crowd = Array.from({ length: Math.max(0, count - leads.length) }, (_, index) =>
    someone(leads.length + index),
  );
  return [...players, ...crowd];
}

function withDefaults(role: Role, index: number): Person {
  const dice = diceFor(`lead:${role.username}`);
  return {
    ...identity(dice, index),
    password: `${role.username.slice(0, 20)}-pass`,
    profile: profiles.block,
    package: packages.home,
    router: routers[index % routers.length]?.name ?? 'pop-north',
    periodBeganDaysAgo: 19,
    joinedMonth: 0,
    payer: { kind: 'on_time' },
    method: 'chap',
    ...role,
  };
}

function identity(dice: Dice, index: number): Pick<Person, 'number' | 'name' | 'phone' | 'street' | 'mac'> {
  return {
    number: index,
    name: `${dice.pick(firstNames)} ${dice.pick(lastNames)}`,
    phone: `+880 1${dice.between(300, 999)} ${dice.between(100_000, 999_999)}`,
    street: `${dice.between(1, 240)} ${dice.pick(streets)}`,
    mac: macOf(index),
  };
}

/** Locally administered, one device. */
function macOf(index: number): string {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(2, '0');
  return `02:5D:00:00:${hex(index >> 8)}:${hex(index & 255)}`;
}

const crowdPackages = [
  packages.home,
  packages.home,
  packages.home,
  packages.family,
  packages.family,
  packages.fiber,
  packages.fiberPlus,
  packages.office,
];

function someone(index: number): Person {
  const dice = diceFor(`crowd:${index}`);
  const who = identity(dice, index);
  const joinedMonth = dice.percent(40) ? 0 : dice.between(1, 11);
  return {
    ...who,
    username: `${who.name.toLowerCase().replace(' ', '.')}${index}`,
    password: Array.from({ length: 10 }, () => dice.pick([...'abcdefghjkmnpqrstuvwxyz23456789'])).join(''),
    profile: dice.pick([profiles.block, profiles.block, profiles.throttle, profiles.walled_garden]),
    package: dice.pick(crowdPackages),
    router: dice.pick(routers).name,
    periodBeganDaysAgo: dice.pick(beganDays),
    joinedMonth,
    payer: payerOf(dice, joinedMonth),
    method: dice.pick(['pap', 'chap', 'chap', 'mschap2'] as const),
    ...(dice.percent(8) ? { isMacLocked: true } : {}),
  };
}

function payerOf(dice: Dice, joinedMonth: number): Payer {
  const roll = dice.next() * 100;
  if (roll < 58) return { kind: 'on_time' };
  if (roll < 72) return { kind: 'in_grace' };
  if (roll < 78) return { kind: 'very_late' };
  if (roll < 82) return { kind: 'partial' };
  if (roll < 95) return { kind: 'in_advance' };
  if (roll < 97) return { kind: 'on_time', lastUnpaid: 1 };
  return { kind: 'stops', fromInvoice: dice.between(1, Math.max(1, 12 - joinedMonth)) };
}
