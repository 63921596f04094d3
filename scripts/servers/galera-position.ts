import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, serverAccount } from './place.ts';

const state = (folder: string) => join(folder, 'data', 'grastate.dat');

/** What Galera calls a position: the cluster's id and the number of the last write set. */
export interface Position {
  readonly text: string;
  readonly seqno: number;
}

/**
 * How far the node of `folder` came, read from InnoDB itself, because a node that was killed has not written it down:
 * what galera_recovery does under systemd. Undefined for one that never was in a cluster.
 */
export async function recoveredPosition(
  folder: string,
  configArgument: string,
): Promise<Position | undefined> {
  if (!existsSync(state(folder))) return undefined;
  const output = await new Promise<string>((resolve) => {
    execFile(
      findProgram('mariadbd') ?? 'mariadbd',
      [configArgument, '--wsrep-recover', '--disable-log-error'],
      { cwd: folder, ...(serverAccount('mysql') ?? {}) },
      (_error, stdout, stderr) => resolve(`${stdout}${stderr}`),
    );
  });
  const [, text, seqno] = /Recovered position:\s*([0-9a-f-]{36}:(-?\d+))/.exec(output) ?? [];
  return text === undefined ? undefined : { text, seqno: Number(seqno) };
}

/** Galera refuses to found a cluster from a node that was not the last to leave; whoever has compared them may. */
export function setSafeToBootstrap(folder: string): void {
  const path = state(folder);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/safe_to_bootstrap: \d/, 'safe_to_bootstrap: 1'));
}
