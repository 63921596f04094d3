import type { BenchServer } from './bench-server.ts';
import { cpuMsOf, memoryOf, type RoleProcess } from './role-processes.ts';

export interface Effort {
  /** Milliseconds of processor time by name; `this` is the measuring process. */
  readonly cpuMs: ReadonlyMap<string, number>;
  readonly text: readonly string[];
}

/** What the processes and the database do from now to the call of what it gives. */
export async function effortOf(
  server: BenchServer,
  roles: readonly RoleProcess[],
): Promise<() => Promise<Effort>> {
  const { db } = server.app;
  const questions = async () => {
    const [rows] = (await db.raw("SHOW GLOBAL STATUS LIKE 'Questions'")) as unknown as [{ Value: string }[]];
    return Number(rows[0]?.Value);
  };
  const processes = [
    ...roles.map((role) => ({ name: role.role, pid: role.child.pid })),
    { name: 'mariadbd', pid: server.mariadb.child.pid },
    { name: 'this', pid: process.pid },
  ];
  const before = processes.map(({ pid }) => cpuMsOf(pid));
  const [startedAt, asked] = [performance.now(), await questions()];
  return async () => {
    const seconds = (performance.now() - startedAt) / 1000;
    const packets = await db('enforcement').count<{ n: string }[]>('* as n');
    const spent = processes.map(({ pid }, index) => cpuMsOf(pid) - (before[index] ?? 0));
    return {
      cpuMs: new Map(processes.map(({ name }, index) => [name, spent[index] ?? 0])),
      text: [
        `${seconds.toFixed(1)} s`,
        ...processes.map(({ name, pid }, index) => {
          const share = (spent[index] ?? 0) / seconds / 10;
          return `${name} ${share.toFixed(0)} % of a core, ${memoryOf(pid).now.toFixed(0)} MB`;
        }),
        `${((await questions()) - asked).toFixed(0)} statements`,
        `${packets[0]?.n ?? 0} packets so far`,
      ],
    };
  };
}
