import { expect } from 'chai';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { setBillingProfile } from '../../src/catalog/set-billing-profile.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import { aBillingProfile, aSubscriber } from '../support/builders.ts';
import { aDebtor, isSuspended, suspensionsOf } from '../support/overdue.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('billing profile pages', () => {
  let web: TestWeb;
  let owner: Visitor;

  before(async () => {
    web = await openTestWeb('2026-04-30T10:00:00Z');
    owner = await web.as('owner');
  });
  after(() => web.close());

  const fields = { name: 'Homes', dueDays: '10', graceDays: '3', overdueEffect: 'block', throttleRate: '' };

  it('list, before the first profile, says what one is', async () => {
    expect((await owner.get('/billing-profiles')).text).to.include('No billing profile yet');
  });

  it('add, of the form, is listed with its subscribers and with the days that its numbers mean', async () => {
    await owner.get('/billing-profiles/new');
    const answer = await owner.post('/billing-profiles/new', { ...fields, isOverdueRunOn: 'yes' });
    expect(answer.location).to.equal('/billing-profiles');
    const row = await web.t.db('billing_profile').where({ name: 'Homes' }).first<{ id: string }>('id');
    await aSubscriber(web.t.db, { billingProfileId: row.id });
    const page = await owner.get('/billing-profiles');
    expect(page.text).to.include('Homes').and.include('An invoice due on 10 May acts on 14 May');
    expect(page.text).to.match(/<td class="number">1<\/td>/);
  });

  it('add, with a broken form, says what is wrong and keeps what was typed', async () => {
    await owner.get('/billing-profiles/new');
    const noRate = await owner.post('/billing-profiles/new', {
      ...fields,
      name: 'O’Hara <b>',
      overdueEffect: 'throttle',
    });
    expect(noRate.status).to.equal(400);
    expect(noRate.text).to.include('O’Hara &lt;b&gt;').and.include('needs a rate such as 512k/512k');
    const noDays = await owner.post('/billing-profiles/new', { ...fields, graceDays: '-1' });
    expect(noDays.text).to.include('must be a whole number from 0 to 365').and.include('value="-1"');
    const taken = await owner.post('/billing-profiles/new', fields);
    expect(taken.status).to.equal(400);
    expect(taken.text).to.include('is taken by another billing profile');
  });

  it('add, by finance, is theirs to do', async () => {
    const finance = await web.as('finance');
    expect((await finance.get('/billing-profiles')).text).to.include('Add a billing profile');
    await finance.get('/billing-profiles/new');
    const added = await finance.post('/billing-profiles/new', { ...fields, name: 'Of finance' });
    expect(added.status).to.equal(303);
  });

  it('preview, while somebody types, answers with the sentence only', async () => {
    const path = '/billing-profiles/preview?dueDays=10&graceDays=0&overdueEffect=block&isOverdueRunOn=yes';
    const part = await owner.get(path, { 'HX-Request': 'true' });
    expect(part.text.trim()).to.match(/^An invoice issued today is due on 10 May\..* acts on 11 May/);
    const empty = await owner.get('/billing-profiles/preview?dueDays=', { 'HX-Request': 'true' });
    expect(empty.text).to.include('Type both numbers');
    expect((await owner.get(path)).location).to.equal('/billing-profiles');
  });

  it('edit, of the effect, leaves who is suspended as they are', async () => {
    const id = await aBillingProfile(web.t.db, { name: 'Shops', graceDays: 3 });
    const debtor = await aDebtor(web.t.db, { billingProfileId: id, dueOn: '2026-04-20' });
    await suspendAll(web);
    const form = await owner.get(`/billing-profiles/${id}/edit`);
    expect(form.text).to.include('Subscribers with this profile: 1.').and.include('value="Shops"');
    await owner.post(`/billing-profiles/${id}/edit`, {
      ...fields,
      name: 'Shops',
      overdueEffect: 'throttle',
      throttleRate: '1M/1M',
      isOverdueRunOn: 'yes',
    });
    expect((await owner.get('/billing-profiles')).text).to.include(
      'the next overdue run uses the new effect',
    );
    expect(await suspensionsOf(web.t.db, debtor.subscriptionId)).to.deep.equal([
      { cause: 'overdue', effect: 'block', closedBecause: null },
    ]);
    const activity = await web.t
      .db('activity')
      .where({ verb: 'billing_profile.set', subject_id: id })
      .first<{ actor: string; diff: string }>();
    expect(activity.actor).to.equal('the-owner');
    expect(JSON.parse(activity.diff)).to.deep.equal({
      before: { overdueEffect: 'block', throttleRate: null },
      after: { overdueEffect: 'throttle', throttleRate: '1M/1M' },
    });
  });

  it('edit, to a longer grace, gives the service back to who is within it now', async () => {
    const id = await aBillingProfile(web.t.db, { name: 'Schools', graceDays: 3 });
    const within = await aDebtor(web.t.db, { billingProfileId: id, dueOn: '2026-04-22' });
    const beyond = await aDebtor(web.t.db, { billingProfileId: id, dueOn: '2026-03-01' });
    await suspendAll(web);
    await owner.get(`/billing-profiles/${id}/edit`);
    await owner.post(`/billing-profiles/${id}/edit`, {
      ...fields,
      name: 'Schools',
      graceDays: '20',
      isOverdueRunOn: 'yes',
    });
    await backgroundEnds(web.app);
    expect(await isSuspended(web.t.db, within.subscriptionId)).to.equal(false);
    expect(await isSuspended(web.t.db, beyond.subscriptionId)).to.equal(true);
  });

  it('edit, that changes nothing, says so and leaves no trail', async () => {
    const id = await aBillingProfile(web.t.db, { name: 'Same' });
    const result = await setBillingProfile(web.app.context('test'), {
      billingProfileId: id,
      name: 'Same',
      dueDays: 10,
      graceDays: 3,
      overdueEffect: 'block',
      isOverdueRunOn: true,
    });
    expect(result.changed).to.deep.equal([]);
    expect(await web.t.db('activity').where({ subject_id: id })).to.deep.equal([]);
  });

  it('edit, to a name that is taken, is refused beside the field', async () => {
    const id = await aBillingProfile(web.t.db, { name: 'Second' });
    await owner.get(`/billing-profiles/${id}/edit`);
    const answer = await owner.post(`/billing-profiles/${id}/edit`, { ...fields, name: 'Homes' });
    expect(answer.status).to.equal(400);
    expect(answer.text).to.include('is taken by another billing profile').and.include('value="Homes"');
    expect((await owner.get('/billing-profiles/424242/edit')).status).to.equal(404);
  });

  it('edit, by who may only look, is refused', async () => {
    const noc = await web.as('noc');
    const page = await noc.get('/billing-profiles');
    expect(page.status).to.equal(200);
    expect(page.text).to.not.include('/billing-profiles/new');
    expect((await noc.get('/billing-profiles/new')).status).to.equal(403);
    expect((await noc.post('/billing-profiles/new', fields)).status).to.equal(403);
  });
});

async function suspendAll(web: TestWeb): Promise<void> {
  const ctx = web.app.context('test');
  const { run } = await createOverdueRun(ctx, { asOf: '2026-04-30' });
  await applyOverdueRun(ctx, { runId: run.id });
}
