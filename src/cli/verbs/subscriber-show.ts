import { activeDeferralsOf } from '../../db/deferrals.ts';
import { openInvoicesOf } from '../../db/invoices.ts';
import { balancesOf } from '../../db/ledger.ts';
import { lastActivitiesOf, lastPaymentsOf, loginViewsOf } from '../../db/subscriber-view.ts';
import { subscriberById, subscriptionsOf } from '../../db/subscribers.ts';
import { openSuspensionsOf } from '../../db/suspensions.ts';
import type { OperatorSettings } from '../../db/settings.ts';
import { type Day, dayIn } from '../../domain/day.ts';
import type { SubscriberId } from '../../domain/ids.ts';
import { notFound } from '../../errors.ts';
import { access, count, money, time } from '../format.ts';
import { facts } from '../output.ts';
import { requireSubscriber } from '../subject.ts';
import type { Call, Verb } from '../verb.ts';

export const subscriberShow: Verb = {
  name: 'subscriber show',
  group: 'Subscribers',
  summary: 'who they are, what they take, owe and have paid',
  positionals: [{ name: 'WHO' }],
  details: ['WHO is a username or #number of a subscriber. Secrets are never shown.'],
  examples: ['subscriber show amina', 'subscriber show "#17" --json'],
  async run(call) {
    const id = await requireSubscriber(call.app().db, call.positional('WHO'));
    const shown = await load(call, id);
    const settings = await call.settings();
    call.out.show({ ok: true, ...shown }, () => linesOf(shown, settings));
    return undefined;
  },
};

async function load(call: Call, id: SubscriberId) {
  const { db } = call.app();
  const settings = await call.settings();
  const subscriber = await subscriberById(db, id);
  if (subscriber === undefined) throw notFound(`subscriber #${id}`);
  const subscriptions = await subscriptionsOf(db, { subscriberId: id });
  const ids = subscriptions.map((subscription) => subscription.id);
  const today = dayIn(settings.zone, call.clock.now());
  return {
    today,
    subscriber,
    balance: (await balancesOf(db, [id], settings)).get(id),
    subscriptions,
    logins: await loginViewsOf(db, id),
    suspensions: await openSuspensionsOf(db, [id]),
    deferrals: await activeDeferralsOf(db, ids, today),
    invoices: await openInvoicesOf(db, [id]),
    payments: await lastPaymentsOf(db, id, 5),
    activities: await lastActivitiesOf(db, id, 8),
  };
}

type Shown = Awaited<ReturnType<typeof load>>;

function linesOf(shown: Shown, settings: OperatorSettings): string[] {
  const { subscriber, balance } = shown;
  const at = (instant: Date) => time(instant, settings.zone);
  return facts([
    ['subscriber', `#${subscriber.id} ${subscriber.name}`],
    ['telephone', subscriber.phone ?? undefined],
    ['e-mail', subscriber.email ?? undefined],
    ['street', subscriber.street ?? undefined],
    ['billing profile', subscriber.billingProfile],
    ['since', at(subscriber.createdAt)],
    ['owes', money(balance?.owedMinor ?? 0n, settings)],
    ['wallet', money(balance?.walletMinor ?? 0n, settings)],
    ['subscriptions', shown.subscriptions.map((row) => subscriptionText(row, settings))],
    ['logins', shown.logins.map(loginText)],
    ['suspended', someOrNothing(shown.suspensions.map((row) => suspensionText(row, at)))],
    [
      'deferred',
      someOrNothing(shown.deferrals.map((row) => `until ${row.untilOn} (${row.source}): ${row.note}`)),
    ],
    ['open invoices', someOrNone(shown.invoices.map((row) => invoiceText(row, settings, shown.today)))],
    ['last payments', someOrNone(shown.payments.map((row) => paymentText(row, settings)))],
    ['last activity', someOrNothing(shown.activities.map((row) => activityText(row, at)))],
  ]);
}

const someOrNothing = (lines: string[]) => (lines.length === 0 ? undefined : lines);
const someOrNone = (lines: string[]) => (lines.length === 0 ? 'none' : lines);

function subscriptionText(row: Shown['subscriptions'][number], settings: OperatorSettings): string {
  const price = `${money(row.priceMinor, settings)}${row.isPriceOverridden ? ' (agreed price)' : ''}`;
  const end = row.endedOn === null ? `, next invoice ${row.nextInvoiceOn ?? 'never'}` : ` on ${row.endedOn}`;
  return `${row.id}  ${row.packageName}, ${price}, ${row.state}${end}`;
}

function loginText(row: Shown['logins'][number]): string {
  return [
    `${row.username}  ${access({ access: row.access, reason: row.reason, rate: row.rateLimit })}`,
    ...(row.macLock === null ? [] : [`locked to ${row.macLock}`]),
    ...(row.staticIpv4 === null ? [] : [row.staticIpv4]),
    row.isRetired ? 'retired' : count(row.openSessions, 'open session'),
  ].join(', ');
}

function suspensionText(row: Shown['suspensions'][number], at: (instant: Date) => string): string {
  const note = row.note === '' ? '' : ` (${row.note})`;
  return `${row.cause}: ${row.effect.replaceAll('_', ' ')} since ${at(row.openedAt)} by ${row.openedBy}${note}`;
}

function invoiceText(row: Shown['invoices'][number], settings: OperatorSettings, today: Day): string {
  const late = row.dueOn < today ? ', past due' : '';
  return `${row.series}-${row.number}  ${money(row.openMinor, settings)} of ${money(row.totalMinor, settings)}, due ${row.dueOn}${late}`;
}

function paymentText(row: Shown['payments'][number], settings: OperatorSettings): string {
  const reversed = row.isReversed ? ', reversed' : '';
  return `${row.receivedOn}  ${money(row.amountMinor, settings)} ${row.channel} ${row.reference}${reversed}`;
}

function activityText(row: Shown['activities'][number], at: (instant: Date) => string): string {
  return `${at(row.at)}  ${row.verb} by ${row.actor}${row.outcome === 'done' ? '' : `: ${row.outcome}`}`;
}
