/** Ids are BIGINT in SQL and strings here; they name a row and say nothing about time. */
declare const brand: unique symbol;
export type Id<Name extends string> = string & { readonly [brand]: Name };

export type ResellerId = Id<'reseller'>;
export type SubscriberId = Id<'subscriber'>;
export type SubscriptionId = Id<'subscription'>;
export type LoginId = Id<'login'>;
export type PackageId = Id<'package'>;
export type RouterId = Id<'router'>;
/** radacct.radacctid */
export type SessionId = Id<'session'>;
export type SuspensionId = Id<'suspension'>;
export type InvoiceId = Id<'invoice'>;
export type PaymentId = Id<'payment'>;
export type LedgerEntryId = Id<'ledger_entry'>;
export type LedgerAccountId = Id<'ledger_account'>;
export type OverdueRunId = Id<'overdue_run'>;
export type InvoiceRunId = Id<'invoice_run'>;

/** The operator itself. */
export const operatorReseller = '1' as ResellerId;

/** Marks a value read from the database as the id of a kind. Throws RangeError on anything but a whole number. */
export function asId<T extends Id<string>>(value: string | number | bigint): T {
  const text = String(value);
  if (!/^[1-9]\d{0,19}$/.test(text)) throw new RangeError(`not an id: ${text.slice(0, 40)}`);
  return text as T;
}
