import { countInvoices, type InvoiceFilter, invoicePage, invoicePlace } from '../../db/invoice-list.ts';
import type { InvoiceState } from '../../db/invoices.ts';
import { everyRow } from '../../db/keyset.ts';
import { addDays } from '../../domain/day.ts';
import { formatMinor } from '../../domain/money.ts';
import { sendCsv } from '../csv.ts';
import { countedFilters, countMax, keysetOf, listSize, paged, textQuery, withQuery } from '../list.ts';
import { invoiceState } from '../money-words.ts';
import type { Page } from '../page.ts';
import { monthQuery, subscribersQuery, todayOf } from '../params.ts';
import type { Route } from '../route.ts';
import { invoiceDocumentRoutes } from './invoice.ts';

export const invoiceRoutes: readonly Route[] = [
  { method: 'get', path: '/invoices', access: 'invoice.view', handle: showList },
  { method: 'get', path: '/invoices.csv', access: 'invoice.view', handle: sendList },
  ...invoiceDocumentRoutes,
];

const states = [
  ['', 'All'],
  ['open', 'Open'],
  ['overdue', 'Overdue'],
  ['paid', 'Paid'],
  ['void', 'Void'],
  ['written_off', 'Written off'],
] as const;

async function showList(page: Page): Promise<void> {
  const { db } = page.app;
  const notes: string[] = [];
  const filter = await filterOf(page, notes);
  const keyset = keysetOf(page);
  const found = await invoicePage(db, filter, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => invoicePlace(filter, row));
  page.render('admin/invoices/list', {
    title: 'Invoices',
    notes,
    filters: await countedFilters(page, 'state', states, (state) =>
      countInvoices(db, { ...filter, state }, countMax),
    ),
    typed: {
      state: textQuery(page, 'state'),
      month: textQuery(page, 'month'),
      number: textQuery(page, 'number'),
      subscriber: textQuery(page, 'subscriber'),
    },
    isNarrowed: Object.keys(page.req.query).length > 0,
    csv: withQuery(page, { after: null, before: null }).replace('/invoices', '/invoices.csv'),
    invoices: rows.map((row) => ({
      ...row,
      lastDay: addDays(row.periodEnd, -1),
      stateWord: invoiceState(row, filter.today),
    })),
    pager,
  });
}

async function sendList(page: Page): Promise<void> {
  const filter = await filterOf(page, []);
  const { exponent } = page.settings;
  const rows = everyRow(
    (place, limit) => invoicePage(page.app.db, filter, place, limit),
    (row) => invoicePlace(filter, row),
  );
  const columns = [
    'invoice',
    'subscriber_id',
    'subscriber',
    'period_start',
    'period_end',
    'issued_on',
    'due_on',
    'currency',
    'total',
    'open',
    'state',
  ];
  async function* lines() {
    for await (const row of rows) {
      yield [
        row.name,
        row.subscriberId,
        row.subscriberName,
        row.periodStart,
        row.periodEnd,
        row.issuedOn,
        row.dueOn,
        row.currency,
        formatMinor(row.totalMinor, exponent),
        formatMinor(row.openMinor, exponent),
        invoiceState(row, filter.today).word.toLowerCase(),
      ];
    }
  }
  await sendCsv(page, 'invoices', columns, lines());
}

async function filterOf(page: Page, notes: string[]): Promise<InvoiceFilter> {
  const month = monthQuery(page, 'month', notes);
  const number = numberQuery(page, notes);
  const subscriberIds = await subscribersQuery(page, 'subscriber', notes);
  return {
    today: todayOf(page),
    ...(month === undefined ? {} : { month }),
    ...(number === undefined ? {} : { number }),
    ...(subscriberIds === undefined ? {} : { subscriberIds }),
    ...stateOf(textQuery(page, 'state')),
  };
}

function stateOf(text: string): { state?: InvoiceState | 'overdue' } {
  const known = states.find(([value]) => value !== '' && value === text)?.[0];
  return known === undefined || known === '' ? {} : { state: known };
}

/** `INV-2041` or `2041`, which is of the series that new invoices have. */
function numberQuery(page: Page, notes: string[]): { series: string; number: string } | undefined {
  const text = textQuery(page, 'number');
  if (text === '') return undefined;
  const match = /^(?:([A-Za-z0-9._-]{1,16})-)?(\d{1,18})$/.exec(text);
  if (match !== null) return { series: match[1] ?? page.settings.invoiceSeries, number: match[2] ?? '' };
  notes.push(`“${text}” is not an invoice’s number, such as ${page.settings.invoiceSeries}-2041.`);
  return undefined;
}
