import { addBillingProfile } from '../../catalog/add-billing-profile.ts';
import { addIpv4Pool } from '../../catalog/add-ipv4-pool.ts';
import { addMasterPackage } from '../../catalog/add-master-package.ts';
import { addPackage } from '../../catalog/add-package.ts';
import { addTaxRate } from '../../catalog/add-tax-rate.ts';
import { setMasterPackage } from '../../catalog/set-master-package.ts';
import { listBillingProfiles, listPackages } from '../../db/packages.ts';
import { parseMinor } from '../../domain/money.ts';
import { invalid } from '../../errors.ts';
import { count, money } from '../format.ts';
import { optional } from '../optional.ts';
import { table } from '../output.ts';
import { type Call, type Option, UsageError, type Verb } from '../verb.ts';

export const packageList: Verb = {
  name: 'package list',
  group: 'Packages',
  summary: 'packages, their prices and what they say to the network',
  examples: ['package list'],
  async run(call) {
    const packages = await listPackages(call.app().db);
    const settings = await call.settings();
    call.out.show({ ok: true, packages }, () =>
      packages.length === 0
        ? ['There are no packages yet.']
        : table(
            [
              'PACKAGE',
              'MASTER PACKAGE',
              { title: "CUSTOMER'S PRICE", isRight: true },
              'TAX',
              'RATE',
              'POOL',
              '',
            ],
            packages.map((row) => [
              row.name,
              row.masterPackage,
              money(row.customersPriceMinor, settings),
              row.taxName === null ? 'none' : `${row.taxName} ${(row.taxRateBp ?? 0) / 100} %`,
              row.rateLimit ?? `unlimited (${settings.portRate})`,
              row.pool ?? "the router's default",
              row.isRetired ? 'not sold any more' : '',
            ]),
          ),
    );
    return undefined;
  },
};

export const packageAdd: Verb = {
  name: 'package add',
  group: 'Packages',
  summary: 'a name and prices on a master package',
  positionals: [{ name: 'NAME' }],
  options: {
    master: { value: 'NAME', about: 'the master package' },
    price: {
      value: 'AMOUNT',
      about: "the customer's price for a month, without tax unless the tax rate is inclusive",
    },
    'operators-price': {
      value: 'AMOUNT',
      about: "what a reseller pays; the customer's price where it is left out",
    },
    'tax-rate': { value: 'NAME', about: 'none where it is left out' },
    private: { about: 'only staff may give it' },
  },
  examples: ['package add "Home 50" --master M50 --price 30.00 --tax-rate VAT'],
  async run(call) {
    const price = await requiredAmount(call, 'price');
    const added = await addPackage(call.context(), {
      name: call.positional('NAME'),
      masterPackage: call.text('master'),
      customersPriceMinor: price,
      operatorsPriceMinor: (await call.amount('operators-price')) ?? price,
      ...optional('taxRate', call.maybeText('tax-rate')),
      visibility: call.has('private') ? 'private' : 'public',
    });
    call.out.show({ ok: true, ...added }, () => [`Package ${call.positional('NAME')} can be sold.`]);
    return undefined;
  },
};

async function requiredAmount(call: Call, name: string): Promise<bigint> {
  const amount = await call.amount(name);
  if (amount === undefined) throw new UsageError(`--${name}: is missing`);
  return amount;
}

const networkOptions: Readonly<Record<string, Option>> = {
  'rate-limit': {
    value: 'RATE',
    about: 'upload/download, such as 10M/50M, burst and all; none is unlimited',
  },
  pool: { value: 'NAME', about: 'IPv4 pool' },
  'ppp-profile': { value: 'NAME', about: 'PPP profile on the routers' },
  'ipv6-pool': { value: 'NAME', about: 'IPv6 pool on the routers' },
  'delegated-ipv6-pool': { value: 'NAME', about: 'pool of delegated IPv6 prefixes on the routers' },
  'session-timeout': { value: 'SECONDS', about: 'longest session' },
  'idle-timeout': { value: 'SECONDS', about: 'longest silence' },
  interim: { value: 'SECONDS', about: 'how often a router reports; 300 where it is left out' },
  'address-list': { value: 'NAME', about: 'address list on the routers' },
};

export const masterPackageAdd: Verb = {
  name: 'master-package add',
  group: 'Packages',
  summary: 'the technical specification behind packages',
  positionals: [{ name: 'NAME' }],
  options: {
    type: { value: 'TYPE', about: 'pppoe, hotspot, static_ip or other; pppoe where it is left out' },
    ...networkOptions,
  },
  examples: ['master-package add M50 --rate-limit "10M/50M 15M/75M 8M/40M 16/16" --pool home'],
  async run(call) {
    const added = await addMasterPackage(call.context(), {
      name: call.positional('NAME'),
      customerType: call.maybeText('type') ?? 'pppoe',
      billingType: 'monthly',
      ...networkGiven(call),
    });
    call.out.show({ ok: true, ...added }, () => [
      `Master package ${call.positional('NAME')} is there; "sluice package add" sells it.`,
    ]);
    return undefined;
  },
};

export const masterPackageSet: Verb = {
  name: 'master-package set',
  group: 'Packages',
  summary: 'changes the speed, pool … of everybody who has it',
  positionals: [{ name: 'NAME' }],
  options: networkOptions,
  details: [
    'The word none takes a value away. Live sessions follow: a CoA for a rate, a Disconnect for a pool or an address.',
  ],
  examples: ['master-package set M50 --rate-limit 20M/100M', 'master-package set M50 --address-list none'],
  async run(call) {
    const result = await setMasterPackage(call.context(), {
      masterPackage: call.positional('NAME'),
      ...networkGiven(call),
    });
    call.out.show({ ok: true, ...result }, () =>
      result.changed.length === 0
        ? ['It says all of that already; nothing was changed.']
        : [`Changed: ${result.changed.join(', ')}. ${count(result.loginCount, 'login')} will follow.`],
    );
    return undefined;
  },
};

function networkGiven(call: Call) {
  const text = (option: string) => {
    const value = call.maybeText(option);
    return value === 'none' ? null : value;
  };
  const seconds = (option: string) => (call.maybeText(option) === 'none' ? null : call.whole(option));
  return {
    ...optional('rateLimit', text('rate-limit')),
    ...optional('pool', text('pool')),
    ...optional('pppProfile', text('ppp-profile')),
    ...optional('ipv6Pool', text('ipv6-pool')),
    ...optional('delegatedIpv6Pool', text('delegated-ipv6-pool')),
    ...optional('sessionTimeoutSeconds', seconds('session-timeout')),
    ...optional('idleTimeoutSeconds', seconds('idle-timeout')),
    ...optional('interimSeconds', call.whole('interim')),
    ...optional('addressList', text('address-list')),
  };
}

export const billingProfileList: Verb = {
  name: 'billing-profile list',
  group: 'Packages',
  summary: 'due days, grace, and what happens after them',
  examples: ['billing-profile list'],
  async run(call) {
    const profiles = await listBillingProfiles(call.app().db);
    call.out.show({ ok: true, profiles }, () =>
      profiles.length === 0
        ? ['There are no billing profiles yet.']
        : table(
            ['BILLING PROFILE', 'DUE AFTER', 'GRACE', 'THEN'],
            profiles.map((row) => [
              row.name,
              count(row.dueDays, 'day'),
              count(row.graceDays, 'day'),
              row.throttleRate === null ? row.overdueEffect : `${row.overdueEffect} to ${row.throttleRate}`,
            ]),
          ),
    );
    return undefined;
  },
};

export const billingProfileAdd: Verb = {
  name: 'billing-profile add',
  group: 'Packages',
  summary: 'when an unpaid invoice bites, and how',
  positionals: [{ name: 'NAME' }],
  options: {
    'due-days': { value: 'DAYS', about: 'from issue to due day' },
    'grace-days': { value: 'DAYS', about: 'from the due day to the overdue run' },
    effect: { value: 'EFFECT', about: 'block, throttle or walled_garden' },
    rate: { value: 'RATE', about: 'upload/download, for the effect throttle' },
  },
  examples: ['billing-profile add monthly --due-days 7 --grace-days 3 --effect throttle --rate 512k/512k'],
  async run(call) {
    const added = await addBillingProfile(call.context(), {
      name: call.positional('NAME'),
      dueDays: requiredWhole(call, 'due-days'),
      graceDays: requiredWhole(call, 'grace-days'),
      overdueEffect: call.text('effect'),
      ...optional('throttleRate', call.maybeText('rate')),
    });
    call.out.show({ ok: true, ...added }, () => [`Billing profile ${call.positional('NAME')} is there.`]);
    return undefined;
  },
};

function requiredWhole(call: Call, name: string): number {
  const value = call.whole(name);
  if (value === undefined) throw new UsageError(`--${name}: is missing`);
  return value;
}

export const taxRateAdd: Verb = {
  name: 'tax-rate add',
  group: 'Packages',
  summary: 'a tax rate from a day on',
  positionals: [{ name: 'NAME' }],
  options: {
    percent: { value: 'NUMBER', about: 'such as 15 or 7.25' },
    from: { value: 'DAY', about: 'the first day on which it applies' },
    inclusive: { about: 'prices hold the tax already' },
  },
  examples: ['tax-rate add VAT --percent 15 --from 2026-01-01'],
  async run(call) {
    const from = call.day('from');
    if (from === undefined) throw new UsageError('--from: is missing');
    const added = await addTaxRate(call.context(), {
      name: call.positional('NAME'),
      rateBp: basisPoints(call.text('percent')),
      effectiveOn: from,
      isInclusive: call.has('inclusive'),
    });
    call.out.show({ ok: true, ...added }, () => [
      `Tax rate ${call.positional('NAME')} applies from ${from}.`,
    ]);
    return undefined;
  },
};

function basisPoints(text: string): number {
  const points = /^\d{1,3}(\.\d{1,2})?$/.test(text) ? Number(parseMinor(text, 2)) : Number.NaN;
  if (!(points <= 10_000)) {
    throw invalid('percent', 'must be a number from 0 to 100 with at most 2 decimals, such as 7.25');
  }
  return points;
}

export const poolAdd: Verb = {
  name: 'pool add',
  group: 'Packages',
  summary: 'an IPv4 pool that routers know by name, and its suspended twin',
  positionals: [{ name: 'NAME' }],
  options: {
    suspended: { value: 'NAME', about: "the twin's name; NAME-suspended where it is left out" },
    range: {
      value: 'ROUTER:FIRST-LAST:FIRST-LAST',
      about: 'on a router: the addresses, then those of the twin',
      isList: true,
    },
  },
  examples: ['pool add home --range pop-north:10.1.0.2-10.1.3.254:10.9.0.2-10.9.3.254'],
  async run(call) {
    const name = call.positional('NAME');
    const added = await addIpv4Pool(call.context(), {
      name,
      suspendedName: call.maybeText('suspended') ?? `${name}-suspended`,
      ranges: call.list('range').map(rangeOf),
    });
    call.out.show({ ok: true, ...added }, () => [
      `Pool ${name} is there. Its name on the routers must be the same, to the letter.`,
    ]);
    return undefined;
  },
};

function rangeOf(text: string) {
  const match = /^([^:]+):([\d.]+)-([\d.]+):([\d.]+)-([\d.]+)$/.exec(text);
  if (match === null) throw invalid('range', 'must be ROUTER:FIRST-LAST:FIRST-LAST');
  const [, router = '', first = '', last = '', suspendedFirst = '', suspendedLast = ''] = match;
  return { router, first, last, suspendedFirst, suspendedLast };
}
