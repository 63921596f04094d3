import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { creditInvoice, voidInvoice, writeOffInvoice } from '../../src/billing/invoices.ts';
import { recordPayment, reversePayment } from '../../src/billing/payments.ts';
import { sealLedger } from '../../src/billing/rollup.ts';
import { openInvoicesOf } from '../../src/db/invoices.ts';
import { openDb } from '../../src/db/knex.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { PaymentId, SubscriberId } from '../../src/domain/ids.ts';
import { aPackage, aSubscription, testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aPayer, clearTables, expectSound, house, insertPayers } from './support.ts';

describe('money under load', () => {
  let t: TestDb;
  let ctx: TestContext;
  let pools: Knex[];
  before(async () => {
    t = await testDb();
    pools = Array.from({ length: 8 }, () => openDb(t.address, { poolMax: 2 }));
  });
  after(async () => {
    await Promise.all(pools.map((db) => db.destroy()));
    await t.drop();
  });
  beforeEach(async () => {
    await clearTables(t.db);
    ctx = testContext(t.db, { now: '2026-03-01T10:00:00Z' });
  });
  afterEach(() => expectSound(ctx));

  it('eight connections that pay, reverse, credit, void, write off and invoice the same few, leave a sound ledger', async function () {
    this.timeout(120_000);
    const packageId = await aPackage(t.db, { priceMinor: 7_000n });
    const subscribers: SubscriberId[] = [];
    for (let n = 0; n < 4; n++) {
      const { subscriberId } = await aPayer(t.db, { anchorOn: '2025-11-01' });
      await aSubscription(t.db, { subscriberId, packageId, anchorOn: '2025-12-01' });
      subscribers.push(subscriberId);
    }
    const random = randomFrom(20260301);
    const outcomes = new Map<string, number>();
    const one = async (on: TestContext, worker: number, round: number) => {
      const subscriberId = subscribers[Math.floor(random() * subscribers.length)] ?? ('0' as SubscriberId);
      const outcome = await act(on, {
        subscriberId,
        what: random(),
        amount: random(),
        name: `${worker}-${round}`,
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    };
    await Promise.all(
      pools.map(async (db, worker) => {
        for (let round = 0; round < 25; round++) await one({ ...ctx, db }, worker, round);
      }),
    );
    expect([...outcomes.keys()]).to.include.members(['pay', 'reverse', 'run']);
    ctx.clock.set('2026-03-03T10:00:00Z');
    await sealLedger(ctx);
    const total = Object.values(await house(t.db)).reduce((sum, balance) => sum + balance, 0n);
    const stored = await t.db('ledger_account').sum<{ sum: string }[]>({ sum: 'balance_minor' });
    expect(total + BigInt(stored[0]?.sum ?? 0)).to.equal(0n);
  });

  it('payments in the middle of an invoice run, lose nothing and pay nothing twice', async function () {
    this.timeout(120_000);
    await insertPayers(t.db, 800);
    const ids = await t.db('subscriber').orderBy('id').pluck<SubscriberId[]>('id');
    const payAll = Promise.all(
      pools.slice(1).map(async (db, worker) => {
        for (let n = worker; n < 140; n += 7) {
          await recordPayment(
            { ...ctx, db },
            {
              subscriberId: ids[n * 5] ?? ('0' as SubscriberId),
              channel: 'cash',
              reference: `m-${n}`,
              amountMinor: 30_000n,
            },
          );
        }
      }),
    );
    const [run] = await Promise.all([applyInvoiceRun(ctx, { asOf: parseDay('2026-03-01') }), payAll]);
    expect(run.issuedCount).to.equal(800);
    const paid = await t.db('invoice').where({ state: 'paid' }).pluck<string[]>('id');
    expect(paid).to.have.length(140);
  });

  it('an invoice run whose process is killed again and again, ends with each invoice once and no gap', async function () {
    this.timeout(180_000);
    await insertPayers(t.db, 6000);
    for (const batches of [1, 2, 3]) {
      const child = startChild(JSON.stringify(t.address));
      const gone = once(child, 'exit');
      await Promise.race([messagesFrom(child, batches), gone]);
      // In the middle of the next batch.
      await wait(15 * batches);
      child.kill('SIGKILL');
      const [, signal] = (await gone) as [number | null, string | null];
      expect(signal).to.equal('SIGKILL');
    }
    await waitForOrphans(t.db);
    expect(await t.db('invoice')).to.have.length.within(3000, 5999);
    const run = await applyInvoiceRun(ctx, { asOf: parseDay('2026-03-01') });
    expect(run).to.include({ stillDueCount: 0 });
    const counts = await t.db('invoice_run').pluck<number[]>('issued_count');
    expect(counts.reduce((sum, count) => sum + count, 0)).to.equal(6000);
    const [span] = await t
      .db('invoice')
      .select<{ count: string; last: string; subscriptions: string }[]>(
        t.db.raw('COUNT(*) AS count, MAX(number) AS last, COUNT(DISTINCT subscription_id) AS subscriptions'),
      );
    expect(span).to.deep.equal({ count: '6000', last: '6000', subscriptions: '6000' });
  });

  it('an invoice run whose connections are cut while it runs, goes on by itself', async function () {
    this.timeout(120_000);
    await insertPayers(t.db, 3000);
    const db = openDb(t.address, { poolMax: 2 });
    let isOver = false;
    const cut = async () => {
      for (let n = 0; n < 4 && !isOver; n++) {
        await wait(150);
        await cutOthers(t.db);
      }
    };
    try {
      const run = applyInvoiceRun({ ...ctx, db }, { asOf: parseDay('2026-03-01') })
        .catch((error: unknown) => error as Error)
        .finally(() => {
          isOver = true;
        });
      await Promise.all([run, cut()]);
    } finally {
      await db.destroy();
    }
    await applyInvoiceRun(ctx, { asOf: parseDay('2026-03-01') });
    expect(await t.db('invoice')).to.have.length(3000);
  });
});

/** One random act on a subscriber; gives its name when it did something. */
async function act(
  ctx: TestContext,
  on: { subscriberId: SubscriberId; what: number; amount: number; name: string },
): Promise<string> {
  const { subscriberId, what } = on;
  if (what < 0.4) {
    const amountMinor = BigInt(1 + Math.floor(on.amount * 40_000));
    const result = await recordPayment(ctx, {
      subscriberId,
      channel: 'cash',
      reference: on.name,
      amountMinor,
    });
    return result.ok ? 'pay' : result.reason;
  }
  if (what < 0.6) {
    const ids = await ctx
      .db('payment')
      .where({ subscriber_id: subscriberId })
      .whereNull('reversed_at')
      .pluck<PaymentId[]>('id');
    const paymentId = ids[Math.floor(on.amount * ids.length)];
    if (paymentId === undefined) return 'nothing to reverse';
    const result = await reversePayment(ctx, { paymentId, note: 'hammer' });
    return result.ok ? 'reverse' : result.reason;
  }
  if (what < 0.7) {
    await applyInvoiceRun(ctx, { asOf: parseDay('2026-03-01') });
    return 'run';
  }
  const open = await openInvoicesOf(ctx.db, [subscriberId]);
  const invoice = open[Math.floor(on.amount * open.length)];
  if (invoice === undefined) return 'nothing open';
  if (what < 0.8) {
    const amountMinor = 1n + invoice.openMinor / 2n;
    const result = await creditInvoice(ctx, { invoiceId: invoice.id, amountMinor, note: 'hammer' });
    return result.ok ? 'credit' : result.reason;
  }
  if (what < 0.9) {
    const result = await voidInvoice(ctx, { invoiceId: invoice.id, note: 'hammer' });
    return result.ok ? 'void' : result.reason;
  }
  const result = await writeOffInvoice(ctx, { invoiceId: invoice.id, note: 'hammer' });
  return result.ok ? 'write_off' : result.reason;
}

function startChild(address: string): ChildProcess {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const path = fileURLToPath(new URL(`./invoice-run-child.${extension}`, import.meta.url));
  return fork(path, [address, '2026-03-01'], {
    execArgv: extension === 'ts' ? ['--import', 'tsx'] : [],
    stdio: 'ignore',
  });
}

/** Each message is a batch that is committed. They may come several at once, so they are counted. */
function messagesFrom(child: ChildProcess, count: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    child.on('message', () => {
      if (++seen === count) resolve();
    });
  });
}

/** The server notices a dead client a moment later; until then its transaction keeps its locks. */
async function waitForOrphans(db: Knex): Promise<void> {
  await db.transaction(async (trx) => {
    await trx.raw('SET innodb_lock_wait_timeout = 30');
    await trx('subscriber').update({ version: trx.raw('version') });
    await trx.raw('SET innodb_lock_wait_timeout = 10');
  });
}

/** Cuts the connections that have a transaction open, other than this one. */
async function cutOthers(db: Knex): Promise<void> {
  const [rows] = (await db.raw(
    'SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> CONNECTION_ID()',
  )) as [{ id: string }[]];
  for (const { id } of rows) await db.raw(`KILL ${id}`).catch(() => undefined);
}

/** A small generator with a seed (mulberry32), so that a failure can be run again. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
