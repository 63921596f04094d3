import type { Knex } from 'knex';
import type { Day } from '../domain/day.ts';
import type { SubscriberId } from '../domain/ids.ts';
import type { Debt } from '../domain/overdue.ts';
import { chunksOf, type Db } from './knex.ts';

/** What a subscriber owes as of a day: the oldest due day with something open, and what is past due and grace. */
export interface SubscriberDebt {
  subscriberId: SubscriberId;
  oldestOpenDueOn: Day;
  debt: Debt | null;
}

/** The debts of some subscribers; who has nothing open is missing. */
export async function debtsOf(
  db: Db,
  subscriberIds: readonly SubscriberId[],
  asOf: Day,
): Promise<Map<SubscriberId, SubscriberDebt>> {
  const debts = new Map<SubscriberId, SubscriberDebt>();
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const rows = await debtRows(db, asOf).whereIn('i.subscriber_id', chunk);
    for (const row of rows) debts.set(row.subscriber_id, asDebt(row));
  }
  return debts;
}

/** Grace is days after the due day: `due_on + grace_days < as_of`, written so that the day of the invoice stands alone. */
const pastGrace = 'i.due_on < DATE_SUB(?, INTERVAL p.grace_days DAY)';

function debtRows(db: Db, asOf: Day): Knex.QueryBuilder<object, DebtRow[]> {
  return db('invoice as i')
    .join('subscriber as c', 'c.id', 'i.subscriber_id')
    .join('billing_profile as p', 'p.id', 'c.billing_profile_id')
    .where('i.state', 'open')
    .where('i.open_minor', '>', 0)
    .groupBy('i.subscriber_id')
    .select<DebtRow[]>(
      'i.subscriber_id',
      db.raw('MIN(i.due_on) AS oldest_due_on'),
      db.raw(`SUM(${pastGrace}) AS biting_count`, [asOf]),
      db.raw(`SUM(IF(${pastGrace}, i.open_minor, 0)) AS biting_minor`, [asOf]),
    ) as Knex.QueryBuilder<object, DebtRow[]>;
}

interface DebtRow {
  subscriber_id: SubscriberId;
  oldest_due_on: Day;
  biting_count: string;
  biting_minor: string;
}

function asDebt(row: DebtRow): SubscriberDebt {
  const invoiceCount = Number(row.biting_count);
  return {
    subscriberId: row.subscriber_id,
    oldestOpenDueOn: row.oldest_due_on,
    debt:
      invoiceCount === 0
        ? null
        : { invoiceCount, openMinor: BigInt(row.biting_minor), oldestDueOn: row.oldest_due_on },
  };
}
