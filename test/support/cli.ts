import { Readable } from 'node:stream';
import type { App } from '../../src/app.ts';
import { runCli } from '../../src/cli/main.ts';
import { readConfig } from '../../src/config.ts';
import { testContext, testVault } from './builders.ts';
import type { TestDb } from './db.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  /** What --json said. */
  json: () => Record<string, unknown>;
}

export interface Cli {
  run(...argv: string[]): Promise<Ran>;
  /** With a line on standard input. */
  runWith(input: string, ...argv: string[]): Promise<Ran>;
  context: ReturnType<typeof testContext>;
}

/** The command line in this process, on a test's database and clock. */
export function testCli(t: TestDb, options: { now?: string; env?: NodeJS.ProcessEnv } = {}): Cli {
  const context = testContext(t.db, options.now === undefined ? {} : { now: options.now });
  let calls = 0;
  const config = readConfig({
    SLUICE_DB_HOST: t.address.host,
    SLUICE_DB_PORT: String(t.address.port),
    SLUICE_DB_USER: t.address.user,
    SLUICE_DB_PASSWORD: t.address.password,
    SLUICE_DB_NAME: t.address.database,
    SLUICE_KEYS: `test:${'07'.repeat(32)}`,
    ...options.env,
  });
  const app: App = {
    config,
    clock: context.clock,
    log: context.log,
    db: t.db,
    vault: testVault(),
    wake: context.wake,
    processId: '00000000-0000-4000-8000-000000000000',
    context: (actor, correlationId) => ({
      ...context,
      actor,
      correlationId: correlationId ?? `cli-${process.pid}-${++calls}`,
    }),
    close: () => Promise.resolve(),
  };
  const runWith = async (input: string, ...argv: string[]): Promise<Ran> => {
    let stdout = '';
    let stderr = '';
    const code = await runCli(argv, {
      env: { SLUICE_ACTOR: 'test' },
      stdin: Readable.from([input]),
      stdout: (text) => {
        stdout += text;
      },
      stderr: (text) => {
        stderr += text;
      },
      isErrorTerminal: false,
      terminal: undefined,
      signal: new AbortController().signal,
      open: () => app,
    });
    return { code, stdout, stderr, json: () => JSON.parse(stdout) as Record<string, unknown> };
  };
  return { run: (...argv) => runWith('', ...argv), runWith, context };
}
