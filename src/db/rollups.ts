import type { AccountCode } from '../domain/chart-of-accounts.ts';
import type { Day } from '../domain/day.ts';
import type { LedgerAccountId } from '../domain/ids.ts';
import type { Minor } from '../domain/money.ts';
import { latestFigures } from './figures.ts';
import { type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';

/** The last day that is sealed, and the instant at which the open time begins. */
export async function lastSealed(db: Db): Promise<{ day: Day; untilAt: Date } | undefined> {
  const row = await db('ledger_rollup')
    .orderBy('until_at', 'desc')
    .first<{ day: Day; until_at: string } | undefined>('day', 'until_at');
  return row === undefined ? undefined : { day: row.day, untilAt: fromSqlInstant(row.until_at) };
}

export async function firstPostedAt(db: Db): Promise<Date | undefined> {
  const row = await db('ledger_entry').first<{ at: string | null }>(db.raw('MIN(posted_at) AS at'));
  return row.at === null ? undefined : fromSqlInstant(row.at);
}

/** Sums the house accounts over one day: a row for each of them, also where nothing moved. Again, it changes nothing. */
export async function sealDay(
  trx: Trx,
  window: { day: Day; fromAt: Date; untilAt: Date; sealedAt: Date },
): Promise<void> {
  const from = sqlInstant(window.fromAt);
  const until = sqlInstant(window.untilAt);
  await trx.raw(
    `INSERT IGNORE INTO ledger_rollup (account_id, day, from_at, until_at, debit_minor, credit_minor, sealed_at)
     SELECT a.id, ?, ?, ?, COALESCE(moved.debit, 0), COALESCE(moved.credit, 0), ?
     FROM ledger_account a
     LEFT JOIN (
       SELECT STRAIGHT_JOIN p.account_id, SUM(GREATEST(p.amount_minor, 0)) AS debit, -SUM(LEAST(p.amount_minor, 0)) AS credit
       FROM ledger_entry e FORCE INDEX (ledger_entry_posted)
       JOIN ledger_posting p ON p.entry_id = e.id
       JOIN ledger_account house ON house.id = p.account_id AND house.owner_key = 'house'
       WHERE e.posted_at >= ? AND e.posted_at < ?
       GROUP BY p.account_id
     ) moved ON moved.account_id = a.id
     WHERE a.owner_key = 'house'`,
    [window.day, from, until, sqlInstant(window.sealedAt), from, until],
  );
}

export interface HouseBalance {
  readonly accountId: LedgerAccountId;
  readonly code: AccountCode;
  readonly currency: string;
  readonly exponent: number;
  /** Debits less credits. */
  readonly balanceMinor: Minor;
}

/** Entries since the last sealed day that a page sums at each look. */
const openMost = 4000;
const sampleMaxAgeMs = 15 * 60_000;

/** Whether more was posted since the last sealed day than a page may sum: the day of a big invoice run. */
export async function isMuchUnsealed(db: Db): Promise<boolean> {
  const [rows] = (await db.raw(
    `SELECT COUNT(*) AS n FROM (
       SELECT 1 FROM ledger_entry FORCE INDEX (ledger_entry_posted)
       WHERE posted_at >= COALESCE((SELECT MAX(until_at) FROM ledger_rollup), '1000-01-01') LIMIT ?) x`,
    [openMost + 1],
  )) as unknown as [{ n: string }[]];
  return Number(rows[0]?.n ?? 0) > openMost;
}

/** The figure in which a job keeps what a house account held; see network/figures.ts. */
export const houseFigure = (accountId: LedgerAccountId) => `house.${accountId}`;

/** What each house account holds for a page: summed now, or, on a day of many entries, what was counted minutes ago. */
export async function shownHouseBalances(
  db: Db,
  now: Date,
): Promise<{ balances: HouseBalance[]; countedAt: Date | null }> {
  if (!(await isMuchUnsealed(db))) return { balances: await houseBalances(db), countedAt: null };
  const accounts = await db('ledger_account')
    .where({ owner_key: 'house' })
    .orderBy(['code', 'currency'])
    .select<Omit<BalanceRow, 'balance'>[]>('id', 'code', 'currency', 'exponent');
  const kinds = accounts.map((account) => houseFigure(account.id));
  const sampled = await latestFigures(db, kinds, new Date(now.getTime() - sampleMaxAgeMs));
  const points = kinds.map((kind) => sampled.get(kind));
  const [first] = points;
  // One sample is of one instant: the sum over all accounts has to hold.
  const isWhole = points.every((point) => point?.at.getTime() === first?.at.getTime());
  if (first === undefined || !isWhole) return { balances: await houseBalances(db), countedAt: null };
  return {
    balances: accounts.map((account, index) => ({
      accountId: account.id,
      code: account.code,
      currency: account.currency,
      exponent: account.exponent,
      balanceMinor: points[index]?.value ?? 0n,
    })),
    countedAt: first.at,
  };
}

/** What each house account holds: sealed days, and the postings since, in one statement and so of one instant. */
export async function houseBalances(db: Db): Promise<HouseBalance[]> {
  const rows = await balanceRows(db);
  return rows.map((row) => ({
    accountId: row.id,
    code: row.code,
    currency: row.currency,
    exponent: row.exponent,
    balanceMinor: BigInt(row.balance),
  }));
}

/** From the entries of the unsealed time on, in that order: from the few house accounts on it would read all that was ever posted. */
async function balanceRows(db: Db): Promise<BalanceRow[]> {
  const [rows] = (await db.raw(
    `SELECT a.id, a.code, a.currency, a.exponent, COALESCE(sealed.sum, 0) + COALESCE(open.sum, 0) AS balance
     FROM ledger_account a
     LEFT JOIN (
       SELECT account_id, SUM(debit_minor - credit_minor) AS sum FROM ledger_rollup GROUP BY account_id
     ) sealed ON sealed.account_id = a.id
     LEFT JOIN (
       SELECT STRAIGHT_JOIN p.account_id, SUM(p.amount_minor) AS sum
       FROM ledger_entry e FORCE INDEX (ledger_entry_posted)
       JOIN ledger_posting p ON p.entry_id = e.id
       JOIN ledger_account house ON house.id = p.account_id AND house.owner_key = 'house'
       WHERE e.posted_at >= COALESCE((SELECT MAX(until_at) FROM ledger_rollup), '1000-01-01')
       GROUP BY p.account_id
     ) open ON open.account_id = a.id
     WHERE a.owner_key = 'house'
     ORDER BY a.code, a.currency`,
  )) as [BalanceRow[]];
  return rows;
}

interface BalanceRow {
  id: LedgerAccountId;
  code: AccountCode;
  currency: string;
  exponent: number;
  balance: string;
}
