import { execFile } from 'node:child_process';
import { accessSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { projectRoot } from '../../scripts/servers/place.ts';
import { stockTree } from '../../scripts/bench/radius/stock.ts';

/** That they run and verify what they count; how fast is for them to say. */
describe('benchmarks of FreeRADIUS, tiny', function () {
  this.timeout(60_000);

  before(function () {
    // Without the distribution's configuration, or where only root may read it, there is no baseline.
    try {
      accessSync(join(stockTree, 'mods-config/sql/main/mysql/queries.conf'));
    } catch {
      this.skip();
    }
  });

  it('logins.ts, with us and the stock server, gives a figure for each', async () => {
    const figures = await run('logins.ts', ['200', '20', '30', '0.2', '1', 'ours,sql']);
    expect(figures).to.have.length(4);
  });

  it('accounting.ts, with us and the stock server, finds every answered packet in the database', async () => {
    const figures = await run('accounting.ts', ['300', '600', '0.2', '1', 'ours,sql-lean']);
    expect(figures).to.have.length(2);
  });
});

async function run(script: string, args: readonly string[]): Promise<string[]> {
  const path = join(projectRoot, 'scripts', 'bench', script);
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', path, ...args]);
  return stdout.match(/^\| (ours|stock).*\| \d+ \(.*$/gm) ?? [];
}
