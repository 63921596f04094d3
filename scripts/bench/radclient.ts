import { spawn } from 'node:child_process';

/** One CoA-Request by the program of FreeRADIUS, started for it; rejects where it was not acknowledged. */
export function radclientCoa(
  to: { address: string; port: number; secret: string },
  attributes: readonly string[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('radclient', ['-r', '1', '-t', '2', `${to.address}:${to.port}`, 'coa', to.secret], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`radclient ended with ${code ?? 'a signal'}`));
    });
    child.stdin.end(`${attributes.join('\n')}\n`);
  });
}
