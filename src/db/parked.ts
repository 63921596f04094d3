import type { SubscriptionId } from '../domain/ids.ts';
import { chunksOf, type Db, sqlInstant } from './knex.ts';

/** Sets subscriptions aside for a person to look at, so that the run can go on; once for each run. */
export async function parkSubscriptions(
  db: Db,
  parked: readonly { subscriptionId: SubscriptionId; reason: string }[],
  run: { kind: 'invoice' | 'overdue'; id: string; at: Date },
): Promise<void> {
  for (const chunk of chunksOf(parked, 500)) {
    await db('parked')
      .insert(
        chunk.map((row) => ({
          run_kind: run.kind,
          run_id: run.id,
          subscription_id: row.subscriptionId,
          reason: row.reason.slice(0, 190),
          parked_at: sqlInstant(run.at),
        })),
      )
      .onConflict(['run_kind', 'run_id', 'subscription_id'])
      .ignore();
  }
}

/** What was parked and has now been dealt with is off the list. */
export async function settleParked(
  db: Db,
  kind: 'invoice' | 'overdue',
  subscriptionIds: readonly SubscriptionId[],
  at: Date,
): Promise<void> {
  for (const chunk of chunksOf(subscriptionIds, 500)) {
    await db('parked')
      .where({ run_kind: kind })
      .whereNull('settled_at')
      .whereIn('subscription_id', chunk)
      .update({ settled_at: sqlInstant(at) });
  }
}
