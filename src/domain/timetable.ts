import { addDays, dayIn, timeOnDay } from './day.ts';

/** When a job comes due again: every so many ms, or each day at a local time HH:MM. */
export type Rhythm =
  | { readonly kind: 'every'; readonly ms: number }
  | { readonly kind: 'daily'; readonly at: string; readonly zone: string };

/**
 * The next instant strictly after `after` at which the job is due. Missed instants are not made up one by one: the job
 * reads from the database what is due, so one run catches up. Throws RangeError for an unknown zone or a bad time.
 */
export function nextDue(rhythm: Rhythm, after: Date): Date {
  if (rhythm.kind === 'every') return new Date(after.getTime() + rhythm.ms);
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(rhythm.at)) throw new RangeError('a time of day is written HH:MM');
  const today = dayIn(rhythm.zone, after);
  const atToday = timeOnDay(today, rhythm.at, rhythm.zone);
  return atToday > after ? atToday : timeOnDay(addDays(today, 1), rhythm.at, rhythm.zone);
}
