import { addBillingProfile } from '../../src/catalog/add-billing-profile.ts';
import { addMasterPackage } from '../../src/catalog/add-master-package.ts';
import { addPackage } from '../../src/catalog/add-package.ts';
import { addTaxRate } from '../../src/catalog/add-tax-rate.ts';
import type { CommandContext } from '../../src/command.ts';

/** A small catalogue, made through the commands: two packages, a static one, a profile and a tax rate. */
export async function smallCatalogue(ctx: CommandContext): Promise<void> {
  await addTaxRate(ctx, { name: 'VAT', rateBp: 1500, effectiveOn: '2020-01-01' });
  await addBillingProfile(ctx, { name: 'block', dueDays: 7, graceDays: 3, overdueEffect: 'block' });
  await addMasterPackage(ctx, {
    name: 'M50',
    customerType: 'pppoe',
    billingType: 'monthly',
    rateLimit: '10M/50M',
  });
  await addMasterPackage(ctx, { name: 'MStatic', customerType: 'static_ip', billingType: 'monthly' });
  await addMasterPackage(ctx, { name: 'MDaily', customerType: 'pppoe', billingType: 'daily' });
  const price = { operatorsPriceMinor: 2500n, taxRate: 'VAT' };
  await addPackage(ctx, { name: 'Home 50', masterPackage: 'M50', customersPriceMinor: 3000n, ...price });
  await addPackage(ctx, { name: 'Family 50', masterPackage: 'M50', customersPriceMinor: 3500n, ...price });
  await addPackage(ctx, { name: 'Static', masterPackage: 'MStatic', customersPriceMinor: 9000n, ...price });
  await addPackage(ctx, { name: 'Daily', masterPackage: 'MDaily', customersPriceMinor: 3000n, ...price });
}

/** What a promise is rejected with; fails when it is not rejected. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<Error & { field?: string; kind?: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('was not rejected');
}
