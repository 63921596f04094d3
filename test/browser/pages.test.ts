import { expect } from 'chai';
import { fillBigIsp } from '../../scripts/bench/big-isp.ts';
import { backgroundEnds } from '../../src/web/background.ts';
import { routes } from '../../src/web/routes.ts';
import { faultsOfPage } from '../support/axe.ts';
import { openBrowser, type Tab, type TestBrowser } from '../support/browser.ts';
import { type Step, theStart, walk } from '../support/walk.ts';
import { openTestWeb, staffPassword, type TestWeb, type Visitor } from '../support/web.ts';

const weightMax = 100_000;

/** Every page there is, over a database in which every table has rows: reached by its links, looked at by axe. */
describe('in the browser: every page', function () {
  this.timeout(180_000);
  let web: TestWeb;
  let browser: TestBrowser;
  let steps: Step[];

  before(async () => {
    [web, browser] = await Promise.all([openTestWeb(), openBrowser()]);
    await fillBigIsp({ db: web.t.db, subscribers: 2000, sessions: 6000, now: web.clock.now() });
    await nameOfSixtyFour(web);
    const owner = await web.as('owner');
    await actsOnMany(web, owner);
    steps = await walk({ url: web.url, cookies: owner.cookies, routes, starts: startsOf(), perRoute: 1 });
  });
  after(async () => {
    await browser.close();
    await web.close();
  });

  it('no link leads nowhere', () => {
    const dead = steps.filter(
      (step) =>
        step.status >= 500 || (step.from !== theStart && (step.status >= 400 || step.route === undefined)),
    );
    expect(dead.map((step) => `${step.path} answers ${step.status}, linked from ${step.from}`)).to.deep.equal(
      [],
    );
  });

  it('every page can be reached, and weighs less than 100 kB', () => {
    const reached = new Set(steps.filter((step) => step.status < 400).map((step) => step.route?.path));
    const missed = routes.filter((route) => route.method === 'get' && !reached.has(route.path));
    const known = missed.filter((route) => !hasRowsElsewhere.some((path) => route.path.startsWith(path)));
    expect(known.map((route) => route.path)).to.deep.equal([]);
    const heavy = steps.filter((step) => step.type.startsWith('text/html') && step.text.length > weightMax);
    expect(heavy.map((step) => `${step.path} ${step.text.length}`)).to.deep.equal([]);
  });

  it('every page is accessible in both themes, fits a phone, and has no fault in its scripts', async () => {
    const paths = pathsToLookAt(steps);
    expect(paths.length).to.be.greaterThan(20);
    const faults: string[] = [];
    const tabs = await Promise.all([browser.open(), browser.open()]);
    await Promise.all(
      tabs.map(async (tab) => {
        await tab.signIn(web.url, 'the-owner', staffPassword);
        for (let path = paths.shift(); path !== undefined; path = paths.shift()) {
          faults.push(...(await lookAt(tab, web.url, path)));
        }
      }),
    );
    if (faults.length > 0) throw new Error(`${faults.length} faults\n${faults.sort().join('\n')}`);
  });

  it('the pages before the sign-in are accessible too', async () => {
    const tab = await browser.open();
    expect(await lookAt(tab, web.url, '/sign-in')).to.deep.equal([]);
    await tab.close();
  });
});

/** These have rows only where something is done: the stories look at them. */
const hasRowsElsewhere = ['/imports/:id/passwords.csv', '/sign-in', '/first-run'];

/** Of these, several states look different. */
const inEachState = /^\/(bulk|imports|runs)\/\d+$/;

async function lookAt(tab: Tab, url: string, path: string): Promise<string[]> {
  await tab.page.goto(url + path);
  const found = await faultsOfPage(tab.page);
  return [...found, ...tab.faults.splice(0)].map((fault) => `${path}: ${fault}`);
}

/** One of each page; of lists also the empty one, which has other words in it. */
function pathsToLookAt(steps: readonly Step[]): string[] {
  const chosen = new Map<string, string>();
  for (const step of steps) {
    if (step.isPart || step.status !== 200 || !step.type.startsWith('text/html')) continue;
    const path = step.route?.path ?? step.path;
    const kind = inEachState.test(step.path)
      ? step.path
      : /no-such|nobody/.test(step.path)
        ? `${path} empty`
        : path;
    if (!chosen.has(kind)) chosen.set(kind, step.path);
  }
  return [...chosen.values()];
}

/** Every page that needs no number, and those that do with numbers that some rows have. */
function startsOf(): string[] {
  const paths = routes
    .filter((route) => route.method === 'get')
    .flatMap((route) =>
      route.path.includes(':')
        ? ['1', '2', '3', '30'].map((id) => route.path.replaceAll(/:[A-Za-z]+/g, id))
        : [route.path],
    );
  return [...paths, '/runs/1/subscribers/30', '/search?q=amina', '/search?q=nobody+at+all', '/why?q=u7'];
}

/** An act on many that waits, one that is done, and a file that waits for its review with good rows and bad ones. */
async function actsOnMany(web: TestWeb, owner: Visitor): Promise<void> {
  for (const kind of ['hold', 'change_package', 'reconcile']) {
    await owner.get('/subscribers');
    const draft = await owner.post('/subscribers/bulk', { kind, scope: 'filter', filter: 'state=throttled' });
    expect(draft.status).to.equal(303);
    if (kind !== 'reconcile') continue;
    await owner.get(draft.location ?? '');
    await owner.post(`${draft.location ?? ''}/start`, { note: 'looked at' });
  }
  await backgroundEnds(web.app);
  const names = await web.t.db('package').orderBy('id').pluck<string[]>('name');
  const [profile = ''] = await web.t.db('billing_profile').orderBy('id').pluck<string[]>('name');
  const rows = Array.from({ length: 30 }, (_, n) =>
    n % 4 === 0 ? `Bad ${n},x y,Nope,${profile}` : `Good ${n},imported${n},${names[0] ?? ''},${profile}`,
  );
  const file = ['name,username,package,billing_profile', ...rows].join('\n');
  for (const isStarted of [false, true]) {
    const location = await upload(web, owner, isStarted ? file.replaceAll('imported', 'taken') : file);
    if (!isStarted) continue;
    await owner.get(location);
    await owner.post(`${location}/start`);
  }
  await backgroundEnds(web.app);
}

async function upload(web: TestWeb, owner: Visitor, text: string): Promise<string> {
  const page = await owner.get('/subscribers/import');
  const form = new FormData();
  form.set('_csrf', /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '');
  form.set('file', new Blob([text], { type: 'text/csv' }), 'people.csv');
  const cookie = [...owner.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const answer = await fetch(`${web.url}/subscribers/import`, {
    method: 'POST',
    body: form,
    redirect: 'manual',
    headers: { cookie },
  });
  expect(answer.status).to.equal(303);
  return answer.headers.get('location') ?? '';
}

async function nameOfSixtyFour(web: TestWeb): Promise<void> {
  const long = 'Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissen1';
  await web.t
    .db('subscriber')
    .where({ id: 1 })
    .update({ name: `${long} ${long.slice(0, 50)}` });
  await web.t.db('login').where({ id: 1 }).update({ username: long.toLowerCase() });
}
