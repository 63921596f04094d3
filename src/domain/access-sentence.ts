import type { AccessKind, Reason } from './access-types.ts';
import { addDays, type Day, daysBetween } from './day.ts';
import type { Minor } from './money.ts';

/** What the sentence about a login's access is made of. Days are the operator's. */
export interface AccessStory {
  readonly access: AccessKind;
  readonly reason: Reason;
  /** Mikrotik-Rate-Limit text of a throttle. */
  readonly rate: string | null;
  readonly today: Day;
  /** Since when it is so; null where nobody knows. */
  readonly since: Day | null;
  /** The suspension that gives the reason, where one does. */
  readonly suspension: { readonly openedBy: string; readonly note: string } | null;
  /** An overdue suspension is open too, although it does not give the reason. */
  readonly isAlsoOverdue: boolean;
  readonly debt: DebtStory;
  /** The day of the instant at which the answer changes although nothing happens. */
  readonly reviewOn: Day | null;
}

/** What the subscriber owes, and when the overdue run would act. */
export interface DebtStory {
  /** Invoices with something open, oldest due day first. */
  readonly open: readonly { readonly label: string; readonly dueOn: Day; readonly openMinor: Minor }[];
  readonly graceDays: number;
  readonly isOverdueRunOn: boolean;
  /** First day on which the overdue run may act again: after a promise, a lift, a rollback. */
  readonly deferredUntil: Day | null;
  /** An amount as people read it, such as `1,150.00`. */
  readonly format: (amount: Minor) => string;
}

export interface AccessSentence {
  /** `Throttled to 1M/1M since 3 Nov`. */
  readonly what: string;
  /** `invoice 2041 is 9 days past due and grace`. */
  readonly why: string;
  /** `Restores by itself when 1,150.00 is paid.` */
  readonly ends: string;
  /** All of it: what, colon, why, full stop, ends. */
  readonly text: string;
}

/**
 * Why a login has the access that it has, in a sentence that can be read out on the telephone: what it may do, since
 * when, because of what, and what ends it. Pure, so that pages, command line and portal say the same.
 */
export function accessSentence(story: AccessStory): AccessSentence {
  const what = `${whatText(story)}${story.since === null ? '' : ` since ${dayText(story.since, story.today)}`}`;
  const { why, ends } = explanations[story.reason](story);
  const also = story.isAlsoOverdue && story.reason !== 'invoice_overdue' ? ` ${alsoOverdue(story)}` : '';
  return { what, why, ends: ends + also, text: `${what}: ${why}. ${ends}${also}` };
}

/** The next day on which something happens by itself, in words; null where only somebody's act changes anything. */
export function nextByItself(story: AccessStory): { readonly on: Day; readonly text: string } | null {
  const { reviewOn } = story;
  const run = story.access === 'full' ? overdueRunActs(story) : null;
  if (reviewOn !== null && (run === null || reviewOn <= run.on)) {
    return { on: reviewOn, text: 'what was paid for ends' };
  }
  return run;
}

/** `3 Nov`, with the year where it is another one. */
export function dayText(day: Day, today: Day): string {
  const [year = '', month = '', date = ''] = day.split('-');
  const short = `${Number(date)} ${months[Number(month) - 1] ?? ''}`;
  return today.startsWith(year) ? short : `${short} ${year}`;
}

/** Of the open invoices those that are past due and grace on that day. */
export function bitingOn(debt: DebtStory, day: Day): DebtStory['open'] {
  return debt.open.filter((invoice) => addDays(invoice.dueOn, debt.graceDays) < day);
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function whatText({ access, rate }: AccessStory): string {
  switch (access) {
    case 'full':
      return 'Full access';
    case 'throttled':
      return rate === null ? 'Throttled' : `Throttled to ${rate}`;
    case 'walled_garden':
      return 'In the walled garden';
    case 'denied':
      return 'Denied';
  }
}

type Explanation = (story: AccessStory) => { why: string; ends: string };

const explanations: Readonly<Record<Reason, Explanation>> = {
  paid_up: paidUp,
  invoice_overdue: overdue,
  prepaid_expired: () => ({
    why: 'what was paid for in advance is used up',
    ends: 'Comes back when it is renewed.',
  }),
  staff_hold: (story) => held(story, 'held by staff'),
  fraud_hold: (story) => held(story, 'held because of suspected fraud'),
  vacation: (story) => held(story, 'paused for the subscriber’s absence'),
  subscription_paused: () => ({
    why: 'the subscription is paused',
    ends: 'Comes back when the subscription is resumed.',
  }),
  subscription_terminated: () => ({
    why: 'the subscription has ended',
    ends: 'It does not come back: a new subscription is needed.',
  }),
  login_retired: () => ({
    why: 'the login is retired',
    ends: 'It does not come back, and its name is never given again.',
  }),
};

function held(story: AccessStory, by: string): { why: string; ends: string } {
  const { suspension } = story;
  const who = suspension === null ? '' : ` (${suspension.openedBy})`;
  const note = suspension === null || suspension.note === '' ? '' : `, “${suspension.note}”`;
  return {
    why: `${by}${who}${note}`,
    ends: 'Stays until somebody lifts it; a payment does not end it.',
  };
}

function overdue(story: AccessStory): { why: string; ends: string } {
  const biting = bitingOn(story.debt, story.today);
  if (biting.length === 0) {
    return {
      why: 'it was suspended as overdue',
      ends: 'Nothing is past due and grace any more: the next look lifts it by itself.',
    };
  }
  return {
    why: bitingText(story, biting),
    ends: `Restores by itself when ${story.debt.format(sumOf(biting))} is paid.`,
  };
}

function paidUp(story: AccessStory): { why: string; ends: string } {
  const { debt, today } = story;
  const [oldest] = debt.open;
  if (oldest === undefined) return { why: 'nothing is owed', ends: 'Stays as it is.' };
  const biting = bitingOn(debt, today);
  const next = overdueRunActs(story);
  const ends =
    next === null
      ? 'The billing profile leaves debtors alone.'
      : next.on <= today
        ? 'The next overdue run acts on it.'
        : `The overdue run acts on ${dayText(next.on, today)} unless ${debt.format(sumOf(bitingOn(debt, next.on)))} is paid.`;
  if (biting.length > 0) {
    const isDeferred = debt.deferredUntil !== null && debt.deferredUntil > today;
    return { why: bitingText(story, biting) + (isDeferred ? ', and deferred' : ''), ends };
  }
  if (oldest.dueOn < today) {
    return { why: `invoice ${oldest.label} is ${daysText(oldest.dueOn, today)} past due, in grace`, ends };
  }
  return { why: `invoice ${oldest.label} is due on ${dayText(oldest.dueOn, today)}`, ends };
}

/** The first day on which an overdue run would act on what is open now. */
function overdueRunActs({ debt, today }: AccessStory): { on: Day; text: string } | null {
  const [oldest] = debt.open;
  if (oldest === undefined || !debt.isOverdueRunOn) return null;
  const bites = addDays(oldest.dueOn, debt.graceDays + 1);
  const on = [bites, today, debt.deferredUntil ?? bites].reduce((a, b) => (a > b ? a : b));
  return { on, text: `the overdue run acts, unless ${debt.format(sumOf(bitingOn(debt, on)))} is paid` };
}

function bitingText({ debt, today }: AccessStory, biting: DebtStory['open']): string {
  const [oldest] = biting;
  if (oldest === undefined) return 'nothing is past due and grace';
  const late = daysText(addDays(oldest.dueOn, debt.graceDays), today);
  if (biting.length === 1) return `invoice ${oldest.label} is ${late} past due and grace`;
  return `${biting.length} invoices are past due and grace, the oldest (${oldest.label}) by ${late}`;
}

function alsoOverdue(story: AccessStory): string {
  const biting = bitingOn(story.debt, story.today);
  if (biting.length === 0) return 'It is also suspended as overdue.';
  return `It is overdue as well: ${story.debt.format(sumOf(biting))} is owed past due and grace.`;
}

function daysText(from: Day, to: Day): string {
  const days = daysBetween(from, to);
  return days === 1 ? '1 day' : `${days} days`;
}

function sumOf(open: DebtStory['open']): Minor {
  return open.reduce((sum, invoice) => sum + invoice.openMinor, 0n);
}
