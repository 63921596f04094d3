import type { Day } from './day.ts';
import { divideHalfUp, type Minor } from './money.ts';

/** A rate from a day on, until a later row of the same name takes over. */
export interface TaxRate {
  readonly name: string;
  /** Basis points: 500 is 5 %. */
  readonly rateBp: number;
  /** Whether prices already hold the tax. */
  readonly isInclusive: boolean;
  readonly effectiveOn: Day;
}

export interface TaxedAmount {
  readonly netMinor: Minor;
  readonly taxMinor: Minor;
  readonly totalMinor: Minor;
  readonly taxName: string;
  readonly taxRateBp: number;
}

/** For what is not taxed: the line says so, at 0 %. */
export const noTax = { name: 'none', rateBp: 0, isInclusive: false } as const;

/** The rate of that name on that day; undefined when none has begun yet. */
export function rateInForce(rates: readonly TaxRate[], name: string, day: Day): TaxRate | undefined {
  return rates
    .filter((rate) => rate.name === name && rate.effectiveOn <= day)
    .reduce<TaxRate | undefined>(
      (latest, rate) => (latest === undefined || rate.effectiveOn > latest.effectiveOn ? rate : latest),
      undefined,
    );
}

/**
 * Net and tax of one line, rounded half up once a line. An exclusive rate is put on top of the price; an inclusive one
 * is taken out of it, and the total stays what the price says.
 */
export function taxLine(
  priceMinor: Minor,
  rate: { readonly name: string; readonly rateBp: number; readonly isInclusive: boolean },
): TaxedAmount {
  if (!Number.isInteger(rate.rateBp) || rate.rateBp < 0) {
    throw new RangeError('a tax rate is a whole number of basis points from 0');
  }
  const basis = BigInt(rate.rateBp);
  const taxMinor = rate.isInclusive
    ? priceMinor - divideHalfUp(priceMinor * 10_000n, 10_000n + basis)
    : divideHalfUp(priceMinor * basis, 10_000n);
  const netMinor = rate.isInclusive ? priceMinor - taxMinor : priceMinor;
  return {
    netMinor,
    taxMinor,
    totalMinor: netMinor + taxMinor,
    taxName: rate.name,
    taxRateBp: rate.rateBp,
  };
}
