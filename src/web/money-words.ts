import type { AllocationView } from '../db/invoice-view.ts';
import type { InvoiceState } from '../db/invoices.ts';
import { type AccountCode, chartOfAccounts, type EntryKind } from '../domain/chart-of-accounts.ts';
import type { Day } from '../domain/day.ts';
import type { StateWord } from './run-words.ts';

/** The words of money on pages: one for each state, kind and source. */

const invoiceStates: Record<InvoiceState | 'overdue', StateWord> = {
  open: { word: 'Open', colour: 'pending', symbol: 'circle' },
  overdue: { word: 'Overdue', colour: 'denied', symbol: 'calendar-x' },
  paid: { word: 'Paid', colour: 'full', symbol: 'check-circle-fill' },
  void: { word: 'Void', colour: 'unknown', symbol: 'slash-circle' },
  written_off: { word: 'Written off', colour: 'unknown', symbol: 'eraser' },
};

export function invoiceState(invoice: { state: InvoiceState; dueOn: Day }, today: Day): StateWord {
  return invoiceStates[invoice.state === 'open' && invoice.dueOn < today ? 'overdue' : invoice.state];
}

export function paymentState(isReversed: boolean): StateWord {
  return isReversed
    ? { word: 'Reversed', colour: 'denied', symbol: 'arrow-counterclockwise' }
    : { word: 'Received', colour: 'full', symbol: 'check-circle-fill' };
}

const entryKinds: Record<EntryKind, string> = {
  invoice: 'Invoice',
  payment: 'Payment',
  wallet_use: 'Wallet used',
  credit_note: 'Credit note',
  write_off: 'Write-off',
  invoice_void: 'Invoice voided',
  payment_reversal: 'Payment reversed',
  wallet_use_reversal: 'Wallet use reversed',
  credit_note_reversal: 'Credit note reversed',
  write_off_reversal: 'Write-off reversed',
};

export function entryKindText(kind: EntryKind): string {
  return entryKinds[kind];
}

export function accountText(code: AccountCode): string {
  return chartOfAccounts[code].name;
}

export const channelWords = { cash: 'Cash', bank: 'Bank' } as const;

/** What an allocation was made from. */
export function sourceText(allocation: AllocationView): string {
  switch (allocation.source) {
    case 'payment':
      return allocation.payment === null
        ? 'Payment'
        : `Payment: ${allocation.payment.channel} ${allocation.payment.reference}`;
    case 'wallet':
      return 'Wallet';
    case 'credit_note':
      return `Credit note ${allocation.creditNote ?? ''}`.trim();
    case 'write_off':
      return 'Written off';
  }
}

/** Basis points as a percentage: 1500 is `15 %`. */
export function percent(basisPoints: number): string {
  return `${basisPoints / 100} %`;
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? `1 ${one}` : `${count} ${many}`;
}
