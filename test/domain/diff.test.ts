import { expect } from 'chai';
import fc from 'fast-check';
import { diffByKey } from '../../src/domain/diff.ts';

interface Item {
  key: string;
  value: number;
}
const diff = (desired: readonly Item[], actual: readonly Item[]) =>
  diffByKey(
    desired,
    actual,
    (item) => item.key,
    (a, b) => a.value === b.value,
  );

describe('domain/diff', () => {
  it('diffByKey, of two sets, names what is missing, different and too much', () => {
    const found = diff(
      [
        { key: 'new', value: 1 },
        { key: 'same', value: 2 },
        { key: 'other', value: 3 },
      ],
      [
        { key: 'same', value: 2 },
        { key: 'other', value: 4 },
        { key: 'old', value: 5 },
      ],
    );
    expect(found).to.deep.equal({
      add: [{ key: 'new', value: 1 }],
      change: [{ from: { key: 'other', value: 4 }, to: { key: 'other', value: 3 } }],
      remove: [{ key: 'old', value: 5 }],
    });
  });

  it('diffByKey, when the actual holds a key twice, removes the surplus', () => {
    const twice = [
      { key: 'a', value: 1 },
      { key: 'a', value: 2 },
    ];
    expect(diff([{ key: 'a', value: 1 }], twice).remove).to.deep.equal([{ key: 'a', value: 2 }]);
    expect(() => diff(twice, [])).to.throw(RangeError, 'wanted twice: a');
  });

  it('diffByKey, applied to the actual, gives the desired, and of equal sets is empty', () => {
    const items = fc
      .dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.integer({ min: 0, max: 2 }))
      .map((drawn) => Object.entries(drawn).map(([key, value]) => ({ key, value })));
    fc.assert(
      fc.property(items, items, (desired, actual) => {
        const { add, change, remove } = diff(desired, actual);
        const state = new Map(actual.map((item) => [item.key, item.value]));
        for (const item of remove) state.delete(item.key);
        for (const { to } of change) state.set(to.key, to.value);
        for (const item of add) state.set(item.key, item.value);
        expect(Object.fromEntries(state)).to.deep.equal(
          Object.fromEntries(desired.map((item) => [item.key, item.value])),
        );
        expect(diff(desired, desired)).to.deep.equal({ add: [], change: [], remove: [] });
      }),
    );
  });
});
