import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { scheduledOverdueRun } from '../../src/billing/overdue-run.ts';
import { dayIn } from '../../src/domain/day.ts';
import { addStaff } from '../../src/staff/manage-staff.ts';
import { openBrowser, type Tab, type TestBrowser, watchTabs } from '../support/browser.ts';
import { openStack, type Signed, type Stack } from '../support/stack.ts';
import { staffPassword } from '../support/web.ts';

type Router = Awaited<ReturnType<Stack['router']>>;

/** The call that a counter gets all day: "my internet is off". From the search field to the session that is back. */
describe('in the browser: a payment brings the service back', function () {
  this.timeout(90_000);
  let stack: Stack;
  let browser: TestBrowser;
  let router: Router;
  let desk: Tab;
  let plain: Tab;
  let blocked: Signed;
  let throttled: Signed;
  let walled: Signed;

  before(async () => {
    [stack, browser] = await Promise.all([
      openStack({ roles: ['web', 'worker', 'lane', 'radius-agent'] }),
      openBrowser(),
    ]);
    await addStaff(stack.ctx, { username: 'rana', name: 'Rana', role: 'finance', password: staffPassword });
    [desk, plain] = await Promise.all([browser.open(), browser.open({ hasScripts: false })]);
    router = await stack.router('pop-1', { interimSeconds: 1 });
    stack.clock.daysAgo(30);
    blocked = await stack.subscriber('anna', { billingProfile: 'block' });
    throttled = await stack.subscriber("o'hara", { billingProfile: 'throttle' });
    walled = await stack.subscriber('a+b', { billingProfile: 'walled' });
    await applyInvoiceRun(stack.ctx, { asOf: dayIn('UTC', stack.clock.now()) });
    stack.clock.daysAgo(0);
    for (const who of [blocked, throttled, walled]) {
      expect(await router.dial({ ...who, redialAfterMs: 100 })).to.include({ ok: true });
    }
    await stack.until('three sessions in accounting', async () => {
      const open = await stack.t.db('radacct').whereNull('acctstoptime').pluck<string[]>('username');
      return open.length === 3;
    });
    await scheduledOverdueRun(stack.ctx);
    await stack.until('the blocked one is off', () => sessionOf(blocked) === undefined);
    await stack.until('the throttled one is slow', () => sessionOf(throttled)?.rate === '1M/1M');
    await desk.signIn(stack.url, 'rana', staffPassword);
  });
  after(async () => {
    await browser.close();
    await stack.close();
  });
  watchTabs(() => [desk, plain]);

  it('a blocked subscriber, is found by name, seen with the reason, paid for, and seen to come back without a reload', async () => {
    const { page } = desk;
    await page.keyboard.press('/');
    await page.keyboard.type('Subscriber anna');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Subscriber anna', level: 1 }).waitFor();
    const access = page.locator('#access');
    expect(await access.innerText())
      .to.include('Denied')
      .and.match(/past due/);

    await page.getByRole('link', { name: 'Why can’t this person connect?' }).click();
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect(await page.locator('main').innerText()).to.match(/past due/);
    await page.goBack();

    await page.getByRole('link', { name: 'Take a payment' }).click();
    expect(await page.getByLabel('Amount').inputValue()).to.equal('30.00');
    await page.getByLabel('Reference').fill('receipt 4711');
    await page.getByRole('button', { name: 'Record the payment' }).click();
    await page.locator('#access .state-full').waitFor();
    await markPage();
    const accepted = await router.dial({ ...blocked });
    expect(accepted).to.include({ ok: true });
    await page.locator('#sessions-now').getByText('Online').waitFor();
    expect(await isSamePage(), 'by itself, not by a reload').to.equal(true);
  });

  it('a throttled live session, is seen to get its speed back by CoA while it stays online', async () => {
    const { page } = desk;
    const before = sessionOf(throttled);
    await page.goto(`${stack.url}/search?q=${encodeURIComponent("o'hara")}`);
    await page.getByRole('heading', { name: "Subscriber o'hara" }).waitFor();
    expect(await page.locator('#access').innerText()).to.include('Throttled');
    await page.getByRole('link', { name: 'Take a payment' }).click();
    await page.getByLabel('Reference').fill('receipt 4712');
    await page.keyboard.press('Enter');
    await page.locator('#access .state-full').waitFor();
    await markPage();
    await page
      .locator('#sessions-now')
      .getByText(/CoA.*paid/i)
      .waitFor();
    await stack.until('the full rate on the session', () => sessionOf(throttled)?.rate === '20M/100M');
    expect(sessionOf(throttled)?.key).to.equal(before?.key);
    expect(await isSamePage()).to.equal(true);
  });

  it('without scripts, the same payment works by plain forms', async () => {
    const { page } = plain;
    await plain.signIn(stack.url, 'rana', staffPassword);
    await page.getByRole('searchbox', { name: 'Search' }).fill('a+b');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Subscriber a+b' }).waitFor();
    expect(await page.locator('#access').innerText()).to.include('Walled garden');
    await page.getByRole('link', { name: 'Take a payment' }).click();
    // The same receipt as another subscriber's is refused, and nothing typed is lost.
    await page.getByLabel('Reference').fill('receipt 4711');
    await page.getByLabel('Amount').fill('31');
    await page.getByRole('button', { name: 'Record the payment' }).click();
    await page.getByRole('alert').waitFor();
    expect(await page.getByLabel('Amount').inputValue()).to.equal('31');
    await page.getByLabel('Reference').fill('receipt 4713');
    await page.getByRole('button', { name: 'Record the payment' }).click();
    await page.getByRole('heading', { name: 'Subscriber a+b' }).waitFor();
    await stack.until(
      'the session redialled into full service',
      () => sessionOf(walled)?.address.startsWith('10.64.') === true,
    );
    await page.reload();
    await page.locator('#access .state-full').waitFor();
    expect(await page.locator('#sessions-now').innerText()).to.include('Online');
  });

  const sessionOf = (who: Signed) => router.sessions().find((session) => session.username === who.username);
  const markPage = () => desk.page.evaluate('document.documentElement.dataset.kept = "yes"');
  const isSamePage = () => desk.page.evaluate<boolean>('document.documentElement.dataset.kept === "yes"');
});
