import { clientHash, type ParsedClientFile, type RadiusClient } from './radius-client-file.ts';

/** A file that FreeRADIUS reads, or would read at its next start. */
export interface PresentFile {
  readonly name: string;
  readonly content: ParsedClientFile;
  /** Its time is ahead of the clock: FreeRADIUS would read it again every second, and leak a little each time. */
  readonly isFromFuture: boolean;
}

export interface ClientPlan {
  readonly write: readonly RadiusClient[];
  /** Right, but with a time that has to be set to now. */
  readonly renew: readonly string[];
  /** `isReplaced`: a good file takes its place, so there is no moment without one. */
  readonly quarantine: readonly { name: string; problem: string; isReplaced: boolean }[];
  readonly remove: readonly string[];
  /** Files that nothing explains and that are too many to be believed; they stay. */
  readonly refused: readonly string[];
}

/** Removing more files than this at once needs somebody's word: a table that was emptied by mistake looks the same. */
export function removalLimit(fileCount: number): number {
  return Math.max(10, Math.floor(fileCount / 5));
}

/**
 * What brings the files in line with the clients that are wanted. A file goes away in one of two ways: explained (its
 * router has a removal on record, or is wanted under another address), any number of them; or unexplained, up to the
 * limit, and never when nothing at all is wanted, which is what a wrong or emptied table looks like.
 */
export function planClientFiles(facts: {
  wanted: readonly RadiusClient[];
  /** Addresses whose row is unusable: what is in place for them stays as it is. */
  untouchable: ReadonlySet<string>;
  present: readonly PresentFile[];
  isExplained: (client: RadiusClient) => boolean;
  /** Whether the table of record has any row at all. */
  isAnyWanted: boolean;
  isRemovalConfirmed: boolean;
}): ClientPlan {
  const wanted = new Map(facts.wanted.map((client) => [client.address, client]));
  const write = new Map(wanted);
  const renew: string[] = [];
  const quarantine: { name: string; problem: string; isReplaced: boolean }[] = [];
  const explained: string[] = [];
  const unexplained: string[] = [];
  for (const file of facts.present) {
    const client = wanted.get(file.name);
    if (!file.content.ok) {
      const { problem } = file.content;
      quarantine.push({ name: file.name, problem, isReplaced: client !== undefined });
    } else if (client !== undefined) {
      if (clientHash(client) !== clientHash(file.content.client)) continue;
      write.delete(file.name);
      if (file.isFromFuture) renew.push(file.name);
    } else if (!facts.untouchable.has(file.name)) {
      (facts.isExplained(file.content.client) ? explained : unexplained).push(file.name);
    }
  }
  const isTooMuch = !facts.isAnyWanted || unexplained.length > removalLimit(facts.present.length);
  const isRefused = !facts.isRemovalConfirmed && isTooMuch;
  return {
    write: [...write.values()],
    renew,
    quarantine,
    remove: isRefused ? explained : [...explained, ...unexplained],
    refused: isRefused ? unexplained : [],
  };
}
