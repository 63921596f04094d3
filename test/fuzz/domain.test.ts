import { expect } from 'chai';
import { Tally } from '../../scripts/fuzzing/campaign.ts';
import { domain, properties } from '../../scripts/fuzzing/domain.ts';

/** The short form of `scripts/fuzz domain`: some hundred cases of each property, the same each time. */
describe('rules and parsers, under made-up input', function () {
  this.timeout(60_000);
  const each = 150;

  for (const [index, { name }] of properties.entries()) {
    it(`${name}, of ${each} made-up cases, holds for all`, async () => {
      const tally = new Tally(each, () => undefined);
      await domain.run({ cases: each, seed: 'suite', from: index * 1000, tally });
      expect(tally.cases).to.equal(each);
      expect([...tally.findings.values()].map(({ rule, about }) => `${rule}\n${about}`)).to.deep.equal([]);
    });
  }
});
