import { execFile } from 'node:child_process';
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createSocket } from 'node:dgram';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DbAddress } from '../../src/db/knex.ts';
import { freePort, type ServerChild, startChild, until } from './child.ts';
import type { PrivateMariaDb } from './mariadb.ts';
import { type Account, findProgram, makeFolder, projectRoot, serverAccount } from './place.ts';

export interface FreeRadiusOptions {
  /** The least-privileged account of createRadiusUser(), as a rule. */
  db: DbAddress;
  authPort?: number;
  acctPort?: number;
  /** IPv4 address to listen on; loopback when left out. */
  listen?: string;
  /** Listens on this IPv6 address too. */
  listen6?: string;
  /** Where health checks come from; 127.0.0.1 when left out. No router can have this address. */
  statusAddress?: string;
  statusSecret?: string;
  /** Lives on after this process. */
  isDetached?: boolean;
  /** More of the environment, such as LD_PRELOAD of faketime. */
  extraEnvironment?: NodeJS.ProcessEnv;
}

export interface PrivateFreeRadius {
  folder: string;
  authPort: number;
  acctPort: number;
  /** One file a router, named after its address; without a slash at the end. */
  clientDirectory: string;
  clientDirectory6: string;
  controlSocket: string;
  statusSecret: string;
  logFile: string;
  /** The account the server runs under; undefined when it is our own. Client files must be readable by it. */
  account: Account | undefined;
  /** What the server was started with: `freeradius` and `radmin` can be called with it by hand. */
  environment: NodeJS.ProcessEnv;
  child: ServerChild;
  /** Asks the server for a sign of life (Status-Server, RFC 5997). */
  isAlive(timeoutMs?: number): Promise<boolean>;
  stop(): Promise<void>;
}

/**
 * A FreeRADIUS of our own in `folder`, from a copy of the tree in freeradius/: the server may have to give up root and
 * then can't read a clone that only root may enter. The folder keeps its client files from start to start.
 */
export async function startFreeRadius(
  folder: string,
  options: FreeRadiusOptions,
): Promise<PrivateFreeRadius> {
  const account = serverAccount('freerad');
  makeFolder(folder, account);
  const config = copyConfig(folder, account);
  const clientDirectory = makeFolder(join(folder, 'clients'), account);
  const clientDirectory6 = makeFolder(join(folder, 'clients6'), account);
  const controlSocket = socketPath(folder, account);
  const authPort = options.authPort ?? (await freePort());
  const acctPort = options.acctPort ?? (await otherFreePort(authPort));
  const statusSecret = options.statusSecret ?? randomBytes(16).toString('hex');
  const environment = environmentOf(options, {
    SLUICE_RADIUS_CONFIG: config,
    SLUICE_RADIUS_RUN: folder,
    SLUICE_RADIUS_AUTH_PORT: String(authPort),
    SLUICE_RADIUS_ACCT_PORT: String(acctPort),
    SLUICE_CLIENT_DIRECTORY: `${clientDirectory}/`,
    SLUICE_CLIENT_DIRECTORY6: `${clientDirectory6}/`,
    SLUICE_RADIUS_STATUS_SECRET: statusSecret,
    SLUICE_RADMIN_SOCKET: controlSocket,
  });
  await checkConfig(config, environment, account);
  const child = startChild(program(), ['-f', '-d', config, '-n', 'radiusd'], {
    account,
    logFile: join(folder, 'output.log'),
    env: environment,
    isDetached: options.isDetached ?? false,
  });
  writeFileSync(join(folder, 'freeradius.pid'), `${child.pid}\n`);
  const source = options.statusAddress ?? '127.0.0.1';
  const host = options.listen === undefined || options.listen === '*' ? source : options.listen;
  const isAlive = (timeoutMs = 500) =>
    sendStatusServer({ source, host, port: authPort, secret: statusSecret, timeoutMs });
  try {
    await until('FreeRADIUS', () => isAlive(100), { timeoutMs: 20_000, child });
  } catch (error) {
    await child.stop();
    throw new Error(`FreeRADIUS did not start:\n${lastLines(join(folder, 'radius.log'), 6)}`, {
      cause: error,
    });
  }
  return {
    folder,
    authPort,
    acctPort,
    clientDirectory,
    clientDirectory6,
    controlSocket,
    statusSecret,
    logFile: join(folder, 'radius.log'),
    account,
    environment,
    child,
    isAlive,
    stop: () => child.stop(),
  };
}

/** What freeradius/radiusd.conf asks for, and nothing of our own environment. */
function environmentOf(options: FreeRadiusOptions, own: Record<string, string>): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    ...options.extraEnvironment,
    ...own,
    SLUICE_RADIUS_LIB: moduleFolder(),
    SLUICE_RADIUS_FAMILY: options.listen6 === undefined ? 'ipv4' : 'both',
    SLUICE_RADIUS_LISTEN: options.listen ?? '127.0.0.1',
    SLUICE_RADIUS_LISTEN6: options.listen6 ?? '::1',
    SLUICE_RADIUS_STATUS_ADDRESS: options.statusAddress ?? '127.0.0.1',
    SLUICE_RADIUS_DB_HOST: options.db.host,
    SLUICE_RADIUS_DB_PORT: String(options.db.port),
    SLUICE_RADIUS_DB_USER: options.db.user,
    SLUICE_RADIUS_DB_PASSWORD: options.db.password,
    SLUICE_RADIUS_DB_NAME: options.db.database,
  };
}

/** The server's log holds no secrets. */
function lastLines(path: string, count: number): string {
  if (!existsSync(path)) return `there is no ${path}`;
  return readFileSync(path, 'utf8').trim().split('\n').slice(-count).join('\n');
}

function copyConfig(folder: string, account: Account | undefined): string {
  const config = join(folder, 'config');
  rmSync(config, { recursive: true, force: true });
  cpSync(join(projectRoot, 'freeradius'), config, { recursive: true });
  giveTree(config, account);
  return config;
}

/** The server refuses a configuration that others may write to, and can't use one that it may not read. */
function giveTree(path: string, account: Account | undefined): void {
  if (account !== undefined) chownSync(path, account.uid, account.gid);
  chmodSync(path, 0o750);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const at = join(path, entry.name);
    if (entry.isDirectory()) {
      giveTree(at, account);
    } else {
      if (account !== undefined) chownSync(at, account.uid, account.gid);
      chmodSync(at, 0o640);
    }
  }
}

/** The path of a socket has at most 107 bytes: below a deep clone it goes to the system's folder for such things. */
function socketPath(folder: string, account: Account | undefined): string {
  const near = join(folder, 'run');
  const path = join(near, 'control.sock');
  if (Buffer.byteLength(path) <= 100) {
    makeFolder(near, account);
    chmodSync(near, 0o750);
    return path;
  }
  const far = makeFolder(mkdtempSync(join(tmpdir(), 'sluice-')), account);
  return join(far, 'control.sock');
}

async function otherFreePort(taken: number): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port !== taken) return port;
  }
}

function program(): string {
  const path = findProgram('freeradius') ?? findProgram('radiusd');
  if (path === undefined) {
    throw new Error(
      'freeradius is not installed: apt-get install freeradius freeradius-mysql freeradius-utils',
    );
  }
  return path;
}

/** Where the distribution keeps the server's modules. */
function moduleFolder(): string {
  const found = ['/usr/lib/freeradius', '/usr/lib64/freeradius', '/usr/local/lib'].find((folder) =>
    existsSync(join(folder, 'rlm_sql.so')),
  );
  if (found === undefined)
    throw new Error('the modules of FreeRADIUS are not installed: rlm_sql.so is missing');
  if (!existsSync(join(found, 'rlm_sql_mysql.so'))) {
    throw new Error('the MySQL driver of FreeRADIUS is not installed: apt-get install freeradius-mysql');
  }
  return found;
}

/** Lets the server read its configuration and say what is wrong with it. */
function checkConfig(
  config: string,
  environment: NodeJS.ProcessEnv,
  account: Account | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(
      program(),
      ['-C', '-d', config, '-n', 'radiusd', '-lstdout'],
      { env: environment, ...(account ?? {}) },
      (error, stdout, stderr) => {
        if (error === null) {
          resolve();
          return;
        }
        const lines = `${stdout}${stderr}`.trim().split('\n');
        const errors = lines.filter((line) => line.includes('Error'));
        const complaint = (errors.length > 0 ? errors : lines).slice(-8).join('\n');
        reject(new Error(`FreeRADIUS does not accept its configuration:\n${complaint}`));
      },
    );
  });
}

/**
 * Sends Status-Server (RFC 5997) and checks that the answer was made with our secret. It comes from `source`, the address
 * that the server knows for health checks, where one is given.
 */
export function sendStatusServer(to: {
  source?: string;
  host: string;
  port: number;
  secret: string;
  timeoutMs: number;
}): Promise<boolean> {
  return new Promise((resolve) => {
    const packet = statusServer(to.secret);
    const socket = createSocket('udp4');
    const finish = (isAlive: boolean) => {
      clearTimeout(timer);
      socket.close();
      resolve(isAlive);
    };
    const timer = setTimeout(() => finish(false), to.timeoutMs);
    socket.on('error', () => finish(false));
    socket.on('message', (reply) => {
      if (isReplyTo(packet, reply, to.secret)) finish(true);
    });
    // Connected, so that a closed port is told at once.
    socket.bind(0, to.source, () => socket.connect(to.port, to.host, () => socket.send(packet)));
  });
}

/** Code 12 with nothing but a Message-Authenticator. */
function statusServer(secret: string): Buffer {
  const packet = Buffer.alloc(38);
  packet.writeUInt8(12, 0);
  randomBytes(1).copy(packet, 1);
  packet.writeUInt16BE(packet.length, 2);
  randomBytes(16).copy(packet, 4);
  packet.writeUInt8(80, 20);
  packet.writeUInt8(18, 21);
  createHmac('md5', secret).update(packet).digest().copy(packet, 22);
  return packet;
}

function isReplyTo(request: Buffer, reply: Buffer, secret: string): boolean {
  if (reply.length < 20 || reply[1] !== request[1]) return false;
  const expected = createHash('md5')
    .update(reply.subarray(0, 4))
    .update(request.subarray(4, 20))
    .update(reply.subarray(20))
    .update(secret)
    .digest();
  return timingSafeEqual(expected, reply.subarray(4, 20));
}

/**
 * An account that can do what FreeRADIUS needs in `database` and nothing else: it reads logins, keeps accounting, adds
 * rejects. Made again, it gets the new password. Gives the address to start FreeRADIUS with.
 */
export async function createRadiusUser(
  mariadb: Pick<PrivateMariaDb, 'asRoot' | 'port'>,
  database: string,
  password: string,
): Promise<DbAddress> {
  for (const statement of radiusUserStatements(database, password)) await mariadb.asRoot(statement);
  return {
    host: '127.0.0.1',
    port: mariadb.port,
    user: radiusUserName(database),
    password,
    database,
  };
}

function radiusUserName(database: string): string {
  return `${database}_radius`;
}

/** The statements of createRadiusUser(), for whoever keeps a MariaDB of his own. */
export function radiusUserStatements(database: string, password: string, from = '127.0.0.1'): string[] {
  const quoted = password.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  const user = `'${radiusUserName(database)}'@'${from}'`;
  const grant = (rights: string, table: string) => `GRANT ${rights} ON \`${database}\`.${table} TO ${user}`;
  return [
    `CREATE OR REPLACE USER ${user} IDENTIFIED BY '${quoted}'`,
    grant('SELECT', 'radcheck'),
    grant('SELECT', 'radreply'),
    grant('SELECT, INSERT, UPDATE', 'radacct'),
    grant('INSERT', 'radpostauth'),
  ];
}
