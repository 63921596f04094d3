import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { lockPppProfile, updatePppProfile } from '../db/catalog-view.ts';
import { inTransaction } from '../db/knex.ts';
import { notFound } from '../errors.ts';
import { line, parseInput } from '../input.ts';
import { addresses, seconds } from './add-ppp-profile.ts';
import { requireByName } from './add-row.ts';

const schema = z.strictObject({
  pppProfileId: z.string(),
  pool: line(60).nullable(),
  localAddress: addresses('must be an IPv4 address such as 10.0.0.1').nullable(),
  dnsServers: addresses('must be IPv4 addresses separated by commas').nullable(),
  sessionTimeoutSeconds: seconds().nullable(),
  idleTimeoutSeconds: seconds().nullable(),
});

/**
 * Changes what is written down about a PPP profile. The routers hold the profile itself and logins name it, so no row of
 * a login changes, and the name stays: another name is another profile on every router.
 */
export async function setPppProfile(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<{ changed: readonly string[] }> {
  const wanted = parseInput(schema, input);
  let done: { changed: readonly string[] } | null = null;
  return await inTransaction(ctx.db, async (trx) => {
    const before = await lockPppProfile(trx, wanted.pppProfileId);
    if (before === undefined) throw notFound(`PPP profile ${wanted.pppProfileId}`);
    const after: Record<string, string | number | null> = {
      pool_id:
        wanted.pool === null
          ? null
          : await requireByName(trx, 'ipv4_pool', { field: 'pool', name: wanted.pool }),
      local_address: wanted.localAddress,
      dns_servers: wanted.dnsServers,
      session_timeout_seconds: wanted.sessionTimeoutSeconds,
      idle_timeout_seconds: wanted.idleTimeoutSeconds,
    };
    const changes = Object.entries(after).filter(
      ([name, value]) => String(before[name] ?? '') !== String(value ?? ''),
    );
    // Nothing different, because this same call did it in a transaction whose answer was lost.
    if (changes.length === 0) return done ?? { changed: [] };
    await updatePppProfile(trx, wanted.pppProfileId, Object.fromEntries(changes));
    await recordActivity(trx, {
      at: ctx.clock.now(),
      actor: ctx.actor,
      verb: 'ppp_profile.set',
      subject: { kind: 'ppp_profile', id: wanted.pppProfileId },
      correlationId: ctx.correlationId,
      diff: {
        before: Object.fromEntries(changes.map(([name]) => [name, before[name] ?? null])),
        after: Object.fromEntries(changes),
      },
    });
    done = { changed: changes.map(([name]) => name) };
    return done;
  });
}
