import { addBillingProfile } from '../../src/catalog/add-billing-profile.ts';
import { addIpv4Pool } from '../../src/catalog/add-ipv4-pool.ts';
import { addMasterPackage } from '../../src/catalog/add-master-package.ts';
import { addPackage } from '../../src/catalog/add-package.ts';
import { addPppProfile } from '../../src/catalog/add-ppp-profile.ts';
import { addTaxRate } from '../../src/catalog/add-tax-rate.ts';
import type { CommandContext } from '../../src/command.ts';
import { findLiveRouter } from '../../src/db/routers.ts';
import { addRouter } from '../../src/network/routers.ts';
import { findRouterPort } from './ports.ts';

export const routers = [
  { name: 'pop-north', address: '127.0.0.11' },
  { name: 'pop-south', address: '127.0.0.12' },
  { name: 'pop-harbour', address: '127.0.0.13' },
] as const;
export type RouterName = (typeof routers)[number]['name'];

export const profiles = {
  block: 'Standard',
  throttle: 'Gentle',
  walled_garden: 'Pay page',
} as const;

/** Days from issue to due day, and from there to the overdue run: the cast's stories are told around them. */
export const dueDays = 7;
export const graceDays = 3;

export const packages = {
  home: 'Home 20',
  family: 'Family 20',
  fiber: 'Fiber 100',
  fiberPlus: 'Fiber 100 Plus',
  office: 'Office unlimited',
  business: 'Business static',
} as const;

/**
 * Routers, pools, profiles and packages of the demo ISP, through the commands that staff use. Each has a correlation id
 * of its own, so a seeding that was killed and started again finds what it made.
 */
export async function seedCatalogue(contextFor: (id: string) => CommandContext): Promise<void> {
  await seedRouters(contextFor);
  await seedPools(contextFor);
  const ctx = (name: string) => contextFor(`seed:catalogue:${name}`);
  await addTaxRate(ctx('vat-5'), { name: 'VAT 5', rateBp: 500, effectiveOn: '2020-01-01' });
  await addTaxRate(ctx('vat-15'), { name: 'VAT 15', rateBp: 1500, effectiveOn: '2020-01-01' });
  const days = { dueDays, graceDays };
  await addBillingProfile(ctx('block'), { name: profiles.block, ...days, overdueEffect: 'block' });
  await addBillingProfile(ctx('throttle'), {
    name: profiles.throttle,
    ...days,
    overdueEffect: 'throttle',
    throttleRate: '512k/512k',
  });
  await addBillingProfile(ctx('walled'), {
    name: profiles.walled_garden,
    ...days,
    overdueEffect: 'walled_garden',
  });
  await seedPackages(ctx);
}

async function seedRouters(contextFor: (id: string) => CommandContext): Promise<void> {
  let coaPort: number | undefined;
  for (const router of routers) {
    const ctx = contextFor(`seed:router:${router.name}`);
    const existing = await findLiveRouter(ctx.db, router.name);
    coaPort ??= existing?.coaPort ?? (await findRouterPort(routers.map((one) => one.address)));
    if (existing !== undefined) continue;
    await addRouter(ctx, { ...router, coaPort }, { address: '127.0.0.1', authPort: 1812, acctPort: 1813 });
  }
}

/** Two pools with their suspended twins; every router has a range of each, in networks of its own. */
async function seedPools(contextFor: (id: string) => CommandContext): Promise<void> {
  for (const [index, name] of (['home', 'business'] as const).entries()) {
    await addIpv4Pool(contextFor(`seed:pool:${name}`), {
      name,
      suspendedName: `${name}-suspended`,
      ranges: routers.map((router, at) => ({
        router: router.name,
        first: `10.${64 + 10 * index + at}.0.2`,
        last: `10.${64 + 10 * index + at}.3.254`,
        suspendedFirst: `10.${164 + 10 * index + at}.0.2`,
        suspendedLast: `10.${164 + 10 * index + at}.3.254`,
      })),
    });
  }
  await addPppProfile(contextFor('seed:profile:pppoe'), {
    name: 'sluice-pppoe',
    pool: 'home',
    dnsServers: '9.9.9.9',
  });
}

async function seedPackages(ctx: (name: string) => CommandContext): Promise<void> {
  const pppoe = {
    customerType: 'pppoe',
    billingType: 'monthly',
    pppProfile: 'sluice-pppoe',
    interimSeconds: 120,
  } as const;
  await addMasterPackage(ctx('m-burst'), {
    ...pppoe,
    name: 'M20 burst',
    pool: 'home',
    rateLimit: '5M/20M 8M/30M 4M/16M 16/16',
  });
  await addMasterPackage(ctx('m-unlimited'), {
    ...pppoe,
    name: 'M unlimited',
    pool: 'business',
    rateLimit: null,
  });
  await addMasterPackage(ctx('m-static'), {
    ...pppoe,
    name: 'M50 static',
    customerType: 'static_ip',
    pool: 'business',
    rateLimit: '50M/50M',
  });
  await addMasterPackage(ctx('m-ipv6'), {
    ...pppoe,
    name: 'M100 IPv6',
    pool: 'home',
    rateLimit: '25M/100M',
    ipv6Pool: 'v6-wan',
    delegatedIpv6Pool: 'v6-home',
  });
  const offers = [
    { name: packages.home, masterPackage: 'M20 burst', price: 80_000n, taxRate: 'VAT 5' },
    { name: packages.family, masterPackage: 'M20 burst', price: 95_000n, taxRate: 'VAT 5' },
    { name: packages.fiber, masterPackage: 'M100 IPv6', price: 150_000n, taxRate: 'VAT 5' },
    { name: packages.fiberPlus, masterPackage: 'M100 IPv6', price: 175_000n, taxRate: 'VAT 5' },
    { name: packages.office, masterPackage: 'M unlimited', price: 450_000n, taxRate: 'VAT 15' },
    { name: packages.business, masterPackage: 'M50 static', price: 350_000n, taxRate: 'VAT 15' },
  ];
  for (const { price, ...offer } of offers) {
    await addPackage(ctx(`package:${offer.name}`), {
      ...offer,
      customersPriceMinor: price,
      operatorsPriceMinor: (price * 8n) / 10n,
    });
  }
}
