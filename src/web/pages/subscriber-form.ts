import { listBillingProfiles, listPackages } from '../../db/packages.ts';
import { subscriberDetails, type SubscriberDetails } from '../../db/subscriber-details.ts';
import { dayIn } from '../../domain/day.ts';
import type { SubscriberId } from '../../domain/ids.ts';
import { parseMinor } from '../../domain/money.ts';
import { invalid, notFound } from '../../errors.ts';
import { addSubscriber } from '../../subscribers/register.ts';
import { setSubscriber } from '../../subscribers/set-subscriber.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';

export const subscriberFormRoutes: readonly Route[] = [
  {
    method: 'get',
    path: '/subscribers/new',
    access: 'subscriber.edit',
    handle: (page) => showNew(page, {}, null),
  },
  { method: 'post', path: '/subscribers/new', access: 'subscriber.edit', handle: doAdd },
  { method: 'get', path: '/subscribers/:id/edit', access: 'subscriber.edit', handle: showEdit },
  { method: 'post', path: '/subscribers/:id/edit', access: 'subscriber.edit', handle: doEdit },
];

const crumbs = [{ label: 'Subscribers', href: '/subscribers' }];
const newFields = [
  'name',
  'phone',
  'email',
  'street',
  'billingProfile',
  'package',
  'username',
  'macLock',
  'staticIpv4',
  'delegatedIpv6Prefix',
  'simultaneousUse',
  'anchorOn',
  'price',
];
const editFields = ['name', 'phone', 'email', 'street', 'language', 'billingProfile'];

async function choicesOf(page: Page, values: Typed) {
  const [profiles, packages] = await Promise.all([
    listBillingProfiles(page.app.db),
    listPackages(page.app.db),
  ]);
  const sold = packages.filter((one) => !one.isRetired && one.billingType === 'monthly');
  return {
    profiles: profiles.map((one) => ({
      name: one.name,
      about: `due in ${one.dueDays} days, ${one.graceDays} days of grace`,
      isChosen: one.name === values['billingProfile'],
    })),
    packages: sold.map((one) => ({
      name: one.name,
      priceMinor: one.customersPriceMinor,
      needsStatic: one.customerType === 'static_ip',
      isChosen: one.name === values['package'],
    })),
  };
}

async function showNew(page: Page, given: Typed, errors: FieldErrors | null): Promise<void> {
  const empty = Object.fromEntries(newFields.map((name) => [name, '']));
  const values: Typed = { ...empty, simultaneousUse: '1', ...given, password: '' };
  const data = {
    title: 'Add a subscriber',
    crumbs,
    values,
    choices: await choicesOf(page, values),
    today: dayIn(page.settings.zone, page.now),
    wasPasswordTyped: (given['password'] ?? '') !== '',
  };
  if (errors === null) page.render('admin/subscriber-list/new', data);
  else page.render('admin/subscriber-list/new', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() => addSubscriber(page.ctx, inputOf(page, form)));
  if (!added.ok) {
    const { priceOverrideMinor: price, ...errors } = added.errors;
    await showNew(page, form, price === undefined ? errors : { ...errors, price });
    return;
  }
  const { subscriberId, username, generatedPassword } = added.value;
  if (generatedPassword === undefined) {
    page.redirect(`/subscribers/${subscriberId}`, {
      kind: 'success',
      text: `${form['name'] ?? ''} is added. ${username} can dial in a moment.`,
    });
    return;
  }
  // The password is on this one answer and kept nowhere in clear, so there is no redirect to lose it in.
  page.render('admin/subscriber-list/added', {
    title: 'Added',
    crumbs,
    name: form['name'] ?? '',
    id: subscriberId,
    username,
    password: generatedPassword,
  });
}

function inputOf(page: Page, form: Typed): Parameters<typeof addSubscriber>[1] {
  const given = (name: string) => (form[name] ?? '').trim();
  const maybe = (name: string) => (given(name) === '' ? {} : { [name]: given(name) });
  return {
    name: given('name'),
    billingProfile: given('billingProfile'),
    package: given('package'),
    username: form['username'] ?? '',
    ...maybe('phone'),
    ...maybe('email'),
    ...maybe('street'),
    ...maybe('macLock'),
    ...maybe('staticIpv4'),
    ...maybe('delegatedIpv6Prefix'),
    ...maybe('anchorOn'),
    // Space is part of a password.
    ...((form['password'] ?? '') === '' ? {} : { password: form['password'] ?? '' }),
    ...(given('simultaneousUse') === '' ? {} : { simultaneousUse: Number(given('simultaneousUse')) }),
    ...(given('price') === '' ? {} : { priceOverrideMinor: priceOf(page, given('price')) }),
  };
}

function priceOf(page: Page, text: string): bigint {
  try {
    return parseMinor(text, page.settings.exponent);
  } catch (error) {
    throw invalid('price', error instanceof RangeError ? error.message : 'is not an amount');
  }
}

async function subscriberOf(page: Page): Promise<SubscriberDetails> {
  const id = String(page.req.params['id']);
  const found = /^[1-9]\d{0,18}$/.test(id)
    ? await subscriberDetails(page.app.db, id as SubscriberId)
    : undefined;
  if (found === undefined) throw notFound(`subscriber #${id}`);
  return found;
}

async function showEdit(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const { name, phone, email, street, language, billingProfile } = subscriber;
  const values = {
    name,
    phone: phone ?? '',
    email: email ?? '',
    street: street ?? '',
    language,
    billingProfile,
  };
  await showEditForm(page, subscriber, values, null);
}

async function showEditForm(
  page: Page,
  subscriber: SubscriberDetails,
  values: Typed,
  errors: FieldErrors | null,
): Promise<void> {
  const empty = Object.fromEntries(editFields.map((name) => [name, '']));
  const data = {
    title: 'Edit',
    crumbs: [...crumbs, { label: subscriber.name, href: `/subscribers/${subscriber.id}` }],
    id: subscriber.id,
    name: subscriber.name,
    values: { ...empty, ...values },
    choices: await choicesOf(page, values),
  };
  if (errors === null) page.render('admin/subscriber-list/edit', data);
  else page.render('admin/subscriber-list/edit', { ...data, errors }, 400);
}

const labels: Record<string, string> = { billingProfile: 'billing profile', email: 'e-mail' };

async function doEdit(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const form = typed(page.req.body);
  const given = (name: string) => (form[name] ?? '').trim();
  const orNull = (name: string) => (given(name) === '' ? null : given(name));
  const changed = await tryForm(() =>
    setSubscriber(page.ctx, {
      subscriberId: subscriber.id,
      name: given('name'),
      phone: orNull('phone'),
      email: orNull('email'),
      street: orNull('street'),
      language: given('language'),
      billingProfile: given('billingProfile'),
    }),
  );
  if (!changed.ok) {
    await showEditForm(page, subscriber, form, changed.errors);
    return;
  }
  const result = changed.value;
  const what = result.ok ? result.changed.map((name) => labels[name] ?? name).join(', ') : '';
  const restored =
    result.ok && result.closedSuspensions > 0
      ? ' By the new billing profile nothing is past due and grace: the service comes back now.'
      : '';
  page.redirect(`/subscribers/${subscriber.id}`, {
    kind: 'success',
    text: result.ok ? `Changed: ${what}.${restored}` : 'Nothing was different, so nothing was changed.',
  });
}
