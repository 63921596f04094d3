import { expect } from 'chai';
import { aLogin, aRouter } from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('pages of the NOC', () => {
  let web: TestWeb;
  let noc: Visitor;
  let sessionId: string;

  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:00Z');
    noc = await web.as('noc');
    const { db } = web.t;
    const router = await aRouter(db, { name: 'pop-1', vault: web.app.vault });
    await aLogin(db, { username: "o'hara", vault: web.app.vault });
    const [open] = await db('radacct').insert({
      acctsessionid: '81000001',
      acctuniqueid: 'a'.repeat(32),
      username: "o'hara",
      nasipaddress: router.address,
      router_id: router.id,
      acctstarttime: '2026-05-01 09:00:00',
      acctupdatetime: '2026-05-01 09:59:00',
      callingstationid: '02:5A:00:00:00:01',
      framedipaddress: '10.64.0.9',
    });
    sessionId = String(open);
    await db('radacct').insert({
      acctsessionid: '81000000',
      acctuniqueid: 'b'.repeat(32),
      username: 'earlier',
      nasipaddress: router.address,
      router_id: router.id,
      acctstarttime: '2026-04-30 09:00:00',
      acctupdatetime: '2026-04-30 10:00:00',
      acctstoptime: '2026-04-30 10:00:00',
      stop_seen: true,
      callingstationid: '02:5A:00:00:00:02',
      framedipaddress: '10.64.0.9',
    });
  });
  after(() => web.close());

  it('dashboard, on an installation with little in it, shows its figures', async () => {
    const page = await noc.get('/');
    expect(page.status).to.equal(200);
    expect(page.text).to.include('Online now').and.include('Needs attention');
  });

  it('sessions, lists the open ones, finds one by MAC, and exports them', async () => {
    expect((await noc.get('/sessions')).text)
      .to.include('10.64.0.9')
      .and.include('pop-1');
    expect((await noc.get('/sessions?q=02:5a:00:00:00:01')).text).to.include('10.64.0.9');
    expect((await noc.get('/sessions?q=somebody-else')).text).to.not.include('10.64.0.9');
    expect((await noc.get('/sessions.csv')).text).to.include("o'hara");
  });

  it('routers, says when accounting last came, although nothing was ever sent to them', async () => {
    expect(await web.t.db('router_lane').select('router_id')).to.have.length(0);
    const list = await noc.get('/routers');
    expect(list.text).to.match(/datetime="2026-05-01T09:59:00\.000Z"[^>]*>1 minute ago/);
    await web.t
      .db('radacct')
      .where({ radacctid: sessionId })
      .update({ acctupdatetime: '2026-05-01 09:30:00' });
    expect((await noc.get('/routers')).text).to.include('30 minutes ago');
    const unheard = await aRouter(web.t.db, { name: 'pop-2', address: '192.0.2.77', vault: web.app.vault });
    expect((await noc.get(`/routers/${unheard.id}`)).text).to.match(
      /Last accounting<\/dt><dd><span[^>]*>never/,
    );
  });

  it('kick, is confirmed first, and then a wish with its note', async () => {
    const asked = await noc.post('/sessions/kick', { session: sessionId });
    expect(asked.text).to.include('name="confirmed"').and.include('10.64.0.9');
    expect(await web.t.db('kick').select('radacctid')).to.have.length(0);
    const done = await noc.post('/sessions/kick', {
      session: sessionId,
      confirmed: 'yes',
      note: 'test of the line',
    });
    expect(done.status).to.equal(303);
    expect(await web.t.db('kick').pluck<string[]>('radacctid')).to.deep.equal([sessionId]);
    expect(await web.t.db('reconcile_queue').where({ kind: 'session' }).pluck<string[]>('key')).to.deep.equal(
      [sessionId],
    );
    const reader = await web.as('read_only');
    expect((await reader.post('/sessions/kick', { session: sessionId })).status).to.equal(403);
  });

  it('ended sessions, by username, finds them', async () => {
    expect((await noc.get('/sessions/history?username=earlier')).text).to.include('02:5A:00:00:00:02');
  });

  it('who had an address, at two times, names two people', async () => {
    const at = (time: string) =>
      noc.get(`/sessions/who-had?address=10.64.0.9&at=${encodeURIComponent(time)}`);
    expect((await at('2026-04-30T09:30:00')).text)
      .to.include('earlier')
      .and.not.include('o&#x27;hara</');
    expect((await at('2026-05-01T09:30:00')).text).to.include('02:5A:00:00:00:01');
    expect((await noc.get('/sessions/who-had?address=300.1.1.1&at=2026-05-01T09:30:00')).text).to.include(
      'is-invalid',
    );
  });

  it('needs attention, lists a parked key; retry makes it due, giving up wants a note', async () => {
    await web.t.db('reconcile_queue').update({ is_parked: true, attempts: 12, last_error: 'timeout' });
    const [id] = await web.t.db('reconcile_queue').pluck<string[]>('id');
    expect((await noc.get('/attention')).text).to.include('timeout');
    expect((await noc.post(`/attention/keys/${id ?? ''}/give-up`, { note: '' })).status).to.equal(400);
    expect((await noc.post(`/attention/keys/${id ?? ''}/retry`)).status).to.equal(303);
    expect(await web.t.db('reconcile_queue').pluck<number[]>('is_parked')).to.deep.equal([0]);
  });

  it('needs attention, with more of a kind than one page holds, says how many and pages through all of them', async () => {
    const { db } = web.t;
    await db('reconcile_queue').del();
    await db('reconcile_queue').insert(
      Array.from({ length: 130 }, (_, n) => ({
        kind: n < 70 ? 'login' : 'session',
        key: 1000 + n,
        version: 1,
        priority: n % 3,
        not_before: `2026-04-30 00:00:${String(n % 7).padStart(2, '0')}`,
        is_parked: true,
        attempts: 12,
        last_error: `fault ${n}.`,
        requested_by: 'test',
        requested_at: '2026-04-30 00:00:00',
      })),
    );
    const first = await noc.get('/attention');
    expect(first.text).to.include('(130)').and.include('The first 25').and.include('all 130');
    expect(faultsIn(first.text)).to.have.length(25);
    const seen: string[] = [];
    let path: string | undefined = '/attention?show=keys';
    for (let pages = 0; path !== undefined && pages < 5; pages++) {
      const { text, status } = await noc.get(path);
      expect(status).to.equal(200);
      seen.push(...faultsIn(text));
      path = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=');
    }
    expect(path).to.equal(undefined);
    expect(seen).to.have.length(130);
    expect(new Set(seen).size).to.equal(130);
    expect((await noc.get('/attention?show=subscriptions')).text).to.include('Nothing of this kind any more');
    expect((await noc.get('/attention?show=keys&after=bm9uc2Vuc2U')).status).to.equal(200);
  });
});

function faultsIn(html: string): string[] {
  return [...html.matchAll(/fault (\d+)\./g)].map(([, number = '']) => number);
}
