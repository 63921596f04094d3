import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openApp } from '../../src/app.ts';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config.ts';
import { openDb } from '../../src/db/knex.ts';
import { livingProcesses } from '../../src/db/heartbeats.ts';
import { migrate } from '../../src/db/migrate.ts';
import { startChild, until } from '../servers/child.ts';
import { createRadiusUser, startFreeRadius } from '../servers/freeradius.ts';
import { attachMariaDb, type MariaDbHandle, startMariaDb } from '../servers/mariadb.ts';
import { makeFolder, projectRoot, serverAccount } from '../servers/place.ts';
import { quarantineBadClientFiles } from '../../src/reconcile/radius-agent.ts';
import { type Demo, seedDemo } from '../seed/demo.ts';
import { seedDemoStaff } from './demo-staff.ts';
import { type Home, openHome, saveHome } from './home.ts';
import { pidsWith, stopAll } from './ours.ts';
import { folders, labConfig, marks, program, roles } from './parts.ts';
import { summaryOf } from './summary.ts';

const startedAt = performance.now();

function step(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`${seconds} s  ${text}\n`);
}

/**
 * Brings the demo up, or back up: every step looks whether it is done already, so that start may be killed anywhere and
 * called again.
 */
async function start(): Promise<void> {
  const home = await openHome((part, folder) => pidsWith(marks[part](folder)).length > 0);
  step(`Data is in ${home.folder}`);
  makeFolder(folders(home.folder).logs, undefined);
  const mariadb = await bringUpMariaDb(home);
  await bringUpFreeRadius(home, mariadb);
  const { demo, staff } = await seed(home);
  await bringUpRoles(home);
  if (demo.isDemo) await bringUpLab(home);
  process.stdout.write(`${summaryOf(home, demo, staff)}\n`);
}

async function bringUpMariaDb(home: Home): Promise<MariaDbHandle> {
  const folder = folders(home.folder).mariadb;
  const port = Number(home.env['SLUICE_DB_PORT']);
  const password = home.env['SLUICE_DB_PASSWORD'] ?? '';
  const isRunning = pidsWith(marks.mariadb(home.folder)).length > 0;
  step(isRunning ? 'MariaDB is running' : 'Starting MariaDB');
  const mariadb = isRunning
    ? await attachMariaDb(folder, port, password)
    : await startMariaDb(folder, { port, password, isDetached: true });
  const database = home.env['SLUICE_DB_NAME'] ?? '';
  await mariadb.createDatabase(database);
  const db = openDb({ host: '127.0.0.1', port, user: mariadb.user, password, database });
  const files = await migrate(db, join(projectRoot, 'sql'), systemClock.now());
  if (files.length > 0) step(`Schema: ${files.length} migrations applied`);
  await db.destroy();
  return mariadb;
}

async function bringUpFreeRadius(home: Home, mariadb: MariaDbHandle): Promise<void> {
  if (pidsWith(marks.freeradius(home.folder)).length > 0) {
    step('FreeRADIUS is running');
    return;
  }
  step('Starting FreeRADIUS');
  const folder = folders(home.folder).freeradius;
  await quarantine(home, folder);
  const password = home.env['SLUICE_RADIUS_DB_PASSWORD'] ?? '';
  const server = await startFreeRadius(folder, {
    db: await createRadiusUser(mariadb, home.env['SLUICE_DB_NAME'] ?? '', password),
    authPort: Number(home.env['SLUICE_RADIUS_AUTH_PORT']),
    acctPort: Number(home.env['SLUICE_RADIUS_ACCT_PORT']),
    statusSecret: home.env['SLUICE_RADIUS_STATUS_SECRET'] ?? '',
    isDetached: true,
  });
  saveHome(home, {
    SLUICE_CLIENT_DIRECTORY: server.clientDirectory,
    SLUICE_CLIENT_DIRECTORY6: server.clientDirectory6,
    SLUICE_RADMIN_SOCKET: server.controlSocket,
    SLUICE_RADIUS_LOG: server.logFile,
  });
}

/** One bad client file keeps FreeRADIUS from starting: those are taken out first. */
async function quarantine(home: Home, folder: string): Promise<void> {
  const app = openApp(readConfig(home.env), { role: 'start', isSilent: true, poolMax: 1 });
  try {
    const count = await quarantineBadClientFiles({
      ...app,
      freeradius: {
        clientDirectory: makeFolder(join(folder, 'clients'), serverAccount('freerad')),
        clientDirectory6: makeFolder(join(folder, 'clients6'), serverAccount('freerad')),
      },
    });
    if (count > 0) step(`${count} client files were bad and are beside the directory now`);
  } finally {
    await app.close();
  }
}

async function seed(home: Home): Promise<{ demo: Demo; staff: { username: string; role: string }[] }> {
  const app = openApp(readConfig(home.env), { role: 'start', isSilent: true, poolMax: 8 });
  const count = process.env['SLUICE_DEMO_COUNT'];
  try {
    const demo = await seedDemo({
      db: app.db,
      vault: app.vault,
      now: systemClock.now(),
      labConfigFile: labConfig(home.folder),
      env: home.env,
      say: step,
      progress: showProgress,
      ...(count === undefined ? {} : { count: Number(count) }),
    });
    const staff = demo.isDemo ? await seedDemoStaff(app, home.env['SLUICE_DEMO_PASSWORD'] ?? '') : [];
    return { demo, staff };
  } finally {
    await app.close();
  }
}

/** On a terminal, one line that moves. */
function showProgress(done: number, total: number): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(
    `\r          ${Math.floor((100 * done) / Math.max(1, total))} %\u001b[K${done >= total ? '\r\u001b[K' : ''}`,
  );
}

/** A role whose program is older than the build is started again. */
async function bringUpRoles(home: Home): Promise<void> {
  for (const role of roles) {
    const mark = marks.role(home.folder, role);
    if (await isRunningThisBuild(mark, 10_000)) continue;
    step(`Starting Sluice: ${role}`);
    startChild(process.execPath, ['--enable-source-maps', program('src/main.js'), role, mark, buildMark()], {
      account: undefined,
      logFile: join(folders(home.folder).logs, `${role}.log`),
      env: { ...process.env, ...home.env },
      isDetached: true,
    });
  }
  await waitForRoles(home);
}

async function waitForRoles(home: Home): Promise<void> {
  const db = openDb(dbAddress(home), { poolMax: 1 });
  try {
    const areAlive = async () => {
      const alive = new Set((await livingProcesses(db)).map((process) => process.role));
      return roles.every((role) => alive.has(role));
    };
    await until(`Sluice (logs in ${folders(home.folder).logs})`, areAlive, {
      timeoutMs: 30_000,
      stepMs: 100,
    });
  } finally {
    await db.destroy();
  }
}

async function bringUpLab(home: Home): Promise<void> {
  const mark = marks.lab(home.folder);
  if (await isRunningThisBuild(mark, 5000)) return;
  step('Starting the lab: three routers and their subscribers');
  startChild(process.execPath, ['--enable-source-maps', program('scripts/lab/main.js'), mark, buildMark()], {
    account: undefined,
    logFile: join(folders(home.folder).logs, 'lab.log'),
    isDetached: true,
  });
  const port = home.env['SLUICE_LAB_PORT'] ?? '';
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/routers`).then(
      (response) => response.ok,
      () => false,
    );
  await until(`the lab (log in ${folders(home.folder).logs})`, answers, { timeoutMs: 20_000, stepMs: 100 });
}

function dbAddress(home: Home) {
  return {
    host: '127.0.0.1',
    port: Number(home.env['SLUICE_DB_PORT']),
    user: home.env['SLUICE_DB_USER'] ?? '',
    password: home.env['SLUICE_DB_PASSWORD'] ?? '',
    database: home.env['SLUICE_DB_NAME'] ?? '',
  };
}

/** Changes whenever a source was compiled: a process that was started from an older build is started again. */
function buildMark(): string {
  return `--build=${Math.max(...['src', 'scripts'].map((part) => newestBelow(program(part))))}`;
}

/** Stops what runs from an older build; true when the part runs from this one. */
async function isRunningThisBuild(mark: string, graceMs: number): Promise<boolean> {
  const current = pidsWith(buildMark());
  const pids = pidsWith(mark);
  if (pids.length > 0 && pids.every((pid) => current.includes(pid))) return true;
  await stopAll(mark, graceMs);
  return false;
}

function newestBelow(folder: string): number {
  return Math.max(
    0,
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
      .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  );
}

try {
  await start();
} catch (error) {
  process.stderr.write(`\nsluice: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
