import { z } from 'zod';
import { AppError } from './errors.ts';
import { type Day, parseDay } from './domain/day.ts';

/**
 * Checks what came from outside. Every field at fault is named at once, each with its rule and never with its value,
 * because a value may be a password.
 */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ field: key, rule: 'is not known here' }));
    }
    return [{ field: issue.path.join('.'), rule: issue.message }];
  });
  const first = faults[0];
  throw new AppError('invalid', faults.map((fault) => `${fault.field}: ${fault.rule}`).join('\n'), {
    ...(first === undefined ? {} : { field: first.field }),
  });
}

/** One line of text without control characters; surrounding space is taken off. */
export function line(max: number): z.ZodType<string> {
  const rule = `must be 1 to ${max} characters on one line`;
  return z
    .string({ error: missingOr(rule) })
    .trim()
    .refine((value) => value !== '' && [...value].length <= max && !/\p{Cc}/u.test(value), rule);
}

/** A name that routers or FreeRADIUS compare byte by byte: letters, digits and . _ - only. */
export function technicalName(max: number): z.ZodType<string> {
  const rule = `must be 1 to ${max} letters, digits, dots, _ or -`;
  return z.string({ error: missingOr(rule) }).refine((value) => {
    return value.length <= max && /^[A-Za-z0-9._-]+$/.test(value);
  }, rule);
}

export function wholeNumber(min: number, max: number): z.ZodType<number> {
  const rule = `must be a whole number from ${min} to ${max}`;
  return z.number({ error: missingOr(rule) }).refine((value) => {
    return Number.isInteger(value) && value >= min && value <= max;
  }, rule);
}

export function oneOf<const T extends readonly [string, ...string[]]>(words: T): z.ZodType<T[number]> {
  return z.enum(words, { error: missingOr(`must be one of ${words.join(', ')}`) });
}

/** An amount in minor units, not negative. */
export function amount(): z.ZodType<bigint> {
  const rule = 'must be an amount that is not negative';
  return z.bigint({ error: missingOr(rule) }).refine((value) => value >= 0n && value < 10n ** 15n, rule);
}

/** YYYY-MM-DD. */
export function day(): z.ZodType<Day, string> {
  return checked('must be a day that exists, written YYYY-MM-DD', parseDay);
}

/**
 * A text that `parse` understands; what it throws a RangeError for breaks `rule`. With `tellsMore`, the error's own
 * text, which names the part at fault, is added.
 */
export function checked<T>(
  rule: string,
  parse: (text: string) => T,
  options: { tellsMore?: boolean } = {},
): z.ZodType<T, string> {
  return z.string({ error: missingOr(rule) }).transform((value, context) => {
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const more = options.tellsMore === true ? ` (${error.message})` : '';
      context.addIssue({ code: 'custom', message: rule + more });
      return z.NEVER;
    }
  });
}

function missingOr(rule: string): (issue: { input?: unknown }) => string {
  return (issue) => (issue.input === undefined ? `is missing: ${rule}` : rule);
}
