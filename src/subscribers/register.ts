import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { doneBefore } from '../db/done-before.ts';
import { inTransaction, isDuplicate, type Trx } from '../db/knex.ts';
import type { PackageRow } from '../db/packages.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import { readSettings } from '../db/settings.ts';
import {
  ensureOperator,
  insertLogin,
  insertSubscriber,
  insertSubscription,
  loginByUsername,
  subscriberById,
} from '../db/subscribers.ts';
import { addDays, type Day, dayIn } from '../domain/day.ts';
import type { LoginId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { AppError, invalid, notFound } from '../errors.ts';
import { amount, day, line, parseInput } from '../input.ts';
import * as fields from './fields.ts';

const loginFields = {
  username: fields.username(),
  /** Left out: one is made, and given back this once. */
  password: fields.password().optional(),
  macLock: fields.macLock().optional(),
  staticIpv4: fields.staticIpv4().optional(),
  delegatedIpv6Prefix: fields.delegatedIpv6Prefix().optional(),
  simultaneousUse: fields.simultaneousUse().default(1),
  package: line(80),
  /** The first day that is billed; today where it is left out. */
  anchorOn: day().optional(),
  priceOverrideMinor: amount().optional(),
};

/** Checked without the database too, by the review of an import. */
export const newSubscriberSchema = z.strictObject({
  name: line(120),
  phone: fields.phone().optional(),
  email: fields.email().optional(),
  street: line(190).optional(),
  billingProfile: line(80),
  ...loginFields,
});

const subscriptionSchema = z.strictObject({ subscriberId: z.custom<SubscriberId>(), ...loginFields });

export interface Registered {
  subscriberId: SubscriberId;
  subscriptionId: SubscriptionId;
  loginId: LoginId;
  username: string;
  /** Only where it was made here; it is shown once and never again. */
  generatedPassword?: string;
}

/** A subscriber with the first subscription and its login, in one transaction. A username is never given twice. */
export async function addSubscriber(
  ctx: CommandContext,
  input: z.input<typeof newSubscriberSchema>,
): Promise<Registered> {
  const wanted = parseInput(newSubscriberSchema, input);
  return register(ctx, wanted, async (trx) => {
    await ensureOperator(trx, ctx.clock.now());
    const subscriberId = await insertSubscriber(trx, {
      name: wanted.name,
      phone: wanted.phone ?? null,
      email: wanted.email ?? null,
      street: wanted.street ?? null,
      billingProfileId: await fields.billingProfileId(trx, wanted.billingProfile),
      createdAt: ctx.clock.now(),
    });
    return { subscriberId, about: { name: wanted.name, billingProfile: wanted.billingProfile } };
  });
}

/** One more subscription, with its login, for a subscriber that we have. */
export async function addSubscription(
  ctx: CommandContext,
  input: z.input<typeof subscriptionSchema>,
): Promise<Registered> {
  const wanted = parseInput(subscriptionSchema, input);
  return register(ctx, wanted, async (trx) => {
    const payer = await subscriberById(trx, wanted.subscriberId);
    if (payer === undefined) throw notFound(`subscriber #${wanted.subscriberId}`);
    return { subscriberId: payer.id, about: {} };
  });
}

type LoginWanted = Omit<z.output<typeof subscriptionSchema>, 'subscriberId'>;

async function register(
  ctx: CommandContext,
  wanted: LoginWanted,
  payer: (trx: Trx) => Promise<{ subscriberId: SubscriberId; about: Record<string, unknown> }>,
): Promise<Registered> {
  const generated = wanted.password === undefined ? fields.generatePassword() : undefined;
  const password = wanted.password ?? generated ?? '';
  const registered = await inTransaction(ctx.db, async (trx) => {
    const existing = await alreadyRegistered(trx, ctx.correlationId, wanted.username);
    if (existing !== undefined) return existing;
    const now = ctx.clock.now();
    const today = dayIn((await readSettings(trx)).zone, now);
    const offered = await fields.sellablePackage(trx, wanted.package);
    await checkLogin(trx, wanted, offered);
    const { subscriberId, about } = await payer(trx);
    const subscriptionId = await insertSubscription(trx, {
      subscriberId,
      packageId: offered.id,
      anchorOn: checkAnchor(wanted.anchorOn, today),
      startedOn: today,
      priceOverrideMinor: wanted.priceOverrideMinor ?? null,
    });
    const loginId = await insertLoginOrRefuse(ctx, trx, { ...wanted, subscriptionId, password });
    await recordActivity(trx, {
      at: now,
      actor: ctx.actor,
      verb: 'login.add',
      subject: { kind: 'login', id: loginId },
      subscriberId,
      loginId,
      correlationId: ctx.correlationId,
      diff: { after: { ...about, username: wanted.username, package: wanted.package } },
    });
    await requestReconcile(trx, [{ kind: 'login', key: loginId }], {
      priority: 'staff',
      requestedBy: ctx.correlationId,
    });
    return { subscriberId, subscriptionId, loginId, username: wanted.username };
  });
  ctx.wake('worker');
  return { ...registered, ...(generated === undefined ? {} : { generatedPassword: generated }) };
}

/** The same request again, because the answer to its COMMIT was lost, finds what it did; another one is refused. */
async function alreadyRegistered(
  trx: Trx,
  correlationId: string,
  username: string,
): Promise<Registered | undefined> {
  const login = await loginByUsername(trx, username);
  if (login === undefined) return undefined;
  const isOurs = await doneBefore(trx, { correlationId, verb: 'login.add', subjectId: login.id });
  if (isOurs) {
    return {
      subscriberId: login.subscriberId,
      subscriptionId: login.subscriptionId,
      loginId: login.id,
      username,
    };
  }
  throw usernameTaken();
}

function usernameTaken(): AppError {
  return new AppError('conflict', 'username: has been given before, and a username is never given twice', {
    field: 'username',
  });
}

async function checkLogin(trx: Trx, wanted: LoginWanted, offered: PackageRow): Promise<void> {
  if (offered.customerType === 'static_ip' && wanted.staticIpv4 === undefined) {
    throw invalid('staticIpv4', `is missing: package ${offered.name} is for a static address`);
  }
  await fields.checkAddresses(trx, wanted);
}

/** Exported for the review of an import, which asks it before anything is begun. */
export function checkAnchor(anchorOn: Day | undefined, today: Day): Day {
  const anchor = anchorOn ?? today;
  if (anchor < addDays(today, -366) || anchor > addDays(today, 366)) {
    throw invalid('anchorOn', 'must be within a year of today');
  }
  return anchor;
}

async function insertLoginOrRefuse(
  ctx: CommandContext,
  trx: Trx,
  given: LoginWanted & { subscriptionId: SubscriptionId; password: string },
): Promise<LoginId> {
  try {
    return await insertLogin(
      trx,
      {
        subscriptionId: given.subscriptionId,
        username: given.username,
        macLock: given.macLock ?? null,
        staticIpv4: given.staticIpv4 ?? null,
        delegatedIpv6Prefix: given.delegatedIpv6Prefix ?? null,
        simultaneousUse: given.simultaneousUse,
        createdAt: ctx.clock.now(),
      },
      (id) => ctx.vault.seal(`login.secret:${id}`, given.password),
    );
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    // Two keys can be broken: whoever else took the name is committed by now, and can be read.
    if ((await loginByUsername(trx, given.username)) !== undefined) throw usernameTaken();
    throw new AppError('conflict', 'staticIpv4: belongs to another login', { field: 'staticIpv4' });
  }
}
