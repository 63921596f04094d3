import type { ResellerId, SubscriberId } from './ids.ts';

export type AccountKind = 'asset' | 'liability' | 'income' | 'expense';
export type OwnerKind = 'house' | 'subscriber' | 'reseller';

/**
 * Every account there can be. Accounts of subscribers and resellers keep a stored balance, because their owners ask for
 * it; house accounts don't, because one row that every payment updates would make the whole operator wait in a line.
 */
export const chartOfAccounts = {
  cash: { kind: 'asset', owner: 'house', name: 'Cash' },
  bank: { kind: 'asset', owner: 'house', name: 'Bank' },
  ar: { kind: 'asset', owner: 'subscriber', name: 'Receivable' },
  wallet: { kind: 'liability', owner: 'subscriber', name: 'Wallet' },
  reseller_wallet: { kind: 'liability', owner: 'reseller', name: 'Reseller wallet' },
  tax_payable: { kind: 'liability', owner: 'house', name: 'Tax payable' },
  revenue_internet: { kind: 'income', owner: 'house', name: 'Internet revenue' },
  bad_debt: { kind: 'expense', owner: 'house', name: 'Bad debt' },
} as const satisfies Record<string, { kind: AccountKind; owner: OwnerKind; name: string }>;

export type AccountCode = keyof typeof chartOfAccounts;

/** An account by what it is and whose it is; `house`, `subscriber:ID` or `reseller:ID`. */
export interface AccountRef {
  readonly code: AccountCode;
  readonly owner: string;
}

export function houseAccount(code: AccountCode): AccountRef {
  return { code, owner: 'house' };
}

export function subscriberAccount(code: AccountCode, id: SubscriberId): AccountRef {
  return { code, owner: `subscriber:${id}` };
}

export function resellerAccount(code: AccountCode, id: ResellerId): AccountRef {
  return { code, owner: `reseller:${id}` };
}

/** Whether the owner is of the kind that the chart gives the account to. */
export function isOwnerRight(account: AccountRef): boolean {
  const kind = chartOfAccounts[account.code].owner;
  return kind === 'house'
    ? account.owner === 'house'
    : new RegExp(`^${kind}:[1-9]\\d{0,19}$`).test(account.owner);
}

type Pair = readonly [debit: AccountCode, credit: AccountCode];

/**
 * The only movements of money that exist: which account may be debited against which, for each kind of entry. An entry
 * with several debits and credits is allowed when each of its debits is allowed against each of its credits.
 */
const movements = {
  invoice: [
    ['ar', 'revenue_internet'],
    ['ar', 'tax_payable'],
  ],
  payment: [
    ['cash', 'ar'],
    ['cash', 'wallet'],
    ['bank', 'ar'],
    ['bank', 'wallet'],
  ],
  wallet_use: [['wallet', 'ar']],
  credit_note: [
    ['revenue_internet', 'ar'],
    ['revenue_internet', 'wallet'],
    ['tax_payable', 'ar'],
    ['tax_payable', 'wallet'],
  ],
  write_off: [['bad_debt', 'ar']],
} as const satisfies Record<string, readonly Pair[]>;

export type OriginalKind = keyof typeof movements;

/** What undoes which kind: each undoing is an entry of its own kind, with debit and credit exchanged. */
const contraKinds = {
  invoice: 'invoice_void',
  payment: 'payment_reversal',
  wallet_use: 'wallet_use_reversal',
  credit_note: 'credit_note_reversal',
  write_off: 'write_off_reversal',
} as const satisfies Record<OriginalKind, string>;

export type ContraKind = (typeof contraKinds)[OriginalKind];
export type EntryKind = OriginalKind | ContraKind;

export const originalKinds = Object.keys(movements) as OriginalKind[];
export const entryKinds: readonly EntryKind[] = [...originalKinds, ...Object.values(contraKinds)];

export function contraKindOf(kind: OriginalKind): ContraKind {
  return contraKinds[kind];
}

/** The kind that this one undoes; undefined for an original. */
export function undoneBy(kind: EntryKind): OriginalKind | undefined {
  return originalKinds.find((original) => contraKinds[original] === kind);
}

export function isMovementAllowed(kind: EntryKind, debit: AccountCode, credit: AccountCode): boolean {
  const original = undoneBy(kind);
  const [from, to, pairs] =
    original === undefined
      ? [debit, credit, movements[kind as OriginalKind]]
      : [credit, debit, movements[original]];
  return (pairs as readonly Pair[]).some(([d, c]) => d === from && c === to);
}

/** Whether the account may stand on that side in an entry of that kind at all; for the checker. */
export function isSideAllowed(kind: string, code: string, side: 'debit' | 'credit'): boolean {
  const known = entryKinds.find((candidate) => candidate === kind);
  if (known === undefined) return false;
  const codes = Object.keys(chartOfAccounts) as AccountCode[];
  const account = codes.find((candidate) => candidate === code);
  if (account === undefined) return false;
  return codes.some((other) =>
    side === 'debit' ? isMovementAllowed(known, account, other) : isMovementAllowed(known, other, account),
  );
}
