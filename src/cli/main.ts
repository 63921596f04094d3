import { userInfo } from 'node:os';
import { createInterface } from 'node:readline';
import { type App, openApp } from '../app.ts';
import { ConfigError, readConfig } from '../config.ts';
import { type OperatorSettings, readSettings } from '../db/settings.ts';
import { parseDay } from '../domain/day.ts';
import { parseMinor } from '../domain/money.ts';
import { AppError, invalid } from '../errors.ts';
import { helpFor, overview } from './help.ts';
import { nearest } from './nearest.ts';
import { createOutput, type Output, printable, type Streams, toJson } from './output.ts';
import { type Parsed, parseArguments } from './parse.ts';
import { type Call, type Terminal, UsageError, type Verb } from './verb.ts';
import { verbs } from './verbs.ts';

export interface Surroundings extends Streams {
  env: NodeJS.ProcessEnv;
  stdin: NodeJS.ReadableStream;
  terminal: Terminal | undefined;
  signal: AbortSignal;
  /** Tests hand in parts of their own. */
  open?: () => App;
}

export const exitCodes = { done: 0, refused: 1, usage: 2 } as const;

/** Runs one verb. 0: done; 1: refused or failed; 2: what was typed is not right. */
export async function runCli(argv: readonly string[], around: Surroundings): Promise<number> {
  const found = findVerb(argv);
  if (found.kind === 'help') {
    around.stdout(found.text);
    return found.code;
  }
  if (found.kind === 'unknown') {
    around.stderr(found.text);
    return exitCodes.usage;
  }
  const { verb, rest } = found;
  const isJson = rest.includes('--json');
  const out = createOutput(around, isJson);
  let opened: App | undefined;
  try {
    const parsed = parseArguments(verb, rest);
    if (parsed.options.has('help')) {
      around.stdout(helpFor(verb));
      return exitCodes.done;
    }
    const call = createCall(verb, parsed, around, out, () => (opened ??= openParts(around)));
    return (await verb.run(call)) ?? exitCodes.done;
  } catch (error) {
    out.progressEnd();
    return explain(error, verb, around, isJson);
  } finally {
    await opened?.close();
  }
}

type Found =
  | { kind: 'verb'; verb: Verb; rest: readonly string[] }
  | { kind: 'help'; text: string; code: number }
  | { kind: 'unknown'; text: string };

/** The verb of two words if there is one, else of one; help where it is asked for. */
function findVerb(argv: readonly string[]): Found {
  const [first, second] = argv;
  if (first === undefined) return { kind: 'help', text: overview(), code: exitCodes.done };
  if (first === '--help' || first === '-h') return { kind: 'help', text: overview(), code: exitCodes.done };
  if (first === 'help') {
    if (second === undefined) return { kind: 'help', text: overview(), code: exitCodes.done };
    const found = findVerb(argv.slice(1));
    if (found.kind !== 'verb') return found;
    return { kind: 'help', text: helpFor(found.verb), code: exitCodes.done };
  }
  const two = verbs.find((verb) => verb.name === `${first} ${second ?? ''}`);
  if (two !== undefined) return { kind: 'verb', verb: two, rest: argv.slice(2) };
  const one = verbs.find((verb) => verb.name === first);
  if (one !== undefined) return { kind: 'verb', verb: one, rest: argv.slice(1) };
  return { kind: 'unknown', text: unknownVerb(first, second) };
}

function unknownVerb(first: string, second: string | undefined): string {
  const below = verbs.filter((verb) => verb.name.startsWith(`${first} `));
  if (below.length > 0) {
    const lines = below.map((verb) => `  sluice ${verb.name.padEnd(24)} ${verb.summary}`);
    return `sluice: ${first} needs one of these words after it\n${lines.join('\n')}\n`;
  }
  const names = verbs.flatMap((verb) => [verb.name, verb.name.split(' ')[0] ?? '']);
  const near = nearest(second === undefined ? first : `${first} ${second}`, names) ?? nearest(first, names);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return `sluice: ${JSON.stringify(printable(first))} is not a verb${hint}\nRun "sluice help" for the list.\n`;
}

function openParts(around: Surroundings): App {
  if (around.open !== undefined) return around.open();
  return openApp(readConfig(around.env), { role: 'cli', isSilent: true, poolMax: 4 });
}

function createCall(verb: Verb, parsed: Parsed, around: Surroundings, out: Output, app: () => App): Call {
  let settings: Promise<OperatorSettings> | undefined;
  const positionalOf = (name: string) => {
    const index = (verb.positionals ?? []).findIndex((positional) => positional.name === name);
    if (index < 0) throw new RangeError(`verb ${verb.name} has no argument ${name}`);
    return parsed.positionals[index];
  };
  const valuesOf = (name: string) => {
    const isKnown = Object.hasOwn(verb.options ?? {}, name) || name === 'actor';
    if (!isKnown) throw new RangeError(`verb ${verb.name} has no option --${name}`);
    return parsed.options.get(name);
  };
  const call: Call = {
    out,
    env: around.env,
    terminal: around.terminal,
    signal: around.signal,
    get clock() {
      return app().clock;
    },
    app,
    context: () => app().context(actorOf(parsed, around.env)),
    settings: () => (settings ??= readSettings(app().db)),
    positional(name) {
      const value = positionalOf(name);
      if (value === undefined) throw new UsageError(`${name}: is missing`);
      return value;
    },
    maybePositional: positionalOf,
    has: (name) => valuesOf(name) !== undefined,
    text(name) {
      const value = valuesOf(name)?.[0];
      if (value === undefined) throw new UsageError(`--${name}: is missing`);
      return value;
    },
    maybeText: (name) => valuesOf(name)?.[0],
    list: (name) => valuesOf(name) ?? [],
    whole: (name) => wholeNumber(name, valuesOf(name)?.[0]),
    day: (name) => rule(name, valuesOf(name)?.[0], parseDay, 'must be a day that exists, written YYYY-MM-DD'),
    async amount(name) {
      const value = valuesOf(name)?.[0];
      if (value === undefined) return undefined;
      const { exponent, currency } = await call.settings();
      const say = `must be an amount in ${currency} with at most ${exponent} decimals, such as ${exponent === 0 ? '1200' : '12.50'}`;
      return rule(name, value, (text) => parseMinor(text, exponent), say);
    },
    firstInputLine: () => firstLine(around.stdin),
  };
  return call;
}

function actorOf(parsed: Parsed, env: NodeJS.ProcessEnv): string {
  const given = parsed.options.get('actor')?.[0] ?? env['SLUICE_ACTOR'] ?? accountName();
  if (given === '' || given.length > 80 || /\p{Cc}/u.test(given)) {
    throw new UsageError('--actor: must be 1 to 80 characters on one line');
  }
  return given;
}

function accountName(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // An account without a name, as in some containers.
    return `cli:${process.getuid?.() ?? 'unknown'}`;
  }
}

function wholeNumber(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw invalid(name, 'must be a whole number that is not negative');
  return Number(value);
}

function rule<T>(
  name: string,
  value: string | undefined,
  parse: (text: string) => T,
  say: string,
): T | undefined {
  if (value === undefined) return undefined;
  try {
    return parse(value);
  } catch (error) {
    if (error instanceof RangeError) throw invalid(name, say);
    throw error;
  }
}

async function firstLine(stdin: NodeJS.ReadableStream): Promise<string> {
  const lines = createInterface({ input: stdin });
  for await (const line of lines) {
    lines.close();
    return line;
  }
  throw new UsageError('standard input: was empty, and one line was expected');
}

/** Says what went wrong in words that help, and never a statement of the database with its values. */
function explain(error: unknown, verb: Verb, around: Surroundings, isJson: boolean): number {
  const problem = problemOf(error, verb);
  if (isJson)
    around.stdout(
      `${toJson({ ok: false, error: { kind: problem.kind, field: problem.field, message: problem.message } })}\n`,
    );
  for (const [index, line] of problem.message.split('\n').entries()) {
    around.stderr(`${index === 0 ? 'sluice: ' : '        '}${printable(line)}\n`);
  }
  if (problem.kind === 'usage' && !isJson)
    around.stderr(`Run "sluice help ${verb.name}" for its arguments.\n`);
  return problem.kind === 'usage' || problem.kind === 'invalid' ? exitCodes.usage : exitCodes.refused;
}

function problemOf(error: unknown, verb: Verb): { kind: string; message: string; field?: string } {
  if (error instanceof UsageError) return { kind: 'usage', message: error.message };
  if (error instanceof ConfigError) return { kind: 'config', message: error.message };
  if (error instanceof AppError) {
    const field = error.field === undefined ? {} : { field: error.field };
    return { kind: error.kind, message: asTyped(error.message, verb), ...field };
  }
  return { kind: 'failed', message: databaseProblem(error) };
}

/** Commands name their fields, `macLock: ...`; the person typed `--mac-lock`. */
function asTyped(message: string, verb: Verb): string {
  return message
    .split('\n')
    .map((line) => {
      const match = /^([a-z][A-Za-z0-9-]*)(\.[\w.]+)?: /.exec(line);
      const name = match?.[1]
        ?.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
        .replace(/-minor$/, '');
      if (match === null || name === undefined) return line;
      const options = Object.keys(verb.options ?? {});
      const option =
        options.find((candidate) => candidate === name) ?? options.find((o) => o === alias[name]);
      return option === undefined ? line : `--${option}: ${line.slice(match[0].length)}`;
    })
    .join('\n');
}

/** Options that have a shorter name than their field. */
const alias: Record<string, string> = {
  'static-ipv4': 'static-ip',
  'delegated-ipv6-prefix': 'ipv6-prefix',
  'simultaneous-use': 'sessions',
  'customers-price': 'price',
  'operators-price': 'operators-price',
  'price-override': 'price',
  'billing-profile': 'profile',
  'overdue-effect': 'effect',
  'throttle-rate': 'rate',
  'rate-bp': 'percent',
  'effective-on': 'from',
  'master-package': 'master',
  'pay-by': 'by',
  'interim-seconds': 'interim',
  'session-timeout-seconds': 'session-timeout',
  'idle-timeout-seconds': 'idle-timeout',
  'pace-per-second': 'pace',
  'suspended-name': 'suspended',
  ranges: 'range',
  password: 'password-stdin',
};

const databaseProblems: Record<string, string> = {
  ECONNREFUSED:
    'the database refuses connections; is it running? SLUICE_DB_HOST and SLUICE_DB_PORT say where',
  ETIMEDOUT: 'the database does not answer; SLUICE_DB_HOST and SLUICE_DB_PORT say where',
  ENOTFOUND: 'the host of SLUICE_DB_HOST has no address',
  ER_ACCESS_DENIED_ERROR: 'the database refuses the account; check SLUICE_DB_USER and SLUICE_DB_PASSWORD',
  ER_DBACCESS_DENIED_ERROR: 'the account may not use the database in SLUICE_DB_NAME',
  ER_BAD_DB_ERROR: 'the database in SLUICE_DB_NAME does not exist',
  ER_NO_SUCH_TABLE: 'the database is not migrated; start Sluice once, it migrates',
};

function databaseProblem(error: unknown): string {
  if (!(error instanceof Error)) return 'something unexpected was thrown';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const known = code === undefined ? undefined : databaseProblems[code];
  if (known !== undefined) return known;
  if (error.name === 'KnexTimeoutError') return 'no connection to the database could be had in time';
  if ('sqlMessage' in error || 'sql' in error)
    return `the database answered ${code ?? 'with an error'}; nothing was changed`;
  return `unexpected: ${error.message}`;
}
