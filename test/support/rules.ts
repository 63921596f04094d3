import type { Knex } from 'knex';
import { addIpv4Pool, addIpv4PoolRanges } from '../../src/catalog/add-ipv4-pool.ts';
import { removeRouter } from '../../src/network/routers.ts';
import { addSubscriber } from '../../src/subscribers/register.ts';
import { addFirstOwner, addStaff, setStaff } from '../../src/staff/manage-staff.ts';
import { allStaff } from '../../src/db/staff.ts';
import { aRouter, testContext } from './builders.ts';
import { smallCatalogue } from './catalog.ts';

const rounds = 8;

/**
 * On connections that may be to different nodes, and several times: two pools are given overlapping ranges on one router,
 * a login an address within them, and another router is removed while it is given a range. Says what both went through.
 */
export async function addressesAtOnce(dbs: readonly [Knex, Knex, ...Knex[]]): Promise<string[]> {
  const [one, two] = dbs;
  await smallCatalogue(testContext(one));
  const wrong: string[] = [];
  const pools = await Promise.all(
    ['a', 'b'].map((name) => addIpv4Pool(testContext(one), { name, suspendedName: `${name}-off` })),
  );
  for (let round = 0; round < rounds; round++) {
    const router = await aRouter(one);
    const going = await aRouter(one);
    const add = (db: Knex, pool: number, at: { router: string; net: number; from: number }) =>
      addIpv4PoolRanges(testContext(db), {
        ipv4PoolId: pools[pool]?.ipv4PoolId ?? '',
        ranges: [
          {
            router: at.router,
            first: `10.${at.net}.0.${at.from}`,
            last: `10.${at.net}.0.${at.from + 50}`,
            suspendedFirst: `10.${at.net + 100}.${at.from}.2`,
            suspendedLast: `10.${at.net + 100}.${at.from}.9`,
          },
        ],
      });
    const ranges = await bothOf(
      add(one, 0, { router: router.name, net: round, from: 10 }),
      add(two, 1, { router: router.name, net: round, from: 40 }),
    );
    if (ranges) wrong.push(`round ${round}: two ranges overlap`);
    const login = addSubscriber(testContext(two), {
      name: 'Fixed',
      billingProfile: 'block',
      package: 'Home 50',
      username: `fixed-${round}`,
      staticIpv4: `10.${round + 50}.0.20`,
    });
    const range = add(one, 0, { router: router.name, net: round + 50, from: 10 });
    if (await bothOf(range, login)) wrong.push(`round ${round}: a static address lies in a range`);
    const removal = removeRouter(testContext(two), { routerId: going.id }).then((result) => {
      if (!result.ok) throw new Error(result.reason);
    });
    const late = add(one, 1, { router: going.name, net: round, from: 120 });
    await Promise.allSettled([removal, late]);
    const left = await one('ipv4_pool_range as g')
      .join('router as r', 'r.id', 'g.router_id')
      .whereNotNull('r.removed_at')
      .pluck<string[]>('r.id');
    if (left.length > 0) wrong.push(`round ${round}: a removed router has a range`);
  }
  return wrong;
}

async function bothOf(a: Promise<unknown>, b: Promise<unknown>): Promise<boolean> {
  const outcomes = await Promise.allSettled([a, b]);
  return outcomes.every((one) => one.status === 'fulfilled');
}

/** Two owners disable each other at once, several times; gives the fewest owners that were ever left. */
export async function ownersAtOnce(dbs: readonly [Knex, Knex, ...Knex[]]): Promise<number> {
  const [one, two] = dbs;
  const password = 'correct horse battery';
  const ctx = testContext(one);
  const first = await addFirstOwner(ctx, { username: 'first', name: 'F', password });
  const second = await addStaff(ctx, { username: 'second', name: 'S', role: 'owner', password });
  let fewest = 2;
  for (let round = 0; round < rounds; round++) {
    await Promise.allSettled([
      setStaff(testContext(one), first, { isDisabled: true }),
      setStaff(testContext(two), second, { isDisabled: true }),
    ]);
    const owners = (await allStaff(one)).filter((person) => person.disabledAt === null);
    fewest = Math.min(fewest, owners.length);
    for (const id of [first, second]) await setStaff(testContext(one), id, { isDisabled: false });
  }
  return fewest;
}
