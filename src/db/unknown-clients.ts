import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

/** Somebody who asks FreeRADIUS and is no router of ours. */
export interface UnknownClient {
  readonly host: string;
  readonly address: string;
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
  readonly packets: bigint;
}

/** Addresses that are kept of one host; the ones that were silent longest make room. */
const keptOfHost = 500;

/** Adds what a host's log said, and forgets who has not asked since `forgetBefore`. */
export async function noteUnknownClients(
  db: Db,
  host: string,
  counts: ReadonlyMap<string, number>,
  times: { at: Date; forgetBefore: Date },
): Promise<void> {
  const addresses = [...counts.keys()].sort();
  if (addresses.length > 0) {
    await db('unknown_client')
      .insert(
        addresses.map((address) => ({
          host,
          address,
          first_seen_at: sqlInstant(times.at),
          last_seen_at: sqlInstant(times.at),
          packets: counts.get(address) ?? 0,
        })),
      )
      .onConflict(['host', 'address'])
      .merge({
        last_seen_at: db.raw('VALUES(last_seen_at)'),
        packets: db.raw('packets + VALUES(packets)'),
      });
  }
  await db('unknown_client').where({ host }).where('last_seen_at', '<', sqlInstant(times.forgetBefore)).del();
  const silent = await db('unknown_client')
    .where({ host })
    .orderBy('last_seen_at', 'desc')
    .limit(keptOfHost + 200)
    .pluck<string[]>('address');
  const tooMany = silent.slice(keptOfHost);
  if (tooMany.length > 0) await db('unknown_client').where({ host }).whereIn('address', tooMany).del();
}

/** The last that asked first; an address that is a live router's by now is left out. */
export async function unknownClients(db: Db, limit: number): Promise<UnknownClient[]> {
  interface Row {
    host: string;
    address: string;
    first_seen_at: string;
    last_seen_at: string;
    packets: string;
  }
  const rows = await db('unknown_client as c')
    .leftJoin('router as r', 'r.live_address', 'c.address')
    .whereNull('r.id')
    .orderBy('c.last_seen_at', 'desc')
    .limit(limit)
    .select<Row[]>('c.*');
  return rows.map((row) => ({
    host: row.host,
    address: row.address,
    firstSeenAt: fromSqlInstant(row.first_seen_at),
    lastSeenAt: fromSqlInstant(row.last_seen_at),
    packets: BigInt(row.packets),
  }));
}
