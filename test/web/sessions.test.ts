import { expect } from 'chai';
import { saveSettings } from '../../src/db/settings.ts';
import { aLogin, aRouter } from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

/** Links to the next page, as a browser reads them. */
const nextOf = (text: string) =>
  /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&').replaceAll('&#x3D;', '=');
const idsIn = (text: string) =>
  [...text.matchAll(/<td><a href="\/sessions\/(\d+)">/g)].map(([, id = '']) => id);

describe('session pages', function () {
  this.timeout(60_000);
  let web: TestWeb;
  let noc: Visitor;
  let routers: string[];
  let count = 0;

  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:00Z');
    noc = await web.as('noc');
    const { db } = web.t;
    await saveSettings(db, { zone: 'Europe/Berlin' }, web.clock.now());
    routers = [];
    for (const name of ['north', 'south'])
      routers.push((await aRouter(db, { name, vault: web.app.vault })).id);
    for (const [username, access] of [
      ['thr.one', 'throttled'],
      ['thr.two', 'throttled'],
      ['wal.one', 'walled_garden'],
      ['a_b', 'full'],
      ['axb', 'full'],
    ] as const) {
      const { id } = await aLogin(db, { username, vault: web.app.vault });
      await db('access_decision').insert({
        login_id: id,
        access,
        reason: access === 'full' ? 'paid_up' : 'invoice_overdue',
        generation: 1,
        access_fingerprint: 'a',
        redial_fingerprint: 'b',
        coa_attributes: '[["Mikrotik-Rate-Limit","5M/20M 8M/30M 4M/16M 16/16"]]',
        decided_at: '2026-05-01 09:00:00',
        requested_by: 'test',
      });
    }
  });
  after(() => web.close());
  beforeEach(() => web.t.db('radacct').del());

  async function session(given: Record<string, unknown> = {}): Promise<string> {
    const n = ++count;
    const [id] = await web.t.db('radacct').insert({
      acctsessionid: `8100${n}`,
      acctuniqueid: String(n).padStart(32, '0'),
      username: `person${n}`,
      router_id: routers[n % 2],
      acctstarttime: '2026-05-01 09:00:00',
      acctupdatetime: '2026-05-01 09:59:00',
      callingstationid: `02:5A:00:00:${String(Math.floor(n / 100)).padStart(2, '0')}:${String(n % 100).padStart(2, '0')}`,
      framedipaddress: `10.64.0.${n % 250}`,
      ...given,
    });
    return String(id);
  }

  describe('open ones', () => {
    it('several pages of them, are each shown once, the newest first, and all of them exported', async () => {
      const ids: string[] = [];
      for (let n = 0; n < 120; n++) ids.unshift(await session());
      const seen: string[] = [];
      let path: string | undefined = '/sessions';
      for (let pages = 0; path !== undefined && pages < 5; pages++) {
        const { text } = await noc.get(path);
        seen.push(...idsIn(text));
        path = nextOf(text);
      }
      expect(seen).to.deep.equal(ids);
      const csv = (await noc.get('/sessions.csv')).text.trim().split('\n');
      expect(csv).to.have.length(121);
    });

    it('of one router, keep that filter on the next page and in the file', async () => {
      for (let n = 0; n < 110; n++) await session();
      const mine = new Set(
        await web.t.db('radacct').where({ router_id: routers[0] }).pluck<string[]>('radacctid'),
      );
      const first = await noc.get(`/sessions?router=${routers[0] ?? ''}`);
      const second = await noc.get(nextOf(first.text) ?? '');
      const seen = [...idsIn(first.text), ...idsIn(second.text)];
      expect(new Set(seen)).to.deep.equal(mine);
      expect(first.text).to.match(/value="\d+" selected>north/);
      const csv = (await noc.get(`/sessions.csv?router=${routers[0] ?? ''}`)).text.trim().split('\n');
      expect(csv).to.have.length(56);
    });

    it('of the throttled, are theirs alone, also within one router; an access that there is not is all', async () => {
      const one = await session({ username: 'thr.one', router_id: routers[0] });
      const two = await session({ username: 'thr.two', router_id: routers[1] });
      const wall = await session({ username: 'wal.one', router_id: routers[0] });
      expect(idsIn((await noc.get('/sessions?access=throttled')).text)).to.have.members([one, two]);
      expect(
        idsIn((await noc.get(`/sessions?access=throttled&router=${routers[0] ?? ''}`)).text),
      ).to.deep.equal([one]);
      expect(idsIn((await noc.get('/sessions?access=walled_garden')).text)).to.deep.equal([wall]);
      expect(idsIn((await noc.get('/sessions?access=nonsense')).text)).to.have.length(3);
    });

    it('not heard of, are those silent for three of their own intervals', async () => {
      const stale = await session({ acctupdatetime: '2026-05-01 09:40:00' });
      const fresh = await session({ acctupdatetime: '2026-05-01 09:50:00' });
      const slow = await session({ username: 'a_b', acctupdatetime: '2026-05-01 09:20:00' });
      await web.t
        .db('radreply')
        .insert({ username: 'a_b', attribute: 'Acct-Interim-Interval', value: '1800' });
      const shown = idsIn((await noc.get('/sessions?access=stale')).text);
      expect(shown).to.include(stale).and.not.include(fresh);
      expect(shown).to.not.include(slow);
      await web.t.db('radreply').del();
    });

    it('searched, take what is typed as it stands: no character of it is a pattern', async () => {
      const meant = await session({ username: 'a_b' });
      await session({ username: 'axb' });
      expect(idsIn((await noc.get('/sessions?q=a_b')).text)).to.deep.equal([meant]);
      expect(idsIn((await noc.get('/sessions?q=%25')).text)).to.deep.equal([]);
      expect(idsIn((await noc.get('/sessions?q=A_B')).text)).to.deep.equal([meant]);
    });

    it('searched by part of a MAC address or an address, find the open ones only', async () => {
      const open = await session({ callingstationid: '02:AA:BB:00:00:01', framedipaddress: '10.99.1.7' });
      await session({
        callingstationid: '02:AA:BB:00:00:02',
        framedipaddress: '10.99.1.8',
        acctstoptime: '2026-05-01 09:30:00',
      });
      expect(idsIn((await noc.get('/sessions?q=02:aa:bb')).text)).to.deep.equal([open]);
      expect(idsIn((await noc.get('/sessions?q=10.99.1.')).text)).to.deep.equal([open]);
    });

    it('say the speed without its burst in the list, and all of it on their own page', async () => {
      const id = await session({ username: 'thr.one' });
      expect((await noc.get('/sessions')).text).to.include('>5M/20M</span>');
      const page = await noc.get(`/sessions/${id}`);
      expect(page.text).to.include('5M/20M 8M/30M 4M/16M 16/16').and.include('then burst');
      expect((await noc.get('/sessions/999999')).status).to.equal(404);
      expect((await noc.get('/sessions/0x1')).status).to.equal(404);
    });

    it('a cursor that nobody made here, is the first page', async () => {
      const id = await session();
      for (const cursor of ['x', 'W10', Buffer.from('["1; DROP","2","3"]').toString('base64url')]) {
        const answer = await noc.get(`/sessions?after=${cursor}`);
        expect(answer.status, cursor).to.equal(200);
        expect(idsIn(answer.text), cursor).to.deep.equal([id]);
      }
    });
  });

  describe('ended ones', () => {
    it('are filtered by username, device, router and day in the operator’s zone, and paged', async () => {
      const ended = (stop: string, more: Record<string, unknown> = {}) =>
        session({ acctstarttime: '2026-04-29 10:00:00', acctstoptime: stop, stop_seen: true, ...more });
      // Midnight in Berlin is ten in the evening in UTC.
      const before = await ended('2026-04-29 21:59:59');
      const on = await ended('2026-04-29 22:00:00', { username: 'on.the.day' });
      const last = await ended('2026-04-30 21:59:59', { callingstationid: '02:00:00:00:00:99' });
      const after = await ended('2026-04-30 22:00:00');
      await session();
      const of = async (query: string) => idsIn((await noc.get(`/sessions/history${query}`)).text);
      expect(await of('')).to.deep.equal([after, last, on, before]);
      expect(await of('?day=2026-04-30')).to.deep.equal([last, on]);
      expect(await of('?username=ON.the.day')).to.deep.equal([on]);
      expect(await of('?mac=02-00-00-00-00-99')).to.deep.equal([last]);
      expect(await of('?username=on.the.day&day=2026-04-29')).to.deep.equal([]);
      for (let n = 0; n < 60; n++) await ended('2026-04-28 10:00:00');
      const first = await noc.get('/sessions/history');
      const second = await noc.get(nextOf(first.text) ?? '');
      expect(new Set([...idsIn(first.text), ...idsIn(second.text)]).size).to.equal(64);
    });

    it('asked for with what is no MAC address or day, say so beside the field and keep it', async () => {
      const answer = await noc.get('/sessions/history?mac=zz&day=2026-02-30');
      expect(answer.status).to.equal(400);
      expect(answer.text)
        .to.include('value="zz"')
        .and.include('href="#field-mac"')
        .and.include('href="#field-day"');
    });
  });

  describe('who had an address', () => {
    const ask = (address: string, at: string, file = '') =>
      noc.get(`/sessions/who-had${file}?address=${encodeURIComponent(address)}&at=${encodeURIComponent(at)}`);

    it('names who had it then, in the operator’s zone, and nobody who had it before or after', async () => {
      const closed = { stop_seen: true, framedipaddress: '10.70.0.1' };
      await session({
        ...closed,
        username: 'early',
        acctstarttime: '2026-04-30 06:00:00',
        acctupdatetime: '2026-04-30 08:00:00',
        acctstoptime: '2026-04-30 08:00:00',
      });
      await session({
        ...closed,
        username: 'late',
        acctstarttime: '2026-04-30 08:00:01',
        acctupdatetime: '2026-04-30 12:00:00',
        acctstoptime: '2026-04-30 12:00:00',
      });
      // Two hours ahead of UTC in April.
      expect((await ask('10.70.0.1', '2026-04-30T09:30')).text)
        .to.include('early')
        .and.not.include('>late<');
      expect((await ask('10.70.0.1', '2026-04-30T10:30')).text)
        .to.include('late')
        .and.not.include('>early<');
      const nobody = await ask('10.70.0.1', '2026-04-30T20:00');
      expect(nobody.text).to.not.include('>late<').and.not.include('>early<');
      expect(nobody.status).to.equal(200);
      const csv = (await ask('10.70.0.1', '2026-04-30T09:30', '.csv')).text;
      expect(csv).to.include('2026-04-30T07:30:00.000Z,certain').and.include('early');
    });

    it('a session that nobody closed, is certain up to its last word and perhaps a little after', async () => {
      await session({
        username: 'unsure',
        framedipaddress: '10.70.0.2',
        acctstarttime: '2026-04-30 08:00:00',
        acctupdatetime: '2026-04-30 09:00:00',
      });
      const csv = async (at: string) => (await ask('10.70.0.2', at, '.csv')).text;
      expect(await csv('2026-04-30T11:00')).to.include(',certain,');
      expect(await csv('2026-04-30T11:10')).to.include(',perhaps,');
      expect(await csv('2026-04-30T11:20')).to.not.include('unsure');
    });

    it('an hour that a clock set back showed twice, is answered for both', async () => {
      await session({
        username: 'first.time',
        framedipaddress: '10.70.0.3',
        acctstarttime: '2025-10-26 00:10:00',
        acctupdatetime: '2025-10-26 00:50:00',
        acctstoptime: '2025-10-26 00:50:00',
        stop_seen: true,
      });
      await session({
        username: 'second.time',
        framedipaddress: '10.70.0.3',
        acctstarttime: '2025-10-26 01:10:00',
        acctupdatetime: '2025-10-26 01:50:00',
        acctstoptime: '2025-10-26 01:50:00',
        stop_seen: true,
      });
      const { text } = await ask('10.70.0.3', '2025-10-26T02:30');
      expect(text).to.include('first.time').and.include('second.time');
      const gone = await ask('10.70.0.3', '2026-03-29T02:30');
      expect(gone.status).to.equal(400);
      expect(gone.text).to.include('did not exist that day');
    });

    it('an IPv6 address, is found in the prefix that was delegated, however either is written', async () => {
      await session({ username: 'six', delegatedipv6prefix: '2001:db8:7:ab00::/56', framedipaddress: '' });
      const { text } = await ask('2001:DB8:7:ab12:0:0:0:1', '2026-05-01T11:30');
      expect(text).to.include('>six<');
      expect((await ask('2001:db8:8::1', '2026-05-01T11:30')).text).to.not.include('>six<');
    });

    it('with what is no address or no time, says which, and keeps both; the file is not half a one', async () => {
      for (const file of ['', '.csv']) {
        const answer = await ask('300.1.1.1', '2026-99-01T10:00', file);
        expect(answer.status).to.equal(400);
        expect(answer.text).to.include('value="300.1.1.1"').and.include('href="#field-address"');
        expect(answer.text).to.include('href="#field-at"').and.include('<!doctype html>');
      }
      expect((await noc.get('/sessions/who-had')).status).to.equal(200);
    });

    it('by who may not see sessions, is refused', async () => {
      const visitor = web.visitor();
      expect((await visitor.get('/sessions/who-had?address=10.70.0.1&at=2026-04-30T09:30')).status).to.equal(
        303,
      );
    });
  });
});
