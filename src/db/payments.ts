import type { Day } from '../domain/day.ts';
import type { PaymentId, SubscriberId, SuspensionId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import { type Db, fromSqlInstant, isDuplicate, sqlInstant, type Trx } from './knex.ts';
import type { Money } from './ledger.ts';

export type PaymentChannel = 'cash' | 'bank';

export interface Payment extends Money {
  readonly id: PaymentId;
  readonly subscriberId: SubscriberId;
  readonly channel: PaymentChannel;
  readonly reference: string;
  readonly amountMinor: Minor;
  readonly receivedOn: Day;
  readonly recordedAt: Date;
  readonly recordedBy: string;
  readonly reversedAt: Date | null;
  readonly reversedBy: string | null;
  readonly reversalNote: string | null;
}

export async function readPayment(db: Db, id: PaymentId): Promise<Payment | undefined> {
  const row = await db('payment').where({ id }).first<PaymentRow | undefined>();
  return row === undefined ? undefined : asPayment(row);
}

export async function findPayment(
  db: Db,
  channel: PaymentChannel,
  reference: string,
): Promise<Payment | undefined> {
  const row = await db('payment').where({ channel, reference }).first<PaymentRow | undefined>();
  return row === undefined ? undefined : asPayment(row);
}

/**
 * Writes a payment down, or gives the one that has this channel and reference already: the unique key decides between
 * two who come at once.
 */
export async function insertPayment(
  trx: Trx,
  payment: {
    subscriberId: SubscriberId;
    channel: PaymentChannel;
    reference: string;
    amountMinor: Minor;
    receivedOn: Day;
    at: Date;
    actor: string;
    money: Money;
  },
): Promise<{ payment: Payment; isNew: boolean }> {
  const before = await findPayment(trx, payment.channel, payment.reference);
  if (before !== undefined) return { payment: before, isNew: false };
  let isNew = true;
  try {
    await trx('payment').insert({
      subscriber_id: payment.subscriberId,
      channel: payment.channel,
      reference: payment.reference,
      amount_minor: payment.amountMinor.toString(),
      currency: payment.money.currency,
      exponent: payment.money.exponent,
      received_on: payment.receivedOn,
      recorded_at: sqlInstant(payment.at),
      recorded_by: payment.actor,
    });
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    isNew = false;
  }
  const row = await findPayment(trx, payment.channel, payment.reference);
  if (row === undefined) throw new Error('a payment that was written cannot be read');
  return { payment: row, isNew };
}

export async function markPaymentReversed(
  trx: Trx,
  id: PaymentId,
  by: { at: Date; actor: string; note: string },
): Promise<void> {
  await trx('payment')
    .where({ id })
    .update({ reversed_at: sqlInstant(by.at), reversed_by: by.actor, reversal_note: by.note });
}

/** The suspensions that this payment ended. */
export async function suspensionsClosedBy(db: Db, payment: Payment): Promise<SuspensionId[]> {
  return db('suspension as s')
    .join('subscription as n', 'n.id', 's.subscription_id')
    .where('n.subscriber_id', payment.subscriberId)
    .where('s.closed_by_payment_id', payment.id)
    .orderBy('s.id')
    .pluck<SuspensionId[]>('s.id');
}

interface PaymentRow {
  id: PaymentId;
  subscriber_id: SubscriberId;
  channel: PaymentChannel;
  reference: string;
  amount_minor: string;
  currency: string;
  exponent: number;
  received_on: Day;
  recorded_at: string;
  recorded_by: string;
  reversed_at: string | null;
  reversed_by: string | null;
  reversal_note: string | null;
}

function asPayment(row: PaymentRow): Payment {
  return {
    id: row.id,
    subscriberId: row.subscriber_id,
    channel: row.channel,
    reference: row.reference,
    amountMinor: BigInt(row.amount_minor),
    currency: row.currency,
    exponent: row.exponent,
    receivedOn: row.received_on,
    recordedAt: fromSqlInstant(row.recorded_at),
    recordedBy: row.recorded_by,
    reversedAt: row.reversed_at === null ? null : fromSqlInstant(row.reversed_at),
    reversedBy: row.reversed_by,
    reversalNote: row.reversal_note,
  };
}
