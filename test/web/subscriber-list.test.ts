import { expect } from 'chai';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import {
  aBillingProfile,
  aLogin,
  anInvoice,
  aPackage,
  aRouter,
  aSubscriber,
  aSubscription,
} from '../support/builders.ts';
import { smallCatalogue } from '../support/catalog.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('the list of subscribers', function () {
  this.timeout(60_000);
  let web: TestWeb;
  let noc: Visitor;
  let packageId: string;
  let profileId: string;
  let routerId: string;
  const ids: string[] = [];
  const long = 'A name of sixty-four characters, as long as this one is, and on';

  before(async () => {
    web = await openTestWeb();
    const { db } = web.t;
    packageId = await aPackage(db, { name: 'Home' });
    const otherId = await aPackage(db, { name: 'Office' });
    profileId = await aBillingProfile(db);
    const otherProfileId = await aBillingProfile(db);
    routerId = (await aRouter(db, { name: 'north' })).id;
    // 120 of them: more than two pages. Every tenth is denied, every fifteenth online, two are overdue.
    for (let n = 0; n < 120; n++) {
      const subscriberId = await aSubscriber(db, {
        name: n === 7 ? long : `Person ${String(n).padStart(3, '0')}`,
        billingProfileId: n % 3 === 0 ? profileId : otherProfileId,
      });
      ids.push(subscriberId);
      const subscriptionId = await aSubscription(db, {
        subscriberId,
        packageId: n % 2 === 0 ? packageId : otherId,
      });
      const login = await aLogin(db, { subscriptionId, username: n === 8 ? "o'hara" : `p${n}` });
      // A second login with the same access: nobody is listed twice.
      const second = n % 20 === 0 ? await aLogin(db, { subscriptionId, username: `p${n}-b` }) : null;
      for (const id of [login.id, ...(second === null ? [] : [second.id])]) {
        await db('access_decision').insert({
          login_id: id,
          access: n % 10 === 0 ? 'denied' : 'full',
          reason: n % 10 === 0 ? 'staff_hold' : 'paid_up',
          generation: 1,
          access_fingerprint: 'a',
          redial_fingerprint: 'b',
          coa_attributes: '[]',
          decided_at: '2026-04-01 00:00:00',
          requested_by: 'test',
        });
      }
      if (n % 15 === 0) {
        await db('radacct').insert({
          acctsessionid: `s${n}`,
          acctuniqueid: String(n).padStart(32, '0'),
          username: login.username,
          router_id: routerId,
          acctstarttime: '2026-05-01 09:00:00',
        });
      }
      if (n === 3 || n === 4) {
        await anInvoice(db, { subscriberId, subscriptionId, dueOn: '2026-04-20', totalMinor: 125_050n });
      }
    }
    const hold = { cause: 'staff', effect: 'block', note: 'x' } as const;
    await holdSubscription(web.app.context('test'), { subscriberId: ids[5] as SubscriberId, ...hold });
    noc = await web.as('noc');
  });
  after(() => web.close());

  /** Every subscriber that a list shows, page by page, in its order. */
  async function everybody(path: string): Promise<string[]> {
    const found: string[] = [];
    for (let next: string | undefined = path, pages = 0; next !== undefined && pages < 9; pages++) {
      const { status, text } = await noc.get(next);
      expect(status).to.equal(200);
      found.push(...[...text.matchAll(/name="id" value="(\d+)"/g)].map((match) => match[1] ?? ''));
      next = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=');
    }
    return found;
  }
  const those = (wanted: (n: number) => boolean) => ids.filter((_, n) => wanted(n)).sort();

  it('shows everybody once, by name, over its pages, and goes back', async () => {
    const found = await everybody('/subscribers');
    expect(found).to.have.length(120);
    expect([...found].sort()).to.deep.equal([...ids].sort());
    const second = await noc.get('/subscribers');
    const next = /rel="next" href="([^"]+)"/.exec(second.text)?.[1]?.replaceAll('&#x3D;', '=') ?? '';
    const previous = /rel="prev" href="([^"]+)"/.exec((await noc.get(next)).text)?.[1] ?? '';
    const back = await noc.get(previous.replaceAll('&#x3D;', '='));
    expect(/name="id" value="(\d+)"/.exec(back.text)?.[1]).to.equal(found[0]);
  });

  const filters: [string, (n: number) => boolean][] = [
    ['state=denied', (n) => n % 10 === 0],
    ['state=full', (n) => n % 10 !== 0],
    ['state=online', (n) => n % 15 === 0],
    ['state=overdue', (n) => n === 3 || n === 4],
    ['state=hold', (n) => n === 5],
    ['state=throttled', () => false],
    ['text=p1', (n) => String(n).startsWith('1')],
    ["text=o'h", (n) => n === 8],
    ['text=person+00', (n) => n < 10 && n !== 7],
    ['text=sixty', (n) => n === 7],
    ['state=denied&text=p', (n) => n % 10 === 0],
    ['text=%25', () => false],
  ];
  for (const [query, wanted] of filters) {
    it(`with ${query}, shows those once each and nobody else`, async () => {
      expect((await everybody(`/subscribers?${query}`)).sort()).to.deep.equal(those(wanted));
    });
  }

  it('by package, billing profile and router, alone and together, shows those', async () => {
    const list = async (query: string) => (await everybody(`/subscribers?${query}`)).sort();
    expect(await list(`package=${packageId}`)).to.deep.equal(those((n) => n % 2 === 0));
    expect(await list(`profile=${profileId}`)).to.deep.equal(those((n) => n % 3 === 0));
    expect(await list(`router=${routerId}`)).to.deep.equal(those((n) => n % 15 === 0));
    expect(
      await list(`router=${routerId}&state=denied&package=${packageId}&profile=${profileId}`),
    ).to.deep.equal(those((n) => n % 30 === 0));
    expect(await list(`state=full&package=${packageId}&profile=${profileId}`)).to.deep.equal(
      those((n) => n % 6 === 0 && n % 10 !== 0),
    );
  });

  it('counts each filter, and shows access, debt and who is online', async () => {
    const { text } = await noc.get('/subscribers?state=overdue');
    expect(text)
      .to.match(/Denied <span class="number">12</)
      .and.match(/Overdue <span class="number">2</);
    expect(text).to.include('1,250.50');
    const online = await noc.get('/subscribers?state=online');
    expect(online.text).to.include('Online</span>').and.include('held by staff');
  });

  it('an empty list, says so', async () => {
    expect((await noc.get('/subscribers?state=throttled')).text).to.include('Nobody is in this list');
  });

  it('as CSV, sends everybody of the filter', async () => {
    const { text, headers } = await noc.get('/subscribers.csv?state=denied');
    expect(headers.get('content-type')).to.include('text/csv');
    expect(text.trim().split('\n')).to.have.length(13);
    expect((await noc.get('/subscribers.csv')).text.trim().split('\n')).to.have.length(121);
  });

  it('a cursor or a filter that nobody made here, is the first page', async () => {
    for (const query of [
      'after=nonsense',
      `after=${Buffer.from('["x"]').toString('base64url')}`,
      'package=x',
      'state=y',
    ])
      expect((await noc.get(`/subscribers?${query}`)).text).to.include('Person 000');
  });

  it('a page, is under 100 KB', async () => {
    const { text } = await noc.get('/subscribers');
    expect(Buffer.byteLength(text)).to.be.lessThan(100_000);
  });

  it('read only, sees the list without anything to do', async () => {
    const { text } = await (await web.as('read_only')).get('/subscribers');
    expect(text).to.include('Person 000').and.not.include('name="kind"');
  });
});

describe('adding and editing a subscriber', function () {
  this.timeout(60_000);
  let web: TestWeb;
  let finance: Visitor;
  before(async () => {
    web = await openTestWeb();
    await smallCatalogue(web.app.context('test'));
    finance = await web.as('finance');
  });
  after(() => web.close());

  const good = { name: 'Amina Haddad', billingProfile: 'block', package: 'Home 50', username: 'amina' };

  it('without a password, shows the one that was made, once', async () => {
    await finance.get('/subscribers/new');
    const answer = await finance.post('/subscribers/new', {
      ...good,
      simultaneousUse: '1',
      phone: '0551 234',
    });
    expect(answer.status).to.equal(200);
    expect(answer.text).to.match(/<code>[a-z0-9]{12}<\/code>/);
    expect((await finance.get('/search?q=0551234')).status).to.equal(303);
  });

  it('with a password, goes to the subscriber', async () => {
    const answer = await finance.post('/subscribers/new', {
      ...good,
      username: 'b',
      password: 'se cret',
      price: '12.50',
    });
    expect(answer.location).to.match(/^\/subscribers\/\d+$/);
    const row = await web.t
      .db('subscription')
      .orderBy('id', 'desc')
      .first<{ price_override_minor: string }>();
    expect(row.price_override_minor).to.equal('1250');
  });

  it('with faults, names each beside its field and keeps what was typed but the password', async () => {
    const answer = await finance.post('/subscribers/new', {
      ...good,
      name: '',
      username: 'two words',
      macLock: 'zz',
      password: 'hidden-one',
      street: '5 <b>Main</b>',
    });
    expect(answer.status).to.equal(400);
    for (const field of ['name', 'username', 'macLock']) expect(answer.text).to.include(`#field-${field}`);
    expect(answer.text).to.include('two words').and.include('5 &lt;b&gt;Main').and.not.include('hidden-one');
  });

  it('with a bad price, or a username that was given, says so beside the field', async () => {
    const price = await finance.post('/subscribers/new', { ...good, username: 'c', price: 'x' });
    expect(price.status).to.equal(400);
    expect(price.text).to.include('#field-price');
    expect((await finance.post('/subscribers/new', { ...good, username: 'c', price: '-5' })).text).to.include(
      '#field-price',
    );
    const taken = await finance.post('/subscribers/new', good);
    expect(taken.text).to.include('a username is never given twice');
  });

  it('an edit, changes and is found under the new name only', async () => {
    const id = String((await web.t.db('subscriber').first<{ id: string }>('id')).id);
    const page = await finance.get(`/subscribers/${id}/edit`);
    expect(page.text).to.include('Amina Haddad');
    const fields = {
      name: 'Amina Benali',
      phone: '',
      email: 'a@example.net',
      street: '',
      language: 'ar',
      billingProfile: 'block',
    };
    const answer = await finance.post(`/subscribers/${id}/edit`, fields);
    expect(answer.location).to.equal(`/subscribers/${id}`);
    const row = await web.t.db('subscriber').where({ id }).first<Record<string, string | null>>();
    expect(row).to.include({ name: 'Amina Benali', phone: null, email: 'a@example.net', language: 'ar' });
    const terms = await web.t
      .db('subscriber_term')
      .where({ subscriber_id: id })
      .orderBy('term')
      .pluck('term');
    expect(terms).to.deep.equal(['amina', 'benali']);
    const bad = await finance.post(`/subscribers/${id}/edit`, { ...fields, email: 'nope', name: '' });
    expect(bad.status).to.equal(400);
    expect(bad.text).to.include('value="nope"');
  });

  it('of somebody who is not there, is not found', async () => {
    expect((await finance.get('/subscribers/999/edit')).status).to.equal(404);
  });
});
