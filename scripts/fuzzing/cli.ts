import { commonOptions } from '../../src/cli/parse.ts';
import type { Option, Verb } from '../../src/cli/verb.ts';
import { verbs } from '../../src/cli/verbs.ts';
import { type Dice, diceFor } from '../seed/random.ts';
import { atOnce, type Campaign, type CampaignOptions } from './campaign.ts';
import { secretsIn, secretsInDatabase } from './canaries.ts';
import { type CliWorld, openCliWorld, type Ran, secrets, typedSecret } from './cli-world.ts';
import { mutated, rubbish } from './texts.ts';

/** One case in so many is a process of its own. */
const apartOneIn = 2000;
const workers = 6;
/** A verb that is refused by its arguments is done long before. */
const slowMs = 30_000;
/** These look at the whole database, or ask FreeRADIUS, which is away: a few of them say enough. */
const slowVerbs = [
  'doctor',
  'migrate',
  'ledger check',
  'overdue-run',
  'invoice-run',
  'access',
  'watch',
  'reconcile',
];

/** Arguments of every verb, right, nearly right and wrong, on the demo ISP. */
export const cli: Campaign = {
  name: 'cli',
  async run(options) {
    const world = await openCliWorld(options.isShort !== true);
    try {
      await atOnce(options, workers, (number) => runCase(world, number, options));
      for (const held of await secretsInDatabase(world.own.db, secrets)) {
        options.tally.found({ rule: `the database: ${held}`, case: options.from, about: '' });
      }
    } finally {
      await world.close();
    }
  },
};

async function runCase(world: CliWorld, number: number, { seed, tally }: CampaignOptions): Promise<void> {
  const dice = diceFor(`${seed}/cli/${number}`);
  const { argv, verb } = makeArguments(dice);
  const input = dice.pick([`${typedSecret}\n`, '', typedSecret, `${rubbish(dice)}\n`]);
  const isApart = number % apartOneIn === 0 && !argv.some((arg) => arg.includes('\0'));
  const startedAt = performance.now();
  const ran = await (isApart ? world.spawn(argv, input) : world.run(argv, input)).catch(
    (error: unknown) => error,
  );
  const name = verb?.name ?? 'no verb';
  const found = (rule: string) =>
    tally.found({
      rule: `${rule} (${name})`,
      case: number,
      about: `  ${JSON.stringify(argv)}\n  ${described(ran)}`,
    });
  if (!isRan(ran)) {
    tally.count(`${name}: thrown`);
    found('an error came out of the program');
    return;
  }
  tally.count(`${isApart ? 'a process: ' : ''}${name}: exit ${ran.code ?? 'killed'}`);
  if (performance.now() - startedAt > slowMs) found(`takes longer than ${slowMs} ms`);
  for (const fault of faultsOf(ran, argv, verb)) found(fault);
  for (const line of world.log.splice(0))
    for (const held of secretsIn(line, secrets)) found(`a log line holds ${held}`);
}

function isRan(ran: unknown): ran is Ran {
  return typeof ran === 'object' && ran !== null && 'stderr' in ran;
}

function described(ran: unknown): string {
  if (isRan(ran))
    return `${ran.code ?? 'killed'} ${JSON.stringify(ran.stderr.slice(0, 500))} ${JSON.stringify(ran.stdout.slice(0, 200))}`;
  return ran instanceof Error ? (ran.stack ?? ran.message) : String(ran);
}

function faultsOf({ code, stdout, stderr }: Ran, argv: readonly string[], verb: Verb | undefined): string[] {
  const faults: string[] = [];
  if (code !== 0 && code !== 1 && code !== 2) faults.push(`exit code ${code ?? 'none'}`);
  if (/\n\s+at .+:\d+:\d+/.test(stderr)) faults.push('a stack trace');
  if (/unexpected|the database answered|(select|insert into|update) `/.test(stderr))
    faults.push('a fault of the program');
  if (code === 2 && !/^sluice: /.test(stderr)) faults.push('wrongly typed, and not said so');
  if (code === 2 && verb !== undefined && !/^sluice: \S.*: \S/.test(stderr))
    faults.push('no field and rule is named');
  for (const held of secretsIn(stderr, secrets)) faults.push(`standard error holds ${held}`);
  // The lines to type on a router hold its secret, once.
  const showsSecret = verb?.name === 'router add' || verb?.name === 'router set';
  for (const held of showsSecret ? [] : secretsIn(stdout, secrets))
    faults.push(`standard output holds ${held}`);
  // eslint-disable-next-line no-control-regex -- what a terminal would obey is what is looked for
  if (/[\x00-\x08\x0b-\x1f\x7f\x9b]/.test(stderr + stdout)) faults.push('a control character is printed');
  if (code !== 0 || !argv.includes('--json') || argv.some((arg) => ['--help', '-h', 'help'].includes(arg)))
    return faults;
  if (verb !== undefined && !isJson(stdout)) faults.push('--json printed no JSON');
  return faults;
}

/** One document, or one on each line. */
function isJson(text: string): boolean {
  const reads = (part: string) => {
    try {
      JSON.parse(part);
      return true;
    } catch {
      return false;
    }
  };
  return text === '' || reads(text) || text.trim().split('\n').every(reads);
}

function makeArguments(dice: Dice): { argv: string[]; verb: Verb | undefined } {
  if (dice.percent(4)) return { argv: wrongVerb(dice), verb: undefined };
  const picked = dice.pick(verbs);
  const verb = slowVerbs.includes(picked.name) && !dice.percent(5) ? dice.pick(verbs) : picked;
  const argv = verb.name.split(' ');
  const options = Object.entries({ ...commonOptions, ...verb.options });
  const isSlow = slowVerbs.includes(verb.name);
  const parts: string[][] = (verb.positionals ?? []).map(({ name }) => [positional(dice, name)]);
  for (const [name, option] of options) {
    const share = name === 'help' ? 1 : verb.options?.[name] === undefined ? 8 : 55;
    if (dice.percent(share)) parts.push(optionOf(dice, name, option));
  }
  // Few of the slow ones get as far as their work.
  if (dice.percent(isSlow ? 90 : 35))
    parts.splice(dice.between(0, parts.length), dice.between(0, 1), wrongPart(dice, verb));
  for (const part of parts.sort(() => dice.next() - 0.5)) argv.push(...part);
  return { argv, verb: isHelpOrOther(argv) ? undefined : verb };
}

/** Two words may make another verb than was meant, and a request for help is none. */
function isHelpOrOther(argv: readonly string[]): boolean {
  return argv.some((arg) => arg === '-h' || arg.startsWith('--help'));
}

function wrongVerb(dice: Dice): string[] {
  const name = dice.pick(verbs).name;
  return dice.pick([
    () => [rubbish(dice), rubbish(dice)],
    () => [mutated(dice, name), typedSecret],
    () => ['help', rubbish(dice)],
    () => ['help', ...name.split(' ')],
    () => [name],
    () => ['x'.repeat(dice.pick([100, 10_000, 100_000]))],
    () => ['--', rubbish(dice)],
    () => [],
  ])();
}

function wrongPart(dice: Dice, verb: Verb): string[] {
  const names = Object.keys({ ...commonOptions, ...verb.options });
  const name = dice.pick(names);
  return dice.pick([
    () => [rubbish(dice)],
    // Elsewhere it would be a name, which is shown.
    () => [verb.name.startsWith('staff ') ? typedSecret : rubbish(dice)],
    () => wrongOption(dice, names, name),
    () => [`--${rubbish(dice)}`],
    () => [`--${name}`],
    () => [`--${name}=${rubbish(dice)}`],
    () => [`--${name}`, rubbish(dice), `--${name}`, rubbish(dice)],
    () => [`-${name[0] ?? 'x'}`, rubbish(dice)],
    () => ['--', rubbish(dice), '--json'],
    () => ['--__proto__=1'],
    () => ['--constructor', 'x'],
    () => ['--'],
    () => ['-'],
    () => [`--${'x'.repeat(dice.pick([100, 10_000, 100_000]))}`],
  ])();
}

/** Whoever mistypes the option for a secret: but under another option's name it would be a name, which is shown. */
function wrongOption(dice: Dice, names: readonly string[], name: string): string[] {
  const wrong = mutated(dice, name);
  const isAnother = names.includes(wrong.split('=', 1)[0] ?? '');
  return [`--${wrong}=${isAnother ? rubbish(dice) : typedSecret}`];
}

function positional(dice: Dice, name: string): string {
  if (dice.percent(30)) return rubbish(dice);
  const meant: readonly (readonly [RegExp, readonly string[]])[] = [
    [/AMOUNT/, ['10', '0.01', '34.50', '840.00']],
    [/ROUTER/, ['pop-north', '127.0.0.11', 'pop-south']],
    [/DAY/, ['2026-03-31', '2026-04-30']],
    [/ID|RUN/, ['1', '2', '3']],
    [/NAME/, ['zone', 'name-1', 'Home 50']],
    [/WHO|USERNAME/, ['demo-full', 'demo-blocked', '#1', '#3', 'demo-held', "o'hara"]],
  ];
  return dice.pick(meant.find(([form]) => form.test(name))?.[1] ?? ['1', 'demo-full', 'x']);
}

function optionOf(dice: Dice, name: string, option: Option): string[] {
  if (option.value === undefined) return [`--${name}`];
  const value = valueOf(dice, name, option.value);
  return dice.percent(50) ? [`--${name}`, value] : [`--${name}=${value}`];
}

function valueOf(dice: Dice, name: string, about: string): string {
  if (/password|secret/.test(name)) return dice.pick([typedSecret, `${typedSecret}\n`, `'${typedSecret}\\`]);
  if (dice.percent(35)) return rubbish(dice);
  const meant: readonly (readonly [RegExp, readonly string[]])[] = [
    [/DAY/, ['2026-03-31', '2026-04-15', '2026-02-30', '2026-03-01']],
    [/AMOUNT/, ['10', '34.50', '-5', '1e3']],
    [/NUMBER|SECONDS|PERCENT|COUNT|PORT/, ['1', '0', '60', '3799', '99999', '-1']],
    [/MAC/, ['AA:BB:CC:DD:EE:FF', 'x']],
    [/IPV4|ADDRESS/, ['203.0.113.9', '10.9.8.7', '127.0.0.1']],
    [/PREFIX/, ['2001:db8:77::/56']],
    [/RATE/, ['10M/50M', '0/0']],
    [/CHANNEL/, ['cash', 'bank', 'card']],
    [/yes|no/i, ['yes', 'no']],
    [/ROLE/, ['owner', 'noc', 'x']],
  ];
  const byWord = meant.find(([form]) => form.test(about))?.[1];
  const byName: Record<string, readonly string[]> = {
    package: ['Home 50', 'Home 10', 'x'],
    profile: ['monthly-block', 'block'],
    effect: ['block', 'throttle', 'walled_garden'],
    username: [`fuzz-${dice.between(0, 1e9)}`, 'demo-full'],
    reference: [`R-${dice.between(0, 1e6)}`],
  };
  return dice.pick((Object.hasOwn(byName, name) ? byName[name] : byWord) ?? ['a text', '1', 'demo-full']);
}
