import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { DbAddress } from '../../../src/db/knex.ts';
import { freePort, type ServerChild, startChild, until } from '../../servers/child.ts';
import { type Account, findProgram, makeFolder, serverAccount } from '../../servers/place.ts';

/**
 * What the distribution's FreeRADIUS is to do:
 * - `sql`: its sql module as shipped, every accept a row of radpostauth;
 * - `sql-rejects`: the same, but accepts aren't logged;
 * - `files`: logins from its users file, no database at all: no session count, no reject log;
 * - `files-sql`: logins from its users file, session count and reject log by its sql module.
 */
export type StockVariant = 'sql' | 'sql-rejects' | 'sql-lean' | 'files' | 'files-sql';

export interface StockOptions {
  readonly variant: StockVariant;
  readonly db: DbAddress;
  readonly client: { address: string; secret: string };
  readonly threads: number;
  /** What the files variants read: mods-config/files/authorize. */
  readonly users?: string;
}

export interface StockRadius {
  readonly authPort: number;
  readonly acctPort: number;
  readonly child: ServerChild;
  readonly config: string;
  stop(): Promise<void>;
}

export const stockTree = '/etc/freeradius/3.0';

/**
 * The baseline: the distribution's own tree, copied as it is installed and then changed only in what every how-to changes
 * (sql on, `sql` in its session section) and in what has to be equal on both sides: addresses, threads and connections,
 * max_requests, no reject_delay, a Message-Authenticator in each reply. EAP, which needs a key file of root's, does
 * nothing in its place. Its files stay where they are: they are under the GPL.
 */
export async function startStock(folder: string, options: StockOptions): Promise<StockRadius> {
  const program = findProgram('freeradius') ?? findProgram('radiusd');
  if (program === undefined || !existsSync(join(stockTree, 'sites-available/default'))) {
    throw new Error(`the baseline is the distribution's configuration, and ${stockTree} cannot be read`);
  }
  const account = serverAccount('freerad');
  makeFolder(folder, account);
  const config = join(folder, 'config');
  rmSync(config, { recursive: true, force: true });
  cpSync(stockTree, config, { recursive: true, verbatimSymlinks: true });
  const authPort = await freePort();
  const acctPort = await freePort();
  changeServer(config, folder, options);
  changeModules(config, options);
  changeSite(config, { ...options, authPort, acctPort });
  if (options.users !== undefined) writeFileSync(join(config, 'mods-config/files/authorize'), options.users);
  giveTree(config, account);
  const child = startChild(program, ['-f', '-d', config, '-n', 'radiusd'], {
    account,
    logFile: join(folder, 'output.log'),
    env: { PATH: process.env['PATH'] },
  });
  const log = join(folder, 'radius.log');
  const isUp = () => existsSync(log) && readFileSync(log, 'utf8').includes('Ready to process requests');
  try {
    await until(`FreeRADIUS with ${stockTree}`, isUp, { timeoutMs: 120_000, child });
  } catch (error) {
    await child.stop();
    const text = existsSync(log) ? readFileSync(log, 'utf8') : 'there is no log';
    throw new Error(`the stock server did not start:\n${text.slice(-1500)}`, { cause: error });
  }
  return { authPort, acctPort, child, config, stop: () => child.stop() };
}

function changeServer(config: string, folder: string, options: StockOptions): void {
  change(config, 'radiusd.conf', [
    [/^logdir = .*$/m, `logdir = ${folder}`],
    [/^raddbdir = .*$/m, `raddbdir = ${config}`],
    [/^run_dir = .*$/m, `run_dir = ${folder}`],
    [/^max_requests = .*$/m, 'max_requests = 65536'],
    [/^proxy_requests {2}= yes$/m, 'proxy_requests = no'],
    [/^\tuser = .*$/m, ''],
    [/^\tgroup = .*$/m, ''],
    [/^\treject_delay = .*$/m, '\treject_delay = 0'],
    [/^\tstart_servers = .*$/m, `\tstart_servers = ${options.threads}\n\tmax_queue_size = 65536`],
    [/^\tmax_servers = .*$/m, `\tmax_servers = ${options.threads}`],
    [/^\tmin_spare_servers = .*$/m, '\tmin_spare_servers = 1'],
    [/^\tmax_spare_servers = .*$/m, `\tmax_spare_servers = ${options.threads}`],
  ]);
  rmSync(join(config, 'sites-enabled/inner-tunnel'), { force: true });
  const { address, secret } = options.client;
  writeFileSync(
    join(config, 'clients.conf'),
    `client bench {\n\tipaddr = ${address}\n\tsecret = '${secret}'\n\tnas_type = other\n}\n`,
  );
}

function changeModules(config: string, options: StockOptions): void {
  rmSync(join(config, 'mods-enabled/eap'), { force: true });
  writeFileSync(join(config, 'mods-enabled/eap'), 'always eap {\n\trcode = noop\n}\n');
  if (options.variant === 'files') return;
  const { db } = options;
  cpSync(join(config, 'mods-available/sql'), join(config, 'mods-enabled/sql'));
  change(config, 'mods-enabled/sql', [
    [/^\tdialect = .*$/m, '\tdialect = "mysql"'],
    [/^\tdriver = .*$/m, '\tdriver = "rlm_sql_mysql"'],
    [/^\tmysql \{$/m, '\tmysql_with_tls_that_is_not_used {'],
    [
      /^\tradius_db = .*$/m,
      `\tserver = "${db.host}"\n\tport = ${db.port}\n\tlogin = "${db.user}"\n\tpassword = "${db.password}"\n\tradius_db = "${db.database}"`,
    ],
  ]);
}

function changeSite(config: string, options: StockOptions & { authPort: number; acctPort: number }): void {
  const path = join(config, 'sites-available/default');
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => !/^\s*#/.test(line) || line === '#\tsql');
  const site = cutSections(lines);
  const isSql = options.variant.startsWith('sql');
  const session = options.variant === 'files' ? '' : '\tsql\n';
  const listen = (type: string, port: number) =>
    `listen {\n\ttype = ${type}\n\tipaddr = 127.0.0.1\n\tport = ${port}\n}\n`;
  const text = site
    .map(({ head, body }) => {
      if (head === 'session {') return `session {\n${session}}\n`;
      if (head === 'listen {') return '';
      if (head === 'server default {')
        return `${head}\n${listen('auth', options.authPort)}${listen('acct', options.acctPort)}`;
      if (head === 'authorize {' && !isSql) return `${head}\n${body.replace(/^\s*-sql$/gm, '')}`;
      if (head === 'accounting {' && options.variant === 'sql-lean') return 'accounting {\n\tsql\n}\n';
      if (head === 'post-auth {') return `${head}\n${changePostAuth(body, options.variant)}`;
      return head === '' ? body : `${head}\n${body}`;
    })
    .join('\n');
  writeFileSync(path, text);
}

/** The replies of both sides are sealed: RouterOS 7.15 and later drop others. */
function changePostAuth(body: string, variant: StockVariant): string {
  const seal = '\tupdate reply {\n\t\t&Message-Authenticator := 0x00\n\t}\n';
  let text = body.replace('Post-Auth-Type REJECT {', `Post-Auth-Type REJECT {\n${seal}`);
  if (variant === 'files') text = text.replace(/^\s*-sql$/gm, '');
  else if (variant !== 'sql') text = text.replace(/^\t-sql$/m, '');
  return seal + text;
}

/** The site's top-level sections, each with its first line and the rest up to its closing brace. */
function cutSections(lines: readonly string[]): { head: string; body: string }[] {
  const found: { head: string; body: string }[] = [];
  for (const line of lines) {
    if (/^[a-z-]+( default)? \{$/.test(line)) found.push({ head: line, body: '' });
    else if (found.length === 0) found.push({ head: '', body: `${line}\n` });
    else (found.at(-1) ?? { body: '' }).body += `${line}\n`;
  }
  return found;
}

/** Each change has to find its place: with another version's files the baseline would silently be another one. */
function change(config: string, file: string, changes: readonly (readonly [RegExp, string])[]): void {
  const path = join(config, file);
  let text = readFileSync(path, 'utf8');
  for (const [what, by] of changes) {
    if (!what.test(text)) throw new Error(`${file} of ${stockTree} has no line like ${String(what)}`);
    text = text.replace(what, () => by);
  }
  writeFileSync(path, text);
}

function giveTree(path: string, account: Account | undefined): void {
  if (account !== undefined) chownSync(path, account.uid, account.gid);
  chmodSync(path, 0o750);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const at = join(path, entry.name);
    if (entry.isSymbolicLink()) continue;
    if (entry.isDirectory()) {
      giveTree(at, account);
    } else {
      if (account !== undefined) chownSync(at, account.uid, account.gid);
      chmodSync(at, 0o640);
    }
  }
}
