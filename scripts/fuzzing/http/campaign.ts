import { diceFor } from '../../seed/random.ts';
import { atOnce, type Campaign, type CampaignOptions } from '../campaign.ts';
import { secretsIn, secretsInDatabase } from '../canaries.ts';
import { faultsOf } from './judge.ts';
import { type Case, makeCase } from './requests.ts';
import { Wire } from './wire.ts';
import { openWorld, type World } from './world.ts';

const workers = 8;

/** The pages as browsers and worse reach them: requests of every kind, over real connections, on a real database. */
export const http: Campaign = {
  name: 'http',
  async run(options) {
    const world = await openWorld(options.isShort !== true);
    try {
      const wires: Wire[] = [];
      const free: Wire[] = [];
      await atOnce(options, workers, async (number) => {
        const wire = free.pop() ?? new Wire(world.port);
        if (!wires.includes(wire)) wires.push(wire);
        await runCase(world, wire, number, options);
        free.push(wire);
      });
      for (const wire of wires) wire.close();
      for (const held of await secretsInDatabase(world.app.db, world.secrets)) {
        options.tally.found({
          rule: `the database: ${held}`,
          case: options.from,
          about: '  after all cases',
        });
      }
    } finally {
      await world.close();
    }
  },
};

async function runCase(world: World, wire: Wire, number: number, options: CampaignOptions): Promise<void> {
  const dice = diceFor(`${options.seed}/http/${number}`);
  const one = makeCase(dice, world.site, world.people);
  const { faults, said } = one.isRaw ? await shout(world, wire, one) : await ask(world, wire, one);
  options.tally.count(`${one.kind}: ${said}`);
  const lines = world.takeLog();
  for (const line of lines) {
    for (const name of secretsIn(line, world.secrets))
      faults.push({ rule: `a log line holds ${name}`, told: line });
  }
  const errors = lines.filter((line) => line.includes('"level":"error"')).join('');
  for (const { rule, told } of faults) {
    options.tally.found({
      rule: `${rule} (${one.kind}, ${patternOf(one.path)})`,
      case: number,
      about: `  ${one.bytes.toString('latin1').slice(0, 1500)}\n  ${told.slice(0, 600)}\n  ${errors.slice(0, 1200)}`,
    });
  }
}

interface Fault {
  readonly rule: string;
  readonly told: string;
}

interface Judged {
  faults: Fault[];
  /** The status, or what else became of it. */
  said: string;
}

async function ask(world: World, wire: Wire, one: Case): Promise<Judged> {
  const answer = await wire.ask(one.bytes, one.isHead);
  if (typeof answer === 'string')
    return { faults: [{ rule: `it ${answer} without an answer`, told: wire.brokenBy }], said: answer };
  const isOut = answer.status === 401 || (answer.headers.get('location') ?? '').startsWith('/sign-in');
  if (one.person !== null && isOut) await world.heal(one.person);
  const asked = { path: one.path, mayShowSecret: one.mayShowSecret };
  const told = answer.body.slice(0, 300);
  const faults = faultsOf(answer, asked, world.secrets).map((rule) => ({ rule, told }));
  return { faults, said: String(answer.status) };
}

/** What comes back of bytes that are no request: nothing, or answers that tell nothing. */
async function shout(world: World, wire: Wire, one: Case): Promise<Judged> {
  const heard = await wire.shout(one.bytes);
  if (heard === 'hangs') return { faults: [{ rule: 'it hangs', told: '' }], said: heard };
  const text = heard.toString('utf8');
  const faults = secretsIn(text, world.secrets).map((name) => `the answer holds ${name}`);
  if (/HTTP\/1\.1 5\d\d/.test(text)) faults.push('status 5xx');
  if (text !== '' && !text.startsWith('HTTP/1.1 ')) faults.push('no HTTP came back');
  const said = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 'closed';
  return { faults: faults.map((rule) => ({ rule, told: text.slice(0, 300) })), said };
}

function patternOf(path: string): string {
  return (path.split('?')[0] ?? '').replaceAll(/\d+/g, ':n').slice(0, 60);
}
