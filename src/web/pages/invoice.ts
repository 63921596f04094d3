import { creditInvoice, voidInvoice, writeOffInvoice } from '../../billing/invoices.ts';
import { allocationViews, creditNoteViews, entryKeysOfInvoice, onceKeysOf } from '../../db/invoice-view.ts';
import { type Invoice, linesOf, readInvoice } from '../../db/invoices.ts';
import { entriesByKeys } from '../../db/ledger-view.ts';
import { subscriberById } from '../../db/subscribers.ts';
import { addDays } from '../../domain/day.ts';
import type { InvoiceId } from '../../domain/ids.ts';
import { formatMinor, type Minor } from '../../domain/money.ts';
import { notFound } from '../../errors.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { countText, entryKindText, invoiceState, percent, sourceText } from '../money-words.ts';
import type { Page } from '../page.ts';
import { amountOf, idParam, optionalText, renamed, todayOf } from '../params.ts';
import { actorText } from '../run-words.ts';
import type { Route } from '../route.ts';

export const invoiceDocumentRoutes: readonly Route[] = [
  { method: 'get', path: '/invoices/:id', access: 'invoice.view', handle: showOne },
  { method: 'post', path: '/invoices/:id/void', access: 'invoice.edit', handle: doVoid },
  { method: 'post', path: '/invoices/:id/credit', access: 'invoice.edit', handle: doCredit },
  { method: 'post', path: '/invoices/:id/write-off', access: 'invoice.edit', handle: doWriteOff },
];

const emptyForm: Typed = { voidNote: '', creditAmount: '', creditNote: '', writeOffNote: '' };

async function showOne(page: Page): Promise<void> {
  await showInvoice(page, await invoiceOf(page));
}

async function invoiceOf(page: Page): Promise<Invoice> {
  const id = idParam(page, 'invoice') as InvoiceId;
  const invoice = await readInvoice(page.app.db, id);
  if (invoice === undefined) throw notFound(`invoice ${id}`);
  return invoice;
}

/** The document, and under it what may be done about it; with errors, what was typed stays. */
async function showInvoice(
  page: Page,
  invoice: Invoice,
  form: Typed = {},
  errors: FieldErrors | null = null,
): Promise<void> {
  const { db } = page.app;
  const [subscriber, lines, allocations, creditNotes, keys] = await Promise.all([
    subscriberById(db, invoice.subscriberId),
    linesOf(db, invoice.id),
    allocationViews(db, { invoiceId: invoice.id }),
    creditNoteViews(db, invoice.id),
    entryKeysOfInvoice(db, invoice.id),
  ]);
  const entries = await entriesByKeys(
    db,
    onceKeysOf({
      invoiceId: invoice.id,
      creditNoteIds: creditNotes.map((note) => note.id),
      allocationKeys: keys,
    }),
  );
  const live = allocations.filter((part) => part.reversedAt === null);
  const credited = sumOf(creditNotes.map((note) => note.totalMinor));
  const givenUp = sumOf(live.filter((part) => part.source === 'write_off').map((part) => part.amountMinor));
  const creditableMinor = invoice.state === 'void' ? 0n : invoice.totalMinor - credited - givenUp;
  const data = {
    title: nameOf(invoice),
    crumbs: [{ label: 'Invoices', href: '/invoices' }],
    invoice: { ...invoice, lastDay: addDays(invoice.periodEnd, -1) },
    state: invoiceState(invoice, todayOf(page)),
    subscriber: { id: invoice.subscriberId, name: subscriber?.name ?? '', street: subscriber?.street ?? '' },
    lines: lines.map((line) => ({ ...line, rate: percent(line.taxRateBp) })),
    taxes: taxesOf(lines),
    allocations: allocations.map((part) => ({ ...part, sourceText: sourceText(part) })),
    creditNotes,
    entries: entries.map((entry) => ({
      ...entry,
      actor: actorText(entry.actor),
      kindText: entryKindText(entry.kind),
    })),
    settledMinor: sumOf(live.map((part) => part.amountMinor)),
    acts: {
      void: invoice.state !== 'void' && live.length === 0 && creditNotes.length === 0,
      credit: creditableMinor > 0n,
      writeOff: invoice.state === 'open' && invoice.openMinor > 0n,
    },
    creditableMinor,
    creditableText: formatMinor(creditableMinor, invoice.exponent),
    values: { ...emptyForm, ...form },
  };
  if (errors === null) page.render('admin/invoices/show', data);
  else page.render('admin/invoices/show', { ...data, errors }, 400);
}

function taxesOf(lines: Awaited<ReturnType<typeof linesOf>>) {
  const byRate = new Map<string, { label: string; netMinor: Minor; taxMinor: Minor }>();
  for (const line of lines) {
    const label = `${line.taxName} ${percent(line.taxRateBp)}`;
    const sum = byRate.get(label) ?? { label, netMinor: 0n, taxMinor: 0n };
    byRate.set(label, {
      label,
      netMinor: sum.netMinor + line.netMinor,
      taxMinor: sum.taxMinor + line.taxMinor,
    });
  }
  return [...byRate.values()];
}

async function doVoid(page: Page): Promise<void> {
  const invoice = await invoiceOf(page);
  const form = typed(page.req.body);
  const done = await tryForm(() =>
    voidInvoice(page.ctx, { invoiceId: invoice.id, note: form['voidNote'] ?? '' }),
  );
  if (!done.ok) return showInvoice(page, invoice, form, renamed(done.errors, { note: 'voidNote' }));
  const result = done.value;
  if (!result.ok) {
    const refusal = {
      already_void: 'It is void already; nothing was changed.',
      has_allocations:
        'Nothing was voided: something was paid or credited on it. Put it right with a credit note instead.',
    }[result.reason];
    return showInvoice(page, result.invoice, form, { '': refusal });
  }
  page.redirect(`/invoices/${invoice.id}`, {
    kind: 'success',
    text: `${nameOf(invoice)} is void: it owes nothing and its number stays used. ${serviceText(result.closedSuspensions.length)}`,
  });
}

async function doCredit(page: Page): Promise<void> {
  const invoice = await invoiceOf(page);
  const form = typed(page.req.body);
  const done = await tryForm(() => {
    const amount = optionalText(form['creditAmount']);
    return creditInvoice(page.ctx, {
      invoiceId: invoice.id,
      note: form['creditNote'] ?? '',
      ...(amount === undefined ? {} : { amountMinor: amountOf(page, amount, 'amountMinor') }),
    });
  });
  if (!done.ok) {
    const names = { note: 'creditNote', amountMinor: 'creditAmount' };
    return showInvoice(page, invoice, form, renamed(done.errors, names));
  }
  const result = done.value;
  if (!result.ok) {
    const errors: FieldErrors =
      result.reason === 'void'
        ? { '': 'A void invoice owes nothing, so there is nothing to credit.' }
        : { creditAmount: 'is more than what is left of the invoice to credit' };
    return showInvoice(page, result.invoice, form, errors);
  }
  const { creditNote, toWalletMinor } = result;
  const wallet =
    toWalletMinor > 0n
      ? ` ${money(page, toWalletMinor)} of it had been paid and went into the wallet, which pays other open invoices first.`
      : '';
  page.redirect(`/invoices/${invoice.id}`, {
    kind: 'success',
    text: `Credit note ${creditNote.series}-${creditNote.number} over ${money(page, creditNote.totalMinor)} is issued.${wallet} ${serviceText(result.closedSuspensions.length)}`,
  });
}

async function doWriteOff(page: Page): Promise<void> {
  const invoice = await invoiceOf(page);
  const form = typed(page.req.body);
  const done = await tryForm(() =>
    writeOffInvoice(page.ctx, { invoiceId: invoice.id, note: form['writeOffNote'] ?? '' }),
  );
  if (!done.ok) return showInvoice(page, invoice, form, renamed(done.errors, { note: 'writeOffNote' }));
  const result = done.value;
  if (!result.ok) {
    const errors = { '': 'Nothing is open on this invoice any more, so there is nothing to give up.' };
    return showInvoice(page, result.invoice, form, errors);
  }
  page.redirect(`/invoices/${invoice.id}`, {
    kind: 'success',
    text: `${money(page, invoice.openMinor)} given up as bad debt. ${serviceText(result.closedSuspensions.length)}`,
  });
}

function serviceText(closed: number): string {
  return closed === 0 ? '' : `Service comes back: ${countText(closed, 'suspension')} ended by it.`;
}

function nameOf(invoice: Invoice): string {
  return `${invoice.series}-${invoice.number}`;
}

function money(page: Page, amount: Minor): string {
  return `${formatMinor(amount, page.settings.exponent)} ${page.settings.currency}`;
}

function sumOf(amounts: readonly Minor[]): Minor {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}
