import { expect } from 'chai';
import { aLogin, aRouter, aSubscriber, aSubscription, anInvoice } from '../support/builders.ts';
import { indexMissingTerms } from '../../src/subscribers/index-terms.ts';
import { openTestWeb, type TestWeb, type Visitor } from '../support/web.ts';

describe('the search field', function () {
  this.timeout(60_000);
  let web: TestWeb;
  let noc: Visitor;
  const ids: Record<string, string> = {};

  before(async () => {
    web = await openTestWeb();
    const { db } = web.t;
    const person = async (name: string, phone: string | null, login: Parameters<typeof aLogin>[1]) => {
      const subscriberId = await aSubscriber(db, { name, phone });
      const subscriptionId = await aSubscription(db, { subscriberId });
      await aLogin(db, { ...login, subscriptionId });
      return { subscriberId, subscriptionId };
    };
    const amina = await person('Amina Haddad', '+213 551 234 567', {
      username: 'amina',
      macLock: 'AA:BB:CC:00:00:01',
    });
    ids['amina'] = amina.subscriberId;
    ids['invoice'] = await anInvoice(db, { ...amina });
    await db('invoice').where({ id: ids['invoice'] }).update({ series: 'INV', number: 123 });
    ids['shop'] = (await person('Haddad Trading', null, { username: 'amina-shop' })).subscriberId;
    ids['ohara'] = (
      await person("Sinéad O'Hara", null, { username: "o'hara", staticIpv4: '203.0.113.9' })
    ).subscriberId;
    ids['six'] = (
      await person('Six', null, { username: 'six', delegatedIpv6Prefix: '2001:db8:7::/56' })
    ).subscriberId;
    ids['router'] = (await aRouter(db, { name: 'north-1', address: '192.0.2.1' })).id;
    await db('payment').insert({
      subscriber_id: amina.subscriberId,
      channel: 'bank',
      reference: 'WIRE-778',
      amount_minor: '1000',
      currency: 'USD',
      exponent: 2,
      received_on: '2026-04-01',
      recorded_at: '2026-04-01 10:00:00',
      recorded_by: 'test',
    });
    await db('radacct').insert([
      session('s1', 'amina', '10.9.0.5', 'AA:BB:CC:00:00:02', null),
      session('s2', 'amina-shop', '10.9.0.6', 'AA:BB:CC:00:00:03', '2026-04-30 12:00:00'),
    ]);
    noc = await web.as('owner');
  });
  after(() => web.close());

  const session = (id: string, username: string, address: string, mac: string, stopped: string | null) => ({
    acctsessionid: id,
    acctuniqueid: id.padEnd(32, '0'),
    username,
    nasipaddress: '192.0.2.1',
    framedipaddress: address,
    callingstationid: mac,
    acctstarttime: '2026-04-30 10:00:00',
    acctstoptime: stopped,
  });
  const search = (text: string, more = '') => noc.get(`/search?q=${encodeURIComponent(text)}${more}`);
  const goesTo = async (text: string, path: string) => {
    const answer = await search(text);
    expect(answer.status, text).to.equal(303);
    expect(answer.location, text).to.equal(path);
  };

  it('a whole username, goes straight to its subscriber, though another begins with it', () =>
    goesTo('AMINA', `/subscribers/${ids['amina'] ?? ''}`));

  it('a name, a later word of it, without its accents, or a part of a word, goes to the only one', async () => {
    await goesTo('haddad tr', `/subscribers/${ids['shop'] ?? ''}`);
    await goesTo('sinead', `/subscribers/${ids['ohara'] ?? ''}`);
    await goesTo("o'h", `/subscribers/${ids['ohara'] ?? ''}`);
    await goesTo('trad', `/subscribers/${ids['shop'] ?? ''}`);
  });

  it('a name that several have, lists them', async () => {
    const answer = await search('haddad');
    expect(answer.status).to.equal(200);
    expect(answer.text).to.include('Amina Haddad').and.include('Haddad Trading');
  });

  it('a phone number, with or without its country code, goes to its subscriber', async () => {
    await goesTo('+213551234567', `/subscribers/${ids['amina'] ?? ''}`);
    await goesTo('0551 234', `/subscribers/${ids['amina'] ?? ''}`);
  });

  it('a MAC, IPv4 or IPv6 address, goes to whoever has it now', async () => {
    await goesTo('aabb.cc00.0001', `/subscribers/${ids['amina'] ?? ''}`);
    await goesTo('AA-BB-CC-00-00-02', `/subscribers/${ids['amina'] ?? ''}`);
    await goesTo('10.9.0.5', `/subscribers/${ids['amina'] ?? ''}`);
    await goesTo('203.0.113.9', `/subscribers/${ids['ohara'] ?? ''}`);
    await goesTo('2001:db8:7:12::1', `/subscribers/${ids['six'] ?? ''}`);
  });

  it('an address that somebody had once, goes to that session', async () => {
    const answer = await search('10.9.0.6');
    expect(answer.location).to.match(/^\/sessions\/\d+$/);
  });

  it('an invoice number, a payment reference, a session, a router, each goes to its page', async () => {
    await goesTo('INV-123', `/invoices/${ids['invoice'] ?? ''}`);
    await goesTo('123', `/invoices/${ids['invoice'] ?? ''}`);
    expect((await search('WIRE-778')).location).to.match(/^\/payments\/\d+$/);
    expect((await search('wire')).status).to.equal(200);
    expect((await search('s1')).location).to.match(/^\/sessions\/\d+$/);
    await goesTo('north', `/routers/${ids['router'] ?? ''}`);
    await goesTo('192.0.2.1', `/routers/${ids['router'] ?? ''}`);
    await goesTo(`#${ids['six'] ?? ''}`, `/subscribers/${ids['six'] ?? ''}`);
  });

  it('all=yes, lists also where one is meant', async () => {
    const answer = await search('amina', '&all=yes');
    expect(answer.status).to.equal(200);
    expect(answer.text).to.include('amina-shop');
  });

  it('nothing found, says what can be found', async () => {
    for (const text of ['zzz', '%', '_', "'; DROP TABLE x", '']) {
      const answer = await search(text);
      expect(answer.status, text).to.equal(200);
      expect(answer.text).to.include('What can be found');
    }
  });

  it('suggestions, are a part with links; without JavaScript they are the results', async () => {
    const part = await noc.get('/search/suggest?q=ami', { 'HX-Request': 'true' });
    expect(part.status).to.equal(200);
    expect(part.text)
      .to.include(`href="/subscribers/${ids['amina'] ?? ''}"`)
      .and.not.include('<html');
    expect((await noc.get('/search/suggest?q=ami')).location).to.equal('/search?q=ami');
  });

  it('somebody who came by SQL and not by a command, is found after the nightly look', async () => {
    const { db } = web.t;
    const { billing_profile_id } = await db('subscriber').first<{ billing_profile_id: string }>();
    const row = { name: 'Zebulon Quist', phone: null, billing_profile_id, created_at: '2026-01-01 00:00:00' };
    await db('subscriber').insert(row);
    expect((await search('quist')).status).to.equal(200);
    expect(await indexMissingTerms(web.app.context('schedule'))).to.equal(1);
    expect((await search('quist')).status).to.equal(303);
    expect(await indexMissingTerms(web.app.context('schedule'))).to.equal(0);
  });

  it('what the role may not see, is not found', async () => {
    const visitor = await web.as('noc');
    const answer = await visitor.get('/search?q=WIRE-778');
    expect(answer.status).to.equal(200);
    expect(answer.text).to.not.include('Payments</h2>');
  });
});
