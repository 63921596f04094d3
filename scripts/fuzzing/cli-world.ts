import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type App, openApp } from '../../src/app.ts';
import { fixedClock } from '../../src/clock.ts';
import { runCli } from '../../src/cli/main.ts';
import { readConfig } from '../../src/config.ts';
import { seedDemo } from '../seed/demo.ts';
import { projectRoot } from '../servers/place.ts';
import type { Secrets } from './canaries.ts';
import { captureLog } from './log-capture.ts';
import { databasePassword, type OwnDatabase, openOwnDatabase } from './servers.ts';

/** What is typed as a password, in an argument or on standard input. */
export const typedSecret = 'Canary-typed-71bd';
const vaultKey = 'badcafe5'.repeat(8);

export const secrets: Secrets = new Map([
  ['a typed secret', typedSecret],
  ['the database password', databasePassword],
  ['the vault key', vaultKey],
]);

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliWorld {
  readonly own: OwnDatabase;
  readonly log: string[];
  /** In this process, as fast as it goes. */
  run(argv: readonly string[], input: string): Promise<Ran>;
  /** As a process of its own, as people run it. */
  spawn(argv: readonly string[], input: string): Promise<Ran>;
  close(): Promise<void>;
}

/** The demo ISP in a database of its own, and the command line over it. FreeRADIUS is away: its ports are closed. */
export async function openCliWorld(isFurnished: boolean): Promise<CliWorld> {
  const now = new Date('2026-03-31T10:00:00Z');
  const own = await openOwnDatabase(now);
  const env = {
    SLUICE_DB_HOST: own.address.host,
    SLUICE_DB_PORT: String(own.address.port),
    SLUICE_DB_USER: own.address.user,
    SLUICE_DB_PASSWORD: databasePassword,
    SLUICE_DB_NAME: own.address.database,
    SLUICE_KEYS: `k1:${vaultKey}`,
    SLUICE_RADIUS_AUTH_PORT: '9',
    SLUICE_RADIUS_ACCT_PORT: '9',
  };
  const log: string[] = [];
  const opened = openApp(readConfig(env), { role: 'cli', clock: fixedClock(now.toISOString()) });
  captureLog(opened.log, (line) => log.push(line));
  // One application for all cases: a verb closes what it is handed.
  const app: App = { ...opened, close: () => Promise.resolve() };
  if (isFurnished) {
    await seedDemo({
      db: own.db,
      vault: opened.vault,
      now,
      labConfigFile: join(own.folder, 'lab.json'),
      env: { SLUICE_LAB_PORT: '1', SLUICE_RADIUS_AUTH_PORT: '1', SLUICE_RADIUS_ACCT_PORT: '1' },
      say: () => undefined,
      count: 40,
    });
  }
  return {
    own,
    log,
    run: (argv, input) => runHere(app, argv, input),
    spawn: (argv, input) => runApart({ ...env, PATH: process.env['PATH'] }, argv, input),
    async close() {
      await opened.close();
      await own.close();
    },
  };
}

async function runHere(app: App, argv: readonly string[], input: string): Promise<Ran> {
  let [stdout, stderr] = ['', ''];
  // A verb that watches ends at once: nobody is there.
  const stopped = AbortSignal.abort();
  const code = await runCli(argv, {
    env: { SLUICE_ACTOR: 'fuzz' },
    stdin: Readable.from([input]),
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    isErrorTerminal: false,
    terminal: undefined,
    signal: stopped,
    open: () => app,
  });
  return { code, stdout, stderr };
}

const apartMs = 60_000;

function runApart(env: NodeJS.ProcessEnv, argv: readonly string[], input: string): Promise<Ran> {
  const ending = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const folder = ending === 'ts' ? 'src' : '.build/src';
  const program = join(projectRoot, folder, `cli/index.${ending}`);
  const child = spawn(process.execPath, [...process.execArgv, program, ...argv], {
    env: { ...env, SLUICE_ACTOR: 'fuzz' },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: apartMs,
    killSignal: 'SIGKILL',
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return heard(child);
}

function heard(child: ChildProcess): Promise<Ran> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (part: Buffer) => {
    stdout += part.toString();
  });
  child.stderr?.on('data', (part: Buffer) => {
    stderr += part.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
