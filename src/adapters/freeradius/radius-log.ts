import { open, stat } from 'node:fs/promises';
import { isIP } from 'node:net';

export interface RadiusLog {
  /** Packets by address that came from nobody's router since the last look. Rejects where the log cannot be read. */
  unknownSources(): Promise<Map<string, number>>;
}

/** So much is read at one look; what was written before it is left out, which only makes a count smaller. */
const readMost = 1 << 20;
/** Addresses that one look gives: somebody may make them up. */
const addressesMost = 200;

/**
 * Follows FreeRADIUS's log file, also through a rotation. For a packet whose source has no client file FreeRADIUS 3.2
 * writes, each time, `Unable to open file ".../clients/ADDRESS": No such file` (and besides, once a second for all of
 * them together, `Ignoring request to ... from unknown client`). The file's name is the packet's source, so nothing
 * that a sender writes into a packet gets here.
 */
export function followRadiusLog(path: string): RadiusLog {
  let place: { inode: number; offset: number } | undefined;
  return {
    async unknownSources() {
      const { ino, size } = await stat(path);
      const isSame = place?.inode === ino && place.offset <= size;
      const from = Math.max(isSame ? (place?.offset ?? 0) : 0, size - readMost);
      const text = await readFrom(path, from, size);
      // A line that is not finished yet is read next time.
      const end = text.lastIndexOf('\n') + 1;
      place = { inode: ino, offset: from + Buffer.byteLength(text.slice(0, end), 'latin1') };
      return countSources(text.slice(0, end));
    },
  };
}

async function readFrom(path: string, from: number, to: number): Promise<string> {
  if (to <= from) return '';
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(to - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    return buffer.subarray(0, bytesRead).toString('latin1');
  } finally {
    await file.close();
  }
}

const unknownSource =
  /: Error: Unable to open file "[^"]*\/([0-9A-Fa-f.:]{2,45})": No such file or directory$/;

/** The addresses named in these lines, with how often. */
export function countSources(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    const address = unknownSource.exec(line)?.[1];
    if (address === undefined || isIP(address) === 0) continue;
    const count = counts.get(address);
    if (count === undefined && counts.size >= addressesMost) continue;
    counts.set(address, (count ?? 0) + 1);
  }
  return counts;
}
