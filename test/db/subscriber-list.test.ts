import { expect } from 'chai';
import type { SubscriberFilter } from '../../src/db/subscriber-drivers.ts';
import { subscriberPlaces, subscriberPlacesWithin } from '../../src/db/subscriber-list.ts';
import { aLogin, aPackage, aSubscriber, aSubscription, theOperator } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('subscriberPlacesWithin', function () {
  this.timeout(30_000);
  let t: TestDb;
  let filter: SubscriberFilter;
  let everybody: string[];
  const limit = 11;

  before(async () => {
    t = await testDb();
    await theOperator(t.db);
    const packageId = await aPackage(t.db, { name: 'Home' });
    // Of two hundred on the package every tenth is throttled.
    for (let n = 0; n < 200; n++) {
      const subscriberId = await aSubscriber(t.db, { name: `Person ${n}` });
      const subscriptionId = await aSubscription(t.db, {
        subscriberId,
        ...(n < 190 ? { packageId } : {}),
      });
      const { id } = await aLogin(t.db, { subscriptionId, username: `p${n}` });
      await t.db('access_decision').insert({
        login_id: id,
        access: 'throttled',
        reason: n % 10 === 0 ? 'invoice_overdue' : 'paid_up',
        generation: 1,
        access_fingerprint: 'a',
        redial_fingerprint: 'b',
        coa_attributes: '[]',
        decided_at: '2026-04-01 00:00:00',
        requested_by: 'test',
      });
      if (n % 10 !== 3) continue;
      await t.db('radacct').insert({
        acctsessionid: `s${n}`,
        acctuniqueid: String(n).padStart(32, '0'),
        username: `p${n}`,
        acctstarttime: '2026-04-01 00:00:00',
      });
    }
    filter = {
      state: 'online',
      prefixes: [],
      packageId,
      profileId: null,
      routerId: null,
      today: '2026-05-01' as SubscriberFilter['today'],
    };
    everybody = (await subscriberPlaces(t.db, filter, { limit: 500 })).map((place) => place.id);
  });
  after(() => t.drop());

  it('page after page, however few rows it may look at, finds the same as the walk without a bound', async () => {
    expect(everybody).to.have.length(19);
    for (const most of [7, 25, 1000]) {
      const found: string[] = [];
      let after: readonly string[] | undefined;
      let pages = 0;
      for (; pages < 100; pages++) {
        const page = { limit, ...(after === undefined ? {} : { after }) };
        const { places, cutAt } = await subscriberPlacesWithin(t.db, filter, page, most);
        found.push(...places.slice(0, limit - 1).map((place) => place.id));
        after = cutAt ?? (places.length === limit ? places[limit - 2]?.keys : undefined);
        if (after === undefined) break;
      }
      expect(found, `${most} at a time`).to.deep.equal(everybody);
      expect(pages, `${most} at a time`).to.be.lessThan(40);
    }
  });

  it('backwards, finds them in reverse', async () => {
    const found: string[] = [];
    let before: readonly string[] | undefined = ['999999999'];
    for (let pages = 0; before !== undefined && pages < 100; pages++) {
      const { places, cutAt } = await subscriberPlacesWithin(t.db, filter, { limit, before }, 25);
      found.push(...places.slice(0, limit - 1).map((place) => place.id));
      before = cutAt ?? (places.length === limit ? places[limit - 2]?.keys : undefined);
    }
    expect(found).to.deep.equal([...everybody].reverse());
  });

  it('says that looking was cut only where something is left to look at', async () => {
    const few = await subscriberPlacesWithin(t.db, filter, { limit }, 20);
    expect(few.places).to.have.length(2);
    expect(few.cutAt).to.not.equal(null);
    const all = await subscriberPlacesWithin(t.db, filter, { limit: 50 }, 1000);
    expect(all).to.deep.include({ cutAt: null });
    const one = { ...filter, state: null };
    const plain = await subscriberPlacesWithin(t.db, one, { limit: 50 }, 5);
    expect(plain.places).to.have.length(50);
    expect(plain.cutAt).to.equal(null);
  });
});
