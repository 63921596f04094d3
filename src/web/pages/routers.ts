import { countRouterStates } from '../../db/attention-list.ts';
import { listRouters, type RouterSummary } from '../../db/routers.ts';
import { unknownClients } from '../../db/unknown-clients.ts';
import { notFound } from '../../errors.ts';
import { addRouter, removeRouter, setRouter } from '../../network/routers.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { filterLinks, listSize, textQuery, withQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { routerActivity } from '../router-activity.ts';

export const routerRoutes: readonly Route[] = [
  { method: 'get', path: '/routers', access: 'router.view', handle: showList },
  {
    method: 'get',
    path: '/routers/new',
    access: 'router.edit',
    handle: (page) =>
      showForm(page, { ...emptyForm, address: textQuery(page, 'address').slice(0, 45) }, null),
  },
  { method: 'post', path: '/routers/new', access: 'router.edit', handle: doAdd },
  { method: 'get', path: '/routers/:id', access: 'router.view', handle: showOne },
  { method: 'get', path: '/routers/:id/edit', access: 'router.edit', handle: showEdit },
  { method: 'post', path: '/routers/:id/edit', access: 'router.edit', handle: doEdit },
  { method: 'post', path: '/routers/:id/secret', access: 'router.edit', handle: doSecret },
  { method: 'post', path: '/routers/:id/remove', access: 'router.edit', handle: doRemove },
];

const strangersShown = 20;
const crumbs = [{ label: 'Routers', href: '/routers' }];
const emptyForm: Typed = {
  name: '',
  address: '',
  secret: '',
  coaPort: '3799',
  rateChange: 'coa',
  pacePerSecond: '50',
};

async function showList(page: Page): Promise<void> {
  const state = textQuery(page, 'state');
  const text = textQuery(page, 'name');
  const afterName = textQuery(page, 'after');
  const rows = await listRouters(page.app.db, {
    ...(state === 'open' || state === 'closed' ? { breaker: state } : {}),
    ...(text === '' ? {} : { text }),
    ...(afterName === '' ? {} : { afterName }),
    limit: listSize + 1,
  });
  const routers = rows.slice(0, listSize).map(viewOf);
  const next = rows.length > listSize ? withQuery(page, { after: routers.at(-1)?.name ?? null }) : null;
  const states = await countRouterStates(page.app.db);
  const data = {
    title: 'Routers',
    routers,
    text,
    filters: filterLinks(page, 'state', [
      { value: '', label: 'All', count: states.answering + states.silent + states.unasked },
      { value: 'closed', label: 'Answering', count: states.answering },
      { value: 'open', label: 'Not answering', count: states.silent },
    ]),
    pager: { next, previous: null },
  };
  if (page.wantsPart) page.renderPart('admin/routers/table', data);
  else {
    page.render('admin/routers/list', {
      ...data,
      strangers: await unknownClients(page.app.db, strangersShown),
      hasLog: page.app.config.freeradius.logFile !== undefined,
    });
  }
}

async function showOne(page: Page): Promise<void> {
  await showRouter(page, await routerOf(page), null);
}

async function showEdit(page: Page): Promise<void> {
  const router = await routerOf(page);
  showForm(
    page,
    {
      name: router.name,
      address: router.address,
      secret: '',
      coaPort: String(router.coaPort),
      rateChange: router.rateChange,
      pacePerSecond: String(router.pacePerSecond),
      ...(router.needsMessageAuthenticator ? { needsMessageAuthenticator: 'yes' } : {}),
    },
    router.id,
  );
}

function showForm(page: Page, values: Typed, id: string | null, errors: FieldErrors | null = null): void {
  const data = {
    title: id === null ? 'Add a router' : `Edit ${values['name'] ?? 'router'}`,
    crumbs,
    id,
    values: { ...emptyForm, needsMessageAuthenticator: '', ...values, secret: '' },
  };
  if (errors === null) page.render('admin/routers/form', data);
  else page.render('admin/routers/form', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() => {
    const { secret, ...fields } = fieldsOf(form);
    return addRouter(page.ctx, { ...fields, ...(secret === '' ? {} : { secret }) }, serverOf(page));
  });
  if (!added.ok) {
    showForm(page, form, null, added.errors);
    return;
  }
  await showLines(page, added.value.routerId, added.value.typeOnRouter, 'The router is added.');
}

async function doEdit(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const { id } = await routerOf(page);
  const changed = await tryForm(() => {
    const { secret, ...fields } = fieldsOf(form);
    return setRouter(
      page.ctx,
      { routerId: id, ...fields, ...(secret === '' ? {} : { secret }) },
      serverOf(page),
    );
  });
  if (!changed.ok) {
    showForm(page, form, id, changed.errors);
    return;
  }
  const result = changed.value;
  if (result.ok && result.typeOnRouter.length > 0) {
    await showLines(page, id, result.typeOnRouter, 'The router is changed.');
    return;
  }
  const text = result.ok
    ? `Changed: ${result.changed.join(', ')}.`
    : 'Nothing was different, so nothing was changed.';
  page.redirect(`/routers/${id}`, { kind: 'success', text });
}

async function doSecret(page: Page): Promise<void> {
  const { id } = await routerOf(page);
  const result = await setRouter(page.ctx, { routerId: id, isSecretGenerated: true }, serverOf(page));
  if (result.ok) await showLines(page, id, result.typeOnRouter, 'There is a new secret.');
  else page.redirect(`/routers/${id}`);
}

async function doRemove(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const { id, name } = await routerOf(page);
  const result = await removeRouter(page.ctx, {
    routerId: id,
    isWithOpenSessions: form['isWithOpenSessions'] === 'yes',
    isWithPoolRanges: form['isWithPoolRanges'] === 'yes',
  });
  if (result.ok) {
    page.redirect('/routers', {
      kind: 'success',
      text: `${name} is removed; FreeRADIUS ignores it within two seconds.`,
    });
    return;
  }
  page.redirect(`/routers/${id}`, { kind: 'danger', text: refusalOf(result) });
}

function refusalOf(result: Exclude<Awaited<ReturnType<typeof removeRouter>>, { ok: true }>): string {
  switch (result.reason) {
    case 'already_removed':
      return 'It was removed already.';
    case 'open_sessions':
      return `Not removed: ${result.openSessions} sessions are open on it. Tick the box to remove it all the same; nobody can end those sessions afterwards.`;
    case 'pool_ranges':
      return `Not removed: pools ${result.pools.join(', ')} have addresses on it. Tick the box to take those ranges out too.`;
  }
}

/** The lines hold the secret: they are on this one answer and kept nowhere, so there is no redirect to lose them in. */
async function showLines(page: Page, id: string, lines: readonly string[], done: string): Promise<void> {
  const [router] = await listRouters(page.app.db, { ids: [id] });
  if (router === undefined) throw notFound(`router ${id}`);
  await showRouter(page, router, { done, text: lines.join('\n') });
}

async function showRouter(
  page: Page,
  router: RouterSummary,
  lines: { done: string; text: string } | null,
): Promise<void> {
  page.render('admin/routers/show', {
    title: router.name,
    crumbs,
    router: viewOf(router),
    lines,
    ...(await routerActivity(page, router.id)),
  });
}

async function routerOf(page: Page): Promise<RouterSummary> {
  const id = String(page.req.params['id']);
  const [router] = /^\d{1,19}$/.test(id) ? await listRouters(page.app.db, { ids: [id] }) : [];
  if (router === undefined) throw notFound(`router ${id}`);
  return router;
}

function fieldsOf(form: Typed) {
  return {
    name: form['name'] ?? '',
    address: form['address'] ?? '',
    secret: form['secret'] ?? '',
    coaPort: Number(form['coaPort']),
    rateChange: (form['rateChange'] ?? '') as 'coa' | 'disconnect',
    needsMessageAuthenticator: form['needsMessageAuthenticator'] === 'yes',
    pacePerSecond: Number(form['pacePerSecond']),
  };
}

function serverOf(page: Page) {
  const { freeradius, radiusSourceAddress } = page.app.config;
  const address = radiusSourceAddress === '0.0.0.0' ? freeradius.authAddress : radiusSourceAddress;
  return { address, authPort: freeradius.authPort, acctPort: freeradius.acctPort };
}

const levels = {
  error: { word: 'Not taken', state: 'denied', symbol: 'x-octagon-fill' },
  waiting: { word: 'Waiting for the agent', state: 'pending', symbol: 'hourglass-split' },
  in_place: { word: 'File in place', state: 'pending', symbol: 'hourglass-split' },
  loaded: { word: 'Loaded by FreeRADIUS', state: 'full', symbol: 'check-circle' },
  heard: { word: 'Heard', state: 'full', symbol: 'check-circle-fill' },
  removed: { word: 'Removed', state: 'unknown', symbol: 'question-circle' },
} as const;

/** The router as the page shows it: the weakest of its hosts decides the word, because all of them must serve it. */
function viewOf(router: RouterSummary) {
  const order = ['error', 'waiting', 'in_place', 'loaded', 'heard', 'removed'] as const;
  const weakest = order.find((level) => router.evidence.some((one) => one.level === level));
  return {
    ...router,
    level:
      weakest === undefined
        ? { word: 'No agent has seen it', state: 'unknown', symbol: 'question-circle' }
        : levels[weakest],
    hosts: router.evidence.map((one) => ({ ...one, word: levels[one.level].word })),
  };
}
