import { listBillingProfiles, listPackages } from '../../db/packages.ts';
import { type SubscriberFilter, subscriberStates } from '../../db/subscriber-drivers.ts';
import type { App } from '../../app.ts';
import { countSubscribers, subscriberPlacesWithin } from '../../db/subscriber-list.ts';
import { routerChoices, type SubscriberSummary, subscriberSummaries } from '../../db/subscriber-list-rows.ts';
import { formatMinor } from '../../domain/money.ts';
import { sendCsv } from '../csv.ts';
import {
  filterLinks,
  type Keyset,
  keysetOf,
  listSize,
  paged,
  type Pager,
  placeText,
  textQuery,
  withQuery,
} from '../list.ts';
import type { Page } from '../page.ts';
import { reasonWords } from '../reason-words.ts';
import type { Route } from '../route.ts';
import { filterQuery, idsOf, queryOf, stateLabels, subscriberFilter } from '../subscriber-filter.ts';

export const subscriberListRoutes: readonly Route[] = [
  { method: 'get', path: '/subscribers', access: 'subscriber.view', handle: showList },
  { method: 'get', path: '/subscribers.csv', access: 'subscriber.view', handle: sendList },
];

/** Counting a filter's subscribers stops here: eight of them are counted for one page. */
const countTo = 1000;
/** Rows of the leading index that one page looks at where several filters are on; the next page goes on. */
const lookedAt = 3000;

async function showList(page: Page): Promise<void> {
  const { db } = page.app;
  const query = queryOf(page);
  const filter = subscriberFilter(page, query);
  const keyset = keysetOf(page);
  const { places: found, cutAt } = await subscriberPlacesWithin(
    db,
    filter,
    { ...(keyset === null ? {} : { [keyset.direction]: keyset.values }), limit: listSize + 1 },
    lookedAt,
  );
  const { rows: places, pager } = paged(page, found, keyset, (place) => place.keys);
  const summaries = await subscriberSummaries(
    db,
    places.map((place) => place.id),
  );
  const carried = filterQuery(query);
  const data = {
    title: 'Subscribers',
    subscribers: summaries.map(viewOf),
    pager: cutAt === null ? pager : { ...pager, ...goingOn(page, keyset, cutAt) },
    isCut: cutAt !== null,
    carried,
    csv: `/subscribers.csv${carried === '' ? '' : `?${carried}`}`,
    acts: actsOf(page),
  };
  if (page.wantsPart) {
    page.renderPart('admin/subscriber-list/table', data);
    return;
  }
  page.render('admin/subscriber-list/list', {
    ...data,
    filters: await linksOf(page, filter),
    text: textQuery(page, 'text'),
    stateHere: filter.state ?? '',
    choices: await choicesOf(page, filter),
  });
}

/** The link that goes on where looking ended, in the way in which the page was asked for. */
function goingOn(page: Page, keyset: Keyset | null, cutAt: readonly string[]): Partial<Pager> {
  const direction = keyset?.direction ?? 'after';
  const href = withQuery(page, { after: null, before: null, [direction]: placeText(cutAt) });
  return direction === 'after' ? { next: href } : { previous: href };
}

function viewOf(one: SubscriberSummary) {
  return {
    ...one,
    more: one.loginCount - one.usernames.length,
    packages: one.packages.join(', '),
    isOwing: one.owesMinor > 0n,
    access: one.isEnded ? null : (one.access ?? 'unknown'),
    reason: one.access === 'full' ? '' : reasonWords(one.reason),
    isOnline: one.openSessions > 0,
  };
}

/** What can be done with many at once, as far as the person may. */
function actsOf(page: Page): { value: string; label: string }[] {
  return [
    ...(page.may('subscriber.hold')
      ? [
          { value: 'hold', label: 'Hold' },
          { value: 'lift', label: 'Lift holds' },
        ]
      : []),
    ...(page.may('session.kick') ? [{ value: 'kick', label: 'Kick sessions' }] : []),
    ...(page.may('subscriber.edit')
      ? [
          { value: 'change_package', label: 'Change package' },
          { value: 'reconcile', label: 'Check again (reconcile)' },
        ]
      : []),
  ];
}

const keptCounts = new WeakMap<App, { at: number; counts: readonly number[] }>();
/** Where there are thousands, a count may be so old. */
const keptMs = 5000;

/** How many there are of each state. Each is counted to a thousand, which on a big installation is most of the page's work. */
async function plainCounts(page: Page, filter: SubscriberFilter): Promise<readonly number[]> {
  const kept = keptCounts.get(page.app);
  if (kept !== undefined && performance.now() - kept.at < keptMs) return kept.counts;
  const counts = await Promise.all(
    [null, ...subscriberStates].map((state) =>
      countSubscribers(page.app.db, { ...filter, state }, countTo + 1),
    ),
  );
  if (counts.some((count) => count > countTo)) keptCounts.set(page.app, { at: performance.now(), counts });
  return counts;
}

async function linksOf(page: Page, filter: SubscriberFilter) {
  const isPlain =
    filter.prefixes.length === 0 &&
    filter.packageId === null &&
    filter.profileId === null &&
    filter.routerId === null;
  // Within another filter a count would look every row of its list up, so there is none.
  const states = [null, ...subscriberStates];
  const counts = isPlain ? await plainCounts(page, filter) : [];
  const links = filterLinks(
    page,
    'state',
    states.map((state, index) => ({
      value: state ?? '',
      label: state === null ? 'All' : stateLabels[state],
      count: counts[index] ?? null,
    })),
  );
  return links.map((link) => ({
    ...link,
    count: link.count === null ? null : Math.min(link.count, countTo),
    isMore: link.count !== null && link.count > countTo,
  }));
}

async function choicesOf(page: Page, filter: SubscriberFilter) {
  const { db } = page.app;
  const [packages, profiles, routers] = await Promise.all([
    listPackages(db),
    listBillingProfiles(db),
    routerChoices(db),
  ]);
  const choice = (chosen: string | null) => (one: { id: string; name: string }) => ({
    id: one.id,
    name: one.name,
    isChosen: one.id === chosen,
  });
  return {
    packages: packages.map(choice(filter.packageId)),
    profiles: profiles.map(choice(filter.profileId)),
    routers: routers.map(choice(filter.routerId)),
  };
}

const columns = [
  'subscriber',
  'name',
  'phone',
  'usernames',
  'packages',
  'access',
  'reason',
  'owes',
  'oldest_due_on',
  'open_sessions',
];

/** Everybody of the filter, however many: read and sent five hundred at a time. */
async function sendList(page: Page): Promise<void> {
  const filter = subscriberFilter(page, queryOf(page));
  await sendCsv(page, 'subscribers', columns, rowsOf(page, filter));
}

async function* rowsOf(page: Page, filter: SubscriberFilter): AsyncGenerator<string[]> {
  for await (const ids of idsOf(page, filter, 500)) {
    for (const one of await subscriberSummaries(page.app.db, ids)) {
      yield [
        one.id,
        one.name,
        one.phone ?? '',
        one.usernames.join(' '),
        one.packages.join(', '),
        one.access ?? '',
        one.reason ?? '',
        formatMinor(one.owesMinor, page.settings.exponent),
        one.oldestDueOn ?? '',
        String(one.openSessions),
      ];
    }
  }
}
