import { repairWronglySuspended } from '../../billing/suspension-sweep.ts';
import { addBillingProfile } from '../../catalog/add-billing-profile.ts';
import { type BillingProfileChange, setBillingProfile } from '../../catalog/set-billing-profile.ts';
import {
  type BillingProfile,
  billingProfilePage,
  countSubscribersOf,
  countSuspendedOf,
  findBillingProfile,
} from '../../db/billing-profiles.ts';
import type { SuspensionEffect } from '../../domain/access-types.ts';
import { addDays, dayIn } from '../../domain/day.ts';
import { actsOn } from '../../domain/overdue.ts';
import { notFound } from '../../errors.ts';
import { runInBackground } from '../background.ts';
import { type FieldErrors, tryForm, type Typed, typed } from '../form.ts';
import { keysetOf, listSize, paged } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { dayText, effectText, upTo } from '../run-words.ts';
import { isId } from '../run-view.ts';

export const billingProfileRoutes: readonly Route[] = [
  { method: 'get', path: '/billing-profiles', access: 'catalog.view', handle: showList },
  {
    method: 'get',
    path: '/billing-profiles/new',
    access: 'billing_profile.edit',
    handle: (page) => showForm(page, emptyForm, null, null),
  },
  { method: 'post', path: '/billing-profiles/new', access: 'billing_profile.edit', handle: doAdd },
  { method: 'get', path: '/billing-profiles/preview', access: 'catalog.view', handle: showPreview },
  { method: 'get', path: '/billing-profiles/:id/edit', access: 'billing_profile.edit', handle: showEdit },
  { method: 'post', path: '/billing-profiles/:id/edit', access: 'billing_profile.edit', handle: doEdit },
];

const emptyForm: Typed = {
  name: '',
  dueDays: '10',
  graceDays: '3',
  overdueEffect: 'throttle',
  throttleRate: '512k/512k',
  isOverdueRunOn: 'yes',
};

/** Subscribers are counted to here and no further. */
const countMost = 10_000;

async function showList(page: Page): Promise<void> {
  const keyset = keysetOf(page);
  const name = keyset?.values[0];
  const rows = await billingProfilePage(page.app.db, {
    ...(keyset === null || name === undefined ? {} : { [keyset.direction]: name }),
    limit: listSize + 1,
  });
  const { rows: profiles, pager } = paged(page, rows, keyset, (profile) => [profile.name]);
  const counts = await countSubscribersOf(
    page.app.db,
    profiles.map((profile) => profile.id),
    countMost + 1,
  );
  page.render('admin/billing-profiles/list', {
    title: 'Billing profiles',
    profiles: profiles.map((profile) => ({
      ...profile,
      effect: effectText(profile.overdueEffect, profile.throttleRate),
      subscribers: upTo(counts.get(profile.id) ?? 0, countMost),
      sentence: sentenceOf(page, profile),
    })),
    pager,
  });
}

/** What the numbers mean, with days that somebody can check on a calendar. */
function sentenceOf(
  page: Page,
  profile: Pick<BillingProfile, 'dueDays' | 'graceDays' | 'overdueEffect' | 'isOverdueRunOn'>,
): string {
  const today = dayIn(page.settings.zone, page.now);
  const dueOn = addDays(today, profile.dueDays);
  const issued = `An invoice issued today is due on ${dayText(dueOn, today)}`;
  if (!profile.isOverdueRunOn) return `${issued}. The overdue run leaves who does not pay it alone.`;
  const actOn = actsOn(dueOn, profile.graceDays);
  const what: Record<SuspensionEffect, string> = {
    block: 'the service is blocked',
    throttle: 'the service is throttled',
    walled_garden: 'only the walled garden is left',
  };
  return `${issued}. An invoice due on ${dayText(dueOn, today)} acts on ${dayText(actOn, today)}: unpaid by then, ${what[profile.overdueEffect]} from ${page.settings.overdueRunAt}.`;
}

/** The sentence of what is typed so far; without numbers it asks for them. */
function sentenceOfForm(page: Page, form: Typed): string {
  const [dueDays, graceDays] = [wholeOf(form['dueDays']), wholeOf(form['graceDays'])];
  if (dueDays === null || graceDays === null) return 'Type both numbers, and here are the days.';
  const effect = (['block', 'throttle', 'walled_garden'] as const).find(
    (one) => one === form['overdueEffect'],
  );
  return sentenceOf(page, {
    dueDays,
    graceDays,
    overdueEffect: effect ?? 'block',
    isOverdueRunOn: form['isOverdueRunOn'] === 'yes',
  });
}

function wholeOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,3}$/.test(text.trim()) ? Number(text) : null;
}

/** What the form asks for while somebody types. */
function showPreview(page: Page): void {
  if (!page.wantsPart) {
    page.redirect('/billing-profiles');
    return;
  }
  page.renderPart('admin/billing-profiles/preview', {
    sentence: sentenceOfForm(page, typed(page.req.query)),
  });
}

async function showEdit(page: Page): Promise<void> {
  const profile = await profileOf(page);
  await showForm(page, typedOf(profile), profile, null);
}

async function showForm(
  page: Page,
  values: Typed,
  profile: BillingProfile | null,
  errors: FieldErrors | null,
): Promise<void> {
  const { db } = page.app;
  const data = {
    title: profile === null ? 'Add a billing profile' : `Edit ${profile.name}`,
    crumbs: [{ label: 'Billing profiles', href: '/billing-profiles' }],
    id: profile?.id ?? null,
    values: { ...emptyForm, isOverdueRunOn: '', ...values },
    sentence: sentenceOfForm(page, values),
    subscribers:
      profile === null
        ? null
        : upTo((await countSubscribersOf(db, [profile.id], countMost + 1)).get(profile.id) ?? 0, countMost),
    suspended:
      profile === null ? null : upTo(await countSuspendedOf(db, profile.id, countMost + 1), countMost),
  };
  if (errors === null) page.render('admin/billing-profiles/form', data);
  else page.render('admin/billing-profiles/form', { ...data, errors }, 400);
}

async function doAdd(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const added = await tryForm(() => addBillingProfile(page.ctx, fieldsOf(form)));
  if (!added.ok) {
    await showForm(page, { ...form }, null, added.errors);
    return;
  }
  page.redirect('/billing-profiles', {
    kind: 'success',
    text: `${form['name']?.trim() ?? 'The profile'} is added. Subscribers get it when they are added or edited.`,
  });
}

async function doEdit(page: Page): Promise<void> {
  const profile = await profileOf(page);
  const form = typed(page.req.body);
  const saved = await tryForm(() =>
    setBillingProfile(page.ctx, { billingProfileId: profile.id, ...fieldsOf(form) }),
  );
  if (!saved.ok) {
    await showForm(page, form, profile, saved.errors);
    return;
  }
  if (saved.value.after.graceDays > saved.value.before.graceDays) {
    // Should this process die over it, the timetable does the same within the hour.
    runInBackground(page.app, 'repair-suspensions', () => repairWronglySuspended(page.ctx));
  }
  page.redirect('/billing-profiles', { kind: 'success', text: savedText(saved.value) });
}

/** What a change does, to whom, and when; it never suspends anybody by itself. */
function savedText({ changed, before, after }: BillingProfileChange): string {
  if (changed.length === 0) return 'Nothing was different, so nothing was changed.';
  const sentences = [`${after.name} is saved.`];
  if (changed.includes('overdueEffect') || changed.includes('throttleRate'))
    sentences.push('Who is suspended now keeps what they have; the next overdue run uses the new effect.');
  if (after.graceDays > before.graceDays)
    sentences.push('Who is within the longer grace gets the service back, beginning now.');
  if (after.graceDays < before.graceDays)
    sentences.push('The shorter grace counts from the next overdue run on.');
  if (changed.includes('dueDays'))
    sentences.push('Invoices that were issued keep their due day; new ones get the new one.');
  if (changed.includes('isOverdueRunOn'))
    sentences.push(
      after.isOverdueRunOn
        ? 'The next overdue run acts on its subscribers.'
        : 'No run acts on its subscribers any more; who is suspended stays so until the debt is paid or somebody lifts it.',
    );
  return sentences.join(' ');
}

async function profileOf(page: Page): Promise<BillingProfile> {
  const id = String(page.req.params['id']);
  const profile = isId(id) ? await findBillingProfile(page.app.db, id) : undefined;
  if (profile === undefined) throw notFound(`billing profile ${id}`);
  return profile;
}

function typedOf(profile: BillingProfile): Typed {
  return {
    name: profile.name,
    dueDays: String(profile.dueDays),
    graceDays: String(profile.graceDays),
    overdueEffect: profile.overdueEffect,
    throttleRate: profile.throttleRate ?? '',
    isOverdueRunOn: profile.isOverdueRunOn ? 'yes' : '',
  };
}

/** The rate goes with the effect throttle; what stands in its field for another effect is not used. */
function fieldsOf(form: Typed) {
  const overdueEffect = (form['overdueEffect'] ?? '') as SuspensionEffect;
  const throttleRate = (form['throttleRate'] ?? '').trim();
  return {
    name: form['name'] ?? '',
    dueDays: wholeOf(form['dueDays']) ?? Number.NaN,
    graceDays: wholeOf(form['graceDays']) ?? Number.NaN,
    overdueEffect,
    ...(overdueEffect === 'throttle' && throttleRate !== '' ? { throttleRate } : {}),
    isOverdueRunOn: form['isOverdueRunOn'] === 'yes',
  };
}
