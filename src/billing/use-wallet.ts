import { insertAllocations, type NewAllocation } from '../db/allocations.ts';
import { openInvoicesOf } from '../db/invoices.ts';
import type { Trx } from '../db/knex.ts';
import { balancesOf, type NewEntry, postEntries, type Posting } from '../db/ledger.ts';
import type { Day } from '../domain/day.ts';
import type { SubscriberId } from '../domain/ids.ts';
import { walletUseEntry } from '../domain/ledger.ts';
import { allocate } from '../domain/payment-allocation.ts';

/**
 * Sets what is in the wallets of some subscribers against their open invoices, oldest due first: one ledger entry for
 * each invoice, so that each can be taken back by itself. The caller holds the subscribers' lock, and settles the
 * suspensions of those who are given back: the ones whose wallet paid something.
 */
export async function useWallets(
  trx: Trx,
  subscriberIds: readonly SubscriberId[],
  on: { effectiveOn: Day; posting: Posting },
): Promise<SubscriberId[]> {
  const balances = await balancesOf(trx, subscriberIds, on.posting.money);
  const funded = subscriberIds.filter((id) => (balances.get(id)?.walletMinor ?? 0n) > 0n);
  if (funded.length === 0) return [];
  const open = await openInvoicesOf(trx, funded);
  const allocations: NewAllocation[] = [];
  const entries: NewEntry[] = [];
  const users: SubscriberId[] = [];
  for (const subscriberId of funded) {
    const used = allocate(
      balances.get(subscriberId)?.walletMinor ?? 0n,
      open.filter((invoice) => invoice.subscriberId === subscriberId),
    );
    if (used.allocations.length > 0) users.push(subscriberId);
    for (const { invoiceId, amountMinor } of used.allocations) {
      const onceKey = `wallet_use:${invoiceId}:${on.posting.requestId}`;
      allocations.push({ invoiceId, amountMinor, source: 'wallet', onceKey });
      entries.push({
        onceKey,
        entry: walletUseEntry(subscriberId, amountMinor),
        subscriberId,
        effectiveOn: on.effectiveOn,
      });
    }
  }
  await insertAllocations(trx, allocations, on.posting.at);
  await postEntries(trx, entries, on.posting);
  return users;
}
