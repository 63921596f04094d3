import { randomBytes } from 'node:crypto';
import {
  type AccountCode,
  type AccountRef,
  chartOfAccounts,
  type EntryKind,
} from '../domain/chart-of-accounts.ts';
import type { Day } from '../domain/day.ts';
import { asId, type LedgerAccountId, type LedgerEntryId, type SubscriberId } from '../domain/ids.ts';
import { type Entry, keyOf, makeEntry } from '../domain/ledger.ts';
import type { Minor } from '../domain/money.ts';
import { conflict } from '../errors.ts';
import { chunksOf, type Db, sqlInstant, type Trx } from './knex.ts';
import { holdRule } from './rules.ts';
import { readSettings } from './settings.ts';
import { updateEach } from './update-each.ts';

export interface Money {
  readonly currency: string;
  readonly exponent: number;
}

export interface NewEntry {
  /** What makes a repeated posting the same one: `payment:17`. */
  readonly onceKey: string;
  readonly entry: Entry;
  readonly subscriberId: SubscriberId | null;
  readonly effectiveOn: Day;
  readonly memo?: string;
  readonly reversesId?: LedgerEntryId;
}

/** Who posts, when, and which call it is. */
export interface Posting {
  readonly at: Date;
  readonly actor: string;
  /** See `newRequestId`. */
  readonly requestId: string;
  readonly money: Money;
}

export interface StoredAccount {
  readonly id: LedgerAccountId;
  readonly code: AccountCode;
  readonly owner: string;
  /** Whether the row holds its balance: subscriber and reseller accounts do. */
  readonly hasBalance: boolean;
}

/**
 * Names one call of a command. Made before its transaction, so that the transaction, when it is repeated because the
 * answer to its COMMIT was lost, knows its own work from that of an equal call.
 */
export function newRequestId(): string {
  return randomBytes(16).toString('hex');
}

/**
 * Posts entries, set-based, and moves the stored balances in the same transaction. An entry whose once-key is there
 * already is left alone. The caller holds the lock of every subscriber concerned. Gives the ids by once-key.
 */
export async function postEntries(
  trx: Trx,
  entries: readonly NewEntry[],
  posting: Posting,
): Promise<Map<string, LedgerEntryId>> {
  const ids = new Map<string, LedgerEntryId>();
  for (const chunk of chunksOf(entries, 500)) {
    const keys = chunk.map((entry) => entry.onceKey);
    const before = await entryIdsOf(trx, keys);
    const fresh = chunk.filter((entry) => !before.has(entry.onceKey));
    for (const [key, id] of before) ids.set(key, id);
    if (fresh.length === 0) continue;
    const accounts = await ensureAccounts(
      trx,
      fresh.flatMap(({ entry }) => entry.postings.map((line) => line.account)),
      posting.money,
    );
    const postedAt = await afterSealed(trx, posting.at);
    await trx('ledger_entry').insert(fresh.map((entry) => entryRow(entry, posting, postedAt)));
    const after = await entryIdsOf(
      trx,
      fresh.map((entry) => entry.onceKey),
    );
    for (const [key, id] of after) ids.set(key, id);
    await insertPostings(trx, fresh, after, accounts);
    await moveBalances(trx, fresh, accounts);
  }
  return ids;
}

/**
 * The accounts, made where they are missing, by `keyOf`. Throws conflict when the account was opened in another number
 * of decimals: after the first posting, currency and decimals are fixed.
 */
export async function ensureAccounts(
  trx: Trx,
  refs: readonly AccountRef[],
  money: Money,
): Promise<Map<string, StoredAccount>> {
  const wanted = [...new Map(refs.map((ref) => [keyOf(ref), ref])).entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, ref]) => ref);
  const found = new Map<string, StoredAccount>();
  for (const chunk of chunksOf(wanted, 500)) {
    await findAccounts(trx, chunk, money, found);
    const missing = chunk.filter((ref) => !found.has(keyOf(ref)));
    if (missing.length === 0) continue;
    if (missing.some((ref) => ref.owner === 'house')) await holdCurrency(trx, money);
    // Two transactions may open a house account at once: the second one's row is ignored, and read back.
    await trx('ledger_account')
      .insert(missing.map((ref) => accountRow(ref, money)))
      .onConflict(['owner_key', 'code', 'currency'])
      .ignore();
    await findAccounts(trx, missing, money, found);
  }
  return found;
}

/** The first posting into a house account: from here to the COMMIT nobody gives the operator another currency. */
async function holdCurrency(trx: Trx, money: Money): Promise<void> {
  await holdRule(trx, 'currency');
  const { currency, exponent } = await readSettings(trx);
  if (currency !== money.currency || exponent !== money.exponent) {
    throw conflict(`the operator's currency was changed to ${currency} meanwhile: try again`);
  }
}

async function findAccounts(
  db: Db,
  refs: readonly AccountRef[],
  money: Money,
  found: Map<string, StoredAccount>,
): Promise<void> {
  const rows = await db('ledger_account')
    .whereIn('owner_key', [...new Set(refs.map((ref) => ref.owner))])
    .where('currency', money.currency)
    .select<
      { id: string; code: AccountCode; owner_key: string; exponent: number; balance_minor: string | null }[]
    >('id', 'code', 'owner_key', 'exponent', 'balance_minor');
  for (const row of rows) {
    if (row.exponent !== money.exponent) {
      throw conflict(`the ledger holds ${money.currency} with ${row.exponent} decimals; that is fixed`);
    }
    found.set(keyOf({ code: row.code, owner: row.owner_key }), {
      id: asId(row.id),
      code: row.code,
      owner: row.owner_key,
      hasBalance: row.balance_minor !== null,
    });
  }
}

function accountRow(ref: AccountRef, money: Money): Record<string, unknown> {
  const [ownerKind, ownerId] = ref.owner.split(':');
  return {
    code: ref.code,
    owner_key: ref.owner,
    reseller_id: ownerKind === 'reseller' ? ownerId : '1',
    subscriber_id: ownerKind === 'subscriber' ? ownerId : null,
    currency: money.currency,
    exponent: money.exponent,
    balance_minor: chartOfAccounts[ref.code].owner === 'house' ? null : '0',
  };
}

export async function entryIdsOf(db: Db, onceKeys: readonly string[]): Promise<Map<string, LedgerEntryId>> {
  const ids = new Map<string, LedgerEntryId>();
  for (const chunk of chunksOf(onceKeys, 500)) {
    const rows = await db('ledger_entry')
      .whereIn('once_key', chunk)
      .select<{ id: LedgerEntryId; once_key: string }[]>('id', 'once_key');
    for (const row of rows) ids.set(row.once_key, row.id);
  }
  return ids;
}

/** Whether this same call posted that entry: true only when its transaction is being repeated. */
export async function isPostedBy(db: Db, onceKey: string, requestId: string): Promise<boolean> {
  const row = await db('ledger_entry')
    .where({ once_key: onceKey, request_id: requestId })
    .first<{ id: string } | undefined>('id');
  return row !== undefined;
}

/** Nothing is posted into a day that is sealed: what comes late is posted at the beginning of the open time. */
async function afterSealed(db: Db, at: Date): Promise<string> {
  const row = await db('ledger_rollup').first<{ until_at: string | null }>(
    db.raw('MAX(until_at) AS until_at'),
  );
  const wanted = sqlInstant(at);
  return row.until_at !== null && row.until_at > wanted ? row.until_at : wanted;
}

function entryRow(entry: NewEntry, posting: Posting, postedAt: string): Record<string, unknown> {
  return {
    once_key: entry.onceKey,
    request_id: posting.requestId,
    kind: entry.entry.kind,
    subscriber_id: entry.subscriberId,
    effective_on: entry.effectiveOn,
    posted_at: postedAt,
    actor: posting.actor,
    memo: entry.memo ?? '',
    reverses_id: entry.reversesId ?? null,
  };
}

async function insertPostings(
  trx: Trx,
  entries: readonly NewEntry[],
  ids: ReadonlyMap<string, LedgerEntryId>,
  accounts: ReadonlyMap<string, StoredAccount>,
): Promise<void> {
  const rows = entries.flatMap(({ onceKey, entry }) =>
    entry.postings.map((line) => ({
      entry_id: known(ids, onceKey),
      account_id: known(accounts, keyOf(line.account)).id,
      amount_minor: line.amountMinor.toString(),
    })),
  );
  for (const chunk of chunksOf(rows, 500)) await trx('ledger_posting').insert(chunk);
}

async function moveBalances(
  trx: Trx,
  entries: readonly NewEntry[],
  accounts: ReadonlyMap<string, StoredAccount>,
): Promise<void> {
  const moved = new Map<LedgerAccountId, Minor>();
  for (const { entry } of entries) {
    for (const line of entry.postings) {
      const account = known(accounts, keyOf(line.account));
      if (!account.hasBalance) continue;
      moved.set(account.id, (moved.get(account.id) ?? 0n) + line.amountMinor);
    }
  }
  const changes = [...moved].filter(([, by]) => by !== 0n);
  await updateEach(
    trx,
    'ledger_account',
    new Map(changes.map(([id, by]) => [id, { balance_minor: by }])),
    'add',
  );
}

export interface StoredEntry {
  readonly id: LedgerEntryId;
  readonly onceKey: string;
  readonly entry: Entry;
}

/** Entries as they were posted, by once-key, for posting their contra. */
export async function readEntries(db: Db, onceKeys: readonly string[]): Promise<Map<string, StoredEntry>> {
  const entries = new Map<string, StoredEntry>();
  for (const chunk of chunksOf(onceKeys, 500)) {
    const rows = await db('ledger_entry as e')
      .join('ledger_posting as p', 'p.entry_id', 'e.id')
      .join('ledger_account as a', 'a.id', 'p.account_id')
      .whereIn('e.once_key', chunk)
      .orderBy('p.id')
      .select<
        {
          id: LedgerEntryId;
          once_key: string;
          kind: EntryKind;
          code: AccountCode;
          owner_key: string;
          amount_minor: string;
        }[]
      >('e.id', 'e.once_key', 'e.kind', 'a.code', 'a.owner_key', 'p.amount_minor');
    for (const key of new Set(rows.map((row) => row.once_key))) {
      const lines = rows.filter((row) => row.once_key === key);
      const first = lines[0];
      if (first === undefined) continue;
      const postings = lines.map((row) => ({
        account: { code: row.code, owner: row.owner_key },
        amountMinor: BigInt(row.amount_minor),
      }));
      entries.set(key, { id: first.id, onceKey: key, entry: makeEntry(first.kind, postings) });
    }
  }
  return entries;
}

export interface SubscriberBalance extends Money {
  /** What the subscriber owes. */
  readonly owedMinor: Minor;
  /** What the operator holds for the subscriber. */
  readonly walletMinor: Minor;
}

/** Stored balances of some subscribers; who has no account yet owes nothing and holds nothing. */
export async function balancesOf(
  db: Db,
  subscriberIds: readonly SubscriberId[],
  money: Money,
): Promise<Map<SubscriberId, SubscriberBalance>> {
  const balances = new Map<SubscriberId, SubscriberBalance>(
    subscriberIds.map((id) => [id, { ...money, owedMinor: 0n, walletMinor: 0n }]),
  );
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const rows = await db('ledger_account')
      .whereIn('subscriber_id', chunk)
      .whereIn('code', ['ar', 'wallet'])
      .where('currency', money.currency)
      .select<{ subscriber_id: SubscriberId; code: 'ar' | 'wallet'; balance_minor: string }[]>(
        'subscriber_id',
        'code',
        'balance_minor',
      );
    for (const row of rows) {
      const balance = known(balances, row.subscriber_id);
      const amount = BigInt(row.balance_minor);
      balances.set(
        row.subscriber_id,
        row.code === 'ar' ? { ...balance, owedMinor: amount } : { ...balance, walletMinor: -amount },
      );
    }
  }
  return balances;
}

export function known<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`not loaded: ${String(key)}`);
  return value;
}
