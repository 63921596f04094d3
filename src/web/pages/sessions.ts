import { latestFigures, type Point } from '../../db/figures.ts';
import { routerChoices } from '../../db/routers.ts';
import {
  openSessionIds,
  searchOpenSessions,
  type OpenFilter,
  type SessionIds,
} from '../../db/session-list.ts';
import { packetsOfSession, sessionRows } from '../../db/session-rows.ts';
import type { AccessKind } from '../../domain/access-types.ts';
import { asId, type SessionId } from '../../domain/ids.ts';
import { sessionSearch } from '../../domain/who-had.ts';
import { notFound } from '../../errors.ts';
import { kickSession } from '../../network/kick-session.ts';
import { sendCsv } from '../csv.ts';
import { listOf, tryForm, typed } from '../form.ts';
import { filterLinks, keysetOf, listSize, placeText, textQuery, withQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { packetView, sessionColumns, sessionLine, sessionView } from '../session-view.ts';

export const sessionRoutes: readonly Route[] = [
  { method: 'get', path: '/sessions', access: 'session.view', handle: showLive },
  { method: 'get', path: '/sessions.csv', access: 'session.view', handle: sendLive },
  { method: 'post', path: '/sessions/kick', access: 'session.kick', handle: doKick },
  { method: 'get', path: '/sessions/:id', access: 'session.view', handle: showOne },
];

const crumbs = [{ label: 'Sessions', href: '/sessions' }];
const accessKinds: readonly AccessKind[] = ['full', 'throttled', 'walled_garden', 'denied'];
const packetsShown = 50;
const sampleMaxAgeMs = 5 * 60_000;

async function showLive(page: Page): Promise<void> {
  const { db } = page.app;
  const found = await liveIds(page, keysetOf(page), listSize);
  const sessions = (await sessionRows(db, found.ids)).map(sessionView);
  const data = {
    title: 'Sessions',
    sessions,
    isCut: found.isCut,
    isSearch: textQuery(page, 'q') !== '',
    live: withQuery(page, {}),
    pager: {
      previous: null,
      next: found.next === null ? null : withQuery(page, { after: placeText(found.next), before: null }),
    },
    first: keysetOf(page) === null ? null : withQuery(page, { after: null, before: null }),
    text: textQuery(page, 'q'),
  };
  if (page.wantsPart) {
    page.renderPart('admin/sessions/live', data);
    return;
  }
  page.render('admin/sessions/list', {
    ...data,
    filters: await linksOf(page),
    access: textQuery(page, 'access'),
    routers: await routerChoices(db),
    router: textQuery(page, 'router'),
    csv: withQuery(page, { after: null, before: null }).replace('/sessions', '/sessions.csv'),
  });
}

/** Counted by a job each minute; without another filter only, since within one nobody has counted. */
async function linksOf(page: Page) {
  const isPlain = textQuery(page, 'q') === '' && textQuery(page, 'router') === '';
  const kinds = ['throttled', 'walled_garden', 'denied'].map((kind) => `sessions.${kind}`);
  const notBefore = new Date(page.now.getTime() - sampleMaxAgeMs);
  const found = isPlain ? await latestFigures(page.app.db, ['online', ...kinds], notBefore) : new Map();
  const count = (kind: string) => {
    const point = found.get(kind) as Point | undefined;
    return point === undefined ? null : Number(point.value);
  };
  return filterLinks(page, 'access', [
    { value: '', label: 'All', count: count('online') },
    { value: 'full', label: 'Full', count: null },
    { value: 'throttled', label: 'Throttled', count: count('sessions.throttled') },
    { value: 'walled_garden', label: 'Walled garden', count: count('sessions.walled_garden') },
    { value: 'denied', label: 'Denied', count: count('sessions.denied') },
    { value: 'stale', label: 'Not heard of', count: null },
  ]);
}

function filterOf(page: Page): OpenFilter {
  const router = textQuery(page, 'router');
  const access = textQuery(page, 'access');
  return {
    ...(/^[1-9]\d{0,18}$/.test(router) ? { routerId: router } : {}),
    ...(accessKinds.includes(access as AccessKind) ? { access: access as AccessKind } : {}),
    ...(access === 'stale' ? { isStale: true } : {}),
  };
}

function liveIds(page: Page, place: ReturnType<typeof keysetOf>, limit: number): Promise<SessionIds> {
  const text = textQuery(page, 'q');
  if (text !== '') return searchOpenSessions(page.app.db, sessionSearch(text), limit);
  return openSessionIds(page.app.db, filterOf(page), place, { limit, now: page.now });
}

async function sendLive(page: Page): Promise<void> {
  await sendCsv(page, 'sessions', sessionColumns, lines(page));
}

/** All pages of the list one after the other, so that a million sessions need no memory. */
async function* lines(page: Page): AsyncGenerator<readonly string[]> {
  let place: { direction: 'after'; values: readonly string[] } | null = null;
  for (;;) {
    const found: SessionIds = await liveIds(page, place, 500);
    for (const row of await sessionRows(page.app.db, found.ids)) yield sessionLine(sessionView(row));
    if (found.next === null) return;
    place = { direction: 'after', values: found.next };
  }
}

async function showOne(page: Page): Promise<void> {
  const session = await sessionOf(page);
  page.render('admin/sessions/show', {
    title: `Session of ${session.username === '' ? 'nobody' : session.username}`,
    crumbs,
    session,
    packets: (await packetsOfSession(page.app.db, session.id, packetsShown)).map(packetView),
  });
}

async function sessionOf(page: Page) {
  const id = String(page.req.params['id']);
  const [row] = /^[1-9]\d{0,18}$/.test(id) ? await sessionRows(page.app.db, [asId<SessionId>(id)]) : [];
  if (row === undefined) throw notFound(`session ${id}`);
  return sessionView(row);
}

/** First the sessions by name and a note, then, confirmed, the end of them. */
async function doKick(page: Page): Promise<void> {
  const form = typed(page.req.body);
  const ids = listOf(page.req.body, 'session').filter((id) => /^[1-9]\d{0,18}$/.test(id));
  if (ids.length === 0) {
    page.redirect('/sessions', { kind: 'warning', text: 'No session was ticked, so nothing was ended.' });
    return;
  }
  const sessions = (
    await sessionRows(
      page.app.db,
      ids.slice(0, 100).map((id) => asId<SessionId>(id)),
    )
  ).map(sessionView);
  const open = sessions.filter((session) => session.isOpen);
  const confirm = {
    title: open.length === 1 ? 'End one session' : `End ${open.length} sessions`,
    crumbs,
    sessions: open,
    endedCount: sessions.length - open.length,
    values: { note: form['note'] ?? '' },
  };
  if (form['confirmed'] !== 'yes') {
    page.render('admin/sessions/kick', confirm);
    return;
  }
  const kicked = await tryForm(() => kickSession(page.ctx, { sessionIds: ids, note: form['note'] ?? '' }));
  if (!kicked.ok) {
    page.render('admin/sessions/kick', { ...confirm, errors: kicked.errors }, 400);
    return;
  }
  const result = kicked.value;
  const back = ids.length === 1 ? `/sessions/${ids[0] ?? ''}` : '/sessions';
  page.redirect(
    back,
    result.ok
      ? {
          kind: 'success',
          text: `${result.sessions.length === 1 ? 'One session is' : `${result.sessions.length} sessions are`} being ended: a Disconnect goes to the router now.`,
        }
      : { kind: 'warning', text: kickRefused[result.reason] },
  );
}

const kickRefused = {
  no_open_session: 'Nothing was ended: it is over already.',
  no_router: 'Nothing was ended: accounting names no router of ours, so nobody can be told.',
} as const;
