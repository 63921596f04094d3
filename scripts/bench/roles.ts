import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort, until } from '../servers/child.ts';
import { projectRoot } from '../servers/place.ts';
import { numbersGiven } from './arguments.ts';
import { type BenchServer, machineLine, openBenchServer } from './bench-server.ts';
import { print, quantile, tableHead, tableLine } from './figures.ts';
import { build, startRoleProcess } from './role-processes.ts';

const usage = `scripts/bench/roles.ts [--runs=5] [--idle=30]
  From exec to the first heartbeat (web: to /readyz as well), and memory after --idle seconds, of each role.
`;

const roles = ['web', 'worker', 'lane', 'radius-agent', 'scheduler', 'all'] as const;

async function main(): Promise<void> {
  const size = numbersGiven({ runs: 5, idle: 30 }, usage);
  if (size === undefined) return;
  build();
  const server = await openBenchServer({ bufferPool: '256M' });
  try {
    print(`${machineLine()}\n`);
    const found = new Map<string, Start[]>();
    const env = await environmentOf(server);
    // In turn, because what else the machine does comes and goes.
    for (let run = 1; run <= size.runs; run++) {
      for (const [name, code] of baselines) add(found, name, bare(code));
      for (const role of roles) {
        add(found, role, await started(server, role, env, run === size.runs ? size.idle * 1000 : 0));
      }
    }
    print(
      tableHead([
        'program or role',
        'ready, p50, ms',
        'slowest, ms',
        'processor until then, p50, ms',
        `memory after ${size.idle} s, MB`,
        'highest, MB',
      ]),
    );
    for (const [name, starts] of found) print(lineOf(name, starts));
    print(machineLine());
  } finally {
    await server.close();
  }
}

/** What the same Node needs for nothing, and for the libraries that a role cannot do without. */
const baselines = [
  ['node, nothing', '0'],
  ['node with mysql2 and knex', "await import('mysql2'); await import('knex')"],
  ['node with express and handlebars', "await import('express'); await import('handlebars')"],
] as const;

interface Start {
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly memory: { now: number; most: number };
}

function add(found: Map<string, Start[]>, name: string, start: Start): void {
  found.set(name, [...(found.get(name) ?? []), start]);
}

function lineOf(name: string, starts: readonly Start[]): string {
  const times = starts.map((one) => one.readyMs);
  const last = starts.at(-1);
  return tableLine(
    [
      quantile(times, 0.5),
      Math.max(...times),
      quantile(
        starts.map((one) => one.cpuMs),
        0.5,
      ),
      last?.memory.now ?? 0,
      last?.memory.most ?? 0,
    ].reduce<string[]>((cells, value) => [...cells, value.toFixed(0)], [name]),
  );
}

function bare(code: string): Start {
  const startedAt = performance.now();
  const ask = `${code}; const u = process.resourceUsage(); console.log(JSON.stringify(u))`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', ask], {
    cwd: projectRoot,
    encoding: 'utf8',
  });
  const usage = JSON.parse(out) as NodeJS.ResourceUsage;
  const memory = usage.maxRSS / 1024;
  return {
    readyMs: performance.now() - startedAt,
    cpuMs: (usage.userCPUTime + usage.systemCPUTime) / 1000,
    memory: { now: memory, most: memory },
  };
}

async function started(
  server: BenchServer,
  role: (typeof roles)[number],
  env: Record<string, string>,
  idleMs: number,
): Promise<Start> {
  const startedAt = performance.now();
  const process = await startRoleProcess(server, role, env);
  if (role === 'web' || role === 'all') {
    await until('/readyz', () => isReady(env), { timeoutMs: 20_000, stepMs: 5 });
  }
  const [readyMs, cpuMs] = [performance.now() - startedAt, process.cpuMs()];
  await wait(idleMs);
  const memory = process.memory();
  await process.child.stop();
  return { readyMs, cpuMs, memory };
}

/** The agent wants a directory of client files. */
async function environmentOf(server: BenchServer): Promise<Record<string, string>> {
  const clients = join(server.folder, 'clients');
  mkdirSync(clients, { recursive: true });
  return { SLUICE_WEB_PORT: String(await freePort()), SLUICE_CLIENT_DIRECTORY: clients };
}

function isReady(env: Record<string, string>): Promise<boolean> {
  return fetch(`http://127.0.0.1:${env['SLUICE_WEB_PORT'] ?? ''}/readyz`).then(
    (response) => response.ok,
    () => false,
  );
}

await main();
