import { staffPage, findStaff, type Staff } from '../../db/staff.ts';
import { roleNames, staffRoles } from '../../domain/permissions.ts';
import { notFound } from '../../errors.ts';
import { addStaff, resetPassword, setStaff } from '../../staff/manage-staff.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { keysetOf, listSize, paged } from '../list.ts';
import type { Page } from '../page.ts';
import { idParam } from '../params.ts';
import type { Route } from '../route.ts';

export const staffRoutes: readonly Route[] = [
  { method: 'get', path: '/staff', access: 'staff.view', handle: showList },
  { method: 'get', path: '/staff/new', access: 'staff.edit', handle: (page) => showNew(page, {}) },
  { method: 'post', path: '/staff/new', access: 'staff.edit', handle: doAdd },
  { method: 'get', path: '/staff/:id/edit', access: 'staff.edit', handle: showEdit },
  { method: 'post', path: '/staff/:id/edit', access: 'staff.edit', handle: doEdit },
  { method: 'post', path: '/staff/:id/password', access: 'staff.edit', handle: doPassword },
];

const crumbs = [{ label: 'Staff', href: '/staff' }];
const roleMeanings: Record<Staff['role'], string> = {
  owner: 'everything, and the others’ rights',
  noc: 'subscribers, sessions and routers; no money',
  finance: 'invoices, payments, runs and the ledger',
  read_only: 'sees, and changes nothing',
};
const roles = staffRoles.map((role) => ({
  value: role,
  label: `${roleNames[role]}: ${roleMeanings[role]}`,
}));

async function showList(page: Page): Promise<void> {
  const keyset = keysetOf(page);
  const found = await staffPage(page.app.db, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => [row.username]);
  page.render('admin/staff/list', {
    title: 'Staff',
    people: rows.map((row) => ({
      id: row.id,
      name: row.name,
      username: row.username,
      role: roleNames[row.role],
      isTotpOn: row.isTotpOn,
      createdAt: row.createdAt,
      state: stateOf(page, row),
    })),
    pager,
  });
}

function stateOf(page: Page, person: Staff) {
  if (person.disabledAt !== null) return { word: 'Disabled', colour: 'unknown', symbol: 'slash-circle' };
  if (person.lockedUntil !== null && person.lockedUntil > page.now)
    return { word: 'Locked out', colour: 'denied', symbol: 'lock' };
  return { word: 'May sign in', colour: 'full', symbol: 'check-circle-fill' };
}

/** A password is never shown again, also not to who typed it. */
function showNew(page: Page, form: Typed, errors: FieldErrors | null = null): void {
  const data = {
    title: 'Add a person',
    crumbs,
    values: { username: '', name: '', role: 'read_only', ...form, password: '' },
    roles,
  };
  if (errors === null) page.render('admin/staff/new', data);
  else page.render('admin/staff/new', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() =>
    addStaff(page.ctx, {
      username: form['username'] ?? '',
      name: form['name'] ?? '',
      role: form['role'] ?? '',
      password: form['password'] ?? '',
    }),
  );
  if (!added.ok) {
    showNew(page, form, added.errors);
    return;
  }
  page.redirect('/staff', {
    kind: 'success',
    text: `${(form['name'] ?? '').trim()} may sign in now. Tell them the password, and to change it under their account.`,
  });
}

async function personOf(page: Page): Promise<Staff> {
  const id = idParam(page, 'staff');
  const person = await findStaff(page.app.db, { id });
  if (person === undefined) throw notFound(`staff ${id}`);
  return person;
}

async function showEdit(page: Page): Promise<void> {
  showPerson(page, await personOf(page));
}

function showPerson(
  page: Page,
  person: Staff,
  form: Typed | null = null,
  errors: FieldErrors | null = null,
): void {
  const values = form ?? {
    name: person.name,
    role: person.role,
    isDisabled: person.disabledAt === null ? '' : 'yes',
  };
  const data = {
    title: person.name,
    crumbs,
    person: { id: person.id, username: person.username, isTotpOn: person.isTotpOn },
    state: stateOf(page, person),
    isSelf: page.staff?.staffId === person.id,
    values: { name: '', role: '', isDisabled: '', ...values },
    roles,
  };
  if (errors === null) page.render('admin/staff/edit', data);
  else page.render('admin/staff/edit', { ...data, errors }, 400);
}

async function doEdit(page: Page): Promise<void> {
  const person = await personOf(page);
  const form = typed(page.req.body);
  const isDisabled = form['isDisabled'] === 'yes';
  const saved = await tryForm(() =>
    setStaff(page.ctx, person.id, {
      name: form['name'] ?? '',
      role: form['role'] ?? '',
      isDisabled,
    }),
  );
  if (!saved.ok) {
    showPerson(page, person, form, saved.errors);
    return;
  }
  const isOut = isDisabled && person.disabledAt === null;
  page.redirect('/staff', {
    kind: 'success',
    text: isOut
      ? `${person.username} may not sign in any more and is signed out everywhere.`
      : `${person.username} is saved. What they may do counts from their next click.`,
  });
}

async function doPassword(page: Page): Promise<void> {
  const person = await personOf(page);
  const form = typed(page.req.body);
  const done = await tryForm(() => resetPassword(page.ctx, person.id, form['password'] ?? ''));
  if (!done.ok) {
    showPerson(page, person, null, done.errors);
    return;
  }
  page.redirect('/staff', {
    kind: 'success',
    text: `${person.username} has a new password, is signed out everywhere, and is not locked out any more.`,
  });
}
