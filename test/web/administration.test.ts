import { expect } from 'chai';
import { sealActivity } from '../../src/db/activity-seal.ts';
import { recordActivity } from '../../src/db/activity.ts';
import { readSettings } from '../../src/db/settings.ts';
import { parseDay } from '../../src/domain/day.ts';
import { aLogin, aRouter, aSubscriber } from '../support/builders.ts';
import { openTestWeb, staffPassword, type TestWeb, type Visitor } from '../support/web.ts';

describe('administration pages', () => {
  let web: TestWeb;
  let owner: Visitor;

  before(async () => {
    web = await openTestWeb('2026-05-01T10:00:00Z');
    owner = await web.as('owner');
  });
  after(() => web.close());

  describe('settings', () => {
    it('list, has every setting with its value, meaning and unit', async () => {
      const { text } = await owner.get('/settings');
      for (const name of Object.keys(await readSettings(web.t.db))) {
        expect(text, name).to.include(`href="/settings/${name}"`);
      }
      expect(text).to.include('1000M/1000M').and.include('as delivered').and.include('IANA name');
    });

    it('change, of a list on the routers, says whom it reaches and asks for every login', async () => {
      await aLogin(web.t.db);
      const form = await owner.get('/settings/fullList');
      expect(form.text)
        .to.include('(1 of them)')
        .and.include('dial again')
        .and.include('value="sluice-full"');
      const bad = await owner.post('/settings/fullList', { value: 'two words' });
      expect(bad.status).to.equal(400);
      expect(bad.text).to.include('letters, digits, dots').and.include('value="two words"');
      await owner.post('/settings/fullList', { value: 'open' });
      expect((await owner.get('/settings')).text).to.include('is open now; it was sluice-full');
      expect((await readSettings(web.t.db)).fullList).to.equal('open');
      expect(await web.t.db('reconcile_queue').where({ kind: 'many_logins', key: 0 })).to.have.length(1);
      await owner.post('/settings/fullList', { value: 'open' });
      expect((await owner.get('/settings')).text).to.include('Nothing was different');
      expect((await owner.get('/settings/nothing')).status).to.equal(404);
      expect((await owner.get('/settings/toString')).status).to.equal(404);
    });

    it('change, of the IPv6 pool of the walled garden, is kept', async () => {
      await owner.get('/settings/walledGardenIpv6Pool');
      await owner.post('/settings/walledGardenIpv6Pool', { value: 'nowhere' });
      expect((await readSettings(web.t.db)).walledGardenIpv6Pool).to.equal('nowhere');
    });

    it('who may only look, sees the values and no way to change them', async () => {
      const finance = await web.as('finance');
      expect((await finance.get('/settings')).text).to.not.include('href="/settings/zone"');
      expect((await finance.get('/settings/zone')).status).to.equal(403);
      expect((await (await web.as('noc')).get('/settings')).status).to.equal(403);
    });
  });

  describe('staff', () => {
    it('add, of a person, may sign in; a broken form keeps all but the password', async () => {
      await owner.get('/staff/new');
      const fields = { username: 'rina', name: "Rina o'Hara", role: 'finance', password: staffPassword };
      const bad = await owner.post('/staff/new', { ...fields, username: 'R!', password: 'quite secret 1' });
      expect(bad.status).to.equal(400);
      expect(bad.text).to.include('must be 2 to 63').and.include('value="R!"');
      expect(bad.text).to.not.include('quite secret 1');
      const short = await owner.post('/staff/new', { ...fields, password: 'short' });
      expect(short.status).to.equal(400);
      await owner.post('/staff/new', fields);
      expect((await owner.get('/staff')).text)
        .to.include('Rina o&#x27;Hara')
        .and.include('May sign in');
      const taken = await owner.post('/staff/new', fields);
      expect(taken.text).to.include('is taken');
      expect((await signIn('rina', staffPassword)).status).to.equal(303);
    });

    it('edit, of role and name, is saved; the last owner stays', async () => {
      const path = await pathOf('rina');
      await owner.get(`${path}/edit`);
      const noName = await owner.post(`${path}/edit`, { name: ' ', role: 'noc' });
      expect(noName.text).to.include('must have 1 to 120 characters');
      await owner.post(`${path}/edit`, { name: 'Rina', role: 'noc' });
      expect((await owner.get('/staff')).text).to.match(/Rina<.*rina<.*NOC</);
      const self = await pathOf('the-owner');
      const last = await owner.post(`${self}/edit`, { name: 'Boss', role: 'noc' });
      expect(last.status).to.equal(400);
      expect(last.text).to.include('the last owner can neither be disabled').and.include('value="Boss"');
    });

    it('disable, signs the person out at once; a new password does too', async () => {
      const path = await pathOf('rina');
      const rina = web.visitor();
      await rina.get('/sign-in');
      await rina.post('/sign-in', { username: 'rina', password: staffPassword });
      expect((await rina.get('/account')).status).to.equal(200);
      await owner.get(`${path}/edit`);
      const weak = await owner.post(`${path}/password`, { password: 'rina' });
      expect(weak.status).to.equal(400);
      await owner.post(`${path}/password`, { password: 'another correct horse' });
      expect((await rina.get('/account')).status).to.equal(303);
      expect((await signIn('rina', 'another correct horse')).status).to.equal(303);
      await owner.post(`${path}/edit`, { name: 'Rina', role: 'noc', isDisabled: 'yes' });
      expect((await owner.get('/staff')).text)
        .to.include('signed out everywhere')
        .and.include('Disabled');
      expect((await signIn('rina', 'another correct horse')).status).to.not.equal(303);
    });

    it('anybody but an owner, may not see the staff', async () => {
      for (const role of ['noc', 'finance', 'read_only'] as const) {
        expect((await (await web.as(role)).get('/staff')).status, role).to.equal(403);
      }
    });

    async function signIn(username: string, password: string) {
      const visitor = web.visitor();
      await visitor.get('/sign-in');
      return visitor.post('/sign-in', { username, password });
    }

    async function pathOf(username: string): Promise<string> {
      const row = await web.t.db('staff').where({ username }).first<{ id: string }>('id');
      return `/staff/${row.id}`;
    }
  });

  describe('activity log', () => {
    it('list, by who, what, subscriber, router and day, shows what is meant, each with its diff', async () => {
      const { db } = web.t;
      const subscriberId = await aSubscriber(db, { name: "Nila o'Hara" });
      const router = await aRouter(db, { name: 'pop-7' });
      const made = { correlationId: 'one-request', subscriberId, routerId: router.id };
      await recordActivity(db, {
        at: new Date('2026-04-20T10:00:00Z'),
        actor: 'karim',
        verb: 'router.secret',
        subject: { kind: 'router', id: router.id },
        ...made,
        diff: { note: '<b>lightning</b>' },
      });
      await owner.get('/settings/deniedList');
      await owner.post('/settings/deniedList', { value: 'nobody' });
      const all = await owner.get('/activity');
      expect(all.text).to.include('setting: change').and.include('sluice-denied').and.include('the-owner');
      const narrow = ['actor=karim', 'verb=router.secret', `subscriber=${subscriberId}`, 'router=pop-7'];
      for (const query of [...narrow, `router=${router.id}`, 'day=2026-04-20', 'correlation=one-request']) {
        const { text } = await owner.get(`/activity?${query}`);
        expect(text, query).to.include('&lt;b&gt;lightning').and.not.include('sluice-denied');
        expect(text).to.include(`href="/routers/${router.id}"`);
      }
      for (const query of ['actor=nobody', 'router=none', 'subscriber=nobody', 'day=2026-04-21']) {
        expect((await owner.get(`/activity?${query}`)).text, query).to.include('Nothing is like this');
      }
      const csv = await owner.get('/activity.csv?actor=karim');
      expect(csv.text.trim().split('\n')).to.have.length(2);
      expect(csv.text).to.include('router.secret').and.include('lightning');
    });

    it('list, longer than a page, goes on by its links and misses nothing', async () => {
      const { db } = web.t;
      const one = {
        at: new Date('2026-04-01T00:00:00Z'),
        actor: 'many',
        verb: 'test.many',
        correlationId: 'm',
      };
      await recordActivity(
        db,
        Array.from({ length: 130 }, (_, n) => ({ ...one, subject: { kind: 'thing', id: String(n + 1) } })),
      );
      const seen = new Set<string>();
      let path: string | undefined = '/activity?actor=many';
      while (path !== undefined) {
        const { text } = await owner.get(path);
        for (const match of text.matchAll(/>thing (\d+)</g)) seen.add(match[1] ?? '');
        path = /rel="next" href="([^"]+)"/
          .exec(text)?.[1]
          ?.replaceAll('&amp;', '&')
          .replaceAll('&#x3D;', '=');
      }
      expect(seen.size).to.equal(130);
    });

    it('list, says whether the seals hold, as the last job found it', async () => {
      const { db } = web.t;
      expect((await owner.get('/activity')).text).to.include('Not sealed yet');
      await sealActivity(db, parseDay('2026-05-02'), new Date('2026-05-02T02:20:00Z'));
      const job = {
        name: 'seal-activity',
        next_due_at: '2026-05-02',
        last_finished_at: '2026-05-01 02:20:00',
      };
      await db('schedule').insert({ ...job, last_outcome: 'sealed 31 days' });
      const holds = await owner.get('/activity');
      expect(holds.text).to.include('The seals hold').and.include('sealed up to 2026-05-01');
      await db('schedule').update({ last_outcome: 'rows of 2026-04-20 were changed or removed' });
      expect((await owner.get('/activity')).text)
        .to.include('The log was changed')
        .and.include('2026-04-20');
      await db('schedule').update({ last_outcome: 'failed' });
      expect((await owner.get('/activity')).text).to.include('not known to hold');
    });
  });
});
