import { addTaxRate } from '../../catalog/add-tax-rate.ts';
import { taxRatePage } from '../../db/catalog-view.ts';
import { parseMinor } from '../../domain/money.ts';
import { invalid } from '../../errors.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { keysetOf, listSize, paged } from '../list.ts';
import { percent } from '../money-words.ts';
import type { Page } from '../page.ts';
import { renamed, todayOf } from '../params.ts';
import type { Route } from '../route.ts';

export const taxRateRoutes: readonly Route[] = [
  { method: 'get', path: '/tax-rates', access: 'catalog.view', handle: showList },
  { method: 'get', path: '/tax-rates/new', access: 'catalog.edit', handle: (page) => showForm(page, {}) },
  { method: 'post', path: '/tax-rates/new', access: 'catalog.edit', handle: doAdd },
];

async function showList(page: Page): Promise<void> {
  const keyset = keysetOf(page);
  const found = await taxRatePage(page.app.db, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => [row.name, row.effectiveOn]);
  const today = todayOf(page);
  const inForce = new Map(
    [...found]
      .filter((row) => row.effectiveOn <= today)
      .sort((a, b) => (a.effectiveOn < b.effectiveOn ? -1 : 1))
      .map((row) => [row.name, row.id]),
  );
  page.render('admin/tax-rates/list', {
    title: 'Tax',
    rates: rows.map((row) => ({
      ...row,
      rate: percent(row.rateBp),
      state:
        inForce.get(row.name) === row.id
          ? { word: 'In force', colour: 'full', symbol: 'check-circle-fill' }
          : row.effectiveOn > today
            ? { word: 'To come', colour: 'pending', symbol: 'hourglass-split' }
            : { word: 'Over', colour: 'unknown', symbol: 'archive' },
    })),
    pager,
  });
}

function showForm(page: Page, form: Typed, errors: FieldErrors | null = null): void {
  const data = {
    title: 'Add a tax rate',
    crumbs: [{ label: 'Tax', href: '/tax-rates' }],
    values: { name: '', rate: '', isInclusive: '', effectiveOn: todayOf(page), ...form },
  };
  if (errors === null) page.render('admin/tax-rates/form', data);
  else page.render('admin/tax-rates/form', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() =>
    addTaxRate(page.ctx, {
      name: form['name'] ?? '',
      rateBp: basisPoints(form['rate'] ?? ''),
      isInclusive: form['isInclusive'] === 'yes',
      effectiveOn: form['effectiveOn'] ?? '',
    }),
  );
  if (!added.ok) {
    const errors = renamed(added.errors, { rateBp: 'rate' });
    // The key of a rate is its name and its day.
    if (errors['name']?.startsWith('is taken') === true) errors['name'] = 'has a rate from that day already';
    showForm(page, form, errors);
    return;
  }
  page.redirect('/tax-rates', {
    kind: 'success',
    text: `${(form['name'] ?? '').trim()} is ${percent(basisPoints(form['rate'] ?? ''))} from ${form['effectiveOn'] ?? ''} on.`,
  });
}

/** `7.5` as 750: two decimals of a percentage are a basis point. */
function basisPoints(text: string): number {
  try {
    return Number(parseMinor(text.replace('%', '').trim(), 2));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalid('rateBp', 'must be a percentage with at most 2 decimals, such as 7.5');
  }
}
