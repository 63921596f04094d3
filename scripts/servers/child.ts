import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { setTimeout as wait } from 'node:timers/promises';
import type { Account } from './place.ts';

export interface ServerChild {
  pid: number;
  exited: Promise<void>;
  hasExited(): boolean;
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when the process is gone. */
  stop(graceMs?: number): Promise<void>;
}

/** Starts a server with its output in a file, as `account` where one is given. */
export function startChild(
  program: string,
  args: readonly string[],
  options: { account: Account | undefined; logFile: string; env?: NodeJS.ProcessEnv; isDetached?: boolean },
): ServerChild {
  const log = openSync(options.logFile, 'a');
  const child = spawn(program, args, {
    stdio: ['ignore', log, log],
    env: options.env ?? process.env,
    detached: options.isDetached ?? false,
    ...(options.account === undefined ? {} : { uid: options.account.uid, gid: options.account.gid }),
  });
  closeSync(log);
  if (options.isDetached === true) child.unref();
  return watch(child, program);
}

function watch(child: ChildProcess, program: string): ServerChild {
  let gone = false;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  }).then(() => {
    gone = true;
  });
  if (child.pid === undefined) throw new Error(`${program} could not be started`);
  return {
    pid: child.pid,
    exited,
    hasExited: () => gone,
    async stop(graceMs = 10_000) {
      if (gone) return;
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(kill);
    },
  };
}

/**
 * A port on loopback that nobody has now, for TCP and UDP. Below the range from which the system gives ports to outgoing
 * connections, or one of those could have it by the time that a server binds it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + randomInt(17_000);
    if (await isPortFree(port)) return port;
  }
}

/** Whether nobody has the port on loopback, for TCP and UDP. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await isTcpFree(port)) && (await isUdpFree(port));
}

function isTcpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function isUdpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}

/** Polls until `check` holds; throws with `what` after `timeoutMs`, or at once when the server has exited. */
export async function until(
  what: string,
  check: () => Promise<boolean> | boolean,
  options: { timeoutMs: number; stepMs?: number; child?: ServerChild },
): Promise<void> {
  const end = performance.now() + options.timeoutMs;
  while (!(await check())) {
    if (options.child?.hasExited() === true) throw new Error(`${what}: the process ended; see its log`);
    if (performance.now() > end) throw new Error(`${what}: not after ${options.timeoutMs} ms`);
    await wait(options.stepMs ?? 20);
  }
}
