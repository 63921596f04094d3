import { contraOf, findAccount, findEntry, postingPage, postingsOfEntry } from '../../db/ledger-view.ts';
import { shownHouseBalances } from '../../db/rollups.ts';
import { subscriberNames } from '../../db/subscriber-pick.ts';
import { notFound } from '../../errors.ts';
import { keysetOf, listSize, paged } from '../list.ts';
import {
  accountTitle,
  balanceView,
  entryRow,
  ownerOf,
  postingRow,
  sides,
  subscriberIdsIn,
} from '../ledger-view.ts';
import type { Page } from '../page.ts';
import { idParam } from '../params.ts';
import type { Route } from '../route.ts';

export const ledgerDocumentRoutes: readonly Route[] = [
  { method: 'get', path: '/ledger/accounts/:id', access: 'ledger.view', handle: showAccount },
  { method: 'get', path: '/ledger/entries/:id', access: 'ledger.view', handle: showEntry },
];

async function showAccount(page: Page): Promise<void> {
  const { db } = page.app;
  const id = idParam(page, 'account');
  const account = await findAccount(db, id);
  if (account === undefined) throw notFound(`account ${id}`);
  const keyset = keysetOf(page);
  const found = await postingPage(db, account.id, keyset, listSize + 1);
  const { rows, pager } = paged(page, found, keyset, (row) => [row.id]);
  const names = await subscriberNames(db, [
    ...(account.subscriberId === null ? [] : [account.subscriberId]),
    ...rows.flatMap((row) => row.entry.subscriberId ?? []),
  ]);
  const { balances, countedAt } =
    account.balanceMinor === null
      ? await shownHouseBalances(db, page.now)
      : { balances: [], countedAt: null };
  const house = balances.find((one) => one.accountId === account.id);
  const balanceMinor = account.balanceMinor ?? house?.balanceMinor ?? 0n;
  page.render('admin/ledger/account', {
    title: accountTitle(account, names),
    crumbs: [{ label: 'Ledger', href: '/ledger' }],
    account: { ...account, ...balanceView(account.code, balanceMinor) },
    countedAt,
    isHouse: account.balanceMinor === null,
    owner: ownerOf(account.owner, names),
    postings: rows.map((row) => ({ entry: entryRow(row.entry, names), ...sides(row.amountMinor) })),
    pager,
  });
}

async function showEntry(page: Page): Promise<void> {
  const { db } = page.app;
  const id = idParam(page, 'entry');
  const entry = await findEntry(db, id);
  if (entry === undefined) throw notFound(`entry ${id}`);
  const [postings, contraId] = await Promise.all([postingsOfEntry(db, entry.id), contraOf(db, entry.id)]);
  const names = await subscriberNames(db, [
    ...subscriberIdsIn(postings),
    ...(entry.subscriberId === null ? [] : [entry.subscriberId]),
  ]);
  page.render('admin/ledger/entry', {
    title: `Entry ${entry.id}`,
    crumbs: [
      { label: 'Ledger', href: '/ledger' },
      { label: 'Entries', href: '/ledger/entries' },
    ],
    entry: entryRow(entry, names),
    contraId,
    postings: postings.map((posting) => postingRow(posting, names)),
  });
}
