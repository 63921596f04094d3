import type { Payer, Person } from './cast.ts';
import { packages, profiles } from './catalogue.ts';

export type Role = Pick<Person, 'username' | 'state' | 'expect'> & Partial<Person>;

/** Where the newest period may have begun: not yet due, in grace, overdue since the last run, overdue before it. */
export const began = { due: 2, grace: 8, overdue: 12, suspended: 25 } as const;

const unpaid: Payer = { kind: 'on_time', lastUnpaid: 1 };
const suspended = { periodBeganDaysAgo: began.suspended, payer: unpaid };

/** The logins with a part to play; what they should show is said beside them. */
export const leads: readonly Role[] = [
  { username: 'demo-full', state: 'paid up', expect: 'full speed 5M/20M with burst' },
  {
    username: 'demo-due',
    state: 'invoice open, not due yet',
    expect: 'full speed',
    periodBeganDaysAgo: began.due,
    payer: unpaid,
  },
  {
    username: 'demo-grace',
    state: 'past due, in grace',
    expect: 'full speed',
    periodBeganDaysAgo: began.grace,
    payer: unpaid,
  },
  {
    username: 'demo-overdue',
    state: 'overdue, the run comes next',
    expect: 'full speed until the next overdue run',
    periodBeganDaysAgo: began.overdue,
    payer: unpaid,
  },
  {
    username: 'demo-blocked',
    state: 'overdue, blocked',
    expect: 'Reject: invoice_overdue; pay, and the next dial is accepted',
    ...suspended,
  },
  {
    username: 'demo-throttled',
    state: 'overdue, throttled',
    expect: '512k/512k; pay, and the CoA restores it live',
    profile: profiles.throttle,
    ...suspended,
  },
  {
    username: 'demo-walled',
    state: 'overdue, in the walled garden',
    expect: 'suspended pool and list; pay, and it is disconnected and redials in full',
    profile: profiles.walled_garden,
    package: packages.fiber,
    ...suspended,
  },
  { username: 'demo-held', state: 'held by staff', expect: 'Reject: staff_hold; lift it', act: 'hold' },
  {
    username: 'demo-fraud',
    state: 'held for fraud, in the walled garden',
    expect: 'walled garden',
    act: 'fraud',
  },
  { username: 'demo-vacation', state: 'on vacation', expect: 'Reject: vacation', act: 'vacation' },
  {
    username: 'demo-promise',
    state: 'overdue, promised to pay',
    expect: 'full speed until the promised day',
    act: 'promise',
    ...suspended,
  },
  {
    username: 'demo-lifted',
    state: 'overdue, lifted by staff',
    expect: 'full speed; the run stays away for a while',
    act: 'lift',
    ...suspended,
  },
  { username: 'demo-mac', state: 'locked to its device', expect: 'full speed', isMacLocked: true },
  {
    username: 'demo-wrong-mac',
    state: 'locked, dials from another device',
    expect: 'Reject: wrong_mac',
    isMacLocked: true,
    typedMac: '02:5D:FF:FF:FF:FF',
  },
  {
    username: 'demo-wrong-password',
    state: 'types a wrong password',
    expect: 'Reject: wrong_password',
    typedPassword: 'not-the-password',
  },
  {
    username: 'demo-static',
    state: 'static address',
    expect: '203.0.113.10',
    package: packages.business,
    staticIpv4: '203.0.113.10',
    method: 'mschap2',
  },
  {
    username: 'demo-unlimited',
    state: 'unlimited package',
    expect: "the operator's port rate",
    package: packages.office,
    simultaneousUse: 0,
  },
  {
    username: 'demo-ipv6',
    state: 'IPv6, a prefix of its own',
    expect: '2001:db8:77::/56 delegated',
    package: packages.fiberPlus,
    delegatedIpv6Prefix: '2001:db8:77::/56',
  },
  {
    username: 'demo-wallet',
    state: 'paid in advance',
    expect: 'full speed; credit in the wallet',
    payer: { kind: 'in_advance' },
  },
  { username: 'demo-two-home', state: 'one subscriber, two subscriptions', expect: 'full speed' },
  {
    username: 'demo-two-shop',
    state: 'the second of them',
    expect: 'full speed',
    package: packages.office,
    sameSubscriberAs: 'demo-two-home',
  },
  {
    username: 'demo-ended',
    state: 'subscription ended, login retired',
    expect: 'Reject: login_retired',
    act: 'terminate',
  },
  {
    username: "o'hara",
    state: 'an apostrophe in the name',
    expect: 'full speed',
    password: `it's "quoted" \\ 100%`,
  },
  { username: 'a+b', state: 'a plus in the name', expect: 'full speed', method: 'pap' },
  {
    username: 'l'.repeat(52) + '-64-letters.',
    state: '64 characters long',
    expect: 'full speed',
    password: 'long-name-pass',
  },
  {
    username: 'demo-utf8',
    state: 'a password in UTF-8',
    expect: 'full speed',
    password: 'pässwörd-Жук',
    method: 'mschap2',
  },
];
