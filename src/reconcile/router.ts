import type { Knex } from 'knex';
import type { Vault } from '../adapters/vault.ts';
import type { Clock } from '../clock.ts';
import type { Wake } from '../command.ts';
import { inTransaction } from '../db/knex.ts';
import { deleteNasRows, lockNasRows, writeNasRows } from '../db/nas.ts';
import { type Claim, fail, finish } from '../db/reconcile-queue.ts';
import { routersByIds, type RouterRow, routerSecretPlace } from '../db/routers.ts';
import { stillWanted } from '../db/wanted.ts';
import { diffNasRows, type NasRow } from '../domain/nas-rows.ts';
import type { Log } from '../log.ts';

export interface RouterReconcileDeps {
  readonly db: Knex;
  readonly clock: Clock;
  readonly log: Log;
  readonly vault: Vault;
  readonly wake: Wake;
}

/**
 * Makes the rows of `nas` what these routers want, at most 500 keys a call: one for each router that is not removed, with
 * its secret in clear text, because FreeRADIUS needs it. A router whose secret does not open keeps the row it has, and
 * its key fails alone. The radius-agents take it from there.
 */
export async function reconcileRouters(deps: RouterReconcileDeps, claims: readonly Claim[]): Promise<void> {
  const outcome = await inTransaction(deps.db, async (trx) => {
    const wanted = await stillWanted(trx, claims);
    const routers = await routersByIds(
      trx,
      wanted.map((claim) => claim.key),
    );
    const { desired, failed } = desiredRows(deps.vault, routers);
    const looked = wanted.map((claim) => claim.key).filter((id) => !failed.has(id));
    const actual = await lockNasRows(
      trx,
      looked,
      desired.map((row) => row.address),
    );
    const diff = diffNasRows(looked, desired, actual);
    await deleteNasRows(trx, diff.remove);
    await writeNasRows(trx, diff.write, deps.clock.now());
    return {
      isChanged: diff.remove.length + diff.write.length > 0,
      failures: wanted.flatMap((claim) => {
        const error = failed.get(claim.key);
        return error === undefined ? [] : [{ claim, error }];
      }),
    };
  });
  if (outcome.isChanged) deps.wake('radius-agent');
  const failed = new Set(outcome.failures.map((failure) => failure.claim));
  // Those that had a newer wish too: finishing gives that one free.
  await finish(
    deps.db,
    claims.filter((claim) => !failed.has(claim)),
  );
  if (outcome.failures.length === 0) return;
  await fail(deps.db, outcome.failures);
  const routers = outcome.failures.map((failure) => failure.claim.key);
  deps.log.error('router secrets do not open', { routers });
}

function desiredRows(
  vault: Vault,
  routers: readonly RouterRow[],
): { desired: NasRow[]; failed: Map<string, string> } {
  const desired: NasRow[] = [];
  const failed = new Map<string, string>();
  for (const router of routers) {
    if (router.removedAt !== null) continue;
    try {
      desired.push({
        routerId: router.id,
        address: router.address,
        secret: vault.open(routerSecretPlace(router.id), router.sealedSecret),
        shortname: `r${router.id}`,
        requireMessageAuthenticator: router.needsMessageAuthenticator,
      });
    } catch {
      failed.set(router.id, 'the secret does not open with the keys that are configured: set it again');
    }
  }
  return { desired, failed };
}
