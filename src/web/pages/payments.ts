import { recordPayment } from '../../billing/payments.ts';
import { everyRow } from '../../db/keyset.ts';
import { openInvoicesOf } from '../../db/invoices.ts';
import { balancesOf } from '../../db/ledger.ts';
import { countPayments, type PaymentFilter, paymentPage, paymentPlace } from '../../db/payment-list.ts';
import { pickSubscribers } from '../../db/subscriber-pick.ts';
import { subscriberById } from '../../db/subscribers.ts';
import { asId, type SubscriberId } from '../../domain/ids.ts';
import { formatMinor } from '../../domain/money.ts';
import { invalid } from '../../errors.ts';
import { sendCsv } from '../csv.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { countedFilters, countMax, keysetOf, listSize, paged, textQuery, withQuery } from '../list.ts';
import { channelWords, invoiceState, paymentState } from '../money-words.ts';
import type { Page } from '../page.ts';
import { amountOf, dayQuery, optionalText, renamed, subscribersQuery, todayOf } from '../params.ts';
import type { Route } from '../route.ts';
import { paymentDocumentRoutes } from './payment.ts';

export const paymentRoutes: readonly Route[] = [
  { method: 'get', path: '/payments', access: 'payment.view', handle: showList },
  { method: 'get', path: '/payments.csv', access: 'payment.view', handle: sendList },
  { method: 'get', path: '/payments/new', access: 'payment.take', handle: showNew },
  { method: 'get', path: '/payments/who', access: 'payment.take', handle: showWho },
  { method: 'post', path: '/payments/new', access: 'payment.take', handle: doTake },
  ...paymentDocumentRoutes,
];

const shows = [
  ['', 'All'],
  ['cash', 'Cash'],
  ['bank', 'Bank'],
  ['reversed', 'Reversed'],
] as const;

async function showList(page: Page): Promise<void> {
  const { db } = page.app;
  const notes: string[] = [];
  const filter = await filterOf(page, notes);
  const keyset = keysetOf(page);
  const found = await paymentPage(db, filter, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => paymentPlace(filter, row));
  page.render('admin/payments/list', {
    title: 'Payments',
    notes,
    filters: await countedFilters(page, 'show', shows, (show) =>
      countPayments(db, { ...filter, show }, countMax),
    ),
    typed: {
      show: textQuery(page, 'show'),
      subscriber: textQuery(page, 'subscriber'),
      from: textQuery(page, 'from'),
      to: textQuery(page, 'to'),
    },
    isNarrowed: Object.keys(page.req.query).length > 0,
    csv: withQuery(page, { after: null, before: null }).replace('/payments', '/payments.csv'),
    payments: rows.map((row) => ({
      ...row,
      channelWord: channelWords[row.channel],
      state: paymentState(row.reversedAt !== null),
    })),
    pager,
  });
}

async function sendList(page: Page): Promise<void> {
  const filter = await filterOf(page, []);
  const rows = everyRow(
    (place, limit) => paymentPage(page.app.db, filter, place, limit),
    (row) => paymentPlace(filter, row),
  );
  const columns = [
    'payment',
    'received_on',
    'subscriber_id',
    'subscriber',
    'channel',
    'reference',
    'currency',
    'amount',
    'recorded_at',
    'recorded_by',
    'reversed_at',
  ];
  async function* lines() {
    for await (const row of rows) {
      yield [
        row.id,
        row.receivedOn,
        row.subscriberId,
        row.subscriberName,
        row.channel,
        row.reference,
        row.currency,
        formatMinor(row.amountMinor, page.settings.exponent),
        row.recordedAt.toISOString(),
        row.recordedBy,
        row.reversedAt?.toISOString() ?? '',
      ];
    }
  }
  await sendCsv(page, 'payments', columns, lines());
}

async function filterOf(page: Page, notes: string[]): Promise<PaymentFilter> {
  const show = shows.find(([value]) => value !== '' && value === textQuery(page, 'show'))?.[0];
  const from = dayQuery(page, 'from', notes);
  const to = dayQuery(page, 'to', notes);
  const subscriberIds = await subscribersQuery(page, 'subscriber', notes);
  return {
    ...(show === undefined || show === '' ? {} : { show }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(subscriberIds === undefined ? {} : { subscriberIds }),
  };
}

async function showNew(page: Page): Promise<void> {
  await showForm(page, {
    subscriber: textQuery(page, 'subscriber'),
    who: textQuery(page, 'who'),
    amount: textQuery(page, 'amount'),
  });
}

const emptyForm = {
  subscriber: '',
  who: '',
  amount: '',
  channel: 'cash',
  reference: '',
  receivedOn: '',
};
const choicesMax = 12;

/** First who, then how much: the form of the money is there once the subscriber is chosen. */
async function showForm(page: Page, form: Typed, errors: FieldErrors | null = null): Promise<void> {
  const values: typeof emptyForm = { ...emptyForm, receivedOn: todayOf(page), ...form };
  const chosen = await chosenOf(page, values.subscriber);
  const data = {
    title: 'Take a payment',
    crumbs: [{ label: 'Payments', href: '/payments' }],
    values,
    chosen,
    ...(await choicesOf(page, values.who)),
    today: todayOf(page),
  };
  if (errors === null) page.render('admin/payments/form', data);
  else page.render('admin/payments/form', { ...data, errors }, 400);
}

async function chosenOf(page: Page, id: string | undefined) {
  if (id === undefined || !/^[1-9]\d{0,17}$/.test(id)) return null;
  const { db } = page.app;
  const subscriberId = asId<SubscriberId>(id);
  const subscriber = await subscriberById(db, subscriberId);
  if (subscriber === undefined) return null;
  const balance = (await balancesOf(db, [subscriberId], page.settings)).get(subscriberId);
  const open = await openInvoicesOf(db, [subscriberId]);
  const today = todayOf(page);
  return {
    id,
    name: subscriber.name,
    phone: subscriber.phone,
    owedMinor: balance?.owedMinor ?? 0n,
    walletMinor: balance?.walletMinor ?? 0n,
    open: open.map((invoice) => ({
      id: invoice.id,
      name: `${invoice.series}-${invoice.number}`,
      dueOn: invoice.dueOn,
      openMinor: invoice.openMinor,
      state: invoiceState(invoice, today),
    })),
  };
}

async function choicesOf(page: Page, who: string | undefined) {
  const text = who?.trim() ?? '';
  if (text === '') return { who: '', choices: [], isMore: false };
  const found = await pickSubscribers(page.app.db, text, choicesMax + 1);
  return {
    who: text,
    choices: found
      .slice(0, choicesMax)
      .map((one) => ({ ...one, phone: one.phone ?? '', usernames: one.usernames.join(', ') })),
    isMore: found.length > choicesMax,
  };
}

/** The subscribers that begin with what is typed so far. */
async function showWho(page: Page): Promise<void> {
  const who = textQuery(page, 'who');
  if (!page.wantsPart) {
    page.redirect(`/payments/new?${new URLSearchParams({ who }).toString()}`);
    return;
  }
  page.renderPart('admin/payments/choices', await choicesOf(page, who));
}

async function doTake(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const taken = await tryForm(() => {
    const subscriber = form['subscriber'] ?? '';
    if (!/^[1-9]\d{0,17}$/.test(subscriber)) throw invalid('who', 'choose the subscriber first');
    const receivedOn = optionalText(form['receivedOn']);
    return recordPayment(page.ctx, {
      subscriberId: asId(subscriber),
      channel: (form['channel'] ?? '') as 'cash' | 'bank',
      reference: form['reference'] ?? '',
      amountMinor: amountOf(page, form['amount'] ?? '', 'amountMinor'),
      ...(receivedOn === undefined ? {} : { receivedOn: receivedOn as ReturnType<typeof todayOf> }),
    });
  });
  if (!taken.ok) return showForm(page, form, renamed(taken.errors, { amountMinor: 'amount' }));
  const result = taken.value;
  if (!result.ok) {
    const { payment } = result;
    const text =
      result.reason === 'reference_used'
        ? `belongs to another payment: ${formatMinor(payment.amountMinor, payment.exponent)} ${payment.currency} of subscriber ${payment.subscriberId}, received on ${payment.receivedOn}`
        : 'belongs to this very payment, which was reversed: money that comes again has a reference of its own';
    return showForm(page, form, { reference: text });
  }
  page.redirect(`/payments/${result.payment.id}`, {
    kind: result.isRepeat ? 'warning' : 'success',
    text: result.isRepeat
      ? 'This payment had been recorded before: nothing was changed, and here it is.'
      : 'The payment is recorded.',
  });
}
