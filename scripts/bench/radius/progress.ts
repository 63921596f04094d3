import { cpus, loadavg } from 'node:os';

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export async function step(what: string, work: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  await work();
  print(`${what}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** What a figure has to be read with. */
export function machine(): string {
  return `${cpus().length} cores, ${cpus()[0]?.model ?? ''}; load ${loadavg()[0]?.toFixed(1) ?? ''}`;
}
