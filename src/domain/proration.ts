import { type Day, daysBetween } from './day.ts';
import { type Minor, splitByWeights } from './money.ts';

export interface ProratedPart {
  readonly start: Day;
  /** First day after the part. */
  readonly end: Day;
  readonly days: number;
  readonly amountMinor: Minor;
}

/**
 * Splits the price of a period at some days by the actual number of days, rounded half up; what rounding leaves goes to
 * the last part, so the parts add up to the price. Days outside of the period and doubled days make no part.
 * Throws RangeError for an empty period.
 */
export function prorate(
  amountMinor: Minor,
  period: { readonly start: Day; readonly end: Day },
  cutDays: readonly Day[],
): ProratedPart[] {
  if (period.end <= period.start) throw new RangeError('a period has at least one day');
  const inside = cutDays.filter((day) => day > period.start && day < period.end);
  const edges = [...new Set([period.start, ...inside, period.end])].sort();
  const spans = edges.slice(1).map((end, index) => {
    const start = edges[index] ?? period.start;
    return { start, end, days: daysBetween(start, end) };
  });
  const amounts = splitByWeights(
    amountMinor,
    spans.map((span) => BigInt(span.days)),
  );
  return spans.map((span, index) => ({ ...span, amountMinor: amounts[index] ?? 0n }));
}
