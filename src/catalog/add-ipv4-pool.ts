import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { doneBefore } from '../db/done-before.ts';
import { inTransaction, type Trx } from '../db/knex.ts';
import {
  insertPoolRanges,
  liveRouterIdByName,
  poolById,
  poolHolding,
  type PoolRange,
  staticLoginWithin,
} from '../db/packages.ts';
import { holdRule } from '../db/rules.ts';
import { ipv4ToNumber } from '../domain/ip.ts';
import { invalid, notFound } from '../errors.ts';
import { checked, line, parseInput, technicalName } from '../input.ts';
import { addNamedRow } from './add-row.ts';

const address = () => checked('must be an IPv4 address such as 10.1.0.2', ipv4ToNumber);
const ranges = z
  .array(
    z.strictObject({
      router: line(60),
      first: address(),
      last: address(),
      suspendedFirst: address(),
      suspendedLast: address(),
    }),
  )
  .max(500);
const schema = z.strictObject({
  name: technicalName(60),
  suspendedName: technicalName(60),
  ranges: ranges.default([]),
});
const moreSchema = z.strictObject({ ipv4PoolId: z.string(), ranges: ranges.min(1, 'must name a range') });

type Wanted = z.output<typeof schema>;

/**
 * A pool that routers know by name, with its suspended twin. Ranges may not overlap others on the same router, nor hold
 * the static address of a login: a router does not guard against giving one address twice.
 */
export async function addIpv4Pool(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ ipv4PoolId: string }> {
  const wanted = parseInput(schema, input);
  if (wanted.name === wanted.suspendedName) throw invalid('suspendedName', 'must differ from the name');
  return inTransaction(ctx.db, async (trx) => {
    await holdRule(trx, 'addresses');
    const { id, isNew } = await addNamedRow(ctx, trx, {
      table: 'ipv4_pool',
      name: wanted.name,
      row: { name: wanted.name, suspended_name: wanted.suspendedName },
    });
    if (!isNew) return { ipv4PoolId: id };
    for (const [index, range] of wanted.ranges.entries()) {
      await insertPoolRanges(trx, id, [await checkRange(trx, range, `ranges.${index}`)]);
    }
    return { ipv4PoolId: id };
  });
}

/** Gives a pool addresses on more routers, or more on one: logins name the pool, so none of their rows changes. */
export async function addIpv4PoolRanges(
  ctx: CommandContext,
  input: z.input<typeof moreSchema>,
): Promise<{ rangeCount: number }> {
  const { ipv4PoolId, ranges: wanted } = parseInput(moreSchema, input);
  return inTransaction(ctx.db, async (trx) => {
    await holdRule(trx, 'addresses');
    const pool = await poolById(trx, ipv4PoolId);
    if (pool === undefined) throw notFound(`IPv4 pool ${ipv4PoolId}`);
    const verb = 'ipv4_pool.add_ranges';
    const { correlationId } = ctx;
    if (await doneBefore(trx, { correlationId, verb, subjectId: ipv4PoolId })) {
      return { rangeCount: wanted.length };
    }
    for (const [index, range] of wanted.entries()) {
      await insertPoolRanges(trx, ipv4PoolId, [await checkRange(trx, range, `ranges.${index}`)]);
    }
    await recordActivity(trx, {
      at: ctx.clock.now(),
      actor: ctx.actor,
      verb,
      subject: { kind: 'ipv4_pool', id: ipv4PoolId },
      correlationId,
      diff: { pool: pool.name, ranges: wanted },
    });
    return { rangeCount: wanted.length };
  });
}

async function checkRange(trx: Trx, range: Wanted['ranges'][number], field: string): Promise<PoolRange> {
  const routerId = await liveRouterIdByName(trx, range.router);
  if (routerId === undefined) throw invalid(`${field}.router`, 'is not a router that we have');
  const parts = [
    { name: 'last', first: range.first, last: range.last },
    { name: 'suspendedLast', first: range.suspendedFirst, last: range.suspendedLast },
  ];
  for (const part of parts) {
    if (part.last < part.first) throw invalid(`${field}.${part.name}`, 'must not be below the first address');
    const pool = await poolHolding(trx, part.first, part.last, routerId);
    if (pool !== undefined) throw invalid(`${field}.${part.name}`, `overlaps a range of pool ${pool}`);
    const username = await staticLoginWithin(trx, part.first, part.last);
    if (username !== undefined) {
      throw invalid(`${field}.${part.name}`, `holds the static address of login ${username}`);
    }
  }
  if (range.first <= range.suspendedLast && range.suspendedFirst <= range.last) {
    throw invalid(`${field}.suspendedFirst`, 'must not overlap the normal range');
  }
  return {
    routerId,
    firstAddress: range.first,
    lastAddress: range.last,
    suspendedFirstAddress: range.suspendedFirst,
    suspendedLastAddress: range.suspendedLast,
  };
}
