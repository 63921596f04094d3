import { Temporal } from 'temporal-polyfill';

declare const dayBrand: unique symbol;
/** A calendar day, YYYY-MM-DD, in the operator's zone. Days compare as text: `a < b` is right. */
export type Day = string & { readonly [dayBrand]: 'Day' };

/** Throws RangeError unless the text is a real day written YYYY-MM-DD. */
export function parseDay(text: string): Day {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) throw new RangeError('a day is written YYYY-MM-DD');
  return Temporal.PlainDate.from(text, { overflow: 'reject' }).toString() as Day;
}

/** The day that it is in the zone at that instant. Throws RangeError for an unknown zone. */
export function dayIn(zone: string, at: Date): Day {
  return Temporal.Instant.fromEpochMilliseconds(at.getTime())
    .toZonedDateTimeISO(zone)
    .toPlainDate()
    .toString() as Day;
}

/** The instant at which the day begins there; where midnight is skipped by a clock change, the first instant after. */
export function startOfDay(day: Day, zone: string): Date {
  const start = Temporal.PlainDate.from(day).toZonedDateTime({ timeZone: zone });
  return new Date(start.epochMilliseconds);
}

/** The instant of a wall-clock time HH:MM on that day; a time that a clock change skips is taken as the next that exists. */
export function timeOnDay(day: Day, time: string, zone: string): Date {
  const at = Temporal.PlainDate.from(day).toZonedDateTime({ timeZone: zone, plainTime: time });
  return new Date(at.epochMilliseconds);
}

export function addDays(day: Day, days: number): Day {
  return new Date(utcMs(day) + days * dayMs).toISOString().slice(0, -'T00:00:00.000Z'.length) as Day;
}

/** The n-th month day after the anchor, at the end of short months: always from the anchor, so 31 Jan, 28 Feb, 31 Mar. */
export function addMonths(anchor: Day, months: number): Day {
  return Temporal.PlainDate.from(anchor).add({ months }).toString() as Day;
}

/** Whole days from one to the other; negative when `to` is earlier. */
export function daysBetween(from: Day, to: Day): number {
  return (utcMs(to) - utcMs(from)) / dayMs;
}

const dayMs = 86_400_000;

/** Days are counted in UTC, which has no clock changes. A run asks it for every debtor: Temporal would take twenty times as long. */
function utcMs(day: Day): number {
  const ms = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(ms)) throw new RangeError('a day is written YYYY-MM-DD');
  return ms;
}
