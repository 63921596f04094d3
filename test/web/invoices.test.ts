import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { parseDay } from '../../src/domain/day.ts';
import {
  aBillingProfile,
  aLogin,
  aPackage,
  aSubscriber,
  aSubscription,
  aTaxRate,
} from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('invoice pages', () => {
  let web: TestWeb;
  let finance: Visitor;
  let reader: Visitor;
  const long = 'Abdullah-al-Mamun Chowdhury Rahmatullah Siddiqui of House 14/B, Road';

  before(async () => {
    web = await openTestWeb('2026-03-01T10:00:00Z');
    finance = await web.as('finance');
    reader = await web.as('read_only');
  });
  after(() => web.close());

  /** A subscriber with one invoice of 315.00, due on the 11th of March. */
  async function anInvoiced(name: string) {
    const { db } = web.t;
    const billingProfileId = await aBillingProfile(db);
    const subscriberId = await aSubscriber(db, { name, billingProfileId });
    const packageId = await aPackage(db, { taxRateId: await aTaxRate(db) });
    const subscriptionId = await aSubscription(db, { subscriberId, packageId });
    await aLogin(db, { subscriptionId });
    await applyInvoiceRun(web.app.context('test'), { asOf: parseDay('2026-03-01') });
    const invoice = await db('invoice')
      .where({ subscriber_id: subscriberId })
      .first<{ id: string; number: string }>('id', 'number');
    return { ...invoice, subscriberId, subscriptionId, path: `/invoices/${invoice.id}` };
  }

  it('list, before the first invoice, says what will be here', async () => {
    expect((await finance.get('/invoices')).text).to.include('No invoice yet');
  });

  it('list, filtered, shows the state by its word with a count, and keeps the filter', async () => {
    const { path } = await anInvoiced(long);
    const open = await finance.get('/invoices?state=open');
    expect(open.text).to.include(long).and.include('315.00').and.include(`href="${path}"`);
    expect(open.text).to.match(/aria-current="true">Open <span class="number">1</);
    await web.t.db('invoice').update({ due_on: '2026-02-25' });
    const overdue = await finance.get('/invoices?state=overdue');
    expect(overdue.text).to.include('Overdue</span>').and.include(long);
    await web.t.db('invoice').update({ due_on: '2026-03-11' });
    expect((await finance.get('/invoices?state=void')).text).to.include('No invoice is like this');
  });

  it('list, by number, month and the beginning of a name, finds the invoice', async () => {
    const { path, number } = await anInvoiced("o'Hara & Sons");
    const href = `href="${path}"`;
    for (const query of [`number=INV-${number}`, `number=${number}`, 'month=2026-03', 'subscriber=o%27ha']) {
      expect((await finance.get(`/invoices?${query}`)).text, query).to.include(href);
    }
    for (const query of ['number=999', 'month=2026-04', 'subscriber=zz', 'subscriber=%25']) {
      expect((await finance.get(`/invoices?${query}`)).text, query).to.not.include(href);
    }
    const odd = await finance.get('/invoices?month=March&number=abc');
    expect(odd.text).to.include('“March” is not a month').and.include('“abc” is not an invoice’s number');
  });

  it('list, longer than a page, goes on and back by its links', async () => {
    const { subscriberId, subscriptionId } = await anInvoiced('Many');
    await web.t.db('invoice').insert(
      Array.from({ length: 120 }, (_, n) => ({
        series: 'OLD',
        number: n + 1,
        subscriber_id: subscriberId,
        subscription_id: subscriptionId,
        period_start: `20${10 + Math.floor(n / 12)}-${String((n % 12) + 1).padStart(2, '0')}-01`,
        period_end: '2020-01-01',
        zone: 'UTC',
        issued_on: '2010-01-01',
        due_on: '2010-01-11',
        currency: 'USD',
        exponent: 2,
        net_minor: 1,
        tax_minor: 0,
        total_minor: 1,
        open_minor: 0,
        state: 'paid',
      })),
    );
    const seen: string[] = [];
    let path: string | undefined = '/invoices?state=paid';
    let last = '';
    while (path !== undefined) {
      last = (await finance.get(path)).text;
      seen.push(...[...last.matchAll(/>(OLD-\d+)</g)].map((match) => match[1] ?? ''));
      path = /rel="next" href="([^"]+)"/.exec(last)?.[1]?.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=');
    }
    expect(seen).to.have.length(120);
    expect(new Set(seen).size).to.equal(120);
    const back = /rel="prev" href="([^"]+)"/
      .exec(last)?.[1]
      ?.replaceAll('&amp;', '&')
      .replaceAll('&#x3D;', '=');
    expect((await finance.get(back ?? '')).text)
      .to.include('OLD-70<')
      .and.not.include('OLD-20<');
    const csv = await finance.get('/invoices.csv?state=paid');
    expect(csv.headers.get('content-type')).to.include('text/csv');
    expect(csv.text.trim().split('\n')).to.have.length(121);
  });

  it('show, of an invoice, has its lines, tax and what was posted', async () => {
    const { path } = await anInvoiced('Amina');
    const { text } = await finance.get(path);
    expect(text).to.include('Amina').and.include('300.00').and.include('15.00').and.include('315.00');
    expect(text).to.match(/VAT \d+ 5 %/);
    expect(text).to.include('/ledger/entries/').and.include('Take a payment');
    expect((await finance.get('/invoices/999999')).status).to.equal(404);
    expect((await finance.get('/invoices/x')).status).to.equal(404);
  });

  it('void, of an invoice without payments, owes nothing afterwards; again, it is refused in words', async () => {
    const { path } = await anInvoiced('Bashir');
    await finance.get(path);
    const empty = await finance.post(`${path}/void`, { voidNote: ' ' });
    expect(empty.status).to.equal(400);
    expect(empty.text).to.include('must be 1 to 190 characters');
    const done = await finance.post(`${path}/void`, { voidNote: 'issued twice by hand' });
    expect(done.location).to.equal(path);
    const shown = await finance.get(path);
    expect(shown.text).to.include('is void: it owes nothing').and.include('Invoice voided');
    expect(shown.text).to.not.include('Put it right');
    const again = await finance.post(`${path}/void`, { voidNote: 'again' });
    expect(again.status).to.equal(400);
    expect(again.text).to.include('It is void already');
  });

  it('credit note, of a part, lowers what is open; of more than is left, keeps what was typed', async () => {
    const { path } = await anInvoiced('Chitra');
    await finance.get(path);
    const tooMuch = await finance.post(`${path}/credit`, {
      creditAmount: '315.01',
      creditNote: 'five days <off>',
    });
    expect(tooMuch.status).to.equal(400);
    expect(tooMuch.text).to.include('is more than what is left').and.include('value="315.01"');
    expect(tooMuch.text).to.include('five days &lt;off&gt;');
    const notMoney = await finance.post(`${path}/credit`, { creditAmount: '1.234', creditNote: 'x' });
    expect(notMoney.text).to.include('at most 2 decimals');
    await finance.post(`${path}/credit`, { creditAmount: '105', creditNote: 'five days off' });
    const shown = await finance.get(path);
    expect(shown.text).to.include('Credit note INV-CN-').and.include('210.00');
    const voided = await finance.post(`${path}/void`, { voidNote: 'no' });
    expect(voided.text).to.include('something was paid or credited on it');
    await finance.post(`${path}/credit`, { creditNote: 'the rest' });
    expect((await finance.get(path)).text)
      .to.include('over 210.00 USD is issued')
      .and.include('Paid</span>');
  });

  it('write-off, of what is open, gives it up; again, it is refused in words', async () => {
    const { path } = await anInvoiced('Dipa');
    await finance.get(path);
    await finance.post(`${path}/write-off`, { writeOffNote: 'moved away' });
    const shown = await finance.get(path);
    expect(shown.text).to.include('315.00 USD given up as bad debt').and.include('Written off</span>');
    const again = await finance.post(`${path}/write-off`, { writeOffNote: 'again' });
    expect(again.text).to.include('Nothing is open on this invoice any more');
  });

  it('who may only look, sees no form and may not send one', async () => {
    const { path } = await anInvoiced('Eva');
    expect((await reader.get(path)).text).to.not.include('Put it right');
    expect((await reader.post(`${path}/void`, { voidNote: 'x' })).status).to.equal(403);
  });
});
