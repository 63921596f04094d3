import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { recordKicks } from '../db/enforcement.ts';
import { inTransaction } from '../db/knex.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import { openSessions } from '../db/sessions.ts';
import type { RouterId, SessionId } from '../domain/ids.ts';
import { parseUsername } from '../domain/username.ts';
import { invalid } from '../errors.ts';

export type Kicked =
  | { readonly ok: true; readonly sessions: readonly { sessionId: SessionId; routerId: RouterId }[] }
  /** `no_router`: accounting names no router that we know, so nobody could be told. */
  | { readonly ok: false; readonly reason: 'no_open_session' | 'no_router' };

const sessionsMost = 100;

/**
 * Staff end a session, or some of them, or all open sessions of a username, whatever their access is: the subscriber may dial again at
 * once. The Disconnect is sent by the lane of the session's router.
 */
export async function kickSession(
  ctx: CommandContext,
  input: ({ sessionId: string } | { sessionIds: readonly string[] } | { username: string }) & {
    note?: string;
  },
): Promise<Kicked> {
  const which = whichOf(input);
  const note = (input.note ?? '').trim();
  if (note.length > 255) throw invalid('note', 'must be at most 255 characters');
  const at = ctx.clock.now();
  const kicked = await inTransaction(ctx.db, async (trx): Promise<Kicked> => {
    const open = await openSessions(trx, which);
    if (open.length === 0) return { ok: false, reason: 'no_open_session' };
    const sessions = open.flatMap((session) =>
      session.routerId === null ? [] : [{ ...session, routerId: session.routerId }],
    );
    if (sessions.length === 0) return { ok: false, reason: 'no_router' };
    await recordKicks(
      trx,
      sessions.map((session) => session.id),
      { actor: ctx.actor, at },
    );
    await recordActivity(
      trx,
      sessions.map((session) => ({
        at,
        actor: ctx.actor,
        verb: 'session.kick',
        subject: { kind: 'session', id: session.id },
        correlationId: ctx.correlationId,
        subscriberId: session.subscriberId,
        loginId: session.loginId,
        routerId: session.routerId,
        diff: { username: session.username, note },
      })),
    );
    await requestReconcile(
      trx,
      sessions.map((session) => ({ kind: 'session', key: session.id, routerId: session.routerId })),
      { priority: 'staff', requestedBy: ctx.correlationId },
    );
    return {
      ok: true,
      sessions: sessions.map((session) => ({ sessionId: session.id, routerId: session.routerId })),
    };
  });
  if (kicked.ok) ctx.wake('lane');
  return kicked;
}

function whichOf(
  input: { sessionId: string } | { sessionIds: readonly string[] } | { username: string },
): { sessionIds: readonly string[] } | { username: string } {
  if ('username' in input) return { username: checkedUsername(input.username) };
  const sessionIds = 'sessionId' in input ? [input.sessionId] : [...new Set(input.sessionIds)];
  if (sessionIds.some((id) => !/^[1-9]\d{0,18}$/.test(id)))
    throw invalid('session', 'must be the number of a session');
  if (sessionIds.length === 0 || sessionIds.length > sessionsMost)
    throw invalid('session', `choose 1 to ${sessionsMost} sessions`);
  return { sessionIds };
}

function checkedUsername(text: string): string {
  try {
    return parseUsername(text);
  } catch (error) {
    throw invalid('username', error instanceof RangeError ? error.message : 'is not a username');
  }
}
