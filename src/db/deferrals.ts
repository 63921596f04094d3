import type { Day } from '../domain/day.ts';
import type { OverdueRunId, SubscriptionId } from '../domain/ids.ts';
import { chunksOf, type Db, sqlInstant } from './knex.ts';

export type DeferralSource = 'lift' | 'rollback' | 'exclusion' | 'promise';

export interface NewDeferral {
  subscriptionId: SubscriptionId;
  source: DeferralSource;
  /** First day on which the overdue run may act again. */
  untilOn: Day;
  runId?: OverdueRunId | null;
  note: string;
  /** What makes a repeated one the same row. At most 64 characters. */
  onceKey: string;
}

export interface Deferral {
  id: string;
  subscriptionId: SubscriptionId;
  source: DeferralSource;
  untilOn: Day;
  openedBy: string;
  note: string;
}

/** Records deferrals; one that is there already under its key is left as it is. */
export async function recordDeferrals(
  trx: Db,
  deferrals: readonly NewDeferral[],
  by: { at: Date; actor: string },
): Promise<void> {
  for (const chunk of chunksOf(deferrals, 500)) {
    await trx('deferral')
      .insert(
        chunk.map((deferral) => ({
          subscription_id: deferral.subscriptionId,
          source: deferral.source,
          until_on: deferral.untilOn,
          run_id: deferral.runId ?? null,
          opened_at: sqlInstant(by.at),
          opened_by: by.actor,
          note: deferral.note,
          once_key: deferral.onceKey,
        })),
      )
      .onConflict('once_key')
      .ignore();
  }
}

/** Whether a deferral is there under its key: how a repeated transaction knows its own work. */
export async function hasDeferral(db: Db, onceKey: string): Promise<boolean> {
  const row = await db('deferral').where({ once_key: onceKey }).first<{ id: string } | undefined>('id');
  return row !== undefined;
}

/** The deferrals of some subscriptions that still hold on that day, the longest first. */
export async function activeDeferralsOf(
  db: Db,
  subscriptionIds: readonly SubscriptionId[],
  day: Day,
): Promise<Deferral[]> {
  const found: Deferral[] = [];
  for (const chunk of chunksOf(subscriptionIds, 500)) {
    const rows = await db('deferral')
      .whereIn('subscription_id', chunk)
      .whereNull('closed_at')
      .where('until_on', '>', day)
      .orderBy(['subscription_id', { column: 'until_on', order: 'desc' }, 'id'])
      .select<DeferralRow[]>('id', 'subscription_id', 'source', 'until_on', 'opened_by', 'note');
    for (const row of rows) {
      found.push({
        id: row.id,
        subscriptionId: row.subscription_id,
        source: row.source,
        untilOn: row.until_on,
        openedBy: row.opened_by,
        note: row.note,
      });
    }
  }
  return found;
}

interface DeferralRow {
  id: string;
  subscription_id: SubscriptionId;
  source: DeferralSource;
  until_on: Day;
  opened_by: string;
  note: string;
}
