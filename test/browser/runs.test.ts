import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { saveSettings } from '../../src/db/settings.ts';
import { dayIn } from '../../src/domain/day.ts';
import { addStaff } from '../../src/staff/manage-staff.ts';
import { openBrowser, type Tab, type TestBrowser, watchTabs } from '../support/browser.ts';
import { openStack, type Signed, type Stack } from '../support/stack.ts';
import { staffPassword } from '../support/web.ts';

/** What a day at the desk is made of, in a real browser over the real servers: no part of Sluice stands aside. */
describe('in the browser: routers and runs', function () {
  this.timeout(90_000);
  let stack: Stack;
  let browser: TestBrowser;
  let finance: Tab;
  let owner: Tab;

  before(async () => {
    [stack, browser] = await Promise.all([
      openStack({ roles: ['web', 'worker', 'lane', 'radius-agent'] }),
      openBrowser(),
    ]);
    for (const [username, role] of [
      ['rana', 'finance'],
      ['omar', 'owner'],
    ] as const) {
      await addStaff(stack.ctx, { username, name: username, role, password: staffPassword });
    }
    [finance, owner] = await Promise.all([browser.open(), browser.open()]);
  });
  after(async () => {
    await browser.close();
    await stack.close();
  });
  watchTabs(() => [finance, owner]);

  it('sign-in, of a wrong password, says so and keeps the name; of the right one, leads to where one wanted to go', async () => {
    const { page } = finance;
    await page.goto(`${stack.url}/runs`);
    await page.getByLabel('Username').fill('rana');
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    expect(await page.getByLabel('Username').inputValue()).to.equal('rana');
    await page.getByLabel('Password').fill(staffPassword);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Overdue runs' }).waitFor();
    expect(new URL(page.url()).pathname).to.equal('/runs');
    await owner.signIn(stack.url, 'omar', staffPassword);
  });

  it('the search field, is focused by a slash from anywhere but a field', async () => {
    const { page } = owner;
    await page.goto(`${stack.url}/routers/new`);
    await page.locator('body').press('/');
    expect(await focusedId(owner)).to.equal('search');
    await page.getByLabel('Name', { exact: true }).press('/');
    expect(await focusedId(owner)).to.equal('field-name');
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).to.equal('/');
  });

  it('a form that is refused, keeps what was typed and says what is wrong beside the field', async () => {
    const { page } = owner;
    await page.goto(`${stack.url}/routers/new`);
    await page.getByLabel('Name', { exact: true }).fill('pop-north');
    await page.getByLabel('Address').fill('10.0.0.999');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).to.equal('pop-north');
    expect(await page.getByLabel('Address').inputValue()).to.equal('10.0.0.999');
    expect(await page.locator('#field-address.is-invalid').count()).to.equal(1);
  });

  it('a router, is added on its page and seen to be heard once it speaks with that secret', async () => {
    const { page } = owner;
    const lab = await stack.unknownRouter('pop-east', { secret: 'typed-in-the-browser', interimSeconds: 1 });
    await page.goto(`${stack.url}/routers`);
    await page.getByRole('link', { name: 'Add a router' }).click();
    await page.getByLabel('Name', { exact: true }).fill('pop-east');
    await page.getByLabel('Address').fill(lab.address);
    await page.getByLabel('Secret').fill('typed-in-the-browser');
    await page.getByLabel('CoA port').fill(String(lab.coaPort));
    await page.getByRole('button', { name: 'Add the router' }).click();
    await page.getByText('The router is added').waitFor();
    expect(await page.locator('pre').textContent()).to.include('typed-in-the-browser');
    const path = await page.getByRole('link', { name: 'Edit' }).getAttribute('href');
    const anna = await stack.subscriber('anna', { billingProfile: 'throttle' });
    await stack.until('the new router is answered', async () => (await lab.dial({ ...anna })).ok);
    await lab.accountingIdle();
    await stack.until('the page says Heard', async () => {
      await page.goto(`${stack.url}${(path ?? '').replace('/edit', '')}`);
      return (await page.locator('.page-head .state').textContent())?.includes('Heard') === true;
    });
    expect(await page.locator('pre').count(), 'the secret is shown once').to.equal(0);
  });

  it('a run, is previewed, one excluded, approved by another, applied, watched, looked at and rolled back', async () => {
    const { page } = finance;
    await saveSettings(stack.t.db, { overdueLimitCount: 1 }, stack.clock.now());
    const router = await stack.router('pop-1', { interimSeconds: 1 });
    const who = await threeDebtors(stack);
    for (const one of who) expect(await router.dial({ ...one })).to.include({ ok: true });

    await page.goto(`${stack.url}/runs`);
    await page.getByRole('button', { name: 'Plan a run' }).click();
    await page.getByText('would suspend 3 of').first().waitFor();
    const run = page.url();
    await page.getByRole('checkbox', { name: 'Subscriber carla' }).check();
    await page.locator('#field-note').fill('in hospital');
    await page.getByRole('button', { name: 'Exclude those ticked' }).click();
    await page.getByText('1 subscription excluded').waitFor();
    expect(await page.getByRole('button', { name: 'Approve' }).count(), 'one’s own run').to.equal(0);

    await owner.page.goto(run);
    await owner.page.getByRole('button', { name: 'Approve this run' }).click();
    await owner.page.getByText('Approved. It can be applied now.').waitFor();

    await page.goto(run);
    await page.getByRole('button', { name: 'Suspend 2 subscriptions' }).click();
    await page.getByRole('button', { name: 'Roll back 2 subscriptions' }).waitFor();
    await stack.until('both sessions ended', () => names(router).join() === 'carla');
    await page.reload();
    await page.getByText('in hospital').first().waitFor();
    await page.locator('#evidence').waitFor();

    await page.locator('#field-rollbackNote').fill('the bank file was late');
    await page.getByRole('button', { name: 'Roll back 2 subscriptions' }).click();
    await page.getByText('the bank file was late').waitFor();
    for (const one of who) {
      await stack.until(
        `${one.username} is back`,
        async () => names(router).includes(one.username) || (await router.dial({ ...one })).ok,
      );
    }
  });

  async function focusedId(tab: Tab): Promise<string> {
    return tab.page.evaluate<string>('document.activeElement.id');
  }
});

const names = (router: { sessions(): readonly { username: string }[] }) =>
  router.sessions().map((session) => session.username);

/** Invoiced a month ago, not paid. */
async function threeDebtors(stack: Stack): Promise<Signed[]> {
  stack.clock.daysAgo(30);
  const who = [
    await stack.subscriber('berta', { billingProfile: 'block' }),
    await stack.subscriber('carla', { billingProfile: 'block' }),
    await stack.subscriber("o'hara", { billingProfile: 'block' }),
  ];
  await applyInvoiceRun(stack.ctx, { asOf: dayIn('UTC', stack.clock.now()) });
  stack.clock.daysAgo(0);
  return who;
}
