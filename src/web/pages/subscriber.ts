import { addDays, type Day, dayIn, startOfDay } from '../../domain/day.ts';
import { asId, type LoginId, type SubscriberId } from '../../domain/ids.ts';
import { groupedMinor } from '../../domain/money.ts';
import { balancesOf } from '../../db/ledger.ts';
import { activeDeferralsOf } from '../../db/deferrals.ts';
import { openInvoicesOf } from '../../db/invoices.ts';
import { type UsageDay, usageOf } from '../../db/subscriber-page.ts';
import { lastPaymentsOf } from '../../db/subscriber-view.ts';
import { subscriberById, type SubscriberRow } from '../../db/subscribers.ts';
import { timelineOf, timelineSources, type TimelineKey } from '../../db/timeline.ts';
import { notFound } from '../../errors.ts';
import { keysetOf, textQuery, withQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { loadAccess, type SubscriberAccess } from '../subscriber-view.ts';
import { timelineFilters, timelineLine } from '../timeline-view.ts';

export const subscriberRoutes: readonly Route[] = [
  { method: 'get', path: '/subscribers/:id', access: 'subscriber.view', handle: show },
  { method: 'get', path: '/subscribers/:id/live', access: 'subscriber.view', handle: showLive },
];

/** Entries of the timeline a page; each carries its evidence. */
const timelineSize = 20;
/** Logins whose sessions and packets stand in the timeline and the chart. */
const timelineLogins = 40;
const usageDays = 30;

export const subscribersCrumb = { label: 'Subscribers', href: '/subscribers' };

export async function subscriberOf(page: Page): Promise<SubscriberRow> {
  const id = String(page.req.params['id']);
  const subscriber = /^[1-9]\d{0,18}$/.test(id)
    ? await subscriberById(page.app.db, asId<SubscriberId>(id))
    : undefined;
  if (subscriber === undefined) throw notFound(`subscriber ${id.slice(0, 40)}`);
  return subscriber;
}

async function show(page: Page): Promise<void> {
  const subscriber = await subscriberOf(page);
  const access = await loadAccess(page, subscriber.id);
  const [money, usage, timeline] = await Promise.all([
    moneyOf(page, subscriber.id, access),
    usageChart(page, access),
    timelinePage(page, subscriber.id, access),
  ]);
  page.render('admin/subscriber/show', {
    title: subscriber.name,
    crumbs: [subscribersCrumb],
    subscriber,
    live: liveOf(subscriber.id, access, false),
    acts: actsOf(access),
    money,
    usage,
    timeline,
  });
}

/** The parts that change by themselves: access and sessions, so that a payment's effect is seen without a reload. */
async function showLive(page: Page): Promise<void> {
  const { id } = await subscriberOf(page);
  if (!page.wantsPart) {
    page.redirect(`/subscribers/${id}`);
    return;
  }
  const access = await loadAccess(page, id);
  page.renderPart('admin/subscriber/live', { live: liveOf(id, access, true) });
}

function liveOf(id: SubscriberId, { logins, moreLogins }: SubscriberAccess, isSwap: boolean) {
  return {
    id,
    logins,
    moreLogins,
    sessionCount: logins.reduce((sum, login) => sum + login.sessions.length, 0),
    isSwap,
  };
}

/** What can be done, by what there is. */
function actsOf(access: SubscriberAccess) {
  const living = access.subscriptions.filter((subscription) => subscription.state !== 'terminated');
  return {
    hasLiving: living.length > 0,
    isSuspended: access.suspensions.length > 0,
    logins: access.allLogins
      .filter((login) => !login.isRetired)
      .slice(0, timelineLogins)
      .map(({ id, username, macLock, openSessions }) => ({ id, username, macLock, openSessions })),
  };
}

async function moneyOf(page: Page, id: SubscriberId, access: SubscriberAccess) {
  const { db } = page.app;
  const today = dayIn(page.settings.zone, page.now);
  const [balances, invoices, payments, deferrals] = await Promise.all([
    balancesOf(db, [id], page.settings),
    openInvoicesOf(db, [id]),
    page.may('payment.view') ? lastPaymentsOf(db, id, 5) : null,
    activeDeferralsOf(
      db,
      access.subscriptions.map((subscription) => subscription.id),
      today,
    ),
  ]);
  const balance = balances.get(id);
  return {
    owedMinor: balance?.owedMinor ?? 0n,
    walletMinor: balance?.walletMinor ?? 0n,
    invoices: invoices.slice(0, 50).map((invoice) => ({
      id: invoice.id,
      name: `${invoice.series}-${invoice.number}`,
      openMinor: invoice.openMinor,
      totalMinor: invoice.totalMinor,
      dueOn: invoice.dueOn,
      isPart: invoice.openMinor !== invoice.totalMinor,
      isLate: invoice.dueOn < today,
    })),
    moreInvoices: Math.max(0, invoices.length - 50),
    payments,
    subscriptions: access.subscriptions.slice(0, 50),
    deferrals: deferrals.slice(0, 20).map((deferral) => ({
      ...deferral,
      word: deferral.source === 'promise' ? 'Promise to pay' : `Deferred (${deferral.source})`,
      until: deferral.source === 'promise' ? addDays(deferral.untilOn, -1) : deferral.untilOn,
    })),
  };
}

async function usageChart(page: Page, access: SubscriberAccess) {
  const { zone } = page.settings;
  const today = dayIn(zone, page.now);
  const first = addDays(today, 1 - usageDays);
  const names = access.allLogins.slice(0, timelineLogins).map((login) => login.username);
  const found = await usageOf(page.app.db, names, startOfDay(first, zone), zone);
  const byDay = new Map(found.map((one) => [one.day, one]));
  const days = Array.from({ length: usageDays }, (_, index): UsageDay => {
    const day: Day = addDays(first, index);
    return byDay.get(day) ?? { day, uploadBytes: 0n, downloadBytes: 0n };
  });
  const gibibytes = (bytes: bigint) => Math.round(Number(bytes) / 1_073_741.824) / 1000;
  return {
    isEmpty: found.length === 0,
    days: [...days].reverse(),
    chart: {
      x: days.map(({ day }) => Math.floor(startOfDay(day, zone).getTime() / 1000)),
      series: [
        { label: 'Download', values: days.map((one) => gibibytes(one.downloadBytes)) },
        { label: 'Upload', values: days.map((one) => gibibytes(one.uploadBytes)) },
      ],
      unit: 'GiB a day',
    },
  };
}

async function timelinePage(page: Page, subscriberId: SubscriberId, access: SubscriberAccess) {
  const before = cursorOf(page);
  const chosen = textQuery(page, 'show');
  // Payments are not everybody's business.
  const allowed = timelineSources.filter((source) => source !== 'money' || page.may('payment.view'));
  const only = timelineFilters[chosen]?.only ?? timelineSources;
  const entries = await timelineOf(
    page.app.db,
    {
      subscriberId,
      logins: access.allLogins
        .slice(0, timelineLogins)
        .map((login) => ({ id: asId<LoginId>(login.id), username: login.username })),
    },
    {
      limit: timelineSize + 1,
      only: only.filter((source) => allowed.includes(source)),
      ...(before === undefined ? {} : { before }),
    },
  );
  const last = entries[timelineSize - 1];
  const older =
    entries.length > timelineSize && last !== undefined
      ? Buffer.from(JSON.stringify([last.key.at, String(last.key.rank), last.key.id])).toString('base64url')
      : null;
  const format = (amount: bigint) => groupedMinor(amount, page.settings.exponent);
  return {
    lines: entries
      .slice(0, timelineSize)
      .map((entry) => timelineLine(entry, { format, isSeveral: access.allLogins.length > 1 })),
    older: older === null ? null : `${withQuery(page, { after: older, before: null })}#timeline`,
    newest: before === undefined ? null : `${withQuery(page, { after: null, before: null })}#timeline`,
    filters: [
      ['', 'All'] as const,
      ...Object.entries(timelineFilters).map(([value, { label }]) => [value, label] as const),
    ]
      .filter(([value]) => value !== 'money' || page.may('payment.view'))
      .map(([value, label]) => ({
        label,
        count: null,
        href: `${withQuery(page, { show: value, after: null, before: null })}#timeline`,
        isHere: chosen === value,
      })),
  };
}

/** A cursor that nobody made here is the first page. */
function cursorOf(page: Page): TimelineKey | undefined {
  const [at, rank, id] = keysetOf(page)?.values ?? [];
  if (at === undefined || !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})?$/.test(at)) return undefined;
  if (rank === undefined || !/^\d$/.test(rank) || id === undefined || !/^\d{1,20}$/.test(id))
    return undefined;
  return { at, rank: Number(rank), id };
}
