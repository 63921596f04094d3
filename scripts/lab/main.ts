import { InputError, readLabConfig } from './config.ts';
import { openControl } from './control.ts';
import { Lab, type Say } from './lab.ts';

// scripts/stop waits five seconds before it kills.
const graceMs = 3000;

const say: Say = (event, facts) => {
  process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), event, ...facts })}\n`);
};

/** `main.js CONFIG.json`: routers and CPEs until SIGTERM; SIGHUP reads the file again. */
async function main(file: string): Promise<void> {
  const config = readLabConfig(file);
  const lab = new Lab(config, say);
  let reloads: Promise<void> = Promise.resolve();
  const reload = () => {
    const next = reloads.then(() => lab.reload(readLabConfig(file)));
    // One bad file must not stop the reloads after it.
    reloads = next.catch(() => undefined);
    return next;
  };
  const control = await openControl({ lab, port: config.control.port, say, reload });
  let isEnding = false;
  const end = () => {
    if (isEnding) return;
    isEnding = true;
    void control
      .close()
      .then(() => lab.stop(graceMs))
      .then(() => {
        say('lab stopped');
        process.exit(0);
      });
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('SIGHUP', () => {
    reload().catch((error: unknown) => say('reload failed', { error: messageOf(error) }));
  });
  await lab.start();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}

const [, , file] = process.argv;
if (file === undefined) {
  process.stderr.write('lab: give the path of its configuration (CONFIG.json)\n');
  process.exit(2);
}
main(file).catch((error: unknown) => {
  const text = error instanceof InputError ? `${file}:\n${error.message}` : messageOf(error);
  process.stderr.write(`lab: ${text}\n`);
  process.exit(1);
});
