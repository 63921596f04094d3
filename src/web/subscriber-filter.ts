import { type SubscriberFilter, type SubscriberState, subscriberStates } from '../db/subscriber-drivers.ts';
import { subscriberPlaces } from '../db/subscriber-list.ts';
import { dayIn } from '../domain/day.ts';
import type { SubscriberId } from '../domain/ids.ts';
import { termPrefixes } from '../domain/search-terms.ts';
import type { Page } from './page.ts';

/** The filter of a list in the query of its address; what is not one is left out. */
export function subscriberFilter(page: Page, query: URLSearchParams): SubscriberFilter {
  const id = (name: string) => {
    const value = query.get(name) ?? '';
    return /^[1-9]\d{0,18}$/.test(value) ? value : null;
  };
  const state = subscriberStates.find((one) => one === query.get('state')) ?? null;
  return {
    state,
    prefixes: termPrefixes((query.get('text') ?? '').slice(0, 190)),
    packageId: id('package'),
    profileId: id('profile'),
    routerId: id('router'),
    today: dayIn(page.settings.zone, page.now),
  };
}

/** The query of this request, or of a list's address that a form carries. */
export function queryOf(page: Page): URLSearchParams {
  const text = page.req.originalUrl.split('?').slice(1).join('?');
  return new URLSearchParams(text);
}

/** The filter alone, without where its pages begin: what a link or a form carries on. */
export function filterQuery(query: URLSearchParams): string {
  const kept = new URLSearchParams();
  for (const name of ['state', 'text', 'package', 'profile', 'router']) {
    const value = (query.get(name) ?? '').slice(0, 190);
    if (value !== '') kept.set(name, value);
  }
  return kept.toString();
}

export const stateLabels: Record<SubscriberState, string> = {
  full: 'Full',
  throttled: 'Throttled',
  walled_garden: 'Walled garden',
  denied: 'Denied',
  overdue: 'Overdue',
  hold: 'On hold',
  online: 'Online',
};

/** All subscribers of a filter, some at a time, so that a million of them need no memory. */
export async function* idsOf(
  page: Page,
  filter: SubscriberFilter,
  size: number,
): AsyncGenerator<SubscriberId[]> {
  let after: readonly string[] | undefined;
  for (;;) {
    const places = await subscriberPlaces(page.app.db, filter, {
      limit: size,
      ...(after === undefined ? {} : { after }),
    });
    if (places.length > 0) yield places.map((place) => place.id);
    after = places.at(-1)?.keys;
    if (places.length < size || after === undefined) return;
  }
}
