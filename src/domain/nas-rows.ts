/** A row of `nas`, the table of record for RADIUS clients. */
export interface NasRow {
  readonly routerId: string;
  readonly address: string;
  readonly secret: string;
  readonly shortname: string;
  readonly requireMessageAuthenticator: boolean;
}

export interface NasDiff {
  readonly write: readonly NasRow[];
  /** Router ids whose rows go first: removed, moved to another address, or in the way of one that is wanted. */
  readonly remove: readonly string[];
}

/**
 * What makes `actual` into `desired`. `routerIds` are the routers that were looked at; `actual` holds their rows and
 * whoever sits on an address that is desired. A row that is right is left alone: its change would wake every agent.
 */
export function diffNasRows(
  routerIds: readonly string[],
  desired: readonly NasRow[],
  actual: readonly NasRow[],
): NasDiff {
  const wanted = new Map(desired.map((row) => [row.routerId, row]));
  const present = new Map(actual.map((row) => [row.routerId, row]));
  const addresses = new Set(desired.map((row) => row.address));
  const looked = new Set(routerIds);
  const remove = actual.filter((row) => {
    const want = wanted.get(row.routerId);
    if (want !== undefined) return want.address !== row.address;
    return looked.has(row.routerId) || addresses.has(row.address);
  });
  const write = desired.filter((row) => !isSame(row, present.get(row.routerId)));
  return { write, remove: remove.map((row) => row.routerId) };
}

function isSame(a: NasRow, b: NasRow | undefined): boolean {
  return (
    a.address === b?.address &&
    a.secret === b.secret &&
    a.shortname === b.shortname &&
    a.requireMessageAuthenticator === b.requireMessageAuthenticator
  );
}

/** The addresses at which anything differs between two readings of the table. */
export function changedAddresses(before: readonly NasRow[], after: readonly NasRow[]): Set<string> {
  const old = new Map(before.map((row) => [row.routerId, row]));
  const changed = new Set<string>();
  for (const row of after) {
    const was = old.get(row.routerId);
    old.delete(row.routerId);
    if (isSame(row, was)) continue;
    changed.add(row.address);
    if (was !== undefined) changed.add(was.address);
  }
  for (const gone of old.values()) changed.add(gone.address);
  return changed;
}
