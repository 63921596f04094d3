import { checkLedger } from '../../billing/ledger-check.ts';
import { everyRow } from '../../db/keyset.ts';
import { latestLedgerCheck } from '../../db/ledger-check.ts';
import { accountsOfSubscriber, type EntryFilter, entryPage, entryPlace } from '../../db/ledger-view.ts';
import { lastSealed, shownHouseBalances } from '../../db/rollups.ts';
import { readSchedule } from '../../db/schedule.ts';
import { subscriberNames } from '../../db/subscriber-pick.ts';
import { entryKinds } from '../../domain/chart-of-accounts.ts';
import { addDays, startOfDay } from '../../domain/day.ts';
import { formatMinor } from '../../domain/money.ts';
import { isInBackground, runInBackground } from '../background.ts';
import { sendCsv } from '../csv.ts';
import { keysetOf, listSize, paged, textQuery, withQuery } from '../list.ts';
import { accountTitle, balanceView, entryRow, findingRow, houseRow } from '../ledger-view.ts';
import { entryKindText } from '../money-words.ts';
import type { Page } from '../page.ts';
import { dayQuery, subscribersQuery } from '../params.ts';
import type { Route } from '../route.ts';
import { ledgerDocumentRoutes } from './ledger-document.ts';

export const ledgerRoutes: readonly Route[] = [
  { method: 'get', path: '/ledger', access: 'ledger.view', handle: showLedger },
  { method: 'get', path: '/ledger/check', access: 'ledger.view', handle: showCheck },
  { method: 'post', path: '/ledger/check', access: 'ledger.check', handle: doCheck },
  { method: 'get', path: '/ledger/entries', access: 'ledger.view', handle: showEntries },
  { method: 'get', path: '/ledger/entries.csv', access: 'ledger.view', handle: sendEntries },
  ...ledgerDocumentRoutes,
];

const work = 'check-ledger';

async function showLedger(page: Page): Promise<void> {
  const { db } = page.app;
  const [{ balances, countedAt }, sealed, check] = await Promise.all([
    shownHouseBalances(db, page.now),
    lastSealed(db),
    checkOf(page),
  ]);
  const { currency } = page.settings;
  // Every entry sums to zero, so what house accounts hold is what all others hold, on the other side.
  const othersMinor = -balances
    .filter((balance) => balance.currency === currency)
    .reduce((sum, balance) => sum + balance.balanceMinor, 0n);
  page.render('admin/ledger/show', {
    title: 'Ledger',
    accounts: balances.map(houseRow),
    othersMinor,
    countedAt,
    sealedDay: sealed?.day ?? null,
    ...check,
  });
}

/** The last verdict, and whether one is being found now: by this process, or by the timetable. */
async function checkOf(page: Page) {
  const check = await latestLedgerCheck(page.app.db);
  const job = (await readSchedule(page.app.db)).find((row) => row.name === 'check-ledger');
  return {
    check:
      check === undefined
        ? null
        : { ...check, isOk: check.verdict === 'ok', findings: check.findings.map(findingRow) },
    isChecking: isInBackground(page.app, work) || job?.isRunning === true,
    nextCheckAt: job?.nextDueAt ?? null,
  };
}

async function showCheck(page: Page): Promise<void> {
  if (!page.wantsPart) {
    page.redirect('/ledger');
    return;
  }
  page.renderPart('admin/ledger/check', { ...(await checkOf(page)) });
}

/** It reads the whole ledger, which takes its time: the page does not wait for it. */
function doCheck(page: Page): void {
  const isBegun = runInBackground(page.app, work, () => checkLedger(page.ctx));
  page.redirect('/ledger', {
    kind: 'success',
    text: isBegun ? 'The check has begun; its verdict appears here.' : 'A check is under way already.',
  });
}

async function showEntries(page: Page): Promise<void> {
  const { db } = page.app;
  const notes: string[] = [];
  const filter = await filterOf(page, notes);
  const keyset = keysetOf(page);
  const found = filter === null ? [] : await entryPage(db, filter, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, entryPlace);
  const names = await subscriberNames(
    db,
    rows.flatMap((row) => row.subscriberId ?? []),
  );
  const subscriberId = filter?.subscriberId;
  const accounts = subscriberId === undefined ? [] : await accountsOfSubscriber(db, subscriberId);
  const accountNames = subscriberId === undefined ? names : await subscriberNames(db, [subscriberId]);
  page.render('admin/ledger/entries', {
    title: 'Ledger entries',
    crumbs: [{ label: 'Ledger', href: '/ledger' }],
    notes,
    typed: {
      kind: textQuery(page, 'kind'),
      day: textQuery(page, 'day'),
      subscriber: textQuery(page, 'subscriber'),
    },
    kinds: entryKinds.map((kind) => ({ value: kind, label: entryKindText(kind) })),
    accounts: accounts.map((account) => ({
      id: account.id,
      title: accountTitle(account, accountNames),
      ...balanceView(account.code, account.balanceMinor ?? 0n),
    })),
    csv: withQuery(page, { after: null, before: null }).replace('/entries', '/entries.csv'),
    entries: rows.map((row) => entryRow(row, names)),
    isNarrowed: Object.keys(page.req.query).length > 0,
    pager,
  });
}

async function sendEntries(page: Page): Promise<void> {
  const filter = await filterOf(page, []);
  const rows = everyRow(
    async (place, limit) => (filter === null ? [] : entryPage(page.app.db, filter, place, limit)),
    entryPlace,
  );
  const columns = [
    'entry',
    'kind',
    'effective_on',
    'posted_at',
    'subscriber_id',
    'amount',
    'actor',
    'memo',
    'key',
  ];
  async function* lines() {
    for await (const row of rows) {
      yield [
        row.id,
        row.kind,
        row.effectiveOn,
        row.postedAt.toISOString(),
        row.subscriberId ?? '',
        formatMinor(row.amountMinor, page.settings.exponent),
        row.actor,
        row.memo,
        row.onceKey,
      ];
    }
  }
  await sendCsv(page, 'ledger-entries', columns, lines());
}

/** Null where the subscriber asked for is nobody. Days are those of posting, in the operator's zone. */
async function filterOf(page: Page, notes: string[]): Promise<EntryFilter | null> {
  const kind = entryKinds.find((one) => one === textQuery(page, 'kind'));
  const day = dayQuery(page, 'day', notes);
  const subscribers = await subscribersQuery(page, 'subscriber', notes);
  const [subscriberId, another] = subscribers ?? [];
  if (subscribers !== undefined && subscriberId === undefined) return null;
  if (another !== undefined) {
    notes.push(
      'Several subscribers begin so; the entries of one of them are shown. Give the number to be sure.',
    );
  }
  const { zone } = page.settings;
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(day === undefined ? {} : { from: startOfDay(day, zone), before: startOfDay(addDays(day, 1), zone) }),
    ...(subscriberId === undefined ? {} : { subscriberId }),
  };
}
