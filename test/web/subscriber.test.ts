import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { holdSubscription } from '../../src/subscribers/hold.ts';
import { parseDay } from '../../src/domain/day.ts';
import { asId, type SubscriptionId } from '../../src/domain/ids.ts';
import {
  aBillingProfile,
  aLogin,
  aPackage,
  aRouter,
  aSubscriber,
  aSubscription,
} from '../support/builders.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

const at = '2026-11-12T10:00:00Z';

describe('subscriber page', function () {
  this.timeout(60_000);
  let web: TestWeb;
  let owner: Visitor;
  let count = 0;

  before(async () => {
    web = await openTestWeb(at);
    owner = await web.as('owner');
  });
  after(() => web.close());

  /** Somebody whose invoice over 1,150.00 was due on 31 October, with three days of grace. */
  async function someone(given: { name?: string; isHeld?: boolean } = {}) {
    const { db } = web.t;
    const billingProfileId = await aBillingProfile(db, { overdueEffect: 'throttle', graceDays: 3 });
    const subscriberId = await aSubscriber(db, {
      name: given.name ?? 'Amina',
      phone: '+880 1',
      billingProfileId,
    });
    const packageId = await aPackage(db, { priceMinor: 115_000n, name: `Home ${++count}` });
    const subscriptionId = await aSubscription(db, { subscriberId, packageId, anchorOn: '2026-10-21' });
    const login = await aLogin(db, { subscriptionId, vault: web.app.vault });
    web.clock.set('2026-10-21T10:00:00Z');
    await applyInvoiceRun(web.app.context('test'), { asOf: parseDay('2026-10-21') });
    web.clock.set(at);
    if (given.isHeld === true) await hold(subscriptionId, 'staff');
    const path = `/subscribers/${subscriberId}`;
    await owner.get(path);
    return { subscriberId, subscriptionId, login, path };
  }

  function hold(subscriptionId: string, cause: 'staff' | 'fraud') {
    const named = { subscriptionId: asId<SubscriptionId>(subscriptionId), cause, note: 'moving house' };
    return holdSubscription(web.app.context('rina'), { ...named, effect: 'block' });
  }

  async function session(username: string, given: Record<string, unknown> = {}) {
    const router = await aRouter(web.t.db, { vault: web.app.vault });
    const [id] = await web.t.db('radacct').insert({
      acctsessionid: `s${++count}`,
      acctuniqueid: `unique${count}`.padEnd(32, 'x'),
      username,
      nasipaddress: router.address,
      router_id: router.id,
      acctstarttime: '2026-11-12 09:00:00',
      acctupdatetime: '2026-11-12 09:59:00',
      acctinputoctets: 1024,
      acctoutputoctets: 5 * 1024 ** 3,
      callingstationid: '02:00:00:00:00:01',
      framedipaddress: '10.0.0.7',
      ...given,
    });
    return { id: String(id), router };
  }

  describe('show', () => {
    it('show, tells who it is, what they may do and why, and escapes what they are called', async () => {
      const { path, login } = await someone({ name: 'Amina <i>Rahman</i>' });
      const page = await owner.get(path);
      expect(page.status).to.equal(200);
      expect(page.text).to.include('Amina &lt;i&gt;Rahman&lt;/i&gt;').and.include(login.username);
      expect(page.text).to.match(
        /invoice INV-\d+ is 9 days past due and grace\. The next overdue run acts on it\./,
      );
      expect(page.text).to.include('1,150.00').and.include('No session is open.');
    });

    it('show, of a session, has its address, device, router and what it carried by day', async () => {
      const { path, login } = await someone();
      const { router } = await session(login.username);
      const page = await owner.get(path);
      expect(page.text).to.include('10.0.0.7').and.include('02:00:00:00:00:01').and.include(router.name);
      expect(page.text).to.include('unknown: its Class is not one that Sluice wrote');
      expect(page.text)
        .to.include('5 GiB')
        .and.include('data-chart=')
        .and.include('the day on which it began');
    });

    it('show, of a number that nobody has, is not found', async () => {
      for (const id of ['99999999', 'new-ish', '0', '99999999999999999999']) {
        expect((await owner.get(`/subscribers/${id}`)).status, id).to.equal(404);
      }
    });

    it('show, without the permission for payments, leaves payments out', async () => {
      const { path } = await someone();
      const noc = await web.as('noc');
      const page = await noc.get(path);
      expect(page.text).to.not.include('Last payments').and.not.include('Take a payment');
      expect(page.text).to.not.include('show=money').and.not.include('Invoice issued');
      expect((await owner.get(path)).text).to.include('Invoice issued');
    });

    it('live part, after a payment elsewhere, tells the new access', async () => {
      const { path, subscriptionId } = await someone();
      await hold(subscriptionId, 'staff');
      const part = await owner.get(`${path}/live`, { 'HX-Request': 'true' });
      expect(part.text).to.not.include('<html');
      expect(part.text).to.include('held by staff (rina), “moving house”').and.include('hx-swap-oob="true"');
      expect(part.text).to.include('Pending');
    });
  });

  describe('timeline', () => {
    it('timeline, mixes its sources, newest first, each with its evidence', async () => {
      const { path, login } = await someone({ isHeld: true });
      const { id, router } = await session(login.username);
      await web.t.db('enforcement').insert({
        radacctid: id,
        login_id: login.id,
        router_id: router.id,
        action: 'disconnect',
        why: 'staff_hold',
        because: 'denied',
        generation: 2,
        access_fingerprint: 'a',
        redial_fingerprint: 'b',
        attributes: JSON.stringify([['Acct-Session-Id', '81000001']]),
        requested_by: 'test',
        requested_at: '2026-11-12 09:59:58',
        sent_at: '2026-11-12 09:59:59',
        outcome: 'nak',
        error_cause: 503,
        round_trip_us: 4200,
        attempts: 2,
      });
      await web.t.db('radpostauth').insert({
        username: login.username,
        reply: 'Access-Reject',
        authdate: '2026-11-12 09:30:00',
        reason: 'wrong_mac',
        callingstationid: '02:00:00:00:00:09',
        router_id: router.id,
        slot: login.username,
      });
      const page = await owner.get(path);
      const texts = [
        'Suspended by rina',
        'refused in 4.2 ms, Error-Cause 503 (no such session on the router)',
        'refused: the login is locked to another device',
        `online on ${router.name}`,
        'Invoice issued',
      ];
      const places = texts.map((text) => page.text.indexOf(text));
      expect(places).to.not.include(-1);
      expect([...places].sort((a, b) => a - b)).to.deep.equal(places);
      expect(page.text).to.include('Acct-Session-Id &#x3D; 81000001').and.include('Receivable 1,150.00');
      const filtered = await owner.get(`${path}?show=access`);
      expect(filtered.text).to.include('Error-Cause 503').and.not.include('Invoice issued');
    });

    it('timeline, longer than a page, goes on where the page ended, without a gap or a repetition', async () => {
      const { path, login, subscriberId } = await someone();
      // Three at one instant each, so that the order within an instant counts.
      const rows = Array.from({ length: 53 }, (_, n) => ({
        username: login.username,
        reply: 'Access-Reject',
        authdate: `2026-11-11 08:${String(Math.floor(n / 3)).padStart(2, '0')}:00`,
        reason: 'wrong_password',
        callingstationid: `MAC-${String(n).padStart(2, '0')}.`,
        minute: n,
        slot: login.username,
      }));
      await web.t.db('radpostauth').insert(rows);
      await web.t.db('activity').insert(
        [1, 2, 3].map((n) => ({
          at: '2026-11-11 08:05:00.000',
          actor: 'test',
          verb: `acted.no${n}`,
          subject_kind: 'subscriber',
          subject_id: subscriberId,
          subscriber_id: subscriberId,
          correlation_id: 'x',
          diff: '{}',
          outcome: 'done',
        })),
      );
      const seen: string[] = [];
      let next: string | undefined = path;
      let pages = 0;
      while (next !== undefined && pages < 9) {
        const page = await owner.get(next);
        const list = page.text.slice(page.text.indexOf('id="timeline"'));
        seen.push(...[...list.matchAll(/MAC-\d\d\.|acted\.no\d/g)].map(([text]) => text));
        next = /rel="next" href="([^"]+)"/
          .exec(list)?.[1]
          ?.replaceAll('&amp;', '&')
          .replaceAll('&#x3D;', '=');
        pages++;
      }
      expect(pages).to.equal(3);
      const macs = seen.filter((text) => text.startsWith('MAC'));
      expect(macs).to.deep.equal(rows.map((row) => row.callingstationid).reverse());
      expect(seen.filter((text) => text.startsWith('acted'))).to.have.members([
        'acted.no1',
        'acted.no2',
        'acted.no3',
      ]);
    });

    it('timeline, with a cursor that nobody made here, is the first page', async () => {
      const { path } = await someone();
      const forged = Buffer.from(JSON.stringify(["2026' OR 1", '9', '1'])).toString('base64url');
      expect((await owner.get(`${path}?after=${forged}`)).text).to.include('Invoice issued');
    });
  });

  describe('payment', () => {
    it('payment, proposes what is past due, records it, and goes back to the subscriber', async () => {
      const { path, subscriberId } = await someone();
      expect((await owner.get(`${path}/payment`)).text).to.include('value="1150.00"');
      const answer = await owner.post(`${path}/payment`, {
        amount: '1150',
        channel: 'cash',
        reference: `R-${subscriberId}`,
        receivedOn: '2026-11-12',
      });
      expect(answer.location).to.equal(path);
      const page = await owner.get(path);
      expect(page.text).to.include('1,150.00 USD recorded. Set against 1 invoice.');
      expect(page.text)
        .to.include('Full access')
        .and.include('nothing is owed')
        .and.include('Payment received');
    });

    it('payment, with a mistake, keeps what was typed and says what is wrong by field', async () => {
      const { path, subscriberId } = await someone();
      const fields = { amount: '12.345', channel: 'cash', reference: 'R-keep', receivedOn: '2026-11-12' };
      const wrong = await owner.post(`${path}/payment`, fields);
      expect(wrong.status).to.equal(400);
      expect(wrong.text)
        .to.include('value="12.345"')
        .and.include('value="R-keep"')
        .and.include('at most 2 decimals');
      const later = await owner.post(`${path}/payment`, { ...fields, amount: '5', receivedOn: '2026-11-13' });
      expect(later.text)
        .to.include('must not be later than 2026-11-12')
        .and.include('href="#field-receivedOn"');
      const none = await owner.post(`${path}/payment`, { ...fields, amount: '0' });
      expect(none.text).to.include('must be more than nothing').and.include('href="#field-amount"');
      expect(Number(await countOf('payment', { subscriber_id: subscriberId }))).to.equal(0);
    });

    it('payment, whose reference was used, says by what; the same again changes nothing', async () => {
      const { path } = await someone();
      const fields = { amount: '10', channel: 'bank', reference: 'TRX-twice', receivedOn: '2026-11-12' };
      await owner.post(`${path}/payment`, fields);
      const other = await owner.post(`${path}/payment`, { ...fields, amount: '11' });
      expect(other.status).to.equal(400);
      expect(other.text).to.include('belongs to another payment: 10.00 USD');
      await owner.post(`${path}/payment`, fields);
      expect((await owner.get(path)).text).to.include('had been recorded before');
    });
  });

  async function countOf(table: string, where: Record<string, unknown>): Promise<number> {
    const [row] = (await web.t.db(table).where(where).count({ n: '*' })) as unknown as [{ n: string }];
    return Number(row.n);
  }

  describe('promise, hold, lift', () => {
    it('promise, is noted and shown; a day gone by is refused with the rule', async () => {
      const { path } = await someone();
      const wrong = await owner.post(`${path}/promise`, { payBy: '2026-11-01', note: 'salary' });
      expect(wrong.status).to.equal(400);
      expect(wrong.text).to.include('must not be before 2026-11-12').and.include('value="salary"');
      await owner.post(`${path}/promise`, { payBy: '2026-11-20', note: 'salary' });
      const page = await owner.get(path);
      expect(page.text)
        .to.include('The promise is noted')
        .and.include('until 2026-11-20, by the-owner: salary');
      expect(page.text).to.include('The overdue run acts on 21 Nov unless 1,150.00 is paid.');
    });

    it('hold, takes effect and is said; a second one is refused; a lift ends it', async () => {
      const { path } = await someone();
      const fields = { cause: 'staff', effect: 'block', throttleRate: '', note: 'asked for it' };
      expect((await owner.post(`${path}/hold`, fields)).location).to.equal(path);
      expect((await owner.get(path)).text).to.include('held by staff (the-owner), “asked for it”');
      const again = await owner.post(`${path}/hold`, fields);
      expect(again.status).to.equal(400);
      expect(again.text).to.include('held for that cause already').and.include('value="asked for it"');
      await owner.post(`${path}/lift`, { cause: 'staff', note: 'over' });
      expect((await owner.get(path)).text)
        .to.include('Lifted: staff hold')
        .and.include('Full access');
    });

    it('hold, of a throttle without a speed, and without a note, says so by field', async () => {
      const { path } = await someone();
      const noRate = await owner.post(`${path}/hold`, { cause: 'staff', effect: 'throttle', note: 'x' });
      expect(noRate.text).to.include('href="#field-throttleRate"');
      const noNote = await owner.post(`${path}/hold`, { cause: 'fraud', effect: 'block', note: ' ' });
      expect(noNote.text)
        .to.include('href="#field-note"')
        .and.match(/value="fraud" selected/);
    });

    it('hold, of somebody else’s subscription, is refused', async () => {
      const mine = await someone();
      const other = await someone();
      const answer = await owner.post(`${mine.path}/hold`, {
        subscription: other.subscriptionId,
        cause: 'staff',
        effect: 'block',
        note: 'x',
      });
      expect(answer.status).to.equal(400);
      expect(answer.text).to.include('must be one of this subscriber');
    });

    it('lift, with several causes open and none chosen, asks which; with nothing open, says so', async () => {
      const { path, subscriptionId } = await someone({ isHeld: true });
      await hold(subscriptionId, 'fraud');
      const several = await owner.post(`${path}/lift`, { cause: '', note: 'kind' });
      expect(several.status).to.equal(400);
      expect(several.text)
        .to.include('choose one: suspected fraud, staff hold are open')
        .and.include('value="kind"');
      const free = await someone();
      expect((await owner.get(`${free.path}/lift`)).text).to.include('nothing to lift');
      expect((await owner.post(`${free.path}/lift`, { note: 'x' })).text).to.include('Nothing of that kind');
    });
  });

  describe('package, login, kick, terminate', () => {
    it('package, is changed and said; the same one is refused', async () => {
      const { path, subscriptionId } = await someone();
      const name = `Fast ${++count}`;
      await aPackage(web.t.db, { name });
      const fields = { subscription: subscriptionId, package: name, price: '' };
      await owner.post(`${path}/package`, fields);
      expect((await owner.get(path)).text).to.include(`to ${name}: the speed at once`);
      const again = await owner.post(`${path}/package`, fields);
      expect(again.status).to.equal(400);
      expect(again.text).to.include('They have that package already');
      const bad = await owner.post(`${path}/package`, { ...fields, price: 'much' });
      expect(bad.text).to.include('href="#field-price"').and.include('value="much"');
    });

    it('login, with mistakes, says them by field, and never sends a password back', async () => {
      const { path, login } = await someone();
      const edit = `${path}/logins/${login.id}/edit`;
      const fields = {
        password: 'geheim-9',
        macLock: 'nonsense',
        staticIpv4: '',
        delegatedIpv6Prefix: '',
        simultaneousUse: '1',
      };
      const wrong = await owner.post(edit, fields);
      expect(wrong.status).to.equal(400);
      expect(wrong.text)
        .to.include('href="#field-macLock"')
        .and.include('value="nonsense"')
        .and.not.include('geheim-9');
      const many = await owner.post(edit, { ...fields, macLock: '', simultaneousUse: 'two' });
      expect(many.text).to.include('href="#field-simultaneousUse"');
      const same = await owner.post(edit, { ...fields, password: '', macLock: '' });
      expect(same.text).to.include('It has all of that already');
    });

    it('login, is changed; its MAC lock is shown, and reset by a button', async () => {
      const { path, login } = await someone();
      const fields = { password: '', staticIpv4: '', delegatedIpv6Prefix: '', simultaneousUse: '2' };
      await owner.post(`${path}/logins/${login.id}/edit`, { ...fields, macLock: '02-00-00-00-00-aa' });
      expect((await owner.get(path)).text)
        .to.include('Changed: MAC lock, sessions at once')
        .and.include('locked to 02:00:00:00:00:AA');
      await owner.post(`${path}/logins/${login.id}/mac-reset`);
      expect((await owner.get(path)).text)
        .to.include('any device now')
        .and.not.include('locked to 02');
    });

    it('login, with a password made here, shows it on that answer alone', async () => {
      const { path, login } = await someone();
      const edit = `${path}/logins/${login.id}/edit`;
      const fields = {
        password: '',
        macLock: '',
        staticIpv4: '',
        delegatedIpv6Prefix: '',
        simultaneousUse: '1',
      };
      const made = await owner.post(edit, { ...fields, isPasswordGenerated: 'yes' });
      expect(made.status).to.equal(200);
      const password = new RegExp(`${login.username}\\n([a-z0-9]{12})<`).exec(made.text)?.[1] ?? '';
      expect(password).to.have.length(12);
      expect((await owner.get(edit)).text).to.not.include(password);
      expect((await owner.get(path)).text).to.not.include(password);
    });

    it('login, of somebody else, is not found under this subscriber', async () => {
      const mine = await someone();
      const other = await someone();
      for (const act of ['edit', 'kick', 'mac-reset']) {
        const answer = await owner.post(`${mine.path}/logins/${other.login.id}/${act}`);
        expect(answer.status, act).to.equal(404);
      }
    });

    it('kick, asks the router; with nobody online, says that nothing was sent', async () => {
      const { path, login } = await someone();
      await owner.post(`${path}/logins/${login.id}/kick`);
      expect((await owner.get(path)).text).to.include('no session of');
      const { id } = await session(login.username);
      await owner.post(`${path}/logins/${login.id}/kick`);
      expect((await owner.get(path)).text)
        .to.include('1 session of')
        .and.include('a Disconnect: staff want it ended');
      expect(await countOf('kick', { radacctid: id })).to.equal(1);
    });

    it('terminate, wants the tick, then ends it for good', async () => {
      const { path, subscriptionId } = await someone();
      const fields = { subscription: subscriptionId, note: 'moved' };
      const unsure = await owner.post(`${path}/terminate`, fields);
      expect(unsure.status).to.equal(400);
      expect(unsure.text).to.include('href="#field-sure"').and.include('value="moved"');
      await owner.post(`${path}/terminate`, { ...fields, sure: 'yes' });
      const page = await owner.get(path);
      expect(page.text).to.include('Terminated, with 1 login').and.include('does not come back');
      expect((await owner.get(`${path}/terminate`)).text).to.include('No subscription lives here any more');
    });

    it('a role without the permission, is refused each act and offered none', async () => {
      const { path, login } = await someone();
      const reader = await web.as('read_only');
      const page = await reader.get(path);
      expect(page.status).to.equal(200);
      for (const act of [
        'payment',
        'promise',
        'hold',
        'lift',
        'package',
        'terminate',
        `logins/${login.id}/edit`,
      ]) {
        expect(page.text, act).to.not.include(`${path}/${act}"`);
        expect((await reader.get(`${path}/${act}`)).status, act).to.equal(403);
        expect((await reader.post(`${path}/${act}`)).status, act).to.equal(403);
      }
      expect((await reader.post(`${path}/logins/${login.id}/kick`)).status).to.equal(403);
    });
  });
});
