import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataRoot, projectRoot } from '../servers/place.ts';
import { isPortFree, freePort } from '../servers/child.ts';

/** The private installation of this clone: its folder, and the environment of its processes. */
export interface Home {
  folder: string;
  envFile: string;
  env: Record<string, string>;
}

/** Ports that start prefers; another one is taken where somebody has it. An environment variable wins. */
const wantedPorts = {
  SLUICE_DB_PORT: 13306,
  SLUICE_RADIUS_AUTH_PORT: 11812,
  SLUICE_RADIUS_ACCT_PORT: 11813,
  SLUICE_LAB_PORT: 18080,
  SLUICE_WEB_PORT: 8080,
} as const;

export type HomePart = 'mariadb' | 'freeradius' | 'lab' | 'web';

/** Which part listens on a port: while ours runs, the port is taken by ourselves. */
const portOf: Record<keyof typeof wantedPorts, HomePart> = {
  SLUICE_DB_PORT: 'mariadb',
  SLUICE_RADIUS_AUTH_PORT: 'freeradius',
  SLUICE_RADIUS_ACCT_PORT: 'freeradius',
  SLUICE_LAB_PORT: 'lab',
  SLUICE_WEB_PORT: 'web',
};

/** Reads or makes the environment file. Secrets are made once; a port stays unless somebody else has taken it. */
export async function openHome(isOursRunning: (part: HomePart, folder: string) => boolean): Promise<Home> {
  const folder = dataRoot();
  // Servers that gave up root must pass through, so the folder itself is open and what is secret in it is not.
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const envFile = join(folder, 'env');
  const env = { ...fresh(folder), ...readEnvFile(envFile), ...chosenPorts() };
  for (const [name, port] of Object.entries(wantedPorts)) {
    if (existsSync(envFile) && isOursRunning(portOf[name as keyof typeof wantedPorts], folder)) continue;
    env[name] = await portFor(name, Number(env[name] ?? port));
  }
  writeEnvFile(envFile, env);
  noteLocation(folder);
  return { folder, envFile, env };
}

function chosenPorts(): Record<string, string> {
  const names = Object.keys(wantedPorts).filter((name) => process.env[name] !== undefined);
  return Object.fromEntries(
    names.map((name) => {
      const text = process.env[name] ?? '';
      const port = Number(text);
      if (!Number.isInteger(port) || port < 1 || port > 65535) {
        throw new Error(`${name}: must be a port from 1 to 65535`);
      }
      return [name, text];
    }),
  );
}

async function portFor(name: string, wanted: number): Promise<string> {
  if (await isPortFree(wanted)) return String(wanted);
  const other = await freePort();
  process.stderr.write(`          Port ${wanted} is taken; ${name} is ${other} instead\n`);
  return String(other);
}

function fresh(folder: string): Record<string, string> {
  const secret = () => randomBytes(18).toString('base64url');
  return {
    SLUICE_DB_HOST: '127.0.0.1',
    SLUICE_DB_NAME: 'sluice',
    SLUICE_DB_USER: 'sluice',
    SLUICE_DB_PASSWORD: secret(),
    SLUICE_RADIUS_DB_PASSWORD: secret(),
    SLUICE_KEYS: `k1:${randomBytes(32).toString('hex')}`,
    SLUICE_HOST: 'demo',
    SLUICE_RADIUS_ADDRESS: '127.0.0.1',
    SLUICE_RADIUS_SOURCE_ADDRESS: '127.0.0.1',
    SLUICE_RADIUS_STATUS_SECRET: secret(),
    SLUICE_WAKE_ADDRESS: '127.0.0.1',
    SLUICE_WEB_ADDRESS: '127.0.0.1',
    SLUICE_DEMO_PASSWORD: `demo-${randomBytes(6).toString('base64url')}`,
    SLUICE_HOME: folder,
  };
}

/** Adds what is only known once a part has started. */
export function saveHome(home: Home, more: Record<string, string>): void {
  Object.assign(home.env, more);
  writeEnvFile(home.envFile, home.env);
}

export function readEnvFile(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  const pairs = readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => /^([A-Z0-9_]+)=(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map((match): [string, string] => [match[1] ?? '', match[2] ?? '']);
  return Object.fromEntries(pairs);
}

/** Written beside and renamed, so that a start that is killed here leaves the old file or the new one, whole. */
function writeEnvFile(path: string, env: Record<string, string>): void {
  const text = Object.entries(env).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(`${path}.new`, text.join(''), { mode: 0o600 });
  chmodSync(`${path}.new`, 0o600);
  renameSync(`${path}.new`, path);
}

/** scripts/sluice looks here for the data folder when it is not var/. */
function noteLocation(folder: string): void {
  const own = join(projectRoot, 'var');
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'location'), `${folder}\n`);
}
