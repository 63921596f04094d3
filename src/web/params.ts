import { type Day, dayIn, parseDay } from '../domain/day.ts';
import { parseMinor } from '../domain/money.ts';
import { subscriberById } from '../db/subscribers.ts';
import { pickSubscriberIds } from '../db/subscriber-pick.ts';
import { asId, type SubscriberId } from '../domain/ids.ts';
import { invalid, notFound } from '../errors.ts';
import type { FieldErrors } from './form.ts';
import { textQuery } from './list.ts';
import type { Page } from './page.ts';

/** What pages read from their addresses and forms. */

/** The id in the path; what is not one names nothing, and so is not found. */
export function idParam(page: Page, what: string): string {
  const id = String(page.req.params['id']);
  if (!/^[1-9]\d{0,18}$/.test(id)) throw notFound(`${what} ${id}`);
  return id;
}

export function todayOf(page: Page): Day {
  return dayIn(page.settings.zone, page.now);
}

/** A day in the query; one that cannot be read is not used, and `notes` says so. */
export function dayQuery(page: Page, name: string, notes: string[]): Day | undefined {
  return readDay(textQuery(page, name), notes);
}

function readDay(text: string, notes: string[]): Day | undefined {
  if (text === '') return undefined;
  try {
    return parseDay(text);
  } catch {
    notes.push(`“${text}” is not a day: write it as 2026-03-31. It is not used here.`);
    return undefined;
  }
}

/** A month in the query, by its first day. */
export function monthQuery(page: Page, name: string, notes: string[]): Day | undefined {
  const text = textQuery(page, name);
  if (text === '') return undefined;
  const day = readDay(`${text}-01`, []);
  if (day === undefined) notes.push(`“${text}” is not a month: write it as 2026-03. It is not used here.`);
  return day;
}

const subscribersMax = 200;

/**
 * The subscribers that a list is narrowed to: a number is that subscriber, any other text the beginning of names,
 * phones and usernames. Undefined where nothing is asked for; empty where nobody is meant.
 */
export async function subscribersQuery(
  page: Page,
  name: string,
  notes: string[],
): Promise<readonly SubscriberId[] | undefined> {
  const text = textQuery(page, name);
  if (text === '') return undefined;
  const number = /^#?([1-9]\d{0,17})$/.exec(text)?.[1];
  if (number !== undefined) {
    const found = await subscriberById(page.app.db, asId(number));
    if (found !== undefined) return [found.id];
  }
  const ids = await pickSubscriberIds(page.app.db, text, subscribersMax + 1);
  if (ids.length > subscribersMax) {
    notes.push(`More than ${subscribersMax} subscribers begin with “${text}”; only some are looked through.`);
  }
  return ids.slice(0, subscribersMax);
}

/** An amount as typed, in the operator's currency. Throws the rule for its field. */
export function amountOf(page: Page, text: string, field: string): bigint {
  const { currency, exponent } = page.settings;
  try {
    // Thousands may be set apart, as this page itself shows them.
    return parseMinor(text.replaceAll(/[, ]/g, ''), exponent);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalid(field, `must be an amount in ${currency} with at most ${exponent} decimals, such as 1150`);
  }
}

/** Errors under the names that the form's fields have. */
export function renamed(errors: FieldErrors, names: Readonly<Record<string, string>>): FieldErrors {
  return Object.fromEntries(Object.entries(errors).map(([field, text]) => [names[field] ?? field, text]));
}

/** What was typed, or undefined where nothing was. */
export function optionalText(text: string | undefined): string | undefined {
  const trimmed = text?.trim() ?? '';
  return trimmed === '' ? undefined : trimmed;
}
