import { activeDeferralsOf } from '../db/deferrals.ts';
import { chunksOf, type Db, type Trx } from '../db/knex.ts';
import { debtsOf } from '../db/overdue-facts.ts';
import type { Priority } from '../db/reconcile-requests.ts';
import {
  type ClosedBecause,
  closeSuspensions,
  type OpenSuspension,
  openSuspensionsOf,
} from '../db/suspensions.ts';
import type { Day } from '../domain/day.ts';
import type { PaymentId, SubscriberId, SuspensionId } from '../domain/ids.ts';
import { compareIds } from '../domain/payment-allocation.ts';

export interface SettleInput {
  readonly subscriberIds: readonly SubscriberId[];
  readonly at: Date;
  /** The operator's day at that instant: overdue is judged as of it. */
  readonly today: Day;
  readonly actor: string;
  readonly correlationId: string;
  readonly because: ClosedBecause;
  readonly paymentId?: PaymentId | undefined;
  readonly priority: Priority;
}

/**
 * Gives service back to subscribers who are no longer overdue: closes their open overdue suspensions, and no other,
 * and asks for their logins. Called inside every transaction that can clear debt, after that transaction has updated
 * `subscriber.version` and the invoices. One who is still past due and grace on another invoice stays suspended,
 * unless a deferral (a promise, a lift) keeps the run away from the subscription. Gives the closed suspensions.
 */
export async function settleSuspensions(trx: Trx, input: SettleInput): Promise<SuspensionId[]> {
  const closedIds: SuspensionId[] = [];
  for (const subscriberIds of chunksOf([...new Set(input.subscriberIds)].sort(compareIds), 500)) {
    const open = await openSuspensionsOf(trx, subscriberIds, 'overdue');
    if (open.length === 0) continue;
    const settled = await withoutGround(trx, open, input.today);
    if (settled.length === 0) continue;
    await closeSuspensions(trx, settled, input);
    closedIds.push(...settled.map((suspension) => suspension.id));
  }
  return closedIds;
}

/** The overdue suspensions that should not be open as of that day. */
export async function withoutGround(
  db: Db,
  open: readonly OpenSuspension[],
  today: Day,
): Promise<OpenSuspension[]> {
  const debts = await debtsOf(db, [...new Set(open.map((suspension) => suspension.subscriberId))], today);
  const deferrals = await activeDeferralsOf(
    db,
    open.map((suspension) => suspension.subscriptionId),
    today,
  );
  const deferred = new Set(deferrals.map((deferral) => deferral.subscriptionId));
  return open.filter(
    (suspension) =>
      (debts.get(suspension.subscriberId)?.debt ?? null) === null || deferred.has(suspension.subscriptionId),
  );
}
