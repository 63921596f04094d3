import type { Knex } from 'knex';
import type { Day } from '../domain/day.ts';
import type { PaymentId, SubscriberId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import { byIndex, countUpTo, inOrder, type Place } from './keyset.ts';
import { type Db, fromSqlInstant } from './knex.ts';
import type { PaymentChannel } from './payments.ts';
import { subscriberNames } from './subscriber-pick.ts';

export interface PaymentFilter {
  readonly show?: PaymentChannel | 'reversed';
  /** Received from this day on, and up to this day. */
  readonly from?: Day;
  readonly to?: Day;
  readonly subscriberIds?: readonly SubscriberId[];
}

export interface PaymentSummary {
  readonly id: PaymentId;
  readonly subscriberId: SubscriberId;
  readonly subscriberName: string;
  readonly channel: PaymentChannel;
  readonly reference: string;
  readonly amountMinor: Minor;
  readonly currency: string;
  readonly receivedOn: Day;
  readonly recordedAt: Date;
  readonly recordedBy: string;
  readonly reversedAt: Date | null;
  /** As stored, for the order. */
  readonly reversedText: string | null;
}

/** A page of payments, the last received first; of reversed ones, the last reversed first. */
export async function paymentPage(
  db: Db,
  filter: PaymentFilter,
  place: Place | null,
  limit: number,
): Promise<PaymentSummary[]> {
  const columns = filter.show === 'reversed' ? ['reversed_at', 'id'] : ['received_on', 'id'];
  const rows = await inOrder(db, paymentsOf(db, filter), { columns, way: 'desc' }, place)
    .limit(limit)
    .select<Record<string, string | null>[]>('*');
  const names = await subscriberNames(
    db,
    rows.map((row) => row['subscriber_id'] ?? ''),
  );
  return rows.map((row) => ({
    id: row['id'] as PaymentId,
    subscriberId: row['subscriber_id'] as SubscriberId,
    subscriberName: names.get(row['subscriber_id'] ?? '') ?? '',
    channel: row['channel'] as PaymentChannel,
    reference: row['reference'] ?? '',
    amountMinor: BigInt(row['amount_minor'] ?? '0'),
    currency: row['currency'] ?? '',
    receivedOn: row['received_on'] as Day,
    recordedAt: fromSqlInstant(row['recorded_at'] ?? ''),
    recordedBy: row['recorded_by'] ?? '',
    reversedAt: row['reversed_at'] == null ? null : fromSqlInstant(row['reversed_at']),
    reversedText: row['reversed_at'] ?? null,
  }));
}

export function paymentPlace(filter: PaymentFilter, row: PaymentSummary): string[] {
  return [filter.show === 'reversed' ? (row.reversedText ?? '') : row.receivedOn, row.id];
}

export async function countPayments(db: Db, filter: PaymentFilter, max: number): Promise<number> {
  return countUpTo(db, paymentsOf(db, filter), max);
}

function paymentsOf(db: Db, filter: PaymentFilter): Knex.QueryBuilder {
  const query = byIndex(db, 'payment', indexFor(filter));
  if (filter.show === 'reversed') void query.whereNotNull('reversed_at');
  else if (filter.show !== undefined) void query.where('channel', filter.show);
  if (filter.from !== undefined) void query.where('received_on', '>=', filter.from);
  if (filter.to !== undefined) void query.where('received_on', '<=', filter.to);
  if (filter.subscriberIds !== undefined) void query.whereIn('subscriber_id', [...filter.subscriberIds]);
  return query;
}

function indexFor(filter: PaymentFilter): string {
  if (filter.subscriberIds !== undefined) return 'payment_subscriber';
  if (filter.show === 'reversed') return 'payment_reversed';
  return filter.show === undefined ? 'payment_received' : 'payment_channel';
}
