import { expect } from 'chai';
import { creditInvoice } from '../../src/billing/invoices.ts';
import { checkLedger } from '../../src/billing/ledger-check.ts';
import { recordPayment, reversePayment } from '../../src/billing/payments.ts';
import { sealLedger } from '../../src/billing/rollup.ts';
import { latestLedgerCheck, ledgerRules } from '../../src/db/ledger-check.ts';
import { newRequestId, postEntries } from '../../src/db/ledger.ts';
import { parseDay } from '../../src/domain/day.ts';
import { walletUseEntry } from '../../src/domain/ledger.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aPayer, clearTables, dollars, expectSound, invoiceOn } from './support.ts';

describe('ledger check', () => {
  let t: TestDb;
  let ctx: TestContext;
  let subscriberId: SubscriberId;
  let other: SubscriberId;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());

  /** A little of everything: paid, part paid, credited, reversed, from the wallet, sealed. */
  beforeEach(async () => {
    await clearTables(t.db);
    ctx = testContext(t.db);
    ({ subscriberId } = await aPayer(t.db));
    ({ subscriberId: other } = await aPayer(t.db));
    const pay = (who: SubscriberId, reference: string, amountMinor: bigint) =>
      recordPayment(ctx, { subscriberId: who, channel: 'bank', reference, amountMinor });
    await invoiceOn(ctx, '2026-03-01');
    await pay(subscriberId, 'a', 45_000n);
    const slip = await pay(other, 'b', 10_000n);
    await reversePayment(ctx, { paymentId: slip.payment.id, note: 'slip' });
    await pay(other, 'c', 20_000n);
    await invoiceOn(ctx, '2026-04-01');
    const [invoiceId] = await t.db('invoice').orderBy('id').pluck<string[]>('id');
    await creditInvoice(ctx, { invoiceId: invoiceId as never, amountMinor: 1_000n, note: 'outage' });
    ctx.clock.set('2026-04-03T10:00:00Z');
    await sealLedger(ctx);
  });

  it('of a sound ledger, is ok, and its verdict is a row', async () => {
    await expectSound(ctx);
    const latest = await latestLedgerCheck(t.db);
    expect(latest).to.deep.include({ verdict: 'ok', findings: [], entryCount: 11 });
    expect(latest?.postingCount).to.be.greaterThan(20);
    expect(latest?.checkedAt.toISOString()).to.equal('2026-04-03T10:00:00.000Z');
  });

  it('each rule, when somebody tampers with what it watches, finds it', async () => {
    const openInvoice = "state = 'open' AND open_minor < total_minor";
    const tampering: Record<string, string> = {
      entry_sums_to_zero: 'UPDATE ledger_posting SET amount_minor = amount_minor + 1 ORDER BY id LIMIT 1',
      entry_has_postings:
        "INSERT INTO ledger_entry (once_key, request_id, kind, effective_on, posted_at, actor) VALUES ('x', '', 'payment', '2026-03-01', '2026-03-01', 'x')",
      contra_undoes_its_entry:
        'UPDATE ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id SET p.amount_minor = p.amount_minor * 2 WHERE e.reverses_id IS NOT NULL',
      only_subscribers_and_resellers_have_a_stored_balance:
        "UPDATE ledger_account SET balance_minor = 0 WHERE code = 'bank'",
      stored_balance_equals_postings:
        "UPDATE ledger_account SET balance_minor = balance_minor + 1 WHERE code = 'ar'",
      receivable_equals_open_invoices: `UPDATE invoice SET open_minor = open_minor - 1 WHERE ${openInvoice}`,
      wallet_is_not_negative: "UPDATE ledger_account SET balance_minor = 1 WHERE code = 'wallet'",
      wallet_equals_documents: 'UPDATE credit_note SET total_minor = total_minor - 1',
      payment_is_not_allocated_beyond_itself: "UPDATE payment SET amount_minor = 5 WHERE reference = 'c'",
      payment_pays_its_own_subscriber: `UPDATE payment SET subscriber_id = ${other} WHERE reference = 'a'`,
      open_equals_total_less_allocations: `UPDATE invoice SET open_minor = open_minor + 1 WHERE ${openInvoice}`,
      state_says_what_is_open: "UPDATE invoice SET state = 'open' WHERE state = 'paid'",
      lines_add_up: 'UPDATE invoice_line SET net_minor = net_minor + 1',
      invoice_numbers_have_no_gap: 'UPDATE invoice SET number = number + 1 ORDER BY number DESC LIMIT 2',
      credit_note_numbers_have_no_gap: 'UPDATE document_counter SET last_number = 9',
      invoice_is_posted: `UPDATE ledger_entry SET once_key = 'gone' WHERE once_key LIKE 'invoice:%' LIMIT 1`,
      payment_is_posted: `UPDATE ledger_entry SET once_key = 'gone' WHERE once_key LIKE 'payment:%' LIMIT 1`,
      credit_note_is_posted: `UPDATE ledger_entry SET once_key = 'gone' WHERE once_key LIKE 'credit_note:%'`,
      rollup_equals_postings:
        "UPDATE ledger_rollup SET debit_minor = debit_minor + 1 WHERE day = '2026-03-01'",
      sealed_days_follow_each_other:
        "UPDATE ledger_rollup SET until_at = until_at - INTERVAL 1 HOUR WHERE day = '2026-03-05'",
      movement_is_allowed: "UPDATE ledger_entry SET kind = 'write_off' WHERE kind = 'payment'",
    };
    expect(Object.keys(tampering).sort()).to.deep.equal([...ledgerRules].sort());
    for (const [rule, statement] of Object.entries(tampering)) {
      // The tampering is seen by the check's own transaction only when it is committed: so put it back by hand.
      const tables = [
        'ledger_account',
        'ledger_posting',
        'ledger_entry',
        'invoice',
        'invoice_line',
        'payment',
      ];
      const kept = new Map<string, object[]>();
      for (const table of [...tables, 'credit_note', 'document_counter', 'ledger_rollup']) {
        kept.set(table, await t.db(table).select<object[]>());
      }
      await t.db.raw(statement);
      const check = await checkLedger(ctx);
      expect(check.verdict, rule).to.equal('broken');
      expect(
        check.findings.map((finding) => finding.rule),
        rule,
      ).to.include(rule);
      await t.db.transaction(async (trx) => {
        await trx.raw('SET FOREIGN_KEY_CHECKS = 0');
        for (const [table, rows] of kept) {
          await trx(table).del();
          const plain = rows.map((row) => {
            const copy: Record<string, unknown> = { ...row };
            delete copy['live_period'];
            return copy;
          });
          if (plain.length > 0) await trx(table).insert(plain);
        }
        await trx.raw('SET FOREIGN_KEY_CHECKS = 1');
      });
    }
    await expectSound(ctx);
  });

  it('of many faults, keeps at most twenty a rule', async () => {
    for (let n = 0; n < 30; n++) {
      await t.db('ledger_entry').insert({
        once_key: `empty:${n}`,
        request_id: '',
        kind: 'payment',
        effective_on: '2026-03-01',
        posted_at: '2026-03-01 00:00:00',
        actor: 'x',
      });
    }
    const check = await checkLedger(ctx);
    expect(check.findings).to.have.length(20);
    expect((await latestLedgerCheck(t.db))?.findings).to.have.length(20);
  });

  it('postEntries, with a once-key that is there already, posts nothing again', async () => {
    const entry = {
      onceKey: 'story:1',
      entry: walletUseEntry(subscriberId, 5n),
      subscriberId,
      effectiveOn: parseDay('2026-04-03'),
    };
    const posting = { at: ctx.clock.now(), actor: 'test', requestId: newRequestId(), money: dollars };
    const first = await t.db.transaction((trx) => postEntries(trx, [entry], posting));
    const second = await t.db.transaction((trx) => postEntries(trx, [entry], posting));
    expect(second).to.deep.equal(first);
    expect(await t.db('ledger_posting').where({ entry_id: first.get('story:1') ?? '' })).to.have.length(2);
  });

  it('postEntries, in another number of decimals than the account was opened with, is refused', async () => {
    const posting = {
      at: ctx.clock.now(),
      actor: 'test',
      requestId: newRequestId(),
      money: { currency: 'USD', exponent: 3 },
    };
    const entry = {
      onceKey: 'story:2',
      entry: walletUseEntry(subscriberId, 5n),
      subscriberId,
      effectiveOn: parseDay('2026-04-03'),
    };
    const error = await t.db
      .transaction((trx) => postEntries(trx, [entry], posting))
      .catch((caught: unknown) => caught);
    expect(error).to.include({ kind: 'conflict' });
  });

  it('amounts beyond 2^53, are kept to the last unit', async () => {
    const big = 9_007_199_254_740_993n; // 2^53 + 1, which a float cannot hold
    const entry = (onceKey: string, amount: bigint) => ({
      onceKey,
      entry: walletUseEntry(subscriberId, amount),
      subscriberId,
      effectiveOn: parseDay('2026-04-03'),
    });
    const posting = { at: ctx.clock.now(), actor: 'test', requestId: newRequestId(), money: dollars };
    await t.db.transaction((trx) => postEntries(trx, [entry('big:1', big)], posting));
    await t.db.transaction((trx) => postEntries(trx, [entry('big:2', big)], posting));
    const check = await checkLedger(ctx);
    expect(check.findings.map((finding) => finding.rule)).not.to.include('stored_balance_equals_postings');
  });
});
