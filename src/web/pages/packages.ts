import { addPackage } from '../../catalog/add-package.ts';
import { setPackage } from '../../catalog/set-package.ts';
import { countSubscriptionsOf } from '../../db/catalog-view.ts';
import { listPackages, type PackageRow } from '../../db/packages.ts';
import { formatMinor } from '../../domain/money.ts';
import { notFound } from '../../errors.ts';
import {
  customerTypeText,
  masterPackageChoices,
  taxChoices,
  textOrNull,
  visibilities,
} from '../catalog-words.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { filterLinks, keysetOf, listSize, paged, textQuery } from '../list.ts';
import type { Page } from '../page.ts';
import { amountOf, idParam, renamed } from '../params.ts';
import type { Route } from '../route.ts';

export const packageRoutes: readonly Route[] = [
  { method: 'get', path: '/packages', access: 'catalog.view', handle: showList },
  {
    method: 'get',
    path: '/packages/new',
    access: 'catalog.edit',
    handle: (page) => showForm(page, {}, null),
  },
  { method: 'post', path: '/packages/new', access: 'catalog.edit', handle: doAdd },
  { method: 'get', path: '/packages/:id/edit', access: 'catalog.edit', handle: showEdit },
  { method: 'post', path: '/packages/:id/edit', access: 'catalog.edit', handle: doEdit },
];

const soldMax = 1000;
const emptyForm = {
  name: '',
  masterPackage: '',
  customersPrice: '',
  operatorsPrice: '',
  taxRate: '',
  visibility: 'public',
  isRetired: '',
};
const fieldNames = { customersPriceMinor: 'customersPrice', operatorsPriceMinor: 'operatorsPrice' };

async function showList(page: Page): Promise<void> {
  const { db } = page.app;
  const show = textQuery(page, 'show');
  const keyset = keysetOf(page);
  const found = await listPackages(db, {
    ...(show === 'retired' ? { isRetired: true } : show === 'all' ? {} : { isRetired: false }),
    place: keyset,
    limit: listSize + 1,
  });
  const { rows, pager } = paged(page, found, keyset, (row) => [row.name]);
  const counts = await countSubscriptionsOf(
    db,
    rows.map((row) => row.id),
    soldMax + 1,
  );
  const rates = await taxChoices(page);
  page.render('admin/packages/list', {
    title: 'Packages',
    filters: filterLinks(page, 'show', [
      { value: '', label: 'Sold', count: null },
      { value: 'retired', label: 'Retired', count: null },
      { value: 'all', label: 'All', count: null },
    ]),
    packages: rows.map((row) => {
      const count = counts.get(row.id) ?? 0;
      return {
        ...viewOf(page, row),
        // A package names its tax: the rate is the one that is in force.
        tax: rates.find((rate) => rate.value === (row.taxName ?? ''))?.label ?? 'No tax',
        count: Math.min(count, soldMax),
        isMore: count > soldMax,
      };
    }),
    pager,
  });
}

function viewOf(page: Page, row: PackageRow) {
  return {
    ...row,
    type: customerTypeText(row.customerType),
    speed: row.rateLimit ?? `unlimited (${page.settings.portRate})`,
    state: row.isRetired
      ? { word: 'Retired', colour: 'unknown', symbol: 'archive' }
      : row.visibility === 'private'
        ? { word: 'Private', colour: 'pending', symbol: 'lock' }
        : { word: 'Sold', colour: 'full', symbol: 'check-circle-fill' },
  };
}

async function showForm(
  page: Page,
  form: Typed,
  current: PackageRow | null,
  errors: FieldErrors | null = null,
): Promise<void> {
  const masters = await masterPackageChoices(page);
  const values: typeof emptyForm = {
    ...emptyForm,
    masterPackage: textQuery(page, 'master'),
    ...form,
  };
  const data = {
    title: current === null ? 'Add a package' : `Edit ${current.name}`,
    crumbs: [{ label: 'Packages', href: '/packages' }],
    id: current?.id ?? null,
    current: current === null ? null : viewOf(page, current),
    values,
    masters,
    taxes: await taxChoices(page),
    visibilities,
  };
  if (errors === null) page.render('admin/packages/form', data);
  else page.render('admin/packages/form', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() => {
    const taxRate = textOrNull(form['taxRate']);
    return addPackage(page.ctx, {
      name: form['name'] ?? '',
      masterPackage: form['masterPackage'] ?? '',
      ...pricesOf(page, form),
      ...(taxRate === null ? {} : { taxRate }),
      visibility: visibilityOf(form),
    });
  });
  if (!added.ok) return showForm(page, form, null, renamed(added.errors, fieldNames));
  page.redirect('/packages', { kind: 'success', text: `${(form['name'] ?? '').trim()} can be sold.` });
}

async function showEdit(page: Page): Promise<void> {
  const current = await packageOf(page);
  const { exponent } = page.settings;
  await showForm(
    page,
    {
      name: current.name,
      masterPackage: current.masterPackage,
      customersPrice: formatMinor(current.customersPriceMinor, exponent),
      operatorsPrice: formatMinor(current.operatorsPriceMinor, exponent),
      taxRate: current.taxName ?? '',
      visibility: current.visibility,
      isRetired: current.isRetired ? 'yes' : '',
    },
    current,
  );
}

async function doEdit(page: Page): Promise<void> {
  const current = await packageOf(page);
  const form = typed(page.req.body);
  const saved = await tryForm(() =>
    setPackage(page.ctx, {
      packageId: current.id,
      ...pricesOf(page, form),
      taxRate: textOrNull(form['taxRate']),
      visibility: visibilityOf(form),
      isRetired: form['isRetired'] === 'yes',
    }),
  );
  if (!saved.ok) return showForm(page, form, current, renamed(saved.errors, fieldNames));
  page.redirect('/packages', { kind: 'success', text: savedText(current.name, saved.value.changed, form) });
}

function savedText(name: string, changed: readonly string[], form: Typed): string {
  if (changed.length === 0) return 'Nothing was different, so nothing was changed.';
  const sentences = [`${name} is saved.`];
  if (changed.some((column) => column.endsWith('_price_minor') || column === 'tax_rate_id'))
    sentences.push('Invoices from now on have the new price; those that are issued keep theirs.');
  if (changed.includes('retired_at'))
    sentences.push(
      form['isRetired'] === 'yes' ? 'It is not sold any more; whoever has it keeps it.' : 'It is sold again.',
    );
  return sentences.join(' ');
}

/** The operator's price is the customer's where it is left out: nothing is sold through a reseller yet. */
function pricesOf(page: Page, form: Typed) {
  const customersPriceMinor = amountOf(page, form['customersPrice'] ?? '', 'customersPriceMinor');
  const text = textOrNull(form['operatorsPrice']);
  return {
    customersPriceMinor,
    operatorsPriceMinor: text === null ? customersPriceMinor : amountOf(page, text, 'operatorsPriceMinor'),
  };
}

function visibilityOf(form: Typed): 'public' | 'private' {
  return (form['visibility'] ?? '') as 'public' | 'private';
}

async function packageOf(page: Page): Promise<PackageRow> {
  const id = idParam(page, 'package');
  const [found] = await listPackages(page.app.db, { id });
  if (found === undefined) throw notFound(`package ${id}`);
  return found;
}
