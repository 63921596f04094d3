import { routerChoices } from '../../db/routers.ts';
import { everyRow } from '../../db/keyset.ts';
import { type EndedFilter, endedSessionIds } from '../../db/session-list.ts';
import { type SessionRow, sessionRows, sessionsWithAddress } from '../../db/session-rows.ts';
import { addDays, parseDay, startOfDay } from '../../domain/day.ts';
import { parseMac } from '../../domain/mac.ts';
import { heldAt, type Holding, instantsOf, parseHeldAddress } from '../../domain/who-had.ts';
import { sendCsv } from '../csv.ts';
import type { FieldErrors } from '../form.ts';
import { keysetOf, listSize, paged, textQuery, withQuery } from '../list.ts';
import type { Page } from '../page.ts';
import type { Route } from '../route.ts';
import { sessionColumns, sessionLine, sessionView } from '../session-view.ts';

/** Registered before /sessions/:id, which would take these for numbers. */
export const sessionHistoryRoutes: readonly Route[] = [
  { method: 'get', path: '/sessions/history', access: 'session.view', handle: showHistory },
  { method: 'get', path: '/sessions/history.csv', access: 'session.view', handle: sendHistory },
  { method: 'get', path: '/sessions/who-had', access: 'session.view', handle: showWhoHad },
  { method: 'get', path: '/sessions/who-had.csv', access: 'session.view', handle: sendWhoHad },
];

const crumbs = [{ label: 'Sessions', href: '/sessions' }];

async function showHistory(page: Page): Promise<void> {
  const { db } = page.app;
  const { filter, values, errors } = historyFilter(page);
  const place = keysetOf(page);
  const ids = errors === null ? await endedSessionIds(db, filter, place, listSize + 1) : [];
  const { rows, pager } = paged(page, ids, place, (row) => [row.stoppedText, row.id]);
  const sessions = (
    await sessionRows(
      db,
      rows.map((row) => row.id),
    )
  ).map(sessionView);
  page.render(
    'admin/sessions/history',
    {
      title: 'Ended sessions',
      crumbs,
      values,
      ...(errors === null ? {} : { errors }),
      sessions,
      pager,
      routers: await routerChoices(db),
      csv: withQuery(page, { after: null, before: null }).replace('/history', '/history.csv'),
    },
    errors === null ? 200 : 400,
  );
}

async function sendHistory(page: Page): Promise<void> {
  const { filter, errors } = historyFilter(page);
  if (errors !== null) {
    await showHistory(page);
    return;
  }
  const { db } = page.app;
  const rows = everyRow(
    (place, limit) => endedSessionIds(db, filter, place, limit),
    (row) => [row.stoppedText, row.id],
  );
  await sendCsv(page, 'ended-sessions', sessionColumns, linesOf(page, rows));
}

async function* linesOf(page: Page, rows: AsyncIterable<{ id: SessionRow['id'] }>): AsyncGenerator<string[]> {
  let batch: SessionRow['id'][] = [];
  for await (const row of rows) {
    batch.push(row.id);
    if (batch.length < 500) continue;
    for (const one of await sessionRows(page.app.db, batch)) yield sessionLine(sessionView(one));
    batch = [];
  }
  for (const one of await sessionRows(page.app.db, batch)) yield sessionLine(sessionView(one));
}

function historyFilter(page: Page) {
  const values = {
    username: textQuery(page, 'username'),
    mac: textQuery(page, 'mac'),
    router: textQuery(page, 'router'),
    day: textQuery(page, 'day'),
  };
  const errors: FieldErrors = {};
  const filter: { -readonly [Name in keyof EndedFilter]: EndedFilter[Name] } = {};
  if (values.username !== '') filter.username = values.username.toLowerCase();
  if (/^[1-9]\d{0,18}$/.test(values.router)) filter.routerId = values.router;
  if (values.mac !== '') read(errors, 'mac', () => (filter.mac = parseMac(values.mac)));
  if (values.day !== '') {
    read(errors, 'day', () => {
      const day = parseDay(values.day);
      filter.from = startOfDay(day, page.settings.zone);
      filter.until = startOfDay(addDays(day, 1), page.settings.zone);
    });
  }
  return { filter: filter as EndedFilter, values, errors: Object.keys(errors).length === 0 ? null : errors };
}

function read(errors: FieldErrors, field: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    errors[field] = error.message;
  }
}

async function showWhoHad(page: Page): Promise<void> {
  const asked = whoHadInput(page);
  const answers = asked.errors === null ? await whoHad(page, asked) : [];
  page.render(
    'admin/sessions/who-had',
    {
      title: 'Who had an address',
      crumbs,
      values: asked.values,
      ...(asked.errors === null ? {} : { errors: asked.errors }),
      zone: page.settings.zone,
      isAsked: asked.isAsked && asked.errors === null,
      isTwice: asked.instants.length > 1,
      answers,
      csv: withQuery(page, {}).replace('/who-had', '/who-had.csv'),
    },
    asked.errors === null ? 200 : 400,
  );
}

async function sendWhoHad(page: Page): Promise<void> {
  const asked = whoHadInput(page);
  if (!asked.isAsked || asked.errors !== null) {
    await showWhoHad(page);
    return;
  }
  const answers = await whoHad(page, asked);
  const rows = answers.flatMap((answer) =>
    answer.holders.map((holder) => [answer.at.toISOString(), holder.holding, ...sessionLine(holder.session)]),
  );
  await sendCsv(page, 'who-had', ['asked_utc', 'sureness', ...sessionColumns], asAsync(rows));
}

// eslint-disable-next-line @typescript-eslint/require-await -- a list as the stream that sendCsv() takes.
async function* asAsync<T>(rows: readonly T[]): AsyncGenerator<T> {
  yield* rows;
}

interface Asked {
  readonly values: { address: string; at: string };
  readonly isAsked: boolean;
  readonly instants: readonly Date[];
  readonly errors: FieldErrors | null;
}

function whoHadInput(page: Page): Asked {
  const values = { address: textQuery(page, 'address'), at: textQuery(page, 'at') };
  if (values.address === '' && values.at === '')
    return { values, isAsked: false, instants: [], errors: null };
  const errors: FieldErrors = {};
  read(errors, 'address', () => parseHeldAddress(values.address));
  let instants: readonly Date[] = [];
  read(errors, 'at', () => {
    instants = instantsOf(values.at, page.settings.zone);
    if (instants.length === 0)
      throw new RangeError('this time did not exist that day: clocks were set forward');
  });
  return { values, isAsked: true, instants, errors: Object.keys(errors).length === 0 ? null : errors };
}

interface Answer {
  readonly at: Date;
  readonly holders: readonly { holding: Exclude<Holding, 'no'>; session: ReturnType<typeof sessionView> }[];
}

/** Each instant that was meant, with those who had the address then, the certain ones first. */
async function whoHad(page: Page, asked: Asked): Promise<Answer[]> {
  const { db } = page.app;
  const answers: Answer[] = [];
  for (const at of asked.instants) {
    const spans = await sessionsWithAddress(db, parseHeldAddress(asked.values.address), at);
    const held = spans
      .map((span) => ({ id: span.id, holding: heldAt(span, at) }))
      .filter((one): one is { id: SessionRow['id']; holding: 'certain' | 'perhaps' } => one.holding !== 'no');
    const rows = new Map(
      (
        await sessionRows(
          db,
          held.map((one) => one.id),
        )
      ).map((row) => [row.id, row]),
    );
    const holders = held.flatMap(({ id, holding }) => {
      const row = rows.get(id);
      return row === undefined ? [] : [{ holding, session: sessionView(row) }];
    });
    answers.push({ at, holders: holders.sort((a, b) => a.holding.localeCompare(b.holding)) });
  }
  return answers;
}
