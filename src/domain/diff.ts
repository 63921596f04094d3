export interface Diff<T> {
  readonly add: readonly T[];
  readonly change: readonly { readonly from: T; readonly to: T }[];
  readonly remove: readonly T[];
}

/**
 * What has to happen to `actual` so that it equals `desired`. Things are the same by key; `isSame` says whether two of
 * one key agree. A key that stands twice among the actual is removed once for each surplus; one that stands twice among
 * the desired is a mistake of the caller and throws RangeError.
 */
export function diffByKey<T>(
  desired: readonly T[],
  actual: readonly T[],
  keyOf: (item: T) => string,
  isSame: (a: T, b: T) => boolean,
): Diff<T> {
  const missing = new Map<string, T>();
  for (const item of desired) {
    const key = keyOf(item);
    if (missing.has(key)) throw new RangeError(`wanted twice: ${key}`);
    missing.set(key, item);
  }
  const change: { from: T; to: T }[] = [];
  const remove: T[] = [];
  for (const item of actual) {
    const key = keyOf(item);
    const wanted = missing.get(key);
    if (wanted === undefined) {
      remove.push(item);
      continue;
    }
    missing.delete(key);
    if (!isSame(wanted, item)) change.push({ from: item, to: wanted });
  }
  return { add: [...missing.values()], change, remove };
}
