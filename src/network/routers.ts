import { randomInt } from 'node:crypto';
import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction, isDuplicate, type Trx } from '../db/knex.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import {
  deletePoolRangesOf,
  dropSessionWishesOf,
  insertRouter,
  lockRouter,
  type RouterRow,
  routersByIds,
  routerSecretPlace,
  type RouterValues,
  takenBy,
  updateRouter,
  whatHangsOn,
} from '../db/routers.ts';
import { holdRule } from '../db/rules.ts';
import type { RouterId } from '../domain/ids.ts';
import { AppError, notFound } from '../errors.ts';
import { parseInput } from '../input.ts';
import { linesForNewRouter, linesForNewSecret, type RadiusServer } from './router-commands.ts';
import * as fields from './router-fields.ts';

const newRouter = z.strictObject({
  name: fields.name(),
  address: fields.address(),
  /** Made for them where none is given. */
  secret: fields.secret().optional(),
  coaPort: fields.coaPort().default(3799),
  rateChange: fields.rateChange().default('coa'),
  needsMessageAuthenticator: fields.needsMessageAuthenticator().default(false),
  pacePerSecond: fields.pacePerSecond().default(50),
});

export interface AddedRouter {
  readonly routerId: RouterId;
  /** Lines for the router's terminal, secret included: shown once to whoever asked, and kept nowhere. */
  readonly typeOnRouter: readonly string[];
}

/** A router that may ask FreeRADIUS within two seconds, without a restart. Throws `conflict` for a name or address in use. */
export async function addRouter(
  ctx: CommandContext,
  input: z.input<typeof newRouter>,
  server: RadiusServer,
): Promise<AddedRouter> {
  const { secret: given, ...wanted } = parseInput(newRouter, input);
  const secret = given ?? generateSecret();
  const at = ctx.clock.now();
  let earlier: RouterId | undefined;
  const routerId = await inTransaction(ctx.db, async (trx) => {
    // The answer to a COMMIT may get lost, and the repetition then meets its own router.
    if (earlier !== undefined && (await routersByIds(trx, [earlier])).length > 0) return earlier;
    const id = await refuseTaken(trx, wanted, null, () => insertRouter(trx, wanted, at));
    await updateRouter(trx, id, { sealedSecret: ctx.vault.seal(routerSecretPlace(id), secret) }, at);
    await record(ctx, trx, id, 'router.add', { after: wanted, secret: 'set' });
    earlier = id;
    return id;
  });
  ctx.wake('worker');
  return { routerId, typeOnRouter: linesForNewRouter(server, { ...wanted, secret }) };
}

const routerChange = z.strictObject({
  routerId: fields.routerId(),
  name: fields.name().optional(),
  address: fields.address().optional(),
  secret: fields.secret().optional(),
  isSecretGenerated: z.boolean().default(false),
  coaPort: fields.coaPort().optional(),
  rateChange: fields.rateChange().optional(),
  needsMessageAuthenticator: fields.needsMessageAuthenticator().optional(),
  pacePerSecond: fields.pacePerSecond().optional(),
});

export type ChangedRouter =
  | { readonly ok: true; readonly changed: readonly string[]; readonly typeOnRouter: readonly string[] }
  | { readonly ok: false; readonly reason: 'nothing_changed' };

/**
 * Changes a router. With a new secret it also gives what to type there: until that is done the router's CHAP and
 * MS-CHAP logins find no valid answer, while PAP without Message-Authenticator is rejected, so old and new should change
 * within the router's own retries. Throws `not_found`, or `conflict` for a name or address in use.
 */
export async function setRouter(
  ctx: CommandContext,
  input: z.input<typeof routerChange>,
  server: RadiusServer,
): Promise<ChangedRouter> {
  const { routerId, secret: given, isSecretGenerated, ...wanted } = parseInput(routerChange, input);
  if (isSecretGenerated && given !== undefined) {
    throw new AppError('invalid', 'secret: cannot be given and generated at the same time', {
      field: 'secret',
    });
  }
  const secret = isSecretGenerated ? generateSecret() : given;
  const at = ctx.clock.now();
  let earlier: ChangedRouter | undefined;
  const result = await inTransaction(ctx.db, async (trx): Promise<ChangedRouter> => {
    const router = await lockRouter(trx, routerId);
    if (router === undefined || router.removedAt !== null) throw notFound(`router ${routerId}`);
    if (earlier !== undefined && router.changedAt.getTime() === at.getTime()) return earlier;
    const { before, after } = differences(router, wanted);
    const isNewSecret = secret !== undefined && !opensTo(ctx, router, secret);
    const changed = [...Object.keys(after), ...(isNewSecret ? ['secret'] : [])];
    if (changed.length === 0) return { ok: false, reason: 'nothing_changed' };
    const sealed = isNewSecret ? { sealedSecret: ctx.vault.seal(routerSecretPlace(router.id), secret) } : {};
    await refuseTaken(trx, after, router.id, () => updateRouter(trx, router.id, { ...after, ...sealed }, at));
    await record(ctx, trx, router.id, 'router.set', {
      before,
      after,
      ...(isNewSecret ? { secret: 'changed' } : {}),
    });
    earlier = { ok: true, changed, typeOnRouter: isNewSecret ? linesForNewSecret(server, { secret }) : [] };
    return earlier;
  });
  if (result.ok) ctx.wake('worker');
  return result;
}

/** What was sealed with a key that we no longer have opens to nothing: then any secret is new. */
function opensTo(ctx: CommandContext, router: RouterRow, secret: string): boolean {
  try {
    return ctx.vault.open(routerSecretPlace(router.id), router.sealedSecret) === secret;
  } catch {
    return false;
  }
}

/** setRouter() with nothing but a new secret; made for them where none is given. */
export async function rotateSecret(
  ctx: CommandContext,
  input: { routerId: string; secret?: string },
  server: RadiusServer,
): Promise<ChangedRouter> {
  return setRouter(ctx, { ...input, isSecretGenerated: input.secret === undefined }, server);
}

const routerRemoval = z.strictObject({
  routerId: fields.routerId(),
  isWithOpenSessions: z.boolean().default(false),
  isWithPoolRanges: z.boolean().default(false),
});

export type RemovedRouter =
  | {
      readonly ok: true;
      readonly openSessions: number;
      readonly poolRanges: number;
      readonly droppedWishes: number;
    }
  | { readonly ok: false; readonly reason: 'already_removed' }
  | { readonly ok: false; readonly reason: 'open_sessions'; readonly openSessions: number }
  | { readonly ok: false; readonly reason: 'pool_ranges'; readonly pools: readonly string[] };

/**
 * Takes a router out. Its row stays, so that old accounting keeps its name; its name and address are free again. With
 * sessions open on it, or pool ranges, it refuses unless told: after the removal nobody can end those sessions, and
 * FreeRADIUS ignores their Stops, so that they close as stale. Wishes for its sessions are dropped, as there is nobody
 * to send them to.
 */
export async function removeRouter(
  ctx: CommandContext,
  input: z.input<typeof routerRemoval>,
): Promise<RemovedRouter> {
  const wanted = parseInput(routerRemoval, input);
  const at = ctx.clock.now();
  let earlier: RemovedRouter | undefined;
  const result = await inTransaction(ctx.db, async (trx): Promise<RemovedRouter> => {
    // A range that is added to it meanwhile would be left behind.
    await holdRule(trx, 'addresses');
    const router = await lockRouter(trx, wanted.routerId);
    if (router === undefined) throw notFound(`router ${wanted.routerId}`);
    if (earlier !== undefined && router.removedAt?.getTime() === at.getTime()) return earlier;
    if (router.removedAt !== null) return { ok: false, reason: 'already_removed' };
    const { pools, openSessions } = await whatHangsOn(trx, router.id);
    if (pools.length > 0 && !wanted.isWithPoolRanges) return { ok: false, reason: 'pool_ranges', pools };
    if (openSessions > 0 && !wanted.isWithOpenSessions) {
      return { ok: false, reason: 'open_sessions', openSessions };
    }
    await updateRouter(trx, router.id, { removedAt: at }, at);
    const poolRanges = await deletePoolRangesOf(trx, router.id);
    const droppedWishes = await dropSessionWishesOf(trx, router.id);
    const counts = { openSessions, poolRanges, droppedWishes };
    await record(ctx, trx, router.id, 'router.remove', {
      name: router.name,
      address: router.address,
      pools,
      ...counts,
    });
    earlier = { ok: true, ...counts };
    return earlier;
  });
  if (result.ok) ctx.wake('worker');
  return result;
}

type Settable = Omit<RouterValues, 'sealedSecret' | 'removedAt'>;

function differences(
  router: RouterRow,
  wanted: { [Key in keyof Settable]?: Settable[Key] | undefined },
): { before: Settable; after: Settable } {
  const current: Record<string, unknown> = { ...router };
  const changed = Object.entries(wanted).filter(
    ([name, value]) => value !== undefined && value !== current[name],
  );
  return {
    before: Object.fromEntries(changed.map(([name]) => [name, current[name]])),
    after: Object.fromEntries(changed),
  };
}

/** Says which field is in use, before writing where it can be seen, or when the database refuses. */
async function refuseTaken<T>(
  trx: Trx,
  wanted: { name?: string; address?: string },
  exceptId: string | null,
  write: () => Promise<T>,
): Promise<T> {
  const names = {
    ...(wanted.name === undefined ? {} : { name: wanted.name }),
    ...(wanted.address === undefined ? {} : { address: wanted.address }),
  };
  const taken = await takenBy(trx, names, exceptId);
  if (taken !== undefined) throw belongsToAnother(taken);
  try {
    return await write();
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    throw belongsToAnother((await takenBy(trx, names, exceptId)) ?? 'address');
  }
}

function belongsToAnother(field: 'name' | 'address'): AppError {
  return new AppError('conflict', `${field}: belongs to another router`, { field });
}

async function record(
  ctx: CommandContext,
  trx: Trx,
  routerId: RouterId,
  verb: string,
  diff: Record<string, unknown>,
): Promise<void> {
  await recordActivity(trx, {
    at: ctx.clock.now(),
    actor: ctx.actor,
    verb,
    subject: { kind: 'router', id: routerId },
    routerId,
    correlationId: ctx.correlationId,
    diff,
  });
  await requestReconcile(trx, [{ kind: 'router', key: routerId, routerId }], {
    priority: 'router',
    requestedBy: ctx.correlationId,
  });
}

const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';

/** 32 characters that nobody mistakes when reading aloud: more than 180 bits, and nothing that needs quoting. */
function generateSecret(): string {
  return Array.from({ length: 32 }, () => alphabet[randomInt(alphabet.length)]).join('');
}
