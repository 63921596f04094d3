import { expect } from 'chai';
import type { Knex } from 'knex';
import { listRouters, routersByIds } from '../../src/db/routers.ts';
import { AppError } from '../../src/errors.ts';
import { addRouter, removeRouter, rotateSecret, setRouter } from '../../src/network/routers.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

const server = { address: '192.0.2.10', authPort: 1812, acctPort: 1813 };

describe('routers', () => {
  let t: TestDb;
  let db: Knex;
  let ctx: TestContext;
  let n = 0;
  before(async () => {
    t = await testDb();
    db = t.db;
  });
  after(() => t.drop());
  beforeEach(() => {
    ctx = testContext(db);
  });

  const someRouter = () => ({ name: `pop-${++n}`, address: `10.20.${Math.floor(n / 250)}.${n % 250}` });
  const added = async (more: { name?: string; address?: string; secret?: string; coaPort?: number } = {}) => {
    const wanted = { ...someRouter(), secret: 'a secret of ours', ...more };
    return { ...wanted, ...(await addRouter(ctx, wanted, server)) };
  };
  const secretOf = async (id: string) => {
    const [router] = await routersByIds(db, [id]);
    return ctx.vault.open(`router.secret:${id}`, router?.sealedSecret ?? Buffer.alloc(0));
  };
  const activityOf = (id: string) =>
    db('activity')
      .where({ router_id: id })
      .orderBy('id')
      .select<{ verb: string; diff: string }[]>('verb', 'diff');
  const wishOf = (id: string) => db('reconcile_queue').where({ kind: 'router', key: id }).first<unknown>();
  const failure = (work: Promise<unknown>): Promise<AppError> =>
    work.then(
      () => {
        throw new Error('it was accepted');
      },
      (error: unknown) => {
        expect(error).to.be.instanceOf(AppError);
        return error as AppError;
      },
    );

  describe('addRouter', () => {
    it('seals the secret, notes the act without it, asks for the reconcile and wakes the worker', async () => {
      const { routerId } = await added({ secret: 'only for its eyes' });
      expect(await secretOf(routerId)).to.equal('only for its eyes');
      const [act] = await activityOf(routerId);
      expect(act?.verb).to.equal('router.add');
      expect(act?.diff).not.to.include('only for its eyes');
      expect(await wishOf(routerId)).to.include({ router_id: routerId, requested_by: ctx.correlationId });
      expect(ctx.woken).to.deep.equal(['worker']);
    });

    it('gives what to type on the router, quoted for its terminal', async () => {
      const { typeOnRouter, address } = await added({ secret: 'a "b" $c ?d \\e', coaPort: 1700 });
      expect(typeOnRouter[0]).to.equal(
        '/radius add service=ppp,hotspot address=192.0.2.10 secret="a \\"b\\" \\$c \\?d \\\\e" ' +
          `authentication-port=1812 accounting-port=1813 timeout=3s src-address=${address}`,
      );
      expect(typeOnRouter[1]).to.equal('/radius incoming set accept=yes port=1700');
    });

    it('without a secret, makes a long one and shows it once', async () => {
      const { routerId, typeOnRouter } = await addRouter(ctx, someRouter(), server);
      const secret = await secretOf(routerId);
      expect(secret).to.match(/^[A-Za-z2-9]{32}$/);
      expect(typeOnRouter[0]).to.include(`secret="${secret}"`);
    });

    it('keeps an IPv6 address in its canonical spelling, so that it is found again', async () => {
      const { routerId } = await added({ address: '2001:DB8:0:0::7' });
      expect((await routersByIds(db, [routerId]))[0]?.address).to.equal('2001:db8::7');
      const error = await failure(added({ address: '2001:db8::0:7' }));
      expect(error).to.include({ kind: 'conflict', field: 'address' });
    });

    for (const field of ['name', 'address'] as const) {
      it(`a ${field} of a live router is refused, that of a removed one is free`, async () => {
        const first = await added();
        const again = { ...someRouter(), secret: 'another one', [field]: first[field] };
        expect(await failure(addRouter(ctx, again, server))).to.include({ kind: 'conflict', field });
        await removeRouter(ctx, { routerId: first.routerId });
        expect((await addRouter(ctx, again, server)).routerId).not.to.equal(first.routerId);
      });
    }

    it('two at the same time with one address: one of them is told so', async () => {
      const address = someRouter().address;
      const outcomes = await Promise.allSettled([added({ address }), added({ address }), added({ address })]);
      const failed = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as AppError] : []));
      expect(failed.map((error) => [error.kind, error.field])).to.deep.equal([
        ['conflict', 'address'],
        ['conflict', 'address'],
      ]);
    });

    const bad: [string, Record<string, unknown>, string, RegExp][] = [
      ['no name', { name: undefined }, 'name', /is missing/],
      ['a name with a space', { name: 'pop 1' }, 'name', /letters, digits/],
      ['a network', { address: '10.0.0.0/24' }, 'address', /one address, not a network/],
      ["the status client's address", { address: '127.0.0.1' }, 'address', /health checks/],
      ['a short secret', { secret: 'short' }, 'secret', /6 to 60 characters/],
      ['a secret with a line end', { secret: 'secret\nwith' }, 'secret', /printable ASCII/],
      ['a port out of range', { coaPort: 65_536 }, 'coaPort', /1 to 65535/],
      ['an unknown rate change', { rateChange: 'magic' }, 'rateChange', /coa, disconnect/],
      ['a pace of nought', { pacePerSecond: 0 }, 'pacePerSecond', /1 to 1000/],
      ['an unknown field', { colour: 'red' }, 'colour', /not known/],
    ];
    for (const [what, part, field, rule] of bad) {
      it(`${what}, names the field and the rule, and not the value`, async () => {
        const input = { ...someRouter(), secret: 'a secret of ours', ...part };
        const error = await failure(addRouter(ctx, input, server));
        expect(error).to.include({ kind: 'invalid', field });
        expect(error.message).to.match(rule);
        expect(error.message).not.to.include('a secret of ours').and.not.to.include('with');
      });
    }
  });

  describe('setRouter', () => {
    it('changes what was given, notes before and after, and asks for the reconcile', async () => {
      const { routerId, name } = await added();
      await db('reconcile_queue').del();
      const result = await setRouter(ctx, { routerId, name: `${name}-b`, rateChange: 'disconnect' }, server);
      expect(result).to.deep.equal({ ok: true, changed: ['name', 'rateChange'], typeOnRouter: [] });
      const [, act] = await activityOf(routerId);
      expect(JSON.parse(act?.diff ?? '')).to.deep.equal({
        before: { name, rateChange: 'coa' },
        after: { name: `${name}-b`, rateChange: 'disconnect' },
      });
      expect(await wishOf(routerId)).not.to.equal(undefined);
    });

    it('with a new secret, gives what to type and keeps both secrets out of the log', async () => {
      const { routerId } = await added({ secret: 'the old secret' });
      const result = await setRouter(ctx, { routerId, secret: 'the new secret' }, server);
      expect(result).to.deep.equal({
        ok: true,
        changed: ['secret'],
        typeOnRouter: ['/radius set [find address=192.0.2.10] secret="the new secret"'],
      });
      expect(JSON.stringify(await activityOf(routerId))).not.to.match(/the (old|new) secret/);
    });

    it('with what the router has already, changes nothing', async () => {
      const { routerId, name, secret } = await added();
      await db('reconcile_queue').del();
      expect(await setRouter(ctx, { routerId, name, secret }, server)).to.deep.equal({
        ok: false,
        reason: 'nothing_changed',
      });
      expect(await wishOf(routerId)).to.equal(undefined);
      expect(await activityOf(routerId)).to.have.length(1);
    });

    it('of a removed router, does not find it', async () => {
      const { routerId } = await added();
      await removeRouter(ctx, { routerId });
      expect((await failure(setRouter(ctx, { routerId, coaPort: 1 }, server))).kind).to.equal('not_found');
    });

    it('to the address of another, is refused', async () => {
      const [one, other] = [await added(), await added()];
      const error = await failure(setRouter(ctx, { routerId: one.routerId, address: other.address }, server));
      expect(error).to.include({ kind: 'conflict', field: 'address' });
    });

    it('replaces a secret whose key is gone', async () => {
      const { routerId, secret } = await added();
      await db('router')
        .where({ id: routerId })
        .update({ secret: Buffer.from('\x04gone and more than that, so') });
      expect(await setRouter(ctx, { routerId, secret }, server)).to.include({ ok: true });
      expect(await secretOf(routerId)).to.equal(secret);
    });
  });

  it('rotateSecret, makes a new secret and says what to type', async () => {
    const { routerId, secret } = await added();
    const result = await rotateSecret(ctx, { routerId }, server);
    const now = await secretOf(routerId);
    expect(now).not.to.equal(secret);
    expect(result.ok ? result.typeOnRouter.join() : '').to.include(now);
  });

  describe('removeRouter', () => {
    const openSession = (routerId: string, key: string) =>
      db('radacct').insert({
        acctsessionid: key,
        acctuniqueid: key.padEnd(32, '0'),
        username: 'anna',
        router_id: routerId,
        acctstarttime: '2026-03-01 09:00:00',
      });

    it('keeps the row, so that old accounting keeps its name', async () => {
      const { routerId, name } = await added();
      const result = await removeRouter(ctx, { routerId });
      expect(result).to.deep.equal({ ok: true, openSessions: 0, poolRanges: 0, droppedWishes: 0 });
      const [row] = await routersByIds(db, [routerId]);
      expect(row?.name).to.equal(name);
      expect(row?.removedAt).to.deep.equal(ctx.clock.now());
      expect((await activityOf(routerId)).at(-1)?.verb).to.equal('router.remove');
    });

    it('with open sessions, refuses until told, then drops the wishes that nobody can carry out', async () => {
      const { routerId } = await added();
      await openSession(routerId, 'open-1');
      await openSession(routerId, 'open-2');
      await db('reconcile_queue').insert({
        kind: 'session',
        key: 7,
        version: 1,
        not_before: '2026-01-01',
        router_id: routerId,
        requested_by: 'x',
        requested_at: '2026-01-01',
      });
      expect(await removeRouter(ctx, { routerId })).to.deep.equal({
        ok: false,
        reason: 'open_sessions',
        openSessions: 2,
      });
      const result = await removeRouter(ctx, { routerId, isWithOpenSessions: true });
      expect(result).to.deep.equal({ ok: true, openSessions: 2, poolRanges: 0, droppedWishes: 1 });
      expect(await db('reconcile_queue').where({ kind: 'session' })).to.deep.equal([]);
      expect(await db('radacct').whereNull('acctstoptime').where({ router_id: routerId })).to.have.length(2);
    });

    it('with pool ranges on it, names the pools and refuses until told', async () => {
      const { routerId } = await added();
      const [poolId] = await db('ipv4_pool').insert({ name: 'home', suspended_name: 'home-off' });
      await db('ipv4_pool_range').insert({
        pool_id: poolId,
        router_id: routerId,
        first_address: 1,
        last_address: 2,
        suspended_first_address: 3,
        suspended_last_address: 4,
      });
      expect(await removeRouter(ctx, { routerId })).to.deep.equal({
        ok: false,
        reason: 'pool_ranges',
        pools: ['home'],
      });
      const result = await removeRouter(ctx, { routerId, isWithPoolRanges: true });
      expect(result).to.deep.equal({ ok: true, openSessions: 0, poolRanges: 1, droppedWishes: 0 });
      expect(await db('ipv4_pool_range').where({ router_id: routerId })).to.deep.equal([]);
      expect(await db('ipv4_pool').where({ name: 'home' })).to.have.length(1);
    });

    it('done again, says so', async () => {
      const { routerId } = await added();
      await removeRouter(ctx, { routerId });
      expect(await removeRouter(ctx, { routerId })).to.deep.equal({ ok: false, reason: 'already_removed' });
    });

    it('of a router that never was, does not find it', async () => {
      expect((await failure(removeRouter(ctx, { routerId: '987654' }))).kind).to.equal('not_found');
    });
  });

  describe('listRouters', () => {
    it('gives lane, evidence and open sessions of each, and never the secret', async () => {
      const { routerId } = await added({ name: 'list-a' });
      await added({ name: 'list-b' });
      const gone = await added({ name: 'list-c' });
      await removeRouter(ctx, { routerId: gone.routerId });
      await db('router_lane').insert({
        router_id: routerId,
        breaker: 'open',
        failures: 4,
        last_error: 'timeout',
      });
      await db('radacct').insert({ acctuniqueid: 'l'.repeat(32), router_id: routerId });
      await db('radius_client').insert({
        host: 'radius-1',
        router_id: routerId,
        wanted_hash: 'a',
        wanted_at: '2026-03-01 09:00:00',
        in_place_hash: 'a',
        in_place_at: '2026-03-01 09:00:01',
      });
      const list = await listRouters(db, { text: 'list-' });
      expect(list.map((router) => [router.name, router.openSessions])).to.deep.equal([
        ['list-a', 1],
        ['list-b', 0],
      ]);
      expect(list[0]?.lane).to.include({ breaker: 'open', failures: 4, lastError: 'timeout' });
      expect(list[0]?.evidence.map((one) => [one.host, one.level])).to.deep.equal([['radius-1', 'in_place']]);
      expect(list[1]?.lane.breaker).to.equal('unused');
      expect(JSON.stringify(list)).not.to.match(/secret/i);
    });

    it('filters by text, id, breaker and removal, and goes page by page', async () => {
      const names = async (filter: Parameters<typeof listRouters>[1]) =>
        (await listRouters(db, { text: 'list-', ...filter })).map((router) => router.name);
      expect(await names({ isRemovedToo: true })).to.deep.equal(['list-a', 'list-b', 'list-c']);
      expect(await names({ breaker: 'open' })).to.deep.equal(['list-a']);
      // A lane that was never answered is not known to be good.
      expect(await names({ breaker: 'closed' })).to.deep.equal([]);
      const [b] = await listRouters(db, { text: 'list-b' });
      await db('router_lane').insert({ router_id: b?.id, last_answer_at: '2026-03-01 09:00:00' });
      expect(await names({ breaker: 'closed' })).to.deep.equal(['list-b']);
      expect(await names({ limit: 1 })).to.deep.equal(['list-a']);
      expect(await names({ limit: 1, afterName: 'list-a' })).to.deep.equal(['list-b']);
      expect(await names({ ids: [] })).to.deep.equal([]);
      expect(await names({ text: 'list%' })).to.deep.equal([]);
    });
  });
});
