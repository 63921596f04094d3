import { z } from 'zod';
import type { CommandContext } from '../command.ts';
import { recordActivity } from '../db/activity.ts';
import { inTransaction } from '../db/knex.ts';
import { requestReconcile } from '../db/reconcile-requests.ts';
import { loginsOfSubscription, setSubscriptionPackage, subscriptionsOf } from '../db/subscribers.ts';
import { lockSubscribers } from '../db/subscriber-lock.ts';
import type { SubscriptionId } from '../domain/ids.ts';
import { invalid, notFound } from '../errors.ts';
import { amount, line, parseInput } from '../input.ts';
import { sellablePackage } from './fields.ts';

const schema = z.strictObject({
  subscriptionId: z.custom<SubscriptionId>(),
  package: line(80),
  /** A price agreed for this subscription; left out, the package's own. */
  priceOverrideMinor: amount().optional(),
});

export type PackageChange =
  { ok: true; from: string; to: string } | { ok: false; reason: 'same_package' | 'subscription_terminated' };

/**
 * Another package from now on: speed and pool at once (rows and the live session), the price from the next invoice,
 * since issued documents do not change. A price agreed for the old package ends with it.
 */
export async function changePackage(
  ctx: CommandContext,
  input: z.input<typeof schema>,
): Promise<PackageChange> {
  const wanted = parseInput(schema, input);
  const result = await inTransaction(ctx.db, async (trx): Promise<PackageChange> => {
    const [found] = await subscriptionsOf(trx, { subscriptionId: wanted.subscriptionId });
    if (found === undefined) throw notFound(`subscription ${wanted.subscriptionId}`);
    await lockSubscribers(trx, [found.subscriberId]);
    const [current] = await subscriptionsOf(trx, { subscriptionId: wanted.subscriptionId });
    if (current === undefined || current.state === 'terminated') {
      return { ok: false, reason: 'subscription_terminated' };
    }
    const offered = await sellablePackage(trx, wanted.package);
    const override = wanted.priceOverrideMinor ?? null;
    if (offered.id === current.packageId && override === null && !current.isPriceOverridden) {
      return { ok: false, reason: 'same_package' };
    }
    const logins = (await loginsOfSubscription(trx, current.id)).filter((login) => login.retiredAt === null);
    if (offered.customerType === 'static_ip' && logins.some((login) => login.staticIpv4 === null)) {
      throw invalid('package', `${offered.name} is for a static address: give the login one first`);
    }
    await setSubscriptionPackage(trx, current.id, { packageId: offered.id, priceOverrideMinor: override });
    await recordActivity(trx, {
      at: ctx.clock.now(),
      actor: ctx.actor,
      verb: 'subscription.change_package',
      subject: { kind: 'subscription', id: current.id },
      subscriberId: current.subscriberId,
      correlationId: ctx.correlationId,
      diff: {
        before: { package: current.packageName },
        after: { package: offered.name, priceOverrideMinor: override },
      },
    });
    await requestReconcile(
      trx,
      logins.map((login) => ({ kind: 'login', key: login.id })),
      { priority: 'staff', requestedBy: ctx.correlationId },
    );
    return { ok: true, from: current.packageName, to: offered.name };
  });
  if (result.ok) ctx.wake('worker');
  return result;
}
