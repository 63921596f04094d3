import { expect } from 'chai';
import type { Knex } from 'knex';
import type { CommandContext } from '../../src/command.ts';
import { chunksOf } from '../../src/db/knex.ts';
import { planOverdueRun, type PlannedAction, type PlanTotals } from '../../src/billing/overdue-run-plan.ts';
import { type Day, parseDay } from '../../src/domain/day.ts';
import { asId, type LoginId, type SubscriberId, type SubscriptionId } from '../../src/domain/ids.ts';
import { aBillingProfile, aLogin, anInvoice, aPackage, aSubscriber, aSubscription } from './builders.ts';

/** Debtors for tests of the overdue run, and what is left in the tables afterwards. */

export interface Debtor {
  subscriberId: SubscriberId;
  subscriptionId: SubscriptionId;
  loginId: LoginId;
  username: string;
  invoiceId: string;
}

/** A subscriber with one subscription, one login and one open invoice. */
export async function aDebtor(
  db: Knex,
  given: {
    dueOn?: string;
    openMinor?: bigint;
    billingProfileId?: string;
    packageId?: string;
    state?: 'active' | 'paused' | 'terminated';
  } = {},
): Promise<Debtor> {
  const subscriberId = await aSubscriber(db, {
    ...(given.billingProfileId === undefined ? {} : { billingProfileId: given.billingProfileId }),
  });
  const subscriptionId = await aSubscription(db, {
    subscriberId,
    state: given.state ?? 'active',
    ...(given.packageId === undefined ? {} : { packageId: given.packageId }),
  });
  const login = await aLogin(db, { subscriptionId });
  const invoiceId = await anInvoice(db, {
    subscriberId,
    subscriptionId,
    dueOn: given.dueOn ?? '2026-03-11',
    ...(given.openMinor === undefined ? {} : { openMinor: given.openMinor }),
  });
  return { subscriberId, subscriptionId, loginId: login.id, username: login.username, invoiceId };
}

/** Many debtors at once, set-based: `isOverdue` says whose invoice was due on 2026-03-01; the others' is on 2026-06-01. */
export async function manyDebtors(
  db: Knex,
  count: number,
  isOverdue: (n: number) => boolean = () => true,
): Promise<Debtor[]> {
  const billingProfileId = await aBillingProfile(db, { graceDays: 3 });
  const packageId = await aPackage(db);
  const [row] = (await db.raw(
    'SELECT (SELECT COALESCE(MAX(id),0) FROM subscriber) AS a, (SELECT COALESCE(MAX(id),0) FROM subscription) AS b, (SELECT COALESCE(MAX(id),0) FROM login) AS c, (SELECT COALESCE(MAX(id),0) FROM invoice) AS d',
  )) as unknown as [{ a: string; b: string; c: string; d: string }[]];
  const first = row[0];
  if (first === undefined) throw new Error('no ids');
  const numbers = Array.from({ length: count }, (_, n) => n + 1);
  const idOf = (base: string, n: number) => (BigInt(base) + BigInt(n)).toString();
  for (const chunk of chunksOf(numbers, 1000)) {
    await db('subscriber').insert(
      chunk.map((n) => ({
        id: idOf(first.a, n),
        name: `Debtor ${n}`,
        billing_profile_id: billingProfileId,
        created_at: '2026-01-01',
      })),
    );
    await db('subscription').insert(
      chunk.map((n) => ({
        id: idOf(first.b, n),
        subscriber_id: idOf(first.a, n),
        package_id: packageId,
        anchor_on: '2026-02-01',
        started_on: '2026-02-01',
      })),
    );
    await db('login').insert(
      chunk.map((n) => ({
        id: idOf(first.c, n),
        subscription_id: idOf(first.b, n),
        username: `debtor${idOf(first.c, n)}`,
        secret: Buffer.from('x'),
        created_at: '2026-01-01',
      })),
    );
    await db('invoice').insert(
      chunk.map((n) => ({
        id: idOf(first.d, n),
        series: 'MANY',
        number: idOf(first.d, n),
        subscriber_id: idOf(first.a, n),
        subscription_id: idOf(first.b, n),
        period_start: '2026-02-01',
        period_end: '2026-03-01',
        zone: 'UTC',
        issued_on: '2026-02-01',
        due_on: isOverdue(n) ? '2026-03-01' : '2026-06-01',
        currency: 'USD',
        exponent: 2,
        net_minor: '30000',
        tax_minor: '0',
        total_minor: '30000',
        open_minor: '30000',
        state: 'open',
      })),
    );
  }
  return numbers.map((n) => ({
    subscriberId: asId(idOf(first.a, n)),
    subscriptionId: asId(idOf(first.b, n)),
    loginId: asId(idOf(first.c, n)),
    username: `debtor${idOf(first.c, n)}`,
    invoiceId: idOf(first.d, n),
  }));
}

/** Everything that a plan would do, with its totals. */
export async function wholePlan(
  db: Knex,
  asOf: string,
  options: { pageSize?: number } = {},
): Promise<{ actions: PlannedAction[]; totals: PlanTotals }> {
  const actions: PlannedAction[] = [];
  const totals = await planOverdueRun(
    db,
    parseDay(asOf),
    (page) => {
      actions.push(...page.actions);
    },
    options,
  );
  return { actions, totals };
}

export interface SuspensionView {
  cause: string;
  effect: string;
  closedBecause: string | null;
}

/** The suspensions of a subscription, oldest first. */
export async function suspensionsOf(db: Knex, subscriptionId: SubscriptionId): Promise<SuspensionView[]> {
  const rows = await db('suspension')
    .where({ subscription_id: subscriptionId })
    .orderBy('id')
    .select<{ cause: string; effect: string; closed_because: string | null }[]>(
      'cause',
      'effect',
      'closed_because',
    );
  return rows.map((row) => ({ cause: row.cause, effect: row.effect, closedBecause: row.closed_because }));
}

export async function isSuspended(db: Knex, subscriptionId: SubscriptionId): Promise<boolean> {
  const row = await db('suspension')
    .where({ subscription_id: subscriptionId, open_cause: 'overdue' })
    .first<{ id: string } | undefined>('id');
  return row !== undefined;
}

/** The state and reason of each action of a run, by subscription. */
export async function actionStates(db: Knex, runId: string): Promise<Map<string, string>> {
  const rows = await db('overdue_run_action')
    .where({ run_id: runId })
    .orderBy('subscription_id')
    .select<{ subscription_id: string; state: string; why: string }[]>('subscription_id', 'state', 'why');
  return new Map(
    rows.map((row) => [row.subscription_id, row.why === '' ? row.state : `${row.state}: ${row.why}`]),
  );
}

/** What must be the same however a run was interrupted: rows without their ids and times. */
export async function endState(db: Knex): Promise<unknown> {
  return {
    runs: await db('overdue_run').orderBy('id').select('state', 'planned_count', 'planned_open_minor'),
    actions: await db('overdue_run_action')
      .orderBy(['run_id', 'subscription_id'])
      .select('subscription_id', 'state', 'why'),
    suspensions: await db('suspension')
      .orderBy(['subscription_id', 'cause', 'id'])
      .select('subscription_id', 'cause', 'effect', 'closed_because'),
    deferrals: await db('deferral')
      .orderBy(['subscription_id', 'id'])
      .select('subscription_id', 'source', 'until_on'),
    parked: await db('parked').orderBy('subscription_id').select('subscription_id', 'reason'),
    queued: await db('reconcile_queue').orderBy('key').select('kind', 'key', 'priority'),
    opened: await db('activity').where({ verb: 'suspension.open' }).count('* as n'),
    closed: await db('activity').where({ verb: 'suspension.close' }).count('* as n'),
  };
}

/** The same context on another pool. */
export function contextOn(ctx: CommandContext, db: Knex): CommandContext {
  return { ...ctx, db };
}

/** Pays invoices by hand, as a payment's transaction would leave them. */
export async function markPaid(db: Knex, invoiceIds: readonly string[]): Promise<void> {
  await db('invoice').whereIn('id', invoiceIds).update({ open_minor: 0, state: 'paid' });
}

/** Nobody paid-up is suspended, and nobody overdue is left out, unless deferred or otherwise not for the run. */
export async function expectNobodyWronged(db: Knex, asOf: Day): Promise<void> {
  const [wrongly] = (await db.raw(
    `SELECT COUNT(*) AS n FROM suspension s JOIN subscription t ON t.id = s.subscription_id
     WHERE s.open_cause = 'overdue' AND NOT EXISTS (
       SELECT 1 FROM invoice i JOIN subscriber c ON c.id = i.subscriber_id
       JOIN billing_profile p ON p.id = c.billing_profile_id
       WHERE i.subscriber_id = t.subscriber_id AND i.state = 'open' AND i.open_minor > 0
         AND DATE_ADD(i.due_on, INTERVAL p.grace_days DAY) < ?)`,
    [asOf],
  )) as unknown as [{ n: string }[]];
  expect(Number(wrongly[0]?.n), 'suspended without being overdue').to.equal(0);
  const [missed] = (await db.raw(
    `SELECT COUNT(DISTINCT t.id) AS n FROM subscription t JOIN subscriber c ON c.id = t.subscriber_id
     JOIN billing_profile p ON p.id = c.billing_profile_id
     JOIN invoice i ON i.subscriber_id = c.id AND i.state = 'open' AND i.open_minor > 0
       AND DATE_ADD(i.due_on, INTERVAL p.grace_days DAY) < ?
     WHERE t.state = 'active' AND p.is_overdue_run_on
       AND NOT EXISTS (SELECT 1 FROM suspension s WHERE s.subscription_id = t.id AND s.open_cause = 'overdue')
       AND NOT EXISTS (SELECT 1 FROM deferral d WHERE d.subscription_id = t.id AND d.closed_at IS NULL AND d.until_on > ?)`,
    [asOf, asOf],
  )) as unknown as [{ n: string }[]];
  expect(Number(missed[0]?.n), 'overdue and not suspended').to.equal(0);
}

/** Forgets everything that a plan could see, so that each test has the operator to itself. */
export async function forgetEverybody(db: Knex): Promise<void> {
  await db.transaction(async (trx) => {
    await trx.raw('SET FOREIGN_KEY_CHECKS = 0');
    for (const table of [
      'setting',
      'activity',
      'parked',
      'reconcile_queue',
      'overdue_run_action',
      'overdue_run',
      'enforcement',
      'access_decision',
      'router_lane',
      'radacct',
      'deferral',
      'suspension',
      'invoice',
      'login',
      'subscription',
      'subscriber',
      'billing_profile',
    ]) {
      await trx(table).delete();
    }
    await trx.raw('SET FOREIGN_KEY_CHECKS = 1');
  });
}
