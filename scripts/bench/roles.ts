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
    print(tableHead(['program', 'p50, ms', 'slowest, ms', 'memory at its highest, MB']));
    for (const [name, code] of baselines) print(bare(name, code, size.runs));
    print(
      `\n${tableHead(['role', 'ready, p50, ms', 'slowest, ms', `memory after ${size.idle} s, MB`, 'highest, MB'])}`,
    );
    for (const role of roles) print(await measured(server, role, size));
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

function bare(name: string, code: string, runs: number): string {
  const times: number[] = [];
  let most = 0;
  for (let run = 0; run < runs; run++) {
    const startedAt = performance.now();
    const out = execFileSync(
      process.execPath,
      ['--input-type=module', '-e', `${code}; console.log(process.resourceUsage().maxRSS)`],
      { cwd: projectRoot, encoding: 'utf8' },
    );
    times.push(performance.now() - startedAt);
    most = Math.max(most, Number(out) / 1024);
  }
  return tableLine([name, quantile(times, 0.5).toFixed(0), Math.max(...times).toFixed(0), most.toFixed(0)]);
}

async function measured(
  server: BenchServer,
  role: (typeof roles)[number],
  size: { runs: number; idle: number },
): Promise<string> {
  const env = await environmentOf(server);
  const times: number[] = [];
  for (let run = 1; ; run++) {
    const startedAt = performance.now();
    const process = await startRoleProcess(server, role, env);
    if (role === 'web' || role === 'all')
      await until('/readyz', () => isReady(env), { timeoutMs: 20_000, stepMs: 5 });
    times.push(performance.now() - startedAt);
    if (run === size.runs) await wait(size.idle * 1000);
    const memory = process.memory();
    await process.child.stop();
    if (run < size.runs) continue;
    return tableLine([
      role,
      quantile(times, 0.5).toFixed(0),
      Math.max(...times).toFixed(0),
      memory.now.toFixed(0),
      memory.most.toFixed(0),
    ]);
  }
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
