import { changeSettings } from '../../catalog/change-settings.ts';
import { countLoginsUpTo } from '../../db/login-count.ts';
import { defaultSettings } from '../../db/settings.ts';
import { notFound } from '../../errors.ts';
import { type FieldErrors, tryForm, typed } from '../form.ts';
import { countMax } from '../list.ts';
import type { Page } from '../page.ts';
import { renamed } from '../params.ts';
import type { Route } from '../route.ts';
import { reachText, settingGroups, type SettingName, settingWords } from '../setting-words.ts';

export const settingRoutes: readonly Route[] = [
  { method: 'get', path: '/settings', access: 'settings.view', handle: showList },
  { method: 'get', path: '/settings/:name', access: 'settings.edit', handle: showOne },
  { method: 'post', path: '/settings/:name', access: 'settings.edit', handle: doChange },
];

function showList(page: Page): void {
  page.render('admin/settings/list', {
    title: 'Settings',
    groups: settingGroups.map((group) => ({
      title: group.title,
      settings: group.names.map((name) => ({
        name,
        ...settingWords[name],
        value: String(page.settings[name]),
        isDefault: page.settings[name] === defaultSettings[name],
      })),
    })),
  });
}

function nameOf(page: Page): SettingName {
  const name = String(page.req.params['name']);
  if (!Object.hasOwn(settingWords, name)) throw notFound(`setting ${name.slice(0, 64)}`);
  return name as SettingName;
}

async function showOne(page: Page): Promise<void> {
  const name = nameOf(page);
  await showForm(page, name, String(page.settings[name]));
}

async function showForm(
  page: Page,
  name: SettingName,
  value: string,
  errors: FieldErrors | null = null,
): Promise<void> {
  const words = settingWords[name];
  const data = {
    title: words.label,
    crumbs: [{ label: 'Settings', href: '/settings' }],
    name,
    value,
    words,
    current: String(page.settings[name]),
    standard: String(defaultSettings[name]),
    consequence: reachText(words.reach, await loginsText(page)),
  };
  if (errors === null) page.render('admin/settings/form', data);
  else page.render('admin/settings/form', { ...data, errors }, 400);
}

async function loginsText(page: Page): Promise<string> {
  const count = await countLoginsUpTo(page.app.db, countMax);
  return count > countMax ? `more than ${countMax} of them` : `${count} of them`;
}

async function doChange(page: Page): Promise<void> {
  const name = nameOf(page);
  const value = (typed(page.req.body)['value'] ?? '').trim();
  const done = await tryForm(() => changeSettings(page.ctx, { name, value }));
  if (!done.ok) return showForm(page, name, value, renamed(done.errors, { VALUE: 'value' }));
  const { isChanged, before, after } = done.value;
  page.redirect('/settings', {
    kind: 'success',
    text: isChanged
      ? `${settingWords[name].label} is ${String(after)} now; it was ${String(before)}.`
      : 'Nothing was different, so nothing was changed.',
  });
}
