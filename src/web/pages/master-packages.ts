import { addMasterPackage } from '../../catalog/add-master-package.ts';
import {
  type MasterPackageChange,
  previewMasterPackage,
  setMasterPackage,
} from '../../catalog/set-master-package.ts';
import {
  findMasterPackage,
  masterPackagePage,
  type MasterPackageView,
  reachOfMasterPackage,
} from '../../db/catalog-view.ts';
import { notFound } from '../../errors.ts';
import {
  customerTypes,
  customerTypeText,
  poolChoices,
  pppProfileChoices,
  secondsOf,
  textOrNull,
} from '../catalog-words.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { countMax, keysetOf, listSize, paged } from '../list.ts';
import type { Page } from '../page.ts';
import { idParam } from '../params.ts';
import type { Route } from '../route.ts';

export const masterPackageRoutes: readonly Route[] = [
  { method: 'get', path: '/master-packages', access: 'catalog.view', handle: showList },
  {
    method: 'get',
    path: '/master-packages/new',
    access: 'catalog.edit',
    handle: (page) => showForm(page, {}, null),
  },
  { method: 'post', path: '/master-packages/new', access: 'catalog.edit', handle: doAdd },
  { method: 'get', path: '/master-packages/:id/edit', access: 'catalog.edit', handle: showEdit },
  { method: 'post', path: '/master-packages/:id/edit', access: 'catalog.edit', handle: doEdit },
];

const emptyForm = {
  name: '',
  customerType: 'pppoe',
  billingType: 'monthly',
  rateLimit: '',
  pppProfile: '',
  pool: '',
  ipv6Pool: '',
  delegatedIpv6Pool: '',
  sessionTimeoutSeconds: '',
  idleTimeoutSeconds: '',
  interimSeconds: '300',
  addressList: '',
};

async function showList(page: Page): Promise<void> {
  const keyset = keysetOf(page);
  const found = await masterPackagePage(page.app.db, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => [row.name]);
  page.render('admin/master-packages/list', {
    title: 'Master packages',
    masters: rows.map((row) => ({
      ...row,
      type: customerTypeText(row.customerType),
      speed: row.rateLimit ?? `unlimited (${page.settings.portRate})`,
    })),
    pager,
  });
}

async function showForm(
  page: Page,
  form: Typed,
  current: MasterPackageView | null,
  errors: FieldErrors | null = null,
): Promise<void> {
  const data = {
    title: current === null ? 'Add a master package' : `Edit ${current.name}`,
    crumbs: [{ label: 'Master packages', href: '/master-packages' }],
    id: current?.id ?? null,
    values: { ...emptyForm, ...form },
    customerTypes,
    billingTypes: [
      { value: 'monthly', label: 'Monthly' },
      { value: 'daily', label: 'Daily' },
    ],
    profiles: await pppProfileChoices(page),
    pools: await poolChoices(page),
    portRate: page.settings.portRate,
  };
  if (errors === null) page.render('admin/master-packages/form', data);
  else page.render('admin/master-packages/form', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() =>
    addMasterPackage(page.ctx, {
      name: form['name'] ?? '',
      customerType: form['customerType'] ?? '',
      billingType: form['billingType'] ?? '',
      ...networkOf(form),
    }),
  );
  if (!added.ok) return showForm(page, form, null, added.errors);
  page.redirect('/master-packages', {
    kind: 'success',
    text: `${(form['name'] ?? '').trim()} is there. A package gives it a price and sells it.`,
  });
}

async function masterOf(page: Page): Promise<MasterPackageView> {
  const id = idParam(page, 'master package');
  const master = await findMasterPackage(page.app.db, id);
  if (master === undefined) throw notFound(`master package ${id}`);
  return master;
}

async function showEdit(page: Page): Promise<void> {
  const master = await masterOf(page);
  await showForm(page, typedOf(master), master);
}

function typedOf(master: MasterPackageView): typeof emptyForm {
  const text = (value: string | number | null) => (value === null ? '' : String(value));
  return {
    name: master.name,
    customerType: master.customerType,
    billingType: master.billingType,
    rateLimit: text(master.rateLimit),
    pppProfile: text(master.pppProfile),
    pool: text(master.pool),
    ipv6Pool: text(master.ipv6Pool),
    delegatedIpv6Pool: text(master.delegatedIpv6Pool),
    sessionTimeoutSeconds: text(master.sessionTimeoutSeconds),
    idleTimeoutSeconds: text(master.idleTimeoutSeconds),
    interimSeconds: String(master.interimSeconds),
    addressList: text(master.addressList),
  };
}

/** Everybody on it is touched at once, so the first sending only says whom and how; the second does it. */
async function doEdit(page: Page): Promise<void> {
  const master = await masterOf(page);
  const form = typed(page.req.body);
  const wanted = () => ({ masterPackage: master.name, ...networkOf(form) });
  if (form['isConfirmed'] !== 'yes') {
    const preview = await tryForm(() => previewMasterPackage(page.ctx, wanted()));
    if (!preview.ok) return showForm(page, form, master, preview.errors);
    if (preview.value.length > 0) return showConfirm(page, master, form, preview.value);
    page.redirect('/master-packages', {
      kind: 'success',
      text: 'Nothing was different, so nothing was changed.',
    });
    return;
  }
  const saved = await tryForm(() => setMasterPackage(page.ctx, wanted()));
  if (!saved.ok) return showForm(page, form, master, saved.errors);
  const { changed, loginCount } = saved.value;
  page.redirect('/master-packages', {
    kind: 'success',
    text:
      changed.length === 0
        ? 'Nothing was different, so nothing was changed.'
        : `${master.name} is saved. ${loginCount} logins are being looked at; live sessions follow, a router at its own pace.`,
  });
}

type Effect = 'coa' | 'redial' | 'next_dial';

/** Each column in words, and how its change reaches a session that is live. */
const columns: Record<string, { field: keyof typeof emptyForm; label: string; effect: Effect }> = {
  rate_limit: { field: 'rateLimit', label: 'Speed', effect: 'coa' },
  idle_timeout_seconds: { field: 'idleTimeoutSeconds', label: 'Longest silence, seconds', effect: 'coa' },
  ppp_profile_id: { field: 'pppProfile', label: 'PPP profile', effect: 'redial' },
  pool_id: { field: 'pool', label: 'IPv4 pool', effect: 'redial' },
  ipv6_pool: { field: 'ipv6Pool', label: 'IPv6 pool', effect: 'redial' },
  delegated_ipv6_pool: { field: 'delegatedIpv6Pool', label: 'Delegated IPv6 pool', effect: 'redial' },
  address_list: { field: 'addressList', label: 'Address list', effect: 'redial' },
  session_timeout_seconds: {
    field: 'sessionTimeoutSeconds',
    label: 'Longest session, seconds',
    effect: 'next_dial',
  },
  interim_seconds: { field: 'interimSeconds', label: 'Seconds between reports', effect: 'next_dial' },
};

async function showConfirm(
  page: Page,
  master: MasterPackageView,
  form: Typed,
  changes: readonly MasterPackageChange[],
): Promise<void> {
  const reach = await reachOfMasterPackage(page.app.db, master.id, countMax);
  const before = typedOf(master);
  const rows = changes.flatMap((change) => {
    const column = columns[change.column];
    if (column === undefined) return [];
    const shown = (text: string) =>
      text !== '' ? text : change.column === 'rate_limit' ? `unlimited (${page.settings.portRate})` : 'none';
    return [
      {
        label: column.label,
        before: shown(before[column.field]),
        after: shown((form[column.field] ?? '').trim()),
        effect: column.effect,
      },
    ];
  });
  const has = (effect: Effect) => rows.some((row) => row.effect === effect);
  const bounded = (count: number) => ({ count: Math.min(count, countMax), isMore: count > countMax });
  page.render('admin/master-packages/confirm', {
    title: `Change ${master.name}?`,
    crumbs: [{ label: 'Master packages', href: '/master-packages' }],
    id: master.id,
    rows,
    logins: bounded(reach.logins),
    sessions: bounded(reach.sessions),
    isCoa: has('coa') && !has('redial'),
    isRedial: has('redial'),
    fields: Object.keys(emptyForm).map((name) => ({ name, value: form[name] ?? '' })),
  });
}

/** Empty fields take a value away. */
function networkOf(form: Typed) {
  const interim = secondsOf(form['interimSeconds'], 'interimSeconds');
  return {
    rateLimit: textOrNull(form['rateLimit']),
    pppProfile: textOrNull(form['pppProfile']),
    pool: textOrNull(form['pool']),
    ipv6Pool: textOrNull(form['ipv6Pool']),
    delegatedIpv6Pool: textOrNull(form['delegatedIpv6Pool']),
    sessionTimeoutSeconds: secondsOf(form['sessionTimeoutSeconds'], 'sessionTimeoutSeconds'),
    idleTimeoutSeconds: secondsOf(form['idleTimeoutSeconds'], 'idleTimeoutSeconds'),
    ...(interim === null ? {} : { interimSeconds: interim }),
    addressList: textOrNull(form['addressList']),
  };
}
