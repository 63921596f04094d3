import { addMonths, type Day } from './day.ts';

/** Days from `start` up to, not including, `end`. */
export interface Period {
  /** Counted from the anchor: period 0 begins on it. */
  readonly index: number;
  readonly start: Day;
  readonly end: Day;
}

/**
 * The n-th monthly period of an anchor day. Both ends are counted from the anchor and never from one another, so who
 * was born on the 31st pays from 28 February to 31 March and then from the 31st again. Throws RangeError below 0.
 */
export function periodAt(anchor: Day, index: number): Period {
  if (!Number.isInteger(index) || index < 0) throw new RangeError('a period index is a whole number from 0');
  return { index, start: addMonths(anchor, index), end: addMonths(anchor, index + 1) };
}

/** The period that holds the day; undefined before the anchor. */
export function periodHolding(anchor: Day, day: Day): Period | undefined {
  if (day < anchor) return undefined;
  // The month count can be one too many, when the day of the month is not reached yet.
  const months = monthNumber(day) - monthNumber(anchor);
  return addMonths(anchor, months) <= day ? periodAt(anchor, months) : periodAt(anchor, months - 1);
}

/**
 * The periods from `fromIndex` on that have begun as of a day, at most `countMax`; those from `endedOn` on are not
 * wanted. `next` is the period after them; undefined when the subscription ends before it.
 */
export function periodsBegun(
  anchor: Day,
  fromIndex: number,
  until: { asOf: Day; endedOn: Day | null; countMax: number },
): { periods: Period[]; next: Period | undefined } {
  const periods: Period[] = [];
  for (let index = fromIndex; ; index++) {
    const period = periodAt(anchor, index);
    if (until.endedOn !== null && period.start >= until.endedOn) return { periods, next: undefined };
    if (period.start > until.asOf || periods.length >= until.countMax) return { periods, next: period };
    periods.push(period);
  }
}

function monthNumber(day: Day): number {
  const [year = '', month = ''] = day.split('-');
  return Number(year) * 12 + Number(month);
}
