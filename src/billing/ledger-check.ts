import type { CommandContext } from '../command.ts';
import { findLedgerFaults, insertLedgerCheck, type LedgerCheck } from '../db/ledger-check.ts';

/**
 * Proves the ledger: every entry sums to zero, stored balances equal postings, receivables and wallets equal what the
 * documents say, numbers have no gap, sealed days hold. Writes the verdict with what it found, and gives it.
 */
export async function checkLedger(ctx: CommandContext): Promise<LedgerCheck> {
  const checkedAt = ctx.clock.now();
  const { entryCount, postingCount, findings } = await findLedgerFaults(ctx.db);
  const verdict = findings.length === 0 ? 'ok' : 'broken';
  const check = { checkedAt, verdict, entryCount, postingCount, findings } as const;
  const id = await insertLedgerCheck(ctx.db, check);
  if (verdict === 'broken') ctx.log.error('the ledger does not add up', { checkId: id, findings });
  return { id, ...check };
}
