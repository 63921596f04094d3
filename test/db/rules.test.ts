import { expect } from 'chai';
import type { Knex } from 'knex';
import { changeSettings } from '../../src/catalog/change-settings.ts';
import { openDb } from '../../src/db/knex.ts';
import { postEntries } from '../../src/db/ledger.ts';
import { holdRule } from '../../src/db/rules.ts';
import { parseDay } from '../../src/domain/day.ts';
import { makeEntry } from '../../src/domain/ledger.ts';
import { insertPayers, invoiceOn } from '../billing/support.ts';
import { testContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { addressesAtOnce, ownersAtOnce } from '../support/rules.ts';

/** Rules over many rows: what one transaction sees, another may be changing. */
describe('rules that no unique key keeps', () => {
  let t: TestDb;
  let other: Knex;
  before(async () => {
    t = await testDb();
    other = openDb(t.address);
  });
  after(async () => {
    await other.destroy();
    await t.drop();
  });

  it('holdRule, by two transactions, lets the second check what the first has written', async () => {
    const seen: string[] = [];
    await Promise.all(
      [t.db, other].map((db) =>
        db.transaction(async (trx) => {
          await holdRule(trx, 'owners');
          const [row] = (await trx.raw('SELECT COUNT(*) AS n FROM setting')) as [{ n: string }[]];
          seen.push(row[0]?.n ?? '');
          await trx('setting').insert({
            name: `n${seen.length}`,
            value: '1',
            changed_at: '2026-01-01 00:00:00',
          });
        }),
      ),
    );
    expect(seen).to.deep.equal(['0', '1']);
    await t.db('setting').delete();
  });

  it('addresses, of two pools, a login and a removed router at once, never overlap', async () => {
    expect(await addressesAtOnce([t.db, other])).to.deep.equal([]);
  });

  it('setStaff, by two owners who take each other out at once, leaves one of them', async () => {
    expect(await ownersAtOnce([t.db, other])).to.equal(1);
  });

  it('changeSettings, of the currency while the first invoices are posted, is one or the other', async () => {
    await insertPayers(t.db, 300);
    const ctx = testContext(t.db, { now: '2026-03-01T10:00:00Z' });
    const changing = changeSettings({ ...ctx, db: other }, { name: 'currency', value: 'EUR' });
    const outcomes = await Promise.allSettled([invoiceOn(ctx, '2026-03-01'), changing]);
    const [row] = await t.db('setting').where({ name: 'currency' }).pluck<string[]>('value');
    const currencies = await t.db('ledger_account').distinct().pluck<string[]>('currency');
    const wanted = row === undefined ? 'USD' : 'EUR';
    expect(
      currencies.every((one) => one === wanted),
      `${currencies.join()} under ${wanted}`,
    ).to.equal(true);
    expect(outcomes.some((one) => one.status === 'fulfilled')).to.equal(true);
  });

  it('a posting in a currency that was changed after it was read, is refused', async () => {
    await t.db('setting').delete();
    await t.db('setting').insert({ name: 'currency', value: '"BDT"', changed_at: '2026-01-01 00:00:00' });
    const entry = makeEntry('payment', [
      { account: { code: 'cash', owner: 'house' }, amountMinor: 500n },
      { account: { code: 'wallet', owner: 'subscriber:1' }, amountMinor: -500n },
    ]);
    const posting = {
      at: new Date('2026-03-01T10:00:00Z'),
      actor: 'test',
      requestId: 'r',
      money: { currency: 'XAF', exponent: 2 },
    };
    const error: unknown = await t.db
      .transaction((trx) =>
        postEntries(
          trx,
          [{ onceKey: 'k', entry, subscriberId: null, effectiveOn: parseDay('2026-03-01') }],
          posting,
        ),
      )
      .catch((caught: unknown) => caught);
    expect(error).to.have.property('kind', 'conflict');
  });
});
