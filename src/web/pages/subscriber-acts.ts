import { recordPayment } from '../../billing/payments.ts';
import { promiseToPay } from '../../billing/promises.ts';
import { openInvoicesOf } from '../../db/invoices.ts';
import { balancesOf } from '../../db/ledger.ts';
import { type SubscriberRow, type SubscriptionRow, subscriptionsOf } from '../../db/subscribers.ts';
import { type OpenSuspension, openSuspensionsOf } from '../../db/suspensions.ts';
import type { SuspensionCause } from '../../domain/access-types.ts';
import { addDays, dayIn, parseDay } from '../../domain/day.ts';
import { formatMinor, groupedMinor } from '../../domain/money.ts';
import { invalid } from '../../errors.ts';
import { holdSubscription } from '../../subscribers/hold.ts';
import { liftSuspension } from '../../subscribers/lift.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import type { Flash } from '../flash.ts';
import type { Page } from '../page.ts';
import { amountOf, renamed } from '../params.ts';
import type { Route } from '../route.ts';
import { subscriberOf, subscribersCrumb } from './subscriber.ts';

/** What a subscriber's page offers about money and suspensions, each with the form of its command. */
export const subscriberActRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/subscribers/:id/payment',
    access: 'payment.take',
    handle: (page) => showPayment(page),
  },
  { method: 'post', path: '/subscribers/:id/payment', access: 'payment.take', handle: doPayment },
  {
    method: 'get',
    path: '/subscribers/:id/promise',
    access: 'promise.make',
    handle: (page) => showPromise(page),
  },
  { method: 'post', path: '/subscribers/:id/promise', access: 'promise.make', handle: doPromise },
  {
    method: 'get',
    path: '/subscribers/:id/hold',
    access: 'subscriber.hold',
    handle: (page) => showHold(page),
  },
  { method: 'post', path: '/subscribers/:id/hold', access: 'subscriber.hold', handle: doHold },
  {
    method: 'get',
    path: '/subscribers/:id/lift',
    access: 'subscriber.hold',
    handle: (page) => showLift(page),
  },
  { method: 'post', path: '/subscribers/:id/lift', access: 'subscriber.hold', handle: doLift },
];

/** A form again, with what is wrong, or for the first time. */
export function renderForm(
  page: Page,
  view: string,
  subscriber: SubscriberRow,
  data: { title: string; values: Typed; [name: string]: unknown },
  errors: FieldErrors | null,
): void {
  const crumbs = [subscribersCrumb, { label: subscriber.name, href: `/subscribers/${subscriber.id}` }];
  const full = { crumbs, subscriber, ...data };
  if (errors === null) page.render(view, full);
  else page.render(view, { ...full, errors }, 400);
}

/** Back to the subscriber with what became of it. */
export function backTo(page: Page, subscriber: SubscriberRow, flash: Flash): void {
  page.redirect(`/subscribers/${subscriber.id}`, flash);
}

async function showPayment(page: Page, form: Typed | null = null, errors: FieldErrors | null = null) {
  const subscriber = await subscriberOf(page);
  const { db } = page.app;
  const invoices = await openInvoicesOf(db, [subscriber.id]);
  const balance = (await balancesOf(db, [subscriber.id], page.settings)).get(subscriber.id);
  const today = dayIn(page.settings.zone, page.now);
  const dueMinor = invoices
    .filter((invoice) => invoice.dueOn < today)
    .reduce((sum, invoice) => sum + invoice.openMinor, 0n);
  const openMinor = invoices.reduce((sum, invoice) => sum + invoice.openMinor, 0n);
  const proposed = dueMinor > 0n ? dueMinor : openMinor;
  const values = {
    amount: proposed > 0n ? formatMinor(proposed, page.settings.exponent) : '',
    channel: 'cash',
    reference: '',
    receivedOn: today,
    ...form,
  };
  const facts = { openMinor, dueMinor, walletMinor: balance?.walletMinor ?? 0n };
  renderForm(
    page,
    'admin/subscriber/payment',
    subscriber,
    { title: 'Take a payment', values, facts, today },
    errors,
  );
}

async function doPayment(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const form = typed(page.req.body);
  const taken = await tryForm(async () =>
    recordPayment(page.ctx, {
      subscriberId: subscriber.id,
      channel: (form['channel'] ?? '') as 'cash' | 'bank',
      reference: form['reference'] ?? '',
      amountMinor: amountOf(page, form['amount'] ?? '', 'amount'),
      ...optionalDay(form, 'receivedOn'),
    }),
  );
  if (!taken.ok) return showPayment(page, form, renamed(taken.errors, { amountMinor: 'amount' }));
  const result = taken.value;
  const { currency, exponent } = page.settings;
  const amount = (minor: bigint) => `${groupedMinor(minor, exponent)} ${currency}`;
  if (!result.ok) {
    const { payment } = result;
    const text =
      result.reason === 'reference_used'
        ? `belongs to another payment: ${amount(payment.amountMinor)} of subscriber ${payment.subscriberId}, received on ${payment.receivedOn}. Nothing was recorded.`
        : 'belongs to this very payment, which was recorded and reversed before. Money that comes again has a reference of its own.';
    return showPayment(page, form, { reference: text });
  }
  if (result.isRepeat) {
    backTo(page, subscriber, {
      kind: 'warning',
      text: 'This very payment had been recorded before: nothing was changed.',
    });
    return;
  }
  const parts = [
    `${amount(result.payment.amountMinor)} recorded.`,
    result.allocations.length === 0 ? '' : `Set against ${counted(result.allocations.length, 'invoice')}.`,
    result.toWalletMinor > 0n ? `${amount(result.toWalletMinor)} went to the wallet.` : '',
    result.closedSuspensions.length > 0 ? 'Service is coming back: watch it below.' : '',
  ];
  backTo(page, subscriber, { kind: 'success', text: parts.filter((part) => part !== '').join(' ') });
}

async function showPromise(page: Page, form: Typed | null = null, errors: FieldErrors | null = null) {
  const subscriber = await subscriberOf(page);
  const today = dayIn(page.settings.zone, page.now);
  const values = { payBy: addDays(today, 3), note: '', ...form };
  renderForm(
    page,
    'admin/subscriber/promise',
    subscriber,
    { title: 'Note a promise to pay', values, today },
    errors,
  );
}

async function doPromise(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const form = typed(page.req.body);
  const noted = await tryForm(() =>
    promiseToPay(page.ctx, {
      subscriberId: subscriber.id,
      payBy: form['payBy'] ?? '',
      note: form['note'] ?? '',
    }),
  );
  if (!noted.ok) return showPromise(page, form, noted.errors);
  const result = noted.value;
  if (!result.ok) {
    backTo(page, subscriber, {
      kind: 'danger',
      text: 'Nothing was noted: the subscriber has no subscription that lives.',
    });
    return;
  }
  const back =
    result.restored.length === 0
      ? 'Nothing was suspended as overdue.'
      : 'Service is coming back: watch it below.';
  backTo(page, subscriber, {
    kind: 'success',
    text: `The promise is noted. ${back} The overdue run stays away until ${result.deferredUntil}.`,
  });
}

async function showHold(page: Page, form: Typed | null = null, errors: FieldErrors | null = null) {
  const subscriber = await subscriberOf(page);
  const living = await livingOf(page, subscriber);
  const values = { subscription: '', cause: 'staff', effect: 'block', throttleRate: '', note: '', ...form };
  renderForm(
    page,
    'admin/subscriber/hold',
    subscriber,
    { title: 'Hold', values, subscriptions: living, isSeveral: living.length > 1 },
    errors,
  );
}

async function doHold(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const form = typed(page.req.body);
  const held = await tryForm(async () => {
    const target = await targetOf(page, subscriber, form);
    const rate = (form['throttleRate'] ?? '').trim();
    return holdSubscription(page.ctx, {
      ...target,
      cause: form['cause'] ?? '',
      effect: form['effect'] ?? '',
      ...(rate === '' ? {} : { throttleRate: rate }),
      note: form['note'] ?? '',
    });
  });
  if (!held.ok) return showHold(page, form, renamed(held.errors, { subscriptionId: 'subscription' }));
  const result = held.value;
  if (!result.ok) {
    const text =
      result.reason === 'already_held'
        ? 'It is held for that cause already: nothing was changed.'
        : 'The subscription has ended: there is nothing to hold.';
    return showHold(page, form, { '': text });
  }
  const before =
    result.already.length === 0 ? '' : ` ${counted(result.already.length, 'subscription')} held before.`;
  backTo(page, subscriber, {
    kind: 'warning',
    text: `${counted(result.held.length, 'subscription')} held; the live session follows at once.${before} Only a lift ends it.`,
  });
}

async function showLift(page: Page, form: Typed | null = null, errors: FieldErrors | null = null) {
  const subscriber = await subscriberOf(page);
  const open = await openSuspensionsOf(page.app.db, [subscriber.id]);
  const subscriptions = await subscriptionsOf(page.app.db, { subscriberId: subscriber.id });
  const today = dayIn(page.settings.zone, page.now);
  const causes = [...new Set(open.map((suspension) => suspension.cause))];
  const values = {
    subscription: '',
    cause: causes.length === 1 ? (causes[0] ?? '') : '',
    untilOn: addDays(today, page.settings.deferralDays),
    note: '',
    ...form,
  };
  const held = new Set(open.map((suspension) => suspension.subscriptionId));
  renderForm(
    page,
    'admin/subscriber/lift',
    subscriber,
    {
      title: 'Lift',
      values,
      open: open.map((suspension) => suspensionView(suspension, subscriptions)),
      causes: causes.map((cause) => ({ cause, word: causeWords[cause] })),
      isOverdue: causes.includes('overdue'),
      subscriptions: subscriptions.filter(({ id }) => held.has(id)),
      isSeveral: held.size > 1,
    },
    errors,
  );
}

async function doLift(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const form = typed(page.req.body);
  const cause = form['cause'] ?? '';
  const lifted = await tryForm(async () => {
    const target = await targetOf(page, subscriber, form);
    return liftSuspension(page.ctx, {
      ...target,
      ...(cause === '' ? {} : { cause: cause }),
      ...optionalDay(form, 'untilOn'),
      note: form['note'] ?? '',
    });
  });
  if (!lifted.ok) return showLift(page, form, renamed(lifted.errors, { subscriptionId: 'subscription' }));
  const result = lifted.value;
  if (!result.ok) {
    const words =
      result.reason === 'several_causes' ? result.causes.map((one) => causeWords[one]).join(', ') : '';
    const errors: FieldErrors =
      result.reason === 'nothing_open'
        ? { '': 'Nothing of that kind is open: nothing was changed.' }
        : { cause: `choose one: ${words} are open` };
    return showLift(page, form, errors);
  }
  const until =
    result.deferredUntil === null ? '' : ` The overdue run stays away until ${result.deferredUntil}.`;
  backTo(page, subscriber, {
    kind: 'success',
    text: `Lifted: ${result.lifted.map((one) => causeWords[one.cause]).join(', ')}. The debt, if any, stays.${until}`,
  });
}

export const causeWords: Readonly<Record<SuspensionCause, string>> = {
  overdue: 'overdue',
  staff: 'staff hold',
  fraud: 'suspected fraud',
  vacation: 'absence',
};

const effectWords = { block: 'blocked', throttle: 'throttled', walled_garden: 'walled garden' } as const;

function suspensionView(suspension: OpenSuspension, subscriptions: readonly SubscriptionRow[]) {
  const subscription = subscriptions.find(({ id }) => id === suspension.subscriptionId);
  return {
    cause: causeWords[suspension.cause],
    effect: effectWords[suspension.effect],
    packageName: subscription?.packageName ?? '',
    openedAt: suspension.openedAt,
    openedBy: suspension.openedBy,
    note: suspension.note,
  };
}

export async function livingOf(page: Page, subscriber: SubscriberRow): Promise<SubscriptionRow[]> {
  const all = await subscriptionsOf(page.app.db, { subscriberId: subscriber.id });
  return all.filter((subscription) => subscription.state !== 'terminated');
}

/** One subscription of this subscriber, or all of them where none was chosen. Somebody else's is refused. */
async function targetOf(page: Page, subscriber: SubscriberRow, form: Typed) {
  const wanted = form['subscription'] ?? '';
  if (wanted === '') return { subscriberId: subscriber.id };
  return { subscriptionId: (await ownSubscription(page, subscriber, wanted)).id };
}

export async function ownSubscription(
  page: Page,
  subscriber: SubscriberRow,
  id: string,
): Promise<SubscriptionRow> {
  const all = await subscriptionsOf(page.app.db, { subscriberId: subscriber.id });
  const found = all.find((subscription) => subscription.id === id);
  if (found === undefined) throw invalid('subscription', 'must be one of this subscriber’s');
  return found;
}

function optionalDay<Name extends string>(
  form: Typed,
  name: Name,
): { [K in Name]?: ReturnType<typeof parseDay> } {
  const text = (form[name] ?? '').trim();
  if (text === '') return {};
  try {
    return { [name]: parseDay(text) } as { [K in Name]?: ReturnType<typeof parseDay> };
  } catch {
    throw invalid(name, 'must be a day that exists, written YYYY-MM-DD');
  }
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
