import { expect } from 'chai';
import { aLogin, aPackage, aRouter, aSubscription } from '../support/builders.ts';
import { smallCatalogue } from '../support/catalog.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('catalogue pages', () => {
  let web: TestWeb;
  let owner: Visitor;

  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:00Z');
    owner = await web.as('owner');
  });
  after(() => web.close());

  it('lists, before the first row, say what would be here', async () => {
    for (const [path, text] of [
      ['/packages', 'No package here'],
      ['/master-packages', 'No master package yet'],
      ['/pools', 'No pool yet'],
      ['/ppp-profiles', 'No PPP profile yet'],
      ['/tax-rates', 'No tax rate yet'],
    ] as const) {
      expect((await owner.get(path)).text, path).to.include(text);
    }
  });

  describe('tax rates', () => {
    it('add, of a rate and of its next one, shows which is in force', async () => {
      await owner.get('/tax-rates/new');
      const fields = { name: 'GST', rate: '7.5', effectiveOn: '2020-01-01' };
      expect((await owner.post('/tax-rates/new', fields)).location).to.equal('/tax-rates');
      await owner.post('/tax-rates/new', { ...fields, rate: '10 %', effectiveOn: '2026-06-01' });
      const { text } = await owner.get('/tax-rates');
      expect(text).to.include('7.5 %').and.include('In force').and.include('10 %').and.include('To come');
      const twice = await owner.post('/tax-rates/new', { ...fields, rate: '8' });
      expect(twice.status).to.equal(400);
      expect(twice.text).to.include('has a rate from that day already').and.include('value="8"');
    });

    it('add, with a broken form, says what is wrong beside the field', async () => {
      const bad = await owner.post('/tax-rates/new', { name: 'X', rate: 'much', effectiveOn: '2020-01-01' });
      expect(bad.text).to.include('must be a percentage with at most 2 decimals').and.include('value="much"');
      const day = await owner.post('/tax-rates/new', { name: 'X', rate: '5', effectiveOn: '2020-02-30' });
      expect(day.text).to.include('must be a day that exists');
      const much = await owner.post('/tax-rates/new', { name: 'X', rate: '101', effectiveOn: '2020-01-01' });
      expect(much.text).to.include('must be a whole number from 0 to 10000');
    });
  });

  describe('pools and profiles', () => {
    it('add pool, with ranges, has them; an overlap names its line and keeps what was typed', async () => {
      const router = await aRouter(web.t.db, { name: 'pop-north' });
      await owner.get('/pools/new');
      const ranges = `${router.name} 10.1.0.2-10.1.3.254 10.99.0.2-10.99.3.254`;
      const added = await owner.post('/pools/new', { name: 'home', suspendedName: 'home-off', ranges });
      const shown = await owner.get(added.location ?? '');
      expect(shown.text).to.include('10.1.0.2 – 10.1.3.254').and.include('1,021');
      const again = await owner.post(`${added.location ?? ''}/ranges`, { ranges: `\n${ranges}\n` });
      expect(again.status).to.equal(400);
      expect(again.text).to.include('line 1: last address overlaps a range of pool home');
      expect(again.text).to.include(`${ranges}\n`);
      const odd = await owner.post(`${added.location ?? ''}/ranges`, { ranges: 'pop-north 10.5.0.0/24' });
      expect(odd.text).to.include('line 1: must be a router and two ranges of addresses');
      await owner.post(`${added.location ?? ''}/ranges`, {
        ranges: 'pop-north 10.5.0.2-10.5.0.9 10.98.0.2-10.98.0.9',
      });
      expect((await owner.get(added.location ?? '')).text)
        .to.include('One range is added')
        .and.include('10.5.0.2');
      const same = await owner.post('/pools/new', { name: 'x', suspendedName: 'x', ranges: '' });
      expect(same.text).to.include('must differ from the name');
    });

    it('add and edit a profile, changes what is written down and no login', async () => {
      await owner.get('/ppp-profiles/new');
      await owner.post('/ppp-profiles/new', { name: 'home-50', pool: 'home', localAddress: '10.0.0.1' });
      const list = await owner.get('/ppp-profiles');
      const path = /href="(\/ppp-profiles\/\d+\/edit)">home-50/.exec(list.text)?.[1] ?? '';
      const bad = await owner.post(path, { localAddress: 'here', sessionTimeoutSeconds: '5' });
      expect(bad.status).to.equal(400);
      expect(bad.text).to.include('must be an IPv4 address').and.include('value="here"');
      await owner.post(path, { pool: '', localAddress: '10.0.0.2', dnsServers: '1.1.1.1, 9.9.9.9' });
      const shown = await owner.get('/ppp-profiles');
      expect(shown.text).to.include('10.0.0.2').and.include('1.1.1.1,9.9.9.9');
      expect(await web.t.db('reconcile_queue')).to.deep.equal([]);
    });
  });

  describe('packages', () => {
    before(() => smallCatalogue(web.app.context('test')));

    it('add master package and package, can be sold', async () => {
      await owner.get('/master-packages/new');
      const master = { name: 'M100', customerType: 'pppoe', billingType: 'monthly', interimSeconds: '300' };
      const bad = await owner.post('/master-packages/new', { ...master, rateLimit: 'fast' });
      expect(bad.status).to.equal(400);
      expect(bad.text).to.include('must be a rate such as 10M/50M').and.include('value="fast"');
      await owner.post('/master-packages/new', { ...master, rateLimit: '20M/100M', pool: 'home' });
      expect((await owner.get('/master-packages')).text).to.include('20M/100M');
      expect((await owner.get('/packages/new?master=M100')).text).to.match(/value="M100" selected/);
      const fields = {
        name: "Shop o'100",
        masterPackage: 'M100',
        customersPrice: '45',
        visibility: 'public',
      };
      const high = await owner.post('/packages/new', { ...fields, operatorsPrice: '46' });
      expect(high.text).to.include('must not be above the customer').and.include('value="46"');
      await owner.post('/packages/new', { ...fields, taxRate: 'VAT' });
      const list = await owner.get('/packages');
      expect(list.text).to.include('Shop o&#x27;100').and.include('45.00').and.include('VAT · 15 %');
    });

    it('edit package, of the price, counts from the next invoice on and is in the activity log', async () => {
      const row = await web.t.db('package').where({ name: 'Home 50' }).first<{ id: string }>('id');
      const path = `/packages/${row.id}/edit`;
      expect((await owner.get(path)).text).to.include('value="30.00"');
      const fields = { customersPrice: '33.50', operatorsPrice: '25', taxRate: 'VAT', visibility: 'private' };
      await owner.post(path, fields);
      expect((await owner.get('/packages')).text)
        .to.include('Invoices from now on')
        .and.include('33.50');
      const activity = await web.t
        .db('activity')
        .where({ verb: 'package.set', subject_id: row.id })
        .first<{ diff: string }>('diff');
      expect(JSON.parse(activity.diff)).to.deep.equal({
        before: { customers_price_minor: '3000', visibility: 'public' },
        after: { customers_price_minor: '3350', visibility: 'private' },
      });
      await owner.post(path, fields);
      expect((await owner.get('/packages')).text).to.include('Nothing was different');
      const bad = await owner.post(path, { ...fields, customersPrice: '-1' });
      expect(bad.text).to.include('must be an amount that is not negative').and.include('value="-1"');
    });

    it('edit package, retired, is not sold any more and can be sold again', async () => {
      const row = await web.t.db('package').where({ name: 'Family 50' }).first<{ id: string }>('id');
      const path = `/packages/${row.id}/edit`;
      const fields = { customersPrice: '35', operatorsPrice: '25', taxRate: 'VAT', visibility: 'public' };
      await owner.get(path);
      await owner.post(path, { ...fields, isRetired: 'yes' });
      expect((await owner.get('/packages')).text)
        .to.include('not sold any more')
        .and.not.include('>Family 50<');
      expect((await owner.get('/packages?show=retired')).text).to.include('>Family 50<');
      await owner.post(path, fields);
      expect((await owner.get('/packages')).text).to.include('>Family 50<');
    });

    it('edit master package, of the speed, first says how many logins and sessions it touches', async () => {
      const { db } = web.t;
      const master = await db('master_package').where({ name: 'M50' }).first<{ id: string }>('id');
      const packageId = await aPackage(db, { masterPackageId: master.id });
      const login = await aLogin(db, { subscriptionId: await aSubscription(db, { packageId }) });
      await aLogin(db, { subscriptionId: await aSubscription(db, { packageId }) });
      await aLogin(db, { subscriptionId: await aSubscription(db, { packageId }), retiredAt: new Date(0) });
      await db('radacct').insert({
        acctuniqueid: 'one',
        acctsessionid: '81000001',
        username: login.username,
        nasipaddress: '127.0.0.9',
        acctstarttime: '2026-05-01 09:00:00',
      });
      const path = `/master-packages/${master.id}/edit`;
      expect((await owner.get(path)).text).to.include('value="10M/50M"');
      const fields = { rateLimit: '20M/100M', interimSeconds: '300' };
      const asked = await owner.post(path, fields);
      expect(asked.status).to.equal(200);
      expect(asked.text)
        .to.include('<strong>2 logins</strong>')
        .and.include('<strong>1 live sessions</strong>');
      expect(asked.text).to.include('10M/50M').and.include('20M/100M').and.include('without a drop');
      expect(await db('reconcile_queue').where({ kind: 'many_logins' })).to.deep.equal([]);
      await owner.post(path, { ...fields, isConfirmed: 'yes' });
      expect((await owner.get('/master-packages')).text).to.include('2 logins are being looked at');
      expect(await db('reconcile_queue').where({ kind: 'many_logins' }).pluck('key')).to.deep.equal([
        master.id,
      ]);
      const pool = await owner.post(path, { ...fields, pool: 'home' });
      expect(pool.text).to.include('ended once and dials again');
      const same = await owner.post(path, fields);
      expect(same.location).to.equal('/master-packages');
      const bad = await owner.post(path, { ...fields, rateLimit: 'fast' });
      expect(bad.status).to.equal(400);
    });
  });

  it('who may only look, sees the lists and no form', async () => {
    const noc = await web.as('noc');
    for (const path of ['/packages', '/master-packages', '/pools', '/ppp-profiles', '/tax-rates']) {
      const page = await noc.get(path);
      expect(page.status, path).to.equal(200);
      expect(page.text, path).to.not.include(`${path}/new`);
      expect((await noc.post(`${path}/new`, { name: 'x' })).status, path).to.equal(403);
    }
  });
});
