import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { oneMariaDb } from '../../scripts/faults/database.ts';
import { playSeeds, readCall } from '../../scripts/faults/main.ts';
import { dataRoot } from '../../scripts/servers/place.ts';

describe('a short story of chaos', () => {
  const folder = join(dataRoot(), `chaos-test-${process.pid}`);
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('seed 1, with kills, a frozen database and routers that reboot, ends as the same story undisturbed', async function () {
    this.timeout(400_000);
    const call = readCall(['--short', '--seed', '1']);
    if (call === undefined) throw new Error('the call was not understood');
    const said: string[] = [];
    const database = await oneMariaDb(join(folder, 'database'));
    const [outcome] = await playSeeds(call, database, folder, (text) => said.push(text));
    expect(outcome?.findings, said.join('\n')).to.deep.equal([]);
    // Something did happen.
    expect(outcome?.kills).to.be.greaterThan(0);
    expect(outcome?.accounted).to.be.greaterThan(0);
  });
});
