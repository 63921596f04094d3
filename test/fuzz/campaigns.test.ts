import { expect } from 'chai';
import { type Campaign, Tally } from '../../scripts/fuzzing/campaign.ts';
import { cli } from '../../scripts/fuzzing/cli.ts';
import { csv } from '../../scripts/fuzzing/csv.ts';
import { http } from '../../scripts/fuzzing/http/campaign.ts';
import { radius } from '../../scripts/fuzzing/radius/campaign.ts';

/** The short form of `scripts/fuzz`: some hundred cases of each kind, the same each time, on real servers. */
describe('made-up input', function () {
  this.timeout(120_000);

  const campaigns: readonly (readonly [Campaign, number])[] = [
    [csv, 400],
    [cli, 400],
    [http, 300],
    [radius, 600],
  ];
  for (const [campaign, cases] of campaigns) {
    it(`${campaign.name}, ${cases} cases, breaks nothing and leaks nothing`, async () => {
      const tally = new Tally(cases, () => undefined);
      await campaign.run({ cases, seed: 'suite', from: 0, tally, isShort: true });
      expect(tally.cases).to.be.at.least(cases);
      expect([...tally.findings.values()].map(({ rule, about }) => `${rule}\n${about}`)).to.deep.equal([]);
    });
  }
});
