/** An amount in minor units of one currency. Never a float: 12.90 is 1290n with exponent 2. */
export type Minor = bigint;

/** The result of dividing is rounded half away from zero, the rule that invoices state. */
export function divideHalfUp(numerator: bigint, denominator: bigint): bigint {
  if (denominator <= 0n) throw new RangeError('a denominator is positive');
  const isNegative = numerator < 0n;
  const size = isNegative ? -numerator : numerator;
  const rounded = (2n * size + denominator) / (2n * denominator);
  return isNegative ? -rounded : rounded;
}

/** So many basis points (1/10000) of an amount, rounded half up. */
export function basisPointsOf(amount: Minor, basisPoints: number): Minor {
  if (!Number.isInteger(basisPoints)) throw new RangeError('basis points are whole');
  return divideHalfUp(amount * BigInt(basisPoints), 10_000n);
}

/** Splits an amount by weights so that the parts add up to it; what rounding leaves goes to the last part. */
export function splitByWeights(amount: Minor, weights: readonly bigint[]): Minor[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0n);
  if (total <= 0n) throw new RangeError('weights add up to more than nothing');
  const parts = weights.map((weight) => divideHalfUp(amount * weight, total));
  const others = parts.slice(0, -1).reduce((sum, part) => sum + part, 0n);
  return [...parts.slice(0, -1), amount - others];
}

/** `1290n` as `12.90`; `formatMinor(-5n, 2)` is `-0.05`. */
export function formatMinor(amount: Minor, exponent: number): string {
  const sign = amount < 0n ? '-' : '';
  const digits = (amount < 0n ? -amount : amount).toString().padStart(exponent + 1, '0');
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/** `115000n` as `1,150.00`. */
export function groupedMinor(amount: Minor, exponent: number): string {
  const [whole = '', fraction] = formatMinor(amount, exponent).split('.');
  const grouped = whole.replaceAll(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** Reads `12.9` or `12.90` or `12`; throws RangeError for anything else, and for more digits than the currency has. */
export function parseMinor(text: string, exponent: number): Minor {
  const match = /^(-?)(\d{1,15})(?:\.(\d+))?$/.exec(text.trim());
  const fraction = match?.[3] ?? '';
  if (match === null || fraction.length > exponent) {
    throw new RangeError(
      exponent === 0 ? 'an amount is a whole number' : `an amount has at most ${exponent} decimals`,
    );
  }
  const size = BigInt((match[2] ?? '') + fraction.padEnd(exponent, '0'));
  return match[1] === '-' ? -size : size;
}
