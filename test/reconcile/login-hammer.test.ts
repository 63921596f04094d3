import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import type { Knex } from 'knex';
import { until } from '../../scripts/servers/child.ts';
import { decisionsOf } from '../../src/db/access-decisions.ts';
import { loginFacts } from '../../src/db/account-facts.ts';
import { inTransaction } from '../../src/db/knex.ts';
import { queueDepth } from '../../src/db/queue-depth.ts';
import { claim } from '../../src/db/reconcile-queue.ts';
import { type Priority, requestReconcile } from '../../src/db/reconcile-requests.ts';
import type { SuspensionCause, SuspensionEffect } from '../../src/domain/access-types.ts';
import { decideAccess } from '../../src/domain/access.ts';
import { asId, type LoginId } from '../../src/domain/ids.ts';
import { startWorker } from '../../src/reconcile/worker.ts';
import { testContext } from '../support/builders.ts';
import { type TestDb, testDb } from '../support/db.ts';
import { manyLogins, openSuspension, rowsOf } from './login-support.ts';

const causes: readonly SuspensionCause[] = ['overdue', 'staff', 'fraud'];
const effects: readonly SuspensionEffect[] = ['block', 'throttle', 'walled_garden'];

describe('reconcile/login under many hands', () => {
  let test: TestDb;
  let db: Knex;
  before(async function () {
    this.timeout(60_000);
    test = await testDb();
    db = test.db;
  });
  after(() => test.drop());

  it('reconcileLogins, while commands change everything and workers die with keys in hand, ends where the facts are', async function () {
    this.timeout(120_000);
    const ctx = testContext(db);
    const ids = await manyLogins(db, 60, 'hammer');
    const workers = [1, 2, 3].map(() =>
      startWorker(ctx, { batch: 7, pollMs: 10, pauseMs: 20, leaseMs: 2000 }),
    );
    let isOver = false;
    const command = async (hand: number) => {
      for (let round = 0; round < 40; round++) {
        const id = ids[(round * 7 + hand * 13) % ids.length] ?? '';
        await toggle(db, id, {
          cause: causes[(round + hand) % 3] ?? 'staff',
          effect: effects[(round * hand) % 3] ?? 'block',
          priority: round % 2 === 0 ? 'payment' : 'run',
        });
      }
    };
    // Claims keys and never comes back: as a worker does that is killed.
    const dying = async () => {
      while (!isOver) {
        await claim(db, 'login', { limit: 3, leaseMs: 300 });
        await wait(50);
      }
    };
    const deaths = dying();
    await Promise.all([1, 2, 3, 4].map(command));
    isOver = true;
    await deaths;
    await until('an empty queue', async () => (await queueDepth(db)).length === 0, { timeoutMs: 30_000 });
    await Promise.all(workers.map((worker) => worker.stop()));
    await expectFactsEverywhere(db, ids, ctx.clock.now());
  });
});

/** One command as commands are: the lock, the fact and the wish in one transaction. */
async function toggle(
  db: Knex,
  loginId: string,
  what: { cause: SuspensionCause; effect: SuspensionEffect; priority: Priority },
): Promise<void> {
  await inTransaction(db, async (trx) => {
    const [subscriptionId] = await trx('login')
      .where({ id: loginId })
      .forUpdate()
      .pluck<string[]>('subscription_id');
    if (subscriptionId === undefined) return;
    const closed = await trx('suspension')
      .where({ subscription_id: subscriptionId, open_cause: what.cause })
      .update({ closed_at: '2026-03-02 00:00:00.000', closed_because: 'lifted' });
    if (closed === 0) await openSuspension(trx, subscriptionId, what.cause, what.effect, '1M/2M');
    await requestReconcile(trx, [{ kind: 'login', key: loginId }], {
      priority: what.priority,
      requestedBy: 'hammer',
    });
  });
}

async function expectFactsEverywhere(db: Knex, ids: readonly string[], now: Date): Promise<void> {
  const logins = ids.map((id) => asId<LoginId>(id));
  const facts = await loginFacts(db, logins);
  const decisions = await decisionsOf(db, logins);
  let touched = 0;
  for (const id of logins) {
    const stored = decisions.get(id);
    const found = facts.get(id);
    if (stored === undefined || found?.ok !== true) continue;
    touched++;
    const { access, reason } = decideAccess(found.facts, now);
    expect([stored.access, stored.reason], id).to.deep.equal([access.kind, reason]);
    const { check, reply } = await rowsOf(db, found.facts.username);
    expect(check['Sluice-Deny-Reason'], id).to.equal(access.kind === 'denied' ? reason : undefined);
    expect(reply['Class'], id).to.equal(`S1.${id}.${stored.accessFingerprint}.${stored.redialFingerprint}`);
    // The history is a chain without gaps: each line begins where the one before ended.
    const history = await db('access_change')
      .where({ login_id: id })
      .orderBy('id')
      .select<{ from_access: string | null; to_access: string; generation: string }[]>(
        'from_access',
        'to_access',
        'generation',
      );
    history.forEach((line, i) => expect(line.from_access, id).to.equal(history[i - 1]?.to_access ?? null));
    expect(history.at(-1)?.generation, id).to.equal(stored.generation.toString());
  }
  expect(touched).to.be.above(40);
}
