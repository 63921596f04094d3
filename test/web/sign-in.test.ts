import { expect } from 'chai';
import { setupCode } from '../../src/staff/setup-code.ts';
import { openTestWeb, staffPassword, type TestWeb } from '../support/web.ts';

describe('sign-in pages', () => {
  let web: TestWeb;
  before(async () => {
    web = await openTestWeb();
  });
  after(() => web.close());

  it('sign-in, where nobody is there yet, leads to the first-run page, which wants the set-up code', async () => {
    const visitor = web.visitor();
    expect((await visitor.get('/sign-in')).location).to.equal('/first-run');
    await visitor.get('/first-run');
    const owner = { name: 'Rina <b>Das</b>', username: 'rina', password: staffPassword };
    const refused = await visitor.post('/first-run', { ...owner, setup: 'guess' });
    expect(refused.status).to.equal(400);
    expect(refused.text).to.include('Rina &lt;b&gt;Das&lt;/b&gt;').and.include('field-setup');
    const made = await visitor.post('/first-run', { ...owner, setup: setupCode(web.app.vault) });
    expect(made.location).to.equal('/sign-in');
    expect((await visitor.get('/first-run')).location).to.equal('/sign-in');
  });

  it('sign-in, with the right password, goes where the person wanted to go', async () => {
    const visitor = web.visitor();
    const asked = await visitor.get('/account');
    expect(asked.location).to.equal('/sign-in?next=%2Faccount');
    await visitor.get('/sign-in?next=%2Faccount');
    const before = new Map(visitor.cookies);
    const answer = await visitor.post('/sign-in', {
      username: 'rina',
      password: staffPassword,
      next: '/account',
    });
    expect(answer.location).to.equal('/account');
    expect(before.has('sluice_session')).to.equal(false);
    const page = await visitor.get('/account');
    expect(page.status).to.equal(200);
    expect(page.text).to.include('Your account').and.include('Rina &lt;b&gt;Das&lt;/b&gt;');
  });

  it('sign-in, with a next that leads elsewhere, goes to the first page', async () => {
    for (const next of ['//evil.example', 'https://evil.example', '/\\evil.example', 'javascript:alert(1)']) {
      const visitor = web.visitor();
      await visitor.get('/sign-in');
      const answer = await visitor.post('/sign-in', { username: 'rina', password: staffPassword, next });
      expect(answer.location, next).to.equal('/');
    }
  });

  it('sign-in, with a wrong password, says so without saying which part, and keeps the name', async () => {
    const visitor = web.visitor();
    await visitor.get('/sign-in');
    const answer = await visitor.post('/sign-in', { username: 'rina', password: 'not this one' });
    expect(answer.status).to.equal(401);
    expect(answer.text).to.include('Username or password is wrong').and.include('value="rina"');
    expect(answer.text).to.not.include('not this one');
  });

  it('a change without the CSRF token, or with another, is refused and changes nothing', async () => {
    const visitor = await web.as('noc');
    for (const csrf of [null, 'forged']) {
      const answer = await visitor.post('/account/sessions/others', {}, { csrf });
      expect(answer.status).to.equal(403);
    }
  });

  it('sign-out, ends the session on the server too', async () => {
    const visitor = await web.as('noc');
    const cookie = visitor.cookies.get('sluice_session') ?? '';
    await visitor.get('/account');
    await visitor.post('/sign-out');
    visitor.cookies.set('sluice_session', cookie);
    expect((await visitor.get('/account')).location).to.equal('/sign-in?next=%2Faccount');
  });

  it('every page forbids inline scripts and framing, and is not cached', async () => {
    const answer = await web.visitor().get('/sign-in');
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).to.include("default-src 'self'").and.include("frame-ancestors 'none'");
    expect(policy).to.not.include('unsafe');
    expect(answer.headers.get('cache-control')).to.equal('no-store');
    expect(answer.text).to.not.match(/<script>|<script [^>]*>[^<]|style="| on[a-z]+="/);
  });

  it('a page that is not there says so with a number for the log', async () => {
    const answer = await web.visitor().get('/no/such/page');
    expect(answer.status).to.equal(404);
    expect(answer.text).to.include('There is no such page');
  });
});
