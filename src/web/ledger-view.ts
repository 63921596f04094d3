import type { AccountView, EntryView, PostingView } from '../db/ledger-view.ts';
import type { Finding } from '../db/ledger-check.ts';
import type { HouseBalance } from '../db/rollups.ts';
import { type AccountCode, chartOfAccounts } from '../domain/chart-of-accounts.ts';
import type { Minor } from '../domain/money.ts';
import { accountText, entryKindText } from './money-words.ts';
import { actorText } from './run-words.ts';

/** The ledger as pages show it: amounts on the side where they stand, keys as links. */

const kindWords = { asset: 'Asset', liability: 'Liability', income: 'Income', expense: 'Expense' } as const;

/** A balance on the side that the account grows on; on the other side it is negative. */
export function balanceView(code: AccountCode, debitsLessCredits: Minor) {
  const { kind } = chartOfAccounts[code];
  const isDebit = kind === 'asset' || kind === 'expense';
  return {
    kind: kindWords[kind],
    side: isDebit ? 'debit' : 'credit',
    amountMinor: isDebit ? debitsLessCredits : -debitsLessCredits,
  };
}

export function houseRow(balance: HouseBalance) {
  return {
    id: balance.accountId,
    name: accountText(balance.code),
    currency: balance.currency,
    ...balanceView(balance.code, balance.balanceMinor),
  };
}

/** Debit and credit as two columns, one of them empty. */
export function sides(amountMinor: Minor): { debit: Minor | null; credit: Minor | null } {
  return amountMinor > 0n ? { debit: amountMinor, credit: null } : { debit: null, credit: -amountMinor };
}

export function postingRow(posting: PostingView, names: ReadonlyMap<string, string>) {
  const owner = ownerOf(posting.owner, names);
  return { ...posting, name: accountText(posting.code), owner, ...sides(posting.amountMinor) };
}

/** Whose account it is: nobody's own for a house account. */
export function ownerOf(ownerKey: string, names: ReadonlyMap<string, string>) {
  const [kind = '', id = ''] = ownerKey.split(':');
  if (kind === 'house') return null;
  if (kind !== 'subscriber') return { name: `reseller ${id}`, href: null };
  return { name: names.get(id) ?? `subscriber ${id}`, href: `/subscribers/${id}` };
}

export function subscriberIdsIn(postings: readonly PostingView[]): string[] {
  return postings.flatMap(({ owner }) => {
    const id = /^subscriber:(\d+)$/.exec(owner)?.[1];
    return id === undefined ? [] : [id];
  });
}

export function entryRow(entry: EntryView, names: ReadonlyMap<string, string>) {
  return {
    ...entry,
    actor: actorText(entry.actor),
    kindText: entryKindText(entry.kind),
    subscriberName: entry.subscriberId === null ? '' : (names.get(entry.subscriberId) ?? ''),
    source: sourceOf(entry.onceKey),
  };
}

/** The page of what was posted, where it has one. */
export function sourceOf(onceKey: string): { label: string; href: string } | null {
  const match = /^(invoice|payment|wallet_use|write_off):(\d+)(?::|$)/.exec(onceKey);
  if (match === null) return null;
  const [, kind = '', id = ''] = match;
  return kind === 'payment'
    ? { label: `Payment ${id}`, href: `/payments/${id}` }
    : { label: 'Invoice', href: `/invoices/${id}` };
}

export function accountTitle(account: AccountView, names: ReadonlyMap<string, string>): string {
  const owner = ownerOf(account.owner, names);
  return owner === null ? accountText(account.code) : `${accountText(account.code)} of ${owner.name}`;
}

/** A finding of the checker with the page where it can be looked at. */
export function findingRow(finding: Finding) {
  const [kind, id = ''] = finding.subject.split(':');
  const isId = /^\d+$/.test(id);
  const pages: Record<string, string> = {
    entry: '/ledger/entries/',
    account: '/ledger/accounts/',
    invoice: '/invoices/',
    payment: '/payments/',
  };
  const folder = pages[kind ?? ''];
  return {
    ...finding,
    rule: finding.rule.replaceAll('_', ' '),
    href: folder !== undefined && isId ? folder + id : null,
  };
}
