import { expect } from 'chai';
import type { Knex } from 'knex';
import { type Decided, decisionsOf, saveDecisions } from '../../src/db/access-decisions.ts';
import type { Trx } from '../../src/db/knex.ts';
import { actualRows, alignRows, type DesiredRows } from '../../src/db/radius-rows.ts';
import { asId, type LoginId } from '../../src/domain/ids.ts';
import type { AttributeName, RadiusRow } from '../../src/domain/radius-attributes.ts';
import { testDb } from '../support/db.ts';

const now = new Date('2026-03-10T08:00:00Z');

describe('rows and decisions of many logins', () => {
  let db: Knex;
  let drop: () => Promise<void>;

  before(async () => {
    const opened = await testDb();
    db = opened.db;
    drop = () => opened.drop();
  });

  after(() => drop());

  it('alignRows, when many logins get the same values, tells them together and each has exactly what is desired', async () => {
    const logins = Array.from({ length: 200 }, (_, n) => n);
    await db.transaction((trx) => alignRows(trx, logins.map(openLogin)));
    const statements = countWrites(db);
    const changes = await db.transaction((trx) => alignRows(trx, logins.map(cutLogin)));
    const told = statements();
    await expectRows(db, logins.map(cutLogin));
    expect(changes).to.deep.equal({
      added: 2 * 67,
      changed: 200 * 3,
      removed: 67,
    });
    // Two speeds and lists; what is single, and what is new in radcheck; the removed.
    expect(told.length, told.join('\n')).to.be.at.most(6);
    await db.transaction((trx) => alignRows(trx, logins.map(openLogin)));
    await expectRows(db, logins.map(openLogin));
  });

  it('alignRows, when a row of one among many is gone since it was read, puts it back', async () => {
    const logins = Array.from({ length: 60 }, (_, n) => n + 1000);
    await db.transaction((trx) => alignRows(trx, logins.map(openLogin)));
    await db.transaction((trx) =>
      alignRows(
        meddled(trx, 'UPDATE radreply', () =>
          db('radreply').where({ username: 'u1007', attribute: 'Mikrotik-Rate-Limit' }).del(),
        ),
        logins.map(cutLogin),
      ),
    );
    await expectRows(db, logins.map(cutLogin));
  });

  it('saveDecisions, of many that are decided alike, raises each generation from where it was', async () => {
    const ids = Array.from({ length: 90 }, (_, n) => asId<LoginId>(n + 1));
    await db.transaction((trx) => saveDecisions(trx, ids.map(decided('aa')), now));
    await db.transaction((trx) => saveDecisions(trx, ids.slice(0, 40).map(decided('bb')), now));
    await db.transaction((trx) => saveDecisions(trx, ids.map(decided('cc')), now));
    const stored = await decisionsOf(db, ids);
    expect(ids.map((id) => Number(stored.get(id)?.generation))).to.deep.equal(
      ids.map((_, index) => (index < 40 ? 3 : 2)),
    );
    expect(new Set([...stored.values()].map((one) => one.accessFingerprint))).to.deep.equal(new Set(['cc']));
    const history = await db('access_change').where({ login_id: ids[0] }).orderBy('id').pluck('generation');
    expect(history).to.deep.equal(['1', '2', '3']);
  });

  it('saveDecisions, when one among many is gone since it was read, puts it back', async () => {
    const ids = Array.from({ length: 50 }, (_, n) => asId<LoginId>(n + 500));
    await db.transaction((trx) => saveDecisions(trx, ids.map(decided('aa')), now));
    await db.transaction((trx) =>
      saveDecisions(
        meddled(trx, 'UPDATE access_decision', () => db('access_decision').where({ login_id: '510' }).del()),
        ids.map(decided('bb')),
        now,
      ),
    );
    const stored = await decisionsOf(db, ids);
    expect(ids.map((id) => stored.get(id)?.accessFingerprint)).to.deep.equal(ids.map(() => 'bb'));
    expect(ids.map((id) => Number(stored.get(id)?.generation))).to.deep.equal(ids.map(() => 2));
  });
});

function row(attribute: AttributeName, value: string): RadiusRow {
  return { attribute, op: ':=', value, ordinal: 0 };
}

function openLogin(n: number): DesiredRows {
  return {
    username: `u${n}`,
    check: [
      row('Cleartext-Password', `p${n}`),
      ...(n % 3 === 1 ? [row('Sluice-Valid-Until', '1893456000')] : []),
    ],
    reply: [
      row('Class', `S1.${n}.aaaaaaaaaa.bbbbbbbbbb`),
      row('Mikrotik-Rate-Limit', `${1 + (n % 2)}0M/50M`),
      row('Mikrotik-Address-List', 'full'),
      row('Framed-Pool', 'pool-1'),
    ],
  };
}

/** A third is denied, a third loses its validity, all are slowed: by two speeds. */
function cutLogin(n: number): DesiredRows {
  const denied = [row('Auth-Type', 'Reject'), row('Sluice-Deny-Reason', 'invoice_overdue')];
  return {
    username: `u${n}`,
    check: [row('Cleartext-Password', `p${n}`), ...(n % 3 === 0 ? denied : [])],
    reply: [
      row('Class', `S1.${n}.cccccccccc.bbbbbbbbbb`),
      row('Mikrotik-Rate-Limit', n % 2 === 0 ? '64k/64k' : '1M/1M'),
      row('Mikrotik-Address-List', n % 2 === 0 ? 'walled' : 'late'),
      row('Framed-Pool', 'pool-1'),
    ],
  };
}

async function expectRows(db: Knex, desired: readonly DesiredRows[]): Promise<void> {
  const actual = await actualRows(
    db,
    desired.map((login) => login.username),
  );
  const plain = (rows: readonly { attribute: string; op: string; value: string; ordinal: number }[] = []) =>
    rows.map(({ attribute, op, value, ordinal }) => `${attribute} ${op} ${ordinal} ${value}`).sort();
  for (const { username, check, reply } of desired) {
    const found = actual.get(username);
    expect(plain(found?.check), username).to.deep.equal(plain(check));
    expect(plain(found?.reply), username).to.deep.equal(plain(reply));
  }
}

function decided(fingerprint: string): (id: LoginId) => Decided {
  return (loginId) => ({
    loginId,
    decision: { access: { kind: 'denied' }, reason: 'invoice_overdue', reviewAt: null },
    accessFingerprint: fingerprint,
    redialFingerprint: 'dd',
    coaAttributes: [],
    requestedBy: 'test',
  });
}

/** The transaction, in which somebody else's hand comes before the first statement that begins so. */
function meddled(trx: Trx, beginning: string, hand: () => PromiseLike<unknown>): Trx {
  let isDone = false;
  const raw = async (sql: string, bindings: readonly string[]) => {
    if (!isDone && sql.startsWith(beginning)) {
      isDone = true;
      await hand();
    }
    return (await trx.raw(sql, bindings)) as unknown;
  };
  return new Proxy(trx, {
    get: (target, name) => (name === 'raw' ? raw : Reflect.get(target, name)) as unknown,
  });
}

function countWrites(db: Knex): () => string[] {
  const seen: string[] = [];
  const listen = ({ sql }: { sql: string }) => {
    if (/^(INSERT|UPDATE|DELETE)/i.test(sql)) seen.push(sql.slice(0, 60));
  };
  db.on('query', listen);
  return () => {
    db.removeListener('query', listen);
    return seen;
  };
}
