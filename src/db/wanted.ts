import { chunksOf, type Trx } from './knex.ts';
import { byId, type Claim, marks, numbers, tokensOf } from './reconcile-queue.ts';

/**
 * Of these claims, those whose wish is still the one that was claimed; a key with a newer wish, or one whose lease went
 * to another worker, is dropped. The rows stay locked until the transaction ends, and they are written: on Galera a lock
 * is not seen by other nodes, and only so a newer wish that commits on one of them meanwhile undoes this transaction. So
 * what it writes is what was wanted when it commits: a newer wish waits for the COMMIT and survives it.
 */
export async function stillWanted(trx: Trx, claims: readonly Claim[]): Promise<Claim[]> {
  const wanted = await lockWanted(trx, claims);
  for (const chunk of chunksOf(byId(wanted), 500)) {
    await trx('reconcile_queue')
      .whereIn('id', idsOf(chunk))
      .update({ locked_until: trx.raw('locked_until + INTERVAL 1000 MICROSECOND') });
  }
  return wanted;
}

/**
 * The same for a transaction that fulfils these wishes by its COMMIT: their rows are gone with it, and are there again if
 * it fails. Gives those that it fulfils.
 */
export async function takeWanted(trx: Trx, claims: readonly Claim[]): Promise<Claim[]> {
  const wanted: Claim[] = [];
  for (const chunk of chunksOf(inKeyOrder(claims), 500)) {
    // Versions are random numbers of 63 bits: that one is among these and belongs to another row does not happen.
    const [rows = []]: { id: string }[][] = await trx.raw(
      `DELETE FROM reconcile_queue WHERE kind IN (${marks(kindsOf(chunk))}) AND \`key\` IN (${marks(chunk)})
         AND version IN (${marks(chunk)}) AND claim_token IN (${marks(tokensOf(chunk))}) RETURNING id`,
      [
        ...kindsOf(chunk),
        ...numbers(
          chunk.map((one) => one.key),
          chunk.map((one) => one.version),
        ),
        ...tokensOf(chunk),
      ],
    );
    const taken = new Set(rows.map((row) => row.id));
    wanted.push(...chunk.filter((one) => taken.has(one.id)));
  }
  return wanted;
}

function idsOf(claims: readonly Claim[]): string[] {
  return claims.map((one) => one.id);
}

async function lockWanted(trx: Trx, claims: readonly Claim[]): Promise<Claim[]> {
  const wanted: Claim[] = [];
  for (const chunk of chunksOf(inKeyOrder(claims), 500)) {
    const rows = await trx('reconcile_queue')
      .select<{ id: string; version: string; claim_token: string | null }[]>('id', 'version', 'claim_token')
      .whereIn('kind', kindsOf(chunk))
      .whereIn(
        'key',
        chunk.map((one) => one.key),
      )
      .forUpdate();
    const seen = new Map(rows.map((row) => [row.id, row]));
    wanted.push(
      ...chunk.filter((one) => {
        const row = seen.get(one.id);
        return row?.version === one.version && row.claim_token === one.token;
      }),
    );
  }
  return wanted;
}

function kindsOf(claims: readonly Claim[]): string[] {
  return [...new Set(claims.map((one) => one.kind))];
}

/** As requests come in: two transactions that meet then wait instead of deadlocking. */
function inKeyOrder(claims: readonly Claim[]): Claim[] {
  return [...claims].sort((a, b) => a.kind.localeCompare(b.kind) || Number(BigInt(a.key) - BigInt(b.key)));
}
