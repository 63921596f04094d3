import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { freePort, type ServerChild, startChild, until } from './child.ts';
import { findProgram, makeFolder, serverAccount } from './place.ts';

export interface MariaDbHandle {
  port: number;
  folder: string;
  /** The account that Sluice uses: all rights on databases whose names begin with sluice. */
  user: string;
  password: string;
  /** Creates the database if it is missing, in the collation in which names match exactly. */
  createDatabase(name: string): Promise<void>;
  /** A statement as the server's root, for accounts and for faults in tests. */
  asRoot(statement: string): Promise<void>;
}

export interface PrivateMariaDb extends MariaDbHandle {
  child: ServerChild;
  stop(): Promise<void>;
}

export interface MariaDbOptions {
  port?: number;
  password: string;
  isDetached?: boolean;
  isDurable?: boolean;
  /** More lines of its configuration; they win over ours. */
  extra?: string[];
  /** Data and accounts come from another node of its cluster: nothing is installed. */
  isJoining?: boolean;
}

/**
 * A MariaDB of our own in `folder`, on loopback, touching nothing of the system's. Started again on the same folder it
 * finds its data; a start that was killed half-way is repaired.
 */
export async function startMariaDb(folder: string, options: MariaDbOptions): Promise<PrivateMariaDb> {
  const account = serverAccount('mysql');
  makeFolder(folder, account);
  makeFolder(join(folder, 'tmp'), account);
  const data = join(folder, 'data');
  const port = options.port ?? (await freePort());
  const configFile = writeConfig(folder, data, port, options);
  // A marker, because a killed install leaves a folder that looks finished.
  const marker = join(folder, 'installed');
  if (options.isJoining === true) {
    makeFolder(data, account);
  } else if (!existsSync(marker)) {
    rmSync(data, { recursive: true, force: true });
    makeFolder(data, account);
    install(configFile, folder, account);
  }
  writeFileSync(marker, '');
  const child = startChild(required('mariadbd'), [mariaDbMark(folder)], {
    account,
    logFile: join(folder, 'mariadbd.log'),
    ...(options.isDetached === undefined ? {} : { isDetached: options.isDetached }),
  });
  const handle = handleOf(folder, port, options.password);
  const isUp = () =>
    handle.asRoot('DO 0').then(
      () => true,
      () => false,
    );
  await until('MariaDB', isUp, { timeoutMs: 60_000, child });
  if (options.isJoining !== true) await makeAccount(handle);
  return { ...handle, child, stop: () => child.stop() };
}

/** The argument that only the server of this folder has in its command line. */
export function mariaDbMark(folder: string): string {
  return `--defaults-file=${join(folder, 'my.cnf')}`;
}

/** A server of `folder` that runs already. */
export async function attachMariaDb(folder: string, port: number, password: string): Promise<MariaDbHandle> {
  const handle = handleOf(folder, port, password);
  await until(
    'MariaDB',
    () =>
      handle.asRoot('DO 0').then(
        () => true,
        () => false,
      ),
    { timeoutMs: 60_000 },
  );
  await makeAccount(handle);
  return handle;
}

/** Asks the server of `folder` as its root, over its socket. A server that does not answer at all rejects. */
export async function askAsRoot<T>(folder: string, statement: string): Promise<T[]> {
  const connection = await mysql.createConnection({
    socketPath: socketPath(folder),
    user: 'root',
    connectTimeout: 2000,
  });
  try {
    const [rows] = await connection.query(statement);
    return rows as T[];
  } finally {
    connection.destroy();
  }
}

/** The server of `folder`, whether or not it runs. */
export function handleOf(folder: string, port: number, password: string): MariaDbHandle {
  const asRoot = async (statement: string) => {
    await askAsRoot(folder, statement);
  };
  return {
    port,
    folder,
    user: 'sluice',
    password,
    asRoot,
    createDatabase: (name) =>
      asRoot(`CREATE DATABASE IF NOT EXISTS \`${name}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin`),
  };
}

async function makeAccount(handle: MariaDbHandle): Promise<void> {
  const { password } = handle;
  await handle.asRoot(`CREATE USER IF NOT EXISTS sluice@'127.0.0.1' IDENTIFIED BY '${password}'`);
  await handle.asRoot(`ALTER USER sluice@'127.0.0.1' IDENTIFIED BY '${password}'`);
  await handle.asRoot("GRANT ALL ON `sluice%`.* TO sluice@'127.0.0.1' WITH GRANT OPTION");
  await handle.asRoot("GRANT CREATE USER, PROCESS, RELOAD ON *.* TO sluice@'127.0.0.1'");
}

/** A socket's path has at most 107 bytes: that of a deep clone goes to the system's folder for such things. */
function socketPath(folder: string): string {
  const near = join(folder, 'mysqld.sock');
  if (Buffer.byteLength(near) <= 100) return near;
  return join(tmpdir(), `sluice-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}.sock`);
}

function writeConfig(
  folder: string,
  data: string,
  port: number,
  options: { isDurable?: boolean; extra?: string[] },
): string {
  const path = join(folder, 'my.cnf');
  const lines = [
    '[mariadbd]',
    `datadir=${data}`,
    `socket=${socketPath(folder)}`,
    // Its own: servers that share /tmp clear one another's temporary tables away when they start.
    `tmpdir=${join(folder, 'tmp')}`,
    `pid-file=${join(folder, 'mariadbd.pid')}`,
    `port=${port}`,
    'bind-address=127.0.0.1',
    'skip-name-resolve',
    'skip-log-bin',
    'character-set-server=utf8mb4',
    'collation-server=utf8mb4_nopad_bin',
    'innodb_buffer_pool_size=512M',
    'innodb_log_file_size=256M',
    'max_connections=300',
    // As Galera has it: INSERT .. SELECT does not keep everybody else's INSERT waiting until its end.
    'innodb_autoinc_lock_mode=2',
    `innodb_flush_log_at_trx_commit=${options.isDurable === false ? 2 : 1}`,
    ...(options.extra ?? []),
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  chmodSync(path, 0o644);
  return path;
}

function install(
  configFile: string,
  folder: string,
  account: { uid: number; gid: number } | undefined,
): void {
  execFileSync(
    required('mariadb-install-db'),
    [`--defaults-file=${configFile}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...(account ?? {}) },
  );
}

function required(program: string): string {
  const path = findProgram(program);
  if (path === undefined) throw new Error(`${program} is not installed: apt-get install mariadb-server`);
  return path;
}
