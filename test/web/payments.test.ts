import { expect } from 'chai';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { parseDay } from '../../src/domain/day.ts';
import { aBillingProfile, aLogin, aPackage, aSubscriber, aSubscription } from '../support/builders.ts';
import { isSuspended } from '../support/overdue.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('payment pages', () => {
  let web: TestWeb;
  let finance: Visitor;
  let noc: Visitor;

  before(async () => {
    web = await openTestWeb('2026-03-01T10:00:00Z');
    finance = await web.as('finance');
    noc = await web.as('noc');
  });
  after(() => web.close());

  /** A subscriber who owes one invoice of 300.00. */
  async function aDebtorNamed(name: string, username: string) {
    const { db } = web.t;
    const billingProfileId = await aBillingProfile(db, { dueDays: 0, graceDays: 0 });
    const subscriberId = await aSubscriber(db, { name, billingProfileId });
    const packageId = await aPackage(db);
    const subscriptionId = await aSubscription(db, { subscriberId, packageId });
    const login = await aLogin(db, { subscriptionId, username });
    await applyInvoiceRun(web.app.context('test'), { asOf: parseDay('2026-03-01') });
    return { subscriberId, subscriptionId, login };
  }

  const fieldsFor = (subscriber: string, reference: string) => ({
    subscriber,
    amount: '300',
    channel: 'cash',
    reference,
    receivedOn: '2026-03-01',
  });

  it('list, before the first payment, says what will be here', async () => {
    expect((await finance.get('/payments')).text).to.include('No payment yet');
  });

  it('take, of typed beginnings of a name, username or number, offers who is meant', async () => {
    const { subscriberId } = await aDebtorNamed("Padma o'Hara & Sons", 'padma+home');
    const link = `/payments/new?subscriber=${subscriberId}`;
    for (const who of ["padma o'h", 'padma+', `#${subscriberId}`]) {
      const path = `/payments/who?who=${encodeURIComponent(who)}`;
      const part = await finance.get(path, { 'HX-Request': 'true' });
      expect(part.text, who).to.include(link.replace('=', '&#x3D;').replaceAll('&#x3D;', '='));
      expect(part.text).to.not.include('<html');
    }
    const page = await finance.get('/payments/new?who=padma');
    expect(page.text).to.include(link).and.include('padma+home');
    expect((await finance.get('/payments/new?who=nobody')).text).to.include('begins with “nobody”');
    const chosen = await finance.get(link);
    expect(chosen.text).to.include('Owes 300.00 USD').and.include('Record the payment');
  });

  it('take, of what clears a debt, says what it was set against and that service came back', async () => {
    const { subscriberId, subscriptionId, login } = await aDebtorNamed('Rahim', 'rahim');
    await web.t.db('invoice').where({ subscriber_id: subscriberId }).update({ due_on: '2026-02-20' });
    const ctx = web.app.context('test');
    const { run } = await createOverdueRun(ctx, { asOf: '2026-03-01' });
    await applyOverdueRun(ctx, { runId: run.id });
    expect(await isSuspended(web.t.db, subscriptionId)).to.equal(true);
    await finance.get(`/payments/new?subscriber=${subscriberId}`);
    const taken = await finance.post('/payments/new', {
      ...fieldsFor(subscriberId, 'R-1'),
      amount: '1,350.50',
    });
    expect(taken.status).to.equal(303);
    expect(await isSuspended(web.t.db, subscriptionId)).to.equal(false);
    const shown = await finance.get(taken.location ?? '');
    expect(shown.text).to.include('The payment is recorded').and.include('1,350.50');
    expect(shown.text).to.include('1 suspension ended').and.include('1,050.50');
    expect(shown.text).to.include(login.username).and.include('hx-trigger="every 3s"');
    const live = await finance.get(`${taken.location ?? ''}/access`, { 'HX-Request': 'true' });
    expect(live.text).to.include(login.username).and.include('Pending').and.not.include('<html');
    expect((await finance.get(`${taken.location ?? ''}/access`)).location).to.equal(taken.location);
  });

  it('take, of the same reference again, gives the first payment; with another amount, is refused', async () => {
    const { subscriberId } = await aDebtorNamed('Karim', 'karim');
    await finance.get(`/payments/new?subscriber=${subscriberId}`);
    const first = await finance.post('/payments/new', fieldsFor(subscriberId, 'R-2'));
    const again = await finance.post('/payments/new', fieldsFor(subscriberId, 'R-2'));
    expect(again.location).to.equal(first.location);
    expect((await finance.get(again.location ?? '')).text).to.include('had been recorded before');
    const other = await finance.post('/payments/new', { ...fieldsFor(subscriberId, 'R-2'), amount: '299' });
    expect(other.status).to.equal(400);
    expect(other.text).to.include('belongs to another payment: 300.00 USD').and.include('value="299"');
  });

  it('take, with a broken form, says what is wrong beside the field and keeps what was typed', async () => {
    const { subscriberId } = await aDebtorNamed('Salma', 'salma');
    await finance.get(`/payments/new?subscriber=${subscriberId}`);
    const fields = fieldsFor(subscriberId, 'R<3>');
    const bad = await finance.post('/payments/new', { ...fields, amount: 'ten' });
    expect(bad.status).to.equal(400);
    expect(bad.text).to.include('must be an amount in USD').and.include('value="ten"');
    expect(bad.text).to.include('value="R&lt;3&gt;"');
    const nothing = await finance.post('/payments/new', { ...fields, amount: '0' });
    expect(nothing.text).to.include('must be more than nothing');
    const later = await finance.post('/payments/new', { ...fields, receivedOn: '2026-03-02' });
    expect(later.text).to.include('must not be later than 2026-03-01');
    const nobody = await finance.post('/payments/new', { ...fields, subscriber: '' });
    expect(nobody.status).to.equal(400);
    expect(nobody.text).to.include('choose the subscriber first');
    expect((await finance.post('/payments/new', { ...fields, subscriber: '999999' })).status).to.equal(404);
  });

  it('reverse, opens the invoice again and says so; a second time, it is refused in words', async () => {
    const { subscriberId } = await aDebtorNamed('Tania', 'tania');
    await finance.get(`/payments/new?subscriber=${subscriberId}`);
    const { location } = await finance.post('/payments/new', fieldsFor(subscriberId, 'R-4'));
    const path = location ?? '';
    expect((await finance.get(path)).text).to.include('1 invoice paid by it will be open again');
    const noNote = await finance.post(`${path}/reverse`, { note: '' });
    expect(noNote.status).to.equal(400);
    await finance.post(`${path}/reverse`, { note: 'cheque bounced' });
    const shown = await finance.get(path);
    expect(shown.text).to.include('1 invoice is open again').and.include('cheque bounced');
    expect(shown.text).to.include('Payment reversed');
    const again = await finance.post(`${path}/reverse`, { note: 'again' });
    expect(again.status).to.equal(400);
    expect(again.text).to.include('It was reversed already');
    await finance.get(`/payments/new?subscriber=${subscriberId}`);
    const same = await finance.post('/payments/new', fieldsFor(subscriberId, 'R-4'));
    expect(same.text).to.include('was reversed: money that comes again has a reference of its own');
  });

  it('list, filtered by channel, days, subscriber and reversed, shows what is meant; CSV too', async () => {
    const { subscriberId } = await aDebtorNamed('Ujjal', 'ujjal');
    await finance.get(`/payments/new?subscriber=${subscriberId}`);
    const fields = fieldsFor(subscriberId, '=BANK-1');
    await finance.post('/payments/new', { ...fields, channel: 'bank', receivedOn: '2026-02-10' });
    for (const query of [
      'show=bank',
      'from=2026-02-10&to=2026-02-10',
      'subscriber=ujj',
      'show=bank&to=2026-02-28',
    ]) {
      expect((await finance.get(`/payments?${query}`)).text, query).to.include('BANK-1');
    }
    for (const query of ['show=cash', 'show=reversed', 'from=2026-02-11', 'subscriber=zzz']) {
      expect((await finance.get(`/payments?${query}`)).text, query).to.not.include('BANK-1');
    }
    expect((await finance.get('/payments?from=yesterday')).text).to.include('“yesterday” is not a day');
    expect((await finance.get('/payments?show=reversed')).text)
      .to.include('R-4')
      .and.include('Reversed</span>');
    const csv = await finance.get('/payments.csv?show=bank');
    expect(csv.text).to.include("'=BANK-1").and.include('300.00').and.not.include('R-4');
  });

  it('the wrong role, may neither look nor take nor reverse', async () => {
    expect((await noc.get('/payments')).status).to.equal(403);
    expect((await noc.get('/payments/new')).status).to.equal(403);
    const reader = await web.as('read_only');
    expect((await reader.get('/payments')).text).to.not.include('Take a payment');
    expect((await reader.post('/payments/1/reverse', { note: 'x' })).status).to.equal(403);
  });
});
