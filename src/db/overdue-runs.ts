import type { SuspensionEffect } from '../domain/access-types.ts';
import type { Day } from '../domain/day.ts';
import { asId, type OverdueRunId, type SubscriberId, type SubscriptionId } from '../domain/ids.ts';
import { chunksOf, type Db, fromSqlInstant, sqlInstant, type Trx } from './knex.ts';
import type { RouterReachable } from './overdue-facts.ts';

export type RunState =
  | 'planning'
  | 'planned'
  | 'held'
  | 'approved'
  | 'applying'
  | 'applied'
  | 'rolling_back'
  | 'rolled_back'
  | 'cancelled';

export type ActionState = 'planned' | 'excluded' | 'applied' | 'changed' | 'parked' | 'rolled_back' | 'kept';

export interface OverdueRun {
  id: OverdueRunId;
  asOf: Day;
  onceKey: string | null;
  state: RunState;
  requestedBy: string;
  requestedAt: Date;
  approvedBy: string | null;
  approvedAt: Date | null;
  heldBecause: string | null;
  /** Active subscriptions when it was planned, subscriptions planned, and what their subscribers owe. */
  subjectCount: number;
  plannedCount: number;
  plannedOpenMinor: bigint;
  startedAt: Date | null;
  finishedAt: Date | null;
  rolledBackAt: Date | null;
  rolledBackBy: string | null;
  rollbackNote: string | null;
}

export interface RunAction {
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  effect: SuspensionEffect;
  throttleRate: string | null;
  openMinor: bigint;
  invoiceCount: number;
  oldestDueOn: Day;
  routerReachable: RouterReachable;
  state: ActionState;
  why: string;
}

/** Inserts the run; of two with one key the first stays, and its id is given. */
export async function insertRun(
  trx: Trx,
  given: { asOf: Day; onceKey: string | null; actor: string; at: Date },
): Promise<OverdueRunId> {
  const row = {
    as_of: given.asOf,
    once_key: given.onceKey,
    state: 'planning',
    requested_by: given.actor,
    requested_at: sqlInstant(given.at),
  };
  const [id] = await trx('overdue_run').insert(row).onConflict('once_key').ignore();
  if (id !== undefined && id !== 0) return asId<OverdueRunId>(id);
  const existing = await trx('overdue_run').where({ once_key: given.onceKey }).first<{ id: string }>('id');
  return asId<OverdueRunId>(existing.id);
}

export async function findRun(db: Db, id: OverdueRunId): Promise<OverdueRun | undefined> {
  const row = await db('overdue_run').where({ id }).first<RunRow | undefined>();
  return row === undefined ? undefined : asRun(row);
}

export async function findRunByKey(db: Db, onceKey: string): Promise<OverdueRun | undefined> {
  const row = await db('overdue_run').where({ once_key: onceKey }).first<RunRow | undefined>();
  return row === undefined ? undefined : asRun(row);
}

/** Runs in one of these states, oldest first. */
export async function runsIn(db: Db, states: readonly RunState[]): Promise<OverdueRun[]> {
  const rows = await db('overdue_run').whereIn('state', states).orderBy('id').select<RunRow[]>();
  return rows.map(asRun);
}

/** The newest runs first, a page at a time; with `after` the ones that are newer than that, the nearest first. */
export async function latestRuns(
  db: Db,
  page: { before?: OverdueRunId; after?: OverdueRunId; states?: readonly RunState[]; limit: number },
): Promise<OverdueRun[]> {
  const query = db('overdue_run')
    .orderBy('id', page.after === undefined ? 'desc' : 'asc')
    .limit(page.limit);
  if (page.before !== undefined) void query.where('id', '<', page.before);
  if (page.after !== undefined) void query.where('id', '>', page.after);
  if (page.states !== undefined) void query.whereIn('state', page.states);
  return (await query.select<RunRow[]>()).map(asRun);
}

/**
 * Takes the run's lock for a batch and says whether the run is still in one of these states. It is a write, so that a
 * batch and a rollback or cancel that begins meanwhile conflict on Galera too.
 */
export async function touchRun(trx: Trx, id: OverdueRunId, states: readonly RunState[]): Promise<boolean> {
  const touched = await trx('overdue_run')
    .where({ id })
    .whereIn('state', states)
    .update({ version: trx.raw('version + 1') });
  return touched === 1;
}

/** Moves the run on if it is still where the caller believes; false when somebody else was first. */
export async function moveRun(
  db: Db,
  id: OverdueRunId,
  from: readonly RunState[],
  to: { state: RunState } & Partial<{
    approvedBy: string;
    approvedAt: Date;
    heldBecause: string | null;
    subjectCount: number;
    plannedCount: number;
    plannedOpenMinor: bigint;
    startedAt: Date;
    finishedAt: Date;
    rolledBackAt: Date;
    rolledBackBy: string;
    rollbackNote: string;
  }>,
): Promise<boolean> {
  const moved = await db('overdue_run')
    .where({ id })
    .whereIn('state', from)
    .update({
      state: to.state,
      version: db.raw('version + 1'),
      ...(to.approvedBy === undefined ? {} : { approved_by: to.approvedBy }),
      ...(to.approvedAt === undefined ? {} : { approved_at: sqlInstant(to.approvedAt) }),
      ...(to.heldBecause === undefined ? {} : { held_because: to.heldBecause }),
      ...(to.subjectCount === undefined ? {} : { subject_count: to.subjectCount }),
      ...(to.plannedCount === undefined ? {} : { planned_count: to.plannedCount }),
      ...(to.plannedOpenMinor === undefined ? {} : { planned_open_minor: to.plannedOpenMinor.toString() }),
      ...(to.startedAt === undefined ? {} : { started_at: sqlInstant(to.startedAt) }),
      ...(to.finishedAt === undefined ? {} : { finished_at: sqlInstant(to.finishedAt) }),
      ...(to.rolledBackAt === undefined ? {} : { rolled_back_at: sqlInstant(to.rolledBackAt) }),
      ...(to.rolledBackBy === undefined ? {} : { rolled_back_by: to.rolledBackBy }),
      ...(to.rollbackNote === undefined ? {} : { rollback_note: to.rollbackNote }),
    });
  return moved === 1;
}

interface RunRow {
  id: OverdueRunId;
  as_of: Day;
  once_key: string | null;
  state: RunState;
  requested_by: string;
  requested_at: string;
  approved_by: string | null;
  approved_at: string | null;
  held_because: string | null;
  subject_count: number;
  planned_count: number;
  planned_open_minor: string;
  started_at: string | null;
  finished_at: string | null;
  rolled_back_at: string | null;
  rolled_back_by: string | null;
  rollback_note: string | null;
}

function asRun(row: RunRow): OverdueRun {
  const instant = (text: string | null) => (text === null ? null : fromSqlInstant(text));
  return {
    id: row.id,
    asOf: row.as_of,
    onceKey: row.once_key,
    state: row.state,
    requestedBy: row.requested_by,
    requestedAt: fromSqlInstant(row.requested_at),
    approvedBy: row.approved_by,
    approvedAt: instant(row.approved_at),
    heldBecause: row.held_because,
    subjectCount: row.subject_count,
    plannedCount: row.planned_count,
    plannedOpenMinor: BigInt(row.planned_open_minor),
    startedAt: instant(row.started_at),
    finishedAt: instant(row.finished_at),
    rolledBackAt: instant(row.rolled_back_at),
    rolledBackBy: row.rolled_back_by,
    rollbackNote: row.rollback_note,
  };
}

/**
 * Writes what a plan says about the subscribers of one page, in place of what an earlier attempt at the same plan said
 * about them: so a plan that was killed, or is made twice at once, ends with fresh rows and nothing left over.
 */
export async function replacePlanned(
  trx: Trx,
  runId: OverdueRunId,
  page: { after: SubscriberId | null; upTo: SubscriberId | null },
  actions: readonly RunAction[],
): Promise<void> {
  const old = trx('overdue_run_action')
    .where({ run_id: runId })
    .whereIn('state', ['planned', 'parked'])
    .where('subscriber_id', '>', page.after ?? '0');
  if (page.upTo !== null) void old.where('subscriber_id', '<=', page.upTo);
  await old.delete();
  for (const chunk of chunksOf(actions, 500)) {
    await trx.raw(
      `INSERT INTO overdue_run_action (run_id, subscription_id, subscriber_id, effect, throttle_rate, open_minor,
         invoice_count, oldest_due_on, router_reachable, state, why)
       VALUES ${chunk.map(() => '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').join(', ')}`,
      chunk.flatMap((action) => [
        runId,
        action.subscriptionId,
        action.subscriberId,
        action.effect,
        action.throttleRate,
        action.openMinor.toString(),
        action.invoiceCount,
        action.oldestDueOn,
        action.routerReachable,
        action.state,
        action.why,
      ]),
    );
  }
}

/** Actions of a run by state. */
export async function countActions(db: Db, runId: OverdueRunId): Promise<Record<ActionState, number>> {
  const counts = { planned: 0, excluded: 0, applied: 0, changed: 0, parked: 0, rolled_back: 0, kept: 0 };
  const rows = await db('overdue_run_action')
    .where({ run_id: runId })
    .groupBy('state')
    .select<{ state: ActionState; n: string }[]>('state', db.raw('COUNT(*) AS n'));
  for (const row of rows) counts[row.state] = Number(row.n);
  return counts;
}

/** What the subscribers of the planned actions owe; a subscriber with two subscriptions owes it once. */
export async function plannedDebt(db: Db, runId: OverdueRunId): Promise<bigint> {
  const each = db('overdue_run_action')
    .where({ run_id: runId, state: 'planned' })
    .groupBy('subscriber_id')
    .max('open_minor as open_minor')
    .as('each_subscriber');
  const row = await db.from(each).sum<{ total: string | null }[]>('open_minor as total');
  return BigInt(row[0]?.total ?? 0);
}

/** The next subscribers with an action in one of these states, by id. */
export async function nextSubscribers(
  db: Db,
  runId: OverdueRunId,
  states: readonly ActionState[],
  page: { after: SubscriberId | null; limit: number },
): Promise<SubscriberId[]> {
  return await db('overdue_run_action')
    .where({ run_id: runId })
    .whereIn('state', states)
    .where('subscriber_id', '>', page.after ?? '0')
    .distinct()
    .orderBy('subscriber_id')
    .limit(page.limit)
    .pluck<SubscriberId[]>('subscriber_id');
}

export interface ActionRow {
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  effect: SuspensionEffect;
  throttleRate: string | null;
  state: ActionState;
  suspensionId: string | null;
}

/** The actions of some subscribers in these states; final inside a transaction that holds the subscribers' lock. */
export async function actionsOf(
  db: Db,
  runId: OverdueRunId,
  subscriberIds: readonly SubscriberId[],
  states: readonly ActionState[],
): Promise<ActionRow[]> {
  const found: ActionRow[] = [];
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const rows = await actionRows(db, runId).whereIn('subscriber_id', chunk).whereIn('state', states);
    found.push(...rows.map(asActionRow));
  }
  return found;
}

/** The actions on some subscriptions, whatever their state. */
export async function actionsOfSubscriptions(
  db: Db,
  runId: OverdueRunId,
  subscriptionIds: readonly SubscriptionId[],
): Promise<ActionRow[]> {
  const found: ActionRow[] = [];
  for (const chunk of chunksOf(subscriptionIds, 500)) {
    const rows = await actionRows(db, runId).whereIn('subscription_id', chunk);
    found.push(...rows.map(asActionRow));
  }
  return found;
}

function actionRows(db: Db, runId: OverdueRunId) {
  return db('overdue_run_action')
    .where({ run_id: runId })
    .orderBy(['subscriber_id', 'subscription_id'])
    .select<ActionSqlRow[]>(
      'subscription_id',
      'subscriber_id',
      'effect',
      'throttle_rate',
      'state',
      'suspension_id',
    );
}

interface ActionSqlRow {
  subscription_id: SubscriptionId;
  subscriber_id: SubscriberId;
  effect: SuspensionEffect;
  throttle_rate: string | null;
  state: ActionState;
  suspension_id: string | null;
}

function asActionRow(row: ActionSqlRow): ActionRow {
  return {
    subscriptionId: row.subscription_id,
    subscriberId: row.subscriber_id,
    effect: row.effect,
    throttleRate: row.throttle_rate,
    state: row.state,
    suspensionId: row.suspension_id,
  };
}

/** Notes beside each action the suspension that this run has just opened. */
export async function markApplied(
  trx: Trx,
  runId: OverdueRunId,
  subscriptionIds: readonly SubscriptionId[],
  at: Date,
): Promise<void> {
  for (const chunk of chunksOf(subscriptionIds, 500)) {
    await trx('overdue_run_action as a')
      .join('suspension as s', (on) =>
        on.on('s.subscription_id', 'a.subscription_id').andOnVal('s.open_cause', 'overdue'),
      )
      .where('a.run_id', runId)
      .where('s.opened_by_run_id', runId)
      .whereIn('a.subscription_id', chunk)
      .update({ 'a.state': 'applied', 'a.suspension_id': trx.ref('s.id'), 'a.settled_at': sqlInstant(at) });
  }
}

export async function markActions(
  trx: Trx,
  runId: OverdueRunId,
  subscriptionIds: readonly SubscriptionId[],
  mark: { state: ActionState; why: string; at: Date },
): Promise<void> {
  for (const chunk of chunksOf(subscriptionIds, 500)) {
    await trx('overdue_run_action')
      .where({ run_id: runId })
      .whereIn('subscription_id', chunk)
      .update({ state: mark.state, why: mark.why, settled_at: sqlInstant(mark.at) });
  }
}
