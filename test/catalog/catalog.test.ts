import { expect } from 'chai';
import { addBillingProfile } from '../../src/catalog/add-billing-profile.ts';
import { addIpv4Pool } from '../../src/catalog/add-ipv4-pool.ts';
import { addMasterPackage } from '../../src/catalog/add-master-package.ts';
import { addPackage } from '../../src/catalog/add-package.ts';
import { addPppProfile } from '../../src/catalog/add-ppp-profile.ts';
import { setMasterPackage } from '../../src/catalog/set-master-package.ts';
import { claim } from '../../src/db/reconcile-queue.ts';
import { askForManyLogins } from '../../src/reconcile/many-logins.ts';
import { aLogin, aPackage, aRouter, aSubscription, testContext } from '../support/builders.ts';
import { rejection, smallCatalogue } from '../support/catalog.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('the catalogue', () => {
  let t: TestDb;
  before(async () => {
    t = await testDb();
    await smallCatalogue(testContext(t.db));
  });
  after(() => t.drop());
  const ctx = () => testContext(t.db);

  it('addBillingProfile, that throttles, needs a rate, and one that blocks refuses it', async () => {
    const profile = { name: 'slow', dueDays: 7, graceDays: 0 };
    const missing = await rejection(addBillingProfile(ctx(), { ...profile, overdueEffect: 'throttle' }));
    expect(missing).to.include({ kind: 'invalid', field: 'throttleRate' });
    const surplus = await rejection(
      addBillingProfile(ctx(), { ...profile, overdueEffect: 'block', throttleRate: '1M/1M' }),
    );
    expect(surplus).to.include({ field: 'throttleRate' });
    await addBillingProfile(ctx(), { ...profile, overdueEffect: 'throttle', throttleRate: '512k/512K' });
    const row = await t.db('billing_profile').where({ name: 'slow' }).first<Record<string, unknown>>();
    expect(row['throttle_rate']).to.equal('512k/512k');
  });

  it('addBillingProfile, with a name that is taken, refuses and names the field', async () => {
    const error = await rejection(
      addBillingProfile(ctx(), { name: 'block', dueDays: 1, graceDays: 1, overdueEffect: 'block' }),
    );
    expect(error).to.include({ kind: 'conflict', field: 'name' });
  });

  it('addMasterPackage, when the same request comes again, gives the same one', async () => {
    const request = testContext(t.db, { correlationId: 'master-twice' });
    const master = { name: 'Twice', customerType: 'pppoe', billingType: 'monthly' } as const;
    expect(await addMasterPackage(request, master)).to.deep.equal(await addMasterPackage(request, master));
  });

  it('addMasterPackage, with a rate that is none, names the field and the part at fault', async () => {
    const error = await rejection(
      addMasterPackage(ctx(), {
        name: 'Bad',
        customerType: 'pppoe',
        billingType: 'monthly',
        rateLimit: '10Q/50M',
      }),
    );
    expect(error).to.include({ kind: 'invalid', field: 'rateLimit' });
    expect(error.message).to.include('10M/50M');
  });

  it("addPackage, whose operator's price is above the customer's, refuses", async () => {
    const error = await rejection(
      addPackage(ctx(), {
        name: 'Loss',
        masterPackage: 'M50',
        customersPriceMinor: 100n,
        operatorsPriceMinor: 101n,
      }),
    );
    expect(error).to.include({ field: 'operatorsPriceMinor' });
  });

  it('addIpv4Pool, with ranges that overlap on one router, refuses and adds nothing', async () => {
    const router = await aRouter(t.db, { name: 'pop-1' });
    const range = {
      router: router.name,
      first: '10.1.0.2',
      last: '10.1.0.254',
      suspendedFirst: '10.9.0.2',
      suspendedLast: '10.9.0.254',
    };
    await addIpv4Pool(ctx(), { name: 'pool-a', suspendedName: 'pool-a-off', ranges: [range] });
    const error = await rejection(
      addIpv4Pool(ctx(), {
        name: 'pool-b',
        suspendedName: 'pool-b-off',
        ranges: [
          {
            ...range,
            first: '10.1.0.200',
            last: '10.1.1.20',
            suspendedFirst: '10.8.0.2',
            suspendedLast: '10.8.0.9',
          },
        ],
      }),
    );
    expect(error.message).to.include('overlaps a range of pool pool-a');
    expect(await t.db('ipv4_pool').where({ name: 'pool-b' })).to.have.length(0);
  });

  it('addPppProfile, with a pool that is not there, says which there are', async () => {
    const error = await rejection(addPppProfile(ctx(), { name: 'p', pool: 'nowhere' }));
    expect(error).to.include({ field: 'pool' });
  });

  it('setMasterPackage, asks for every live login that has it and for no other', async () => {
    const { masterPackageId, packageId } = await aPackage(t.db, { rateLimit: '1M/1M' }).then(async (id) => {
      const row = await t.db('package').where({ id }).first<{ master_package_id: string }>();
      return { packageId: id, masterPackageId: row.master_package_id };
    });
    const subscriptionId = await aSubscription(t.db, { packageId });
    for (let n = 0; n < 620; n++) await aLogin(t.db, { subscriptionId });
    await aLogin(t.db, { subscriptionId, retiredAt: new Date('2026-01-01T00:00:00Z') });
    await aLogin(t.db);
    await t.db('reconcile_queue').del();
    const { name } = await t.db('master_package').where({ id: masterPackageId }).first<{ name: string }>();
    const result = await setMasterPackage(ctx(), { masterPackage: name, rateLimit: '2M/2M' });
    expect(result).to.deep.equal({ changed: ['rate_limit'], loginCount: 620 });
    expect(await t.db('reconcile_queue').select('kind', 'key')).to.deep.equal([
      { kind: 'many_logins', key: masterPackageId },
    ]);
    const claims = await claim(t.db, 'many_logins', { limit: 1, leaseMs: 60_000 });
    await askForManyLogins(ctx(), claims, { leaseMs: 60_000 });
    const rows = await t.db('reconcile_queue').select<{ kind: string; version: string }[]>('kind', 'version');
    expect(rows.map((row) => row.kind)).to.deep.equal(Array.from({ length: 620 }, () => 'login'));
    expect(new Set(rows.map((row) => row.version)).size).to.equal(620);
    const unchanged = await setMasterPackage(ctx(), { masterPackage: name, rateLimit: '2M/2M' });
    expect(unchanged).to.deep.equal({ changed: [], loginCount: 0 });
  }).timeout(60_000);

  it('setMasterPackage, while a worker holds its wish, gives it a new version', async () => {
    const packageId = await aPackage(t.db, { rateLimit: '3M/3M' });
    const subscriptionId = await aSubscription(t.db, { packageId });
    await aLogin(t.db, { subscriptionId });
    const { name } = await t
      .db('master_package as m')
      .join('package as p', 'p.master_package_id', 'm.id')
      .where('p.id', packageId)
      .first<{ name: string }>('m.name');
    await setMasterPackage(ctx(), { masterPackage: name, rateLimit: '4M/4M' });
    const versionOf = async () =>
      (await t.db('reconcile_queue').where({ kind: 'many_logins' }).first<{ version: string }>()).version;
    const first = await versionOf();
    await setMasterPackage(ctx(), { masterPackage: name, rateLimit: null });
    expect(await versionOf()).not.to.equal(first);
  });
});
