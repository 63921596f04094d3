/** Work that is cheaper for many than for each. */
export interface Gathering<Item, Result> {
  add(item: Item): Promise<Result>;
}

/**
 * Items that come while a batch is under way go together with the next one: alone an item never waits, and under load
 * the batches grow by themselves. At most `atOnce` batches at a time, each of at most `most`, where an item counts as
 * `weightOf` says. A batch that throws rejects all of its items.
 */
export function gather<Item, Result>(
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  options: { most: number; atOnce: number; weightOf?: (item: Item) => number },
): Gathering<Item, Result> {
  const waiting: { item: Item; done: (result: Result) => void; failed: (error: unknown) => void }[] = [];
  let running = 0;
  const nextBatch = () => {
    let weight = 0;
    const end = waiting.findIndex(({ item }, index) => {
      weight += options.weightOf?.(item) ?? 1;
      return index > 0 && weight > options.most;
    });
    return waiting.splice(0, end === -1 ? waiting.length : end);
  };
  const run = async () => {
    running++;
    while (waiting.length > 0) {
      const batch = nextBatch();
      try {
        const results = await work(batch.map(({ item }) => item));
        for (const [index, { done }] of batch.entries()) done(results[index] as Result);
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    running--;
  };
  return {
    add: (item) =>
      new Promise<Result>((resolve, reject) => {
        waiting.push({ item, done: resolve, failed: reject });
        if (running < options.atOnce) void run();
      }),
  };
}
