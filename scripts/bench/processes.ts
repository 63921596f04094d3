import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { livingProcesses } from '../../src/db/heartbeats.ts';
import { type ServerChild, startChild, until } from '../servers/child.ts';
import { projectRoot } from '../servers/place.ts';
import { build } from './role-processes.ts';

/** Sluice's own roles, each a process of its own and compiled, as in production, and what memory each of them has. */
export class Processes {
  readonly #env: NodeJS.ProcessEnv;
  readonly #db: Knex;
  readonly #logFile: string;
  readonly #profileFolder: string | undefined;

  constructor(parts: {
    env: NodeJS.ProcessEnv;
    db: Knex;
    logFile: string;
    profileFolder?: string | undefined;
  }) {
    this.#env = parts.env;
    this.#db = parts.db;
    this.#logFile = parts.logFile;
    this.#profileFolder = parts.profileFolder;
  }

  /** Starts so many processes of a role; they are at work when they have said that they live. */
  async start(role: 'worker' | 'lane', count: number): Promise<ServerChild[]> {
    const before = (await livingProcesses(this.#db, role)).length;
    build();
    const profile = this.#profileFolder;
    const children = Array.from({ length: count }, () =>
      startChild(
        process.execPath,
        [
          ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
          '--enable-source-maps',
          join(projectRoot, '.build/src/main.js'),
          role,
        ],
        { account: undefined, logFile: this.#logFile, env: { ...process.env, ...this.#env } },
      ),
    );
    const areAlive = async () => (await livingProcesses(this.#db, role)).length >= before + count;
    await until(`${role} (log in ${this.#logFile})`, areAlive, { timeoutMs: 60_000, stepMs: 50 });
    return children;
  }
}

/** A child of ours that takes an order and says when it is ready. */
export async function forkReady(script: string, order: object): Promise<ChildProcess> {
  const child = fork(join(projectRoot, script), { execArgv: ['--import', 'tsx'] });
  child.send(order);
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code ?? 'a signal'}`)));
  });
  return child;
}

/** Asks such a child for its figures. */
export function ask<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve) => {
    child.once('message', (answer) => resolve(answer as T));
    child.send('?');
  });
}

/** Resident memory in MB. */
export function memoryOf(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(found?.[1] ?? 0) / 1024);
}

/** The memory of some processes while work goes from nothing to all. */
export class MemoryWatch {
  readonly #pids: readonly number[];
  readonly #seen: { share: number; mb: number }[] = [];

  constructor(pids: readonly number[]) {
    this.#pids = pids;
  }

  note(share: number): void {
    this.#seen.push({ share, mb: Math.max(...this.#pids.map(memoryOf)) });
  }

  /** Of the largest of the processes, when so much was done; and the most there was. */
  text(): string {
    const at = (share: number) =>
      this.#seen.find((one) => one.share >= share)?.mb ?? this.#seen.at(-1)?.mb ?? 0;
    const most = Math.max(0, ...this.#seen.map((one) => one.mb));
    return `${at(0.1)} / ${at(0.5)} / ${at(1)} MB, at most ${most}`;
  }
}
