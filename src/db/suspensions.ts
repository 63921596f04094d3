import type { SuspensionCause, SuspensionEffect } from '../domain/access-types.ts';
import type {
  LoginId,
  OverdueRunId,
  PaymentId,
  SubscriberId,
  SubscriptionId,
  SuspensionId,
} from '../domain/ids.ts';
import { recordActivity } from './activity.ts';
import { chunksOf, type Db, fromSqlInstant, sqlInstant } from './knex.ts';
import { type Priority, requestReconcile } from './reconcile-requests.ts';

export type ClosedBecause =
  | 'paid'
  | 'credited'
  | 'voided'
  | 'written_off'
  | 'promise'
  | 'lifted'
  | 'rolled_back'
  | 'terminated'
  | 'repaired';

export interface OpenSuspension {
  id: SuspensionId;
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  cause: SuspensionCause;
  effect: SuspensionEffect;
  throttleRate: string | null;
  openedAt: Date;
  openedBy: string;
  openedByRunId: OverdueRunId | null;
  note: string;
}

/** Who acts, for the suspension's row, the activity log and the queue. */
export interface Hand {
  at: Date;
  actor: string;
  correlationId: string;
  priority: Priority;
}

export interface NewSuspension {
  subscriptionId: SubscriptionId;
  subscriberId: SubscriberId;
  cause: SuspensionCause;
  effect: SuspensionEffect;
  throttleRate: string | null;
  runId?: OverdueRunId;
  note?: string;
}

/**
 * Opens suspensions, with their trail and the wish to reconcile their logins. The caller holds the subscribers' lock
 * and knows that none of that cause is open: the unique key refuses a second one.
 */
export async function openSuspensions(
  trx: Db,
  suspensions: readonly NewSuspension[],
  hand: Hand,
): Promise<void> {
  for (const chunk of chunksOf(suspensions, 500)) {
    await trx('suspension').insert(
      chunk.map((suspension) => ({
        subscription_id: suspension.subscriptionId,
        cause: suspension.cause,
        effect: suspension.effect,
        throttle_rate: suspension.throttleRate,
        opened_at: sqlInstant(hand.at),
        opened_by: hand.actor,
        opened_by_run_id: suspension.runId ?? null,
        note: suspension.note ?? '',
      })),
    );
    await recordActivity(
      trx,
      chunk.map((suspension) => ({
        at: hand.at,
        actor: hand.actor,
        verb: 'suspension.open',
        subject: { kind: 'subscription', id: suspension.subscriptionId },
        subscriberId: suspension.subscriberId,
        correlationId: hand.correlationId,
        diff: {
          cause: suspension.cause,
          effect: suspension.effect,
          ...(suspension.throttleRate === null ? {} : { throttleRate: suspension.throttleRate }),
          ...(suspension.runId === undefined ? {} : { runId: suspension.runId }),
          ...(suspension.note === undefined ? {} : { note: suspension.note }),
        },
      })),
    );
  }
  await requestLoginsOf(
    trx,
    suspensions.map((suspension) => suspension.subscriptionId),
    hand,
  );
}

/** Closes those of the given suspensions that are still open, with their trail and the wish to reconcile. */
export async function closeSuspensions(
  trx: Db,
  suspensions: readonly OpenSuspension[],
  why: Hand & { because: ClosedBecause; paymentId?: PaymentId | undefined; note?: string | undefined },
): Promise<void> {
  for (const chunk of chunksOf(suspensions, 500)) {
    await trx('suspension')
      .whereIn(
        'id',
        chunk.map((suspension) => suspension.id),
      )
      .whereNull('closed_at')
      .update({
        closed_at: sqlInstant(why.at),
        closed_by: why.actor,
        closed_because: why.because,
        closed_by_payment_id: why.paymentId ?? null,
      });
    await recordActivity(
      trx,
      chunk.map((suspension) => ({
        at: why.at,
        actor: why.actor,
        verb: 'suspension.close',
        subject: { kind: 'subscription', id: suspension.subscriptionId },
        subscriberId: suspension.subscriberId,
        correlationId: why.correlationId,
        diff: {
          suspensionId: suspension.id,
          cause: suspension.cause,
          because: why.because,
          ...(why.paymentId === undefined ? {} : { paymentId: why.paymentId }),
          ...(suspension.openedByRunId === null ? {} : { runId: suspension.openedByRunId }),
          ...(why.note === undefined ? {} : { note: why.note }),
        },
      })),
    );
  }
  await requestLoginsOf(
    trx,
    suspensions.map((suspension) => suspension.subscriptionId),
    why,
  );
}

/** Asks that the living logins of some subscriptions be looked at. */
export async function requestLoginsOf(
  trx: Db,
  subscriptionIds: readonly SubscriptionId[],
  why: { priority: Priority; correlationId: string },
): Promise<void> {
  for (const chunk of chunksOf([...new Set(subscriptionIds)], 500)) {
    const loginIds = await trx('login')
      .whereIn('subscription_id', chunk)
      .whereNull('retired_at')
      .orderBy('id')
      .pluck<LoginId[]>('id');
    await requestReconcile(
      trx,
      loginIds.map((key) => ({ kind: 'login', key })),
      { priority: why.priority, requestedBy: why.correlationId },
    );
  }
}

/** The open suspensions of some subscribers, of one cause or of all. */
export async function openSuspensionsOf(
  db: Db,
  subscriberIds: readonly SubscriberId[],
  cause?: SuspensionCause,
): Promise<OpenSuspension[]> {
  const found: OpenSuspension[] = [];
  for (const chunk of chunksOf(subscriberIds, 500)) {
    const query = suspensionRows(db).whereIn('n.subscriber_id', chunk).whereNotNull('s.open_cause');
    if (cause !== undefined) void query.where('s.open_cause', cause);
    found.push(...(await query).map(asSuspension));
  }
  return found;
}

/** The same for subscriptions. */
export async function openSuspensionsOn(
  db: Db,
  subscriptionIds: readonly SubscriptionId[],
  cause?: SuspensionCause,
): Promise<OpenSuspension[]> {
  const found: OpenSuspension[] = [];
  for (const chunk of chunksOf(subscriptionIds, 500)) {
    const query = suspensionRows(db).whereIn('s.subscription_id', chunk).whereNotNull('s.open_cause');
    if (cause !== undefined) void query.where('s.open_cause', cause);
    found.push(...(await query).map(asSuspension));
  }
  return found;
}

/** What one act of closing closed: how a repeated transaction knows its own work. */
export async function closedInOneAct(
  db: Db,
  act: { subscriptionIds: readonly SubscriptionId[]; at: Date; actor: string; because: ClosedBecause },
): Promise<OpenSuspension[]> {
  const rows = await suspensionRows(db)
    .whereIn('s.subscription_id', act.subscriptionIds)
    .where('s.closed_at', sqlInstant(act.at))
    .where({ 's.closed_by': act.actor, 's.closed_because': act.because });
  return rows.map(asSuspension);
}

/** Open overdue suspensions by id, a page at a time: what the sweep looks through. */
export async function openOverduePage(
  db: Db,
  page: { after: SuspensionId | null; limit: number },
): Promise<OpenSuspension[]> {
  const rows = await suspensionRows(db)
    .where('s.open_cause', 'overdue')
    .where('s.id', '>', page.after ?? '0')
    .limit(page.limit);
  return rows.map(asSuspension);
}

function suspensionRows(db: Db) {
  return db('subscription as n')
    .join('suspension as s', 's.subscription_id', 'n.id')
    .orderBy('s.id')
    .select<SuspensionRow[]>(
      's.id',
      's.subscription_id',
      'n.subscriber_id',
      's.cause',
      's.effect',
      's.throttle_rate',
      's.opened_at',
      's.opened_by',
      's.opened_by_run_id',
      's.note',
    );
}

interface SuspensionRow {
  id: SuspensionId;
  subscription_id: SubscriptionId;
  subscriber_id: SubscriberId;
  cause: SuspensionCause;
  effect: SuspensionEffect;
  throttle_rate: string | null;
  opened_at: string;
  opened_by: string;
  opened_by_run_id: OverdueRunId | null;
  note: string;
}

function asSuspension(row: SuspensionRow): OpenSuspension {
  return {
    id: row.id,
    subscriptionId: row.subscription_id,
    subscriberId: row.subscriber_id,
    cause: row.cause,
    effect: row.effect,
    throttleRate: row.throttle_rate,
    openedAt: fromSqlInstant(row.opened_at),
    openedBy: row.opened_by,
    openedByRunId: row.opened_by_run_id,
    note: row.note,
  };
}
