import { nearest } from './nearest.ts';
import { printable } from './output.ts';
import { type Option, UsageError, type Verb } from './verb.ts';

/** Options that every verb has. */
export const commonOptions: Readonly<Record<string, Option>> = {
  json: { about: 'machine-readable output' },
  actor: {
    value: 'NAME',
    about: 'who is doing this, for the activity log; your account name where it is left out',
  },
  help: { about: 'explains the verb' },
};

export interface Parsed {
  readonly positionals: readonly string[];
  readonly options: ReadonlyMap<string, readonly string[]>;
}

/**
 * Takes arguments apart: `--name value`, `--name=value`, `--flag`; what follows `--` is never an option. Throws
 * UsageError that names the option and what is wrong with it.
 */
export function parseArguments(verb: Verb, args: readonly string[]): Parsed {
  const known: Readonly<Record<string, Option>> = { ...commonOptions, ...verb.options };
  const positionals: string[] = [];
  const options = new Map<string, string[]>();
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') {
      positionals.push(...args.slice(at + 1));
      break;
    }
    if (arg === '-h') {
      options.set('help', []);
      continue;
    }
    if (!arg.startsWith('--')) {
      positionals.push(arg);
      continue;
    }
    const [name, inline] = splitOnce(arg.slice(2));
    const option = Object.hasOwn(known, name) ? known[name] : undefined;
    if (option === undefined) throw unknownOption(name, Object.keys(known));
    const values = options.get(name) ?? [];
    if (option.value === undefined) {
      if (inline !== undefined) throw new UsageError(`--${name}: takes no value`);
    } else {
      const value = inline ?? args[++at];
      if (value === undefined) throw new UsageError(`--${name}: needs a value, ${option.value}`);
      if (values.length > 0 && option.isList !== true) throw new UsageError(`--${name}: is given twice`);
      values.push(value);
    }
    options.set(name, values);
  }
  if (!options.has('help')) checkPositionals(verb, positionals);
  return { positionals, options };
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function unknownOption(name: string, known: readonly string[]): UsageError {
  const near = nearest(name, known);
  return new UsageError(
    `--${printable(name)}: is not an option of this verb${near === undefined ? '' : `; did you mean --${near}?`}`,
  );
}

function checkPositionals(verb: Verb, given: readonly string[]): void {
  const wanted = verb.positionals ?? [];
  const missing = wanted.filter((positional) => positional.isOptional !== true)[given.length];
  if (missing !== undefined) throw new UsageError(`${missing.name}: is missing`);
  // Not repeated: a password is typed there by mistake.
  if (given.length > wanted.length)
    throw new UsageError(`argument ${wanted.length + 1}: is one argument too many`);
}
