import type { z } from 'zod';
import type { Trx } from '../db/knex.ts';
import { line, technicalName, wholeNumber } from '../input.ts';
import { requireByName } from './add-row.ts';
import { rateLimit } from './fields.ts';

/** What a master package says to the network, and what may change for everybody at once; null takes a value away. */
export const networkFields = {
  /** Upload first; null is unlimited, which reaches routers as the operator's port rate. */
  rateLimit: rateLimit().nullable().optional(),
  pppProfile: line(60).nullable().optional(),
  pool: line(60).nullable().optional(),
  ipv6Pool: technicalName(60).nullable().optional(),
  delegatedIpv6Pool: technicalName(60).nullable().optional(),
  sessionTimeoutSeconds: wholeNumber(60, 31_536_000).nullable().optional(),
  idleTimeoutSeconds: wholeNumber(60, 31_536_000).nullable().optional(),
  interimSeconds: wholeNumber(60, 3600).optional(),
  addressList: technicalName(60).nullable().optional(),
};

type Network = z.output<z.ZodObject<typeof networkFields>>;

/** The columns of what was given; what was left out is left out. */
export async function networkColumns(
  trx: Trx,
  wanted: Network,
): Promise<Record<string, string | number | null>> {
  const named = async (table: 'ppp_profile' | 'ipv4_pool', field: string, name: string | null | undefined) =>
    name == null ? name : requireByName(trx, table, { field, name });
  const columns = {
    rate_limit: wanted.rateLimit,
    ppp_profile_id: await named('ppp_profile', 'pppProfile', wanted.pppProfile),
    pool_id: await named('ipv4_pool', 'pool', wanted.pool),
    ipv6_pool: wanted.ipv6Pool,
    delegated_ipv6_pool: wanted.delegatedIpv6Pool,
    session_timeout_seconds: wanted.sessionTimeoutSeconds,
    idle_timeout_seconds: wanted.idleTimeoutSeconds,
    interim_seconds: wanted.interimSeconds,
    address_list: wanted.addressList,
  };
  return Object.fromEntries(
    Object.entries(columns).filter(
      (entry): entry is [string, string | number | null] => entry[1] !== undefined,
    ),
  );
}
