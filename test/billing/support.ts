import type { Knex } from 'knex';
import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { checkLedger } from '../../src/billing/ledger-check.ts';
import { openInvoicesOf } from '../../src/db/invoices.ts';
import { balancesOf } from '../../src/db/ledger.ts';
import { houseBalances } from '../../src/db/rollups.ts';
import { type Day, parseDay } from '../../src/domain/day.ts';
import type { SubscriberId, SubscriptionId } from '../../src/domain/ids.ts';
import {
  aBillingProfile,
  aPackage,
  aSubscriber,
  aSubscription,
  type TestContext,
} from '../support/builders.ts';

export const dollars = { currency: 'USD', exponent: 2 };

/** A subscriber who pays 300.00 a month without tax from the anchor day on, due after 10 days. */
export async function aPayer(
  db: Knex,
  given: { anchorOn?: string; priceMinor?: bigint; packageId?: string; dueDays?: number } = {},
): Promise<{ subscriberId: SubscriberId; subscriptionId: SubscriptionId }> {
  const billingProfileId = await aBillingProfile(db, { dueDays: given.dueDays ?? 10 });
  const subscriberId = await aSubscriber(db, { billingProfileId });
  const packageId = given.packageId ?? (await aPackage(db, { priceMinor: given.priceMinor ?? 30_000n }));
  const subscriptionId = await aSubscription(db, {
    subscriberId,
    packageId,
    anchorOn: given.anchorOn ?? '2026-03-01',
  });
  return { subscriberId, subscriptionId };
}

/** Moves the clock to ten in the morning of a day and runs the invoice run of that day. */
export async function invoiceOn(ctx: TestContext, day: string) {
  ctx.clock.set(`${day}T10:00:00Z`);
  return applyInvoiceRun(ctx, { asOf: parseDay(day) });
}

export async function balanceOf(db: Knex, id: SubscriberId): Promise<{ owed: bigint; wallet: bigint }> {
  const balance = (await balancesOf(db, [id], dollars)).get(id);
  return { owed: balance?.owedMinor ?? 0n, wallet: balance?.walletMinor ?? 0n };
}

/** [due day, open] of each open invoice. */
export async function openOf(db: Knex, id: SubscriberId): Promise<[Day, bigint][]> {
  return (await openInvoicesOf(db, [id])).map((invoice) => [invoice.dueOn, invoice.openMinor]);
}

export async function house(db: Knex): Promise<Record<string, bigint>> {
  return Object.fromEntries((await houseBalances(db)).map((account) => [account.code, account.balanceMinor]));
}

export async function expectSound(ctx: TestContext): Promise<void> {
  const check = await checkLedger(ctx);
  expect(check.findings).to.deep.equal([]);
  expect(check.verdict).to.equal('ok');
}

/** The only row of a table that is like this. */
export async function rowOf(
  db: Knex,
  table: string,
  like: Record<string, string>,
): Promise<Record<string, unknown>> {
  const rows = await db(table).where(like).select<Record<string, unknown>[]>();
  expect(rows, `${table} ${JSON.stringify(like)}`).to.have.length(1);
  return rows[0] ?? {};
}

/**
 * A database whose next transactions are committed, but whose answers to COMMIT are lost: what a broken connection
 * looks like to the caller. `times` answers are lost.
 */
export function losingCommits(db: Knex, times: number): Knex {
  let left = times;
  return new Proxy(db, {
    get(target, name, receiver) {
      if (name !== 'transaction') return Reflect.get(target, name, receiver) as unknown;
      return async (work: (trx: Knex.Transaction) => Promise<unknown>) => {
        const result = await target.transaction(work);
        if (left-- > 0) throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        return result;
      };
    },
  });
}

/** Many subscribers with one subscription each, set-based. */
export async function insertPayers(db: Knex, count: number, anchorOn = '2026-03-01'): Promise<void> {
  const billingProfileId = await aBillingProfile(db);
  const packageId = await aPackage(db);
  for (let at = 0; at < count; at += 1000) {
    await db('subscriber').insert(
      Array.from({ length: Math.min(1000, count - at) }, (_, n) => ({
        name: `Bulk ${at + n}`,
        billing_profile_id: billingProfileId,
        created_at: '2026-01-01 00:00:00.000',
      })),
    );
  }
  await db.raw(
    `INSERT INTO subscription (subscriber_id, package_id, anchor_on, next_invoice_on, started_on)
     SELECT id, ?, ?, ?, ? FROM subscriber WHERE name LIKE 'Bulk %' ORDER BY id`,
    [packageId, anchorOn, anchorOn, anchorOn],
  );
}

/** Empties every table, much faster than a database of each test's own. */
export async function clearTables(db: Knex): Promise<void> {
  const [rows] = (await db.raw(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = DATABASE() AND table_name <> 'schema_migration'`,
  )) as [{ name: string }[]];
  await db.transaction(async (trx) => {
    await trx.raw('SET FOREIGN_KEY_CHECKS = 0');
    for (const { name } of rows) await trx.raw('DELETE FROM ??', [name]);
    await trx.raw('SET FOREIGN_KEY_CHECKS = 1');
  });
}
