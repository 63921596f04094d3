import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction, isDuplicate } from '../db/knex.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import { loginById, type LoginRow, updateLogin } from '../db/subscribers.ts';
import type { LoginId } from '../domain/ids.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import { AppError, invalid, notFound } from '../errors.ts';
import { parseInput } from '../input.ts';
import * as fields from './fields.ts';

/** null takes a lock or an address away. */
const schema = z.strictObject({
  loginId: z.custom<LoginId>(),
  password: fields.password().optional(),
  isPasswordGenerated: z.boolean().default(false),
  macLock: fields.macLock().nullable().optional(),
  staticIpv4: fields.staticIpv4().nullable().optional(),
  delegatedIpv6Prefix: fields.delegatedIpv6Prefix().nullable().optional(),
  simultaneousUse: fields.simultaneousUse().optional(),
});

type Wanted = z.output<typeof schema>;

export type LoginChange =
  | { ok: true; changed: readonly string[]; generatedPassword?: string }
  | { ok: false; reason: 'nothing_given' | 'nothing_changed' | 'login_retired' };

/** Changes what a login dials with: password, MAC lock, addresses, how many sessions at once. */
export async function setLogin(ctx: CommandContext, input: z.input<typeof schema>): Promise<LoginChange> {
  const wanted = parseInput(schema, input);
  if (wanted.isPasswordGenerated && wanted.password !== undefined) {
    throw invalid('password', 'cannot be given and generated at the same time');
  }
  const generated = wanted.isPasswordGenerated ? fields.generatePassword() : undefined;
  const password = wanted.password ?? generated;
  const result = await inTransaction(ctx.db, async (trx): Promise<LoginChange> => {
    const found = await loginById(trx, wanted.loginId);
    if (found === undefined) throw notFound(`login ${wanted.loginId}`);
    await lockSubscribers(trx, [found.subscriberId]);
    const login = await loginById(trx, wanted.loginId);
    if (login === undefined || login.retiredAt !== null) return { ok: false, reason: 'login_retired' };
    const changes = changesOf(login, wanted);
    const changed = [...Object.keys(changes), ...(password === undefined ? [] : ['password'])];
    if (changed.length === 0) {
      return { ok: false, reason: Object.keys(input).length > 1 ? 'nothing_changed' : 'nothing_given' };
    }
    await fields.checkAddresses(trx, changes);
    const secret =
      password === undefined ? {} : { secret: ctx.vault.seal(`login.secret:${login.id}`, password) };
    await updateLogin(trx, login.id, { ...changes, ...secret }).catch((error: unknown) => {
      if (!isDuplicate(error)) throw error;
      throw new AppError('conflict', 'staticIpv4: belongs to another login', { field: 'staticIpv4' });
    });
    await recordActivity(trx, {
      at: ctx.clock.now(),
      actor: ctx.actor,
      verb: 'login.set',
      subject: { kind: 'login', id: login.id },
      subscriberId: login.subscriberId,
      loginId: login.id,
      correlationId: ctx.correlationId,
      diff: { changed, before: pick(login, Object.keys(changes)), after: changes },
    });
    await requestReconcile(trx, [{ kind: 'login', key: login.id }], {
      priority: 'staff',
      requestedBy: ctx.correlationId,
    });
    return { ok: true, changed };
  });
  if (!result.ok) return result;
  ctx.wake('worker');
  return { ...result, ...(generated === undefined ? {} : { generatedPassword: generated }) };
}

interface Settable {
  macLock?: string | null;
  staticIpv4?: string | null;
  delegatedIpv6Prefix?: string | null;
  simultaneousUse?: number;
}

/** What was given and differs from what is stored. The password is left out: it is never read back to compare. */
function changesOf(login: LoginRow, wanted: Wanted): Settable {
  return {
    ...(wanted.macLock !== undefined && wanted.macLock !== login.macLock ? { macLock: wanted.macLock } : {}),
    ...(wanted.staticIpv4 !== undefined && wanted.staticIpv4 !== login.staticIpv4
      ? { staticIpv4: wanted.staticIpv4 }
      : {}),
    ...(wanted.delegatedIpv6Prefix !== undefined && wanted.delegatedIpv6Prefix !== login.delegatedIpv6Prefix
      ? { delegatedIpv6Prefix: wanted.delegatedIpv6Prefix }
      : {}),
    ...(wanted.simultaneousUse !== undefined && wanted.simultaneousUse !== login.simultaneousUse
      ? { simultaneousUse: wanted.simultaneousUse }
      : {}),
  };
}

function pick(login: LoginRow, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(login).filter(([name]) => names.includes(name)));
}
