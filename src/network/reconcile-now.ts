import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction } from '../db/knex.ts';
import { openSessionIds, requestAllLogins } from '../db/login-requests.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import type { LoginId, RouterId } from '../domain/ids.ts';

export interface Requested {
  readonly logins: number;
  readonly sessions: number;
  readonly routers: number;
}

/** Asks that a login and its open sessions be looked at now: the same path that payments and the sweep take. */
export async function reconcileLogin(
  ctx: CommandContext,
  login: { id: LoginId; username: string },
): Promise<Requested> {
  const requested = await inTransaction(ctx.db, async (trx) => {
    const sessions = await openSessionIds(trx, { username: login.username });
    await requestReconcile(
      trx,
      [
        { kind: 'login', key: login.id },
        ...sessions.map((s) => ({ kind: 'session' as const, key: s.radacctid, routerId: s.routerId })),
      ],
      { priority: 'staff', requestedBy: ctx.correlationId },
    );
    await recordActivity(trx, {
      ...about(ctx, 'login'),
      subject: { kind: 'login', id: login.id },
      loginId: login.id,
    });
    return { logins: 1, sessions: sessions.length, routers: 0 };
  });
  ctx.wake('worker');
  ctx.wake('lane');
  return requested;
}

/** Asks for a router's client entry and for every session that is open on it. */
export async function reconcileRouter(ctx: CommandContext, routerId: RouterId): Promise<Requested> {
  const requested = await inTransaction(ctx.db, async (trx) => {
    const sessions = await openSessionIds(trx, { routerId });
    await requestReconcile(
      trx,
      [
        { kind: 'router', key: routerId, routerId },
        ...sessions.map((session) => ({ kind: 'session' as const, key: session.radacctid, routerId })),
      ],
      { priority: 'staff', requestedBy: ctx.correlationId },
    );
    await recordActivity(trx, {
      ...about(ctx, 'router'),
      subject: { kind: 'router', id: routerId },
      routerId,
    });
    return { logins: 0, sessions: sessions.length, routers: 1 };
  });
  ctx.wake('worker');
  ctx.wake('lane');
  return requested;
}

/** Asks for every router and every login, behind whatever somebody waits for. Differing sessions follow by themselves. */
export async function reconcileEverything(
  ctx: CommandContext,
  routerIds: readonly RouterId[],
  onProgress: (count: number) => void,
): Promise<Requested> {
  await recordActivity(ctx.db, { ...about(ctx, 'everything'), subject: { kind: 'everything', id: null } });
  await requestReconcile(
    ctx.db,
    routerIds.map((routerId) => ({ kind: 'router', key: routerId, routerId })),
    { priority: 'sweep', requestedBy: ctx.correlationId },
  );
  const why = { priority: 'sweep', requestedBy: ctx.correlationId } as const;
  const logins = await requestAllLogins(ctx.db, why, onProgress);
  ctx.wake('worker');
  return { logins, sessions: 0, routers: routerIds.length };
}

function about(ctx: CommandContext, what: string) {
  return {
    at: ctx.clock.now(),
    actor: ctx.actor,
    verb: `reconcile.${what}`,
    correlationId: ctx.correlationId,
  };
}
