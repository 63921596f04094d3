import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import {
  type Allocation,
  allocationsOfPayment,
  allocationsReversedAt,
  insertAllocations,
  liveWalletUsesOf,
  reverseAllocations,
} from '../db/allocations.ts';
import { openInvoicesOf } from '../db/invoices.ts';
import { inTransaction, type Trx } from '../db/knex.ts';
import { balancesOf, isPostedBy, known, type NewEntry, postEntries, readEntries } from '../db/ledger.ts';
import {
  insertPayment,
  markPaymentReversed,
  type Payment,
  readPayment,
  suspensionsClosedBy,
} from '../db/payments.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import type { Day } from '../domain/day.ts';
import type { PaymentId, SubscriberId, SuspensionId } from '../domain/ids.ts';
import { paymentEntry, reverse } from '../domain/ledger.ts';
import type { Minor } from '../domain/money.ts';
import { allocate, type AllocatedPart } from '../domain/payment-allocation.ts';
import { invalid, notFound } from '../errors.ts';
import { day, line, oneOf, parseInput } from '../input.ts';
import { type Call, idText, type MoneyDay, newCall, readMoneyDay } from './posting.ts';
import { settleSuspensions } from './settle-suspensions.ts';
import { useWallets } from './use-wallet.ts';

export interface PaymentInput {
  readonly subscriberId: SubscriberId;
  readonly channel: 'cash' | 'bank';
  /** The receipt's or transfer's number: unique in its channel. */
  readonly reference: string;
  readonly amountMinor: Minor;
  /** Today, unless said otherwise; never later. */
  readonly receivedOn?: Day;
}

export interface RecordedPayment {
  readonly ok: true;
  readonly payment: Payment;
  /** True when this channel and reference had been recorded by an earlier call: nothing was changed. */
  readonly isRepeat: boolean;
  readonly allocations: readonly AllocatedPart[];
  readonly toWalletMinor: Minor;
  readonly closedSuspensions: readonly SuspensionId[];
}

export type RecordPaymentResult =
  | RecordedPayment
  /** The reference belongs to another payment: of another amount or of somebody else. */
  | { readonly ok: false; readonly reason: 'reference_used'; readonly payment: Payment }
  /** It belongs to this very payment, but that one was reversed: money that comes again has a reference of its own. */
  | { readonly ok: false; readonly reason: 'reference_reversed'; readonly payment: Payment };

const paymentSchema = z.strictObject({
  subscriberId: idText(),
  channel: oneOf(['cash', 'bank']),
  reference: line(64),
  amountMinor: z
    .bigint({ error: 'must be an amount' })
    .refine((value) => value > 0n && value < 10n ** 15n, 'must be more than nothing'),
  receivedOn: day().optional(),
});

/**
 * Records money that came in: sets it against the oldest due invoices, puts the rest into the wallet, posts it, and
 * gives service back where nothing is overdue any more, all in one transaction. The same channel and reference again is
 * the same payment.
 */
export async function recordPayment(ctx: CommandContext, input: PaymentInput): Promise<RecordPaymentResult> {
  const given = parseInput(paymentSchema, input);
  const call = newCall(ctx);
  const result = await inTransaction(ctx.db, async (trx): Promise<RecordPaymentResult> => {
    if ((await lockSubscribers(trx, [input.subscriberId])) === 0) throw notFound('subscriber');
    const money = await readMoneyDay(trx, ctx, call);
    const receivedOn = given.receivedOn ?? money.today;
    if (receivedOn > money.today) throw invalid('receivedOn', `must not be later than ${money.today}`);
    const { payment, isNew } = await insertPayment(trx, {
      ...given,
      subscriberId: input.subscriberId,
      receivedOn,
      at: call.at,
      actor: ctx.actor,
      money: money.posting.money,
    });
    if (!isNew) return repeatedPayment(trx, payment, input, call);
    await allocatePayment(trx, payment, money);
    await settleSuspensions(trx, {
      subscriberIds: [payment.subscriberId],
      at: call.at,
      today: money.today,
      actor: ctx.actor,
      correlationId: ctx.correlationId,
      because: 'paid',
      paymentId: payment.id,
      priority: 'payment',
    });
    const recorded = await describePayment(trx, payment, false);
    await recordActivity(trx, {
      at: call.at,
      actor: ctx.actor,
      verb: 'payment.record',
      subject: { kind: 'payment', id: payment.id },
      subscriberId: payment.subscriberId,
      correlationId: ctx.correlationId,
      diff: {
        channel: payment.channel,
        reference: payment.reference,
        amountMinor: payment.amountMinor,
        receivedOn: payment.receivedOn,
        allocations: recorded.allocations,
        toWalletMinor: recorded.toWalletMinor,
      },
    });
    return recorded;
  });
  if (result.ok && !result.isRepeat) ctx.wake('worker');
  return result;
}

/** Sets the new payment against what is open, and posts it. */
async function allocatePayment(trx: Trx, payment: Payment, money: MoneyDay): Promise<void> {
  const open = await openInvoicesOf(trx, [payment.subscriberId]);
  const { allocations, restMinor } = allocate(payment.amountMinor, open);
  await insertAllocations(
    trx,
    allocations.map((part) => ({
      ...part,
      source: 'payment',
      paymentId: payment.id,
      onceKey: `payment:${payment.id}:${part.invoiceId}`,
    })),
    money.posting.at,
  );
  const entry: NewEntry = {
    onceKey: paymentKey(payment.id),
    entry: paymentEntry(payment.subscriberId, payment.channel, {
      toInvoicesMinor: payment.amountMinor - restMinor,
      toWalletMinor: restMinor,
    }),
    subscriberId: payment.subscriberId,
    effectiveOn: payment.receivedOn,
  };
  await postEntries(trx, [entry], money.posting);
}

async function repeatedPayment(
  trx: Trx,
  payment: Payment,
  input: PaymentInput,
  call: Call,
): Promise<RecordPaymentResult> {
  if (payment.subscriberId !== input.subscriberId || payment.amountMinor !== input.amountMinor) {
    return { ok: false, reason: 'reference_used', payment };
  }
  if (payment.reversedAt !== null) return { ok: false, reason: 'reference_reversed', payment };
  // Our own work, when the answer to the first COMMIT was lost: then it is no repetition.
  const isOwn = await isPostedBy(trx, paymentKey(payment.id), call.requestId);
  return describePayment(trx, payment, !isOwn);
}

async function describePayment(trx: Trx, payment: Payment, isRepeat: boolean): Promise<RecordedPayment> {
  const allocations = await allocationsOfPayment(trx, payment.id);
  return {
    ok: true,
    payment,
    isRepeat,
    allocations: allocations.map(({ invoiceId, amountMinor }) => ({ invoiceId, amountMinor })),
    toWalletMinor: payment.amountMinor - sumOf(allocations),
    closedSuspensions: await suspensionsClosedBy(trx, payment),
  };
}

export type ReversePaymentResult =
  | {
      readonly ok: true;
      readonly payment: Payment;
      /** Invoices that this payment had paid, and those that the wallet had paid with its money. */
      readonly reopened: readonly AllocatedPart[];
    }
  | { readonly ok: false; readonly reason: 'already_reversed'; readonly payment: Payment };

const reversalSchema = z.strictObject({ paymentId: idText(), note: line(190) });

/**
 * Undoes a payment that turned out not to be one (a cheque that bounced, a slip of the hand). The payment stays, marked;
 * a contra entry undoes its posting; its invoices are open again, and so are those that the wallet had paid with its
 * money, the latest first, until the wallet holds nothing that it was not given. Suspensions are left to the next
 * overdue run: the due days speak for themselves.
 */
export async function reversePayment(
  ctx: CommandContext,
  input: { readonly paymentId: PaymentId; readonly note: string },
): Promise<ReversePaymentResult> {
  const { note } = parseInput(reversalSchema, input);
  const call = newCall(ctx);
  const found = await readPayment(ctx.db, input.paymentId);
  if (found === undefined) throw notFound('payment');
  const result = await inTransaction(ctx.db, async (trx): Promise<ReversePaymentResult> => {
    await lockSubscribers(trx, [found.subscriberId]);
    const payment = (await readPayment(trx, found.id)) ?? found;
    if (payment.reversedAt !== null) {
      const isOwn = await isPostedBy(trx, reversalKey(payment.id), call.requestId);
      if (!isOwn) return { ok: false, reason: 'already_reversed', payment };
      return { ok: true, payment, reopened: await allocationsReversedAt(trx, payment.subscriberId, call.at) };
    }
    const money = await readMoneyDay(trx, ctx, call);
    const reopened = await undoPayment(trx, payment, money);
    await markPaymentReversed(trx, payment.id, { at: call.at, actor: ctx.actor, note });
    const users = await useWallets(trx, [payment.subscriberId], {
      effectiveOn: money.today,
      posting: money.posting,
    });
    await settleSuspensions(trx, {
      subscriberIds: users,
      at: call.at,
      today: money.today,
      actor: ctx.actor,
      correlationId: ctx.correlationId,
      because: 'paid',
      priority: 'payment',
    });
    await recordActivity(trx, {
      at: call.at,
      actor: ctx.actor,
      verb: 'payment.reverse',
      subject: { kind: 'payment', id: payment.id },
      subscriberId: payment.subscriberId,
      correlationId: ctx.correlationId,
      diff: { note, amountMinor: payment.amountMinor, reopened },
    });
    const after = (await readPayment(trx, payment.id)) ?? payment;
    return { ok: true, payment: after, reopened };
  });
  if (result.ok) ctx.wake('worker');
  return result;
}

/** Contra entry and allocations of the payment, then wallet uses until the wallet is not below nothing. */
async function undoPayment(trx: Trx, payment: Payment, money: MoneyDay): Promise<AllocatedPart[]> {
  const own = await allocationsOfPayment(trx, payment.id);
  await reverseAllocations(trx, own, money.posting.at);
  await postContras(trx, payment, [[paymentKey(payment.id), reversalKey(payment.id)]], money);
  const balances = await balancesOf(trx, [payment.subscriberId], money.posting.money);
  let shortMinor = -known(balances, payment.subscriberId).walletMinor;
  const taken: Allocation[] = [];
  for (const use of shortMinor > 0n ? await liveWalletUsesOf(trx, payment.subscriberId) : []) {
    if (shortMinor <= 0n) break;
    taken.push(use);
    shortMinor -= use.amountMinor;
  }
  if (shortMinor > 0n) throw new Error(`the wallet of subscriber ${payment.subscriberId} does not add up`);
  await reverseAllocations(trx, taken, money.posting.at);
  await postContras(
    trx,
    payment,
    taken.map((use) => [use.onceKey, `${use.onceKey}:reversal`]),
    money,
  );
  return [...own, ...taken].map(({ invoiceId, amountMinor }) => ({ invoiceId, amountMinor }));
}

async function postContras(
  trx: Trx,
  payment: Payment,
  keys: readonly (readonly [original: string, contra: string])[],
  money: MoneyDay,
): Promise<void> {
  const originals = await readEntries(
    trx,
    keys.map(([original]) => original),
  );
  const contras = keys.map(([original, contra]): NewEntry => {
    const stored = known(originals, original);
    return {
      onceKey: contra,
      entry: reverse(stored.entry),
      subscriberId: payment.subscriberId,
      effectiveOn: money.today,
      memo: `payment ${payment.id} reversed`,
      reversesId: stored.id,
    };
  });
  await postEntries(trx, contras, money.posting);
}

function paymentKey(id: PaymentId): string {
  return `payment:${id}`;
}

function reversalKey(id: PaymentId): string {
  return `payment:${id}:reversal`;
}

function sumOf(parts: readonly { readonly amountMinor: Minor }[]): Minor {
  return parts.reduce((sum, part) => sum + part.amountMinor, 0n);
}
