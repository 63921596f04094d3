import { expect } from 'chai';
import { applyInvoiceRun } from '../../src/billing/invoice-run.ts';
import { createOverdueRun } from '../../src/billing/overdue-run.ts';
import { applyOverdueRun } from '../../src/billing/overdue-run-apply.ts';
import { recordPayment } from '../../src/billing/payments.ts';
import { openDb } from '../../src/db/knex.ts';
import { parseDay } from '../../src/domain/day.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import { insertPayers } from '../billing/support.ts';
import type { TestContext } from '../support/builders.ts';
import type { GaleraFixture } from '../support/galera.ts';
import { expectNobodyWronged, manyDebtors } from '../support/overdue.ts';
import { addressesAtOnce, ownersAtOnce } from '../support/rules.ts';

/** Runs, and rules over many rows, on the cluster of nodes.test.ts. */
export function runsOnACluster(at: () => { galera: GaleraFixture; ctx: TestContext }): void {
  const on = (n: number): TestContext => ({ ...at().ctx, db: at().galera.on(n) });
  const nodes = [1, 2, 3];

  it('applyInvoiceRun, on three nodes at once while people pay, issues each once and never loses to itself', async () => {
    const { galera } = at();
    await insertPayers(galera.on(1), 900);
    const ids = await galera.on(1)('subscriber').orderBy('id').pluck<SubscriberId[]>('id');
    const progress = { isOver: false };
    const pay = async (n: number) => {
      for (let k = n; !progress.isOver && k < 240; k += 3) {
        await recordPayment(on(n), {
          subscriberId: ids[(k * 37) % ids.length] ?? ('0' as SubscriberId),
          channel: 'cash',
          reference: `pays-${k}`,
          amountMinor: 30_000n,
        });
      }
    };
    const paying = Promise.all(nodes.map(pay));
    const runs = await Promise.all(
      nodes.map((n) => applyInvoiceRun(on(n), { asOf: parseDay('2026-03-20') })),
    );
    progress.isOver = true;
    await paying;
    expect(runs.map((run) => [run.issuedCount, run.isFinished])).to.deep.equal(nodes.map(() => [900, true]));
    const numbers = await galera.on(2)('invoice').orderBy('number').pluck<string[]>('number');
    expect(numbers.map(Number)).to.deep.equal(Array.from({ length: 900 }, (_, n) => n + 1));
    expect(await galera.on(3)('invoice_run').pluck('id')).to.have.length(1);
    expect(await galera.on(3)('parked').pluck('id')).to.deep.equal([]);
    expect(await galera.on(3)('run_lease').pluck('run_id')).to.deep.equal([]);
  });

  it('applyOverdueRun, on three nodes at once, suspends each once and sets nobody aside', async () => {
    const { galera } = at();
    await manyDebtors(galera.on(1), 300);
    const { run } = await createOverdueRun(on(1), { asOf: parseDay('2026-03-20') });
    await galera.on(1)('overdue_run').where({ id: run.id }).update({ state: 'approved' });
    const results = await Promise.all(
      nodes.map((n) => applyOverdueRun(on(n), { runId: run.id, batchSize: 30 })),
    );
    for (const result of results) {
      expect(result.ok && result.counts).to.include({ applied: 300, parked: 0, planned: 0 });
    }
    expect(await galera.on(2)('suspension').pluck('id')).to.have.length(300);
  });

  it('applyOverdueRun, whose node is killed in the middle, goes on elsewhere and suspends each once', async () => {
    const { galera } = at();
    const debtors = await manyDebtors(galera.on(1), 300);
    const { run } = await createOverdueRun(on(1), { asOf: parseDay('2026-03-20') });
    await galera.on(1)('overdue_run').where({ id: run.id }).update({ state: 'approved' });
    const listed = openDb(galera.address(2));
    const ctx = { ...at().ctx, db: listed };
    const deaths: Promise<void>[] = [];
    const apply = () =>
      applyOverdueRun(ctx, {
        runId: run.id,
        batchSize: 30,
        progress: ({ done }) => {
          // In the middle of a batch, not between two.
          if (done === 150) deaths.push(galera.cluster.kill(2));
        },
      });
    try {
      // As the timetable's resume would: what fails with the node is begun again, on the node that the pool has moved to.
      for (let attempt = 1; ; attempt++) {
        const outcome = await apply().catch((error: unknown) => error);
        if (!(outcome instanceof Error)) break;
        if (attempt === 20) throw outcome;
      }
    } finally {
      await listed.destroy();
      await Promise.all(deaths);
      await galera.cluster.restart(2);
    }
    expect(deaths).to.have.length(1);
    const suspended = await galera
      .on(2)('suspension')
      .where({ open_cause: 'overdue' })
      .pluck('subscription_id');
    expect(suspended.sort()).to.deep.equal(debtors.map((debtor) => debtor.subscriptionId).sort());
    const opened = await galera.on(2)('activity').where({ verb: 'suspension.open' }).pluck('subject_id');
    expect(opened).to.have.length(300);
    await expectNobodyWronged(galera.on(3), parseDay('2026-03-20'));
  });

  it('addresses, given on two nodes at once, never overlap', async () => {
    const { galera } = at();
    expect(await addressesAtOnce([galera.on(1), galera.on(2)])).to.deep.equal([]);
  });

  it('setStaff, by two owners on two nodes who take each other out at once, leaves one of them', async () => {
    const { galera } = at();
    expect(await ownersAtOnce([galera.on(1), galera.on(2)])).to.equal(1);
  });
}
