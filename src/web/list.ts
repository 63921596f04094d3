import type { Page } from './page.ts';

/** Rows of a list page; one more is read to know whether there is a next page. */
export const listSize = 50;

/** Where a page of a list begins: the sort values of the row it follows or comes before, the id last. */
export interface Keyset {
  direction: 'after' | 'before';
  values: readonly string[];
}

/** The keyset in the URL; a cursor that nobody made here is the first page. */
export function keysetOf(page: Page): Keyset | null {
  for (const direction of ['after', 'before'] as const) {
    const text = page.req.query[direction];
    if (typeof text !== 'string' || text === '') continue;
    const values = parse(text);
    if (values !== null) return { direction, values };
  }
  return null;
}

/** Links to the next and the previous page, with the filters as they are. */
export interface Pager {
  next: string | null;
  previous: string | null;
}

/**
 * Cuts the extra row off and makes the links. `rows` are as the database gave them: at most `listSize` + 1, those of a
 * `before` page in reverse.
 */
export function paged<T>(
  page: Page,
  rows: readonly T[],
  keyset: Keyset | null,
  valuesOf: (row: T) => readonly string[],
): { rows: T[]; pager: Pager } {
  const hasMore = rows.length > listSize;
  const kept = rows.slice(0, listSize);
  const isBackwards = keyset?.direction === 'before';
  const shown = isBackwards ? kept.reverse() : kept;
  const [first, last] = [shown[0], shown.at(-1)];
  const link = (direction: Keyset['direction'], row: T | undefined) =>
    row === undefined
      ? null
      : withQuery(page, { after: null, before: null, [direction]: format(valuesOf(row)) });
  return {
    rows: shown,
    pager: {
      next: isBackwards || hasMore ? link('after', last) : null,
      previous: (isBackwards ? hasMore : keyset !== null) ? link('before', first) : null,
    },
  };
}

/** This page's address with some of its query changed; null takes a name out. */
export function withQuery(page: Page, changes: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(page.req.query)) {
    if (typeof value === 'string' && value !== '' && !(name in changes)) query.set(name, value);
  }
  for (const [name, value] of Object.entries(changes))
    if (value !== null && value !== '') query.set(name, value);
  const text = query.toString();
  return text === '' ? page.req.path : `${page.req.path}?${text}`;
}

/** A count of a list stops here: past it, `10,000+` says enough and nothing big is counted to its end. */
export const countMax = 10_000;

/** A filter of a list as a link with its count; `count` null where counting would read too much. */
export interface FilterLink {
  label: string;
  href: string;
  count: number | null;
  /** There are more than `count`: counting was stopped. */
  isMore: boolean;
  isHere: boolean;
}

/** The filter links of a list: the chosen one is in the query under `name`; choosing one goes back to the first page. */
export function filterLinks(
  page: Page,
  name: string,
  choices: readonly { value: string; label: string; count: number | null }[],
): FilterLink[] {
  const chosen = textQuery(page, name);
  return choices.map(({ value, label, count }) => ({
    label,
    count: count === null ? null : Math.min(count, countMax),
    isMore: count !== null && count > countMax,
    href: withQuery(page, { [name]: value === '' ? null : value, after: null, before: null }),
    isHere: chosen === value,
  }));
}

/** The same with each choice counted; all together are not: there are as many as there are, and the number helps nobody. */
export async function countedFilters<Value extends string>(
  page: Page,
  name: string,
  choices: readonly (readonly [value: Value, label: string])[],
  countOf: (value: Exclude<Value, ''>) => Promise<number>,
): Promise<FilterLink[]> {
  const counts = await Promise.all(
    choices.map(([value]) => (value === '' ? Promise.resolve(null) : countOf(value as Exclude<Value, ''>))),
  );
  return filterLinks(
    page,
    name,
    choices.map(([value, label], index) => ({ value, label, count: counts[index] ?? null })),
  );
}

export function textQuery(page: Page, name: string): string {
  const value = page.req.query[name];
  return typeof value === 'string' ? value.trim().slice(0, 190) : '';
}

/** A place in a list as it stands in the URL. */
export function placeText(values: readonly string[]): string {
  return format(values);
}

function format(values: readonly string[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

function parse(text: string): string[] | null {
  try {
    const values: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!Array.isArray(values) || values.length === 0 || values.length > 4) return null;
    return values.every((value) => typeof value === 'string' && value.length <= 200)
      ? (values as string[])
      : null;
  } catch {
    return null;
  }
}
