import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { livingProcesses } from '../../src/db/heartbeats.ts';
import type { RoleName } from '../../src/roles.ts';
import { type ServerChild, startChild, until } from '../servers/child.ts';
import { projectRoot } from '../servers/place.ts';
import type { BenchServer } from './bench-server.ts';

export interface RoleProcess {
  readonly role: string;
  readonly child: ServerChild;
  /** From exec to the first heartbeat, as somebody sees it who polls every 5 ms. */
  readonly readyMs: number;
  /** Resident memory now and at its highest, in MB. */
  memory(): { now: number; most: number };
  /** Milliseconds of processor time so far. */
  cpuMs(): number;
}

let isBuilt = false;

/** Compiles what changed, as scripts/start does: production runs compiled code. */
export function build(): void {
  if (isBuilt) return;
  execFileSync(process.execPath, [
    join(projectRoot, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(projectRoot, 'tsconfig.build.json'),
  ]);
  isBuilt = true;
}

/** Starts a role as its own process from the build, and waits for its first heartbeat. */
export async function startRoleProcess(
  server: BenchServer,
  role: RoleName | 'all',
  env: NodeJS.ProcessEnv = {},
): Promise<RoleProcess> {
  const startedAt = performance.now();
  const child = startChild(
    process.execPath,
    [...profileArgs(), '--enable-source-maps', join(projectRoot, '.build/src/main.js'), role],
    {
      account: undefined,
      logFile: join(server.folder, `${role}.log`),
      env: { PATH: process.env['PATH'], ...server.env, ...env },
    },
  );
  await until(`${role} (log in ${server.folder})`, () => isAlive(server.app.db, child.pid), {
    timeoutMs: 30_000,
    stepMs: 5,
    child,
  });
  return {
    role,
    child,
    readyMs: performance.now() - startedAt,
    memory: () => memoryOf(child.pid),
    cpuMs: () => cpuMsOf(child.pid),
  };
}

/** With BENCH_PROFILE=FOLDER each role leaves a profile of its processor time there. */
function profileArgs(): string[] {
  const folder = process.env['BENCH_PROFILE'];
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

async function isAlive(db: Knex, pid: number): Promise<boolean> {
  return (await livingProcesses(db)).some((process) => process.pid === pid);
}

export function memoryOf(pid: number): { now: number; most: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1024;
  return { now: megabytes('VmRSS'), most: megabytes('VmHWM') };
}

/** Fields 14 and 15 of /proc/PID/stat, in hundredths of a second on every Linux that we know. */
export function cpuMsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
