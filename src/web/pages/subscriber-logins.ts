import { listPackages } from '../../db/packages.ts';
import { loginById, type LoginRow, type SubscriberRow } from '../../db/subscribers.ts';
import { asId, type LoginId } from '../../domain/ids.ts';
import { notFound } from '../../errors.ts';
import { kickSession } from '../../network/kick-session.ts';
import { changePackage } from '../../subscribers/change-package.ts';
import { type LoginChange, setLogin } from '../../subscribers/set-login.ts';
import { terminateSubscription } from '../../subscribers/terminate.ts';
import type { Flash } from '../flash.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import type { Page } from '../page.ts';
import { amountOf, renamed } from '../params.ts';
import type { Route } from '../route.ts';
import { whyHref } from '../why-href.ts';
import { backTo, counted, livingOf, ownSubscription, renderForm } from './subscriber-acts.ts';
import { subscriberOf } from './subscriber.ts';

/** What a subscriber's page offers about packages and logins. */
export const subscriberLoginRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/subscribers/:id/package',
    access: 'subscriber.edit',
    handle: (page) => showPackage(page),
  },
  { method: 'post', path: '/subscribers/:id/package', access: 'subscriber.edit', handle: doPackage },
  {
    method: 'get',
    path: '/subscribers/:id/terminate',
    access: 'subscriber.edit',
    handle: (page) => showTerminate(page),
  },
  { method: 'post', path: '/subscribers/:id/terminate', access: 'subscriber.edit', handle: doTerminate },
  {
    method: 'get',
    path: '/subscribers/:id/logins/:loginId/edit',
    access: 'subscriber.edit',
    handle: (page) => showLogin(page),
  },
  {
    method: 'post',
    path: '/subscribers/:id/logins/:loginId/edit',
    access: 'subscriber.edit',
    handle: doLogin,
  },
  {
    method: 'post',
    path: '/subscribers/:id/logins/:loginId/mac-reset',
    access: 'subscriber.edit',
    handle: doMacReset,
  },
  { method: 'post', path: '/subscribers/:id/logins/:loginId/kick', access: 'session.kick', handle: doKick },
];

async function showPackage(page: Page, form: Typed | null = null, errors: FieldErrors | null = null) {
  const subscriber = await subscriberOf(page);
  const [living, packages] = await Promise.all([livingOf(page, subscriber), listPackages(page.app.db)]);
  const [first] = living;
  const values = { subscription: first?.id ?? '', package: '', price: '', ...form };
  renderForm(
    page,
    'admin/subscriber/package',
    subscriber,
    {
      title: 'Change the package',
      values,
      subscriptions: living,
      packages: packages.filter((one) => !one.isRetired && one.billingType === 'monthly'),
    },
    errors,
  );
}

async function doPackage(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const form = typed(page.req.body);
  const changed = await tryForm(async () => {
    const { id } = await ownSubscription(page, subscriber, form['subscription'] ?? '');
    const price = (form['price'] ?? '').trim();
    return changePackage(page.ctx, {
      subscriptionId: id,
      package: form['package'] ?? '',
      ...(price === '' ? {} : { priceOverrideMinor: amountOf(page, price, 'price') }),
    });
  });
  if (!changed.ok) return showPackage(page, form, renamed(changed.errors, { priceOverrideMinor: 'price' }));
  const result = changed.value;
  if (!result.ok) {
    const text =
      result.reason === 'same_package'
        ? 'They have that package already: nothing was changed.'
        : 'The subscription has ended.';
    return showPackage(page, form, { package: text });
  }
  backTo(page, subscriber, {
    kind: 'success',
    text: `From ${result.from} to ${result.to}: the speed at once, the price from the next invoice.`,
  });
}

async function showTerminate(page: Page, form: Typed | null = null, errors: FieldErrors | null = null) {
  const subscriber = await subscriberOf(page);
  const living = await livingOf(page, subscriber);
  const values = {
    subscription: living.length === 1 ? (living[0]?.id ?? '') : '',
    note: '',
    sure: '',
    ...form,
  };
  renderForm(
    page,
    'admin/subscriber/terminate',
    subscriber,
    { title: 'Terminate a subscription', values, subscriptions: living },
    errors,
  );
}

async function doTerminate(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const form = typed(page.req.body);
  if (form['sure'] !== 'yes') {
    return showTerminate(page, form, { sure: 'tick it: a terminated subscription does not come back' });
  }
  const note = (form['note'] ?? '').trim();
  const ended = await tryForm(async () => {
    const { id } = await ownSubscription(page, subscriber, form['subscription'] ?? '');
    return terminateSubscription(page.ctx, { subscriptionId: id, ...(note === '' ? {} : { note }) });
  });
  if (!ended.ok) return showTerminate(page, form, ended.errors);
  const flash: Flash = ended.value.ok
    ? {
        kind: 'warning',
        text: `Terminated, with ${counted(ended.value.loginIds.length, 'login')}. What is owed stays owed.`,
      }
    : { kind: 'danger', text: 'The subscription had ended already: nothing was changed.' };
  backTo(page, subscriber, flash);
}

async function showLogin(page: Page, form: Typed | null = null, errors: FieldErrors | null = null) {
  const { subscriber, login } = await ownLogin(page);
  const values = {
    macLock: login.macLock ?? '',
    staticIpv4: login.staticIpv4 ?? '',
    delegatedIpv6Prefix: login.delegatedIpv6Prefix ?? '',
    simultaneousUse: String(login.simultaneousUse),
    isPasswordGenerated: '',
    ...form,
    // Typed again: a password is never sent back to a browser.
    password: '',
  };
  renderForm(
    page,
    'admin/subscriber/login',
    subscriber,
    { title: `Login ${login.username}`, values, login, generated: null },
    errors,
  );
}

async function doLogin(page: Page): Promise<void> {
  const { subscriber, login } = await ownLogin(page);
  const form = typed(page.req.body);
  const changed = await tryForm(() => {
    const textOrNull = (name: string) => {
      const text = (form[name] ?? '').trim();
      return text === '' ? null : text;
    };
    const password = form['password'] ?? '';
    const sessions = (form['simultaneousUse'] ?? '').trim();
    return setLogin(page.ctx, {
      loginId: login.id,
      ...(password === '' ? {} : { password }),
      ...(form['isPasswordGenerated'] === 'yes' ? { isPasswordGenerated: true } : {}),
      macLock: textOrNull('macLock'),
      staticIpv4: textOrNull('staticIpv4'),
      delegatedIpv6Prefix: textOrNull('delegatedIpv6Prefix'),
      simultaneousUse: sessions === '' ? NaN : Number(sessions),
    });
  });
  if (!changed.ok) return showLogin(page, form, changed.errors);
  const result = changed.value;
  if (result.ok && result.generatedPassword !== undefined) {
    // On this one answer and kept nowhere: there is no redirect to lose it in.
    renderForm(
      page,
      'admin/subscriber/login-done',
      subscriber,
      {
        title: `Login ${login.username}`,
        values: {},
        username: login.username,
        password: result.generatedPassword,
      },
      null,
    );
    return;
  }
  if (!result.ok && result.reason === 'login_retired') {
    backTo(page, subscriber, setFlashOf(result));
    return;
  }
  if (!result.ok) return showLogin(page, form, { '': 'It has all of that already: nothing was changed.' });
  backTo(page, subscriber, setFlashOf(result));
}

const changedWords: Readonly<Record<string, string>> = {
  password: 'password',
  macLock: 'MAC lock',
  staticIpv4: 'fixed address',
  delegatedIpv6Prefix: 'IPv6 prefix',
  simultaneousUse: 'sessions at once',
};

function setFlashOf(result: LoginChange): Flash {
  if (!result.ok) {
    return {
      kind: 'danger',
      text:
        result.reason === 'login_retired'
          ? 'The login is retired: nothing was changed.'
          : 'Nothing was different, so nothing was changed.',
    };
  }
  const names = result.changed.map((name) => changedWords[name] ?? name).join(', ');
  return { kind: 'success', text: `Changed: ${names}. The next dial finds it so.` };
}

async function doMacReset(page: Page): Promise<void> {
  const { subscriber, login } = await ownLogin(page);
  const result = await setLogin(page.ctx, { loginId: login.id, macLock: null });
  const flash: Flash = result.ok
    ? { kind: 'success', text: `${login.username} may dial from any device now.` }
    : setFlashOf(result);
  backFrom(page, subscriber, login, flash);
}

async function doKick(page: Page): Promise<void> {
  const { subscriber, login } = await ownLogin(page);
  backFrom(page, subscriber, login, await kick(page, login));
}

/** To the diagnosis, where the button was there; else to the subscriber. */
function backFrom(page: Page, subscriber: SubscriberRow, login: LoginRow, flash: Flash): void {
  if (typed(page.req.body)['back'] === 'why') page.redirect(whyHref(login.username), flash);
  else backTo(page, subscriber, flash);
}

/** Ends the open sessions of a login, and says what became of it. */
async function kick(page: Page, login: Pick<LoginRow, 'username'>): Promise<Flash> {
  const result = await kickSession(page.ctx, { username: login.username });
  if (result.ok) {
    return {
      kind: 'success',
      text: `${counted(result.sessions.length, 'session')} of ${login.username} asked to end; it may dial again at once.`,
    };
  }
  return {
    kind: 'danger',
    text:
      result.reason === 'no_open_session'
        ? `Nothing was sent: no session of ${login.username} is open, as far as accounting knows.`
        : 'Nothing was sent: accounting names no router that we know for the session.',
  };
}

async function ownLogin(page: Page): Promise<{ subscriber: SubscriberRow; login: LoginRow }> {
  const subscriber = await subscriberOf(page);
  const id = String(page.req.params['loginId']);
  const login = /^[1-9]\d{0,18}$/.test(id) ? await loginById(page.app.db, asId<LoginId>(id)) : undefined;
  if (login?.subscriberId !== subscriber.id) throw notFound(`login ${id.slice(0, 40)}`);
  return { subscriber, login };
}
