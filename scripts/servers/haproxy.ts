import { join } from 'node:path';
import { freePort, type ServerChild, startChild, until } from './child.ts';
import { findProgram, makeFolder, projectRoot } from './place.ts';
import { takesConnections } from './ports.ts';

export interface PrivateProxy {
  readonly port: number;
  readonly child: ServerChild;
  stop(): Promise<void>;
}

/** What the proxy's health check signs in as: no password, no rights. To be made on a node, as root. */
export const checkAccount = "CREATE USER IF NOT EXISTS sluice_check@'127.0.0.1' IDENTIFIED BY ''";

export function hasHaproxy(): boolean {
  return findProgram('haproxy') !== undefined;
}

/** HAProxy with freeradius/haproxy.cfg, on loopback, before these three nodes; the first serves, the others stand by. */
export async function startHaproxy(
  folder: string,
  nodePorts: readonly [number, number, number],
): Promise<PrivateProxy> {
  const program = findProgram('haproxy');
  if (program === undefined) throw new Error('haproxy is not installed: apt-get install haproxy');
  makeFolder(folder, undefined);
  const port = await freePort();
  const [one, two, three] = nodePorts.map((node) => `127.0.0.1:${node}`);
  const child = startChild(program, ['-db', '-f', join(projectRoot, 'freeradius', 'haproxy.cfg')], {
    account: undefined,
    logFile: join(folder, 'haproxy.log'),
    env: {
      SLUICE_RADIUS_DB_HOST: '127.0.0.1',
      SLUICE_RADIUS_DB_PORT: String(port),
      SLUICE_PROXY_DB1: one,
      SLUICE_PROXY_DB2: two,
      SLUICE_PROXY_DB3: three,
    },
  });
  await until('HAProxy', () => takesConnections(port), { timeoutMs: 10_000, child });
  return { port, child, stop: () => child.stop() };
}
