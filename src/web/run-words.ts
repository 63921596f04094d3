import type { RunActionView } from '../db/overdue-reports.ts';
import type { ActionState, OverdueRun, RunState } from '../db/overdue-runs.ts';
import type { SuspensionEffect } from '../domain/access-types.ts';
import { type Day, daysBetween } from '../domain/day.ts';

/** A word with its colour and icon: one for each state, on every page. */
export interface StateWord {
  word: string;
  colour: 'full' | 'throttled' | 'walled' | 'denied' | 'pending' | 'unknown';
  symbol: string;
}

const runStates: Record<RunState, StateWord> = {
  planning: { word: 'Planning', colour: 'pending', symbol: 'hourglass-split' },
  planned: { word: 'Planned', colour: 'pending', symbol: 'circle' },
  held: { word: 'Held', colour: 'throttled', symbol: 'pause-circle' },
  approved: { word: 'Approved', colour: 'pending', symbol: 'shield-check' },
  applying: { word: 'Applying', colour: 'pending', symbol: 'hourglass-split' },
  applied: { word: 'Applied', colour: 'full', symbol: 'check-circle-fill' },
  rolling_back: { word: 'Rolling back', colour: 'pending', symbol: 'hourglass-split' },
  rolled_back: { word: 'Rolled back', colour: 'unknown', symbol: 'arrow-counterclockwise' },
  cancelled: { word: 'Cancelled', colour: 'unknown', symbol: 'x-circle' },
};

export function runState(state: RunState): StateWord {
  return runStates[state];
}

const actionStates: Record<ActionState, StateWord> = {
  planned: { word: 'Planned', colour: 'pending', symbol: 'circle' },
  applied: { word: 'Suspended', colour: 'denied', symbol: 'slash-circle' },
  changed: { word: 'Left alone', colour: 'full', symbol: 'check-circle-fill' },
  parked: { word: 'Parked', colour: 'throttled', symbol: 'exclamation-triangle' },
  excluded: { word: 'Excluded', colour: 'unknown', symbol: 'person-x' },
  rolled_back: { word: 'Rolled back', colour: 'unknown', symbol: 'arrow-counterclockwise' },
  kept: { word: 'Ended before', colour: 'full', symbol: 'check2-circle' },
};

export function actionState(state: ActionState): StateWord {
  return actionStates[state];
}

/** What each outcome means, under its number. */
export const outcomeMeaning: Record<ActionState, string> = {
  planned: 'not reached yet',
  applied: 'lost the service by this run',
  changed: 'something changed since the plan',
  parked: 'a person has to look at them',
  excluded: 'somebody took them out',
  rolled_back: 'this run was taken back for them',
  kept: 'paid or lifted before the rollback',
};

const whyWords: Record<string, string> = {
  paid: 'paid since the plan: nothing is past due and grace any more',
  not_overdue: 'nothing is past due any more',
  in_grace: 'still within grace',
  deferred: 'a promise, a lift or an exclusion keeps the run away',
  already_suspended: 'suspended as overdue already',
  profile_off: 'the overdue run was switched off in the billing profile',
  paused: 'the subscription is paused',
  terminated: 'the subscription has ended',
  effect_changed: 'the billing profile’s effect changed since the plan: the next run shows it first',
  throttle_rate_missing: 'the billing profile throttles, but has no rate: give it one, and the next run acts',
  throttle_rate_invalid:
    'the rate of the billing profile cannot be read: mend it there, and the next run acts',
  closed_before: 'the suspension had ended before the rollback',
  price_is_negative: 'the price is negative: set the package’s price or the subscription’s own',
  no_tax_rate_in_force: 'the package’s tax rate has no value for this day: add one to the catalogue',
};

/** Why in words; a note that a person wrote stays as it is. */
export function whyText(why: string): string {
  return whyWords[why] ?? why;
}

export function effectText(effect: SuspensionEffect, throttleRate: string | null): string {
  switch (effect) {
    case 'block':
      return 'Block';
    case 'walled_garden':
      return 'Walled garden';
    case 'throttle':
      return `Throttle to ${throttleRate ?? 'no rate'}`;
  }
}

/** The ground of an action: how many invoices since when, and how far past due and grace as of the run's day. */
export function groundOf(action: RunActionView, asOf: Day): { since: string; past: string } {
  const pastDue = daysBetween(action.oldestDueOn, asOf);
  const pastGrace = pastDue - action.graceDays;
  const oldest = action.invoiceCount === 1 ? 'due' : 'the oldest due';
  const grace = pastGrace > 0 ? `, ${pastGrace} past ${counted(action.graceDays, 'day')} of grace` : '';
  return {
    since: `${counted(action.invoiceCount, 'invoice')}, ${oldest} on ${action.oldestDueOn}`,
    past: `${counted(pastDue, 'day')} past due${grace}`,
  };
}

export const reachWords: Record<RunActionView['routerReachable'], string> = {
  yes: 'answers',
  no: 'not answering',
  no_session: 'not online',
  unknown: 'not known yet',
};

export const reachMeaning: Record<RunActionView['routerReachable'], string> = {
  yes: 'online, and the router answers: told within seconds',
  no: 'online, but the router does not answer: told when it is back',
  no_session: 'not online: the next dial gets what the run decides',
  unknown: 'online, but the router has not yet shown that it answers',
};

/** `1 day`, `1,200 subscriptions`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/** A number that was counted to one above `most` and no further: `10,000+`. */
export function upTo(count: number, most: number): string {
  return count > most ? `${most.toLocaleString('en')}+` : count.toLocaleString('en');
}

/** Who asked: the timetable is no person. */
export function actorText(actor: string): string {
  return actor === 'schedule' ? 'the timetable' : actor;
}

export function isUnderWay(run: OverdueRun): boolean {
  return run.state === 'planning' || run.state === 'applying' || run.state === 'rolling_back';
}

/** `10 May`, with the year where it is another than `near`'s. */
export function dayText(day: Day, near: Day): string {
  const isSameYear = day.slice(0, 4) === near.slice(0, 4);
  return new Intl.DateTimeFormat('en-GB', {
    timeZone: 'UTC',
    day: 'numeric',
    month: 'long',
    ...(isSameYear ? {} : { year: 'numeric' }),
  }).format(new Date(`${day}T00:00:00Z`));
}
