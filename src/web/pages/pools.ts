import { addIpv4Pool, addIpv4PoolRanges } from '../../catalog/add-ipv4-pool.ts';
import { findPool, poolPage, rangesOfPool } from '../../db/catalog-view.ts';
import { invalid, notFound } from '../../errors.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { keysetOf, listSize, paged } from '../list.ts';
import type { Page } from '../page.ts';
import { idParam } from '../params.ts';
import type { Route } from '../route.ts';

export const poolRoutes: readonly Route[] = [
  { method: 'get', path: '/pools', access: 'catalog.view', handle: showList },
  { method: 'get', path: '/pools/new', access: 'catalog.edit', handle: (page) => showForm(page, {}) },
  { method: 'post', path: '/pools/new', access: 'catalog.edit', handle: doAdd },
  { method: 'get', path: '/pools/:id', access: 'catalog.view', handle: (page) => showOne(page) },
  { method: 'post', path: '/pools/:id/ranges', access: 'catalog.edit', handle: doAddRanges },
];

const crumbs = [{ label: 'IPv4 pools', href: '/pools' }];

async function showList(page: Page): Promise<void> {
  const keyset = keysetOf(page);
  const found = await poolPage(page.app.db, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => [row.name]);
  page.render('admin/pools/list', { title: 'IPv4 pools', pools: rows, pager });
}

function showForm(page: Page, form: Typed, errors: FieldErrors | null = null): void {
  const data = {
    title: 'Add an IPv4 pool',
    crumbs,
    values: { name: '', suspendedName: '', ranges: '', ...form },
  };
  if (errors === null) page.render('admin/pools/form', data);
  else page.render('admin/pools/form', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() =>
    addIpv4Pool(page.ctx, {
      name: (form['name'] ?? '').trim(),
      suspendedName: (form['suspendedName'] ?? '').trim(),
      ranges: rangesOf(form['ranges']),
    }),
  );
  if (!added.ok) {
    showForm(page, form, ofLines(added.errors));
    return;
  }
  page.redirect(`/pools/${added.value.ipv4PoolId}`, {
    kind: 'success',
    text: 'The pool is there. Its name on the routers must be the same, to the letter.',
  });
}

async function showOne(page: Page, form: Typed = {}, errors: FieldErrors | null = null): Promise<void> {
  const id = idParam(page, 'IPv4 pool');
  const pool = await findPool(page.app.db, id);
  if (pool === undefined) throw notFound(`IPv4 pool ${id}`);
  const data = {
    title: pool.name,
    crumbs,
    pool,
    ranges: await rangesOfPool(page.app.db, pool.id),
    values: { ranges: '', ...form },
  };
  if (errors === null) page.render('admin/pools/show', data);
  else page.render('admin/pools/show', { ...data, errors }, 400);
}

async function doAddRanges(page: Page): Promise<void> {
  const id = idParam(page, 'IPv4 pool');
  const form = typed(page.req.body);
  const added = await tryForm(() =>
    addIpv4PoolRanges(page.ctx, { ipv4PoolId: id, ranges: rangesOf(form['ranges']) }),
  );
  if (!added.ok) return showOne(page, form, ofLines(added.errors));
  const count = added.value.rangeCount;
  page.redirect(`/pools/${id}`, {
    kind: 'success',
    text: `${count === 1 ? 'One range is' : `${count} ranges are`} added. Give the routers the same ones.`,
  });
}

/** A range a line: `pop-north 10.1.0.2-10.1.3.254 10.99.0.2-10.99.3.254`. */
function rangesOf(text: string | undefined) {
  const lines = (text ?? '').split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .map((line, index) => {
      const match = /^(\S+)\s+([\d.]+)\s*[-–]\s*([\d.]+)\s+([\d.]+)\s*[-–]\s*([\d.]+)$/.exec(line);
      if (match === null) throw invalid(`ranges.${index}`, 'must be a router and two ranges of addresses');
      const [, router = '', first = '', last = '', suspendedFirst = '', suspendedLast = ''] = match;
      return { router, first, last, suspendedFirst, suspendedLast };
    });
}

const parts: Record<string, string> = {
  router: 'router',
  first: 'first address',
  last: 'last address',
  suspendedFirst: 'first suspended address',
  suspendedLast: 'last suspended address',
};

/** `ranges.1.last` is the second line's: the one field that the form has says so. */
function ofLines(errors: FieldErrors): FieldErrors {
  return Object.fromEntries(
    Object.entries(errors).map(([field, text]) => {
      const match = /^ranges\.(\d+)(?:\.(\w+))?$/.exec(field);
      if (match === null) return [field, text];
      const part = parts[match[2] ?? ''];
      return ['ranges', `line ${Number(match[1]) + 1}: ${part === undefined ? '' : `${part} `}${text}`];
    }),
  );
}
