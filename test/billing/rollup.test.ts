import { expect } from 'chai';
import { recordPayment } from '../../src/billing/payments.ts';
import { sealLedger } from '../../src/billing/rollup.ts';
import { houseBalances } from '../../src/db/rollups.ts';
import type { SubscriberId } from '../../src/domain/ids.ts';
import { testContext, type TestContext } from '../support/builders.ts';
import { testDb, type TestDb } from '../support/db.ts';
import { aPayer, clearTables, expectSound, house } from './support.ts';

describe('sealed days of the ledger', () => {
  let t: TestDb;
  let ctx: TestContext;
  let subscriberId: SubscriberId;
  before(async () => {
    t = await testDb();
  });
  after(() => t.drop());
  beforeEach(async () => {
    await clearTables(t.db);
    ctx = testContext(t.db);
    ({ subscriberId } = await aPayer(t.db));
  });
  afterEach(() => expectSound(ctx));

  const payAt = async (instant: string, amountMinor: bigint) => {
    ctx.clock.set(instant);
    await recordPayment(ctx, { subscriberId, channel: 'cash', reference: instant, amountMinor });
  };
  const sealAt = (instant: string) => {
    ctx.clock.set(instant);
    return sealLedger(ctx);
  };

  it('sealLedger, seals finished days once, quiet ones too, and not today', async () => {
    await payAt('2026-03-01T23:59:59.999Z', 100n);
    await payAt('2026-03-02T00:00:00Z', 20n);
    await payAt('2026-03-04T12:00:00Z', 3n);
    expect(await sealAt('2026-03-04T13:00:00Z')).to.deep.equal(['2026-03-01', '2026-03-02', '2026-03-03']);
    expect(await sealAt('2026-03-04T13:00:00Z')).to.deep.equal([]);
    const rows = await t
      .db('ledger_rollup as r')
      .join('ledger_account as a', 'a.id', 'r.account_id')
      .where('a.code', 'cash')
      .orderBy('r.day')
      .select<{ day: string; debit_minor: string; credit_minor: string }[]>(
        'r.day',
        'debit_minor',
        'credit_minor',
      );
    expect(rows).to.deep.equal([
      { day: '2026-03-01', debit_minor: '100', credit_minor: '0' },
      { day: '2026-03-02', debit_minor: '20', credit_minor: '0' },
      { day: '2026-03-03', debit_minor: '0', credit_minor: '0' },
    ]);
  });

  it('sealLedger, within the hour after midnight, waits for what may still be running', async () => {
    await payAt('2026-03-01T23:59:00Z', 100n);
    expect(await sealAt('2026-03-02T00:59:59Z')).to.deep.equal([]);
    expect(await sealAt('2026-03-02T01:00:00Z')).to.deep.equal(['2026-03-01']);
  });

  it('houseBalances, before and after a seal, are the same', async () => {
    await payAt('2026-03-01T10:00:00Z', 100n);
    await payAt('2026-03-03T10:00:00Z', 23n);
    const before = await houseBalances(t.db);
    const cash = before.find((account) => account.code === 'cash');
    expect(cash?.balanceMinor).to.equal(123n);
    await sealAt('2026-03-03T11:00:00Z');
    expect(await houseBalances(t.db)).to.deep.equal(before);
  });

  it('an entry that comes late for a sealed day, is posted into the open time and not lost', async () => {
    await payAt('2026-03-01T10:00:00Z', 100n);
    await sealAt('2026-03-03T10:00:00Z');
    await payAt('2026-03-01T11:00:00Z', 5n);
    const [late] = await t.db('ledger_entry').orderBy('id', 'desc').limit(1).pluck<string[]>('posted_at');
    expect(late).to.equal('2026-03-03 00:00:00.000');
    expect((await house(t.db))['cash']).to.equal(105n);
  });

  it("days are the operator's, and a change of zone leaves no instant out and sums none twice", async () => {
    const zone = (name: string) =>
      t
        .db('setting')
        .insert({ name: 'zone', value: JSON.stringify(name), changed_at: '2026-01-01 00:00:00' })
        .onConflict('name')
        .merge();
    await zone('Asia/Kolkata');
    await payAt('2026-03-01T18:29:59Z', 100n);
    await payAt('2026-03-01T18:30:00Z', 20n);
    expect(await sealAt('2026-03-02T18:00:00Z')).to.deep.equal(['2026-03-01']);
    await zone('America/New_York');
    await payAt('2026-03-03T06:00:00Z', 3n);
    await sealAt('2026-03-05T12:00:00Z');
    await zone('Asia/Kolkata');
    await payAt('2026-03-06T06:00:00Z', 4n);
    await sealAt('2026-03-08T12:00:00Z');
    expect((await house(t.db))['cash']).to.equal(127n);
  });

  it('of an empty ledger, seals nothing', async () => {
    expect(await sealAt('2026-03-04T13:00:00Z')).to.deep.equal([]);
  });
});
