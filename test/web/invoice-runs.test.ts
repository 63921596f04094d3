import { expect } from 'chai';
import { beginInvoiceRun } from '../../src/billing/invoice-run.ts';
import { resumeInvoiceRuns } from '../../src/billing/invoice-run-resume.ts';
import { parseDay } from '../../src/domain/day.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import { aPackage, aSubscriber, aSubscription } from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('invoice run pages', () => {
  let web: TestWeb;
  let finance: Visitor;

  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:00Z');
    finance = await web.as('finance');
  });
  after(() => web.close());

  it('list, with nothing due and no run yet, says so', async () => {
    const page = await finance.get('/invoice-runs');
    expect(page.text).to.include('No invoice run yet').and.include('Nothing: every period');
  });

  it('run now, issues what is due in the background, and its page says how much and whom it parked', async () => {
    await aSubscription(web.t.db, { anchorOn: '2026-05-01' });
    const subscriberId = await aSubscriber(web.t.db, { name: 'Amina O’Hara' });
    const broken = await aSubscription(web.t.db, {
      subscriberId,
      anchorOn: '2026-05-01',
      priceOverrideMinor: -1n,
    });
    expect((await finance.get('/invoice-runs')).text).to.include('no invoice, for 2 subscriptions');
    const answer = await finance.post('/invoice-runs');
    expect(answer.location).to.match(/^\/invoice-runs\/\d+$/);
    await backgroundEnds(web.app);
    const page = await finance.get(answer.location ?? '');
    expect(page.text).to.include('1 invoice, 300.00').and.include('Done, some parked');
    expect(page.text).to.include('Amina O’Hara').and.include('the price is negative');
    expect(page.text).to.include(`<td>${broken}</td>`);
    const row = await web.t.db('invoice_run').first<{ due_count: number; done_count: number }>();
    expect(row).to.include({ due_count: 2, done_count: 2 });
    await web.t.db('subscription').where({ id: broken }).delete();
  });

  it('run now, whose process died at once, shows its progress and is gone on with by the resume', async () => {
    const packageId = await aPackage(web.t.db);
    await aSubscription(web.t.db, { packageId, anchorOn: '2026-05-01' });
    const run = await beginInvoiceRun(web.app.context('the-finance'), { asOf: parseDay('2026-05-01') });
    const page = await finance.get(`/invoice-runs/${run.id}`);
    expect(page.text).to.include('Issuing: 0 of 1').and.include('hx-trigger="every 2s"');
    const part = await finance.get(`/invoice-runs/${run.id}/progress`, { 'HX-Request': 'true' });
    expect(part.text).to.include('max="1"');
    expect(await resumeInvoiceRuns(web.app.context('schedule')), 'too young').to.deep.equal([]);
    web.clock.advance(600_000);
    expect(await resumeInvoiceRuns(web.app.context('schedule'))).to.deep.equal([run.id]);
    const over = await finance.get(`/invoice-runs/${run.id}/progress`, { 'HX-Request': 'true' });
    expect(over.headers.get('hx-refresh')).to.equal('true');
    expect((await finance.get(`/invoice-runs/${run.id}`)).text).to.include('1 invoice,');
    expect(await resumeInvoiceRuns(web.app.context('schedule'))).to.deep.equal([]);
  });

  it('a run of an earlier day that was never finished, is shown as interrupted', async () => {
    const [id] = await web.t.db('invoice_run').insert({
      as_of: '2026-04-20',
      requested_by: 'schedule',
      started_at: '2026-04-20 00:30:00',
      due_count: 9,
    });
    const page = await finance.get(`/invoice-runs/${id ?? ''}`);
    expect(page.text).to.include('Interrupted').and.include('Nothing is lost').and.include('the timetable');
  });

  it('run now, by who may only look, is refused', async () => {
    const noc = await web.as('noc');
    expect((await noc.get('/invoice-runs')).status).to.equal(200);
    expect((await noc.post('/invoice-runs')).status).to.equal(403);
    expect((await noc.get('/invoice-runs/4242')).status).to.equal(404);
  });
});
