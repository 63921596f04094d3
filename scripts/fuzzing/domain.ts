import fc from 'fast-check';
import { diceFor } from '../seed/random.ts';
import type { Campaign, CampaignOptions } from './campaign.ts';
import { addressProperties } from './properties/addresses.ts';
import { fileProperties } from './properties/files.ts';
import { moneyProperties } from './properties/money.ts';
import { packetProperties } from './properties/packets.ts';
import type { Property } from './properties/property.ts';
import { textProperties } from './properties/texts.ts';
import { webProperties } from './properties/web.ts';

export const properties: readonly Property[] = [
  ...moneyProperties,
  ...addressProperties,
  ...textProperties,
  ...packetProperties,
  ...fileProperties,
  ...webProperties,
];

/** So many cases of one property, then the next has its turn. */
const stretch = 1000;

export const domain: Campaign = {
  name: 'domain',
  run: (options) => {
    const end = options.from + options.cases;
    for (let at = options.from - (options.from % stretch); at < end; at += stretch)
      runStretch(at, end, options);
    return Promise.resolve();
  },
};

function runStretch(at: number, end: number, { seed, tally }: CampaignOptions): void {
  const property = properties[(at / stretch) % properties.length];
  if (property === undefined) return;
  const numRuns = Math.min(stretch, end - at);
  const run = fc.check(property.holds, {
    numRuns,
    seed: diceFor(`${seed}/${at}`).between(0, 0x7fffffff),
  });
  tally.count(property.name, run.numRuns);
  if (!run.failed) return;
  const error = run.errorInstance instanceof Error ? run.errorInstance.message : String(run.errorInstance);
  tally.found({
    rule: `${property.name}: does not hold`,
    case: at,
    about: `  counterexample ${fc.stringify(run.counterexample)}\n  ${error}`,
  });
}
