import { expect } from 'chai';
import type { Knex } from 'knex';
import { type CommitFault, Wire } from '../../scripts/faults/wire.ts';
import { freePort } from '../../scripts/servers/child.ts';
import { openDb } from '../../src/db/knex.ts';
import { testDb, type TestDb } from '../support/db.ts';

describe('Wire, the way of a process to the database in the stories of chaos', () => {
  let t: TestDb;
  let wire: Wire;
  let db: Knex;
  let deadPort: number;
  before(async () => {
    t = await testDb();
    deadPort = await freePort();
    await t.db.raw('CREATE TABLE note (text VARCHAR(40) NOT NULL PRIMARY KEY)');
  });
  after(() => t.drop());
  beforeEach(async () => {
    // A cluster whose first node is away.
    wire = new Wire(() => [deadPort, t.address.port]);
    db = openDb({ ...t.address, host: '127.0.0.1', port: await wire.listen() }, { poolMax: 2 });
  });
  afterEach(async () => {
    await db.destroy();
    await wire.close();
  });

  const write = (text: string) =>
    db
      .transaction(async (trx) => {
        await trx('note').insert({ text });
      })
      .then(
        () => 'committed',
        () => 'failed',
      );
  const isThere = async (text: string) => (await t.db('note').where({ text })).length === 1;
  const strike = (fault: Partial<CommitFault>) => wire.arm({ moment: 'after', skips: 0, ...fault });

  it('goes to the first node that takes a connection', async () => {
    expect(await write('plain')).to.equal('committed');
    expect(await isThere('plain')).to.equal(true);
    expect(wire.commits).to.equal(1);
  });

  it('struck after a COMMIT, it is carried out and its answer is lost', async () => {
    strike({ moment: 'after' });
    expect(await write('after')).to.equal('failed');
    expect(await isThere('after')).to.equal(true);
    expect(wire.struck).to.equal(1);
  });

  it('struck before a COMMIT, it never arrives', async () => {
    strike({ moment: 'before' });
    expect(await write('before')).to.equal('failed');
    expect(await isThere('before')).to.equal(false);
  });

  it('strikes at the COMMIT that was named, once, and kills before the process can see it', async () => {
    const seen: string[] = [];
    strike({ skips: 1, kill: () => seen.push('killed') });
    expect(await write('first')).to.equal('committed');
    expect(seen).to.deep.equal([]);
    expect(await write('second')).to.equal('failed');
    expect(seen).to.deep.equal(['killed']);
    expect(await write('third')).to.equal('committed');
  });

  it('counts a COMMIT behind a long statement that came in pieces', async () => {
    await db.transaction(async (trx) => {
      await trx.raw('DO LENGTH(?)', ['x'.repeat(300_000)]);
    });
    expect(wire.commits).to.equal(1);
  });
});
