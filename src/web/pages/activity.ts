import {
  activityChoices,
  type ActivityFilter,
  activityPage,
  activityPlace,
  type ActivityRow,
  lastActivitySeal,
} from '../../db/activity-view.ts';
import { everyRow } from '../../db/keyset.ts';
import { liveRouterIdByName } from '../../db/packages.ts';
import { readSchedule } from '../../db/schedule.ts';
import { subscriberNames } from '../../db/subscriber-pick.ts';
import { addDays, startOfDay } from '../../domain/day.ts';
import { sendCsv } from '../csv.ts';
import { keysetOf, listSize, paged, textQuery, withQuery } from '../list.ts';
import type { Page } from '../page.ts';
import { dayQuery, subscribersQuery } from '../params.ts';
import type { Route } from '../route.ts';
import { actorText } from '../run-words.ts';

export const activityRoutes: readonly Route[] = [
  { method: 'get', path: '/activity', access: 'activity.view', handle: showList },
  { method: 'get', path: '/activity.csv', access: 'activity.view', handle: sendList },
];

async function showList(page: Page): Promise<void> {
  const { db } = page.app;
  const notes: string[] = [];
  const filter = await filterOf(page, notes);
  const keyset = keysetOf(page);
  const found = filter === null ? [] : await activityPage(db, filter, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, activityPlace);
  const names = await subscriberNames(
    db,
    rows.flatMap((row) => row.subscriberId ?? []),
  );
  const { verbs, actors } = await activityChoices(db);
  page.render('admin/activity/list', {
    title: 'Activity log',
    notes,
    typed: {
      actor: textQuery(page, 'actor'),
      verb: textQuery(page, 'verb'),
      subscriber: textQuery(page, 'subscriber'),
      router: textQuery(page, 'router'),
      day: textQuery(page, 'day'),
      correlation: textQuery(page, 'correlation'),
    },
    verbs: verbs.map((verb) => ({ value: verb, label: verbText(verb) })),
    actors,
    seal: await sealOf(page),
    isNarrowed: Object.keys(page.req.query).length > 0,
    csv: withQuery(page, { after: null, before: null }).replace('/activity', '/activity.csv'),
    activities: rows.map((row) => ({
      ...row,
      actor: actorText(row.actor),
      what: verbText(row.verb),
      subject: subjectOf(row),
      subscriberName: row.subscriberId === null ? '' : (names.get(row.subscriberId) ?? ''),
      pretty: pretty(row.diff),
      sameHref: `/activity?${new URLSearchParams({ correlation: row.correlationId }).toString()}`,
    })),
    pager,
  });
}

async function sendList(page: Page): Promise<void> {
  const filter = await filterOf(page, []);
  const rows = everyRow(
    async (place, limit) => (filter === null ? [] : activityPage(page.app.db, filter, place, limit)),
    activityPlace,
  );
  const columns = [
    'id',
    'at',
    'actor',
    'on_behalf_of',
    'verb',
    'subject',
    'subscriber_id',
    'login_id',
    'router_id',
    'correlation_id',
    'outcome',
    'diff',
  ];
  async function* lines() {
    for await (const row of rows) {
      yield [
        row.id,
        row.at.toISOString(),
        row.actor,
        row.onBehalfOf ?? '',
        row.verb,
        `${row.subjectKind}${row.subjectId === null ? '' : `:${row.subjectId}`}`,
        row.subscriberId ?? '',
        row.loginId ?? '',
        row.routerId ?? '',
        row.correlationId,
        row.outcome,
        row.diff,
      ];
    }
  }
  await sendCsv(page, 'activity', columns, lines());
}

/** Null where the subscriber or router asked for is none. */
async function filterOf(page: Page, notes: string[]): Promise<ActivityFilter | null> {
  const { zone } = page.settings;
  const day = dayQuery(page, 'day', notes);
  const [actor, verb, correlationId] = ['actor', 'verb', 'correlation'].map((name) => textQuery(page, name));
  const subscribers = await subscribersQuery(page, 'subscriber', notes);
  const [subscriberId, another] = subscribers ?? [];
  if (subscribers !== undefined && subscriberId === undefined) return null;
  if (another !== undefined)
    notes.push('Several subscribers begin so; one of them is shown. Give the number to be sure.');
  const routerId = await routerQuery(page);
  if (routerId === null) return null;
  return {
    ...(actor === undefined || actor === '' ? {} : { actor }),
    ...(verb === undefined || verb === '' ? {} : { verb }),
    ...(correlationId === undefined || correlationId === '' ? {} : { correlationId }),
    ...(subscriberId === undefined ? {} : { subscriberId }),
    ...(routerId === undefined ? {} : { routerId }),
    ...(day === undefined ? {} : { from: startOfDay(day, zone), before: startOfDay(addDays(day, 1), zone) }),
  };
}

async function routerQuery(page: Page): Promise<string | null | undefined> {
  const text = textQuery(page, 'router');
  if (text === '') return undefined;
  if (/^[1-9]\d{0,17}$/.test(text)) return text;
  return (await liveRouterIdByName(page.app.db, text)) ?? null;
}

/** What the last look at the seals found: the daily job writes it down. */
async function sealOf(page: Page) {
  const [last, jobs] = await Promise.all([lastActivitySeal(page.app.db), readSchedule(page.app.db)]);
  const job = jobs.find((row) => row.name === 'seal-activity');
  const outcome = job?.lastOutcome ?? '';
  return {
    isHolding: outcome.startsWith('sealed'),
    isBroken: outcome.startsWith('rows of'),
    outcome,
    checkedAt: job?.lastFinishedAt ?? null,
    lastDay: last?.day ?? null,
  };
}

/** `overdue_run.roll_back` as `overdue run: roll back`. */
function verbText(verb: string): string {
  return verb.replaceAll('_', ' ').replace('.', ': ');
}

const pages: Record<string, (id: string) => string> = {
  subscriber: (id) => `/subscribers/${id}`,
  invoice: (id) => `/invoices/${id}`,
  payment: (id) => `/payments/${id}`,
  router: (id) => `/routers/${id}`,
  overdue_run: (id) => `/runs/${id}`,
  invoice_run: (id) => `/invoice-runs/${id}`,
  ipv4_pool: (id) => `/pools/${id}`,
  session: (id) => `/sessions/${id}`,
};

function subjectOf(row: ActivityRow): { label: string; href: string | null } {
  const kind = row.subjectKind.replaceAll('_', ' ');
  if (row.subjectId === null) return { label: kind, href: null };
  return { label: `${kind} ${row.subjectId}`, href: pages[row.subjectKind]?.(row.subjectId) ?? null };
}

function pretty(diff: string): string {
  try {
    const value: unknown = JSON.parse(diff);
    return typeof value === 'object' && value !== null && Object.keys(value).length === 0
      ? ''
      : JSON.stringify(value, null, 2);
  } catch {
    return diff;
  }
}
