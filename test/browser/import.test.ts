import { expect } from 'chai';
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addStaff } from '../../src/staff/manage-staff.ts';
import { faultsOfPage } from '../support/axe.ts';
import { openBrowser, type Tab, type TestBrowser, watchTabs } from '../support/browser.ts';
import { openStack, type Stack } from '../support/stack.ts';
import { staffPassword } from '../support/web.ts';

/** A village that is taken over from another provider: its list comes as a file, with mistakes in it. */
describe('in the browser: subscribers from a file', function () {
  this.timeout(90_000);
  let stack: Stack;
  let browser: TestBrowser;
  let desk: Tab;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-import-'));
    [stack, browser] = await Promise.all([
      openStack({ roles: ['web', 'worker', 'radius-agent'] }),
      openBrowser(),
    ]);
    await addStaff(stack.ctx, { username: 'noor', name: 'Noor', role: 'noc', password: staffPassword });
    desk = await browser.open();
    await desk.signIn(stack.url, 'noor', staffPassword);
  });
  after(async () => {
    await browser.close();
    await stack.close();
    rmSync(folder, { recursive: true, force: true });
  });
  watchTabs(() => [desk]);

  const send = async (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    await desk.page.goto(`${stack.url}/subscribers/import`);
    await desk.page.getByLabel('CSV file').setInputFiles(join(folder, name));
    await desk.page.getByRole('button', { name: 'Look it over' }).click();
    await desk.page.getByRole('heading', { name, level: 1 }).waitFor();
  };

  it('a file with mistakes, is looked over, its good rows imported, the rest mended and imported, and they can dial', async () => {
    const { page } = desk;
    await send(
      'village.csv',
      [
        'name,username,password,package,billing_profile,phone',
        'Amina Haddad,amina,first-pass,fast,block,0551 234 567',
        'Bilal Saleh,bilal,second-pass,fast,block,',
        'Carla Malik,amina,third-pass,fast,block,',
        'Dora Khan,dora,fourth-pass,no such package,block,',
      ].join('\n'),
    );
    const page1 = await page.locator('main').innerText();
    expect(page1).to.include('2 good').and.include('2 with faults').and.include('no such package');
    expect(await faultsOfPage(page)).to.deep.equal([]);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Rows with faults, to mend' }).click(),
    ]);
    const bad = readFileSync(await download.path(), 'utf8');
    expect(bad).to.include('Carla Malik').and.include('Dora Khan').and.not.include('Bilal');

    await page.getByRole('button', { name: 'Import 2 good rows' }).click();
    await page.getByText('2 added, 0 failed').waitFor();

    await send('mended.csv', bad.replace('amina', 'carla').replace('no such package', 'slow'));
    await page.getByRole('button', { name: 'Import 2 good rows' }).click();
    await page.getByText('2 added, 0 failed').waitFor();
    expect(await faultsOfPage(page)).to.deep.equal([]);

    const router = await stack.router('pop-1');
    for (const [username, password] of [
      ['amina', 'first-pass'],
      ['bilal', 'second-pass'],
      ['carla', 'third-pass'],
      ['dora', 'fourth-pass'],
    ] as const) {
      await stack.until(`${username} dials`, async () => (await router.dial({ username, password })).ok);
    }
    await page.goto(`${stack.url}/search?q=Dora+Khan`);
    await page.getByRole('heading', { name: 'Dora Khan', level: 1 }).waitFor();
  });
});
