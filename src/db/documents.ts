import type { Day } from '../domain/day.ts';
import type { SubscriberId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import type { Db } from './knex.ts';

export type DocumentKind = 'invoice' | 'credit_note' | 'payment';

/** What happened between a subscriber and the operator in money, as a line that a person reads. */
export interface DocumentLine {
  readonly kind: DocumentKind;
  readonly id: string;
  /** Day of issue, or the day on which the money came. */
  readonly on: Day;
  /** `INV-17`, or the channel and reference of a payment. */
  readonly name: string;
  readonly currency: string;
  readonly exponent: number;
  /** What it adds to the debt: an invoice is positive, a credit note and a payment are negative. */
  readonly amountMinor: Minor;
  /** Still open of an invoice; nothing for the others. */
  readonly openMinor: Minor;
  /** State of an invoice; `issued` for a credit note; `received` or `reversed` for a payment. */
  readonly state: string;
}

/**
 * The newest documents of a subscriber, newest first. `before` goes on after the last line of a page, by its day and
 * then by its kind and id.
 */
export async function documentsOf(
  db: Db,
  subscriberId: SubscriberId,
  page: { limit: number; before?: { on: Day; kind: DocumentKind; id: string } },
): Promise<DocumentLine[]> {
  const { before } = page;
  const [rows] = (await db.raw(
    `SELECT * FROM (
       SELECT 'invoice' AS kind, id, issued_on AS \`on\`, CONCAT(series, '-', number) AS name, currency, exponent,
         total_minor AS amount_minor, open_minor, state
       FROM invoice WHERE subscriber_id = ?
       UNION ALL
       SELECT 'credit_note', id, issued_on, CONCAT(series, '-', number), currency, exponent, -total_minor, 0, 'issued'
       FROM credit_note WHERE subscriber_id = ?
       UNION ALL
       SELECT 'payment', id, received_on, CONCAT(channel, ' ', reference), currency, exponent, -amount_minor, 0,
         IF(reversed_at IS NULL, 'received', 'reversed')
       FROM payment WHERE subscriber_id = ?
     ) documents
     ${before === undefined ? '' : 'WHERE (`on`, kind, id) < (?, ?, ?)'}
     ORDER BY \`on\` DESC, kind DESC, id DESC LIMIT ?`,
    [
      subscriberId,
      subscriberId,
      subscriberId,
      ...(before === undefined ? [] : [before.on, before.kind, before.id]),
      page.limit,
    ],
  )) as [DocumentRow[]];
  return rows.map((row) => ({
    kind: row.kind,
    id: row.id,
    on: row.on,
    name: row.name,
    currency: row.currency,
    exponent: row.exponent,
    amountMinor: BigInt(row.amount_minor),
    openMinor: BigInt(row.open_minor),
    state: row.state,
  }));
}

interface DocumentRow {
  kind: DocumentKind;
  id: string;
  on: Day;
  name: string;
  currency: string;
  exponent: number;
  amount_minor: string;
  open_minor: string;
  state: string;
}
