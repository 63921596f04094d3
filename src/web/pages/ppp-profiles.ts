import { addPppProfile } from '../../catalog/add-ppp-profile.ts';
import { setPppProfile } from '../../catalog/set-ppp-profile.ts';
import { findPppProfile, pppProfilePage, type PppProfileView } from '../../db/catalog-view.ts';
import { notFound } from '../../errors.ts';
import { poolChoices, secondsOf, textOrNull } from '../catalog-words.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { keysetOf, listSize, paged } from '../list.ts';
import type { Page } from '../page.ts';
import { idParam } from '../params.ts';
import type { Route } from '../route.ts';

export const pppProfileRoutes: readonly Route[] = [
  { method: 'get', path: '/ppp-profiles', access: 'catalog.view', handle: showList },
  {
    method: 'get',
    path: '/ppp-profiles/new',
    access: 'catalog.edit',
    handle: (page) => showForm(page, {}, null),
  },
  { method: 'post', path: '/ppp-profiles/new', access: 'catalog.edit', handle: doAdd },
  { method: 'get', path: '/ppp-profiles/:id/edit', access: 'catalog.edit', handle: showEdit },
  { method: 'post', path: '/ppp-profiles/:id/edit', access: 'catalog.edit', handle: doEdit },
];

const emptyForm = {
  name: '',
  pool: '',
  localAddress: '',
  dnsServers: '',
  sessionTimeoutSeconds: '',
  idleTimeoutSeconds: '',
};

async function showList(page: Page): Promise<void> {
  const keyset = keysetOf(page);
  const found = await pppProfilePage(page.app.db, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => [row.name]);
  page.render('admin/ppp-profiles/list', { title: 'PPP profiles', profiles: rows, pager });
}

async function showForm(
  page: Page,
  form: Typed,
  current: PppProfileView | null,
  errors: FieldErrors | null = null,
): Promise<void> {
  const data = {
    title: current === null ? 'Add a PPP profile' : `Edit ${current.name}`,
    crumbs: [{ label: 'PPP profiles', href: '/ppp-profiles' }],
    id: current?.id ?? null,
    values: { ...emptyForm, ...form },
    pools: await poolChoices(page),
  };
  if (errors === null) page.render('admin/ppp-profiles/form', data);
  else page.render('admin/ppp-profiles/form', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() => {
    const given = Object.entries(fieldsOf(form)).filter(([, value]) => value !== null);
    return addPppProfile(page.ctx, {
      name: (form['name'] ?? '').trim(),
      ...(Object.fromEntries(given) as Omit<Parameters<typeof addPppProfile>[1], 'name'>),
    });
  });
  if (!added.ok) return showForm(page, form, null, added.errors);
  page.redirect('/ppp-profiles', {
    kind: 'success',
    text: `${(form['name'] ?? '').trim()} is there. Its name on the routers must be the same, to the letter.`,
  });
}

async function profileOf(page: Page): Promise<PppProfileView> {
  const id = idParam(page, 'PPP profile');
  const profile = await findPppProfile(page.app.db, id);
  if (profile === undefined) throw notFound(`PPP profile ${id}`);
  return profile;
}

async function showEdit(page: Page): Promise<void> {
  const profile = await profileOf(page);
  await showForm(
    page,
    {
      name: profile.name,
      pool: profile.pool ?? '',
      localAddress: profile.localAddress ?? '',
      dnsServers: profile.dnsServers ?? '',
      sessionTimeoutSeconds: String(profile.sessionTimeoutSeconds ?? ''),
      idleTimeoutSeconds: String(profile.idleTimeoutSeconds ?? ''),
    },
    profile,
  );
}

async function doEdit(page: Page): Promise<void> {
  const profile = await profileOf(page);
  const form = typed(page.req.body);
  const saved = await tryForm(() => setPppProfile(page.ctx, { pppProfileId: profile.id, ...fieldsOf(form) }));
  if (!saved.ok) return showForm(page, { ...form, name: profile.name }, profile, saved.errors);
  page.redirect('/ppp-profiles', {
    kind: 'success',
    text:
      saved.value.changed.length === 0
        ? 'Nothing was different, so nothing was changed.'
        : `${profile.name} is saved here. The routers have the profile itself: change it there too.`,
  });
}

function fieldsOf(form: Typed) {
  return {
    pool: textOrNull(form['pool']),
    localAddress: textOrNull(form['localAddress']),
    dnsServers: textOrNull(form['dnsServers']),
    sessionTimeoutSeconds: secondsOf(form['sessionTimeoutSeconds'], 'sessionTimeoutSeconds'),
    idleTimeoutSeconds: secondsOf(form['idleTimeoutSeconds'], 'idleTimeoutSeconds'),
  };
}
