import type { CommandContext } from '../command.ts';
import type { BulkKind, BulkResult } from '../db/bulk-jobs.ts';
import { isPassing } from '../db/knex.ts';
import { loginsOfSubscription, subscriptionsOf } from '../db/subscribers.ts';
import type { SubscriberId } from '../domain/ids.ts';
import { AppError } from '../errors.ts';
import { describeError } from '../log.ts';
import { kickSession } from '../network/kick-session.ts';
import { reconcileLogin } from '../network/reconcile-now.ts';
import type { BulkInput } from './bulk-input.ts';
import { changePackage } from './change-package.ts';
import { holdSubscription } from './hold.ts';
import { liftSuspension } from './lift.ts';

type Outcome = Omit<BulkResult, 'subscriberId'>;

/**
 * Does one act for one subscriber, by the very command that a page or the command line calls. What the command refuses
 * is this subscriber's outcome and stops nobody else; a database that does not answer stops the job, which is gone on
 * with later.
 */
export async function actOnSubscriber(
  ctx: CommandContext,
  wanted: { kind: BulkKind; input: BulkInput; subscriberId: SubscriberId },
): Promise<BulkResult> {
  const { subscriberId } = wanted;
  try {
    return { subscriberId, ...(await outcomeOf(ctx, wanted)) };
  } catch (error) {
    if (isPassing(error)) throw error;
    if (error instanceof AppError) return { subscriberId, state: 'failed', result: error.message };
    ctx.log.error('a bulk act failed', { kind: wanted.kind, subscriberId, error: describeError(error) });
    return { subscriberId, state: 'failed', result: 'a fault of Sluice; the log says more' };
  }
}

function outcomeOf(
  ctx: CommandContext,
  { kind, input, subscriberId }: { kind: BulkKind; input: BulkInput; subscriberId: SubscriberId },
): Promise<Outcome> {
  switch (kind) {
    case 'hold':
      return hold(ctx, subscriberId, input);
    case 'lift':
      return lift(ctx, subscriberId, input);
    case 'kick':
      return kick(ctx, subscriberId, input);
    case 'reconcile':
      return reconcile(ctx, subscriberId);
    case 'change_package':
      return change(ctx, subscriberId, input);
  }
}

async function hold(ctx: CommandContext, subscriberId: SubscriberId, input: BulkInput): Promise<Outcome> {
  const done = await holdSubscription(ctx, {
    subscriberId,
    cause: input.cause ?? 'staff',
    effect: input.effect ?? 'block',
    note: input.note ?? '',
    ...(input.throttleRate === undefined ? {} : { throttleRate: input.throttleRate }),
  });
  if (done.ok) return { state: 'changed', result: `held: ${counted(done.held.length, 'subscription')}` };
  return {
    state: 'unchanged',
    result: done.reason === 'already_held' ? 'held for that cause already' : 'has ended',
  };
}

async function lift(ctx: CommandContext, subscriberId: SubscriberId, input: BulkInput): Promise<Outcome> {
  const done = await liftSuspension(ctx, {
    subscriberId,
    note: input.note ?? '',
    ...(input.cause === undefined ? {} : { cause: input.cause }),
  });
  if (done.ok)
    return { state: 'changed', result: `lifted: ${done.lifted.map(({ cause }) => cause).join(', ')}` };
  return done.reason === 'nothing_open'
    ? { state: 'unchanged', result: 'nothing was open' }
    : { state: 'failed', result: `open for ${done.causes.join(' and ')}: say which` };
}

async function kick(ctx: CommandContext, subscriberId: SubscriberId, input: BulkInput): Promise<Outcome> {
  let kicked = 0;
  let unknown = 0;
  for (const login of await livingLogins(ctx, subscriberId)) {
    const done = await kickSession(ctx, {
      username: login.username,
      ...(input.note === undefined ? {} : { note: input.note }),
    });
    if (done.ok) kicked += done.sessions.length;
    else if (done.reason === 'no_router') unknown++;
  }
  if (kicked > 0) return { state: 'changed', result: `asked ${counted(kicked, 'session')} to end` };
  return unknown > 0
    ? { state: 'failed', result: 'accounting names no router that is known' }
    : { state: 'unchanged', result: 'was not online' };
}

async function reconcile(ctx: CommandContext, subscriberId: SubscriberId): Promise<Outcome> {
  const logins = await livingLogins(ctx, subscriberId);
  for (const login of logins) await reconcileLogin(ctx, login);
  return logins.length === 0
    ? { state: 'unchanged', result: 'has no living login' }
    : { state: 'changed', result: `asked for ${counted(logins.length, 'login')}` };
}

async function change(ctx: CommandContext, subscriberId: SubscriberId, input: BulkInput): Promise<Outcome> {
  const living = (await subscriptionsOf(ctx.db, { subscriberId })).filter(
    (one) => one.state !== 'terminated' && (input.from === undefined || one.packageName === input.from),
  );
  let changed = 0;
  for (const subscription of living) {
    const done = await changePackage(ctx, { subscriptionId: subscription.id, package: input.package ?? '' });
    if (done.ok) changed++;
  }
  if (changed > 0) return { state: 'changed', result: `changed: ${counted(changed, 'subscription')}` };
  return { state: 'unchanged', result: living.length === 0 ? 'has no such subscription' : 'has it already' };
}

async function livingLogins(ctx: CommandContext, subscriberId: SubscriberId) {
  const subscriptions = await subscriptionsOf(ctx.db, { subscriberId });
  const lists = await Promise.all(subscriptions.map((one) => loginsOfSubscription(ctx.db, one.id)));
  return lists.flat().filter((login) => login.retiredAt === null);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
