import { expect } from 'chai';
import { planClientFiles, type PresentFile, removalLimit } from '../../src/domain/client-directory.ts';
import type { RadiusClient } from '../../src/domain/radius-client-file.ts';

const client = (n: number, secret = 'a good secret'): RadiusClient => ({
  address: `10.0.${Math.floor(n / 250)}.${(n % 250) + 1}`,
  secret,
  shortname: `r${n}`,
  requireMessageAuthenticator: false,
});
const file = (of: RadiusClient, isFromFuture = false): PresentFile => ({
  name: of.address,
  content: { ok: true, client: of },
  isFromFuture,
});
const many = (count: number) => Array.from({ length: count }, (_, n) => client(n));

const plan = (given: Partial<Parameters<typeof planClientFiles>[0]>) =>
  planClientFiles({
    wanted: [],
    untouchable: new Set(),
    present: [],
    isExplained: () => false,
    isAnyWanted: (given.wanted ?? []).length > 0,
    isRemovalConfirmed: false,
    ...given,
  });

describe('planClientFiles', () => {
  it('an unchanged file is never written again', () => {
    const result = plan({ wanted: many(3), present: many(3).map((one) => file(one)) });
    expect(result).to.deep.equal({ write: [], renew: [], quarantine: [], remove: [], refused: [] });
  });

  it('a new router and a changed secret are written', () => {
    const wanted = [client(1), client(2, 'another secret'), client(3)];
    const result = plan({ wanted, present: [file(client(1)), file(client(2))] });
    expect(result.write).to.deep.equal([wanted[1], wanted[2]]);
  });

  it('a file from the future is renewed, not rewritten', () => {
    const result = plan({ wanted: [client(1)], present: [file(client(1), true)] });
    expect(result.renew).to.deep.equal([client(1).address]);
    expect(result.write).to.deep.equal([]);
  });

  it('a bad file goes to quarantine; a wanted one is written in its place', () => {
    const bad = (name: string): PresentFile => ({
      name,
      content: { ok: false, problem: 'is cut off' },
      isFromFuture: false,
    });
    const result = plan({ wanted: [client(1)], present: [bad(client(1).address), bad('README')] });
    expect(result.quarantine).to.deep.equal([
      { name: client(1).address, problem: 'is cut off', isReplaced: true },
      { name: 'README', problem: 'is cut off', isReplaced: false },
    ]);
    expect(result.write).to.deep.equal([client(1)]);
  });

  it('the file of a router whose row is unusable stays as it is', () => {
    const result = plan({
      wanted: [client(1)],
      untouchable: new Set([client(2).address]),
      present: [file(client(1)), file(client(2, 'an older secret'))],
    });
    expect(result.remove).to.deep.equal([]);
  });

  it('any number of removals that are on record are carried out', () => {
    const result = plan({
      wanted: many(10),
      present: many(100).map((one) => file(one)),
      isExplained: () => true,
    });
    expect(result.remove).to.have.length(90);
    expect(result.refused).to.deep.equal([]);
  });

  it('the last router, removed on record, goes although nothing is wanted any more', () => {
    const result = plan({ present: [file(client(1))], isExplained: () => true });
    expect(result.remove).to.deep.equal([client(1).address]);
  });

  it('unexplained removals are carried out up to the limit, and none beyond it', () => {
    const present = many(100).map((one) => file(one));
    expect(plan({ wanted: many(80), present }).remove).to.have.length(20);
    const over = plan({ wanted: many(79), present });
    expect(over.remove).to.deep.equal([]);
    expect(over.refused).to.have.length(21);
  });

  it('an empty table removes nothing, not even few files', () => {
    const result = plan({ present: [file(client(1))] });
    expect(result.remove).to.deep.equal([]);
    expect(result.refused).to.have.length(1);
  });

  it('somebody who confirms may remove all', () => {
    expect(
      plan({ present: many(50).map((one) => file(one)), isRemovalConfirmed: true }).remove,
    ).to.have.length(50);
  });
});

describe('removalLimit', () => {
  it('is ten, or a fifth of the files', () => {
    expect([0, 10, 50, 55, 2000].map(removalLimit)).to.deep.equal([10, 10, 10, 11, 400]);
  });
});
