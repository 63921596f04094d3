import { expect } from 'chai';
import {
  aBillingProfile,
  aLogin,
  anInvoice,
  aPackage,
  aRouter,
  aSubscriber,
  aSubscription,
} from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('subscriber page', function () {
  this.timeout(60_000);
  let web: TestWeb;
  let owner: Visitor;

  before(async () => {
    web = await openTestWeb('2026-11-12T10:00:00Z');
    owner = await web.as('owner');
  });
  after(() => web.close());

  async function someone() {
    const { db } = web.t;
    const billingProfileId = await aBillingProfile(db, { overdueEffect: 'throttle', graceDays: 3 });
    const subscriberId = await aSubscriber(db, {
      name: 'Amina <i>Rahman</i>',
      phone: '+880 1',
      billingProfileId,
    });
    const subscriptionId = await aSubscription(db, { subscriberId });
    const login = await aLogin(db, { subscriptionId, vault: web.app.vault });
    const invoiceId = await anInvoice(db, {
      subscriberId,
      subscriptionId,
      issuedOn: '2026-10-21',
      dueOn: '2026-10-31',
      totalMinor: 115_000n,
    });
    return { subscriberId, subscriptionId, login, invoiceId };
  }

  it('show, tells who it is, what they may do and why, and escapes their name', async () => {
    const { subscriberId, login } = await someone();
    const page = await owner.get(`/subscribers/${subscriberId}`);
    expect(page.status).to.equal(200);
    expect(page.text).to.include('Amina &lt;i&gt;Rahman&lt;/i&gt;').and.include(login.username);
    expect(page.text).to.include('9 days past due and grace. The next overdue run acts on it.');
    expect(page.text).to.include('1,150.00');
  });
});
void aPackage;
void aRouter;
