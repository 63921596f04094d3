import { reversePayment } from '../../billing/payments.ts';
import { allocationViews, onceKeysOf } from '../../db/invoice-view.ts';
import { entriesByKeys } from '../../db/ledger-view.ts';
import { type Payment, readPayment, suspensionsClosedBy } from '../../db/payments.ts';
import { loginViewsOf } from '../../db/subscriber-view.ts';
import { subscriberById } from '../../db/subscribers.ts';
import type { PaymentId } from '../../domain/ids.ts';
import type { Minor } from '../../domain/money.ts';
import { notFound } from '../../errors.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { channelWords, countText, entryKindText, paymentState } from '../money-words.ts';
import type { Page } from '../page.ts';
import { idParam } from '../params.ts';
import { actorText } from '../run-words.ts';
import type { Route } from '../route.ts';

export const paymentDocumentRoutes: readonly Route[] = [
  { method: 'get', path: '/payments/:id', access: 'payment.view', handle: showOne },
  { method: 'get', path: '/payments/:id/access', access: 'payment.view', handle: showAccess },
  { method: 'post', path: '/payments/:id/reverse', access: 'payment.reverse', handle: doReverse },
];

async function paymentOf(page: Page): Promise<Payment> {
  const id = idParam(page, 'payment') as PaymentId;
  const payment = await readPayment(page.app.db, id);
  if (payment === undefined) throw notFound(`payment ${id}`);
  return payment;
}

async function showOne(page: Page): Promise<void> {
  await showPayment(page, await paymentOf(page));
}

async function showPayment(
  page: Page,
  payment: Payment,
  form: Typed = {},
  errors: FieldErrors | null = null,
): Promise<void> {
  const { db } = page.app;
  const [subscriber, allocations, entries, closed, logins] = await Promise.all([
    subscriberById(db, payment.subscriberId),
    allocationViews(db, { paymentId: payment.id }),
    entriesByKeys(db, onceKeysOf({ paymentId: payment.id })),
    suspensionsClosedBy(db, payment),
    loginsOf(page, payment),
  ]);
  const allocatedMinor = sumOf(allocations.map((part) => part.amountMinor));
  const data = {
    title: `Payment ${payment.id}`,
    crumbs: [{ label: 'Payments', href: '/payments' }],
    payment: { ...payment, channelWord: channelWords[payment.channel] },
    state: paymentState(payment.reversedAt !== null),
    subscriber: { id: payment.subscriberId, name: subscriber?.name ?? '' },
    allocations,
    toInvoicesMinor: allocatedMinor,
    toWalletMinor: payment.amountMinor - allocatedMinor,
    reopens: countText(allocations.filter((part) => part.reversedAt === null).length, 'invoice'),
    service:
      closed.length === 0
        ? 'Nothing was suspended for debt, or something is still overdue.'
        : `Came back by this payment: ${countText(closed.length, 'suspension')} ended.`,
    entries: entries.map((entry) => ({
      ...entry,
      actor: actorText(entry.actor),
      kindText: entryKindText(entry.kind),
    })),
    logins,
    values: { note: '', ...form },
  };
  if (errors === null) page.render('admin/payments/show', data);
  else page.render('admin/payments/show', { ...data, errors }, 400);
}

/** What the subscriber's logins may do now. */
async function loginsOf(page: Page, payment: Payment) {
  const logins = await loginViewsOf(page.app.db, payment.subscriberId);
  return logins
    .filter((login) => !login.isRetired)
    .map((login) => ({
      username: login.username,
      access: login.access ?? 'pending',
      openSessions: login.openSessions,
      rateLimit: login.rateLimit ?? '',
    }));
}

/** What a page that watches asks for: service comes back within seconds, and is seen doing so. */
async function showAccess(page: Page): Promise<void> {
  const payment = await paymentOf(page);
  if (!page.wantsPart) {
    page.redirect(`/payments/${payment.id}`);
    return;
  }
  page.renderPart('admin/payments/access', { logins: await loginsOf(page, payment) });
}

async function doReverse(page: Page): Promise<void> {
  const payment = await paymentOf(page);
  const form = typed(page.req.body);
  const done = await tryForm(() =>
    reversePayment(page.ctx, { paymentId: payment.id, note: form['note'] ?? '' }),
  );
  if (!done.ok) return showPayment(page, payment, form, done.errors);
  const result = done.value;
  if (!result.ok) {
    return showPayment(page, result.payment, form, {
      '': 'It was reversed already; nothing was changed.',
    });
  }
  const reopened = new Set(result.reopened.map((part) => part.invoiceId)).size;
  page.redirect(`/payments/${payment.id}`, {
    kind: 'success',
    text: `Reversed. ${countText(reopened, 'invoice is', 'invoices are')} open again. Nobody is suspended by this: the next overdue run looks at the due days.`,
  });
}

function sumOf(amounts: readonly Minor[]): Minor {
  return amounts.reduce((sum, amount) => sum + amount, 0n);
}
