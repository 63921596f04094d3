import { expect } from 'chai';
import type { Knex } from 'knex';
import { createVault } from '../../src/adapters/vault.ts';
import { nasFingerprint, readNas } from '../../src/db/nas.ts';
import { claim } from '../../src/db/reconcile-queue.ts';
import { addRouter, removeRouter, setRouter } from '../../src/network/routers.ts';
import { reconcileRouters } from '../../src/reconcile/router.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';

const server = { address: '192.0.2.10', authPort: 1812, acctPort: 1813 };

describe('reconcileRouters', () => {
  let t: TestDb;
  let db: Knex;
  let ctx: TestContext;
  let n = 0;
  before(async () => {
    t = await testDb();
    db = t.db;
  });
  after(() => t.drop());
  beforeEach(async () => {
    ctx = testContext(db);
    await db('nas').del();
    await db('reconcile_queue').del();
  });

  const claims = () => claim(db, 'router', { limit: 500, leaseMs: 10_000 });
  const reconcile = async () => reconcileRouters(ctx, await claims());
  const add = async (secret = 'a secret of ours') => {
    const address = `10.30.0.${++n}`;
    const { routerId } = await addRouter(ctx, { name: `nas-${n}`, address, secret }, server);
    return { routerId, address };
  };
  const rows = async () =>
    (await readNas(db)).map(({ routerId, address, secret, shortname }) => ({
      routerId,
      address,
      secret,
      shortname,
    }));

  it('gives every router its row, with the secret in clear text and r<id> as short name', async () => {
    const one = await add('first of ours');
    await reconcile();
    expect(await rows()).to.deep.equal([{ ...one, secret: 'first of ours', shortname: `r${one.routerId}` }]);
    expect(ctx.woken).to.include('radius-agent');
    expect(await claims()).to.deep.equal([]);
  });

  it('done again, writes nothing and wakes nobody', async () => {
    const { routerId } = await add();
    await reconcile();
    const before = await nasFingerprint(db);
    ctx.woken.length = 0;
    ctx.clock.advance(60_000);
    // A change that FreeRADIUS does not see.
    await setRouter(ctx, { routerId, pacePerSecond: 7 }, server);
    await reconcile();
    expect(await nasFingerprint(db)).to.equal(before);
    expect(ctx.woken).to.deep.equal(['worker']);
  });

  it('changes and removes rows, and leaves those of other routers alone', async () => {
    const [one, two, three] = [await add(), await add(), await add()];
    await reconcile();
    await setRouter(ctx, { routerId: one.routerId, secret: 'changed by us' }, server);
    await removeRouter(ctx, { routerId: two.routerId });
    await reconcile();
    expect((await rows()).map(({ routerId, secret }) => [routerId, secret])).to.deep.equal([
      [one.routerId, 'changed by us'],
      [three.routerId, 'a secret of ours'],
    ]);
  });

  it('routers that take one another’s place swap their rows', async () => {
    const [one, two] = [await add(), await add()];
    await reconcile();
    await setRouter(ctx, { routerId: one.routerId, address: '10.30.9.9' }, server);
    await setRouter(ctx, { routerId: two.routerId, address: one.address }, server);
    await setRouter(ctx, { routerId: one.routerId, address: two.address }, server);
    await reconcile();
    expect((await rows()).map(({ routerId, address }) => [routerId, address])).to.deep.equal([
      [one.routerId, two.address],
      [two.routerId, one.address],
    ]);
  });

  it('a new router at the address of one that was removed does not wait for the old one’s turn', async () => {
    const old = await add();
    await reconcile();
    await removeRouter(ctx, { routerId: old.routerId });
    await db('reconcile_queue').del();
    const { routerId } = await addRouter(
      ctx,
      { name: `nas-${++n}`, address: old.address, secret: 'of the new one' },
      server,
    );
    await reconcile();
    expect((await rows()).map((row) => row.routerId)).to.deep.equal([routerId]);
  });

  it('a secret that does not open fails alone, and its row stays', async () => {
    const [bad, good] = [await add('opens today'), await add()];
    await reconcile();
    await setRouter(ctx, { routerId: good.routerId, secret: 'new one of good' }, server);
    const lost = createVault([{ id: 'lost', key: Buffer.alloc(32, 9) }]);
    await db('router')
      .where({ id: bad.routerId })
      .update({ secret: lost.seal(`router.secret:${bad.routerId}`, 'never to be read') });
    await db('reconcile_queue').insert({
      kind: 'router',
      key: bad.routerId,
      version: 5,
      not_before: '2020-01-01',
      requested_by: 'x',
      requested_at: '2020-01-01',
    });
    await reconcile();
    expect((await rows()).map(({ routerId, secret }) => [routerId, secret])).to.deep.equal([
      [bad.routerId, 'opens today'],
      [good.routerId, 'new one of good'],
    ]);
    const waiting = await db('reconcile_queue').select<
      { key: string; last_error: string; attempts: number }[]
    >('key', 'last_error', 'attempts');
    expect(waiting).to.have.length(1);
    expect(waiting[0]).to.include({ key: bad.routerId, attempts: 1 });
    expect(waiting[0]?.last_error).to.include('does not open').and.not.to.include('never to be read');
  });

  it('a wish that came after the claim survives, and the older one writes nothing', async () => {
    const { routerId } = await add();
    const stale = await claims();
    await setRouter(ctx, { routerId, secret: 'newer than that' }, server);
    await reconcileRouters(ctx, stale);
    expect(await rows()).to.deep.equal([]);
    await reconcile();
    expect((await rows())[0]?.secret).to.equal('newer than that');
  });
});

describe('nasFingerprint', () => {
  it('changes with every insert, change and removal, whatever changed_at says', async () => {
    const t = await testDb();
    const seen = [await nasFingerprint(t.db)];
    const row = (id: number) => ({
      router_id: id,
      nasname: `10.0.0.${id}`,
      shortname: `r${id}`,
      secret: 'secret',
      changed_at: '2026-01-01',
    });
    const steps = [
      () => t.db('nas').insert([row(1), row(2)]),
      () => t.db('nas').where({ router_id: 1 }).update({ secret: 'Secret' }),
      () => t.db('nas').where({ router_id: 1 }).update({ require_message_authenticator: true }),
      () => t.db('nas').where({ router_id: 2 }).update({ nasname: '10.0.0.3' }),
      () => t.db('nas').where({ router_id: 2 }).del(),
    ];
    for (const step of steps) {
      await step();
      seen.push(await nasFingerprint(t.db));
    }
    expect(new Set(seen).size).to.equal(seen.length);
    await t.drop();
  });
});
