import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { measureOverdue } from '../../scripts/bench/overdue-measure.ts';
import { testMariaDb } from '../support/db.ts';

describe('bench/overdue', () => {
  it('measureOverdue, of 300 subscribers, suspends every debtor in stages, one at a time and all at once', async function () {
    this.timeout(120_000);
    const mariadb = await testMariaDb();
    const database = `sluice_bench_${process.pid}`;
    const folder = mkdtempSync(join(tmpdir(), 'bench-'));
    const said: string[] = [];
    const measured = await measureOverdue({
      mariadb,
      database,
      folder,
      subscribers: 300,
      routers: 3,
      loop: 5,
      workers: 1,
      lanes: 1,
      isShort: true,
      profileFolder: undefined,
      say: (text) => said.push(text),
    });
    await mariadb.asRoot(`DROP DATABASE ${database}`);
    rmSync(folder, { recursive: true });
    const [inStages, loop, atOnce] = measured.map(({ figures }) => figures);
    const planned = inStages?.find(({ stage }) => stage === 'plan, written down')?.count ?? 0;
    expect(planned).to.be.within(15, 50);
    expect(inStages?.find(({ stage }) => stage === 'suspend')?.count).to.equal(planned);
    expect(loop?.map(({ count }) => count)).to.deep.equal([5, 5, 5]);
    expect(atOnce?.at(-1)?.note).to.match(new RegExp(`^${atOnce?.at(-1)?.count ?? 'none'} acknowledged`));
    expect(said.at(-1)).to.match(/, 0 refused, \d+ repeated, 0 unproved$/);
  });
});
