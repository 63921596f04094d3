import { activeDeferralsOf } from '../db/deferrals.ts';
import { openInvoicesOf } from '../db/invoices.ts';
import type { Db } from '../db/knex.ts';
import type { OperatorSettings } from '../db/settings.ts';
import { accessSince, debtPolicyOf } from '../db/subscriber-page.ts';
import { subscriptionsOf } from '../db/subscribers.ts';
import { type OpenSuspension, openSuspensionsOf } from '../db/suspensions.ts';
import {
  type AccessSentence,
  accessSentence,
  type AccessStory,
  type DebtStory,
} from '../domain/access-sentence.ts';
import type { AccessKind, Reason, SuspensionCause } from '../domain/access-types.ts';
import { dayIn } from '../domain/day.ts';
import type { LoginId, SubscriberId, SubscriptionId } from '../domain/ids.ts';
import { groupedMinor } from '../domain/money.ts';

/** Who asks: the operator's zone and currency, and what time it is. */
export interface StoryFrame {
  readonly settings: Pick<OperatorSettings, 'zone' | 'exponent'>;
  readonly now: Date;
}

/** What is decided, and whether that is news to the stored decision. */
export interface DecidedStory {
  readonly access: AccessKind;
  readonly reason: Reason;
  readonly rate: string | null;
  readonly reviewAt: Date | null;
  readonly isNews: boolean;
}

/** What a subscriber owes and when a run would act: `null` of all subscriptions, else of that one's deferral. */
export async function debtStories(
  db: Db,
  frame: StoryFrame,
  subscriberId: SubscriberId,
  subscriptionIds: readonly SubscriptionId[],
): Promise<(subscriptionId: SubscriptionId | null) => DebtStory> {
  const today = dayIn(frame.settings.zone, frame.now);
  const [invoices, policy, deferrals] = await Promise.all([
    openInvoicesOf(db, [subscriberId]),
    debtPolicyOf(db, subscriberId),
    activeDeferralsOf(db, subscriptionIds, today),
  ]);
  return (subscriptionId) => ({
    ...policy,
    open: invoices.map((invoice) => ({
      label: `${invoice.series}-${invoice.number}`,
      dueOn: invoice.dueOn,
      openMinor: invoice.openMinor,
    })),
    deferredUntil:
      deferrals.find((one) => subscriptionId === null || one.subscriptionId === subscriptionId)?.untilOn ??
      null,
    format: (amount) => groupedMinor(amount, frame.settings.exponent),
  });
}

const causeOf: Partial<Record<Reason, SuspensionCause>> = {
  invoice_overdue: 'overdue',
  staff_hold: 'staff',
  fraud_hold: 'fraud',
  vacation: 'vacation',
};

/** The story of one login's access; `suspensions` are the open ones of its subscription, `since` what history says. */
export function accessStory(
  { settings, now }: StoryFrame,
  decided: DecidedStory,
  given: { suspensions: readonly OpenSuspension[]; debt: DebtStory; since: Date | null },
): AccessStory {
  const { zone } = settings;
  const suspension = given.suspensions.find((one) => one.cause === causeOf[decided.reason]);
  const since = suspension?.openedAt ?? (decided.isNews ? now : given.since);
  return {
    access: decided.access,
    reason: decided.reason,
    rate: decided.rate,
    today: dayIn(zone, now),
    since: since === null ? null : dayIn(zone, since),
    suspension: suspension === undefined ? null : { openedBy: suspension.openedBy, note: suspension.note },
    isAlsoOverdue: given.suspensions.some((one) => one.cause === 'overdue'),
    debt: given.debt,
    reviewOn: decided.reviewAt === null ? null : dayIn(zone, decided.reviewAt),
  };
}

/** The sentence about one login, read for it alone. */
export async function sentenceOfLogin(
  db: Db,
  frame: StoryFrame,
  login: { id: LoginId; subscriptionId: SubscriptionId; subscriberId: SubscriberId },
  decided: DecidedStory,
): Promise<AccessSentence> {
  const [subscriptions, suspensions, since] = await Promise.all([
    subscriptionsOf(db, { subscriberId: login.subscriberId }),
    openSuspensionsOf(db, [login.subscriberId]),
    accessSince(db, [login.id]),
  ]);
  const ids = subscriptions.map((subscription) => subscription.id);
  const debtOf = await debtStories(db, frame, login.subscriberId, ids);
  return accessSentence(
    accessStory(frame, decided, {
      suspensions: suspensions.filter((one) => one.subscriptionId === login.subscriptionId),
      debt: debtOf(login.subscriptionId),
      since: since.get(login.id) ?? null,
    }),
  );
}
