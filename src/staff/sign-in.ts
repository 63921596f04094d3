import { createHash, randomBytes } from 'node:crypto';
import { isPassword, pretendToCheck } from '../adapters/password-hash.ts';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { changeStaff, countFailure, findStaff, type Staff, useTotpStep } from '../db/staff.ts';
import { deleteExpiredSessions, deleteStaffSession, insertStaffSession } from '../db/staff-sessions.ts';
import { lockMs, sessionEnd } from '../domain/sign-in.ts';
import { matchingStep } from '../domain/totp.ts';

export interface SignInInput {
  username: string;
  password: string;
  code: string;
  address: string;
  agent: string;
  /** The session that the browser had before: it ends, so that a planted cookie is worth nothing. */
  oldSessionId?: string | undefined;
}

export type SignInResult =
  | { ok: true; staff: Staff; sessionId: string }
  | { ok: false; reason: 'wrong' | 'code_needed' | 'code_wrong' }
  | { ok: false; reason: 'locked'; until: Date };

/**
 * Checks name, password and, where the person uses them, a one-time code, and opens a session under a new id. A wrong
 * name and a wrong password look the same and take the same time.
 */
export async function signIn(ctx: CommandContext, input: SignInInput): Promise<SignInResult> {
  const now = ctx.clock.now();
  const staff = await findStaff(ctx.db, { username: input.username.trim().toLowerCase() });
  if (staff === undefined || staff.disabledAt !== null) {
    await pretendToCheck(input.password);
    return { ok: false, reason: 'wrong' };
  }
  if (staff.lockedUntil !== null && staff.lockedUntil > now) {
    await pretendToCheck(input.password);
    return { ok: false, reason: 'locked', until: staff.lockedUntil };
  }
  if (!(await isPassword(input.password, staff.passwordHash))) return await failed(ctx, staff, 'wrong');
  if (staff.isTotpOn) {
    if (input.code.trim() === '') return { ok: false, reason: 'code_needed' };
    if (!(await takesCode(ctx, staff, input.code.trim(), now))) return await failed(ctx, staff, 'code_wrong');
  }
  return { ok: true, staff, sessionId: await openSession(ctx, staff, input, now) };
}

/** Ends one session; a session that is not there is ended already. */
export async function signOut(ctx: CommandContext, sessionId: string): Promise<void> {
  await deleteStaffSession(ctx.db, hashOf(sessionId));
}

/** What the table knows of a cookie. */
export function hashOf(sessionId: string): string {
  return createHash('sha256').update(sessionId).digest('hex');
}

async function takesCode(ctx: CommandContext, staff: Staff, code: string, now: Date): Promise<boolean> {
  if (staff.totpSecret === null) return false;
  const secret = Buffer.from(ctx.vault.open(`staff.totp_secret:${staff.id}`, staff.totpSecret), 'hex');
  const step = matchingStep(secret, code, now);
  return step !== null && (await useTotpStep(ctx.db, staff.id, step));
}

async function failed(
  ctx: CommandContext,
  staff: Staff,
  reason: 'wrong' | 'code_wrong',
): Promise<SignInResult> {
  const now = ctx.clock.now();
  const failures = await countFailure(ctx.db, staff.id);
  const ms = lockMs(failures);
  if (ms === 0) return { ok: false, reason };
  const until = new Date(now.getTime() + ms);
  await changeStaff(ctx.db, staff.id, { lockedUntil: until });
  await recordActivity(ctx.db, {
    at: now,
    actor: staff.username,
    verb: 'staff.locked',
    subject: { kind: 'staff', id: staff.id },
    correlationId: ctx.correlationId,
    diff: { failures, until: until.toISOString() },
    outcome: 'refused',
  });
  return { ok: false, reason: 'locked', until };
}

async function openSession(
  ctx: CommandContext,
  staff: Staff,
  input: SignInInput,
  now: Date,
): Promise<string> {
  const sessionId = randomBytes(32).toString('base64url');
  if (input.oldSessionId !== undefined) await deleteStaffSession(ctx.db, hashOf(input.oldSessionId));
  await deleteExpiredSessions(ctx.db, now);
  await changeStaff(ctx.db, staff.id, { failedCount: 0, lockedUntil: null });
  await insertStaffSession(ctx.db, {
    idHash: hashOf(sessionId),
    staffId: staff.id,
    at: now,
    expiresAt: sessionEnd(now, now),
    address: input.address,
    agent: input.agent,
  });
  await recordActivity(ctx.db, {
    at: now,
    actor: staff.username,
    verb: 'staff.signed_in',
    subject: { kind: 'staff', id: staff.id },
    correlationId: ctx.correlationId,
    diff: { address: input.address },
  });
  return sessionId;
}
