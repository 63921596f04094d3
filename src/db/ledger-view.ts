import type { AccountCode, EntryKind } from '../domain/chart-of-accounts.ts';
import type { Day } from '../domain/day.ts';
import type { LedgerAccountId, LedgerEntryId, SubscriberId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import { byIndex, inOrder, type Place } from './keyset.ts';
import { type Db, fromSqlInstant, sqlInstant } from './knex.ts';

/** Reads of the ledger for people. */

export interface AccountView {
  readonly id: LedgerAccountId;
  readonly code: AccountCode;
  readonly subscriberId: SubscriberId | null;
  readonly owner: string;
  readonly currency: string;
  readonly exponent: number;
  /** Debits less credits; null for a house account, which is summed. */
  readonly balanceMinor: Minor | null;
}

export async function findAccount(db: Db, id: string): Promise<AccountView | undefined> {
  const row = await db('ledger_account').where({ id }).first<Record<string, string | null> | undefined>();
  return row === undefined ? undefined : accountView(row);
}

export async function accountsOfSubscriber(db: Db, id: SubscriberId): Promise<AccountView[]> {
  const rows = await db('ledger_account')
    .where({ subscriber_id: id })
    .orderBy('id')
    .select<Record<string, string | null>[]>();
  return rows.map(accountView);
}

function accountView(row: Record<string, string | null>): AccountView {
  return {
    id: row['id'] as LedgerAccountId,
    code: row['code'] as AccountCode,
    subscriberId: (row['subscriber_id'] ?? null) as SubscriberId | null,
    owner: row['owner_key'] ?? '',
    currency: row['currency'] ?? '',
    exponent: Number(row['exponent']),
    balanceMinor: row['balance_minor'] == null ? null : BigInt(row['balance_minor']),
  };
}

export interface EntryView {
  readonly id: LedgerEntryId;
  readonly kind: EntryKind;
  readonly onceKey: string;
  readonly subscriberId: SubscriberId | null;
  readonly effectiveOn: Day;
  readonly postedAt: Date;
  readonly actor: string;
  readonly memo: string;
  readonly reversesId: LedgerEntryId | null;
  /** Its debits, which are its credits. */
  readonly amountMinor: Minor;
}

export interface EntryFilter {
  readonly kind?: EntryKind;
  /** Posted from this instant on, and before that one. */
  readonly from?: Date;
  readonly before?: Date;
  readonly subscriberId?: SubscriberId;
}

/** A page of entries, the last posted first. */
export async function entryPage(
  db: Db,
  filter: EntryFilter,
  place: Place | null,
  limit: number,
): Promise<EntryView[]> {
  const query = byIndex(db, 'ledger_entry', indexFor(filter));
  if (filter.kind !== undefined) void query.where('kind', filter.kind);
  if (filter.from !== undefined) void query.where('posted_at', '>=', sqlInstant(filter.from));
  if (filter.before !== undefined) void query.where('posted_at', '<', sqlInstant(filter.before));
  if (filter.subscriberId !== undefined) void query.where('subscriber_id', filter.subscriberId);
  const ordered = inOrder(db, query, { columns: ['posted_at', 'id'], way: 'desc' }, place).limit(limit);
  return entryViews(db, await ordered.select<Record<string, string | null>[]>('*'));
}

export function entryPlace(entry: EntryView): string[] {
  return [sqlInstant(entry.postedAt), entry.id];
}

function indexFor(filter: EntryFilter): string {
  if (filter.subscriberId !== undefined) return 'ledger_entry_subscriber';
  return filter.kind === undefined ? 'ledger_entry_posted' : 'ledger_entry_kind';
}

/** The entries that were posted under these keys, in the order of posting. */
export async function entriesByKeys(db: Db, onceKeys: readonly string[]): Promise<EntryView[]> {
  if (onceKeys.length === 0) return [];
  const rows = await db('ledger_entry')
    .whereIn('once_key', [...onceKeys])
    .orderBy('id')
    .select<Record<string, string | null>[]>();
  return entryViews(db, rows);
}

export async function findEntry(db: Db, id: string): Promise<EntryView | undefined> {
  const rows = await db('ledger_entry').where({ id }).select<Record<string, string | null>[]>();
  return (await entryViews(db, rows))[0];
}

/** The entry that undid this one, if any. */
export async function contraOf(db: Db, id: LedgerEntryId): Promise<LedgerEntryId | null> {
  const row = await db('ledger_entry')
    .where({ reverses_id: id })
    .first<{ id: LedgerEntryId } | undefined>('id');
  return row?.id ?? null;
}

async function entryViews(db: Db, rows: readonly Record<string, string | null>[]): Promise<EntryView[]> {
  const ids = rows.map((row) => row['id'] ?? '');
  const sums = new Map<string, bigint>();
  if (ids.length > 0) {
    const postings = await db('ledger_posting')
      .whereIn('entry_id', ids)
      .where('amount_minor', '>', 0)
      .groupBy('entry_id')
      .select<{ entry_id: string; sum: string }[]>('entry_id', db.raw('SUM(amount_minor) AS sum'));
    for (const posting of postings) sums.set(posting.entry_id, BigInt(posting.sum));
  }
  return rows.map((row) => ({
    id: row['id'] as LedgerEntryId,
    kind: row['kind'] as EntryKind,
    onceKey: row['once_key'] ?? '',
    subscriberId: (row['subscriber_id'] ?? null) as SubscriberId | null,
    effectiveOn: row['effective_on'] as Day,
    postedAt: fromSqlInstant(row['posted_at'] ?? ''),
    actor: row['actor'] ?? '',
    memo: row['memo'] ?? '',
    reversesId: (row['reverses_id'] ?? null) as LedgerEntryId | null,
    amountMinor: sums.get(row['id'] ?? '') ?? 0n,
  }));
}

export interface PostingView {
  readonly id: string;
  readonly entryId: LedgerEntryId;
  readonly accountId: LedgerAccountId;
  readonly code: AccountCode;
  readonly owner: string;
  readonly amountMinor: Minor;
}

export async function postingsOfEntry(db: Db, entryId: LedgerEntryId): Promise<PostingView[]> {
  const rows = await db('ledger_posting as p')
    .join('ledger_account as a', 'a.id', 'p.account_id')
    .where('p.entry_id', entryId)
    .orderBy('p.id')
    .select<Record<string, string>[]>({
      id: 'p.id',
      entry_id: 'p.entry_id',
      account_id: 'p.account_id',
      code: 'a.code',
      owner: 'a.owner_key',
      amount_minor: 'p.amount_minor',
    });
  return (rows as Record<string, string>[]).map((row) => ({
    id: row['id'] ?? '',
    entryId: row['entry_id'] as LedgerEntryId,
    accountId: row['account_id'] as LedgerAccountId,
    code: row['code'] as AccountCode,
    owner: row['owner'] ?? '',
    amountMinor: BigInt(row['amount_minor'] ?? '0'),
  }));
}

export interface AccountPosting {
  readonly id: string;
  readonly entry: EntryView;
  readonly amountMinor: Minor;
}

/** A page of the postings of an account, the newest first. */
export async function postingPage(
  db: Db,
  accountId: LedgerAccountId,
  place: Place | null,
  limit: number,
): Promise<AccountPosting[]> {
  const query = byIndex(db, 'ledger_posting', 'ledger_posting_account');
  const rows = await inOrder(
    db,
    query.where('account_id', accountId),
    { columns: ['id'], way: 'desc' },
    place,
  )
    .limit(limit)
    .select<{ id: string; entry_id: string; amount_minor: string }[]>('id', 'entry_id', 'amount_minor');
  const ids = [...new Set(rows.map((row) => row.entry_id))];
  const found =
    ids.length === 0
      ? []
      : await entryViews(
          db,
          await db('ledger_entry').whereIn('id', ids).select<Record<string, string | null>[]>(),
        );
  const entries = new Map(found.map((entry) => [String(entry.id), entry]));
  return rows.flatMap((row) => {
    const entry = entries.get(row.entry_id);
    return entry === undefined ? [] : [{ id: row.id, entry, amountMinor: BigInt(row.amount_minor) }];
  });
}
