import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import { aPackage, aSubscriber, aSubscription, aTaxRate } from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('ledger pages', () => {
  let web: TestWeb;
  let finance: Visitor;
  let subscriberId: SubscriberId;

  before(async () => {
    web = await openTestWeb('2026-03-01T10:00:00Z');
    finance = await web.as('finance');
  });
  after(() => web.close());

  async function hrefOf(path: string, text: string): Promise<string> {
    const page = await finance.get(path);
    const found = new RegExp(`href="([^"]+)">${text}<`).exec(page.text)?.[1];
    expect(found, `a link ${text} on ${path}`).to.not.equal(undefined);
    return found ?? '';
  }

  it('ledger, before the first entry, says what will be here and that nothing was checked', async () => {
    const page = await finance.get('/ledger');
    expect(page.text).to.include('No account yet').and.include('It was never checked');
    expect((await finance.get('/ledger/entries')).text).to.include('Nothing was posted yet');
  });

  it('ledger, of an invoice and a payment, shows balances on their own side', async () => {
    const { db } = web.t;
    subscriberId = await aSubscriber(db, { name: "Nila o'Hara" });
    const packageId = await aPackage(db, { taxRateId: await aTaxRate(db) });
    await aSubscription(db, { subscriberId, packageId });
    const ctx = web.app.context('test');
    await applyInvoiceRun(ctx, { asOf: parseDay('2026-03-01') });
    await recordPayment(ctx, { subscriberId, channel: 'cash', reference: 'R-1', amountMinor: 40_000n });
    const page = await finance.get('/ledger');
    expect(page.text)
      .to.match(/Cash<.*400\.00/)
      .and.to.match(/Internet revenue<.*Income.*credit.*300\.00/);
    expect(page.text)
      .to.match(/Tax payable<.*15\.00/)
      .and.to.match(/together<.*\(85\.00\)/);
  });

  it('entries, by kind, day and subscriber, are those asked for; CSV too', async () => {
    const payments = await finance.get('/ledger/entries?kind=payment&day=2026-03-01');
    expect(payments.text).to.include('400.00').and.include('o&#x27;Hara').and.not.include('315.00');
    expect((await finance.get('/ledger/entries?day=2026-03-02')).text).to.include('No entry is like this');
    const own = await finance.get(`/ledger/entries?subscriber=${subscriberId}`);
    expect(own.text).to.include('Wallet of Nila').and.include('315.00');
    expect((await finance.get('/ledger/entries?subscriber=nobody')).text).to.include('No entry is like this');
    const csv = await finance.get('/ledger/entries.csv?kind=invoice');
    expect(csv.text).to.include('invoice:').and.include('315.00').and.not.include('400.00');
  });

  it('entry, opened, has its postings on their sides, and leads to what it is for', async () => {
    const payment = await finance.get('/ledger/entries?kind=payment');
    const href = /href="(\/ledger\/entries\/\d+)"/.exec(payment.text)?.[1] ?? '';
    const page = await finance.get(href);
    expect(page.text).to.include('Receivable').and.include('315.00').and.include('85.00');
    expect(page.text).to.match(/href="\/payments\/\d+"/);
    expect((await finance.get('/ledger/entries/999999')).status).to.equal(404);
  });

  it('account, opened, has its balance and its postings, the newest first', async () => {
    const cash = await finance.get(await hrefOf('/ledger', 'Cash'));
    expect(cash.text).to.include('400.00').and.include('summed from sealed days');
    const wallet = await finance.get(
      await hrefOf(`/ledger/entries?subscriber=${subscriberId}`, 'Wallet of Nila o&#x27;Hara'),
    );
    expect(wallet.text).to.include('85.00').and.include('with the account');
    expect((await finance.get('/ledger/accounts/999999')).status).to.equal(404);
  });

  it('check, begun here, ends with a verdict; what does not add up leads to its row', async () => {
    await finance.get('/ledger');
    expect((await finance.post('/ledger/check')).location).to.equal('/ledger');
    await backgroundEnds(web.app);
    expect((await finance.get('/ledger')).text).to.include('The ledger adds up');
    const [posting] = await web.t
      .db('ledger_posting')
      .orderBy('id')
      .limit(1)
      .select<{ id: string; entry_id: string }[]>();
    await web.t
      .db('ledger_posting')
      .where({ id: posting?.id })
      .update({ amount_minor: web.t.db.raw('amount_minor + 1') });
    await finance.post('/ledger/check');
    await backgroundEnds(web.app);
    const broken = await finance.get('/ledger');
    expect(broken.text).to.include('The ledger does not add up').and.include('entry sums to zero');
    expect(broken.text).to.include(`href="/ledger/entries/${posting?.entry_id ?? ''}"`);
    const part = await finance.get('/ledger/check', { 'HX-Request': 'true' });
    expect(part.text).to.include('does not add up').and.not.include('<html');
  });

  it('who may only look, may not start a check; the NOC does not see the ledger', async () => {
    const reader = await web.as('read_only');
    expect((await reader.get('/ledger')).text).to.not.include('Check now');
    expect((await reader.post('/ledger/check')).status).to.equal(403);
    expect((await (await web.as('noc')).get('/ledger')).status).to.equal(403);
  });
});
