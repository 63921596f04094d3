import { systemClock } from '../../src/clock.ts';
import { type DbAddress, sqlInstant } from '../../src/db/knex.ts';
import type { Day } from '../../src/domain/day.ts';
import { asId, type SubscriberId } from '../../src/domain/ids.ts';
import { type BillingFacts, decideInvoices, type InvoiceDraft } from '../../src/domain/invoice.ts';
import { invoiceEntry, type Posting } from '../../src/domain/ledger.ts';
import type { TaxRate } from '../../src/domain/tax.ts';
import { SingleRows } from './single-rows.ts';

export interface InvoiceLoop {
  readonly address: DbAddress;
  readonly rates: readonly TaxRate[];
  readonly asOf: Day;
  readonly currency: string;
  readonly exponent: number;
  readonly series: string;
}

/**
 * The invoice run as a loop over subscriptions: each decided by the same rules, and written down in a transaction of its
 * own with the same rows, prepared statements and durability. Gives how many it issued.
 */
export async function invoiceOneAtATime(
  parts: InvoiceLoop,
  subscriptionIds: readonly string[],
): Promise<number> {
  const db = await SingleRows.open(parts.address);
  let issued = 0;
  try {
    for (const id of subscriptionIds) issued += await db.inTransaction(() => invoice(db, parts, id));
  } finally {
    await db.close();
  }
  return issued;
}

interface Due {
  subscriber_id: SubscriberId;
  package_id: string;
  anchor_on: Day;
  next_period: number;
  ended_on: Day | null;
  name: string;
  customers_price_minor: string;
  price_override_minor: string | null;
  tax_name: string | null;
  due_days: number;
}

async function invoice(db: SingleRows, parts: InvoiceLoop, id: string): Promise<number> {
  await db.run(
    'UPDATE subscriber SET version = version + 1 WHERE id = (SELECT subscriber_id FROM subscription WHERE id = ?)',
    [id],
  );
  const [due] = await db.all<Due>(
    `SELECT n.subscriber_id, n.package_id, n.anchor_on, n.next_period, n.ended_on, p.name, p.customers_price_minor,
       n.price_override_minor, t.name AS tax_name, b.due_days
     FROM subscription n JOIN package p ON p.id = n.package_id JOIN subscriber c ON c.id = n.subscriber_id
     JOIN billing_profile b ON b.id = c.billing_profile_id LEFT JOIN tax_rate t ON t.id = p.tax_rate_id
     WHERE n.id = ? AND n.state = 'active' AND n.next_invoice_on <= ?`,
    [id, parts.asOf],
  );
  if (due === undefined) return 0;
  const decision = decideInvoices(factsOf(due), parts.rates, { asOf: parts.asOf, countMax: 12 });
  if (!decision.ok) return 0;
  await db.run('UPDATE subscription SET next_period = ?, next_invoice_on = ? WHERE id = ?', [
    decision.next?.index ?? due.next_period + decision.invoices.length,
    decision.next?.start ?? null,
    id,
  ]);
  for (const draft of decision.invoices) await issue(db, parts, { id, due, draft });
  return decision.invoices.length;
}

function factsOf(due: Due): BillingFacts {
  return {
    anchorOn: due.anchor_on,
    nextPeriod: due.next_period,
    endedOn: due.ended_on,
    packageName: due.name,
    packagePriceMinor: BigInt(due.customers_price_minor),
    priceOverrideMinor: due.price_override_minor === null ? null : BigInt(due.price_override_minor),
    taxName: due.tax_name,
    dueDays: due.due_days,
  };
}

async function issue(
  db: SingleRows,
  parts: InvoiceLoop,
  { id, due, draft }: { id: string; due: Due; draft: InvoiceDraft },
): Promise<void> {
  const { currency, exponent, series } = parts;
  const { period, issuedOn, dueOn, netMinor, taxMinor, totalMinor } = draft;
  const total = totalMinor.toString();
  const invoiceId = await db.run(
    `INSERT INTO invoice (series, subscriber_id, subscription_id, period_start, period_end, zone, issued_on, due_on,
       currency, exponent, net_minor, tax_minor, total_minor, open_minor, state)
     VALUES (?, ?, ?, ?, ?, 'UTC', ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      ...[series, due.subscriber_id, id, period.start, period.end, issuedOn, dueOn, currency, exponent],
      ...[netMinor.toString(), taxMinor.toString(), total, total, totalMinor === 0n ? 'paid' : 'open'],
    ],
  );
  for (const [index, line] of draft.lines.entries()) {
    await db.run(
      `INSERT INTO invoice_line (invoice_id, line_no, description, package_id, net_minor, tax_name, tax_rate_bp, tax_minor)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      [
        ...[invoiceId, index + 1, line.description, due.package_id, line.netMinor.toString()],
        ...[line.taxName, line.taxRateBp, line.taxMinor.toString()],
      ],
    );
  }
  if (totalMinor > 0n) await post(db, parts, { invoiceId, subscriberId: asId(due.subscriber_id), draft });
  await db.run(
    `INSERT INTO document_counter (reseller_id, kind, series, last_number) VALUES (1, 'invoice', ?, 1)
     ON DUPLICATE KEY UPDATE last_number = last_number + 1`,
    [series],
  );
  await db.run(
    `UPDATE invoice SET number = (SELECT last_number FROM document_counter
       WHERE reseller_id = 1 AND kind = 'invoice' AND series = ?) WHERE id = ?`,
    [series, invoiceId],
  );
}

async function post(
  db: SingleRows,
  { currency, exponent }: InvoiceLoop,
  { invoiceId, subscriberId, draft }: { invoiceId: string; subscriberId: SubscriberId; draft: InvoiceDraft },
): Promise<void> {
  const { kind, postings } = invoiceEntry(subscriberId, draft);
  const entryId = await db.run(
    `INSERT INTO ledger_entry (once_key, request_id, kind, subscriber_id, effective_on, posted_at, actor)
     VALUES (?, 'loop', ?, ?, ?, ?, 'loop')`,
    [`invoice:${invoiceId}`, kind, subscriberId, draft.issuedOn, sqlInstant(systemClock.now())],
  );
  for (const posting of postings) {
    const accountId = await accountOf(db, posting, { currency, exponent, subscriberId });
    const amount = posting.amountMinor.toString();
    await db.run('INSERT INTO ledger_posting (entry_id, account_id, amount_minor) VALUES (?, ?, ?)', [
      entryId,
      accountId,
      amount,
    ]);
    await db.run(
      `UPDATE ledger_account SET balance_minor = balance_minor + CAST(? AS SIGNED)
       WHERE id = ? AND balance_minor IS NOT NULL`,
      [amount, accountId],
    );
  }
}

async function accountOf(
  db: SingleRows,
  { account }: Posting,
  of: { currency: string; exponent: number; subscriberId: SubscriberId },
): Promise<string> {
  const [found] = await db.all<{ id: string }>(
    'SELECT id FROM ledger_account WHERE owner_key = ? AND code = ? AND currency = ?',
    [account.owner, account.code, of.currency],
  );
  if (found !== undefined) return found.id;
  const isHouse = account.owner === 'house';
  return await db.run(
    `INSERT INTO ledger_account (code, owner_key, subscriber_id, currency, exponent, balance_minor)
     VALUES (?, ?, ?, ?, ?, ?)`,
    [
      ...[account.code, account.owner, isHouse ? null : of.subscriberId],
      ...[of.currency, of.exponent, isHouse ? null : 0],
    ],
  );
}
