import fc from 'fast-check';
import { diceFor } from '../../seed/random.ts';
import { mutated, rubbish } from '../texts.ts';

/** A sentence about any input, and the check that it is true. */
export interface Property {
  readonly name: string;
  readonly holds: fc.IProperty<never> | ReturnType<typeof fc.property>;
}

export function property<Ts extends [unknown, ...unknown[]]>(
  name: string,
  arbitraries: { [K in keyof Ts]: fc.Arbitrary<Ts[K]> },
  check: (...values: Ts) => void,
): Property {
  return { name, holds: fc.property(...arbitraries, check) };
}

/** Any text at all: of every character, and what breaks programs. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.integer().map((number) => rubbish(diceFor(`text ${number}`))),
);

/** Texts of a form, and texts near it. */
export function near(form: RegExp): fc.Arbitrary<string> {
  const right = fc.stringMatching(form);
  const wrong = fc
    .tuple(right, fc.integer())
    .map(([text, number]) => mutated(diceFor(`near ${number}`), text));
  return fc.oneof(right, wrong, anyText);
}

/** What `read` gives, or undefined where it throws a RangeError; any other error is a fault of ours. */
export function orRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

export function ensure(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what);
}
