import { expect } from 'chai';
import { gather } from '../../src/reconcile/gather.ts';

describe('gather', () => {
  /** Batches that end when they are told to. */
  function held(options: { most: number; atOnce: number; weightOf?: (item: number) => number }) {
    const batches: { items: readonly number[]; end: () => void; fail: (error: Error) => void }[] = [];
    const gathering = gather<number, number>(
      (items) =>
        new Promise((resolve, reject) => {
          batches.push({ items, end: () => resolve(items.map((item) => item * 10)), fail: reject });
        }),
      options,
    );
    const seen = () => batches.map(({ items }) => [...items]);
    return { gathering, batches, seen };
  }

  it('gather, with nothing under way, begins at once with one item', async () => {
    const { gathering, batches, seen } = held({ most: 10, atOnce: 1 });
    const result = gathering.add(1);
    expect(seen()).to.deep.equal([[1]]);
    batches[0]?.end();
    expect(await result).to.equal(10);
  });

  it('gather, while a batch is under way, takes what comes together into the next', async () => {
    const { gathering, batches, seen } = held({ most: 10, atOnce: 1 });
    const first = gathering.add(1);
    const others = [2, 3, 4].map((item) => gathering.add(item));
    expect(seen()).to.deep.equal([[1]]);
    batches[0]?.end();
    await first;
    await Promise.resolve();
    expect(seen()).to.deep.equal([[1], [2, 3, 4]]);
    batches[1]?.end();
    expect(await Promise.all(others)).to.deep.equal([20, 30, 40]);
  });

  it('gather, of heavy items, keeps a batch below its weight, but takes one that is heavier alone', async () => {
    const { gathering, batches, seen } = held({ most: 10, atOnce: 1, weightOf: (item) => item });
    const all = [1, 6, 4, 1, 99, 2].map((item) => gathering.add(item));
    for (let at = 0; at < 5; at++) {
      batches[at]?.end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all);
    expect(seen()).to.deep.equal([[1], [6, 4], [1], [99], [2]]);
  });

  it('gather, where a batch throws, tells each of its items and goes on', async () => {
    const { gathering, batches } = held({ most: 10, atOnce: 1 });
    const first = gathering.add(1);
    const second = gathering.add(2);
    batches[0]?.fail(new Error('away'));
    expect(await first.catch((error: unknown) => String(error))).to.equal('Error: away');
    await new Promise((resolve) => setImmediate(resolve));
    batches[1]?.end();
    expect(await second).to.equal(20);
  });

  it('gather, with two at once, begins the second beside the first and no third', () => {
    const { gathering, seen } = held({ most: 10, atOnce: 2 });
    for (const item of [1, 2, 3]) void gathering.add(item);
    expect(seen()).to.deep.equal([[1], [2]]);
  });
});
