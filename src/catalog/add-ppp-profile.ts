import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { ipv4ToNumber } from '../domain/ip.ts';
import { checked, line, parseInput, technicalName, wholeNumber } from '../input.ts';
import { addNamedRow, requireByName } from './add-row.ts';

/** IPv4 addresses separated by commas, without spaces. */
export const addresses = (rule: string) =>
  checked(rule, (text) => {
    for (const part of text.split(',')) ipv4ToNumber(part.trim());
    return text.replaceAll(' ', '');
  });
export const seconds = () => wholeNumber(60, 31_536_000);
const schema = z.strictObject({
  name: technicalName(60),
  pool: line(60).optional(),
  localAddress: addresses('must be an IPv4 address such as 10.0.0.1').optional(),
  dnsServers: addresses('must be IPv4 addresses separated by commas').optional(),
  sessionTimeoutSeconds: seconds().optional(),
  idleTimeoutSeconds: seconds().optional(),
});

/** A PPP profile as routers know it by name (Mikrotik-Group). */
export async function addPppProfile(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ pppProfileId: string }> {
  const wanted = parseInput(schema, input);
  return inTransaction(ctx.db, async (trx) => {
    const poolId =
      wanted.pool === undefined
        ? null
        : await requireByName(trx, 'ipv4_pool', { field: 'pool', name: wanted.pool });
    const { id } = await addNamedRow(ctx, trx, {
      table: 'ppp_profile',
      name: wanted.name,
      row: {
        name: wanted.name,
        pool_id: poolId,
        local_address: wanted.localAddress ?? null,
        dns_servers: wanted.dnsServers ?? null,
        session_timeout_seconds: wanted.sessionTimeoutSeconds ?? null,
        idle_timeout_seconds: wanted.idleTimeoutSeconds ?? null,
      },
    });
    return { pppProfileId: id };
  });
}
