import { expect } from 'chai';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { resumeOverdueRuns } from '../../src/billing/overdue-run.ts';
import type { OverdueRunId } from '../../src/domain/ids.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import { aBillingProfile, aRouter } from '../support/builders.ts';
import {
  actionStates,
  aDebtor,
  forgetEverybody,
  isSuspended,
  manyDebtors,
  markPaid,
} from '../support/overdue.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

/** As of this day the debtors of test/support/overdue.ts are past due and grace. */
const asOf = '2026-04-01';

describe('overdue run pages', () => {
  let web: TestWeb;
  let finance: Visitor;

  before(async () => {
    web = await openTestWeb('2026-04-01T10:00:00Z');
    finance = await web.as('finance');
  });
  after(() => web.close());
  beforeEach(() => forgetEverybody(web.t.db));

  /** Plans through the form and gives the run's id once it is planned. */
  async function planned(visitor: Visitor = finance, day = asOf): Promise<OverdueRunId> {
    await visitor.get('/runs');
    const answer = await visitor.post('/runs', { asOf: day });
    expect(answer.status).to.equal(303);
    await backgroundEnds(web.app);
    return (answer.location ?? '').slice('/runs/'.length) as OverdueRunId;
  }

  it('list, before the first run, says what would be here', async () => {
    const page = await finance.get('/runs');
    expect(page.status).to.equal(200);
    expect(page.text).to.include('No overdue run yet').and.include('Plan a run');
  });

  it('plan, of the form, makes a run that suspends nobody and shows who and why', async () => {
    const debtor = await aDebtor(web.t.db, { dueOn: '2026-03-11', openMinor: 11_550n });
    const id = await planned();
    const page = await finance.get(`/runs/${id}`);
    expect(page.text).to.include('Suspend 1 subscription');
    expect(page.text)
      .to.include('1 invoice, due on 2026-03-11')
      .and.include('21 days past due, 18 past 3 days of grace');
    expect(page.text).to.include(`/subscribers/${debtor.subscriberId}`).and.include('115.50');
    expect(await isSuspended(web.t.db, debtor.subscriptionId)).to.equal(false);
    const list = await finance.get('/runs?state=planned');
    expect(list.text).to.include(`/runs/${id}`).and.include('the-finance');
  });

  it('plan, sent twice from one form, is one run', async () => {
    const once = /name="once" value="([0-9a-f]+)"/.exec((await finance.get('/runs')).text)?.[1] ?? '';
    const first = await finance.post('/runs', { asOf, once });
    const second = await finance.post('/runs', { asOf, once });
    expect(second.location).to.equal(first.location);
    await backgroundEnds(web.app);
  });

  it('plan, of a day that does not exist, comes back with what was typed', async () => {
    await finance.get('/runs');
    const answer = await finance.post('/runs', { asOf: '2026-02-30' });
    expect(answer.status).to.equal(400);
    expect(answer.text).to.include('value="2026-02-30"').and.include('must be a day that exists');
  });

  it('plan, as of a day to come, is a preview that cannot be applied yet', async () => {
    const debtor = await aDebtor(web.t.db, { dueOn: '2026-04-10' });
    const id = await planned(finance, '2026-05-01');
    const page = await finance.get(`/runs/${id}`);
    expect(page.text).to.include('A preview').and.not.include('Suspend 1 subscription');
    expect((await finance.post(`/runs/${id}/apply`)).location).to.equal(`/runs/${id}`);
    expect((await finance.get(`/runs/${id}`)).text).to.include('still to come');
    await backgroundEnds(web.app);
    expect(await isSuspended(web.t.db, debtor.subscriptionId)).to.equal(false);
  });

  it('plan, whose process died, is planned by the resume', async () => {
    await aDebtor(web.t.db);
    await web.t.db('overdue_run').insert({
      as_of: asOf,
      once_key: 'hand:abc',
      state: 'planning',
      requested_by: 'the-finance',
      requested_at: '2026-04-01 09:55:00',
    });
    const [id] = await resumeOverdueRuns(web.app.context('schedule'));
    expect((await finance.get(`/runs/${id ?? ''}`)).text).to.include('Suspend 1 subscription');
  });

  it('apply, answers at once and works in the background until all are settled', async () => {
    const debtors = await manyDebtors(web.t.db, 1200);
    await setLimit(web, 5000);
    const id = await planned();
    await finance.get(`/runs/${id}`);
    expect((await finance.post(`/runs/${id}/apply`)).location).to.equal(`/runs/${id}`);
    const row = await web.t.db('overdue_run').where({ id }).first<{ state: string }>();
    expect(row.state).to.be.oneOf(['applying', 'applied']);
    const part = await finance.get(`/runs/${id}/progress`, { 'HX-Request': 'true' });
    expect(part.status).to.equal(200);
    if (part.headers.get('hx-refresh') === null) expect(part.text).to.include('of 1,200');
    await backgroundEnds(web.app);
    const over = await finance.get(`/runs/${id}/progress`, { 'HX-Request': 'true' });
    expect(over.headers.get('hx-refresh')).to.equal('true');
    const states = await actionStates(web.t.db, id);
    expect([...states.values()].filter((state) => state === 'applied')).to.have.length(debtors.length);
    expect((await finance.get(`/runs/${id}`)).text).to.include('Roll back 1,200 subscriptions');
  });

  it('apply, whose process died at once, is gone on with by the resume', async () => {
    const debtor = await aDebtor(web.t.db);
    const id = await planned();
    await web.t
      .db('overdue_run')
      .where({ id })
      .update({ state: 'applying', started_at: '2026-04-01 10:00:00' });
    const page = await finance.get(`/runs/${id}`);
    expect(page.text).to.include('Applying: 0 of 1').and.include('hx-trigger="every 2s"');
    await resumeOverdueRuns(web.app.context('schedule'));
    expect(await isSuspended(web.t.db, debtor.subscriptionId)).to.equal(true);
  });

  it('apply, when somebody has paid since the plan, leaves that one alone and says why', async () => {
    const [paid, other] = [await aDebtor(web.t.db), await aDebtor(web.t.db)];
    const id = await planned();
    await markPaid(web.t.db, [paid.invoiceId]);
    await finance.get(`/runs/${id}`);
    await finance.post(`/runs/${id}/apply`);
    await backgroundEnds(web.app);
    expect(await isSuspended(web.t.db, paid.subscriptionId)).to.equal(false);
    expect(await isSuspended(web.t.db, other.subscriptionId)).to.equal(true);
    const page = await finance.get(`/runs/${id}`);
    expect(page.text).to.include('paid since the plan').and.include('Left alone');
  });

  it('exclude, with a note, takes the ticked ones out and says until when', async () => {
    const [kept, out] = [await aDebtor(web.t.db), await aDebtor(web.t.db)];
    const id = await planned();
    await finance.get(`/runs/${id}`);
    const answer = await finance.post(`/runs/${id}`, {
      subscription: out.subscriptionId,
      note: 'hospital',
      untilOn: '2026-04-20',
    });
    expect(answer.location).to.equal(`/runs/${id}`);
    const page = await finance.get(`/runs/${id}`);
    expect(page.text).to.include('1 subscription excluded').and.include('2026-04-20').and.include('hospital');
    const states = await actionStates(web.t.db, id);
    expect(states.get(out.subscriptionId)).to.equal('excluded: hospital');
    expect(states.get(kept.subscriptionId)).to.equal('planned');
  });

  it('exclude, without a note or with a day gone by, keeps the ticks and what was typed', async () => {
    const debtor = await aDebtor(web.t.db);
    const id = await planned();
    await finance.get(`/runs/${id}`);
    const subscription = debtor.subscriptionId;
    const noNote = await finance.post(`/runs/${id}`, { subscription, note: '', untilOn: '2026-04-20' });
    expect(noNote.status).to.equal(400);
    expect(noNote.text).to.include('value="2026-04-20"').and.include('field-note');
    expect(noNote.text).to.match(new RegExp(`value="${subscription}"[^>]* checked`));
    const gone = await finance.post(`/runs/${id}`, { subscription, note: 'why', untilOn: '2026-03-01' });
    expect(gone.status).to.equal(400);
    expect(gone.text).to.include('must be later than').and.include('value="why"');
    const nobody = await finance.post(`/runs/${id}`, { note: 'why' });
    expect(nobody.text).to.include('Tick at least one');
  });

  it('exclude, after the run was applied, is refused', async () => {
    const debtor = await aDebtor(web.t.db);
    const id = await planned();
    await applyOverdueRun(web.app.context('other'), { runId: id });
    const answer = await finance.post(`/runs/${id}`, { subscription: debtor.subscriptionId, note: 'late' });
    expect(answer.status).to.equal(303);
    expect((await finance.get(`/runs/${id}`)).text).to.include(
      'Nobody was excluded: the run is applied by now',
    );
  });

  it('approve, of a held run, takes another person than who asked for it', async () => {
    await manyDebtors(web.t.db, 4);
    await setLimit(web, 1);
    const id = await planned();
    const own = await finance.get(`/runs/${id}`);
    expect(own.text).to.include('would suspend 4 of 4').and.include('you cannot approve it');
    await finance.post(`/runs/${id}/approve`);
    expect((await finance.get(`/runs/${id}`)).text).to.include('Another person has to look at it');
    await finance.post(`/runs/${id}/apply`);
    expect((await finance.get(`/runs/${id}`)).text).to.include('Not applied: the run is held');
    const owner = await web.as('owner');
    await owner.get(`/runs/${id}`);
    await owner.post(`/runs/${id}/approve`);
    const page = await owner.get(`/runs/${id}`);
    expect(page.text).to.include('Approved by').and.include('Suspend 4 subscriptions');
  });

  it('rollback, says how many it restores, wants a note, and gives the service back', async () => {
    const debtors = await manyDebtors(web.t.db, 3);
    const { run } = await createOverdueRun(web.app.context('other'), { asOf });
    await applyOverdueRun(web.app.context('other'), { runId: run.id });
    const page = await finance.get(`/runs/${run.id}`);
    expect(page.text).to.include('Roll back 3 subscriptions').and.include('2026-04-08');
    const noNote = await finance.post(`/runs/${run.id}/rollback`, { rollbackNote: ' ' });
    expect(noNote.status).to.equal(400);
    expect(noNote.text).to.include('field-rollbackNote');
    await finance.post(`/runs/${run.id}/rollback`, { rollbackNote: 'the bank file was late' });
    await backgroundEnds(web.app);
    const after = await finance.get(`/runs/${run.id}`);
    expect(after.text).to.include('Rolled back').and.include('the bank file was late');
    for (const debtor of debtors) expect(await isSuspended(web.t.db, debtor.subscriptionId)).to.equal(false);
    await finance.post(`/runs/${run.id}/apply`);
    expect((await finance.get(`/runs/${run.id}`)).text).to.include('Not applied: the run was rolled back');
  });

  it('a subscriber of the run, opens to what was sent and what the router answered', async () => {
    const { db } = web.t;
    const [debtor, other] = [await aDebtor(db), await aDebtor(db, { dueOn: '2026-06-01' })];
    const id = await planned();
    await applyOverdueRun(web.app.context('other'), { runId: id });
    const router = await aRouter(db, { name: 'pop-1' });
    await db('enforcement').insert({
      radacctid: 1,
      login_id: debtor.loginId,
      router_id: router.id,
      action: 'disconnect',
      why: 'invoice_overdue',
      generation: 1,
      access_fingerprint: 'a',
      redial_fingerprint: 'b',
      attributes: '[]',
      requested_by: 'x',
      requested_at: '2026-04-01 10:00:01',
      sent_at: '2026-04-01 10:00:01',
      outcome: 'nak',
      error_cause: 503,
      round_trip_us: 1840,
      attempts: 2,
    });
    const page = await finance.get(`/runs/${id}/subscribers/${debtor.subscriberId}`);
    expect(page.text).to.include('refused').and.include('Error-Cause 503, 1.8 ms, 2 attempts');
    const run = await finance.get(`/runs/${id}/evidence`, { 'HX-Request': 'true' });
    expect(run.text.replace(/\s+/g, ' '))
      .to.include('pop-1')
      .and.include('0 of 1 logins have their new RADIUS');
    expect((await finance.get(`/runs/${id}/subscribers/${other.subscriberId}`)).status).to.equal(404);
  });

  it('cancel, gives a planned run up; one that is applied is not cancelled', async () => {
    await aDebtor(web.t.db);
    const id = await planned();
    await finance.get(`/runs/${id}`);
    expect((await finance.post(`/runs/${id}/cancel`, { cancelNote: '' })).status).to.equal(400);
    await finance.post(`/runs/${id}/cancel`, { cancelNote: 'wrong day' });
    expect((await finance.get(`/runs/${id}`)).text).to.include('Cancelled: nobody was suspended');
    await finance.post(`/runs/${id}/rollback`, { rollbackNote: 'x' });
    expect((await finance.get(`/runs/${id}`)).text).to.include('nothing to roll back');
    const applied = await planned();
    await applyOverdueRun(web.app.context('other'), { runId: applied });
    await finance.post(`/runs/${applied}/cancel`, { cancelNote: 'late' });
    expect((await finance.get(`/runs/${applied}`)).text).to.include('Not cancelled');
  });

  it('actions, more than a page of them, are paged both ways, filtered, and exported whole', async () => {
    await manyDebtors(web.t.db, 60);
    await setLimit(web, 5000);
    const broken = await aBillingProfile(web.t.db, { overdueEffect: 'throttle', throttleRate: 'fast' });
    const parked = await aDebtor(web.t.db, { billingProfileId: broken });
    const id = await planned();
    const first = await finance.get(`/runs/${id}`);
    const second = await finance.get(linkIn(first.text, 'next'));
    expect(second.text).to.include(parked.username).and.include('mend it there');
    const back = await finance.get(linkIn(second.text, 'prev'));
    expect(namesIn(back.text)).to.deep.equal(namesIn(first.text));
    expect(namesIn(first.text)).to.have.length(50);
    const filtered = await finance.get(`/runs/${id}?state=parked`);
    expect(namesIn(filtered.text)).to.have.length(1);
    const csv = await finance.get(`/runs/${id}/actions.csv`);
    expect(csv.headers.get('content-type')).to.include('text/csv');
    expect(csv.text.trim().split('\n')).to.have.length(62);
    const some = await finance.get(`/runs/${id}/actions.csv?state=parked`);
    expect(some.text.trim().split('\n')).to.have.length(2);
  });

  it('a role without the permission, is refused and is not offered it', async () => {
    const debtor = await aDebtor(web.t.db);
    const id = await planned();
    const noc = await web.as('noc');
    const page = await noc.get(`/runs/${id}`);
    expect(page.status).to.equal(200);
    expect(page.text).to.not.include(`/runs/${id}/apply`).and.not.include('type="checkbox"');
    for (const path of ['apply', 'approve', 'rollback', 'cancel'])
      expect((await noc.post(`/runs/${id}/${path}`)).status, path).to.equal(403);
    expect((await noc.post(`/runs/${id}`, { subscription: debtor.subscriptionId })).status).to.equal(403);
    expect((await noc.post('/runs', { asOf })).status).to.equal(403);
  });

  it('a run that does not exist, is not found', async () => {
    for (const id of ['99999', 'abc', '0', '99999999999999999999'])
      expect((await finance.get(`/runs/${id}`)).status, id).to.equal(404);
  });
});

/** A run of more than `count` and more than a tenth of everybody is held. */
async function setLimit(web: TestWeb, count: number): Promise<void> {
  await web.t.db('setting').insert({
    name: 'overdueLimitCount',
    value: JSON.stringify(count),
    changed_at: '2026-01-01',
  });
}

function linkIn(html: string, rel: 'next' | 'prev'): string {
  const href = new RegExp(`rel="${rel}" href="([^"]+)"`).exec(html)?.[1] ?? '';
  return href.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=');
}

function namesIn(html: string): string[] {
  const list = html.slice(html.indexOf('id="actions"'));
  return [...list.matchAll(/<a href="\/subscribers\/(\d+)"/g)].map((match) => match[1] ?? '');
}
