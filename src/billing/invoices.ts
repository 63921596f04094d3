import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { insertAllocations, liveAllocationsOfInvoice } from '../db/allocations.ts';
import { giveNumbers } from '../db/document-numbers.ts';
import {
  closeInvoice,
  type CreditNote,
  creditedMinor,
  findCreditNote,
  insertCreditNote,
  type Invoice,
  readInvoice,
} from '../db/invoices.ts';
import { inTransaction, type Trx } from '../db/knex.ts';
import { isPostedBy, type NewEntry, postEntries, readEntries } from '../db/ledger.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import type { InvoiceId, SubscriberId, SuspensionId } from '../domain/ids.ts';
import { splitCredit } from '../domain/invoice.ts';
import { creditNoteEntry, reverse, writeOffEntry } from '../domain/ledger.ts';
import type { Minor } from '../domain/money.ts';
import { notFound } from '../errors.ts';
import { line, parseInput } from '../input.ts';
import { type Call, idText, type MoneyDay, newCall, readMoneyDay } from './posting.ts';
import { settleSuspensions } from './settle-suspensions.ts';
import { useWallets } from './use-wallet.ts';

type Closing = 'voided' | 'credited' | 'written_off';

interface Refused<Reason extends string> {
  readonly ok: false;
  readonly reason: Reason;
  readonly invoice: Invoice;
}

export interface ClosedInvoice {
  readonly ok: true;
  readonly invoice: Invoice;
  readonly closedSuspensions: readonly SuspensionId[];
}

const closingSchema = z.strictObject({ invoiceId: idText(), note: line(190) });

/**
 * Undoes an invoice that nothing was paid or credited on: a contra entry, the state `void`, and its number stays used,
 * so that the series has no gap. What was paid or credited is put right by a credit note instead. The period is not
 * invoiced again by itself.
 */
export async function voidInvoice(
  ctx: CommandContext,
  input: { readonly invoiceId: InvoiceId; readonly note: string },
): Promise<ClosedInvoice | Refused<'already_void' | 'has_allocations'>> {
  const { note } = parseInput(closingSchema, input);
  return onInvoice(ctx, input.invoiceId, async (trx, invoice, money, call) => {
    const contraKey = `invoice:${invoice.id}:void`;
    if (invoice.state === 'void') {
      if (await isPostedBy(trx, contraKey, call.requestId))
        return { ok: true, invoice, closedSuspensions: [] };
      return { ok: false, reason: 'already_void', invoice };
    }
    const isUsed =
      (await liveAllocationsOfInvoice(trx, invoice.id)).length > 0 ||
      (await creditedMinor(trx, invoice.id)) > 0n;
    if (isUsed) return { ok: false, reason: 'has_allocations', invoice };
    const originals = await readEntries(trx, [`invoice:${invoice.id}`]);
    // An invoice over nothing was never posted.
    const contras = [...originals.values()].map((stored): NewEntry => ({
      onceKey: contraKey,
      entry: reverse(stored.entry),
      subscriberId: invoice.subscriberId,
      effectiveOn: money.today,
      memo: note,
      reversesId: stored.id,
    }));
    await closeInvoice(trx, invoice.id, 'void');
    await postEntries(trx, contras, money.posting);
    return finish(trx, ctx, {
      invoice,
      money,
      note,
      because: 'voided',
      subscriberIds: [invoice.subscriberId],
    });
  });
}

export type CreditInvoiceResult =
  | (ClosedInvoice & { readonly creditNote: CreditNote; readonly toWalletMinor: Minor })
  | Refused<'void' | 'more_than_invoice'>;

const creditSchema = z.strictObject({
  invoiceId: idText(),
  note: line(190),
  amountMinor: z
    .bigint({ error: 'must be an amount' })
    .refine((value) => value > 0n, 'must be more than nothing')
    .optional(),
});

/**
 * Issues a credit note, in a gap-free series of its own, for a part of an invoice or for all that is not credited yet.
 * It lowers what is open; what was paid already goes into the wallet, which at once pays other open invoices.
 */
export async function creditInvoice(
  ctx: CommandContext,
  input: { readonly invoiceId: InvoiceId; readonly amountMinor?: Minor; readonly note: string },
): Promise<CreditInvoiceResult> {
  const given = parseInput(creditSchema, input);
  return onInvoice(ctx, input.invoiceId, async (trx, invoice, money, call): Promise<CreditInvoiceResult> => {
    const onceKey = `credit:${call.requestId}`;
    const allocated = await liveAllocationsOfInvoice(trx, invoice.id);
    const before = await findCreditNote(trx, onceKey);
    if (before !== undefined) {
      const own = sumOf(allocated.filter((part) => part.onceKey === `credit_note:${before.id}`));
      return {
        ok: true,
        invoice,
        creditNote: before,
        toWalletMinor: before.totalMinor - own,
        closedSuspensions: [],
      };
    }
    if (invoice.state === 'void') return { ok: false, reason: 'void', invoice };
    const credited = await creditedMinor(trx, invoice.id);
    // What was given up was never paid: a credit on it would turn it into money.
    const givenUp = sumOf(allocated.filter((part) => part.source === 'write_off'));
    const creditableMinor = invoice.totalMinor - credited - givenUp;
    const amountMinor = given.amountMinor ?? creditableMinor;
    if (amountMinor <= 0n || amountMinor > creditableMinor) {
      return { ok: false, reason: 'more_than_invoice', invoice };
    }
    const toInvoiceMinor = amountMinor < invoice.openMinor ? amountMinor : invoice.openMinor;
    const id = await insertCreditNote(trx, {
      series: creditSeries(money.settings.invoiceSeries),
      invoiceId: invoice.id,
      subscriberId: invoice.subscriberId,
      issuedOn: money.today,
      ...splitCredit(invoice, credited, amountMinor),
      totalMinor: amountMinor,
      note: given.note,
      onceKey,
      money: money.posting.money,
    });
    await postCredit(trx, { id, invoice, credited, amountMinor, toInvoiceMinor, money });
    const users = await useWallets(trx, [invoice.subscriberId], {
      effectiveOn: money.today,
      posting: money.posting,
    });
    const closed = await finish(trx, ctx, {
      invoice,
      money,
      note: given.note,
      because: 'credited',
      subscriberIds: [invoice.subscriberId, ...users],
      amountMinor,
    });
    await giveNumbers(trx, 'credit_note', creditSeries(money.settings.invoiceSeries), [id]);
    const creditNote = await findCreditNote(trx, onceKey);
    if (creditNote === undefined) throw new Error('a credit note that was written cannot be read');
    return { ...closed, creditNote, toWalletMinor: amountMinor - toInvoiceMinor };
  });
}

async function postCredit(
  trx: Trx,
  given: {
    id: CreditNote['id'];
    invoice: Invoice;
    credited: Minor;
    amountMinor: Minor;
    toInvoiceMinor: Minor;
    money: MoneyDay;
  },
): Promise<void> {
  const { id, invoice, amountMinor, toInvoiceMinor, money } = given;
  const onceKey = `credit_note:${id}`;
  if (toInvoiceMinor > 0n) {
    await insertAllocations(
      trx,
      [
        {
          invoiceId: invoice.id,
          source: 'credit_note',
          creditNoteId: id,
          amountMinor: toInvoiceMinor,
          onceKey,
        },
      ],
      money.posting.at,
    );
  }
  const entry = creditNoteEntry(invoice.subscriberId, {
    ...splitCredit(invoice, given.credited, amountMinor),
    toInvoiceMinor,
    toWalletMinor: amountMinor - toInvoiceMinor,
  });
  await postEntries(
    trx,
    [{ onceKey, entry, subscriberId: invoice.subscriberId, effectiveOn: money.today }],
    money.posting,
  );
}

/** Gives up what is still open of an invoice, as bad debt. The document stays; money that comes later is welcome. */
export async function writeOffInvoice(
  ctx: CommandContext,
  input: { readonly invoiceId: InvoiceId; readonly note: string },
): Promise<ClosedInvoice | Refused<'nothing_open'>> {
  const { note } = parseInput(closingSchema, input);
  return onInvoice(ctx, input.invoiceId, async (trx, invoice, money, call) => {
    const onceKey = `write_off:${invoice.id}:${call.requestId}`;
    if (await isPostedBy(trx, onceKey, call.requestId)) return { ok: true, invoice, closedSuspensions: [] };
    if (invoice.state !== 'open' || invoice.openMinor === 0n) {
      return { ok: false, reason: 'nothing_open', invoice };
    }
    const amountMinor = invoice.openMinor;
    await insertAllocations(
      trx,
      [{ invoiceId: invoice.id, source: 'write_off', amountMinor, onceKey }],
      money.posting.at,
    );
    await closeInvoice(trx, invoice.id, 'written_off');
    const entry: NewEntry = {
      onceKey,
      entry: writeOffEntry(invoice.subscriberId, amountMinor),
      subscriberId: invoice.subscriberId,
      effectiveOn: money.today,
      memo: note,
    };
    await postEntries(trx, [entry], money.posting);
    return finish(trx, ctx, {
      invoice,
      money,
      note,
      because: 'written_off',
      subscriberIds: [invoice.subscriberId],
      amountMinor,
    });
  });
}

/** The frame of what is done to one invoice: its subscriber's lock first, the invoice read after that. */
async function onInvoice<Result extends { readonly ok: boolean }>(
  ctx: CommandContext,
  id: InvoiceId,
  work: (trx: Trx, invoice: Invoice, money: MoneyDay, call: Call) => Promise<Result>,
): Promise<Result> {
  const call = newCall(ctx);
  const found = await readInvoice(ctx.db, id);
  if (found === undefined) throw notFound('invoice');
  const result = await inTransaction(ctx.db, async (trx) => {
    await lockSubscribers(trx, [found.subscriberId]);
    const invoice = (await readInvoice(trx, id)) ?? found;
    return work(trx, invoice, await readMoneyDay(trx, ctx, call), call);
  });
  if (result.ok) ctx.wake('worker');
  return result;
}

/** What every way of closing ends with: suspensions without ground, and the trail. */
async function finish(
  trx: Trx,
  ctx: CommandContext,
  done: {
    invoice: Invoice;
    money: MoneyDay;
    note: string;
    because: Closing;
    subscriberIds: readonly SubscriberId[];
    amountMinor?: Minor;
  },
): Promise<ClosedInvoice> {
  const { invoice, money } = done;
  const closedSuspensions = await settleSuspensions(trx, {
    subscriberIds: done.subscriberIds,
    at: money.posting.at,
    today: money.today,
    actor: ctx.actor,
    correlationId: ctx.correlationId,
    because: done.because,
    priority: 'staff',
  });
  const after = (await readInvoice(trx, invoice.id)) ?? invoice;
  await recordActivity(trx, {
    at: money.posting.at,
    actor: ctx.actor,
    verb: { voided: 'invoice.void', credited: 'invoice.credit', written_off: 'invoice.write_off' }[
      done.because
    ],
    subject: { kind: 'invoice', id: invoice.id },
    subscriberId: invoice.subscriberId,
    correlationId: ctx.correlationId,
    diff: {
      note: done.note,
      ...(done.amountMinor === undefined ? {} : { amountMinor: done.amountMinor }),
      openMinor: [invoice.openMinor, after.openMinor],
      state: [invoice.state, after.state],
    },
  });
  return { ok: true, invoice: after, closedSuspensions };
}

function sumOf(parts: readonly { readonly amountMinor: Minor }[]): Minor {
  return parts.reduce((sum, part) => sum + part.amountMinor, 0n);
}

/** Credit notes count for themselves: INV gives INV-CN. */
function creditSeries(invoiceSeries: string): string {
  return `${invoiceSeries}-CN`.slice(-16);
}
