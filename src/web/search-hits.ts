import {
  invoicesNumbered,
  paymentsReferenced,
  routersNamed,
  sessionsWith,
  subscribersNamed,
} from '../db/search.ts';
import type { SubscriberFilter } from '../db/subscriber-drivers.ts';
import { subscriberPlaces } from '../db/subscriber-list.ts';
import { type SubscriberSummary, subscriberSummaries } from '../db/subscriber-list-rows.ts';
import { dayIn } from '../domain/day.ts';
import { formatMinor } from '../domain/money.ts';
import { type SearchTerms, searchTerms } from '../domain/search-terms.ts';
import type { Page } from './page.ts';

/** Something that was found, with the page where it is. */
export interface Hit {
  readonly href: string;
  readonly title: string;
  readonly detail: string;
  /** An access, where it has one. */
  readonly access: string | null;
  /** Named for certain, and not only the beginning of it. */
  readonly isExact: boolean;
}

export interface HitGroup {
  readonly label: string;
  readonly symbol: string;
  readonly hits: readonly Hit[];
  readonly isMore: boolean;
}

export interface Found {
  readonly groups: readonly HitGroup[];
  /** The one page that is meant, if it is one: the only hit, or the only exact one. */
  readonly only: string | null;
  readonly count: number;
}

/** What the text names, in groups of at most `limit`, as far as the person may see it. */
export async function findHits(page: Page, text: string, limit: number): Promise<Found> {
  const terms = searchTerms(text);
  if (terms.text === '') return { groups: [], only: null, count: 0 };
  const all = await Promise.all([
    page.may('subscriber.view') ? subscriberHits(page, terms, limit) : [],
    page.may('invoice.view') ? invoiceHits(page, terms) : [],
    page.may('payment.view') ? paymentHits(page, terms, limit) : [],
    page.may('session.view') ? sessionHits(page, terms, limit) : [],
    page.may('router.view') ? routerHits(page, terms, limit) : [],
  ]);
  const names = [
    ['Subscribers', 'people'],
    ['Invoices', 'receipt'],
    ['Payments', 'cash-coin'],
    ['Sessions', 'broadcast'],
    ['Routers', 'router'],
  ] as const;
  const groups = names.map(([label, symbol], index) => {
    const hits = all[index] ?? [];
    return { label, symbol, hits: hits.slice(0, limit), isMore: hits.length > limit };
  });
  const hits = groups.flatMap((group) => group.hits);
  const pages = new Set(hits.map((hit) => hit.href));
  const exact = new Set(hits.filter((hit) => hit.isExact).map((hit) => hit.href));
  const [only] = exact.size === 1 ? exact : pages.size === 1 ? pages : [];
  return { groups: groups.filter((group) => group.hits.length > 0), only: only ?? null, count: pages.size };
}

async function subscriberHits(page: Page, terms: SearchTerms, limit: number): Promise<Hit[]> {
  const { db } = page.app;
  const filter: SubscriberFilter = {
    state: null,
    prefixes: terms.prefixes,
    packageId: null,
    profileId: null,
    routerId: null,
    today: dayIn(page.settings.zone, page.now),
  };
  const [named, places, online] = await Promise.all([
    subscribersNamed(db, terms),
    terms.prefixes.length === 0 ? [] : subscriberPlaces(db, filter, { limit: limit + 1 }),
    terms.mac === null && terms.ipv4 === null && terms.ipv6 === null ? [] : sessionsWith(db, terms, limit),
  ]);
  // Whoever has the address or the device now is meant; who had it once is among the sessions.
  const holders = online.flatMap((session) =>
    session.isOpen && session.subscriberId !== null ? [session.subscriberId] : [],
  );
  const exact = new Set([...named, ...holders]);
  const ids = [...new Set([...exact, ...places.map((place) => place.id)])].slice(0, limit + 1);
  return (await subscriberSummaries(db, ids)).map((one) => ({
    href: `/subscribers/${one.id}`,
    title: one.name,
    detail: detailOf(one),
    access: one.access ?? (one.isEnded ? null : 'unknown'),
    isExact: exact.has(one.id),
  }));
}

function detailOf(one: SubscriberSummary): string {
  const more =
    one.loginCount > one.usernames.length ? ` and ${one.loginCount - one.usernames.length} more` : '';
  return [one.usernames.join(', ') + more, one.phone, one.isEnded ? 'ended' : one.packages.join(', ')]
    .filter((part) => part !== null && part !== '')
    .join(' · ');
}

async function invoiceHits(page: Page, terms: SearchTerms): Promise<Hit[]> {
  if (terms.invoice === null) return [];
  const found = await invoicesNumbered(page.app.db, terms.invoice, page.settings.invoiceSeries);
  return found.map((invoice) => ({
    href: `/invoices/${invoice.id}`,
    title: invoice.name,
    detail: `${invoice.subscriber} · ${amountOf(page, invoice.totalMinor)} · ${invoice.state.replace('_', ' ')}`,
    access: null,
    isExact: true,
  }));
}

async function paymentHits(page: Page, terms: SearchTerms, limit: number): Promise<Hit[]> {
  const { reference } = terms;
  if (reference === null || reference.length < 2) return [];
  const found = await paymentsReferenced(page.app.db, reference, limit + 1);
  return found.map((payment) => ({
    href: `/payments/${payment.id}`,
    title: `${payment.channel} ${payment.reference}`,
    detail: `${payment.subscriber} · ${amountOf(page, payment.amountMinor)} on ${payment.receivedOn}${payment.isReversed ? ' · reversed' : ''}`,
    access: null,
    isExact: payment.reference === reference,
  }));
}

async function sessionHits(page: Page, terms: SearchTerms, limit: number): Promise<Hit[]> {
  const found = await sessionsWith(page.app.db, terms, limit + 1);
  return found.map((session) => ({
    href: `/sessions/${session.id}`,
    title: `${session.username}, session ${session.sessionId}`,
    detail: [session.isOpen ? 'open' : 'ended', session.address, session.mac]
      .filter((part) => part !== '')
      .join(' · '),
    access: null,
    isExact: terms.reference !== null && session.sessionId === terms.reference && terms.mac === null,
  }));
}

async function routerHits(page: Page, terms: SearchTerms, limit: number): Promise<Hit[]> {
  const found = await routersNamed(page.app.db, terms, limit + 1);
  return found.map((router) => ({
    href: `/routers/${router.id}`,
    title: router.name,
    detail: router.address,
    access: null,
    isExact: terms.ipv4 !== null || terms.ipv6 !== null || router.name === terms.reference,
  }));
}

function amountOf(page: Page, minor: bigint): string {
  return `${formatMinor(minor, page.settings.exponent)} ${page.settings.currency}`;
}
