import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type PrivateMariaDb, startMariaDb } from '../servers/mariadb.ts';
import { freePort } from '../servers/child.ts';
import { makeFolder, serverAccount } from '../servers/place.ts';
import { smallDisk, type SmallDisk } from './small-disk.ts';

/** One server of the database, as the faults see it. */
export interface DatabaseNode {
  readonly name: string;
  readonly port: number;
  /** Starts it, or starts it again after a kill; resolves when it takes connections. */
  start(): Promise<void>;
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: it keeps its connections and its locks, and answers nothing. */
  freeze(): void;
  thaw(): void;
  /** Of a cluster: whether it is part of it by now, as the health check of a proxy finds out. */
  isServing?(): boolean;
  /** Of a cluster: cuts it off from the other nodes, and mends that. */
  isolate?(): Promise<void>;
  rejoin?(): Promise<void>;
}

/**
 * The database under a story: one MariaDB here, a cluster where somebody brings one. Every process of Sluice and
 * FreeRADIUS reach it through wires of their own (wire.ts), which ask `nodes` in order for the first that takes a
 * connection, so a cluster needs nothing more than its nodes and what `save` and `restore` mean to it.
 *
 * To run the stories over something else, implement this and hand it to `runStories` in stories.ts (see main.ts for how
 * the one below is handed over). `accounts` come with the data: `save` and `restore` carry them along.
 */
export interface Database {
  readonly nodes: readonly DatabaseNode[];
  readonly user: string;
  readonly password: string;
  /** All nodes up and, for a cluster, in sync. Safe when they are. */
  start(): Promise<void>;
  /** All nodes ended properly. */
  stop(): Promise<void>;
  /** A statement as root, on a node that is up. */
  asRoot(statement: string): Promise<void>;
  createDatabase(name: string): Promise<void>;
  /** Keeps the data as it is now, as the beginning of every story. Stopped before and after. */
  save(): void;
  /** Brings back what `save` kept. Stopped before and after. */
  restore(): void;
  /** Where its data can be made to run out of room; undefined where that cannot be done (not root). */
  readonly disk: SmallDisk | undefined;
  /** Everything of it gone from the disk. Stopped before. */
  remove(): void;
}

/** As systemd does: a server that met a full disk may give up a good while after there is room again. */
const restartMs = 500;

export interface OneMariaDbOptions {
  /** A story's data fits into this, and can fill it. */
  readonly diskMegabytes?: number;
}

/** One MariaDB, on a small file system of its own where we may mount one. */
export async function oneMariaDb(folder: string, options: OneMariaDbOptions = {}): Promise<Database> {
  const account = serverAccount('mysql');
  const home = join(folder, 'mariadb');
  const kept = join(folder, 'mariadb-kept');
  mkdirSync(folder, { recursive: true });
  makeFolder(home, account);
  const disk = smallDisk(home, options.diskMegabytes ?? 768);
  makeFolder(home, account);
  const port = await freePort();
  const password = 'chaos';
  let running: PrivateMariaDb | undefined;
  let starting: Promise<void> | undefined;
  let isWanted = false;
  const begin = async () => {
    const begun = await startMariaDb(home, { port, password, extra: smallSettings });
    running = begun;
    void begun.child.exited.then(async () => {
      await wait(restartMs);
      // Where there is no room yet, whoever makes it starts the server.
      if (isWanted && running === begun) await start().catch(() => undefined);
    });
  };
  const start = async () => {
    isWanted = true;
    if (running !== undefined && !running.child.hasExited()) return;
    starting ??= begin().finally(() => {
      starting = undefined;
    });
    await starting;
  };
  const current = () => {
    if (running === undefined) throw new Error('the database has not been started');
    return running;
  };
  const node: DatabaseNode = {
    name: 'mariadb',
    port,
    start,
    async kill() {
      const { child } = current();
      isWanted = false;
      send(child.pid, 'SIGKILL');
      await child.exited;
    },
    freeze: () => send(current().child.pid, 'SIGSTOP'),
    thaw: () => send(current().child.pid, 'SIGCONT'),
  };
  return {
    nodes: [node],
    user: 'sluice',
    password,
    start,
    async stop() {
      isWanted = false;
      await starting?.catch(() => undefined);
      if (running === undefined) return;
      send(running.child.pid, 'SIGCONT');
      await running.child.stop(60_000);
    },
    asRoot: (statement) => current().asRoot(statement),
    createDatabase: (name) => current().createDatabase(name),
    save: () => copyTree(home, kept),
    restore: () => copyTree(kept, home),
    disk,
    remove() {
      disk?.unmount();
      rmSync(home, { recursive: true, force: true });
      rmSync(kept, { recursive: true, force: true });
    },
  };
}

/** Quick to copy; as durable as it is elsewhere. */
const smallSettings = [
  'innodb_buffer_pool_size=192M',
  'innodb_log_file_size=48M',
  'innodb_fast_shutdown=1',
  'max_connections=400',
];

function copyTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of ['data', 'installed']) {
    rmSync(join(to, name), { recursive: true, force: true });
    // cp keeps the owner, which the server needs and cpSync does not do.
    execFileSync('cp', ['-a', join(from, name), join(to, name)]);
  }
}

export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone in between.
  }
}
