import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { hashPassword, isPassword } from '../adapters/password-hash.ts';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction, isDuplicate, type Trx } from '../db/knex.ts';
import { holdRule } from '../db/rules.ts';
import {
  allStaff,
  changeStaff,
  findStaff,
  hasStaff,
  insertStaff,
  type Staff,
  useTotpStep,
} from '../db/staff.ts';
import { deleteSessionsOfStaff } from '../db/staff-sessions.ts';
import { type StaffRole, staffRoles } from '../domain/permissions.ts';
import { passwordFault } from '../domain/sign-in.ts';
import { matchingStep } from '../domain/totp.ts';
import { AppError, conflict, invalid, notFound } from '../errors.ts';

const usernameRule = /^[a-z][a-z0-9._-]{1,62}$/;
const newStaff = z.object({ username: z.string(), name: z.string(), role: z.string(), password: z.string() });

/** Adds a person. Throws on a name that is taken or a password that breaks a rule, naming the field. */
export async function addStaff(
  ctx: CommandContext,
  input: { username: string; name: string; role: string; password: string },
): Promise<string> {
  return addPerson(ctx, input, () => Promise.resolve());
}

/** The first person, an owner, on an installation that has nobody yet. */
export async function addFirstOwner(
  ctx: CommandContext,
  input: { username: string; name: string; password: string },
): Promise<string> {
  return addPerson(ctx, { ...input, role: 'owner' }, async (trx) => {
    await holdRule(trx, 'owners');
    if (await hasStaff(trx)) throw conflict('there is an owner already: sign in');
  });
}

async function addPerson(
  ctx: CommandContext,
  input: { username: string; name: string; role: string; password: string },
  check: (trx: Trx) => Promise<void>,
): Promise<string> {
  const parsed = newStaff.parse(input);
  const username = parsed.username.trim().toLowerCase();
  if (!usernameRule.test(username)) {
    throw invalid(
      'username',
      'must be 2 to 63 of a-z, 0-9, dot, dash and underscore, beginning with a letter',
    );
  }
  const name = nameOf(parsed.name);
  const role = roleOf(parsed.role);
  checkPassword(parsed.password, username);
  const passwordHash = await hashPassword(parsed.password);
  try {
    return await inTransaction(ctx.db, async (trx) => {
      await check(trx);
      const id = await insertStaff(trx, { username, name, role, passwordHash, createdAt: ctx.clock.now() });
      await recordActivity(trx, activity(ctx, 'staff.added', id, { username, role }));
      return id;
    });
  } catch (error) {
    if (isDuplicate(error)) throw new AppError('conflict', 'username: is taken', { field: 'username' });
    throw error;
  }
}

/** Changes name, role or whether the person may sign in. The last owner stays an owner. */
export async function setStaff(
  ctx: CommandContext,
  id: string,
  changes: { name?: string; role?: string; isDisabled?: boolean },
): Promise<void> {
  const role = changes.role === undefined ? undefined : roleOf(changes.role);
  const name = changes.name === undefined ? undefined : nameOf(changes.name);
  const losesOwner = (role !== undefined && role !== 'owner') || changes.isDisabled === true;
  await inTransaction(ctx.db, async (trx) => {
    // Two owners who take each other out at once would leave nobody.
    if (losesOwner) await holdRule(trx, 'owners');
    const staff = existing(await findStaff(trx, { id }), id);
    if (staff.role === 'owner' && losesOwner) {
      const owners = (await allStaff(trx)).filter((one) => one.role === 'owner' && one.disabledAt === null);
      if (owners.length <= 1) throw conflict('the last owner can neither be disabled nor get another role');
    }
    await changeStaff(trx, id, {
      ...(name === undefined ? {} : { name }),
      ...(role === undefined ? {} : { role }),
      ...(changes.isDisabled === undefined
        ? {}
        : { disabledAt: changes.isDisabled ? ctx.clock.now() : null }),
    });
    // What a person may do is read at each request, but who is out is out at once.
    if (changes.isDisabled === true) await deleteSessionsOfStaff(trx, id);
    await recordActivity(trx, activity(ctx, 'staff.changed', id, { ...changes }));
  });
}

/** A person changes the own password, which ends all other sessions. */
export async function changeOwnPassword(
  ctx: CommandContext,
  input: { staffId: string; current: string; next: string; keepSessionHash: string },
): Promise<void> {
  const staff = existing(await findStaff(ctx.db, { id: input.staffId }), input.staffId);
  if (!(await isPassword(input.current, staff.passwordHash)))
    throw invalid('current', 'is not the current password');
  checkPassword(input.next, staff.username, 'next');
  await setPassword(ctx, staff, input.next, input.keepSessionHash);
}

/** An owner gives somebody a new password; that person is signed out everywhere and the lock is lifted. */
export async function resetPassword(ctx: CommandContext, staffId: string, password: string): Promise<void> {
  const staff = existing(await findStaff(ctx.db, { id: staffId }), staffId);
  checkPassword(password, staff.username);
  await setPassword(ctx, staff, password, undefined);
}

/** Makes a one-time-code secret that counts only once it was confirmed with a code. Gives the secret's bytes. */
export async function beginTotp(ctx: CommandContext, staffId: string): Promise<Buffer> {
  const secret = randomBytes(20);
  const sealed = ctx.vault.seal(`staff.totp_secret:${staffId}`, secret.toString('hex'));
  await changeStaff(ctx.db, staffId, { totpSecret: sealed, totpConfirmedAt: null });
  return secret;
}

/** The secret that waits for its first code, so that a form with a wrong code can show it again. */
export async function pendingTotp(ctx: CommandContext, staffId: string): Promise<Buffer | null> {
  const staff = existing(await findStaff(ctx.db, { id: staffId }), staffId);
  if (staff.totpSecret === null || staff.isTotpOn) return null;
  return Buffer.from(ctx.vault.open(`staff.totp_secret:${staffId}`, staff.totpSecret), 'hex');
}

export async function confirmTotp(ctx: CommandContext, staffId: string, code: string): Promise<void> {
  const secret = await pendingTotp(ctx, staffId);
  if (secret === null) throw conflict('no one-time codes are being set up');
  const step = matchingStep(secret, code.trim(), ctx.clock.now());
  if (step === null) throw invalid('code', 'is not the code that the program shows now');
  await inTransaction(ctx.db, async (trx) => {
    await changeStaff(trx, staffId, { totpConfirmedAt: ctx.clock.now() });
    await useTotpStep(trx, staffId, step);
    await recordActivity(trx, activity(ctx, 'staff.totp_on', staffId, {}));
  });
}

export async function turnOffTotp(ctx: CommandContext, staffId: string): Promise<void> {
  await inTransaction(ctx.db, async (trx) => {
    await changeStaff(trx, staffId, { totpSecret: null, totpConfirmedAt: null });
    await recordActivity(trx, activity(ctx, 'staff.totp_off', staffId, {}));
  });
}

async function setPassword(
  ctx: CommandContext,
  staff: Staff,
  password: string,
  keepSessionHash: string | undefined,
): Promise<void> {
  const passwordHash = await hashPassword(password);
  await inTransaction(ctx.db, async (trx) => {
    await changeStaff(trx, staff.id, { passwordHash, failedCount: 0, lockedUntil: null });
    await deleteSessionsOfStaff(trx, staff.id, keepSessionHash);
    await recordActivity(trx, activity(ctx, 'staff.password_changed', staff.id, {}));
  });
}

function checkPassword(password: string, username: string, field = 'password'): void {
  const fault = passwordFault(password, username);
  if (fault !== null) throw invalid(field, fault);
}

function nameOf(text: string): string {
  const name = text.trim();
  if (name === '' || name.length > 120) throw invalid('name', 'must have 1 to 120 characters');
  return name;
}

function roleOf(text: string): StaffRole {
  const role = staffRoles.find((one) => one === text);
  if (role === undefined) throw invalid('role', `must be one of ${staffRoles.join(', ')}`);
  return role;
}

function existing(staff: Staff | undefined, id: string): Staff {
  if (staff === undefined) throw notFound(`staff ${id}`);
  return staff;
}

function activity(ctx: CommandContext, verb: string, id: string, diff: Record<string, unknown>) {
  return {
    at: ctx.clock.now(),
    actor: ctx.actor,
    verb,
    subject: { kind: 'staff', id },
    correlationId: ctx.correlationId,
    diff,
  };
}
