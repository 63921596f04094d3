import { performance } from 'node:perf_hooks';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { rollbackRun } from '../../src/billing/overdue-run-rollback.ts';
import { runSummary } from '../../src/db/overdue-reports.ts';
import { parseDay } from '../../src/domain/day.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { expectNobodyWronged, manyDebtors, wholePlan } from '../support/overdue.ts';

const asOf = '2026-03-20';
const subscribers = 20_000;
const overdue = 10_000;
const batches = overdue / 500;

/** Times are printed as information; what is asserted is how the work grows. */
describe('the overdue run, for 20,000 subscribers of whom every second is overdue', function () {
  this.timeout(300_000);
  let test: TestDb;
  let ctx: TestContext;
  before(async () => {
    test = await testDb();
    ctx = testContext(test.db, { now: '2026-03-20T10:00:00Z', actor: 'anna' });
    await manyDebtors(test.db, subscribers, (n) => n % 2 === 0);
  });
  after(() => test.drop());

  async function measured<T>(
    name: string,
    act: () => Promise<T>,
  ): Promise<{ result: T; statements: number }> {
    let statements = 0;
    const count = () => (statements += 1);
    test.db.on('query', count);
    const start = performance.now();
    const result = await act();
    const ms = Math.round(performance.now() - start);
    test.db.removeListener('query', count);
    process.stdout.write(`      ${name}: ${ms} ms, ${statements} statements\n`);
    return { result, statements };
  }

  it('planOverdueRun, needs one statement a page, and plans every second subscriber', async () => {
    const { result, statements } = await measured('plan', () => wholePlan(test.db, asOf));
    expect(result.totals).to.include({ subjects: subscribers, planned: overdue });
    expect(statements).to.be.at.most(batches + 2);
  });

  it('planOverdueRun, reads a page from the index without sorting or a temporary table', async () => {
    const plan = await explainOfNextDebts(test.db);
    const invoice = plan.find((row) => row.table === 'i');
    expect(invoice?.key).to.equal('invoice_overdue');
    for (const row of plan) expect(row.Extra ?? '').not.to.match(/filesort|temporary/);
  });

  it('createOverdueRun, applyOverdueRun and rollbackRun, need a bounded number of statements a batch', async () => {
    const created = await measured('create', () => createOverdueRun(ctx, { asOf }));
    const runId = created.result.run.id;
    expect(created.result.run).to.include({ state: 'held', plannedCount: overdue });
    expect(created.statements).to.be.at.most(10 * (batches + 1) + 20);
    await test.db('overdue_run').update({ state: 'approved' });
    const applied = await measured('apply', () => applyOverdueRun(ctx, { runId }));
    expect(applied.result.ok && applied.result.counts).to.include({ applied: overdue });
    expect(applied.statements).to.be.at.most(15 * batches + 25);
    await expectNobodyWronged(test.db, parseDay(asOf));
    const { result: summary } = await measured('summary', () => runSummary(test.db, runId));
    expect(summary?.evidence).to.include({ logins: overdue, nothingSent: overdue });
    const again = await measured('plan again', () => wholePlan(test.db, asOf));
    expect(again.result.totals.left).to.deep.equal({ already_suspended: overdue });
    const rolledBack = await measured('roll back', () => rollbackRun(ctx, { runId, note: 'n' }));
    expect(rolledBack.result.ok && rolledBack.result.counts).to.include({ rolled_back: overdue });
    expect(rolledBack.statements).to.be.at.most(16 * batches + 25);
  });
});

interface ExplainRow {
  table: string;
  key: string | null;
  Extra: string | null;
}

/** What the server says about the very statement that the plan sends. */
async function explainOfNextDebts(db: Knex): Promise<ExplainRow[]> {
  let page: { sql: string; bindings: readonly unknown[] } | undefined;
  const listen = (query: { sql: string; bindings: readonly unknown[] }) => {
    if (query.sql.includes('biting_minor')) page ??= query;
  };
  db.on('query', listen);
  await wholePlan(db, asOf);
  db.removeListener('query', listen);
  const [rows] = (await db.raw(`EXPLAIN ${page?.sql ?? ''}`, [
    ...(page?.bindings ?? []),
  ] as string[])) as unknown as [ExplainRow[]];
  return rows;
}
