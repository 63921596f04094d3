import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { projectRoot } from '../servers/place.ts';
import { send } from './database.ts';
import type { Wire } from './wire.ts';

export interface ProcessSpec {
  readonly name: string;
  readonly role: 'web' | 'worker' | 'lane' | 'scheduler' | 'radius-agent';
  /** What it says its host is; those of one host have one clock. */
  readonly host: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface Ended {
  readonly name: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The built program where this runs from a build, else the source: a build starts in a third of the time. */
const isBuilt = import.meta.filename.endsWith('.js');

export function programOf(name: string): string[] {
  return isBuilt
    ? ['--enable-source-maps', join(projectRoot, '.build', `${name}.js`)]
    : ['--import', 'tsx', join(projectRoot, `${name}.ts`)];
}

/** One process of Sluice that may be killed at any time, and is started again as systemd would. */
export class RoleProcess {
  readonly spec: ProcessSpec;
  readonly wire: Wire;
  readonly #logFile: string;
  readonly #say: (what: string) => void;
  #child: ChildProcess | undefined;
  #isWanted = false;
  #wasKilled = false;
  #again: NodeJS.Timeout | undefined;
  /** Deaths that nobody asked for. */
  readonly endedByItself: Ended[] = [];
  kills = 0;

  constructor(spec: ProcessSpec, wire: Wire, logs: string, say: (what: string) => void) {
    this.spec = spec;
    this.wire = wire;
    this.#say = say;
    mkdirSync(logs, { recursive: true });
    this.#logFile = join(logs, `${spec.name}.log`);
  }

  start(): void {
    this.#isWanted = true;
    if (this.#child !== undefined) return;
    this.#wasKilled = false;
    const log = openSync(this.#logFile, 'a');
    const child = spawn(
      process.execPath,
      [...programOf('src/main'), this.spec.role, `--name=${this.spec.name}`],
      {
        cwd: projectRoot,
        env: { PATH: process.env['PATH'], TZ: 'UTC', ...this.spec.env },
        stdio: ['ignore', log, log],
      },
    );
    closeSync(log);
    this.#child = child;
    child.once('exit', (code, signal) => this.#ended({ name: this.spec.name, code, signal }));
  }

  /** kill -9 now, and a new one `againMs` later. */
  kill(againMs: number): void {
    const { pid } = this.#child ?? {};
    if (pid === undefined) return;
    this.kills++;
    this.#wasKilled = true;
    send(pid, 'SIGKILL');
    this.#startIn(againMs);
  }

  freeze(): void {
    if (this.#child?.pid !== undefined) send(this.#child.pid, 'SIGSTOP');
  }

  thaw(): void {
    if (this.#child?.pid !== undefined) send(this.#child.pid, 'SIGCONT');
  }

  /** For good. */
  async end(): Promise<void> {
    this.#isWanted = false;
    clearTimeout(this.#again);
    const child = this.#child;
    if (child?.pid === undefined) return;
    this.#wasKilled = true;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    send(child.pid, 'SIGKILL');
    await gone;
  }

  #ended(how: Ended): void {
    this.#child = undefined;
    if (!this.#wasKilled && this.#isWanted) {
      this.endedByItself.push(how);
      this.#say(`${this.spec.name} ended by itself (${how.signal ?? how.code ?? '?'})`);
      this.#startIn(500);
    }
  }

  #startIn(ms: number): void {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      if (!this.#isWanted) return;
      // A process that was killed in the middle of a write to a frozen disk may take a moment to be gone.
      if (this.#child === undefined) this.start();
      else this.#startIn(50);
    }, ms);
  }
}

const faketimeFolders = ['/usr/lib/x86_64-linux-gnu/faketime', '/usr/lib/aarch64-linux-gnu/faketime'];

/** What sets a process's clock off by so many seconds; undefined where libfaketime is not installed. */
export function clockOff(seconds: number): NodeJS.ProcessEnv | undefined {
  const library = faketimeFolders.map((folder) => join(folder, 'libfaketimeMT.so.1')).find(existsSync);
  if (library === undefined) return undefined;
  return {
    LD_PRELOAD: library,
    FAKETIME: `${seconds < 0 ? '' : '+'}${seconds}s`,
    // Only the wall clock is wrong on such a host; what measures durations is not.
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
}

export async function endAll(processes: readonly RoleProcess[]): Promise<void> {
  await Promise.all(processes.map((one) => one.end()));
  await wait(0);
}
