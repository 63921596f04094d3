import { type Campaign, grouped, Tally } from './campaign.ts';

/** What each is about stands here, so that only those that are wanted are loaded. */
const campaigns: readonly { name: string; about: string; load: () => Promise<Campaign> }[] = [
  {
    name: 'domain',
    about: 'rules and parsers as properties, by fast-check, which shrinks what it finds',
    load: async () => (await import('./domain.ts')).domain,
  },
  {
    name: 'csv',
    about: 'files of subscribers: taken apart, looked over, some imported; and files of ours, there and back',
    load: async () => (await import('./csv.ts')).csv,
  },
  {
    name: 'cli',
    about: 'arguments of every verb, some as processes of their own',
    load: async () => (await import('./cli.ts')).cli,
  },
  {
    name: 'http',
    about: 'requests to the pages, well-formed and not, signed in and not, on a real database',
    load: async () => (await import('./http/campaign.ts')).http,
  },
  {
    name: 'radius',
    about: 'packets to the real FreeRADIUS, with the workers that read what it writes',
    load: async () => (await import('./radius/campaign.ts')).radius,
  },
];

const usage = `Usage: scripts/fuzz [CAMPAIGN…] [--cases N] [--seed S] [--from CASE]

Throws made-up input at Sluice, with servers of its own, and says what it broke. Campaigns:
${campaigns.map(({ name, about }) => `  ${name.padEnd(8)} ${about}`).join('\n')}

  --cases N    cases of each campaign (100,000 where it is left out)
  --seed S     another word, other cases; the same word, the same cases
  --from CASE  begins at that case: with --cases 1, that one alone
`;

interface Wanted {
  readonly campaigns: typeof campaigns;
  readonly cases: number;
  readonly seed: string;
  readonly from: number;
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = readArguments(args);
  if (wanted === null) {
    process.stderr.write(usage);
    return 2;
  }
  let found = 0;
  for (const { load } of wanted.campaigns) found += await runOne(await load(), wanted);
  return found === 0 ? 0 : 1;
}

function readArguments(args: readonly string[]): Wanted | null {
  const options = new Map([
    ['--cases', '100000'],
    ['--seed', 'sluice'],
    ['--from', '0'],
  ]);
  const named: (typeof campaigns)[number][] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    const campaign = campaigns.find(({ name }) => name === arg);
    const value = args[at + 1];
    if (campaign !== undefined) named.push(campaign);
    else if (options.has(arg) && value !== undefined) options.set(arg, args[++at] ?? '');
    else return null;
  }
  const cases = Number(options.get('--cases'));
  const from = Number(options.get('--from'));
  if (!Number.isSafeInteger(cases) || cases < 1 || !Number.isSafeInteger(from) || from < 0) return null;
  return { campaigns: named.length > 0 ? named : campaigns, cases, from, seed: options.get('--seed') ?? '' };
}

/** Runs one campaign; gives the number of its findings. */
async function runOne(campaign: Campaign, wanted: Wanted): Promise<number> {
  const say = (text: string) => process.stdout.write(`${campaign.name}: ${text}\n`);
  const tally = new Tally(wanted.cases, say);
  const startedAt = performance.now();
  await campaign.run({ ...wanted, tally });
  const seconds = (performance.now() - startedAt) / 1000;
  say(`${grouped(tally.cases)} cases in ${seconds.toFixed(0)} s, seed ${wanted.seed}`);
  const kinds = [...tally.kinds].sort((a, b) => b[1] - a[1]);
  for (const [kind, number] of kinds) say(`  ${grouped(number).padStart(10)}  ${kind}`);
  for (const finding of tally.findings.values()) {
    say(`FOUND ${finding.times} times: ${finding.rule}`);
    say(`  again: scripts/fuzz ${campaign.name} --seed ${wanted.seed} --from ${finding.case} --cases 1`);
  }
  say(tally.findings.size === 0 ? 'nothing was found' : `${tally.findings.size} findings`);
  return tally.findings.size;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
