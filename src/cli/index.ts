import { runCli } from './main.ts';

// Killed by a closed pipe (`sluice watch | head`): the reader has had enough, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    stopping.abort();
    // A verb that is busy in the database ends at its own pace; a second signal does not wait.
    process.once(signal, () => process.exit(130));
  });
}

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  isErrorTerminal: process.stderr.isTTY,
  terminal: process.stdout.isTTY
    ? { columns: () => process.stdout.columns, rows: () => process.stdout.rows }
    : undefined,
  signal: stopping.signal,
});
