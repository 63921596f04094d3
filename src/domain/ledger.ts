import {
  type AccountRef,
  contraKindOf,
  type EntryKind,
  houseAccount,
  isMovementAllowed,
  isOwnerRight,
  originalKinds,
  subscriberAccount,
} from './chart-of-accounts.ts';
import type { SubscriberId } from './ids.ts';
import type { Minor } from './money.ts';

/** One line of an entry. Debit is positive, credit negative. */
export interface Posting {
  readonly account: AccountRef;
  readonly amountMinor: Minor;
}

/** Postings that sum to zero. It is never changed: what was wrong is undone by its contra. */
export interface Entry {
  readonly kind: EntryKind;
  readonly postings: readonly Posting[];
}

/**
 * Makes an entry, or throws RangeError: at least two postings, none of zero, each account once and with its right kind
 * of owner, the sum zero, and every debit allowed against every credit for this kind.
 */
export function makeEntry(kind: EntryKind, postings: readonly Posting[]): Entry {
  if (postings.length < 2) throw new RangeError('an entry has at least two postings');
  if (postings.some((posting) => posting.amountMinor === 0n)) {
    throw new RangeError('a posting moves something');
  }
  if (sumOf(postings) !== 0n) throw new RangeError('the postings of an entry sum to zero');
  if (new Set(postings.map((posting) => keyOf(posting.account))).size !== postings.length) {
    throw new RangeError('an account stands once in an entry');
  }
  for (const { account } of postings) {
    if (!isOwnerRight(account)) throw new RangeError(`${account.code} does not belong to that kind of owner`);
  }
  for (const debit of postings.filter((posting) => posting.amountMinor > 0n)) {
    for (const credit of postings.filter((posting) => posting.amountMinor < 0n)) {
      if (!isMovementAllowed(kind, debit.account.code, credit.account.code)) {
        throw new RangeError(
          `an entry of kind ${kind} may not debit ${debit.account.code} against ${credit.account.code}`,
        );
      }
    }
  }
  return { kind, postings };
}

/** The contra entry: the same accounts, each amount with the other sign. Throws RangeError for what is itself a contra. */
export function reverse(entry: Entry): Entry {
  const original = originalKinds.find((kind) => kind === entry.kind);
  if (original === undefined) throw new RangeError('a contra entry is not reversed; post the original again');
  return makeEntry(
    contraKindOf(original),
    entry.postings.map(({ account, amountMinor }) => ({ account, amountMinor: -amountMinor })),
  );
}

export function keyOf(account: AccountRef): string {
  return `${account.owner}/${account.code}`;
}

function sumOf(postings: readonly Posting[]): Minor {
  return postings.reduce((sum, posting) => sum + posting.amountMinor, 0n);
}

/** What the subscriber owes, against revenue and tax. */
export function invoiceEntry(
  subscriberId: SubscriberId,
  amounts: { netMinor: Minor; taxMinor: Minor },
): Entry {
  return entryOf('invoice', [
    debit(subscriberAccount('ar', subscriberId), amounts.netMinor + amounts.taxMinor),
    credit(houseAccount('revenue_internet'), amounts.netMinor),
    credit(houseAccount('tax_payable'), amounts.taxMinor),
  ]);
}

/** Money in: what invoices take, and the rest into the wallet. */
export function paymentEntry(
  subscriberId: SubscriberId,
  channel: 'cash' | 'bank',
  amounts: { toInvoicesMinor: Minor; toWalletMinor: Minor },
): Entry {
  return entryOf('payment', [
    debit(houseAccount(channel), amounts.toInvoicesMinor + amounts.toWalletMinor),
    credit(subscriberAccount('ar', subscriberId), amounts.toInvoicesMinor),
    credit(subscriberAccount('wallet', subscriberId), amounts.toWalletMinor),
  ]);
}

export function walletUseEntry(subscriberId: SubscriberId, amountMinor: Minor): Entry {
  return entryOf('wallet_use', [
    debit(subscriberAccount('wallet', subscriberId), amountMinor),
    credit(subscriberAccount('ar', subscriberId), amountMinor),
  ]);
}

/** Revenue and tax given back: against what is still open of the invoice, the rest into the wallet. */
export function creditNoteEntry(
  subscriberId: SubscriberId,
  amounts: { netMinor: Minor; taxMinor: Minor; toInvoiceMinor: Minor; toWalletMinor: Minor },
): Entry {
  return entryOf('credit_note', [
    debit(houseAccount('revenue_internet'), amounts.netMinor),
    debit(houseAccount('tax_payable'), amounts.taxMinor),
    credit(subscriberAccount('ar', subscriberId), amounts.toInvoiceMinor),
    credit(subscriberAccount('wallet', subscriberId), amounts.toWalletMinor),
  ]);
}

export function writeOffEntry(subscriberId: SubscriberId, amountMinor: Minor): Entry {
  return entryOf('write_off', [
    debit(houseAccount('bad_debt'), amountMinor),
    credit(subscriberAccount('ar', subscriberId), amountMinor),
  ]);
}

/** A part of nothing (no tax, nothing left for the wallet) is no posting. */
function entryOf(kind: EntryKind, postings: readonly Posting[]): Entry {
  return makeEntry(
    kind,
    postings.filter((posting) => posting.amountMinor !== 0n),
  );
}

function debit(account: AccountRef, amountMinor: Minor): Posting {
  return { account, amountMinor };
}

function credit(account: AccountRef, amountMinor: Minor): Posting {
  return { account, amountMinor: -amountMinor };
}
