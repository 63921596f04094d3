import { expect } from 'chai';
import { resumeBulk } from '../../src/subscribers/bulk.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import {
  aBillingProfile,
  aLogin,
  aPackage,
  aRouter,
  aSubscriber,
  aSubscription,
} from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('an act on many subscribers', function () {
  this.timeout(60_000);
  let web: TestWeb;
  let noc: Visitor;
  let packageId: string;
  const ids: string[] = [];

  before(async () => {
    web = await openTestWeb();
    const { db } = web.t;
    packageId = await aPackage(db, { name: 'Home' });
    await aPackage(db, { name: 'Faster' });
    const profileId = await aBillingProfile(db);
    const router = await aRouter(db, { name: 'north' });
    for (let n = 0; n < 130; n++) {
      const subscriberId = await aSubscriber(db, { name: `Person ${n}`, billingProfileId: profileId });
      ids.push(subscriberId);
      const subscriptionId = await aSubscription(db, { subscriberId, packageId });
      await aLogin(db, { subscriptionId, username: `p${n}` });
    }
    await db('radacct').insert({
      acctsessionid: 's0',
      acctuniqueid: '0'.repeat(32),
      username: 'p0',
      router_id: router.id,
      acctstarttime: '2026-05-01 09:00:00',
    });
    noc = await web.as('noc');
  });
  after(() => web.close());

  /** Drafts an act and gives its page. */
  async function draft(visitor: Visitor, fields: Record<string, string>): Promise<string> {
    await visitor.get('/subscribers');
    const answer = await visitor.post('/subscribers/bulk', fields);
    expect(answer.status).to.equal(303);
    return answer.location ?? '';
  }
  const jobOf = (path: string) =>
    web.t
      .db('bulk_job')
      .where({ id: path.split('/').at(-1) })
      .first<Record<string, unknown>>();
  const open = async () =>
    Number((await web.t.db('suspension').whereNotNull('open_cause').count({ n: '*' }))[0]?.['n']);

  it('is previewed with its number and done to nobody before somebody says yes', async () => {
    const path = await draft(noc, { kind: 'hold', scope: 'filter', filter: `package=${packageId}` });
    const { text } = await noc.get(path);
    expect(text).to.include('Hold: 130 subscribers').and.include('with package Home').and.include('Person 0');
    expect(await open()).to.equal(0);
  });

  it('without a note, keeps the form and begins nothing', async () => {
    const path = await draft(noc, { kind: 'hold', scope: 'filter', filter: '' });
    await noc.get(path);
    const answer = await noc.post(`${path}/start`, {
      cause: 'fraud',
      effect: 'throttle',
      throttleRate: 'x',
      note: '',
    });
    expect(answer.status).to.equal(400);
    expect(answer.text)
      .to.include('value="x"')
      .and.match(/value="fraud" selected/);
    expect((await jobOf(path))['state']).to.equal('draft');
  });

  it('holds everybody of the list, and says what came of each', async () => {
    const path = await draft(noc, { kind: 'hold', scope: 'filter', filter: '' });
    await noc.get(path);
    const answer = await noc.post(`${path}/start`, {
      cause: 'staff',
      effect: 'block',
      note: 'works on the mast',
    });
    expect(answer.location).to.equal(path);
    await backgroundEnds(web.app);
    expect(await open()).to.equal(130);
    expect(await jobOf(path)).to.include({ state: 'done', total: 130, done_count: 130, changed_count: 130 });
    const { text } = await noc.get(path);
    expect(text).to.include('held: 1 subscription').and.not.include('hx-trigger="every 2s"');
    const activity = await web.t.db('activity').where({ verb: 'bulk.hold' }).first<Record<string, unknown>>();
    expect(activity).to.include({ actor: 'the-noc' });
  });

  it('done again, changes nothing and says so', async () => {
    const path = await draft(noc, { kind: 'hold', scope: 'filter', filter: '' });
    await noc.get(path);
    await noc.post(`${path}/start`, { cause: 'staff', effect: 'block', note: 'again' });
    await backgroundEnds(web.app);
    expect(await jobOf(path)).to.include({ changed_count: 0, unchanged_count: 130 });
  });

  it('killed half-way, is gone on with by the timetable and ends the same', async () => {
    const { db } = web.t;
    const path = await draft(noc, { kind: 'lift', scope: 'filter', filter: '' });
    const id = path.split('/').at(-1);
    // As a process that died leaves it: begun, claimed, and some of it done.
    await db('bulk_job')
      .where({ id })
      .update({
        state: 'working',
        input: JSON.stringify({ cause: 'staff', note: 'mast is up' }),
        claim_token: 'x'.repeat(32),
        locked_until: '2020-01-01 00:00:00',
      });
    await db('bulk_item')
      .where({ job_id: id, subscriber_id: ids[3] })
      .update({ state: 'changed', result: 'lifted' });
    await db('bulk_job').where({ id }).update({ done_count: 1, changed_count: 1 });
    expect(await resumeBulk(web.app.context('schedule'))).to.deep.equal([id]);
    expect(await jobOf(path)).to.include({
      state: 'done',
      done_count: 130,
      changed_count: 130,
      failed_count: 0,
    });
    expect(await open()).to.equal(1);
    expect(await resumeBulk(web.app.context('schedule'))).to.deep.equal([]);
  });

  it('while one process is at it, is left alone by the others', async () => {
    const { db } = web.t;
    const path = await draft(noc, { kind: 'reconcile', id: ids[0] ?? '', scope: 'selection' });
    const id = path.split('/').at(-1);
    await db('bulk_job')
      .where({ id })
      .update({ state: 'working', claim_token: 'y', locked_until: '2999-01-01 00:00:00' });
    expect(await resumeBulk(web.app.context('schedule'))).to.deep.equal([]);
    const part = await noc.get(`${path}/progress`, { 'HX-Request': 'true' });
    expect(part.text).to.include('0 of 1');
    await noc.get(path);
    await noc.post(`${path}/cancel`);
    expect((await jobOf(path))['state']).to.equal('cancelled');
    expect((await noc.get(`${path}/progress`, { 'HX-Request': 'true' })).headers.get('hx-refresh')).to.equal(
      'true',
    );
  });

  it('changes the package of the chosen one, and refuses a package that is not sold', async () => {
    const path = await draft(noc, { kind: 'change_package', id: ids[1] ?? '', scope: 'selection' });
    await noc.get(path);
    expect((await noc.post(`${path}/start`, { package: 'Nope' })).status).to.equal(400);
    await noc.post(`${path}/start`, { package: 'Faster' });
    await backgroundEnds(web.app);
    const changed = await web.t
      .db('subscription as s')
      .join('package as p', 'p.id', 's.package_id')
      .where('p.name', 'Faster');
    expect(changed).to.have.length(1);
  });

  it('kicks whoever is online, and says who was not', async () => {
    const path = await draft(noc, { kind: 'kick', scope: 'filter', filter: 'text=p' });
    await noc.get(path);
    await noc.post(`${path}/start`);
    await backgroundEnds(web.app);
    expect(await jobOf(path)).to.include({ changed_count: 1, unchanged_count: 129 });
  });

  it('with nobody chosen, or nothing to do, goes back and says so', async () => {
    await noc.get('/subscribers');
    expect((await noc.post('/subscribers/bulk', { kind: 'hold', scope: 'selection' })).location).to.equal(
      '/subscribers',
    );
    expect((await noc.get('/subscribers')).text).to.include('tick somebody first');
    const answer = await noc.post('/subscribers/bulk', { kind: 'nonsense', filter: 'state=denied' });
    expect(answer.location).to.equal('/subscribers?state=denied');
  });

  it('that the role may not do, is refused', async () => {
    const finance = await web.as('finance');
    await finance.get('/subscribers');
    expect((await finance.post('/subscribers/bulk', { kind: 'kick', id: ids[0] ?? '' })).status).to.equal(
      403,
    );
    const path = await draft(noc, { kind: 'kick', id: ids[0] ?? '', scope: 'selection' });
    await finance.get(path);
    expect((await finance.post(`${path}/start`)).status).to.equal(403);
    expect((await jobOf(path))['state']).to.equal('draft');
  });
});
