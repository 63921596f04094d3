import type { Page } from './page.ts';
import { masterPackagePage, poolPage, pppProfilePage, taxRatePage } from '../db/catalog-view.ts';
import { invalid } from '../errors.ts';
import { percent } from './money-words.ts';
import { todayOf } from './params.ts';

/** What the pages of the catalogue share: words, and the choices of their forms. */

export interface Choice {
  value: string;
  label: string;
}

export const customerTypes: readonly Choice[] = [
  { value: 'pppoe', label: 'PPPoE' },
  { value: 'hotspot', label: 'Hotspot' },
  { value: 'static_ip', label: 'Static address' },
  { value: 'other', label: 'Other' },
];

export function customerTypeText(type: string): string {
  return customerTypes.find((one) => one.value === type)?.label ?? type;
}

export const visibilities: readonly Choice[] = [
  { value: 'public', label: 'Public: anybody may buy it' },
  { value: 'private', label: 'Private: only staff may give it' },
];

const choicesMax = 1000;

export async function masterPackageChoices(page: Page): Promise<Choice[]> {
  const rows = await masterPackagePage(page.app.db, null, choicesMax);
  return rows.map(({ name, rateLimit }) => ({
    value: name,
    label: `${name} · ${rateLimit ?? `unlimited (${page.settings.portRate})`}`,
  }));
}

/** Tax rates by name: which of one name is in force, the day decides; before its first day, that first one. */
export async function taxChoices(page: Page): Promise<Choice[]> {
  const rows = await taxRatePage(page.app.db, null, choicesMax);
  const today = todayOf(page);
  const begun = rows.filter((row) => row.effectiveOn <= today);
  const latest = new Map([...rows, ...begun.reverse()].map((row) => [row.name, row]));
  const choices = [...latest.values()].map((row) => ({
    value: row.name,
    label: `${row.name} · ${percent(row.rateBp)}${row.isInclusive ? ', in the price' : ''}`,
  }));
  return [{ value: '', label: 'No tax' }, ...choices.sort((a, b) => (a.value < b.value ? -1 : 1))];
}

export async function poolChoices(page: Page): Promise<Choice[]> {
  const rows = await poolPage(page.app.db, null, choicesMax);
  return [none('the router’s own'), ...rows.map(({ name }) => ({ value: name, label: name }))];
}

export async function pppProfileChoices(page: Page): Promise<Choice[]> {
  const rows = await pppProfilePage(page.app.db, null, choicesMax);
  return [none('the router’s own'), ...rows.map(({ name }) => ({ value: name, label: name }))];
}

function none(label: string): Choice {
  return { value: '', label: `None: ${label}` };
}

/** Whole seconds as typed; empty is null. Throws the rule for its field. */
export function secondsOf(text: string | undefined, field: string): number | null {
  const trimmed = text?.trim() ?? '';
  if (trimmed === '') return null;
  if (!/^\d{1,9}$/.test(trimmed)) throw invalid(field, 'must be a whole number of seconds');
  return Number(trimmed);
}

export function textOrNull(text: string | undefined): string | null {
  const trimmed = text?.trim() ?? '';
  return trimmed === '' ? null : trimmed;
}
